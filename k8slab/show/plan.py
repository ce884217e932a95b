"""Where each host of a network stands in the drawing, by rule: the same network always looks the same.

Nodes stand two in a row, in the network's order; a node holds its Pods, and both are boxes, since both are
network namespaces. Down the right side of each node runs one line, its network stack: the Pods' veths meet
it, programs on the node sit at its top, and at its bottom it leaves for the LAN, a line under the nodes.
Below the LAN stand all other hosts, two in a row. A link that a drawing of this form cannot hold is named in
words at its end.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, field

from k8slab.network import Host, Interface, Link, Network, Route
from k8slab.show.parts import Parts, parts
from k8slab.show.svg import SIZES, Box, Line, Shape, Words, column, fold, width_of

Point = tuple[float, float]
EDGE, GAP, PAD = 16, 14, 10
# A node's box has a title above and its way out below; its stack runs this far from its right side.
HEAD, FOOT, STACK = 38, 14, 16
BRIDGE = 22            # how far before the stack a bridge's line stands, and its room below the last port
POD_LIMIT, ROUTE_LIMIT = 6, 6
WORDS = {"node": "node", "pod": "Pod", "router": "router", "client": "client"}


@dataclass(slots=True)
class Plan:
    """The shapes of a network, and the places that a packet can be at.

    `spots`: (host, interface) to where its wire begins, (host, "") to where its programs are. `stacks`: host
    to the x of the line in it. `bus`: host on the LAN to the y of its LAN line. `boxes`: each host's box. `rails`: a
    bridge, and an interface that is on it, to the x of the bridge's line.
    """

    width: float = 0
    height: float = 0
    shapes: list[Shape] = field(default_factory=list)
    spots: dict[tuple[str, str], Point] = field(default_factory=dict)
    stacks: dict[str, float] = field(default_factory=dict)
    bus: dict[str, float] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    rails: dict[tuple[str, str], float] = field(default_factory=dict)


def title(host: Host) -> str:
    """What a host is and is called: "Pod client"; "router" where both are the same."""
    kind = WORDS.get(host.kind, host.kind)
    return kind if kind == host.name else f"{kind} {host.name}"


def interface_words(interface: Interface) -> str:
    """An interface and its addresses: "eth0 10.244.1.5/32"."""
    return " ".join((interface.name, *interface.addresses))


def plan(network: Network, keep: Collection[str] = (), top: float = 0) -> Plan:
    """Place every host, below `top`; Pods named in `keep` are drawn even on a node that has too many."""
    held, made = parts(network), Plan()
    pods = {name: [p for i, p in enumerate(its) if i < POD_LIMIT or p[0].name in keep]
            for name, its in held.pods.items()}
    width = max((_node_width(node, pods[node.name]) for node in held.nodes), default=0)
    sizes = [_other_width(network, held, host) for host in held.others]
    pairs = [sum(sizes[i:i + 2]) + 80 for i in range(0, len(sizes), 2)]
    made.width = 2 * EDGE + max([(width + GAP) * min(2, len(held.nodes)) - GAP, *pairs])
    y = top + EDGE
    for i in range(0, len(held.nodes), 2):
        y = _row(made, held, pods, held.nodes[i:i + 2], width, y)
    if says := _lan_words(network, held.lan):
        made.shapes.append(Words(EDGE, y - 8, says, "dim"))
        y += 14
    for i in range(0, len(held.others), 2):
        y = _others(made, network, held, held.others[i:i + 2], y, attached=i == 0)
    for line in _left_out(made, network, held):
        shapes, y = column(EDGE, y + 4, fold(line, "dim", made.width - 2 * EDGE), "dim")
        made.shapes += shapes
    made.height = y
    return made


def _pod_lines(pod: Host) -> list[str]:
    """What a Pod's box says below its name: each interface, and the next hop of its default route."""
    via = [f"via {route.via}" for route in pod.routes if route.destination == "default" and route.via]
    return [interface_words(interface) for interface in pod.interfaces] + via


def _pod_width(pods: list[tuple[Host, str, str]]) -> float:
    lines = [line for pod, _, _ in pods for line in _pod_lines(pod)]
    return max(width_of("code", *lines), width_of("name", *(title(pod) for pod, _, _ in pods))) + 12


def _programs(host: Host) -> str:
    """What the top of a node's stack says: the ports on which its programs listen."""
    return ", ".join(f"{proto} {port}" for proto, port in host.listens[:2]) or "programs"


def _node_width(node: Host, pods: list[tuple[Host, str, str]]) -> float:
    ends = [node.interface(end) for _, end, _ in pods]
    wires = width_of("code", *(e.name for e in ends), *(a for e in ends for a in e.addresses)) + 19
    wires += BRIDGE if any(end.master for end in ends) else 0
    head = width_of("name", title(node)) + width_of("dim", _programs(node)) + 2 * PAD + 20
    return max(PAD + _pod_width(pods) + wires + STACK, head, 250)


def _row(made: Plan, held: Parts, pods: dict, nodes: tuple[Host, ...], width: float, y: float) -> float:
    """A row of nodes and the LAN line under it; returns the y below."""
    drawn = []
    for i, node in enumerate(nodes):
        x, missing = EDGE + i * (width + GAP), len(held.pods[node.name]) - len(pods[node.name])
        drawn.append((node, x, *_inside(made, node, pods[node.name], missing, x, y, width)))
    height = max(bottom for _, _, _, bottom in drawn) - y + FOOT
    for node, x, shapes, _ in drawn:
        made.boxes[node.name] = Box(x, y, width, height, "outer")
        made.shapes += [made.boxes[node.name], *shapes, *_stack(made, held.lan, node, y, height)]
    if held.lan is None:
        return y + height + GAP
    level = y + height + 16
    first = not made.bus
    for node in nodes:
        made.bus[node.name] = level
    # Further rows hang on the same LAN: their lines meet at the left edge.
    left = EDGE if first and len(held.nodes) <= 2 else 6
    made.shapes.append(Line(((left, level), (made.width - EDGE, level)), "bus"))
    if not first:
        above = made.bus[held.nodes[0].name]
        made.shapes.append(Line(((6, above), (6, level)), "bus"))
    return level + 26


def _inside(made: Plan, node: Host, pods: list[tuple[Host, str, str]], missing: int, x: float, y: float,
            width: float) -> tuple[list[Shape], float]:
    """A node's title, programs, Pods and routes; and the y below them."""
    stack = made.stacks[node.name] = x + width - STACK
    says = _programs(node)
    chip = Box(x + width - 6 - width_of("dim", says) - 10, y + 9, width_of("dim", says) + 10, 18)
    made.spots[node.name, ""] = stack, y + 30
    shapes: list[Shape] = [Words(x + PAD, y + 22, title(node), "name"), chip,
                           Words(chip.x + 5, y + 22, says, "dim")]
    y += HEAD
    for pod, name, own in pods:
        end = node.interface(name)
        more, y = _pod(made, end, pod, own, (x + PAD, y), _pod_width(pods), stack - BRIDGE if end.master else stack)
        shapes += more
        ports = [other for _, other, _ in pods if end.master and node.interface(other).master == end.master]
        if name in ports[-1:]:
            shapes += _bridge(made, node, node.interface(end.master), ports[0], y)
            y += BRIDGE
    if missing:
        shapes.append(Words(x + PAD, y + 8, f"and {missing} more Pod{'s' * (missing > 1)}", "dim"))
        y += 18
    more, y = _routes(node, x + PAD, y + 6, stack - x - PAD - 8)
    return shapes + more, y


def _pod(made: Plan, end: Interface, pod: Host, own: str, at: Point, width: float,
         stack: float) -> tuple[list[Shape], float]:
    """A Pod's box and its veth to the node's stack, or to the line of a bridge; and the y of the next Pod."""
    (x, y), lines = at, _pod_lines(pod)
    box = made.boxes[pod.name] = Box(x, y, width, 24 + len(lines) * SIZES["code"][1], "inner")
    middle = y + box.height / 2
    for interface in pod.interfaces:
        made.spots[pod.name, interface.name] = x + width + 3, middle
    made.spots[pod.name, ""] = x + width + 3, middle
    made.spots[pod.node, end.name] = stack, middle
    if end.master:
        made.rails[pod.name, own] = made.rails[pod.node, end.master] = stack
    words, _ = column(x + 6, y + 32, lines, "code")
    labels = [Words(stack - 13, middle - 10, end.name, "code", "end"),
              *(Words(stack - 13, middle + 19 + 14 * i, address, "code", "end")
                for i, address in enumerate(end.addresses))]
    return [box, Words(x + 6, y + 18, title(pod), "name"), *words, *labels,
            Line(((x + width, middle), (stack, middle)))], y + max(box.height, 40) + 12


def _bridge(made: Plan, node: Host, bridge: Interface, first: str, y: float) -> list[Shape]:
    """A bridge: a line that its ports meet, the `first` on top, and at its foot its own interface to the stack."""
    (rail, top), stack, level = made.spots[node.name, first], made.stacks[node.name], y + BRIDGE / 2
    made.spots[node.name, bridge.name] = stack, level
    return [Line(((rail, top - 14), (rail, level)), "bus"), Line(((rail, level), (stack, level))),
            Words(rail - 8, level + 4, interface_words(bridge), "code", "end")]


def _short(route: Route) -> str:
    """What a route says of the way: the next hop, or the interface where there is none."""
    way = f" via {route.via}" if route.via else f" dev {route.dev}" if route.dev else ""
    return f"{'' if route.kind == 'unicast' else f'{route.kind} '}{route.destination}{way}"


def _routes(host: Host, x: float, y: float, width: float) -> tuple[list[Shape], float]:
    """The first routes, folded to fit, and how many more there are."""
    shown, more = host.routes[:ROUTE_LIMIT], len(host.routes) - ROUTE_LIMIT
    lines = [part if i == 0 else "  " + part for route in shown
             for i, part in enumerate(fold(_short(route), "code", width - 14))]
    lines += [f"and {more} more"] if more > 0 else []
    head = [Words(x, y + 6, "routes", "dim")] if lines else []
    shapes, y = column(x, y + 20, lines, "code") if lines else ([], y)
    return head + [Words(s.x + 13 * s.text.startswith("  "), s.y, s.text.strip(), "code") for s in shapes], y


def _stack(made: Plan, lan: Link | None, node: Host, y: float, height: float) -> list[Shape]:
    """The line down a node's right side, and its interface on the LAN."""
    x, bottom = made.stacks[node.name], y + height
    own = dict(lan.ends).get(node.name) if lan else None
    if own is None:
        return [Line(((x, y + 27), (x, bottom - FOOT)))]
    made.spots[node.name, own] = x, bottom
    return [Line(((x, y + 27), (x, bottom + 16))),
            Words(x - 13, bottom - 6, interface_words(node.interface(own)), "code", "end")]


def _lan_words(network: Network, lan: Link | None) -> str:
    """The LAN's name and range; "" where there is none."""
    if lan is None:
        return ""
    host, name = lan.ends[0]
    addresses = network.host(host).interface(name).addresses
    ranges = [str(ipaddress.IPv4Interface(address).network) for address in addresses[:1]]
    return " ".join((lan.name, *ranges))


def _other_lines(host: Host) -> list[str]:
    return [*map(interface_words, host.interfaces), *map(_short, host.routes[:ROUTE_LIMIT])]


def _other_width(network: Network, held: Parts, host: Host) -> float:
    """As wide as its words; its line up to the LAN must not run through the LAN's name."""
    on_lan = held.lan is not None and host.name in dict(held.lan.ends)
    least = width_of("dim", _lan_words(network, held.lan)) if on_lan else 0
    return max(width_of("code", *_other_lines(host)), width_of("name", title(host)) + 14, least) + 2 * PAD


def _others(made: Plan, network: Network, held: Parts, hosts: tuple[Host, ...], y: float, *,
            attached: bool) -> float:
    """A row of hosts that are no nodes: one at the left, one at the right, a wire between them."""
    height = max(len(_other_lines(host)) for host in hosts) * SIZES["code"][1] + 34
    middle, on_lan = y + 17, dict(held.lan.ends) if held.lan and attached else {}
    for i, host in enumerate(hosts):
        width = _other_width(network, held, host)
        x = made.width - EDGE - width if i else EDGE
        box = made.boxes[host.name] = Box(x, y, width, height, "outer")
        stack = made.stacks[host.name] = x + width - PAD
        made.spots[host.name, ""] = (x, middle) if i else (x + width, middle)
        words, _ = column(x + PAD, y + 38, _other_lines(host), "code")
        made.shapes += [box, Words(x + PAD, y + 22, title(host), "name"), *words]
        if host.name in on_lan:
            level = made.bus[held.nodes[-1].name]
            made.bus[host.name] = level
            made.spots[host.name, on_lan[host.name]] = stack, y
            made.shapes.append(Line(((stack, level), (stack, y))))
    for link in network.links:
        _wire(made, link, hosts, middle)
    return y + height + GAP


def _wire(made: Plan, link: Link, hosts: tuple[Host, ...], y: float) -> None:
    """The wire between two hosts beside each other, if this link joins them."""
    ends = dict(link.ends)
    if len(hosts) != 2 or set(ends) != {hosts[0].name, hosts[1].name} or len(link.ends) != 2:
        return
    left, right = made.boxes[hosts[0].name], made.boxes[hosts[1].name]
    x1, x2 = left.x + left.width, right.x
    made.spots[hosts[0].name, ends[hosts[0].name]] = x1, y
    made.spots[hosts[1].name, ends[hosts[1].name]] = x2, y
    room = max(1, int((x2 - x1 - 8) / SIZES["dim"][0]))
    name = link.name if len(link.name) <= room else link.name[:room - 1] + "…"
    made.shapes += [Line(((x1, y), (x2, y))), Words((x1 + x2) / 2, y - 8, name, "dim", "middle")]


def _left_out(made: Plan, network: Network, held: Parts) -> list[str]:
    """A sentence for each link of a drawn host that could not be drawn."""
    hidden = {pod.name for its in held.pods.values() for pod, _, _ in its} - set(made.boxes)
    return [f"Also joined, by {link.name}: " + ", ".join(" ".join(end) for end in link.ends) + "."
            for link in network.links
            if not all(end in made.spots for end in link.ends) and not {h for h, _ in link.ends} & hidden]

"""The network as a picture: nodes, Pods, namespaces, veths, addresses, routes, and the way of a packet.

`plan.py` says where everything stands; this file lays a journey over it and tells the whole in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from k8slab.network import Host, Network
from k8slab.show import words
from k8slab.show.plan import EDGE, WORDS, Plan, Point, interface_words, plan, title
from k8slab.show.svg import Box, Line, Picture, Shape, Words, column, fold, width_of
from k8slab.trace import Step, Trace

# The way that a packet goes -> what it is called, the style of its line, and how far it is moved aside, so
# that request and reply on one wire lie beside each other.
WAYS = {words.OUTWARD: ("The request", "go", -3), words.HOMEWARD: ("The reply", "back", 3)}
LEGEND = {words.OUTWARD: "the request’s way: a solid line",
          words.HOMEWARD: "the reply’s way: a dashed line"}
PLACED = ("SEND", "ANSWER", "DELIVER", "ARRIVE", "LEAVE")       # the kinds of step that place a packet
ENDS = {"DROP": "dropped here", "REJECT": "refused here"}

# A place on the way: host and interface, or "" where a program or the host itself has the packet.
Stop = tuple[str, str]


@dataclass(frozen=True, slots=True, repr=False)
class Drawing:
    """A network, drawn; `trace` lights a journey in it, `step`, one of its, marks where the packet is."""

    network: Network
    trace: Trace | None = None
    step: Step | None = None

    def __str__(self) -> str:
        return "\n".join([*_journey_words(self), *_network_words(self.network)])

    def __repr__(self) -> str:
        return str(self)

    @property
    def svg(self) -> str:
        """The drawing as SVG, for a file of its own or inline in a page."""
        return picture(self).svg()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": picture(self).html(str(self))}


def draw(network: Network, trace: Trace | None = None, step: Step | None = None) -> Drawing:
    """Draw a network, with a journey's way through it, and where the packet is at one step of it.

    >>> from k8slab.network import cluster_network
    >>> print(draw(cluster_network()))                                    # doctest: +ELLIPSIS
    2 nodes, 4 Pods, 1 router, 1 client
    node k8smaster, a network namespace
      listens on tcp 6443
      eth0 10.106.175.128/24, to worker1 eth0 and router eth0 by node LAN
    ...

    Raises NetworkError for a trace through a host that the network does not have, ValueError for a step
    without its trace.
    """
    if step is not None and (trace is None or step not in trace.steps):
        raise ValueError("a step is drawn with the trace that it belongs to: draw(network, trace, step)")
    for name in {s.node for s in trace.steps} if trace else ():
        network.host(name)
    return Drawing(network, trace, step)


def ways(trace: Trace) -> dict[str, list[tuple[Stop, ...]]]:
    """The places that the packets of each way came to, in order; packets that went alike are told once."""
    legs: dict[int, list[Stop]] = {}
    turns: dict[int, str] = {}
    for step in trace.steps:
        name = {"ARRIVE": step.iif, "LEAVE": step.oif}.get(step.kind, "")
        stops = legs.setdefault(step.leg, [])
        turns.setdefault(step.leg, words.way(trace, step))
        if step.kind in PLACED and (step.node, name) not in stops[-1:]:
            stops.append((step.node, name))
    return {way: list(dict.fromkeys(tuple(legs[leg]) for leg in legs if turns[leg] == way))
            for way in WAYS if way in turns.values()}


def _way_words(stops: tuple[Stop, ...]) -> str:
    """`client eth0 → veth-client worker1 eth0 → eth0 k8smaster`."""
    pieces: list[str] = []
    last = ""
    for host, name in stops:
        if host != last:
            pieces += ["→"] * bool(pieces) + [name] * bool(name) + [host]
        elif name:
            pieces.append(name)
        last = host
    return " ".join(pieces)


def _journey_words(drawing: Drawing) -> list[str]:
    """What the caption and the lit lines say."""
    trace, step = drawing.trace, drawing.step
    if trace is None:
        return []
    lines = [trace.summary()]
    lines += [f"{WAYS[way][0]}: {_way_words(stops)}"
              for way, several in ways(trace).items() for stops in several]
    lines += [f"The packet was {ENDS[s.kind]}: {s.node}" for s in _ends(trace)]
    return lines + ([_step_words(trace, step)] if step else [])


def _ends(trace: Trace) -> list[Step]:
    return [step for step in trace.steps if step.kind in ENDS]


def _step_words(trace: Trace, step: Step) -> str:
    what = "The packet is" if step.after else "The packet ends"
    return f"{what} on {step.node}: step {step.number} of {len(trace.steps)}, {words.title(step)}"


def _count(network: Network) -> str:
    kinds = Counter(WORDS.get(host.kind, host.kind) for host in network.hosts)
    return ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in kinds.items())


def _network_words(network: Network) -> list[str]:
    """Every host with its interfaces, links and routes; Pods under their node."""
    lines = [_count(network)]
    for host in network.hosts:
        if host.kind == "pod" and any(h.name == host.node for h in network.hosts):
            continue
        lines += _host_words(network, host, "")
        lines += [line for pod in network.hosts if host.kind == "node" and pod.node == host.name
                  for line in _host_words(network, pod, "  ")]
    return lines


def _host_words(network: Network, host: Host, indent: str) -> list[str]:
    ports = ", ".join(f"{proto} {port}" for proto, port in host.listens)
    listens = [f"listens on {ports}"] if ports else []
    wires = []
    for interface in host.interfaces:
        far = [" ".join(end) for end in network.neighbours(host.name, interface.name)]
        link = next((f", to {_and(far)} by {link.name}" for link in network.links
                     if (host.name, interface.name) in link.ends), "")
        port = f", a port of {interface.master}" * bool(interface.master)
        wires.append(interface_words(interface) + ("" if interface.up else ", down") + port + link)
    inner = [*listens, *wires, *(f"route {route}" for route in host.routes)]
    return [f"{indent}{title(host)}, a network namespace", *(f"{indent}  {line}" for line in inner)]


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nothing"


def picture(drawing: Drawing) -> Picture:
    """The drawing as shapes."""
    network, trace = drawing.network, drawing.trace
    told = ways(trace) if trace else {}
    visited = {host for several in told.values() for stops in several for host, _ in stops}
    probe = plan(network, visited)
    caption = _caption(drawing, probe.width - 2 * EDGE)
    made = plan(network, visited, len(caption) * 14 + 8 if caption else 0)
    shapes = column(EDGE, 24, caption, "word")[0]
    shapes += [_lit(shape, made, visited, drawing.step) for shape in made.shapes]
    lines = {way: list(dict.fromkeys(line for stops in several for line in _paths(made, way, stops)))
             for way, several in told.items()}
    shapes += [line for drawn in lines.values() for line in drawn]
    shapes += _marks(drawing, made)
    height = _legend(shapes, [way for way in lines if lines[way]], made.height)
    says = _journey_words(drawing) or [_count(network)]
    return Picture(made.width, height, tuple(shapes), f"Network: {_count(network)}", ". ".join(says))


def _caption(drawing: Drawing, width: float) -> list[str]:
    if drawing.trace is None:
        return []
    lines = [drawing.trace.summary()] + ([_step_words(drawing.trace, drawing.step)] if drawing.step else [])
    return [part for line in lines for part in fold(line, "word", width)]


def _lit(shape: Shape, made: Plan, visited: Iterable[str], step: Step | None) -> Shape:
    """A host's box as the journey leaves it: outlined where it came by, filled where the packet is."""
    name = next((name for name, box in made.boxes.items() if box is shape), None)
    if name not in visited:
        return shape
    kind = f"{shape.kind} {'lit' if step and step.node == name else 'on'}"
    return Box(shape.x, shape.y, shape.width, shape.height, kind)


def _paths(made: Plan, way: str, stops: tuple[Stop, ...]) -> list[Line]:
    """The way through `stops` as lines: one, or more where a wire on it is not drawn."""
    _, kind, aside = WAYS[way]
    pieces: list[list[Point]] = [[]]
    last: Stop | None = None
    for stop in stops:
        if stop not in made.spots:
            continue                       # `lo`, or an interface on a wire that is told in words alone
        if last is None or not pieces[-1]:
            pieces[-1].append(made.spots[stop])
        elif (between := _between(made, last, stop)) is None:
            pieces.append([made.spots[stop]])
        else:
            pieces[-1] += [*between, made.spots[stop]]
        last = stop
    moved = [tuple((x + aside, y + aside) for (x, y), _ in groupby(piece)) for piece in pieces]
    return [Line(piece, kind, heads=True) for piece in moved if len(piece) > 1]


def _between(made: Plan, last: Stop, stop: Stop) -> list[Point] | None:
    """The corners between two places that follow each other; None where no line is drawn between them."""
    (x1, y1), (x2, y2) = made.spots[last], made.spots[stop]
    one, other = last[0], stop[0]
    if one != other and last in made.rails and made.rails.get(stop) == made.rails[last]:
        return [(made.rails[last], y1), (made.rails[last], y2)]        # by a bridge
    if one == other:
        if x1 == x2 or y1 == y2:
            return []
        return [(x1, y2)] if x1 == made.stacks[one] else [(x2, y1)]
    if y1 == y2 and not {one, other} <= set(made.bus) or one not in made.bus or other not in made.bus:
        return [] if y1 == y2 else None
    if x1 != made.stacks[one] or x2 != made.stacks[other]:
        return None
    level, there = made.bus[one], made.bus[other]
    around = [] if level == there else [(6.0, level), (6.0, there)]
    return [(x1, level), *around, (x2, there)]


def _marks(drawing: Drawing, made: Plan) -> list[Shape]:
    """The word “packet” on the host that has it, and a dot on its interface; and where a packet ended."""
    trace, step = drawing.trace, drawing.step
    if trace is None:
        return []
    if step is None:
        hosts = {s.node for s in trace.steps}
        alone = [(name, "never leaves") for name in hosts if len(hosts) == 1]
        ends = [(s.node, ENDS[s.kind]) for s in _ends(trace)]
        return [shape for name, says in (ends or alone)[:1] for shape in _pill(made.boxes.get(name), says)]
    shapes = _pill(made.boxes.get(step.node), "packet" if step.after else ENDS.get(step.kind, "ends here"))
    name = {"ARRIVE": step.iif, "LEAVE": step.oif}.get(step.kind)
    if name and (step.node, name) in made.spots:
        x, y = made.spots[step.node, name]
        shapes.append(Box(x - 5, y - 5, 10, 10, "pillbox"))
    return shapes


def _pill(box: Box | None, text: str) -> list[Shape]:
    if box is None:
        return []
    width = width_of("pill", text) + 14
    return [Box(box.x + 6, box.y - 10, width, 16, "pillbox"),
            Words(box.x + 6 + width / 2, box.y + 2, text, "pill", "middle")]


def _legend(shapes: list[Shape], told: Sequence[str], y: float) -> float:
    """Which line is which way, one below the other; returns the y below."""
    for way in told:
        shapes += [Line(((EDGE, y + 8), (EDGE + 36, y + 8)), WAYS[way][1], heads=True),
                   Words(EDGE + 44, y + 12, LEGEND[way], "dim")]
        y += 18
    return y + 8 * bool(told)

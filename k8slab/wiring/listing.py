"""What `ip address`, `ip link`, `ip route` and `ip netns list` print (ipaddress.c, iproute.c of iproute2 6.1).

The texts leave out IPv6, which the lab switches off.
"""

from __future__ import annotations

from k8slab.errors import CommandError
from k8slab.hearing import carrier
from k8slab.network import Interface, Route
from k8slab.wiring.addresses import primary
from k8slab.wiring.routes import connected, destination
from k8slab.wiring.words import Call, Said, keywords, namespaces

NOBODY, EVERYBODY = "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"
MTU = {"loopback": 65536}


def addresses(call: Call) -> str:
    """`ip [-br] address [show] [dev X]`."""
    return "".join(_address(call, interface) for interface in _asked(call))


def links(call: Call) -> str:
    """`ip [-br] link [show] [dev X]`."""
    if call.brief:
        return "".join(f"{_label(call, i)} {i.mac} <{','.join(_flags(call, i))}> \n" for i in _asked(call))
    return "".join(_link(call, interface, " mode DEFAULT") for interface in _asked(call))


def _asked(call: Call) -> list[Interface]:
    said = keywords(call.words, {"dev": "dev", "master": "master"}, "dev", ("up",))
    own = [call.own.lo, *(i for i in call.own.interfaces if i.name != "lo")]
    own.sort(key=lambda i: call.own.index(i.name))
    if "dev" in said:
        own = [i for i in own if i.name == said["dev"]]
        if not own:
            raise Said(f'Device "{said["dev"]}" does not exist.', 1)
    if "master" in said:
        own = [i for i in own if i.master == said["master"]]
    return [i for i in own if i.up or "up" not in said]


def _address(call: Call, own: Interface) -> str:
    if call.brief:
        return f"{_label(call, own)} {''.join(f'{a} ' for a in _held(own))}\n"
    lines = _link(call, own, "")
    for text in _held(own):
        second = "" if primary(own, text) == text else " secondary"
        lines += f"    inet {text} scope {_scope(own, text)}{second} {own.name}\n"
        lines += "       valid_lft forever preferred_lft forever\n"
    return lines


def _held(own: Interface) -> list[str]:
    """The addresses in the kernel's order (inet_insert_ifa): the first of each subnet before the others."""
    return sorted(own.addresses, key=lambda text: (primary(own, text) != text, _scope(own, text) != "host"))


def _scope(own: Interface, text: str) -> str:
    return "host" if own.name == "lo" and text.startswith("127.") else "global"


def _link(call: Call, own: Interface, mode: str) -> str:
    kind = "loopback" if own.kind == "loopback" else "ether"
    words = [f"{call.own.index(own.name)}: {_name(call, own)}: <{','.join(_flags(call, own))}>",
             f"mtu {MTU.get(own.kind, 1500)} qdisc {'noop' if own.fresh else 'noqueue'}"]
    words += [f"master {own.master}"] if own.master else []
    words.append(f"state {_state(call, own)}{mode} group default qlen 1000")
    far = NOBODY if own.kind == "loopback" else EVERYBODY
    return f"{' '.join(words)}\n    link/{kind} {own.mac} brd {far}{_namespace(call, own)}\n"


def _label(call: Call, own: Interface) -> str:
    return f"{_name(call, own):<16} {_state(call, own):<14}"


def _name(call: Call, own: Interface) -> str:
    """`eth0@if3`: a veth's name says its peer's number, or its name where that is in the same namespace."""
    ends = call.network.ends(call.host, own.name)
    if own.kind != "veth" or not ends:
        return own.name
    host, name = ends[0]
    return f"{own.name}@{name if host == call.host else f'if{call.network.host(host).index(name)}'}"


def _flags(call: Call, own: Interface) -> list[str]:
    has = carrier(call.network, call.host, own.name)
    flags = ["NO-CARRIER"] if own.up and not has else []
    flags += ["LOOPBACK"] if own.kind == "loopback" else ["BROADCAST", "MULTICAST"]
    flags += ["UP"] if own.up else []
    flags += ["LOWER_UP"] if has else []
    ends = call.network.ends(call.host, own.name)
    beside = [name for host, name in ends if host == call.host]
    return flags + (["M-DOWN"] if beside and not call.own.interface(beside[0]).up else [])


def _state(call: Call, own: Interface) -> str:
    """The operational state (operstates.txt of the kernel's documentation)."""
    if not own.up:
        return "DOWN"
    if own.kind == "loopback" or own.kind == "bridge" and not own.looked:
        return "UNKNOWN"
    if carrier(call.network, call.host, own.name):
        return "UP"
    return "LOWERLAYERDOWN" if own.kind == "veth" and _lower_is_down(call, own) else "DOWN"


def _lower_is_down(call: Call, own: Interface) -> bool:
    """What default_operstate (link_watch.c) asks: whether the interface that has the peer's number is without carrier.

    It looks in its own namespace, so that of a peer elsewhere it sees nothing, or another interface of that number.
    """
    numbers = {call.network.host(host).index(name) for host, name in call.network.ends(call.host, own.name)[:1]}
    beside = [i.name for i in (call.own.lo, *call.own.interfaces) if call.own.index(i.name) in numbers]
    return any(name != own.name and not carrier(call.network, call.host, name) for name in beside)


def _namespace(call: Call, own: Interface) -> str:
    """Where a veth's peer is, if that is elsewhere: by name if `ip netns` knows one here, else by a number."""
    ends = call.network.ends(call.host, own.name)
    if own.kind != "veth" or not ends or ends[0][0] == call.host:
        return ""
    known = namespaces(call.network, call.view)
    if ends[0][0] in known:
        return f" link-netns {ends[0][0]}"
    others = list(dict.fromkeys(call.network.ends(call.host, i.name)[0][0] for i in call.own.interfaces
                                if call.network.ends(call.host, i.name)))
    return f" link-netnsid {[h for h in others if h != call.host].index(ends[0][0])}"


def routes(call: Call) -> str:
    """`ip route [show] [DEST] [dev X]`."""
    said = keywords(call.words, {"dev": "dev", "via": "via"}, "to")
    kernel = connected(call.own)
    found = sorted((*kernel, *call.own.routes), key=lambda r: (int(r.prefix.network_address), -r.prefix.prefixlen))
    if "to" in said:
        wanted = destination(said["to"])
        found = [r for r in found if r.prefix == wanted]
    found = [r for r in found if said.get("dev", r.dev) == r.dev and said.get("via", r.via) == r.via]
    return "".join(f"{_route(call, route, route in kernel, 'dev' in said)} \n" for route in found)


def _route(call: Call, route: Route, kernel: bool, without_dev: bool) -> str:
    words = [] if route.kind == "unicast" else [route.kind]
    words.append(route.destination.removesuffix("/32"))
    words += ["via", route.via] if route.via else []
    words += ["dev", route.dev] if route.dev and not without_dev else []
    words += ["proto", "kernel"] if kernel else []
    words += ["scope", "link"] if route.dev and not route.via else []
    words += ["src", route.src] if route.src else []
    return " ".join(words + ([] if not route.dev or carrier(call.network, call.host, route.dev) else ["linkdown"]))


def netns(call: Call) -> str:
    """`ip netns [list]`: the newest first."""
    if call.words:
        raise CommandError(f"ip netns list {call.words[0]}: say ip netns list, without more")
    return "".join(f"{name}\n" for name in namespaces(call.network, call.view))

"""`ip route add|replace|delete`, and the routes that the kernel adds by itself."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from k8slab.errors import CommandError
from k8slab.network import Host, Network, Route
from k8slab.wiring.addresses import primary
from k8slab.wiring.words import Call, Said, find, keywords

WORDS = {"via": "via", "dev": "dev", "src": "src", "to": "to"}
KINDS = ("unicast", "blackhole", "unreachable", "prohibit")


def connected(host: Host) -> list[Route]:
    """The routes that follow from a host's addresses: the subnet of each, while its interface is up."""
    return [Route(str(ipaddress.IPv4Interface(a).network), dev=i.name, src=a.partition("/")[0])
            for i in host.interfaces if i.up and i.name != "lo"
            for a in i.addresses if ipaddress.IPv4Interface(a).network.prefixlen < 32 and primary(i, a) == a]


def add(call: Call) -> Network:
    """`ip route add [KIND] DEST [via A] [dev X] [src A]`."""
    new = _read(call)
    if any(r.prefix == new.prefix for r in (*connected(call.own), *call.own.routes)):
        raise Said("RTNETLINK answers: File exists")
    return _with(call, (*call.own.routes, new))


def replace_in_place(call: Call) -> Network:
    """`ip route replace …`: as add, in place of what leads there now."""
    new = _read(call)
    if any(r.prefix == new.prefix for r in connected(call.own)):
        raise CommandError(f"ip route replace {new.destination}: this is the subnet of an address, and goes with it")
    others = tuple(r for r in call.own.routes if r.prefix != new.prefix)
    return _with(call, (*others, new))


def delete(call: Call) -> Network:
    """`ip route delete [KIND] DEST …`: the first route of which all that is said holds."""
    kind, said = _words(call)
    wanted = destination(said.get("to", ""))
    for route in (*call.own.routes, *connected(call.own)):
        if route.prefix == wanted and kind in ("", route.kind) and all(
                said.get(name, getattr(route, name)) == getattr(route, name) for name in ("via", "dev", "src")):
            if route not in call.own.routes:
                raise CommandError(f"ip route del {wanted}: this is the subnet of an address, and goes with it")
            return _with(call, tuple(r for r in call.own.routes if r is not route))
    raise Said("RTNETLINK answers: No such process")


def _with(call: Call, routes: tuple[Route, ...]) -> Network:
    return call.network.replace(replace(call.own, routes=routes))


def _words(call: Call) -> tuple[str, dict[str, str]]:
    kind = call.words[0] if call.words and call.words[0] in KINDS else ""
    said = keywords(call.words[bool(kind):], WORDS, "to")
    if not said:
        raise CommandError(f"ip route {call.how}: say a destination, such as 10.0.0.0/24 or default")
    return kind, said


def destination(text: str) -> ipaddress.IPv4Network:
    """A destination as `ip route` reads it. Raises Said for what is none."""
    if text == "default":
        return ipaddress.IPv4Network("0.0.0.0/0")
    try:
        found = ipaddress.IPv4Interface(text)
    except ValueError:
        raise Said(f'Error: any valid prefix is expected rather than "{text}".', 1) from None
    if found.ip != found.network.network_address:
        raise Said("Error: Invalid prefix for given prefix length.")
    return found.network


def _read(call: Call) -> Route:
    """The route that the words say, its interface worked out. Raises Said where the kernel would not have it."""
    kind, said = _words(call)
    host, to = call.own, destination(said.get("to", ""))
    name = "default" if to.prefixlen == 0 else str(to.network_address) if to.prefixlen == 32 else str(to)
    if kind not in ("", "unicast"):
        return Route(name, kind=kind)
    via, dev, src = (said.get(word, "") for word in ("via", "dev", "src"))
    for word in filter(None, (via, src)):
        _ip(word)
    if dev and not find(host, dev).up:
        raise Said("Error: Device for nexthop is not up.")
    if via:
        dev = _gateway(host, via, dev)
    elif not dev:
        raise Said("RTNETLINK answers: No such device")
    if src and not any(src in i.ips for i in host.interfaces if i.up):
        raise Said("Error: Invalid prefsrc address.")
    return Route(name, via, dev, src=src)


def _ip(text: str) -> None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        raise Said(f'Error: inet address is expected rather than "{text}".', 1) from None


def _gateway(host: Host, via: str, dev: str) -> str:
    """The interface by which a gateway is on a link (fib_check_nh_v4_gw); the host's own address is taken too."""
    ip = ipaddress.IPv4Address(via)
    own = [i.name for i in host.interfaces if i.up and via in i.ips and dev in ("", i.name)]
    if own:
        return own[0]
    on_link = [r for r in (*connected(host), *host.routes) if r.dev and not r.via and ip in r.prefix
               and dev in ("", r.dev)]
    if not on_link:
        raise Said("Error: Nexthop has invalid gateway.")
    return max(on_link, key=lambda r: r.prefix.prefixlen).dev

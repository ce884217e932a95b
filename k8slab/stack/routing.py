"""One host's routing decisions: is the address mine, and if not, which way.

Theory of operation
-------------------
The kernel asks two tables in turn (ip-rule(8)): *local*, which holds the host's own
addresses, all of 127.0.0.0/8 and the broadcast addresses, and then *main*, in which the
longest prefix wins. Main holds what `ip route` prints: the routes that were added and,
for each address with a prefix, the subnet that it is on.

The question is asked at different moments, and that decides what a DNAT can change:

* A packet that *came in* is routed after PREROUTING, so the route is the one of the
  translated destination. What may not come in is refused in silence: first addresses that
  make no sense on a wire (`martian`), and, where there is a route, a source that is this
  host's own or that the reverse path filter does not expect here (`bad_source`, which is
  fib_validate_source).
* A packet that a *local program sends* is routed before OUTPUT. Without any route there
  is no packet, only an error to the program, even if a DNAT rule would have led it
  somewhere. When a nat rule of OUTPUT changes its destination it is routed again at once.

The route gives the interface and the *next hop*, and the source address for packets
that have none yet: a local program's, an ICMP error's, and MASQUERADE's.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from k8slab.network import Host, Route
from k8slab.packet import UNKNOWN

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
MULTICAST = ipaddress.IPv4Network("224.0.0.0/4")
ZERONET = ipaddress.IPv4Network("0.0.0.0/8")
ALL_ONES = "255.255.255.255"

# What a route that leads nowhere does: the ICMP code that a forwarded packet's sender is told
# (None is silence) and the error that a local program gets (fib_props in fib_semantics.c).
DEAD_ENDS = {
    "none": (0, "ENETUNREACH, Network is unreachable"),
    "unreachable": (1, "EHOSTUNREACH, No route to host"),
    "prohibit": (13, "EACCES, Permission denied"),
    "blackhole": (None, "EINVAL, Invalid argument"),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a packet goes. `kind`: "local", "unicast", "broadcast", "multicast", or one of DEAD_ENDS.

    `oif`: the interface, None when it is not known; `next_hop`: the address to ask for on the link.
    `why`: the words for it.
    """

    kind: str
    oif: str | None = ""
    next_hop: str = ""
    why: str = ""
    src: str = ""


class Routes(Protocol):
    """What a node's stack asks of its routing."""

    def address_type(self, address: str, interface: str | None = None) -> str | None: ...
    def look_up(self, address: str) -> Decision: ...
    def source(self, decision: Decision) -> str: ...
    def nearest(self, interface: str | None, next_hop: str = "") -> str: ...
    def first(self, interface: str | None) -> str: ...
    def martian(self, src: str, dst: str, iif: str | None) -> str: ...
    def bad_source(self, src: str, iif: str | None) -> str: ...
    def bad_output(self, src: str, decision: Decision) -> str: ...


class HostRoutes:
    """The routing of a host of the network, all of which is known."""

    def __init__(self, host: Host) -> None:
        self.host = host
        # An interface that is down has no part in routing: not even its addresses are the host's.
        self._local = {ip: i.name for i in reversed(host.interfaces) if i.up for ip in i.ips}
        self._broadcast = {}
        connected = []
        for interface in (i for i in host.interfaces if i.up and i.name != "lo"):
            for address in interface.addresses:
                subnet = ipaddress.IPv4Interface(address).network
                if subnet.prefixlen < 31:
                    self._broadcast[str(subnet.broadcast_address)] = interface.name
                if subnet.prefixlen < 32:
                    connected.append(Route(str(subnet), dev=interface.name, src=address.partition("/")[0]))
        # The longest prefix first; sorting is stable, so that of two equal ones the older wins.
        self.main = sorted((*connected, *host.routes), key=lambda r: -r.prefix.prefixlen)

    def address_type(self, address: str, interface: str | None = None) -> str:
        """What `-m addrtype` calls the address; with `interface`, LOCAL or BROADCAST only if it is of that one.

        The local table alone is asked (inet_dev_addr_type): an address that no route leads to is UNICAST.
        """
        if special := _special(address):
            return special
        for kind, known in (("LOCAL", self._local), ("BROADCAST", self._broadcast)):
            if address in known:
                return kind if interface in (None, known[address]) else "UNICAST"
        return "LOCAL" if _is_loopback(address) and interface in (None, "lo") else "UNICAST"

    def look_up(self, address: str) -> Decision:
        """The decision for this destination."""
        ip = ipaddress.IPv4Address(address)
        if address in self._local or ip in LOOPBACK and self.host.lo.up:
            return Decision("local", "lo", address, f"{address} is an address of this host", address)
        if address in self._broadcast or _special(address):
            return _to_many(address)
        for route in self.main:
            if ip not in route.prefix:
                continue
            if route.kind != "unicast":
                return Decision(route.kind, why=f"the route is “{route}”")
            return Decision("unicast", route.dev or self._dev(route.via), route.via or address,
                            f"the route is “{route}”", route.src)
        return Decision("none", why=f"no route leads to {address}")

    def _dev(self, next_hop: str) -> str:
        """The interface of a route that names only its next hop, which must be on a link."""
        ip = ipaddress.IPv4Address(next_hop)
        return next((route.dev for route in self.main if route.dev and not route.via and ip in route.prefix), "")

    def source(self, decision: Decision) -> str:
        """The address that a packet made here is sent from: the route's own, else the interface's nearest."""
        return decision.src or self.nearest(decision.oif, decision.next_hop)

    def nearest(self, interface: str | None, next_hop: str = "") -> str:
        """The address of an interface that is nearest to the next hop: MASQUERADE's, whatever the route says.

        inet_select_addr: the first address whose subnet holds the next hop, else the first at all;
        an interface without addresses borrows one of another.
        """
        addresses = [a for i in self.host.interfaces if i.name == interface for a in i.addresses]
        near = [a for a in addresses if next_hop
                and ipaddress.IPv4Address(next_hop) in ipaddress.IPv4Interface(a).network]
        others = [a for i in self.host.interfaces for a in i.addresses]
        return next(iter(near or addresses or others), UNKNOWN).partition("/")[0]

    def first(self, interface: str | None) -> str:
        """The first address of an interface: REDIRECT's; "" where it has none."""
        return next((ip for i in self.host.interfaces if i.name == interface for ip in i.ips), "")

    def martian(self, src: str, dst: str, iif: str | None) -> str:
        """Why addresses like these may not come in on this interface at all, or "" (ip_route_input_slow)."""
        if iif == "lo":
            return ""
        if _special(src):
            return f"{src} cannot be the source of a packet"
        for address in (src, dst):
            if _is_loopback(address) and not self.host.sysctl("route_localnet", iif or ""):
                return f"{address} is refused outside lo while route_localnet is 0"
        return ""

    def bad_source(self, src: str, iif: str | None) -> str:
        """Why a packet with this source may not come in on this interface, or "" (fib_validate_source)."""
        if iif == "lo":
            return ""
        if src in self._local or _is_loopback(src) and self.host.lo.up:
            return f"its source {src} is this host's own address"
        mode = self.host.sysctl("rp_filter", iif or "")
        back = self.look_up(src)
        if mode and back.kind != "unicast":
            return f"rp_filter is {mode} and no route leads back to {src}"
        if back.oif != iif and (mode == 1 or (mode and not self.first(iif))):
            return f"rp_filter is {mode} and the way back to {src} is {back.oif}, not {iif}"
        return ""

    def bad_output(self, src: str, decision: Decision) -> str:
        """The error for a program that would send from a loopback address to a wire, or "" (__mkroute_output)."""
        if _is_loopback(src) and decision.oif != "lo" and not self.host.sysctl("route_localnet", decision.oif or ""):
            return f"{src} may not leave on a wire while route_localnet is 0: EINVAL, Invalid argument"
        return ""


def _is_loopback(address: str) -> bool:
    return address != UNKNOWN and ipaddress.IPv4Address(address) in LOOPBACK


def _special(address: str) -> str:
    """BROADCAST or MULTICAST for addresses that mean many hosts wherever they are said, else ""."""
    ip = ipaddress.IPv4Address(address)
    return "MULTICAST" if ip in MULTICAST else "BROADCAST" if address == ALL_ONES or ip in ZERONET else ""


def _to_many(address: str) -> Decision:
    kind = "multicast" if _special(address) == "MULTICAST" else "broadcast"
    return Decision(kind, why=f"{address} is a {kind} address, for many hosts at once")


class OpenRoutes:
    """The routing of a node of which only the rules are known: what is not local goes somewhere.

    `local`: the node's addresses, in order; `oif`: the interface that forwarded packets leave by, None
    when it is not known.
    """

    def __init__(self, local: tuple[str, ...] = (), oif: str | None = None) -> None:
        self.local, self.oif = local, oif

    def address_type(self, address: str, interface: str | None = None) -> str | None:
        """What can be said for certain: with `interface`, which addresses it has is not known."""
        if self.look_up(address).kind == "local":
            return "LOCAL" if interface is None else None
        return _special(address) or "UNICAST"

    def look_up(self, address: str) -> Decision:
        # MASQUERADE and REDIRECT give the node's own address, even where it is not known which.
        if address in (*self.local, UNKNOWN) or _is_loopback(address):
            return Decision("local", "lo", address, f"{address} is an address of this node", address)
        if _special(address):
            return _to_many(address)
        return Decision("unicast", self.oif, address, f"{address} is not an address of this node")

    def source(self, decision: Decision) -> str:
        return decision.src or self.nearest(decision.oif)

    def nearest(self, interface: str | None, next_hop: str = "") -> str:
        """One local address is the answer; of several, or none, it cannot be known which."""
        return self.local[0] if len(self.local) == 1 else UNKNOWN

    def first(self, interface: str | None) -> str:
        return self.nearest(interface)

    def martian(self, src: str, dst: str, iif: str | None) -> str:
        """The node's sysctls are not known: an address is refused only where every node refuses it."""
        return f"{src} cannot be the source of a packet" if src != UNKNOWN and _special(src) else ""

    def bad_source(self, src: str, iif: str | None) -> str:
        """The sender's address cannot be checked without the interfaces."""
        return f"its source {src} is this node's own address" if iif != "lo" and src in self.local else ""

    def bad_output(self, src: str, decision: Decision) -> str:
        return ""

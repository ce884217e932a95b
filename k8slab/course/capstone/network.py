"""The node in a lab: the network around it, with the API servers and the endpoints of the Services that are named.

A machine for each of some hundreds of Pods would be slow to build, so those of other Services are left out. The Pods of
the other workers live in one machine, `others`, which answers at all their addresses. An interface of a Pod has no
address at the node's end, and the machine outside is joined to the node by a cable of its own, so that the node has one
address and no more. What goes to the router is dropped there in silence.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from k8slab.course.capstone.drawn import Drawn
from k8slab.lab import Lab
from k8slab.network import Host, Interface, Link, Network, Route

ROUTER = 1              # the last number of the router's address


def lab(drawn: Drawn, rules: str, services: Sequence[str] = ()) -> Lab:
    """A lab of the node with these rules. Its hosts: the node by its name, `pod`, `outside`, `control-1` and so on."""
    return Lab(rules=rules, network=network(drawn, services))


def network(drawn: Drawn, services: Sequence[str] = ()) -> Network:
    """The network around the node; `services`: the names of those whose endpoints are there."""
    ends: dict[str, set[tuple[str, int]]] = {}
    for port in drawn.objects.ports:
        if f"{port.namespace}/{port.service}" in services:
            for one in drawn.objects.endpoints.get(port.key, ()):
                ends.setdefault(one.address, set()).add((port.protocol, one.port))
    node, subnet = drawn.node.addresses[0], ipaddress.ip_network(drawn.subnet)
    own = {address: listens for address, listens in ends.items() if ipaddress.ip_address(address) in subnet}
    pods = [_pod("pod", drawn.pod, node, drawn, ())]
    pods += [_pod(f"pod-{n}", address, node, drawn, own[address]) for n, address in enumerate(sorted(own))]
    far = {address: ends[address] for address in sorted(ends) if address not in own and address not in drawn.masters}
    lan = [*_masters(drawn), *_others(drawn, far), _router(drawn)]
    outside = Host("outside", "client", (_interface("outside", "eth0", f"{drawn.outside}/32"),),
                   (Route(node, dev="eth0"), Route("default", node, "eth0")))
    behind = [*pods, outside]
    made = _node(drawn, behind, next((host.address for host in lan if host.name == "others"), ""))
    links = [Link("node LAN", tuple((host.name, "eth0") for host in (made, *lan)))]
    links += [Link(host.name, ((made.name, f"to-{host.name}"), (host.name, "eth0"))) for host in behind]
    return Network((made, *lan, *behind), tuple(links))


def _node(drawn: Drawn, behind: Sequence[Host], others: str) -> Host:
    address = drawn.node.addresses[0]
    interfaces = [_interface("node", "eth0", f"{address}/24")]
    interfaces += [_interface(host.name, f"to-{host.name}", at=host.address) for host in behind]
    routes = [Route("default", _router_address(drawn), "eth0"), Route(drawn.subnet, kind="blackhole")]
    routes += [Route(host.address, dev=f"to-{host.name}") for host in behind]
    routes += [Route(drawn.pod_range, others, "eth0")] if others else []
    return Host(drawn.node.name, "node", tuple(interfaces), tuple(routes), sysctls={"ip_forward": 1})


def _pod(name: str, address: str, node: str, drawn: Drawn, listens: Iterable[tuple[str, int]]) -> Host:
    return Host(name, "pod", (_interface(name, "eth0", f"{address}/32"),),
                (Route(node, dev="eth0"), Route("default", node, "eth0")), tuple(sorted(listens)), drawn.node.name)


def _masters(drawn: Drawn) -> list[Host]:
    port = next(ends for key, ends in drawn.objects.endpoints.items() if key[:2] == ("default", "kubernetes"))[0].port
    return [Host(f"control-{n}", "client", (_interface("control", "eth0", f"{address}/24"),), _home(drawn),
                 (("tcp", port),)) for n, address in enumerate(drawn.masters, 1)]


def _others(drawn: Drawn, far: dict[str, set[tuple[str, int]]]) -> list[Host]:
    """One machine with the addresses of all far Pods; its own is another worker's."""
    if not far:
        return []
    lan = next(address for node in drawn.objects.nodes for address in node.addresses
               if address not in (*drawn.masters, *drawn.node.addresses))
    addresses = (f"{lan}/24", *(f"{address}/32" for address in far))
    return [Host("others", "client", (_interface("others", "eth0", *addresses),), _home(drawn),
                 tuple(sorted(set().union(*far.values()))))]


def _home(drawn: Drawn) -> tuple[Route, ...]:
    """The routes of a machine on the nodes' network: to the node's Pods by the node, to all else by the router."""
    return (Route(drawn.subnet, drawn.node.addresses[0], "eth0"), Route("default", _router_address(drawn), "eth0"))


def _router_address(drawn: Drawn) -> str:
    return f"{drawn.node.addresses[0].rpartition('.')[0]}.{ROUTER}"


def _router(drawn: Drawn) -> Host:
    return Host("router", "router", (_interface("router", "eth0", f"{_router_address(drawn)}/24"),),
                (Route("default", kind="blackhole"),), sysctls={"ip_forward": 1})


def _interface(host: str, name: str, *addresses: str, at: str = "") -> Interface:
    """An interface whose MAC comes from an address, and from whose end of a cable it is."""
    octets = [int(part) for part in (at or addresses[0]).partition("/")[0].split(".")]
    return Interface(name, addresses, ":".join(f"{n:02x}" for n in (2, *octets, len(name) + len(host))))

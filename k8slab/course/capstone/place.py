"""Place: a port of a Service with all that a fault can be made of, its chains, endpoints and addresses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields

from k8slab.course.capstone.dice import Dice
from k8slab.course.capstone.drawn import Drawn
from k8slab.kubeproxy.names import EXT, endpoint_chain, service_chain
from k8slab.kubeproxy.objects import ServicePort

# What other tools call their chains.
FOREIGN = ("CNI-HOSTPORT-DNAT", "EDGE-LB", "MESH-REDIRECT", "OLD-PROXY")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault is put.

    `service`: its namespace and name; `name`: with its port's. `ends`: `address:port` of each endpoint, in the order of
    the rules; `chosen`: the one that the fault befalls; `own`: one that lives on the node, or "". `other`: a port that
    is not the endpoints'. `stranger`: an address that no endpoint has, of the range that theirs is of. `new_ip`: a
    ClusterIP that no Service has. `policy`: of FORWARD.
    """

    service: str
    name: str
    key: tuple[str, str, str, str]
    proto: str
    ip: str
    port: int
    node_port: int
    ends: tuple[str, ...]
    chosen: str
    own: str
    other: int
    stranger: str
    foreign: str
    new_ip: str
    pods: str
    subnet: str
    policy: str

    def sep(self, end: str) -> str:
        """The chain of an endpoint."""
        return endpoint_chain(self.name, self.proto, end)

    def words(self) -> dict[str, object]:
        """What a template can name."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        chains = {"svc": service_chain(self.name, self.proto), "ext": service_chain(self.name, self.proto, EXT)}
        if not self.ends:
            return known | chains
        address, _, target = self.chosen.partition(":")
        first, last = self.ends[0], self.ends[-1]
        # The first rule of a Service's chain is for masquerading; those of the endpoints follow.
        return known | chains | {
            "address": address, "target": target, "sep": self.sep(self.chosen), "own_sep": self.sep(self.own),
            "first_end": first, "first_sep": self.sep(first), "last_end": last, "last_sep": self.sep(last),
            "last": len(self.ends) + 1}


def place(drawn: Drawn, port: ServicePort, dice: Dice) -> Place:
    """A port of a Service as a place for a fault, with what has to be drawn for it."""
    ready = [one for one in drawn.objects.endpoints.get(port.key, ()) if one.ready]
    ends = tuple(sorted(one.text for one in ready))
    subnet = ipaddress.ip_network(drawn.subnet)
    own = [one for one in ends if ipaddress.ip_address(one.partition(":")[0]) in subnet]
    chosen = dice.pick(ends) if ends else ""
    taken = {one.address for them in drawn.objects.endpoints.values() for one in them}
    taken |= {address for node in drawn.objects.nodes for address in node.addresses} | {drawn.pod}
    taken |= {one.cluster_ip for one in drawn.objects.ports}
    target = int(chosen.partition(":")[2] or port.port)
    return Place(
        f"{port.namespace}/{port.service}", port.name, port.key, port.protocol, port.cluster_ip, port.port,
        port.node_port, ends, chosen, dice.pick(own) if own else "",
        dice.pick([one for one in (80, 443, 6443, 8080, 9443) if one not in (target, port.port)]),
        _free(chosen.partition(":")[0] or drawn.pod, taken, dice), dice.pick(FOREIGN),
        _free(port.cluster_ip, taken, dice), drawn.pod_range, drawn.subnet, drawn.policy)


def _free(like: str, taken: set[str], dice: Dice) -> str:
    """An address of the same /24 that nobody has."""
    start = like.rpartition(".")[0]
    return dice.pick([one for n in range(2, 251) if (one := f"{start}.{n}") not in taken])

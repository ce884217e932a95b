"""Who asks a node when it is examined: everybody who may, at every Service.

    a Pod of the node, and another one       asks each ClusterIP, and each NodePort
    a Pod of another node                    asks each ClusterIP
    a program on the node                    asks each ClusterIP, and each NodePort
    a machine outside, and another one       asks each ClusterIP; the first asks each NodePort, too
    each endpoint that lives on the node     asks the Service that it belongs to

Who is "another one" changes from Service to Service, and is drawn from the cluster: of the node's Pods each address is
taken once before any is taken again. So a rule for one address is no rule for all. The answer is asked for by each of
them in turn, one at a Service, and at the Service `kubernetes` by all: its endpoints are no Pods, and rules for Pods
let nothing of theirs through.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from k8slab.course.capstone.dice import Dice
from k8slab.course.capstone.drawn import OUTSIDE, Drawn
from k8slab.iptables import Ruleset
from k8slab.kubeproxy.objects import ServicePort
from k8slab.model.dump import Question
from k8slab.packet import Packet

SOURCE_PORT = 40000


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: `who` is "pod", "node", "outside", or an address; `address`, `port`, `proto`: whom they ask.

    >>> str(Asked("pod", "10.43.0.1", 443))
    'pod asks tcp 10.43.0.1:443'
    """

    who: str
    address: str
    port: int
    proto: str = "tcp"

    def __str__(self) -> str:
        return f"{self.who} asks {self.proto} {self.address}:{self.port}"

    def source(self, drawn: Drawn) -> str:
        """The address that the packet is sent from; a program that asks 127.0.0.1 asks from there."""
        node = self.address if self.address.startswith("127.") else drawn.node.addresses[0]
        return {"pod": drawn.pod, "node": node, "outside": drawn.outside}.get(self.who, self.who)

    def answered(self, drawn: Drawn) -> bool:
        """Whether an answer comes by this node: to a Pod of another node it may go by another way."""
        return self.who in ("pod", "node", "outside") or not far(drawn, self.who)

    def walk(self, drawn: Drawn, rules: Ruleset) -> Question:
        """The packet as `k8slab trace` takes it."""
        packet = Packet(self.proto, self.source(drawn), self.address, SOURCE_PORT, self.port)
        return Question(rules, packet, drawn.node.addresses, from_node=self.who == "node")


def inside(address: str, network: str) -> bool:
    """Whether an address is in a network: `inside("10.42.7.9", "10.42.0.0/16")`."""
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


def far(drawn: Drawn, address: str) -> bool:
    """Whether an address is that of a Pod of another node."""
    return inside(address, drawn.pod_range) and not inside(address, drawn.subnet)


@dataclass(frozen=True, slots=True)
class Others:
    """Those who ask beside the ones that a learner is told of: addresses, as many as there are Services or fewer."""

    pods: tuple[str, ...]
    far: tuple[str, ...]
    outside: tuple[str, ...]


def others(drawn: Drawn) -> Others:
    """Drawn from the cluster, the same whenever it is asked for."""
    dice = Dice(f"who asks\n{drawn.pod}\n{drawn.outside}")
    used = {one.address for ends in drawn.objects.endpoints.values() for one in ends} | {drawn.pod}
    home = drawn.subnet.rpartition(".")[0]
    free = [one for n in range(2, 251) if (one := f"{home}.{n}") not in used]
    away = sorted({f"{one.rpartition('.')[0]}.{n}" for one in used if far(drawn, one) for n in (7, 60, 130, 201)})
    out = [f"{net}.{n}" for net in OUTSIDE for n in range(2, 251) if f"{net}.{n}" != drawn.outside]
    return Others(*(tuple(dice.some(them, len(them))) for them in (free, away or [drawn.pod], out)))


def questions(drawn: Drawn) -> Iterator[tuple[ServicePort, Asked, bool]]:
    """Everything that is asked of a node when it is examined: the port of a Service, who asks, and whether the answer
    is followed, too."""
    hidden = others(drawn)
    them = map(cycle, (hidden.pods, hidden.far, hidden.outside))
    for number, (port, *who) in enumerate(zip(drawn.objects.ports, *them)):
        every = (port.namespace, port.service) == ("default", "kubernetes")
        asks = list(_asks(drawn, port, *who))
        for place, asked in enumerate(asks):
            yield port, asked, every or place == number % len(asks)


def _asks(drawn: Drawn, port: ServicePort, pod: str, away: str, out: str) -> Iterator[Asked]:
    """All who ask for one port of a Service."""
    own = [one.address for one in drawn.objects.endpoints.get(port.key, ())
           if one.ready and inside(one.address, drawn.subnet)]
    for who in ("pod", "node", "outside", pod, away, out, *own):
        yield Asked(who, port.cluster_ip, port.port, port.protocol)
    for who in ("pod", "node", "outside", pod) if port.node_port else ():
        yield Asked(who, drawn.node.addresses[0], port.node_port, port.protocol)

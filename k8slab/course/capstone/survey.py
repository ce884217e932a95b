"""Who asks whom on a node, what should become of it by the objects, and what becomes of it by the rules.

    Question ── fates(rules) ──> {Fate: share}    every way in which chance can fall
             └─ wanted(drawn) ─> {Fate: share}    what Services and EndpointSlices promise

The second looks at the objects alone, and never at rules. A node does right where the two are equal for every Service
and for everybody who may ask: a Pod of the node, a program on the node itself, a machine outside, and each endpoint
that lives on the node and asks the Service that it belongs to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from k8slab.course.capstone.drawn import Drawn
from k8slab.iptables import Ruleset
from k8slab.kubeproxy.objects import Endpoint, ServicePort
from k8slab.model.dump import Question as Walk
from k8slab.packet import Packet
from k8slab.trace import Trace

SOURCE_PORT = 40000
# Shares have the 31 bits of the kernel's chance.
CLOSE = Fraction(1, 10**6)
ENDS = {"DROPPED": "dropped", "REJECTED": "refused", "UNKNOWN": "cannot be told"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: `who` is "pod", "node", "outside", or the address of a Pod of the node; `address`, `port`, `proto`:
    whom they ask.

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
        """The address that the packet is sent from."""
        return {"pod": drawn.pod, "node": drawn.node.addresses[0], "outside": drawn.outside}.get(self.who, self.who)

    def walk(self, drawn: Drawn, rules: Ruleset) -> Walk:
        """The packet as `k8slab trace` takes it."""
        packet = Packet(self.proto, self.source(drawn), self.address, SOURCE_PORT, self.port)
        return Walk(rules, packet, drawn.node.addresses, from_node=self.who == "node")


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a packet: its verdict, its destination in the end, and its source in the end."""

    verdict: str
    destination: str
    source: str

    def __str__(self) -> str:
        if self.verdict in ENDS:
            return f"{ENDS[self.verdict]}, when its destination was {self.destination}"
        return f"goes on to {self.destination}, from {self.source}"


Fates = Mapping[Fate, Fraction]


def fate(trace: Trace) -> Fate:
    """What became of the packet of a trace."""
    last = [step for step in trace.steps if step.leg == 1][-1]
    packet = trace.received or last.after or last.before
    # A packet that goes nowhere has no source that anybody reads; and a delivered one has left no node.
    verdict = "FORWARDED" if trace.verdict == "DELIVERED" else trace.verdict
    return Fate(verdict, packet.destination, trace.sent.src if verdict in ENDS else packet.src)


def fates(asked: Asked, drawn: Drawn, rules: Ruleset) -> dict[Fate, Fraction]:
    """What becomes of a question by the rules: every way in which chance can fall, and its share."""
    found: dict[Fate, Fraction] = {}
    for share, trace in asked.walk(drawn, rules).outcomes():
        one = fate(trace)
        found[one] = found.get(one, Fraction(0)) + share
    return found


def usable(drawn: Drawn, port: ServicePort) -> list[Endpoint]:
    """The endpoints that the slices name as ready, for a port of a Service."""
    return [one for one in drawn.objects.endpoints.get(port.key, ()) if one.ready]


def wanted(asked: Asked, drawn: Drawn, port: ServicePort, ends: list[Endpoint]) -> dict[Fate, Fraction]:
    """What should become of a question by the objects: each endpoint its share, or a refusal where there is none.

    The source stays, but where the answer would not come back by this node: of those who are no Pods, of those who
    asked a NodePort, and of an endpoint that got itself.
    """
    source, node = asked.source(drawn), drawn.node.addresses[0]
    if not ends:
        return {Fate("REJECTED", f"{asked.address}:{asked.port}", source): Fraction(1)}
    inside = ipaddress.ip_address(source) in ipaddress.ip_network(drawn.pod_range)
    keeps = inside and asked.address == port.cluster_ip
    return {Fate("FORWARDED", one.text, source if keeps and source != one.address else node): Fraction(1, len(ends))
            for one in ends}


def questions(drawn: Drawn) -> Iterator[tuple[Asked, dict[Fate, Fraction]]]:
    """Everything that is asked of a node when it is examined, and what should become of each."""
    objects, subnet = drawn.objects, ipaddress.ip_network(drawn.subnet)
    for port in objects.ports:
        ends = [one for one in objects.endpoints.get(port.key, ()) if one.ready]
        own = [one.address for one in ends if ipaddress.ip_address(one.address) in subnet]
        asked = [Asked(who, port.cluster_ip, port.port, port.protocol) for who in ("pod", "node", "outside", *own)]
        if port.node_port:
            asked.append(Asked("outside", drawn.node.addresses[0], port.node_port, port.protocol))
        for one in asked:
            yield one, wanted(one, drawn, port, ends)


def alike(one: Fates, other: Fates) -> bool:
    """Whether two tables of fates are equal, as near as 31 bits of chance allow."""
    return all(abs(one.get(key, 0) - other.get(key, 0)) <= CLOSE for key in {*one, *other})


@dataclass(frozen=True, slots=True)
class Wrong:
    """A question that goes wrong: what becomes of it, and what should."""

    asked: Asked
    found: Fates
    wanted: Fates

    def lines(self) -> list[str]:
        """What happens to it, and what should."""
        return [f"{self.asked}: {told(self.found)}.", f"By the objects: {told(self.wanted)}."]


def told(them: Fates) -> str:
    """A table of fates in words, with shares where there are several."""
    if len(them) == 1:
        return str(next(iter(them)))
    ordered = sorted(them.items(), key=lambda item: str(item[0]))
    return "; ".join(f"{float(share):.3f} {one}" for one, share in ordered)


@dataclass(frozen=True, slots=True)
class Survey:
    """A node examined: how many questions were asked, and those that go wrong."""

    asked: int
    wrong: tuple[Wrong, ...]

    @property
    def right(self) -> int:
        """How many questions go where the objects say."""
        return self.asked - len(self.wrong)

    def __str__(self) -> str:
        return f"{self.right} of {self.asked} packets go where the objects say."


def survey(drawn: Drawn, rules: Ruleset) -> Survey:
    """Ask everything of the node with these rules."""
    wrong, count = [], 0
    for count, (asked, right) in enumerate(questions(drawn), 1):
        found = fates(asked, drawn, rules)
        if not alike(found, right):
            wrong.append(Wrong(asked, found, right))
    return Survey(count, tuple(wrong))

"""Who asks whom on a node, what should become of it by the objects, and what becomes of it by the rules.

    Question ── fates(rules) ──> {Fate: share}    every way in which chance can fall
             └─ wanted(drawn) ─> {Fate: share}    what Services and EndpointSlices promise

The second looks at the objects alone, and never at rules. A node does right where the two are equal for every Service
and for everybody who may ask; `asking.py` says who that is.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from fractions import Fraction

from k8slab.course.capstone.asking import Asked, questions
from k8slab.course.capstone.drawn import Drawn
from k8slab.course.capstone.going import Fate, Fates, go
from k8slab.iptables import Ruleset
from k8slab.kubeproxy.objects import Endpoint, ServicePort
from k8slab.model.chance import every_way
from k8slab.trace import Trace

# Shares have the 31 bits of the kernel's chance.
CLOSE = Fraction(1, 10**6)


def ways(asked: Asked, drawn: Drawn, rules: Ruleset) -> list[tuple[Fraction, Fate, Trace]]:
    """Every way in which chance can fall for a question: its share, what becomes of the packet, and its trace.

    The trace holds the answer's way, too, where that comes by this node.
    """
    walk, answered = asked.walk(drawn, rules), asked.answered(drawn)
    return [(share, *way) for share, way in every_way(lambda chance: go(walk, chance, answered))]


def fates(asked: Asked, drawn: Drawn, rules: Ruleset, *, answers: bool = True) -> dict[Fate, Fraction]:
    """What becomes of a question by the rules: every way in which chance can fall, and its share.

    `answers`: whether what becomes of the answer counts.
    """
    walk, answered = asked.walk(drawn, rules), answers and asked.answered(drawn)
    found: dict[Fate, Fraction] = {}
    for share, (one, _) in every_way(lambda chance: go(walk, chance, answered, noted=False)):
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
        """What happens to it, and what should, with as many digits as it takes to see that they differ."""
        for digits in range(3, 11):
            found, wanted = told(self.found, digits), told(self.wanted, digits)
            if found != wanted:
                break
        return [f"{self.asked}: {found}.", f"By the objects: {wanted}."]


def told(them: Fates, digits: int = 3) -> str:
    """A table of fates in words, with shares where there are several."""
    if len(them) == 1:
        return str(next(iter(them)))
    ordered = sorted(them.items(), key=lambda item: str(item[0]))
    return "; ".join(f"{float(share):.{digits}f} {one}" for one, share in ordered)


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
    for count, (port, asked, answers) in enumerate(questions(drawn), 1):
        found, right = fates(asked, drawn, rules, answers=answers), wanted(asked, drawn, port, usable(drawn, port))
        if not alike(found, right):
            wrong.append(Wrong(asked, found, right))
    return Survey(count, tuple(wrong))

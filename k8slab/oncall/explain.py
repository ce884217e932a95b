"""Why a packet does not arrive, and what would have to be different, each change walked before it is said.

Theory of operation
-------------------
A walk ends at one step, and that step decides: a rule, a policy, a rule that cannot be told. `obstacle` names it and
makes the smallest change that takes it away: the rule gone, the policy ACCEPT, the endpoint there that is missing.
Then the packet is walked again through the changed rules. It may end at another step, which is the next obstacle;
so that of two things in the way both are told. That it arrives is said only when the last walk saw it arrive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from k8slab.model.dump import Question
from k8slab.oncall.causes import Found, obstacle
from k8slab.oncall.remarks import remarks, untranslated
from k8slab.packet import UNKNOWN
from k8slab.trace import Trace

LIMIT = 6                                    # obstacles in a row; behind that many, nobody mends one by one


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing in the way. `place`: `filter FORWARD rule 7`; `rule`: its text, or "".

    `what`: what it does to the packet; `change`: what would have to be different, "" where no rule helps; `then`: the
    verdict of the walk with this and all earlier changes, and `reason` its reason.
    """

    place: str
    rule: str
    what: str
    change: str
    then: str = ""
    reason: str = ""

    def to_dict(self) -> dict:
        """The obstacle as plain JSON values."""
        return {name: getattr(self, name) or None for name in ("place", "rule", "what", "change", "then", "reason")}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a packet ends as it does. `arrives`: whether it did in the last walk, with all changes made; `end`: that
    walk; `remarks`: sentences about a packet that arrives, though perhaps not as was meant.
    """

    first: Trace
    obstacles: tuple[Obstacle, ...]
    end: Trace
    arrives: bool
    remarks: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The explanation in a few sentences."""
        if not self.obstacles:
            return [f"Explained: the packet {_fate(self.end)}.", *(f"  {remark}" for remark in self.remarks)]
        first, walked = self.obstacles[0], [one for one in self.obstacles if one.then]
        lines = [f"Explained: {first.place} decides. {first.what}"]
        if not walked:
            return lines + ([f"  {first.change}"] if first.change else [])
        lines.append("What would have to be different:")
        lines += [f"  {number}. {_said(number, one)}" for number, one in enumerate(self.obstacles, 1)]
        if self.arrives:
            lines.append(f"Walked again with {_these(len(walked))}: the packet {_fate(self.end)}.")
        elif len(walked) == len(self.obstacles):
            lines.append(f"Walked again with {_these(len(walked))}: it still does not arrive: {self.end.reason}.")
        return lines + [f"  {remark}" for remark in self.remarks]

    def to_dict(self) -> dict:
        """The explanation as plain JSON values."""
        return {"arrives_then": self.arrives, "obstacles": [one.to_dict() for one in self.obstacles],
                "remarks": list(self.remarks), "text": self.lines()}


def _said(number: int, one: Obstacle) -> str:
    return one.change if number == 1 else f"Then {one.place} stands in the way. {one.what} {one.change}".rstrip()


def _these(count: int) -> str:
    return {1: "that", 2: "both"}.get(count, f"all {count}")


def _fate(trace: Trace) -> str:
    if trace.received is None:
        return f"ends: {trace.reason}"
    word = "goes on to" if trace.verdict == "FORWARDED" else "is delivered to"
    source = "an address of the node" if trace.received.src == UNKNOWN else trace.received.src
    return f"{word} {trace.received.destination}, which sees {source}"


def explain(question: Question, walk: Callable[[Question], Trace]) -> Explanation:
    """Explain how the packet ends; `walk` carries it through the rules, the same way each time.

    >>> from k8slab.model.chance import Seeded
    >>> rules = parse("*filter\\n:FORWARD DROP [0:0]\\nCOMMIT\\n")
    >>> asked = Question(rules, Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443))
    >>> found = explain(asked, lambda changed: changed.trace(Seeded(0)))
    >>> found.obstacles[0].place, found.arrives
    ("filter FORWARD's policy", True)
    """
    first = trace = walk(question)
    found: list[Obstacle] = []
    while len(found) < LIMIT:
        next_one = _next(question, trace, walk)
        if next_one is None:
            break
        if next_one.rules is None:
            found.append(Obstacle(next_one.place, next_one.rule, next_one.what, next_one.change))
            break
        question = replace(question, rules=next_one.rules)
        trace = walk(question)
        change = next_one.change + next_one.late(trace)
        found.append(Obstacle(next_one.place, next_one.rule, next_one.what, change, trace.verdict, trace.reason))
    arrives = trace.received is not None and not untranslated(question, trace)
    said = remarks(question, trace) if arrives else ()
    return Explanation(first, tuple(found), trace, arrives, said)


def _next(question: Question, trace: Trace, walk: Callable[[Question], Trace]) -> Found | None:
    if trace.received is None:
        return obstacle(question, trace, walk)
    return untranslated(question, trace)

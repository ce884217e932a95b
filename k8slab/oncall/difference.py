"""The same packet through an older and a newer dump of one node: what does it meet now that it did not before?

Chance falls the same way in both: each way that it can take through one dump is walked through the other, choice by
choice. Shown is the way of the seed; where that one ends alike in both, and another does not, that other. A rule that
only moved is no difference; a rule that is met in one of the two alone is, and so is another end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from k8slab.iptables import Ruleset
from k8slab.model.dump import Question
from k8slab.oncall.ways import SAID, Run, Ways, chances, outcome, scripts
from k8slab.trace import Difference, Step, Trace, compare

SHOWN = 12


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a packet with the older and with the newer rules.

    `old`, `new`: the walks of one way of chance; `first`: the first step that differs, None where none does; `met`,
    `unmet`: places and texts of the rules that are met now alone, and that were met before alone, in any way in which
    chance can fall.
    """

    old: Trace
    new: Trace
    old_chances: dict
    new_chances: dict
    first: Difference | None
    met: tuple[str, ...]
    unmet: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing that this packet meets has changed."""
        return self.first is None and not self.met and not self.unmet and self.old_chances == self.new_chances

    def lines(self) -> list[str]:
        """The difference in a few lines."""
        if self.same:
            return [f"Nothing has changed for this packet: {self.new.summary()}"]
        lines = [f"Before: {self.old.summary()}", f"Now:    {self.new.summary()}", ""]
        if self.first:
            lines += ["The first step that differs:", f"  before: {_step(self.first.left)}",
                      f"  now:    {_step(self.first.right)}"]
        for title, found in (("Met now, and not before:", self.met), ("Met before, and not now:", self.unmet)):
            lines += [title, *(f"  {one}" for one in found[:SHOWN])] if found else []
            lines += [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        if len(self.old_chances) > 1 or len(self.new_chances) > 1:
            lines += _chances(self.old_chances, self.new_chances)
        return lines

    def to_dict(self) -> dict:
        """The difference as plain JSON values."""
        sides = {"left": "before", "right": "now"}
        first = self.first and {word: step.to_dict() if (step := getattr(self.first, side)) else None
                                for side, word in sides.items()}
        return {"same": self.same, "before": _end(self.old, self.old_chances), "now": _end(self.new, self.new_chances),
                "first_difference": first, "met_now": list(self.met), "met_before": list(self.unmet)}


def difference(question: Question, newer: Ruleset, run: Run, limit: int = 2000) -> Changed:
    """Walk the packet through the question's rules, which are the older ones, and through `newer`.

    `run` gives the walks that are shown; rules met and chances are those of every way, unless there are more than
    `limit` of them.

    >>> from k8slab.oncall.ways import by_seed
    >>> old, new = (parse(f"*filter\\n:FORWARD {policy} [0:0]\\nCOMMIT\\n") for policy in ("ACCEPT", "DROP"))
    >>> asked = Question(old, Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443))
    >>> difference(asked, new, by_seed(0)).met
    ('filter FORWARD: policy DROP',)
    """
    then, now = question, replace(question, rules=newer)
    pairs = _pairs(then, now, limit)
    all_old, all_new = (pairs[0], pairs[1]) if pairs else (run(then), run(now))
    before, after = _rules(all_old), _rules(all_new)
    old, new = _shown(run(then)[0][1], pairs[2]) if pairs else (all_old[0][1], all_new[0][1])
    return Changed(old, new, chances(all_old), chances(all_new), compare(old, new),
                   tuple(one for one in after if one not in before), tuple(one for one in before if one not in after))


Pair = tuple[Trace, Trace]


def _pairs(then: Question, now: Question, limit: int) -> tuple[Ways, Ways, list[Pair]] | None:
    """All ways of both, and each of them with its like in the other; None where there are more than `limit`."""
    found: list[list] = [[], []]
    pairs: list[Pair] = []
    for number, (one, other) in enumerate(((then, now), (now, then))):
        for probability, trace, walk in scripts(one):
            found[number].append((probability, trace))
            like = walk(other)
            pairs.append((like, trace) if number else (trace, like))
            if len(found[number]) > limit:
                return None
    return tuple(found[0]), tuple(found[1]), pairs


def _shown(seeded: Trace, pairs: list[Pair]) -> Pair:
    """The way that is shown: the seed's, if the two differ there, else the first that ends, or is, different."""
    own = next((pair for pair in pairs if _way(pair[0]) == _way(seeded)), pairs[0])
    for differs in (lambda pair: outcome(pair[0]) != outcome(pair[1]), lambda pair: compare(*pair) is not None):
        for pair in (own, *pairs):
            if differs(pair):
                return pair
    return own


def _way(trace: Trace) -> list[tuple[str, str, str]]:
    """The rules that a packet hit: what chance chose, without the ports that it chose too."""
    return [(step.chain, step.rule, step.verdict) for step in trace.steps if step.chain]


def _rules(ways: Ways) -> dict[str, None]:
    """The rules and policies met, each once, in the order of the steps."""
    return {f"{step.table} {step.chain}: {step.rule or 'policy ' + step.verdict}": None
            for _, trace in ways for step in trace.steps if step.rule or step.kind == "POLICY"}


def _step(step: Step | None) -> str:
    if step is None:
        return "nothing more"
    return f"{step.place}: {step.why}" + (f"\n          {step.rule}" if step.rule else "")


def _end(trace: Trace, ends: dict) -> dict:
    return {name: value for name, value in trace.to_dict().items() if name != "steps"} | {
        "chances": [{"verdict": verdict, "destination": to or None, "how": how, "probability": float(chance)}
                    for (verdict, to, how), chance in ends.items()]}


def _chances(old: dict, new: dict) -> list[str]:
    lines = ["In every way in which chance can fall:", "  before      now"]
    for end in (*old, *(end for end in new if end not in old)):
        verdict, to, how = end
        numbers = "  ".join(f"{float(side.get(end, 0)):.6f}" for side in (old, new))
        lines.append(f"  {numbers}  {verdict} {'to ' + to + ', ' if to else ''}{SAID.get(how, how)}")
    return lines



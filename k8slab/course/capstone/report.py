"""The report: what the learner takes home, a file of its own beside the notebook.

It is written when the places, the proofs and the remedy are right, and the learner has said in a sentence of his own
what was wrong. What a cell prints before that says what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from k8slab.course import widgets
from k8slab.course.capstone import grade
from k8slab.course.capstone.asking import Asked
from k8slab.course.capstone.cluster import Capstone, examined, file_name
from k8slab.course.capstone.mending import commands
from k8slab.course.capstone.going import Fate, Fates
from k8slab.course.capstone.survey import fates, survey, told, ways
from k8slab.course.capstone.work import BLANK, asked
from k8slab.course.outcome import NOT_ATTEMPTED, RIGHT, Unfit, code
from k8slab.course.widgets import Panel
from k8slab.iptables import Ruleset
from k8slab.trace import Trace

SHORTEST = 4            # words of a sentence
Pairs = Sequence[Sequence[str]]


def report(cluster: Capstone, places: Pairs, proofs: Pairs, remedy: object, words: Sequence[str],
           folder: str = ".") -> Panel:
    """Write the report, if all is right; say what is missing if not.

    `words`: two sentences of the learner's own, one a fault. `folder`: where the file goes.
    """
    if not isinstance(cluster, Capstone):
        return _said("The report cannot be written: `cluster` is no capstone; `cluster = capstone(seed)` makes one.")
    missing = _missing(cluster, places, proofs, remedy, words)
    if missing:
        return _said("Not yet. The report is written when all of it is right.", *missing)
    name, text = f"capstone-{file_name(cluster.seed)}.md", _text(cluster, places, proofs, remedy, words)
    try:
        (Path(folder) / name).write_text(text, encoding="utf-8")
    except (OSError, TypeError) as error:
        return _said(f"The report cannot be written: {name}: {getattr(error, 'strerror', None) or error}.")
    return _said(f"Written: `{name}`, beside this notebook.")


def _said(first: str, *rest: str) -> Panel:
    items = "".join(f"<li>{code(line)}</li>" for line in rest)
    html = f"<p>{code(first)}</p>" + (f"<ul>{items}</ul>" if items else "")
    return Panel("\n  ".join((first, *rest)), html, lambda: widgets.frame(widgets.say(html)))


def _missing(cluster: Capstone, places: Pairs, proofs: Pairs, remedy: object, words: Sequence[str]) -> list[str]:
    lines = []
    for name, judge, answer in (("places", grade.places, places), ("proofs", grade.proofs, proofs),
                                ("remedy", grade.mended, remedy)):
        try:
            outcome = judge(cluster, answer)
        except Unfit as unfit:
            outcome = unfit.outcome
        if outcome.kind == NOT_ATTEMPTED:
            lines.append(f"The {name}: not attempted.")
        elif outcome.kind != RIGHT:
            lines.append(f"The {name}: {outcome.says}")
    good = isinstance(words, (list, tuple)) and len(words) == 2 and all(
        isinstance(one, str) and BLANK not in one and len(one.split()) >= SHORTEST for one in words)
    return lines if good else [*lines, f"Your words: two sentences of {SHORTEST} words or more, one for each fault."]


def _text(cluster: Capstone, places: Pairs, proofs: Pairs, remedy: object, words: Sequence[str]) -> str:
    """The report as Markdown."""
    after = grade.rules_after(cluster, remedy)
    done = remedy if isinstance(remedy, str) else "\n".join(commands(cluster.ruleset, after))
    parts = [f"# What was wrong on {cluster.drawn.node.name}", f"Seed: `{cluster.seed}`",
             *cluster.about, "## What people said", cluster.reports.text]
    for number, (place, proof, sentence) in enumerate(zip(places, _in_order(cluster, places, proofs), words), 1):
        parts += _fault(cluster, after, f"## Fault {number}: {place[0]}, in `{place[1]}`", proof, sentence)
    parts += ["## The remedy", f"```sh\n{done.strip()}\n```", f"Before: {examined(cluster)}",
              f"After: {survey(cluster.drawn, after)}"]
    return "\n\n".join(parts) + "\n"


def _fault(cluster: Capstone, after: Ruleset, title: str, proof: Sequence[str], sentence: str) -> list[str]:
    """What is told of one fault: the learner's sentence, and his packet by the rules before and after."""
    question = asked(cluster.drawn, *proof)
    tables = [fates(question, cluster.drawn, rules) for rules in (cluster.ruleset, after)]
    parts = [title, sentence.strip(), f"The proof: {question}."]
    for name, rules, own, other in (("Before", cluster.ruleset, *tables), ("After", after, *tables[::-1])):
        fate, trace = telling(question, cluster, rules, other)
        which = f"One of these packets ({fate})" if len(own) > 1 else "One such packet"
        rest = f"\n\n{which}, and the rules that took it:"
        steps = (f"* {step.place}: {grade.decided(step)}" for step in trace.steps if step.rule or step.kind == "POLICY")
        parts += [f"{name}: {told(own)}.{rest}", "\n".join(steps)]
    return parts


def telling(question: Asked, cluster: Capstone, rules: Ruleset, other: Fates) -> tuple[Fate, Trace]:
    """One way of a packet by the rules: what becomes of it, and its trace.

    It is one that `other`, the table of fates by other rules, has not, if there is one, or else one whose share there
    is the most different.
    """
    found = ways(question, cluster.drawn, rules)
    table = fates(question, cluster.drawn, rules)
    _, fate, trace = max(found, key=lambda way: (way[1] not in other, abs(table[way[1]] - other.get(way[1], 0))))
    return fate, trace


def _in_order(cluster: Capstone, places: Pairs, proofs: Pairs) -> list[Sequence[str]]:
    """The proofs in the order of the places: the first proof may show the second fault."""
    first = grade.place_of(cluster, *places[0])
    shown, other = (grade.shown_by(cluster, *one) for one in proofs)
    return list(proofs) if first in shown and 1 - first in other else list(proofs)[::-1]

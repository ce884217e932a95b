"""Two journeys side by side, with the first difference marked: model and kernel, before a change and after.

What is compared is what a kernel can be seen doing (`k8slab.trace.alignment`). Where the two part, each goes its
own way: after that row, what stands beside what means nothing any more, and the rows say so.
"""

from __future__ import annotations

from itertools import zip_longest

from k8slab.show.grid import Column, Folded, Table
from k8slab.trace import Step, Trace, alignment

# Steps shown of each side after the difference, before the rest is folded.
LATER = 6
ENDED = "nothing more: this journey has ended"


def side_by_side(left: Trace, right: Trace, names: tuple[str, str] = ("left", "right")) -> Table:
    """Two journeys in two columns; `names` head them.

    >>> from k8slab.lab import Lab
    >>> lab = Lab("model")
    >>> before = lab.connect("client", "10.96.0.1", 443)
    >>> _ = lab.run("worker1", "iptables -t nat -F KUBE-SVC-NPX46M4PTMTKRN6Y")
    >>> after = lab.connect("client", "10.96.0.1", 443, sport=40000)
    >>> side_by_side(before, after, ("before", "after")).caption.split(":")[0]
    'Before and after differ after 4 steps alike'
    """
    alike, a, b = alignment(left, right)
    rows = [("In short", left.summary(), right.summary())]
    if alike:
        rows.append(("Alike", Folded(_count(alike), "\n".join(map(_line, a[:alike]))), "the same"))
    if alike == len(a) == len(b):
        return Table(f"{_names(names)} do the same in all that can be seen: {_count(alike)}",
                     _columns(names), tuple(rows))
    mark = len(rows)
    later = list(zip_longest(a[alike:], b[alike:]))
    rows += [("Then" if at else "First difference", _cell(one), _cell(other))
             for at, (one, other) in enumerate(later[:LATER])]
    if rest := later[LATER:]:
        rows.append(("And on", *(_rest(side) for side in zip(*rest))))
    where = next(step.node for step in later[0] if step)
    return Table(f"{_names(names)} differ after {_count(alike)} alike: the first difference is on {where}",
                 _columns(names), tuple(rows), marked=(mark,))


def _columns(names: tuple[str, str]) -> tuple[Column, ...]:
    return (Column(""), *map(Column, names))


def _names(names: tuple[str, str]) -> str:
    return f"{names[0][:1].upper()}{names[0][1:]} and {names[1]}"


def _count(number: int) -> str:
    return f"{number} step{'s' * (number != 1)}"


def _line(step: Step) -> str:
    return f"{step.place}: {step.why}"


def _cell(step: Step | None) -> str | Folded:
    if step is None:
        return ENDED
    return Folded(_line(step), step.rule) if step.rule else _line(step)


def _rest(side: tuple[Step | None, ...]) -> str | Folded:
    steps = [step for step in side if step]
    return Folded(f"{_count(len(steps))} more", "\n".join(map(_line, steps))) if steps else ENDED

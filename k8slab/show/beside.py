"""Two journeys side by side: how far they are alike, where they part, and what became of each.

    side_by_side(before, after)                                one packet before and after a change
    side_by_side(model, kernel, names=("model", "kernel"))     two dataplanes

What counts as a difference is `k8slab.trace.compare`'s to say: what a kernel can be seen doing, and nothing
that is concluded beside it. Here it is only told. Of the steps that are alike one sees the number, and the
list at a click. Where the journeys part, the concluded steps that led there stand before the first step that
differs: an empty chain, or another route, is seen in no capture, and is often the reason. From there on each
column has its own journey's headlines.

The HTML is a table of two columns made of what a sanitiser keeps. It has no colour of its own: the first
difference has a border of the text's colour, its words, and bold type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from k8slab.show import words
from k8slab.show.grid import code
from k8slab.show.headlines import headlines
from k8slab.trace import FACTS, Step, Trace, together

FIRST = "First difference"
ALONE = "From there on, each journey's headlines"
NOTHING = "nothing more happens"
INDENT = "    "
CELL = ("text-align: left; vertical-align: top; padding: 6px 8px; font-weight: normal; line-height: 1.4; "
        "overflow-wrap: anywhere")
LIST = 'style="margin: 0; padding-left: 26px"'


@dataclass(frozen=True, slots=True)
class Side:
    """What one journey does where the two part.

    `lead`: concluded steps that led to `step`, the first that differs, which is None where the journey has
    ended. `facts`: pairs of name and value, in which `step` differs from the other side's. `rest`: the
    headlines after it.
    """

    name: str
    trace: Trace
    lead: tuple[Step, ...]
    step: Step | None
    facts: tuple[tuple[str, str], ...]
    rest: tuple[Step, ...]

    @property
    def ways_to_say(self) -> tuple[str, ...]:
        """What it does, in ever more words: host, chain and rule, and why; the step's name; that, with its facts."""
        first = next(iter(self.lead), self.step)
        if first is None:
            return (NOTHING,) * 3
        facts = "".join(f", {name} {value}" for name, value in self.facts)
        return f"{first.place}: {first.why}", words.title(first), words.title(first) + facts


@dataclass(frozen=True, slots=True, repr=False)
class Beside:
    """Two journeys to be displayed side by side, with their names; nothing in `sides` where they are alike."""

    left: Trace
    right: Trace
    names: tuple[str, str]

    @property
    def alike(self) -> tuple[tuple[Step, Step], ...]:
        """The pairs of observable steps in which the journeys agree, up to where they part."""
        return together(self.left, self.right)[0]

    @property
    def sides(self) -> tuple[Side, ...]:
        """What each journey does where they part: two sides, or none where there is no difference."""
        alike, parting = together(self.left, self.right)
        if parting is None:
            return ()
        steps, traces = (parting.left, parting.right), (self.left, self.right)
        last = alike[-1] if alike else (None, None)
        leads = _without_common(*(_between(*side) for side in zip(traces, last, steps)))
        return tuple(Side(name, trace, lead, step, _differing(step, other), _rest(trace, step))
                     for name, trace, lead, step, other in zip(self.names, traces, leads, steps, steps[::-1]))

    @property
    def finding(self) -> tuple[str, ...]:
        """Whether and where they differ: one sentence, and then one for what each side does."""
        count = len(self.alike)
        if not self.sides:
            return (f"No difference: both take the same {_steps(count, 'observable ')}.",)
        said = list(zip(*(side.ways_to_say for side in self.sides)))
        chosen = next((pair for pair in said if pair[0] != pair[1]), said[-1])
        return (f"{FIRST}, after {_steps(count)} alike:" if count else f"{FIRST}, in the first step:",
                *(f"{name}: {instead}." for name, instead in zip(self.names, chosen)))

    def __str__(self) -> str:
        traces = (self.left, self.right)
        lines = [f"{name}: {trace.summary()}" for name, trace in zip(self.names, traces)]
        lines += ["", *self.finding, "", *[f"{_steps(len(self.alike))} alike"] * bool(self.alike)]
        lines += [INDENT + _line(self.left, step) for step, _ in self.alike]
        lines += [FIRST] * bool(self.sides)
        for side in self.sides:
            lines += [f"  {side.name}", *_numbered(side.trace, side.lead)]
            lines += _numbered(side.trace, (side.step,)) if side.step else [INDENT + NOTHING]
            lines += [f"{INDENT}    {name}: {value}" for name, value in side.facts]
        lines += [ALONE] * any(side.rest for side in self.sides)
        for side in self.sides:
            lines += [f"  {side.name}", *_numbered(side.trace, side.rest)] if side.rest else []
        return "\n".join(lines).rstrip()

    __repr__ = __str__

    @property
    def html(self) -> str:
        """The two columns as HTML, made of what a sanitiser keeps."""
        said = "<br>".join(f"<strong>{escape(name)}</strong>: {escape(trace.summary())}"
                           for name, trace in zip(self.names, (self.left, self.right)))
        finding, *instead = map(escape, self.finding)
        named = [f"<strong>{escape(name)}</strong>{line.removeprefix(escape(name))}"
                 for name, line in zip(self.names, instead)]
        heads = "".join(f'<th scope="col" style="{CELL}; width: 50%"><strong>{escape(name)}</strong></th>'
                        for name in self.names)
        alike = "".join(f"<li>{escape(_line(self.left, step))}</li>" for step, _ in self.alike)
        body = _group(f"<details><summary>{_steps(len(self.alike))} alike</summary><ul {LIST}>{alike}</ul>"
                      "</details>") if alike else ""
        if self.sides:
            body += _group(f"<strong>{FIRST}</strong>", map(_parting, self.sides), "border: 2px solid")
        if any(side.rest for side in self.sides):
            body += _group(ALONE, (_list(side.trace, side.rest) for side in self.sides))
        return (f"<p>{said}</p><p>{'<br>'.join((f'<strong>{finding}</strong>', *named))}</p>"
                f'<table style="width: 100%; border-collapse: collapse"><thead><tr>{heads}</tr></thead>{body}'
                "</table>")

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html}


def side_by_side(left: Trace, right: Trace, names: tuple[str, str] = ("before", "after")) -> Beside:
    """Show two journeys in two columns, with their first difference marked; `names` are the columns' heads.

    >>> from k8slab.lab import Lab
    >>> lab = Lab("model")
    >>> one, other = lab.ping("client", "10.244.1.7"), lab.ping("client", "10.244.2.8")
    >>> print("\\n".join(side_by_side(one, other, names=("near", "far")).finding))
    First difference, in the first step:
    near: client sends a ping to 10.244.1.7.
    far: client sends a ping to 10.244.2.8.

    Raises ValueError for names that are not two, or are the same or empty.
    """
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise ValueError(f"two names are wanted, one for each column, not {names!r}")
    return Beside(left, right, tuple(names))


def _between(trace: Trace, last: Step | None, step: Step | None) -> tuple[Step, ...]:
    """The steps after `last`, or from the start, and before `step`, or to the end."""
    return tuple(s for s in trace.steps if (last is None or s.number > last.number)
                 and (step is None or s.number < step.number))


def _without_common(left: tuple[Step, ...], right: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Both without the steps at their start that have the same sentences: they led nobody apart."""
    same = 0
    for one, other in zip(left, right):
        if (words.title(one), one.why) != (words.title(other), other.why):
            break
        same += 1
    return left[same:], right[same:]


def _differing(step: Step | None, other: Step | None) -> tuple[tuple[str, str], ...]:
    """The facts of a step that are not the other's; beside a journey that has ended, its rule alone."""
    if step is None:
        return ()
    if other is None:
        return (("rule", step.rule),) if step.rule else ()
    pairs = [(name, str(fact or "none")) for name, fact, theirs in zip(FACTS, step.fact(), other.fact())
             if fact != theirs and not _told(step, other, name, fact, theirs)]
    # A packet that is not rewritten is the same afterwards.
    return tuple(pairs[:-1] if len(pairs) > 1 and pairs[-1][1] == pairs[-2][1] else pairs)


def _told(step: Step, other: Step, name: str, fact: object, theirs: object) -> bool:
    """Whether the names of the steps say it already: their kinds always, and what stands in them as it is."""
    return name == "kind" or all(word in words.title(one).split() for one, word in ((step, fact), (other, theirs)))


def _rest(trace: Trace, step: Step | None) -> tuple[Step, ...]:
    return tuple(s for s in headlines(trace) if step and s.number > step.number)


def _steps(count: int, kind: str = "") -> str:
    return f"{count} {kind}step{'s' * (count != 1)}"


def _line(trace: Trace, step: Step) -> str:
    return f"{words.ARROWS[words.way(trace, step)]} {words.title(step)}"


def _numbered(trace: Trace, steps: Iterable[Step]) -> list[str]:
    return [f"{step.number:6}. {_line(trace, step)}" for step in steps]


def _group(head: str, cells: Iterable[str] = (), style: str = "") -> str:
    """A group of rows: a heading over both columns, and then a cell in each."""
    row = "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells)
    border = f' style="{style}"' if style else ""
    heading = f'<tr><th scope="rowgroup" colspan="2" style="{CELL}">{head}</th></tr>'
    return f"<tbody{border}>{heading}{f'<tr>{row}</tr>' if row else ''}</tbody>"


def _parting(side: Side) -> str:
    """One side of the first difference: what led there, the step in bold, and in what it differs."""
    facts = "".join(f"<br>{name}: {code(value)}" for name, value in side.facts)
    return _list(side.trace, side.lead, side.step, facts) + (f"<strong>{NOTHING}</strong>" if not side.step else "")


def _list(trace: Trace, steps: Iterable[Step], last: Step | None = None, more: str = "") -> str:
    """Steps under their own numbers; `last` is bold, and `more` follows it."""
    items = "".join(f'<li value="{step.number}">{escape(_line(trace, step))}</li>' for step in steps)
    if last:
        items += f'<li value="{last.number}"><strong>{escape(_line(trace, last))}</strong>{more}</li>'
    return f"<ol {LIST}>{items}</ol>" if items else ""


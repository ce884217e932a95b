"""The text twins: what the pictures say, as plain text for a terminal, a screen reader and a comparison.

`str(trace)` is the whole journey. `story` is the short view, `twin` one pane of the stepper.
"""

from __future__ import annotations

import textwrap

from k8slab.network import Network
from k8slab.show import words
from k8slab.show.headlines import headlines
from k8slab.show.stage import count, over
from k8slab.show.strip import strip_text
from k8slab.trace import Step, Trace

WIDTH = 100
TURNS = {words.OUTWARD: "The request", words.HOMEWARD: "The reply"}


def story(trace: Trace) -> str:
    """The journey in one sentence, then its headlines as numbered sentences.

    >>> from k8slab.lab import Lab
    >>> print(story(Lab("model").ping("client", "10.244.1.7")).splitlines()[3])
      1. client sends a ping to 10.244.1.7.
    """
    lines, turn = [trace.summary()], ""
    for step in headlines(trace):
        if (way := words.way(trace, step)) != turn:
            turn = way
            lines += ["", TURNS[way]]
        lines += _wrapped(f"{step.number:3}. {_sentence(step)}.", "     ")
    return "\n".join(lines)


def _sentence(step: Step) -> str:
    """What happened; why, too, except where a program sends and nothing has to be explained."""
    return words.title(step) if step.kind in ("SEND", "ANSWER") else f"{step.place}: {step.why}"


def twin(trace: Trace, step: Step, network: Network | None = None) -> str:
    """One pane of the stepper as text: all that it shows, in the same order."""
    lines = [strip_text(trace, step, network), count(trace, step), words.title(step), step.why,
             f"Who handles it: {words.reader(step)}"]
    lines += [step.rule] if step.rule else []
    lines += [over(step)] if step.passed else []
    for passed in step.passed:
        lines += [f"  {passed}", f"    {passed.rule}"]
    lines.append("The packet")
    for field in words.fields(step):
        after = f"{field.after}{', changed' * field.changed}" if step.after else "it ends here"
        lines.append(f"  {field.name}: {field.before} → {after}")
    lines.append(f"What {step.node} knows of it")
    return "\n".join(lines + [f"  {name}: {value}" for name, value in words.memory(step)])


def _wrapped(line: str, indent: str) -> list[str]:
    """The line in pieces of WIDTH; names with hyphens and long words stay whole."""
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False,
                         break_long_words=False)

"""The stage: one step as HTML, with the same things always in the same places; and what stands around it.

From the top: where the packet is, what happens, what reads it, and then side by side what it looks like and
what the node remembers of it. The style sheet is not in here: `style.py` has it, once for all panes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from k8slab.network import Network
from k8slab.show import words
from k8slab.show.headlines import headlines
from k8slab.show.strip import strip
from k8slab.trace import Step, Trace

# Where a rule's text may be broken: before an option, or before the "!" that negates it.
OPTION = re.compile(r" (?=! -|--?[A-Za-z])(?<!! )" + words.OUTSIDE_QUOTES)
HINT = "Choose a step, then walk with the arrow keys ↑ and ↓."
OBSERVED = "Steps marked “observed” were seen on a real kernel; the others are concluded beside them."
MODEL = "A model worked out every step from the rules; no kernel ran."
LIST = "Steps of the journey"
WAY_WORDS = {words.OUTWARD: "request, on its way out", words.HOMEWARD: "reply, on its way home"}


def head(trace: Trace) -> str:
    """The journey in one sentence, and how to walk it, as HTML."""
    source = OBSERVED if any(step.observed for step in trace.steps) else MODEL
    return f"<p class=k-journey>{escape(trace.summary())}<small>{HINT} {source}</small></p>"


def views(trace: Trace) -> dict[str, tuple[Step, ...]]:
    """The lists of steps that a stepper offers, by the name of their tab: the headlines, and every step."""
    short = headlines(trace)
    return {f"The journey in {len(short)} steps": short, f"Every step ({len(trace.steps)})": trace.steps}


def lines(trace: Trace, steps: Sequence[Step]) -> list[str]:
    """The steps as lines of a list: " 9  →  worker1: DNAT to 10.106.175.128:6443"."""
    return [f"{step.number:\u2007>2}  {words.ARROWS[words.way(trace, step)]}  {words.title(step)}" for step in steps]


def pane(trace: Trace, step: Step, network: Network | None = None) -> str:
    """One step of the journey as HTML.

    >>> from k8slab.lab import Lab
    >>> trace = Lab("model").ping("client", "10.244.1.7")
    >>> "client sends a ping to 10.244.1.7" in pane(trace, trace.steps[0])
    True
    """
    return (f"<div class=k-pane>{strip(trace, step, network)}{_says(trace, step)}{_reads(step)}"
            f"<div class=k-cols>{_packet(step)}{_memory(step)}</div></div>")


def count(trace: Trace, step: Step) -> str:
    """Which step this is, and on which of the two ways: "Step 9 of 62 · request, on its way out"."""
    seen = " · observed" if step.observed else ""
    return f"Step {step.number} of {len(trace.steps)} · {WAY_WORDS[words.way(trace, step)]}{seen}"


def _says(trace: Trace, step: Step) -> str:
    return (f"<div class=k-say><p class=k-count>{count(trace, step)}</p>"
            f"<p class=k-title>{escape(words.title(step))}</p><p>{escape(step.why)}</p></div>")


def _reads(step: Step) -> str:
    rule = f"<p class=k-rule><code>{_rule(step.rule)}</code></p>" if step.rule else ""
    who = f"<p class=k-head>Who handles it: <span>{escape(words.reader(step))}</span></p>"
    return f"<div class='k-box k-reads'>{who}{rule}{_passed(step)}</div>"


def _rule(rule: str) -> str:
    """The rule, to be broken into lines between its options alone; its target in bold."""
    options = [f"<span>{escape(option)}</span>" for option in OPTION.split(rule)]
    targets = (i for i, option in enumerate(options) if option.startswith(("<span>-j ", "<span>-g ")))
    at = next(targets, len(options))
    happens = f" <b>{' '.join(options[at:])}</b>" if options[at:] else ""
    return " ".join(options[:at]) + happens


def over(step: Step) -> str:
    """The line that stands for the rules passed over: "2 rules passed over on the way here, and why"."""
    number = len(step.passed)
    return f"{number} rule{'s' * (number > 1)} passed over on the way here, and why"


def _passed(step: Step) -> str:
    if not step.passed:
        return ""
    items = "".join(f"<li>{escape(str(p))}<br><code>{_rule(p.rule)}</code>" for p in step.passed)
    return f"<details><summary>{over(step)}</summary><ul>{items}</ul></details>"


def _packet(step: Step) -> str:
    rows = "".join(_field(step, field) for field in words.fields(step))
    return ("<div class='k-box k-packet'><table><caption class=k-head>The packet</caption><thead><tr><th "
            "scope=col>Field"
            f"<th scope=col>Before<th scope=col>After</thead><tbody>{rows}</table></div>")


def _field(step: Step, field: words.Field) -> str:
    changed = " class=k-changed" if field.changed else ""
    word = " <em>changed</em>" if field.changed else ""
    after = f"<code>{escape(field.after)}</code>{word}" if step.after else "it ends here"
    return f"<tr{changed}><th scope=row>{field.name}<td><code>{escape(field.before)}</code><td>{after}"


def _memory(step: Step) -> str:
    rows = "".join(f"<tr><th scope=row>{name}<td>{escape(value)}" for name, value in words.memory(step))
    head = f"<caption class=k-head>What {escape(step.node)} knows of it</caption>"
    return f"<div class=k-box><table class=k-memory>{head}{rows}</table></div>"

"""A journey as static HTML, for a saved notebook: read on a code host, on paper, or without a kernel.

What shows saved notebooks takes much away (JupyterLab's sanitiser: svg, style sheets, scripts and aria-*;
code hosts: inline styles too), so the meaning is in plain text, lists, `details` and tables with headings
alone. The few inline styles undo JupyterLab's own, which puts all cells to the right, and set what is opened
apart from the line that opened it.
"""

from __future__ import annotations

from html import escape

from k8slab.show import words
from k8slab.show.grid import code
from k8slab.show.headlines import headlines
from k8slab.trace import Step, Trace

TURNS = {words.OUTWARD: "The request", words.HOMEWARD: "The reply"}
OPENED = 'style="margin: 2px 0 14px 18px"'
HEAD, ROW, BOTH = 'th scope="col"', 'th scope="row"', 'td colspan="2"'
LEFT = 'style="text-align: left; vertical-align: top"'


def page(trace: Trace) -> str:
    """The journey's headlines, each to be opened, and behind them every step as text."""
    parts, turn = [f"<p><strong>{escape(trace.summary())}</strong></p>"], ""
    short = headlines(trace)
    for step in short:
        if (way := words.way(trace, step)) != turn:
            turn = way
            parts.append(f'<p style="margin: 14px 0 4px"><strong>{TURNS[way]}</strong></p>')
        title = f"{step.number}. {escape(words.title(step))}"
        parts.append(f"<details><summary>{title}</summary><div {OPENED}>{_step(step)}</div></details>")
    parts.append(f"<details><summary>Every step ({len(trace.steps)}), as text</summary>"
                 f"<pre>{escape(str(trace))}</pre></details>")
    return "\n".join(parts)


def _step(step: Step) -> str:
    rule = f"<p>{code(step.rule)}</p>" if step.rule else ""
    passed = "".join(f"<li>passed over: {escape(str(p))}<br>{code(p.rule)}</li>"
                     for p in step.passed)
    heads = "".join(_cell(HEAD, name) for name in (f"On {escape(step.node)}", "Before", "After"))
    rows = "".join(_row(step, field) for field in words.fields(step))
    memory = "".join(f"<tr>{_cell(ROW, name)}{_cell(BOTH, escape(value))}</tr>"
                     for name, value in words.memory(step))
    return (f"<p>{escape(step.why)}<br>Who handles it: {escape(words.reader(step))}</p>"
            f"{rule}{f'<ul>{passed}</ul>' if passed else ''}"
            f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}{memory}</tbody></table>")


def _row(step: Step, field: words.Field) -> str:
    after = escape(field.after) if step.after else "it ends here"
    after = f"<strong>{after}</strong> (changed)" if field.changed else after
    return f"<tr>{_cell(ROW, field.name)}{_cell('td', escape(field.before))}{_cell('td', after)}</tr>"


def _cell(tag: str, html: str) -> str:
    """A cell of what is HTML already; `tag`: its name and attributes."""
    return f"<{tag} {LEFT}>{html}</{tag.split()[0]}>"

"""A journey as static HTML, for a saved notebook: read on a code host, on paper, or without a kernel.

What shows saved notebooks takes much away (JupyterLab's sanitiser: svg, style sheets, scripts and aria-*;
code hosts: inline styles too), so the meaning is in plain
text, lists, `details` and tables with headings alone.
"""

from __future__ import annotations

from html import escape

from k8slab.show import words
from k8slab.show.headlines import headlines
from k8slab.trace import Step, Trace

TURNS = {words.OUTWARD: "The request", words.HOMEWARD: "The reply"}


def page(trace: Trace) -> str:
    """The journey's headlines, each to be opened, and behind them every step as text."""
    parts, turn = [f"<p><strong>{escape(trace.summary())}</strong></p>"], ""
    short = headlines(trace)
    for step in short:
        if (way := words.way(trace, step)) != turn:
            turn = way
            parts.append(f"<p><strong>{TURNS[way]}</strong></p>")
        title = f"{step.number}. {escape(words.title(step))}"
        parts.append(f"<details><summary>{title}</summary>{_step(step)}</details>")
    parts.append(f"<details><summary>Every step ({len(trace.steps)}), as text</summary>"
                 f"<pre>{escape(str(trace))}</pre></details>")
    return "\n".join(parts)


def _step(step: Step) -> str:
    rule = f"<p><code>{escape(step.rule)}</code></p>" if step.rule else ""
    passed = "".join(f"<li>passed over: {escape(str(p))}<br><code>{escape(p.rule)}</code></li>"
                     for p in step.passed)
    rows = "".join(_row(step, field) for field in words.fields(step))
    memory = "".join(f'<tr><th scope="row">{name}</th><td colspan="2">{escape(value)}</td></tr>'
                     for name, value in words.memory(step))
    return (f"<p>{escape(step.why)}<br>Who handles it: {escape(words.reader(step))}</p>"
            f"{rule}{f'<ul>{passed}</ul>' if passed else ''}"
            f'<table><thead><tr><th scope="col">On {escape(step.node)}</th><th scope="col">Before</th>'
            f'<th scope="col">After</th></tr></thead><tbody>{rows}{memory}</tbody></table>')


def _row(step: Step, field: words.Field) -> str:
    after = escape(field.after) if step.after else "it ends here"
    after = f"<strong>{after}</strong> (changed)" if field.changed else after
    return f'<tr><th scope="row">{field.name}</th><td>{escape(field.before)}</td><td>{after}</td></tr>'

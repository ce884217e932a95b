"""The stepper as plain HTML, for a page that has neither Python nor ipywidgets.

Theory of operation
-------------------
The page holds the journey twice. `static.page` is there for all: without script it is what one sees, and on
paper it is what is printed. The stepper is hidden until its script shows it. Its panes lie in the page once,
in the order of the steps, all hidden but one. A list box names a pane by the number of its step, and the two
tabs choose which of two lists is in sight; each list keeps its place, as the widget's do.

Elements have the class names of the widget, so that one style sheet does for both. Nothing has an id, and a
script reaches nothing but the stepper that it stands in: there may be any number in one page, and the same
journey gives the same bytes.

This module is an IPython extension, too. `scripts/pages.py` loads it in the kernels that it starts; in such a
kernel `show(...)` gives the HTML below instead of a widget, and nobody else's notebook knows of it:

    %load_ext k8slab.show.page
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from k8slab.network import Network
from k8slab.show import static
from k8slab.show.stage import LIST, head, lines, pane, views
from k8slab.show.style import SHEET
from k8slab.show.view import Shown
from k8slab.trace import Step, Trace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

NBSP = "\u00a0"
# The list's least height, as in the widget.
ROWS = 8

# What ipywidgets' own style sheet does for the widget, and which of the two forms is in sight. On paper every
# headline is open; the last `details`, every step as text, is left out: it would be five pages more.
_SHEET = """
.k-page [hidden] { display: none !important }
.k-page.k-alive > .k-static { display: none }
.k-static > p { margin: 1em 0 }
.k-static table { margin-left: 0 }
.k-page > .k-static :is(th, td) { text-align: left }
.k-page .k8slab-stepper { margin: 0 auto 0 0 }
& .widget-select { display: flex }
& .lm-TabBar-content { display: flex; flex-wrap: wrap }
& .lm-TabBar-tab { cursor: pointer; font-family: inherit }
& .lm-TabBar-tab:focus-visible { outline: 2px solid var(--k-here); outline-offset: -2px }
@media print {
  .k-page > .k8slab-stepper, .k-static > details:last-child { display: none }
  .k-page.k-alive > .k-static { display: block }
  .k-static > details { break-inside: avoid }
  .k-static > details::details-content, details:has(> .k-page)::details-content {
    display: block; content-visibility: visible; block-size: auto }
}
""".replace("&", ".k8slab-stepper.k8slab-stepper")

# A list box says "input" for each key, touch or click that moves its choice; a click with Ctrl leaves it
# without one, and then the pane stays. Tabs follow the arrow keys as screen readers tell people they do.
_SCRIPT = """{
  const page = document.currentScript.parentElement, live = page.querySelector('.k8slab-stepper')
  const [tabs, lists, panes] = ['[role=tab]', 'select', '.k-pane'].map(s => [...live.querySelectorAll(s)])
  const panel = live.querySelector('[role=tabpanel]')
  let shown = panes[0]
  const show = list => {
    const chosen = panes[list.value - 1] ?? shown
    shown.hidden = true
    chosen.hidden = false
    shown = chosen
  }
  const open = at => {
    tabs.forEach((tab, i) => {
      tab.ariaSelected = i === at
      tab.tabIndex = i === at ? 0 : -1
      tab.classList.toggle('lm-mod-current', i === at)
      lists[i].parentElement.hidden = i !== at
    })
    panel.ariaLabel = tabs[at].textContent
    show(lists[at])
  }
  const keys = { ArrowLeft: i => i - 1, ArrowRight: i => i + 1, Home: () => 0, End: () => -1 }
  tabs.forEach((tab, i) => {
    tab.onclick = () => open(i)
    tab.onkeydown = event => {
      if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) return
      event.preventDefault()
      const at = (keys[event.key](i) + tabs.length) % tabs.length
      open(at)
      tabs[at].focus()
    }
  })
  lists.forEach(list => { list.oninput = () => show(list) })
  page.classList.add('k-alive')
  live.hidden = false
}"""


_PAGE = """<div class=k-page><style>{sheet}</style>
<div class='k-static jp-RenderedHTMLCommon'>{still}</div>
<div class=k8slab-stepper hidden>{head}<div class=widget-tab>
<div class=lm-TabBar-content role=tablist aria-label='Views of the journey'>{tabs}</div>
<div class=k-body role=tabpanel aria-label='{name}'>{lists}<div class=k-stage>{panes}</div></div>
</div></div><script>{script}</script></div>"""
# Of the tabs, and of the lists below, the first is chosen; only the chosen tab is a stop of the Tab key.
_TABS = ("'lm-TabBar-tab lm-mod-current' aria-selected=true", "lm-TabBar-tab aria-selected=false tabindex=-1")


def live(trace: Trace, network: Network | None = None) -> str:
    """The journey as HTML that can be walked in any browser; `network` tells each host's kind and address.

    >>> from k8slab.lab import Lab
    >>> html = live(Lab("model").ping("client", "10.244.1.7"))
    >>> html.count("<div class=k-pane"), html.count("<select ")
    (40, 2)
    """
    names = list(views(trace))
    tabs = [f"<button type=button role=tab class={_TABS[at > 0]}>"
            f"<span class=lm-TabBar-tabLabel>{escape(name)}</span></button>" for at, name in enumerate(names)]
    lists = [_list(lines(trace, steps), steps, at > 0) for at, steps in enumerate(views(trace).values())]
    panes = [pane(trace, step, network) for step in trace.steps]
    panes[1:] = [one.replace("<div class=k-pane>", "<div class=k-pane hidden>", 1) for one in panes[1:]]
    return _PAGE.format(sheet=SHEET + _SHEET, still=static.page(trace), head=head(trace), tabs="".join(tabs),
                        name=escape(names[0]), lists="".join(lists), panes="".join(panes), script=_SCRIPT)


def _list(options: Sequence[str], steps: Sequence[Step], hidden: bool) -> str:
    """A list box in its label; no space of a line is folded, as in the widget's.

    `autocomplete=off`: a browser that comes back to the page must not choose a line by itself.
    """
    items = "".join(f"<option value={step.number}{' selected' * (at == 0)}>{escape(line.replace(' ', NBSP))}"
                    "</option>" for at, (step, line) in enumerate(zip(steps, options)))
    return (f"<label class=widget-select{' hidden' * hidden}><span>{LIST}</span>"
            f"<select size={ROWS} autocomplete=off>{items}</select></label>")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Let `show(...)` give this HTML in one kernel, until it ends: IPython calls this for `%load_ext`."""
    shell.display_formatter.mimebundle_formatter.for_type(Shown, _bundle)


def _bundle(shown: Shown) -> dict[str, str]:
    return {"text/plain": repr(shown), "text/html": live(shown.trace, shown.network)}

"""The stepper: a journey to walk with the arrow keys, forward and back.

Theory of operation
-------------------
Every pane is computed before anything is shown. A `Select` (the browser's own list box: keyboard, screen
reader and touch work as people know them) and a `Stack` of HTML panes are linked by `jslink`, in the
browser: choosing a step asks Python nothing, and works the same with a busy kernel, a far one or none.

Two lists share the panes: the short one shows the headlines, the long one every step. A widget costs
about half a kilobyte beside its text, so all panes share one layout and one style.
"""

from __future__ import annotations

from ipywidgets import HTML, Box, Layout, Select, Stack, Tab, VBox, jslink

from k8slab.network import Network
from k8slab.show.stage import LIST, head, lines, pane, views
from k8slab.show.style import STYLE
from k8slab.trace import Trace

# The list's least height, where it stands above the stage; beside it, it is as high as the stage.
ROWS = 8


def stepper(trace: Trace, network: Network | None = None) -> VBox:
    """The journey as a widget, of DOM class `k8slab-stepper`; `network` tells each host's kind and address.

    >>> from k8slab.lab import Lab
    >>> stepper(Lab("model").ping("client", "10.244.1.7")).children[1].titles[0]
    'The journey in 8 steps'
    """
    top = HTML(STYLE + head(trace))
    layout, style = Layout(), top.style
    panes = {step: HTML(pane(trace, step, network), layout=layout, style=style) for step in trace.steps}
    walks = [_walk(lines(trace, steps), [panes[step] for step in steps], layout)
             for steps in views(trace).values()]
    tabs = Tab(walks, titles=tuple(views(trace)))
    widget = VBox([top, tabs])
    widget.add_class("k8slab-stepper")
    return widget


def _walk(options: list[str], panes: list[HTML], layout: Layout) -> Box:
    """A list of steps beside their panes."""
    select = Select(options=options, index=0, rows=ROWS, description=LIST, layout=layout)
    stack = Stack(panes, selected_index=0, layout=layout)
    jslink((select, "index"), (stack, "selected_index"))
    stack.add_class("k-stage")
    body = Box([select, stack], layout=layout)
    body.add_class("k-body")
    return body

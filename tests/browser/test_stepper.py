"""The stepper as a learner meets it: walked by keyboard in a real JupyterLab, and read before it is run."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.show.headlines import headlines
from k8slab.show.text import twin
from k8slab.show.words import title
from k8slab.trace import Step
from tests.browser.lab import (LOST_WIDGET, Server, Watch, open_notebook, open_stepper, run_all, set_theme, show_cell,
                               wrong_cells)
from tests.show.reading import Reader, words

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, WebSocket

pytestmark = pytest.mark.browser

NOTEBOOK = "01-follow-one-packet.ipynb"
LAB = Lab("model", seed=1)
# The packet that the notebook sends.
TRACE = LAB.send(Packet("tcp", "10.244.1.5", "10.96.0.1", 50000, 443), "client")
VIEWS = {"The journey in 14 steps": headlines(TRACE), "Every step (62)": TRACE.steps}

# The process id of the notebook's kernel.
KERNEL_PID = """async () => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code: 'import os; print(os.getpid())', store_history: false });
  let text = '';
  future.onIOPub = message => { text += message.content.text ?? ''; };
  await future.done;
  return Number(text);
}"""
# Whatever is wider than its place, but for the list, whose lines scroll, and text that flows in its line.
CUT = """() => [...document.querySelectorAll('.k8slab-stepper *')]
  .filter(e => e.offsetParent && e.clientWidth && !e.closest('select'))
  .filter(e => getComputedStyle(e).display !== 'inline' && e.scrollWidth > e.clientWidth + 1)
  .map(e => `${e.tagName} ${e.className}: ${e.scrollWidth} > ${e.clientWidth}`)"""


class Wire:
    """The frames that a page sends to its kernels, from the moment the page opens."""

    def __init__(self, page: "Page") -> None:
        self.sent: list[bytes] = []
        page.on("websocket", self._listen)

    def _listen(self, socket: "WebSocket") -> None:
        socket.on("framesent", lambda frame: self.sent.append(_bytes(frame)))


def _bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


class Walker:
    """The notebook after Run All, with its stepper in sight."""

    def __init__(self, page: "Page", server: Server) -> None:
        self.page, self.watch, self.wire = page, Watch(page, server), Wire(page)
        open_notebook(page, server, NOTEBOOK)
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        run_all(page)
        open_stepper(page)

    def open(self, view: str) -> "Locator":
        """Choose one of the two views, and put the keyboard into its list."""
        self.page.get_by_role("tab", name=view).click()
        steps = self.page.locator(".k8slab-stepper").get_by_role("listbox", name="Steps of the journey")
        steps.focus()
        self.page.keyboard.press("Home")
        return steps

    def assert_shows(self, step: Step) -> None:
        """The one pane in sight says what this step's twin says."""
        count = self.page.locator(".k-pane:visible .k-count")
        count.get_by_text(f"Step {step.number} of ").wait_for(timeout=5000)
        panes = self.page.locator(".k-pane:visible")
        assert panes.count() == 1
        shown = words(Reader(panes.inner_html()).text)
        said = words(twin(TRACE, step, LAB.network)) - {"→", "←"}
        assert said <= shown, said - shown


# First, while the file is as it was committed: the page of the other tests runs it, and JupyterLab saves it.
def test_a_notebook_that_was_not_run_shows_the_saved_page(server: Server, browser: "Browser") -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    try:
        watch = Watch(page, server)
        open_notebook(page, server, NOTEBOOK)
        show_cell(page, "unit.after(")
        saved = page.locator(".jp-OutputArea-output:has(details)", has_text="Make your guess, then open").first
        saved.locator("summary").first.click()
        assert saved.locator("summary").nth(1).inner_text() == f"1. {title(TRACE.steps[0])}"
        assert saved.locator("details").count() == len(headlines(TRACE)) + 2
        saved.locator("summary", has_text=re.compile(r"^9\. ")).click()
        assert saved.get_by_text("10.106.175.128:6443 (changed)").first.is_visible()
        assert not LOST_WIDGET.search(page.locator(".jp-Notebook").inner_text())
        assert page.locator(".k8slab-stepper").count() == 0 and watch.complaints() == []
    finally:
        page.close()


@pytest.fixture(scope="module")
def walker(server: Server, browser: "Browser") -> Iterator[Walker]:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    yield Walker(page, server)
    page.close()


@pytest.mark.parametrize("view", VIEWS)
def test_arrow_keys_walk_the_journey_forward_and_back(walker: Walker, view: str) -> None:
    steps = VIEWS[view]
    listbox = walker.open(view)
    lines = [line.strip().replace("\xa0", " ") for line in listbox.locator("option").all_inner_texts()]
    assert [line.split("  ", 2)[2] for line in lines] == [title(step) for step in steps]
    for step in steps:
        walker.assert_shows(step)
        walker.page.keyboard.press("ArrowDown")
    for step in reversed(steps):
        walker.assert_shows(step)
        walker.page.keyboard.press("ArrowUp")
    assert wrong_cells(walker.page) == [] and walker.watch.complaints() == []


def test_keys_pressed_in_the_list_do_nothing_to_the_notebook(walker: Walker) -> None:
    # JupyterLab's own keys: delete the cell, make it Markdown, a heading, cut it, undo.
    state = """() => { const notebook = window.jupyterapp.shell.currentWidget.content;
      return [notebook.activeCellIndex, notebook.model.toJSON().cells.map(cell => cell.cell_type)]; }"""
    before = walker.page.evaluate(state)
    listbox = walker.open("The journey in 14 steps")
    for key in ("d", "d", "m", "3", "x", "z", "j", "ArrowDown", "ArrowUp"):
        walker.page.keyboard.press(key)
    assert walker.page.evaluate(state) == before
    assert listbox.evaluate("list => document.activeElement === list")


def test_walking_asks_python_nothing(walker: Walker) -> None:
    steps = VIEWS["The journey in 14 steps"]
    walker.open("The journey in 14 steps")
    kernel = walker.page.evaluate(KERNEL_PID)
    before = len(walker.wire.sent)
    os.kill(kernel, signal.SIGSTOP)        # a process that is stopped answers nothing
    try:
        for step in steps:
            walker.assert_shows(step)
            walker.page.keyboard.press("ArrowDown")
    finally:
        os.kill(kernel, signal.SIGCONT)
    # ipywidgets tells its kernel which line is chosen, as it does for every control. Nothing waits for that,
    # and it is a number: no text of a pane travels. The browser reports its frames a little later.
    give_up = time.monotonic() + 10
    while not walker.wire.sent[before:] and time.monotonic() < give_up:
        walker.page.wait_for_timeout(50)
    told = walker.wire.sent[before:]
    assert told and all(re.search(rb'"state":\{"(selected_)?index":\d+\}', frame) for frame in told), told


def test_what_a_screen_reader_is_told(walker: Walker) -> None:
    walker.open("The journey in 14 steps")
    nodes = walker.page.context.new_cdp_session(walker.page).send("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value", ""))
             for node in nodes if not node["ignored"]}
    assert ("listbox", "Steps of the journey") in named
    assert {("tab", view) for view in VIEWS} <= named
    assert {("columnheader", name) for name in ("Field", "Before", "After")} <= named
    assert {("rowheader", name) for name in ("Source", "Destination", "TTL", "Mark", "Connection")} <= named


def test_rules_passed_over_open_by_keyboard(walker: Walker) -> None:
    step = next(s for s in TRACE.steps if s.kind == "NAT" and s.passed)
    walker.open("Every step (62)").select_option(index=step.number - 1)
    walker.assert_shows(step)
    summary = walker.page.locator(".k-pane:visible summary")
    reason = walker.page.locator(".k-pane:visible li").first
    assert not reason.is_visible()
    summary.focus()
    walker.page.keyboard.press("Enter")
    assert reason.is_visible() and str(step.passed[0]) in reason.inner_text()


@pytest.mark.parametrize("width", [620, 1280, 1700])
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_nothing_is_cut_off_at_any_width(walker: Walker, width: int, theme: str) -> None:
    page = walker.page
    set_theme(page, theme)
    page.set_viewport_size({"width": width, "height": 1000})
    walker.open("Every step (62)").select_option(index=8)
    walker.assert_shows(TRACE.steps[8])
    assert page.evaluate(CUT) == []

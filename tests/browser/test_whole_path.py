"""A learner's whole path on the model: every unit in its order, guessed, answered and solved through the page.

At the end a table says how long each unit took this learner, who never thinks, and what its kernel needed at most.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from k8slab.course.catalogue import UNITS
from k8slab.course.exercise import Exercise
from tests.browser.conftest import NOTEBOOKS
from tests.browser.lab import Watch, copy_notebooks, jupyterlab, open_notebook, run_all, wrong_cells
from tests.browser.test_course import CHANGE_AND_RUN, EDITS, FILES, Desk

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
KERNEL = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id"
CLOSE = """async () => { const panel = window.jupyterapp.shell.currentWidget;
  await panel.sessionContext.shutdown(); panel.context.model.dirty = false; panel.dispose(); }"""


def peak(kernel: str) -> int:
    """The most memory that a kernel's process ever had, in MB."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if kernel in (process / "cmdline").read_text():
                return int(re.search(r"VmHWM:\s+(\d+)", (process / "status").read_text())[1]) // 1024
        except OSError:
            continue
    raise LookupError(f"no process of the kernel {kernel}")


SOURCES = "() => window.jupyterapp.shell.currentWidget.content.widgets.map(c => c.model.sharedModel.getSource())"
ASKED = re.compile(r"unit\.predict\(([^)]*)\)")


def guess(at: Desk, number: str) -> None:
    """Keep the first option of each prediction as the guess."""
    options = {one.key: one.options for one in UNITS[number].predictions}
    for source in at.page.evaluate(SOURCES):
        if asked := ASKED.search(source):
            for place, key in enumerate(re.findall(r'"([^"]+)"', asked[1])):
                panel = at.panel(asked[0]).nth(place)
                panel.get_by_role("radio", name=options[key][0], exact=True).check()
                panel.get_by_role("button", name="Keep my guess").click()
                panel.get_by_text("Kept:").wait_for()


def solve(at: Desk, exercise: Exercise) -> None:
    """Answer one exercise: an ordering task at once, another first as it is often done, and then right."""
    if exercise.items:
        panel = at.panel(f'unit.order("{exercise.key}"')
        for place, item in enumerate(exercise.solution, 1):
            panel.get_by_role("button", name=item, exact=True).press("Enter")
            panel.get_by_role("button", name=f"{place}. {item}", exact=True).wait_for()
        panel.get_by_role("button", name="Check the order").press("Enter")
        panel.get_by_text("Right.", exact=True).wait_for()
        return
    words = f'unit.check("{exercise.key}"'
    for above, verdict in zip(EDITS[exercise.key], ("Not yet.", "Right.")):
        panel = at.panel(words)
        at.page.evaluate(CHANGE_AND_RUN, [words, above])
        panel.get_by_text(verdict, exact=True).wait_for()


def answer(at: Desk, number: str) -> None:
    """Answer the unit's quiz."""
    quiz = at.panel("unit.quiz()")
    for question in UNITS[number].quiz.questions:
        quiz.get_by_role("radio", name=question.right, exact=True).check()
        quiz.get_by_text(f"Right. {question.choices[question.right][:20].split('`')[0]}").first.wait_for()


def test_all_units_with_right_answers(browser: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_DATAPLANE", "model")
    folder = copy_notebooks(NOTEBOOKS, tmp_path)
    lines = ["", "unit  seconds  MB at most"]
    with jupyterlab(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(20_000)
        at = Desk(page, folder, Watch(page, server))
        for number in UNITS:
            began = time.monotonic()
            open_notebook(page, server, FILES[number])
            page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
            run_all(page)
            guess(at, number)
            for exercise in UNITS[number].exercises:
                solve(at, exercise)
            answer(at, number)
            assert wrong_cells(page) == []
            lines.append(f"{number}  {time.monotonic() - began:11.1f}  {peak(page.evaluate(KERNEL)):10}")
            page.evaluate(CLOSE)
        open_notebook(page, server, "index.ipynb")
        run_all(page)
        at.panel("course.progress()").get_by_text("You have done all units.").wait_for()
        assert at.watch.complaints() == []
        page.close()
    print("\n".join(lines))

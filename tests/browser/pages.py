"""Exported pages for the tests: what `make page` writes, opened from the disk, and all it asks for noted.

    page = Opened(browser, file, width=1280, color_scheme="dark")
    page.stepper(0).open("Every step (62)")
    assert page.complaints() == []
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from k8slab.network import Network
from k8slab.show.text import twin
from k8slab.trace import Step, Trace
from tests.show.reading import Reader, words

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Request

SCRIPT = Path(__file__).parents[2] / "scripts" / "pages.py"
# Without it JupyterLab would ask which kernel to take.
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def write_notebook(path: Path, *sources: str) -> Path:
    """Write a notebook with these code cells, not run, under a heading of its own; return its path."""
    cells = [new_markdown_cell(f"# {path.stem}"), *(new_code_cell(source) for source in sources)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    return path


def export(folder: Path, notebooks: Sequence[Path]) -> dict[str, Path]:
    """Run `scripts/pages.py` as make does; return the page's file by the notebook's name without its ending.

    In a process of its own: nbclient wants an event loop, and playwright holds this thread's.
    """
    command = [sys.executable, SCRIPT, "--into", folder, *notebooks]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return {path.stem: folder / f"{path.stem}.html" for path in notebooks}


class Opened:
    """A page in a browser of its own; everything that it asks for or complains of is noted."""

    def __init__(self, browser: "Browser", file: Path, width: int = 1280, **options: object) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 1000}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(5000)
        self.console: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        self.page.on("request", self._note)
        self.address = file.resolve().as_uri()
        self.page.goto(self.address)
        for gate in self.page.locator("summary", has_text="Make your guess, then open").all():
            gate.click()

    def _note(self, request: "Request") -> None:
        if not request.url.startswith("data:"):
            self.requests.append(request.url)

    def complaints(self) -> list[str]:
        """Return what the console said, and every request but the one for the page itself."""
        return self.console + [url for url in self.requests if url != self.address]

    def stepper(self, number: int) -> "OnPage":
        """Return one of the page's steppers, counted from 0."""
        return OnPage(self.page.locator(".k8slab-stepper").nth(number))

    def close(self) -> None:
        """Close the page."""
        self.context.close()


class OnPage:
    """One stepper of a page."""

    def __init__(self, place: "Locator") -> None:
        self.place, self.keyboard = place, place.page.keyboard

    @property
    def steps(self) -> "Locator":
        """The list that is in sight, found by its role and name."""
        return self.place.get_by_role("listbox", name="Steps of the journey", exact=True)

    def open(self, view: str) -> "Locator":
        """Choose one of the two views, and put the keyboard into its list, on the first line."""
        self.place.get_by_role("tab", name=view, exact=True).click()
        self.steps.focus()
        self.keyboard.press("Home")
        return self.steps

    def said(self) -> str:
        """The words of what is in sight on the stage."""
        panes = self.place.locator(".k-pane:visible")
        assert panes.count() == 1
        return Reader(panes.inner_html()).text

    def assert_shows(self, trace: Trace, step: Step, network: Network | None) -> None:
        """The stage says what this step's twin says, and no other step's."""
        said = self.said()
        assert f"Step {step.number} of {len(trace.steps)} " in said
        wanted = words(twin(trace, step, network)) - {"→", "←"}
        assert wanted <= words(said), wanted - words(said)

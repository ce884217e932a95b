"""The whole course as pages: every notebook is exported, every link between them holds, every stepper is alive."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.browser.conftest import NOTEBOOKS
from tests.browser.pages import Opened, export

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LINKS = "() => [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))"
ANCHOR = re.compile(r"https?://[^\s]+$")
SHOW = re.compile(r"(?<![\w.])show\(")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each notebook."""
    return export(tmp_path_factory.mktemp("pages"), sorted(NOTEBOOKS.glob("*.ipynb")))


def shown(name: str) -> int:
    """How many steppers the notebook's code asks for."""
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    return sum(len(SHOW.findall(cell.source)) for cell in cells if cell.cell_type == "code")


def test_links_hold_and_every_stepper_walks(pages: dict[str, Path], browser: "Browser") -> None:
    walked = 0
    for name, file in pages.items():
        opened = Opened(browser, file)
        for link in opened.page.evaluate(LINKS):
            path, _, anchor = link.partition("#")
            assert ANCHOR.match(link) or not path or (file.parent / path).is_file(), (name, link)
            assert not anchor or path or opened.page.locator(f"[id='{anchor}']").count(), (name, link)
        count = opened.page.locator(".k8slab-stepper").count()
        assert count == opened.page.locator(".k-page.k-alive").count() == shown(name), name
        for number in range(count):
            stepper = opened.stepper(number)
            steps = stepper.open(stepper.place.get_by_role("tab").nth(1).inner_text())
            before = stepper.said()
            opened.page.keyboard.press("End")
            last = steps.locator("option").count()
            assert f"Step {last} of {last} " in stepper.said() != before, (name, number)
            walked += 1
        assert opened.complaints() == [], name
        opened.close()
    assert walked >= 7

"""Each notebook runs from top to bottom in a real JupyterLab: no error in a cell, the page, or a request.

The units do so in `test_course.py`, where a learner then works them.
"""

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import NOTEBOOKS
from tests.browser.lab import Server, Watch, open_notebook, run_all, wrong_cells
from tests.browser.test_course import FILES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

OTHERS = sorted({path.name for path in NOTEBOOKS.glob("*.ipynb")} - {*FILES.values()})


def test_every_notebook_is_run() -> None:
    assert "index.ipynb" in OTHERS and FILES


@pytest.mark.parametrize("notebook", OTHERS)
def test_runs_without_error(notebook: str, server: Server, browser: "Browser") -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        watch = Watch(page, server)
        open_notebook(page, server, notebook)
        run_all(page)
        assert wrong_cells(page) == []
        assert watch.complaints() == []
    finally:
        page.close()

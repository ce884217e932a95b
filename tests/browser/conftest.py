"""One JupyterLab and one browser for each file of browser tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import headless_chromium
from tests.browser.lab import Server, copy_notebooks, jupyterlab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A JupyterLab on a copy of the notebooks."""
    with jupyterlab(copy_notebooks(NOTEBOOKS, tmp_path_factory.mktemp("lab"))) as running:
        yield running


# For a module and not for the session: while playwright runs it holds the thread's event loop, and nbval,
# which may come later in the same process, wants one of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A headless Chromium."""
    with headless_chromium() as running:
        yield running

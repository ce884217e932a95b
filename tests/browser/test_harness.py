"""The harness sees what goes wrong: a notebook in which everything does."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import lab
from tests.browser.lab import Server, Watch, jupyterlab, open_notebook, run_all, wrong_cells

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

# A view of a widget that no kernel knows.
LOST = """{"application/vnd.jupyter.widget-view+json":
  {"model_id": "0" * 32, "version_major": 2, "version_minor": 0}}"""

# Bound and not listening: a port that is refused, and that nobody else can take meanwhile.
NOBODY = socket.socket()
NOBODY.bind(("127.0.0.1", 0))
CELLS = (
    "from IPython.display import HTML, Javascript, display",
    "display(Javascript('console.error(\"the moon is down\")'))",
    f"display(HTML('<img alt=\"none\" src=\"http://127.0.0.1:{NOBODY.getsockname()[1]}/moon.png\">'))",
    f"display({LOST}, raw=True)",
    "1 / 0",
    "'not reached'",
)


def notebook_of(*sources: str) -> str:
    """Return the text of a notebook with these code cells, not run."""
    cells = [{"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "execution_count": None,
              "outputs": [], "source": source} for number, source in enumerate(sources)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A JupyterLab on a folder with the notebook."""
    folder = tmp_path_factory.mktemp("lab") / "notebooks"
    folder.mkdir()
    (folder / "broken.ipynb").write_text(notebook_of(*CELLS))
    with jupyterlab(folder) as running:
        yield running


def test_everything_that_goes_wrong_is_told(server: Server, browser: "Browser") -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    watch = Watch(page, server)
    open_notebook(page, server, "broken.ipynb")
    assert watch.complaints() == []
    run_all(page)
    wrong = wrong_cells(page)
    assert "code cell 5, ZeroDivisionError: division by zero: 1 / 0" in wrong
    assert "code cell 6 was not run: 'not reached'" in wrong
    assert any(line.startswith("a widget was not drawn") for line in wrong)
    complaints = "\n".join(watch.complaints())
    assert "console: the moon is down" in complaints
    assert "request outside: http://127.0.0.1:" in complaints
    assert "failed request: net::ERR_CONNECTION_REFUSED" in complaints


def test_a_busy_port_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setattr(lab, "free_port", lambda: listener.getsockname()[1])
        (tmp_path / "notebooks").mkdir()
        with pytest.raises(RuntimeError, match="already in use"), jupyterlab(tmp_path / "notebooks"):
            pass

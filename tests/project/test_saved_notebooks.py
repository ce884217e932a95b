"""Notebooks are committed executed, and what is saved can be read by anyone who opens the file."""

import json
import re
from pathlib import Path

import pytest

from tests.project.copies import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def code_cells(path: Path) -> list[dict]:
    """Return the code cells that hold anything."""
    return [cell for cell in json.loads(path.read_text())["cells"]
            if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


@notebooks
def test_was_run_from_top_to_bottom_in_a_new_kernel(path: Path) -> None:
    # nbval compares nothing in a cell without a number, so a notebook saved without them would test nothing.
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@notebooks
def test_holds_no_widget_that_needs_its_kernel(path: Path) -> None:
    # JupyterLab shows a saved widget view without its kernel as an error.
    views = ["".join(cell["source"]) for cell in code_cells(path) for output in cell["outputs"]
             if WIDGET_VIEW in output.get("data", {})]
    assert views == []
    assert "widgets" not in json.loads(path.read_text())["metadata"]


@notebooks
def test_holds_no_error_that_it_does_not_announce(path: Path) -> None:
    quiet = [cell for cell in code_cells(path) if "raises-exception" not in cell["metadata"].get("tags", [])]
    errors = [output["ename"] for cell in quiet for output in cell["outputs"]
              if output["output_type"] == "error"]
    assert errors == []


@notebooks
def test_names_the_kernel_that_every_install_has(path: Path) -> None:
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"


@notebooks
def test_has_one_title_and_no_path_of_the_machine_it_ran_on(path: Path) -> None:
    text = path.read_text()
    cells = json.loads(text)["cells"]
    prose = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown")
    assert len(re.findall(r"^# ", re.sub(r"(?ms)^```.*?^```", "", prose), re.M)) == 1
    assert re.findall(r"/(?:home|root|Users)/\w+|ipykernel_\d+|site-packages", text) == []

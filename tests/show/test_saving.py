"""What scripts/execute_notebooks.py keeps of a notebook's outputs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

SCRIPT = Path(__file__).parents[2] / "scripts" / "execute_notebooks.py"
SPEC = importlib.util.spec_from_file_location("execute_notebooks", SCRIPT)
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)


def test_a_live_widget_is_left_out_and_its_text_kept() -> None:
    data = {"text/plain": "the twin", "text/html": "<p>the page", script.WIDGET_VIEW: {"model_id": "1"}}
    (kept,) = script.saved([new_output("execute_result", data=data)])
    assert kept.data == {"text/plain": "the twin", "text/html": "<p>the page"}


def test_text_that_came_in_pieces_is_put_together_and_kept_apart_from_errors() -> None:
    pieces = [new_output("stream", name=name, text=text)
              for name, text in (("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d"))]
    assert [(kept.name, kept.text) for kept in script.saved(pieces)] == [
        ("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]


def test_a_notebook_is_run_and_written_and_one_that_raises_is_not(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.ipynb", tmp_path / "bad.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("print(6 * 7)")], metadata={"widgets": {}}), good)
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), bad)
    before = bad.read_text()
    script.execute(good)
    done = nbformat.read(good, as_version=4)
    assert done.cells[0].outputs[0].text == "42\n" and done.cells[0].execution_count == 1
    assert set(done.metadata) == {"kernelspec", "language_info"} and done.cells[0].metadata == {}
    with pytest.raises(Exception, match="ZeroDivisionError"):
        script.execute(bad)
    assert bad.read_text() == before

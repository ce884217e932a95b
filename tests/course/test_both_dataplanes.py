"""Every second notebook on the real kernel: it prints what is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.course.on_kernel import NOTEBOOKS, assert_prints_the_same


@pytest.mark.kernel
@pytest.mark.parametrize("notebook", [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem == "drills")) for path in NOTEBOOKS[::2]
])
def test_a_notebook_prints_the_same_on_the_real_kernel(notebook: Path, tmp_path: Path) -> None:
    assert_prints_the_same(notebook, tmp_path / "progress.json")

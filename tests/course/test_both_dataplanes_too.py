"""The other notebooks on the real kernel: they print what is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.course.on_kernel import NOTEBOOKS, assert_prints_the_same


@pytest.mark.kernel
@pytest.mark.parametrize("notebook", NOTEBOOKS[1::2], ids=lambda path: path.stem)
def test_a_notebook_prints_the_same_on_the_real_kernel(notebook: Path, tmp_path: Path) -> None:
    assert_prints_the_same(notebook, tmp_path / "progress.json")

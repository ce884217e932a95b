"""Each notebook on the real kernel: what its cells print is what is stored, which the model has printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# By nature not the same in two runs; each has a cell beside it that compares a fact.
NOT_COMPARED = {
    "00-check-your-bench": 2,                  # which dataplane it is; whether this is a Pod
    "06-name-the-chains": 1,                   # a journey that chance has chosen
    "08-one-address-many-api-servers": 3,      # another, and counts by chance, as a picture and as text
}


@pytest.mark.kernel
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_the_same_on_the_real_kernel(notebook: Path, tmp_path: Path) -> None:
    environment = os.environ | {"K8SLAB_DATAPLANE": "kernel", "K8SLAB_PROGRESS": str(tmp_path / "progress.json")}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(notebook)],
                          cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_few_outputs_are_not_compared(notebook: Path) -> None:
    assert notebook.read_text(encoding="utf-8").count("nbval-ignore-output") == NOT_COMPARED.get(notebook.stem, 0)

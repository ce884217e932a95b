"""A notebook on the real kernel: what its cells print is what is stored, which the model has printed.

Two files of tests share the notebooks, so that two processes do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def assert_prints_the_same(notebook: Path, progress: Path) -> None:
    """Run a notebook's cells on the kernel; `progress`: the file for what they keep."""
    environment = os.environ | {"K8SLAB_DATAPLANE": "kernel", "K8SLAB_PROGRESS": str(progress)}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
                           str(notebook)],
                          cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-6000:]

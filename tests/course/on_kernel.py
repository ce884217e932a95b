"""A notebook on the real kernel: what its cells print is what is stored, which the model has printed.

Two files of tests share the notebooks, so that two processes do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def assert_prints_the_same(notebook: Path, progress: Path) -> None:
    """Run a notebook's cells on the kernel; `progress`: the file for what they keep.

    Where the first run differs there is a second one, and a warning with what the first printed: a machine that keeps
    the lab from answering for 40 ms makes TCP send an acknowledgement more (tests/kernel/test_time.py).
    """
    first = _run(notebook, progress)
    if first.returncode:
        progress.unlink(missing_ok=True)
        again = _run(notebook, progress)
        assert again.returncode == 0, first.stdout[-6000:] + again.stdout[-6000:]
        warnings.warn(f"{notebook.stem} printed something else the first time:\n{first.stdout[-3000:]}", stacklevel=2)


def _run(notebook: Path, progress: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"K8SLAB_DATAPLANE": "kernel", "K8SLAB_PROGRESS": str(progress)}
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
                           str(notebook)],
                          cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)

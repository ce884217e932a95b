"""A lab on the real kernel that nobody holds any more is let go: no process of it stays, and nothing is said."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.kernel

HEAD = """
import os, time
from pathlib import Path
def labs():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
"""
AGAIN = HEAD + """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(history_length=0)
shell.run_cell("from k8slab.lab import Lab")
for _ in range(10):
    shell.run_cell("lab = Lab()\\nlab.connect('client', '10.96.0.1', 443).verdict", store_history=True)
    print(len(labs()))
shell.run_cell("del lab")
print(len(labs()), "at last")
"""
EXIT = HEAD + """
from k8slab.lab import Lab
lab = Lab()
class Circle: pass
circle = Circle(); circle.lab, circle.me = lab, circle       # only the end of the interpreter lets go
held = [Lab(), lab]
print(*labs())
"""
RESET = HEAD + """
from k8slab.lab import Lab
lab = Lab()
for _ in range(5):
    lab.reset()
print(len(labs()))
lab.close()
print(len(labs()))
"""


def run(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | {"K8SLAB_DATAPLANE": "kernel"},
                          capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_cell_that_is_run_ten_times_leaves_one_process() -> None:
    lines = [line for line in run(AGAIN) if not line.startswith("Out[")]
    assert lines == ["1"] * 10 + ["0 at last"]


def test_at_the_end_of_the_interpreter_every_process_ends_and_nothing_is_said() -> None:
    pids = run(EXIT)[-1].split()
    assert len(pids) == 2 and not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def test_a_reset_lab_holds_one_process_and_a_closed_one_none() -> None:
    assert run(RESET) == ["1", "0"]

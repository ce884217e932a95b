"""Whatever is killed, and whenever: nothing of a lab is left, and the host is as it was."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from k8slab.kernel.dataplane import Kernel
from tests.kernel.journeys import network, rules
from tests.kernel.users import USERS, start

pytestmark = pytest.mark.kernel


def moments(user: str, seed: int, count: int) -> None:
    """Run `count` moments as this user, who may have no more namespaces than one lab's if he is an ordinary one."""
    words = ["-m", "tests.kernel.moments", str(seed), str(count), *(["--limit"] if user == "user" else [])]
    done = start(user, words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = done.communicate(timeout=20 + 20 * count)[0]
    assert done.returncode == 0, said
    assert said.count("nothing left") == count


@pytest.mark.parametrize("user", USERS)
def test_nothing_is_left_after_a_kill(user):
    moments(user, seed=6, count=6)


@pytest.mark.slow
@pytest.mark.parametrize("user", USERS)
def test_nothing_is_left_after_fifty_kills(user):
    moments(user, seed=1, count=50)


def test_a_process_that_hangs_ends_with_its_pipe():
    lab = Kernel(network(), rules())
    outer = lab.holder.process
    inner = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text(encoding="ascii"))
    os.kill(inner, signal.SIGSTOP)
    lab.holder.pipe.close()                  # as when the notebook's process is killed
    outer.wait(30)
    assert not Path(f"/proc/{inner}").exists()

"""Whatever is killed, and whenever: nothing of a lab is left, and the host is as it was."""

from __future__ import annotations

import subprocess

import pytest

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

"""What both dataplanes must agree on when they run a command on a host."""

from __future__ import annotations

from pathlib import PurePosixPath

# Programs whose non-zero exit is an answer (nobody there, refused, nothing found) and no mistake of the caller's.
ANSWERS = frozenset({"ping", "curl", "nc", "conntrack"})


def is_answer(program: str) -> bool:
    """Whether a failure of this program, a name or a path, is what was asked for: what it prints is returned.

    >>> is_answer("/usr/bin/ping"), is_answer("ip")
    (True, False)
    """
    return PurePosixPath(program).name in ANSWERS

"""The system calls that Python 3.11 has no names for: unshare, setns, prctl and mount, through ctypes.

`os.unshare` and `os.setns` are there from Python 3.12 on; until 3.11 is dropped, this is the one place that asks libc.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

NEWNS, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000      # include/uapi/linux/sched.h
MS_REC, MS_PRIVATE = 0x4000, 1 << 18                              # include/uapi/linux/mount.h
PR_SET_PDEATHSIG = 1                                              # include/uapi/linux/prctl.h

_libc = ctypes.CDLL(None, use_errno=True)


def _asked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` names for new ones. Raises OSError where the kernel refuses.

    >>> unshare(0)
    """
    _asked(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int = NEWNET) -> None:
    """Move this thread into the namespace of that descriptor. Raises OSError where the kernel refuses."""
    _asked(_libc.setns(descriptor, kind), "setns")


def die_with_parent(signal: int) -> None:
    """Have the kernel send this process a signal when the thread that made it ends (prctl(2), PR_SET_PDEATHSIG)."""
    _asked(_libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


def mount(source: str, target: str, kind: str, flags: int) -> None:
    """Mount a file system, or change how one is mounted. Raises OSError where the kernel refuses."""
    _asked(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None),
           f"mount {target}")


def this_network() -> int:
    """A descriptor of the network namespace that this thread is in; it keeps the namespace alive."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def new_network() -> int:
    """A descriptor of a new, empty network namespace; this thread stays where it was."""
    home = this_network()
    try:
        unshare(NEWNET)
        made = this_network()
        setns(home)
        return made
    finally:
        os.close(home)


@contextmanager
def inside(network: int, home: int) -> Iterator[None]:
    """Within the `with`, this thread is in `network`; afterwards it is in `home` again. Both are descriptors."""
    setns(network)
    try:
        yield
    finally:
        setns(home)

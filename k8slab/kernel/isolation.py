"""How the child process shuts itself away: user, process and network namespaces of its own.

    the notebook ── pipe ──> outer process ── fork ──> inner process: process 1 of its own namespace
                              waits for inner           holds every namespace of the lab

Root, too, gets a user namespace, so that a mistake meets EPERM and not the host's interfaces. When the pipe closes
the inner process ends, or is ended; when either of the two is killed the kernel kills the other, and with process 1
of a namespace every process in it. Nothing was ever mounted, named or written outside, so that nothing is left.
"""

from __future__ import annotations

import os
import select
import signal
import sys

from k8slab.kernel import linux

PATIENCE = 2000          # milliseconds that the inner process has to end by itself


def isolate(pipe: int) -> None:
    """Put this process, which must have one thread, away; returns in the inner process alone.

    `pipe`: the descriptor whose other end the notebook holds.

    Raises OSError where the kernel refuses, with the call that it refused.
    """
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.NEWUSER | linux.NEWPID | linux.NEWNET)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        try:
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            raise OSError(error.errno, f"/proc/self/{name}: {error.strerror}") from None
    alive, held = os.pipe()              # the outer process holds the one end as long as it lives
    inner = os.fork()
    if inner:
        _stand_by(inner, pipe)
    os.close(held)
    linux.die_with_parent(signal.SIGKILL)
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)                      # it was killed before the kernel knew that this process goes with it
    os.close(alive)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")
    sys.stdin.close()


def _stand_by(inner: int, pipe: int) -> None:
    """The outer process: it ends with the inner one, and sees to it that the inner one ends with the pipe."""
    ended = os.pidfd_open(inner)
    waits = select.poll()
    waits.register(ended, select.POLLIN)
    waits.register(pipe, 0)                     # nothing but that its other end was closed
    if ended not in [descriptor for descriptor, _ in waits.poll()]:
        waits.unregister(pipe)
        if not waits.poll(PATIENCE):            # it may be in the middle of something, or hang
            os.kill(inner, signal.SIGKILL)
    os.waitpid(inner, 0)
    os._exit(0)

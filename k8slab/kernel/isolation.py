"""How the child process shuts itself away: user, process and network namespaces of its own.

    the notebook ── pipe ──> outer process ── fork ──> inner process: process 1 of its own namespace
                              waits for inner           holds every namespace of the lab

Root, too, gets a user namespace, so that a mistake meets EPERM and not the host's interfaces. When the pipe closes
the inner process ends; when either of the two is killed the kernel kills the other, and with process 1 of a namespace
every process in it. Nothing was ever mounted, named or written outside, so that nothing is left.
"""

from __future__ import annotations

import os
import signal
import sys

from k8slab.kernel import linux


def isolate() -> None:
    """Put this process, which must have one thread, away; returns in the inner process alone.

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
    inner = os.fork()
    if inner:
        os.closerange(3, 1 << 12)
        os.waitpid(inner, 0)
        os._exit(0)
    linux.die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")
    sys.stdin.close()

"""Programs that run in the lab's namespaces: many at once while the lab is made, and one for whoever asks.

What a program reads on standard input lies in a file without a name (memfd_create(2)), so that no pipe can stand in
the way. Of this process's descriptors a program inherits those of the namespaces, by which `ip` names them.
"""

from __future__ import annotations

import os
import selectors
import shlex
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from k8slab.kernel.linux import inside

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "XTABLES_LOCKFILE": "/proc/self/ns/net", "HOME": "/"}
Job = tuple[list[str], str]          # the words of a program, and its standard input


def start(words: list[str], given: bytes, network: int, home: int) -> subprocess.Popen:
    """Start a program in the namespace of that descriptor. Raises OSError where there is no such program."""
    text = os.memfd_create("standard input")
    try:
        with open(text, "wb", closefd=False) as file:
            file.write(given)
        os.lseek(text, 0, os.SEEK_SET)
        with inside(network, home):
            # All other descriptors close on exec, as Python opens them.
            return subprocess.Popen(words, stdin=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    env=ENVIRONMENT, close_fds=False, start_new_session=True)
    finally:
        os.close(text)


@dataclass(slots=True)
class Queue:
    """Programs that run in one host ("" is where this process lives), each when the one before it has ended well."""

    host: str
    left: deque[Job]
    running: subprocess.Popen | None = None
    said: list[bytes] = field(default_factory=list)


class Jobs:
    """All queues that are at work. `network` gives a host's descriptor."""

    def __init__(self, network: Callable[[str], int], home: int) -> None:
        self.network, self.home, self.waits = network, home, selectors.DefaultSelector()

    def begin(self, queues: Iterable[tuple[str, list[Job]]]) -> list[Queue]:
        """Set queues to work."""
        begun = [Queue(host, deque(jobs)) for host, jobs in queues]
        for queue in begun:
            self._next(queue)
        return begun

    def finish(self, queues: list[Queue] | None = None) -> None:
        """Wait until these queues, or all, are through. Raises RuntimeError for the first program that fails."""
        while any(one.running for one in queues) if queues is not None else self.waits.get_map():
            for key, _ in self.waits.select():
                piece = os.read(key.fd, 65536)
                if piece:
                    key.data.said.append(piece)
                else:
                    self._ended(key.data)

    def _ended(self, queue: Queue) -> None:
        process, queue.running = queue.running, None
        self.waits.unregister(process.stdout)
        process.stdout.close()
        if process.wait():
            said = b"".join(queue.said).decode(errors="replace").strip()
            raise RuntimeError(f"{queue.host or 'the lab'}: {shlex.join(process.args)}: {said}")
        self._next(queue)

    def _next(self, queue: Queue) -> None:
        if queue.left:
            words, given = queue.left.popleft()
            queue.said = []
            queue.running = start(words, given.encode(), self.network(queue.host), self.home)
            self.waits.register(queue.running.stdout, selectors.EVENT_READ, queue)


def attend(process: subprocess.Popen, seconds: float, asked: object, pump: Callable[[], object]) -> tuple[int, str]:
    """Stay with a program until it ends, for some seconds at most; its exit status and what it printed.

    `pump` is called all the while. It is also ended when `asked`, from which nothing is expected, can be read: then
    that is closed.
    """
    end, printed, waits = time.monotonic() + seconds, [], selectors.DefaultSelector()
    waits.register(process.stdout, selectors.EVENT_READ)
    waits.register(asked, selectors.EVENT_READ)
    with waits, process.stdout:
        while True:
            ready = [key.fileobj for key, _ in waits.select(0.002)]
            pump()
            if process.stdout in ready:
                printed.append(os.read(process.stdout.fileno(), 65536))
                if not printed[-1]:
                    break
            if time.monotonic() > end or asked in ready:
                process.kill()
                break
    return process.wait(), b"".join(printed).decode(errors="replace")

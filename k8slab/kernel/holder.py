"""The lab's end of the pipe: the child process is started, asked and let go here."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
import weakref
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from pathlib import Path

from k8slab.errors import Told

PROGRAM = "import sys; sys.path.insert(0, {root!r}); from k8slab.kernel.child import main; main({descriptor})"
START, ROOT = 20.0, str(Path(__file__).resolve().parents[2])      # seconds to wait for the child's first word


class KernelError(Told):
    """The kernel's dataplane cannot do what was asked; the message says what was refused, by whom."""


class Holder:
    """A running child process. Raises KernelError where it cannot be started, with what was refused."""

    def __init__(self) -> None:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        words = [sys.executable, "-S", "-E", "-c", PROGRAM.format(root=ROOT, descriptor=there.fileno())]
        try:
            # A session of its own: the interrupt that stops a notebook's cell must not reach it.
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL, pass_fds=[there.fileno()],
                                            start_new_session=True)
        except OSError as error:
            here.close()
            there.close()
            raise KernelError(f"no process could be started to hold the namespaces: {error}") from None
        there.close()
        self.pipe = Connection(here.detach())
        self.numbers, self.lock = itertools.count(1), threading.Lock()
        self.close = weakref.finalize(self, _let_go, self.pipe, self.process)
        if not self.pipe.poll(START):
            self._gone()
        self._answer(0)

    def ask(self, name: str, *words: object) -> object:
        """Have the child do something and return what it says. Raises KernelError for its refusal, or its end."""
        with self.lock:
            number = next(self.numbers)
            try:
                self.pipe.send((number, name, words))
                return self._answer(number)
            except OSError:
                self._gone()

    def give(self, name: str, descriptor: int) -> None:
        """Have the child take a descriptor: the method of that name finds it next in the pipe."""
        with self.lock:
            number = next(self.numbers)
            try:
                self.pipe.send((number, name, ()))
                send_handle(self.pipe, descriptor, self.process.pid)
                self._answer(number)
            except OSError:
                self._gone()

    def _answer(self, wanted: int) -> object:
        while True:
            try:
                number, error, value = self.pipe.recv()
            except (EOFError, OSError):
                self._gone()
            if number != wanted:
                continue                # the answer to a question whose asker was interrupted
            if error:
                raise KernelError(error)
            return value

    def _gone(self) -> None:
        self.close()
        raise KernelError("the process that holds the lab's namespaces has ended; make a new Lab()") from None


def _let_go(pipe: Connection, process: subprocess.Popen) -> None:
    pipe.close()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


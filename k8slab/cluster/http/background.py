"""An event loop in a thread of its own: for a server beside a program that does something else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
THREAD = "k8slab API servers"
PATIENCE = 10.0       # seconds that a call into the thread may take


class Background:
    """A thread that runs an event loop until `close`. `call` has it do something, and waits for the result.

    >>> background = Background()
    >>> background.call(lambda: 6 * 7)
    42
    >>> background.close()
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, what: Callable[[], T]) -> T:
        """What a function returns that is called in the thread."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(what())
            except BaseException as error:
                done.set_exception(error)
        self.loop.call_soon_threadsafe(run)
        return done.result(PATIENCE)

    def wait(self, what: Coroutine[object, object, T]) -> T:
        """What a coroutine returns that runs in the thread."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(PATIENCE)

    def close(self) -> None:
        """End the loop and its thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(PATIENCE)
            self.loop.close()

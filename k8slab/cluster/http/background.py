"""A server beside a program that does something else: an event loop in a thread of its own.

The cluster is not made for two threads. So whoever touches it while a server runs holds `lock`, as the server does
while it answers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from socket import socket

from k8slab.cluster.certificates import Certificate
from k8slab.cluster.http.api import Api
from k8slab.cluster.http.listening import Listener


class Background:
    """A Listener in a thread; `close` ends both. `after`: as the Listener's, called in that thread."""

    def __init__(self, api: Api, certificate: Certificate, door: socket, lock: threading.RLock,
                 after: Callable[[], None] = lambda: None) -> None:
        self._loop, started = asyncio.new_event_loop(), threading.Event()
        self._listener: Listener | None = None

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.call_soon(begin)
            self._loop.run_forever()

        def begin() -> None:
            self._listener = Listener(api, certificate, after, lock)
            self._listener.listen(door)
            started.set()

        self._thread = threading.Thread(target=run, name="k8slab API server", daemon=True)
        self._thread.start()
        started.wait()

    def close(self) -> None:
        """End the server and its thread."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._listener.close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

"""The HTTPS server: tornado reads and writes, `api.py` answers.

tornado comes with JupyterLab. One event loop does everything, so that no two requests are answered at once; a watch is
a task that writes as events come, and waits while its client does not read.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from socket import socket

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine, responses
from tornado.iostream import SSLIOStream, StreamClosedError
from tornado.netutil import ssl_wrap_socket

from k8slab.cluster.certificates import Certificate
from k8slab.cluster.http.api import Api
from k8slab.cluster.http.messages import Request, Response, Stream
from k8slab.cluster.http.watching import BOOKMARK, Watch

LARGEST = 3 << 20         # bytes of a body (apiserver, MaxRequestBodyBytes)
BROKEN = (StreamClosedError, ConnectionError, OSError)


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """TLS for a server with this certificate; its key is in a file, of its owner alone, for a moment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="k8slab-") as folder:
        file = Path(folder, "server.pem")
        file.touch(mode=0o600)
        file.write_text(certificate.key + certificate.pem, encoding="ascii")
        context.load_cert_chain(file)
    return context


class Listener:
    """One API server on the network. `after`: called when a request has been answered, for what follows from it.

    `lock`: held while the cluster is touched. It is made within a running event loop, which is where everything
    happens.
    """

    def __init__(self, api: Api, context: ssl.SSLContext, after: Callable[[], None] = lambda: None,
                 lock: AbstractContextManager = nullcontext()) -> None:
        self._api, self._after, self._lock = api, after, lock
        self._tasks: set[asyncio.Task] = set()
        self._context = context
        self._server = HTTPServer(self._asked, ssl_options=self._context, max_body_size=LARGEST)

    def listen(self, door: socket) -> None:
        """Serve a listening socket."""
        door.setblocking(False)
        self._server.add_socket(door)

    def take(self, connection: socket) -> None:
        """Serve a connection that somebody else has accepted."""
        connection.setblocking(False)
        peer = connection.getpeername()
        wrapped = ssl_wrap_socket(connection, self._context, server_side=True, do_handshake_on_connect=False)
        self._server.handle_stream(SSLIOStream(wrapped), peer)

    async def close(self) -> None:
        """Serve no more: open watches end, and so do their connections."""
        self._server.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.close_all_connections()

    def _asked(self, asked: HTTPServerRequest) -> None:
        headers = {name: value for name, value in asked.headers.get_all()}
        request = Request.to(asked.method, _origin(asked.uri), headers, asked.body or b"")
        with self._lock:
            answer = self._api.answer(request)
        if isinstance(answer, Stream):
            task = asyncio.get_running_loop().create_task(self._stream(asked.connection, answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._whole(asked, answer)
        with self._lock:
            self._after()

    @staticmethod
    def _whole(asked: HTTPServerRequest, answer: Response) -> None:
        headers = _headers(answer) | {"Content-Length": str(len(answer.body))}
        body = answer.body if asked.method != "HEAD" else b""
        with suppress(*BROKEN):
            asked.connection.write_headers(_start(answer.status), _with(headers, answer), body)
            asked.connection.finish()

    async def _stream(self, connection: object, stream: Stream) -> None:
        """Write a watch's events as they come, until its time is over or its client is gone."""
        watch, came, loop = stream.watch, asyncio.Event(), asyncio.get_running_loop()

        def heard() -> None:
            came.set()
            if watch.over and connection.stream.writing():         # its client does not read
                connection.stream.close()
        watch.on_event = lambda: loop.call_soon_threadsafe(heard)
        connection.set_close_callback(lambda: (self._forget(watch), came.set()))
        end, bookmark = loop.time() + watch.seconds, loop.time() + BOOKMARK
        try:
            await connection.write_headers(_start(200), _with(_headers(stream), stream))
            while True:
                came.clear()
                with self._lock:
                    lines = [stream.line(event) for event in watch.take()]
                for one in lines:
                    await connection.write(one)
                left = end - loop.time()
                if watch.over or left <= 0:
                    break
                if watch.asked.bookmarks and loop.time() >= bookmark:
                    bookmark += BOOKMARK
                    watch.bookmark()
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(came.wait(), min(left, BOOKMARK / 2))
            connection.finish()
        except BROKEN:
            pass
        finally:
            self._forget(watch)

    def _forget(self, watch: Watch) -> None:
        with self._lock:
            watch.close()


def _origin(target: str) -> str:
    """The path and query of a request's target, whichever form it has (RFC 9112, 3.2)."""
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]


def _start(status: int) -> ResponseStartLine:
    return ResponseStartLine("HTTP/1.1", status, responses.get(status, "Unknown"))


def _headers(answer: Response | Stream) -> dict[str, str]:
    return {"Content-Type": answer.type, "Cache-Control": "no-cache, private"}


def _with(headers: dict[str, str], answer: Response | Stream) -> HTTPHeaders:
    """Headers, of which some may be there several times."""
    found = HTTPHeaders(headers)
    for name, value in answer.headers:
        found.add(name, value)
    return found

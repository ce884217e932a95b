"""TLS and HTTP without a socket: bytes come in, bytes go out, and whoever calls carries them.

`ssl.MemoryBIO` stands where the socket would be, on both ends. What goes out are the records that a network would
see: the model puts them into its segments.
"""

from __future__ import annotations

import http.client
import io
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k8slab.cluster.http.api import Api
from k8slab.cluster.http.messages import Request, Response, Stream

END = b"\r\n\r\n"
MOST = 3 << 20                # bytes of a request
HANDSHAKE = 0x16              # the first byte of a TLS connection: a record that holds a handshake (RFC 8446, 5.1)


class TlsEnd:
    """One end of a TLS connection. `hear` takes what came, and gives what is to be sent; `read` is in plain text."""

    def __init__(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._came, self._goes, server_side=server_name is None,
                                    server_hostname=server_name)
        self.open = False

    def hear(self, data: bytes) -> bytes:
        """Take what came: the handshake goes on, until `open`. What is to be sent.

        Raises ssl.SSLError where the other end's certificate, or what it sent, is not accepted.
        """
        self._came.write(data)
        if not self.open:
            try:
                self.tls.do_handshake()
                self.open = True
            except ssl.SSLWantReadError:
                pass
        return self._goes.read()

    def read(self) -> bytes:
        """The plain text that has come so far, b"" for none."""
        found = b""
        try:
            while piece := self.tls.read(65536):
                found += piece
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return found

    def write(self, plain: bytes) -> bytes:
        """What is to be sent so that the other end reads this."""
        self.tls.write(plain)
        return self._goes.read()

    def rest(self) -> bytes:
        """What is still to be sent: an alert, after an error."""
        return self._goes.read()


class TlsServer:
    """An API server's end of one connection."""

    def __init__(self, context: ssl.SSLContext, api: Api) -> None:
        self._end, self._api, self._plain = TlsEnd(context), api, b""

    def hear(self, data: bytes) -> bytes:
        """Take bytes of a segment; those that are sent because of it."""
        try:
            goes = self._end.hear(data)
            if self._end.open:
                self._plain += self._end.read()
                while found := parsed(self._plain):
                    request, self._plain = found
                    goes += self._end.write(told(self._api.answer(request)))
            return goes
        except ssl.SSLError:
            return self._end.rest()


def parsed(data: bytes) -> tuple[Request, bytes] | None:
    """The first request in these bytes, and what comes after it; None while it is not whole.

    >>> request, rest = parsed(b"GET /api HTTP/1.1\\r\\nHost: a\\r\\n\\r\\nGET")
    >>> request.path, rest
    ('/api', b'GET')
    """
    head, end, body = data.partition(END)
    if not end:
        return None
    first, _, lines = head.decode("latin-1").partition("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in
               (line.partition(":") for line in lines.split("\r\n"))}
    length = headers.get("content-length", "0")
    size = int(length) if length.isascii() and length.isdigit() else 0
    if size > MOST or len(body) < size:
        return None
    method, target, *_ = [*first.split(" "), "", "/"]
    return Request.to(method, target or "/", headers, body[:size]), body[size:]


def told(answer: Response | Stream) -> bytes:
    """An answer as HTTP writes it; of a watch, what there is to tell at this moment."""
    if isinstance(answer, Stream):
        body = b"".join(answer.line(event) for event in answer.watch.take())
        answer.watch.close()
        answer = Response(200, body, answer.type, answer.headers)
    lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, 'Unknown')}",
             f"Content-Type: {answer.type}", f"Content-Length: {len(answer.body)}",
             *(f"{name}: {value}" for name, value in answer.headers)]
    return "\r\n".join(lines).encode("latin-1", "replace") + END + answer.body


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client heard: HTTP's status, the object in the body, and the names in the server's certificate."""

    status: int
    obj: dict
    names: tuple[str, ...]


def asked(exchange: Callable[[bytes], bytes], address: str, path: str, authority: str, token: str) -> Heard:
    """Ask for a path over a connection: `exchange` sends bytes and gives those that come back.

    The same steps as any client's: the handshake, in which the certificate must hold for `address`, then a request
    with the token. Raises ssl.SSLError where it does not hold, http.client.HTTPException for an answer that ends early.
    """
    end = TlsEnd(ssl.create_default_context(cadata=authority), address)
    goes = end.hear(b"")
    while not end.open:
        came = exchange(goes)
        if not came:
            raise http.client.RemoteDisconnected("the connection ended within the handshake")
        goes = end.hear(came)
    request = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nAccept: application/json"
    goes += end.write(request.encode() + END)
    plain = b""
    while not _complete(plain):
        came = exchange(goes)
        if not came:
            raise http.client.IncompleteRead(plain)
        goes = end.hear(came)
        plain += end.read()
    answer = http.client.HTTPResponse(_Bytes(plain))
    answer.begin()
    return Heard(answer.status, json.loads(answer.read()), names_in(end.tls.getpeercert()))


def names_in(certificate: Mapping) -> tuple[str, ...]:
    """The names that a certificate holds for, as `getpeercert` gives it."""
    return tuple(value for _, value in certificate.get("subjectAltName", ()))


def _complete(data: bytes) -> bool:
    """Whether an answer is whole."""
    head, end, body = data.partition(END)
    size = next((int(line.partition(b":")[2]) for line in head.split(b"\r\n")
                 if line.lower().startswith(b"content-length:")), 0)
    return bool(end) and len(body) >= size


class _Bytes:
    """What http.client reads an answer from, in place of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        """The bytes as a file."""
        return io.BytesIO(self._data)

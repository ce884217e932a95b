"""What both dataplanes must agree on when they run a command on a host."""

from __future__ import annotations

from pathlib import PurePosixPath

# Programs whose non-zero exit is an answer (nobody there, refused, nothing found) and no mistake of the caller's.
ANSWERS = frozenset({"ping", "curl", "nc", "conntrack"})
NO_COMMAND = "{node}: no command was given; one looks like ip address"


def is_answer(program: str) -> bool:
    """Whether a failure of this program, a name or a path, is what was asked for: what it prints is returned.

    >>> is_answer("/usr/bin/ping"), is_answer("ip")
    (True, False)
    """
    return PurePosixPath(program).name in ANSWERS


def spoken(line: str, question: bytes) -> bytes:
    """A server's answer: the line alone, or, for a question that begins as HTTP does, a page with it (RFC 1945, 6).

    >>> spoken("web answers", b"GET / HTTP/1.1").splitlines()[0]
    b'HTTP/1.0 200 OK'
    """
    if not question.startswith(b"GET "):
        return line.encode()
    body = f"{line}\n".encode()
    return b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

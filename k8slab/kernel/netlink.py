"""What the kernel says through netlink: rule traces, conntrack events, the list of rules, a route that was asked for.

Theory of operation
-------------------
A netlink message is a header of 16 bytes, then what its family says, then *attributes*: a length, a type and a value,
padded to four bytes; a value may hold attributes itself. Netfilter's messages have four bytes more after the header
(family, version, resource). A *group* is a channel that a socket may listen to:

* NFTRACE reports, for every packet whose `nftrace` is set, each rule hit and each policy of a built-in chain.
  xtables-monitor reads the same messages.
* CONNTRACK_NEW, _UPDATE and _DESTROY report what `conntrack -E` prints.

Each socket belongs to the network namespace in which it was opened, whoever reads it later.

The numbers are from include/uapi/linux/netfilter/{nfnetlink,nf_tables,nfnetlink_conntrack}.h and rtnetlink.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

NETFILTER, ROUTE = 12, 0                                   # netlink families
SUBSYSTEM_CONNTRACK, SUBSYSTEM_NFTABLES = 1, 10
CT_NEW, CT_GET, CT_DELETE = 0, 1, 2
CTA_TUPLE, CTA_TIMEOUT = 1, 7                              # attributes: the original tuple, seconds left
NFT_GETRULE, NFT_TRACE = 7, 17
GROUP_CONNTRACK_NEW, GROUP_CONNTRACK_UPDATE, GROUP_CONNTRACK_DESTROY, GROUP_TRACE = 1, 2, 3, 9
GET_NEIGHBOURS = 30                                        # rtnetlink.h, RTM_GETNEIGH
ERROR, DONE = 2, 3
REQUEST, ACK, DUMP, CREATE = 0x1, 0x4, 0x300, 0x400
ADD_MEMBERSHIP, DROP_MEMBERSHIP, SOL_NETLINK = 1, 2, 270
NESTED = 0x8000
BUFFER = 1 << 22

_HEADER = struct.Struct("=IHHII")


def listen(*groups: int) -> socket.socket:
    """A socket that hears these netfilter groups of the network namespace that this thread is in."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)       # as much of it as the machine allows
    made.bind((0, 0))
    for group in groups:
        made.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    made.setblocking(False)
    return made


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Each message of a datagram: its type, its flags, and what follows the header."""
    at = 0
    while at + 16 <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, at)
        yield kind, flags, data[at + 16:at + length]
        at += (length + 3) & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    """Type → value, of the attributes in `data`; of several with one type, the last.

    >>> attributes(attribute(1, b"nat") + attribute(2, b"x"))
    {1: b'nat', 2: b'x'}
    """
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[at + 4:at + length]
        at += (length + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute as bytes, padded."""
    return struct.pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def request(kind: int, flags: int, body: bytes) -> bytes:
    """One message as bytes."""
    return _HEADER.pack(16 + len(body), kind, REQUEST | flags, 1, 0) + body


def netfilter(subsystem: int, message: int, body: bytes = b"", family: int = socket.AF_INET,
              flags: int = DUMP) -> bytes:
    """A message to netfilter as bytes."""
    return request(subsystem << 8 | message, flags, struct.pack("=BBH", family, 0, 0) + body)


def ask(talk: socket.socket, question: bytes) -> list[tuple[int, bytes]]:
    """Send a question and collect the answers: pairs of type and body. Raises OSError for the kernel's refusal."""
    talk.send(question)
    answers: list[tuple[int, bytes]] = []
    while True:
        for kind, flags, body in messages(talk.recv(1 << 18)):
            if kind == ERROR:
                number = -struct.unpack_from("=i", body)[0]
                if number:
                    raise OSError(number, "netlink refuses")
                return answers
            if kind == DONE:
                return answers
            answers.append((kind, body))
            if not flags & 2:               # NLM_F_MULTI: more of the same list will come
                return answers


def text(value: bytes | None) -> str:
    """A name that ends with a zero byte; "" where there is none."""
    return value.rstrip(b"\0").decode() if value else ""


def number(value: bytes | None) -> int:
    """An integer in network order; 0 where there is none."""
    return int.from_bytes(value, "big") if value else 0

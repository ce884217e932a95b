"""What a kernel was seen doing, as plain values, and how they are read from its messages.

A `Wire` is a packet that a capture saw on an interface; a `Hit` is one line of a rule trace; a `Change` is a change
of a host's table of connections. They cross the pipe between the child process and the lab.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from k8slab.entry import Entry
from k8slab.kernel import netlink
from k8slab.kernel.netlink import attribute, attributes, number, text
from k8slab.packet import ICMP_ERRORS, PROTOCOLS, Flow

TABLE = "k8slab"        # the table of our own that switches the trace on; no iptables command lists it

# Codes of verdicts (nf_tables.h, netfilter.h), as 32 bits with a sign.
DROP, ACCEPT, CONTINUE, JUMP, GOTO, RETURN = 0, 1, -1, -3, -4, -5
TRACE_KINDS = {1: "policy", 2: "return", 3: "rule"}
# The bits of an entry's status (nf_conntrack_common.h), and TCP's states in the kernel's order.
SEEN_REPLY, ASSURED, CONFIRMED = 2, 4, 8
TCP_STATES = ("NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
              "CLOSE", "SYN_SENT2")
NAMES = {value: name for name, value in PROTOCOLS.items()}


class Wire(NamedTuple):
    """A packet on an interface: `time` in nanoseconds, `data` from the IP header up."""

    time: int
    host: str
    interface: str
    outgoing: bool
    data: bytes


class Hit(NamedTuple):
    """A rule that matched, or a policy; `position` counts from 1 in its chain, 0 for a policy.

    `packet` is the kernel's name for the packet, used again for later ones. `network` and `transport` are the first
    bytes of the packet's headers, and stand in the first line of each hook alone; so do `iif` and `oif`.
    """

    host: str
    packet: int
    table: str
    chain: str
    position: int
    kind: str
    verdict: int
    to: str
    mark: int
    iif: str
    oif: str
    network: bytes
    transport: bytes


class Change(NamedTuple):
    """A conntrack event: `what` is "new", "update" or "destroy"; `entry` as it is then."""

    host: str
    what: str
    entry: Entry


def read_hit(host: str, body: bytes, positions: Callable[[str, str, int], int], names: Callable[[int], str]) -> Hit:
    """One trace message; `positions` gives a rule's by table, chain and handle, `names` an interface's name."""
    found = attributes(body[4:])
    verdict = attributes(found.get(5, b""))
    table, chain, kind = text(found.get(1)), text(found.get(2)), TRACE_KINDS.get(number(found.get(4)), "")
    code = struct.unpack(">i", verdict.get(1) or found.get(16) or b"\0\0\0\1")[0]
    position = positions(table, chain, number(found.get(3))) if kind == "rule" and table != TABLE else 0
    iif, oif = (names(number(found[key])) if key in found else "" for key in (10, 12))
    return Hit(host, number(found.get(6)), table, chain, position, kind, code, text(verdict.get(2)),
               number(found.get(14)), iif, oif, found.get(8, b""), found.get(9, b""))


def read_rules(answers: list[tuple[int, bytes]]) -> dict[tuple[str, str, int], int]:
    """Table, chain and handle → position from 1, of a dump of all rules."""
    counts: dict[tuple[str, str], int] = {}
    positions = {}
    for _, body in answers:
        found = attributes(body[4:])
        table, chain = text(found.get(1)), text(found.get(2))
        counts[table, chain] = counts.get((table, chain), 0) + 1
        positions[table, chain, number(found.get(3))] = counts[table, chain]
    return positions


def read_entry(body: bytes) -> Entry | None:
    """The entry that a conntrack message tells of; None where it is not IPv4."""
    if body[0] != socket.AF_INET:
        return None
    found = attributes(body[4:])
    status = number(found.get(3))
    protocol = attributes(attributes(found.get(4, b"")).get(1, b""))
    original = _flow(found[1])
    state = TCP_STATES[protocol[1][0]] if original.proto == "tcp" and 1 in protocol else ""
    return Entry(original, _flow(found[2]), state, bool(status & SEEN_REPLY), bool(status & ASSURED),
                 bool(status & CONFIRMED), number(found.get(8)), number(found.get(7)))


def _flow(data: bytes) -> Flow:
    """One tuple of an entry (CTA_TUPLE_IP, CTA_TUPLE_PROTO)."""
    parts = attributes(data)
    addresses, upper = attributes(parts[1]), attributes(parts[2])
    proto = NAMES.get(upper[1][0], str(upper[1][0]))
    src, dst = (socket.inet_ntoa(addresses[key]) for key in (1, 2))
    if proto == "icmp":
        return Flow(proto, src, dst, icmp_id=number(upper[4]), icmp_type=upper[5][0], icmp_code=upper[6][0])
    ports = [number(upper[key]) if key in upper and proto in PROTOCOLS else None for key in (2, 3)]
    return Flow(proto, src, dst, *ports)


def tuple_bytes(flow: Flow) -> bytes:
    """A tuple as netlink takes it: the inverse of what `read_entry` reads.

    >>> _flow(tuple_bytes(Flow("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)))
    Flow(tcp 10.244.1.5:40000 > 10.96.0.1:443)
    """
    addresses = attribute(1, socket.inet_aton(flow.src)) + attribute(2, socket.inet_aton(flow.dst))
    upper = attribute(1, bytes([PROTOCOLS.get(flow.proto) or int(flow.proto)]))
    if flow.proto == "icmp":
        upper += attribute(4, struct.pack(">H", flow.icmp_id)) + attribute(5, bytes([flow.icmp_type]))
        upper += attribute(6, bytes([flow.icmp_code]))
    elif flow.sport is not None:
        upper += attribute(2, struct.pack(">H", flow.sport)) + attribute(3, struct.pack(">H", flow.dport))
    return attribute(1 | netlink.NESTED, addresses) + attribute(2 | netlink.NESTED, upper)


def read_changes(host: str, data: bytes) -> Iterator[Change]:
    """The conntrack events of a datagram."""
    for kind, flags, body in netlink.messages(data):
        entry = read_entry(body)
        if entry:
            new = kind & 0xFF == netlink.CT_NEW and flags & netlink.CREATE
            yield Change(host, "destroy" if kind & 0xFF == netlink.CT_DELETE else "new" if new else "update", entry)


def inner_flow(network: bytes, transport: bytes) -> Flow | None:
    """The tuple of a packet, of the first bytes of its headers; None where they are not enough.

    >>> inner_flow(bytes([0x45, *[0] * 8, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]), bytes([0, 53, 0, 54]))
    Flow(udp 10.0.0.1:53 > 10.0.0.2:54)
    """
    if len(network) < 20 or network[0] >> 4 != 4:
        return None
    proto = NAMES.get(network[9], str(network[9]))
    src, dst = socket.inet_ntoa(network[12:16]), socket.inet_ntoa(network[16:20])
    if proto == "icmp" and len(transport) >= 8:
        kind, code, _, identity = struct.unpack_from(">BBHH", transport)
        own = 0 if kind in ICMP_ERRORS else identity
        return Flow(proto, src, dst, icmp_type=kind, icmp_code=code, icmp_id=own)
    if proto in ("tcp", "udp", "sctp") and len(transport) >= 4:
        return Flow(proto, src, dst, *struct.unpack_from(">HH", transport))
    return Flow(proto, src, dst)

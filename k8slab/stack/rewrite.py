"""What a connection's translation makes of a packet: decided once, applied to every packet (nf_nat_packet).

A packet of the original direction is given what the reply tuple mirrors; a reply is given what the original tuple
mirrors. Which translation a connection gets is not asked here.
"""

from __future__ import annotations

from typing import Protocol

from k8slab.entry import Entry
from k8slab.packet import PORT_PROTOCOLS, Flow, Packet

# Which end of the packet each hook may rewrite (HOOK2MANIP in nf_nat.h).
MANIP = {"PREROUTING": "DST", "OUTPUT": "DST", "POSTROUTING": "SRC", "INPUT": "SRC"}
STATUS = {"SRC": "SNAT", "DST": "DNAT"}
OTHER = {"SRC": "DST", "DST": "SRC", "ORIGINAL": "REPLY", "REPLY": "ORIGINAL"}
# The fields that each end consists of: its address, and what tells two connections between the same
# addresses apart. For ICMP that is the query's id, whichever end is rewritten.
FIELDS = {"SRC": ("src", "sport"), "DST": ("dst", "dport")}
ICMP_FIELDS = {"SRC": ("src", "icmp_id"), "DST": ("dst", "icmp_id")}


class Connection(Protocol):
    """What is asked of a connection: its two tuples, and `status`, which of SNAT and DNAT it has."""

    original: Flow
    reply: Flow
    status: set[str]

    def tuple(self, direction: str) -> Flow: ...
    def entry(self, now: float) -> Entry: ...


def fields(thing: Flow | Packet, manip: str) -> tuple[str, str]:
    """The names of the fields that one end, SRC or DST, of a packet or tuple consists of."""
    return (ICMP_FIELDS if thing.proto == "icmp" else FIELDS)[manip]


def translate(packet: Packet, connection: Connection, direction: str, manip: str) -> Packet:
    """The packet as this hook sends it on: one end rewritten if the connection has that translation."""
    if not _applies(connection, direction, manip):
        return packet
    return _rewrite(packet, connection.tuple(OTHER[direction]).reply, manip)


def translate_error(packet: Packet, connection: Connection, direction: str, manip: str) -> Packet:
    """An ICMP error and the packet it quotes, put back into the words of the one who must read it."""
    if not _applies(connection, direction, manip):
        return packet
    other = connection.tuple(OTHER[direction])
    quoted = _rewrite(packet.quoted, other, OTHER[manip]) if packet.quoted else None
    address = FIELDS[manip][0]      # the error itself has no ports: only its address is changed
    return packet.replace(quoted=quoted, **{address: getattr(other.reply, address)})


def _applies(connection: Connection, direction: str, manip: str) -> bool:
    """A reply's source was the original's destination: for it the two kinds change places."""
    return STATUS[manip if direction == "ORIGINAL" else OTHER[manip]] in connection.status


def _rewrite(packet: Packet, flow: Flow, manip: str) -> Packet:
    address, port = fields(packet, manip)
    new = {address: getattr(flow, address)}
    if packet.proto == "icmp" or packet.proto in PORT_PROTOCOLS:
        new[port] = getattr(flow, port)
    return packet.replace(**new)

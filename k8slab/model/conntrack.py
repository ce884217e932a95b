"""One node's table of connections: what netfilter remembers, so that replies find home.

Theory of operation
-------------------
A *connection* is known by two tuples, its *original* and its *reply* direction
(`Flow`). The original tuple is what the first packet said when it came in; the
reply tuple is what the answer will say when *it* comes in. At first one mirrors
the other. NAT is nothing more than a change of the reply tuple: DNAT to
10.106.175.128:6443 makes the node expect an answer *from* there, and the
difference between the two tuples tells how to rewrite every later packet, in
both directions (see `nat.py`). No rule is asked again.

The life of an entry, in the kernel's words:

* `look_up` is nf_conntrack_in: at PREROUTING and OUTPUT, after the raw table,
  a packet's tuple is looked up among the tuples of both directions. A hit in the
  original direction is NEW until an answer was seen, then ESTABLISHED; a hit in
  the reply direction is ESTABLISHED. No hit: a new entry, if the protocol allows
  one to start like this, else the packet is INVALID and has no entry. An ICMP
  error is RELATED to the connection of the packet that it quotes.
* The new entry is *unconfirmed*: it hangs on its packet alone and no other packet
  can find it. `confirm` is the last act of POSTROUTING and INPUT, and puts it in
  the table. A packet that is dropped on the way leaves no entry.
* It dies when its time is over, or when its protocol says so: a RST that answers
  the first SYN ends the entry at once; a SYN after TIME_WAIT makes a new one.

What TCP packets do to an entry is in `tcp.py`. SCTP is followed like UDP, without
its states.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from k8slab.entry import Entry
from k8slab.model import tcp
from k8slab.packet import Flow, Packet

# Seconds that an entry lives after its last packet (nf_conntrack's defaults); TCP's are in `tcp.py`.
UNREPLIED = {"udp": 30, "sctp": 30, "icmp": 30}
REPLIED = {"udp": 120, "sctp": 210, "icmp": 30}
GENERIC_TIMEOUT = 600
STREAM_AFTER = 2  # seconds after which a UDP exchange counts as a stream

# The ICMP questions that may start a connection (`valid_new` in nf_conntrack_proto_icmp.c).
ICMP_QUESTIONS = frozenset({8, 13, 15, 17})


@dataclass(slots=True, eq=False)
class Connection:
    """An entry while it lives, changed in place as the kernel's is. `expires` is a time in seconds."""

    original: Flow
    reply: Flow
    state: str = ""
    expires: float = 0.0
    mark: int = 0
    seen_reply: bool = False
    assured: bool = False
    confirmed: bool = False
    status: set[str] = field(default_factory=set)      # "SNAT", "DNAT": which rewriting it has
    nat_done: set[str] = field(default_factory=set)    # "SRC", "DST": decided, be it to leave all as it is
    stream_from: float = 0.0
    close_begun: bool = False                          # a FIN was the first to end it (CLOSE_INIT)
    last: tuple[str, str, int] = ("", "", 0)           # direction, sign and end of the last TCP packet
    ends: dict[str, int] = field(default_factory=dict)         # direction → the sequence number after its last byte
    unacknowledged: set[str] = field(default_factory=set)      # the directions whose last data nobody has confirmed

    def entry(self, now: float) -> Entry:
        """The entry as a value, for a step or a listing."""
        return Entry(self.original, self.reply, self.state, self.seen_reply, self.assured, self.confirmed,
                     self.mark, max(0, round(self.expires - now)))

    def tuple(self, direction: str) -> Flow:
        """The tuple of "ORIGINAL" or "REPLY"."""
        return self.original if direction == "ORIGINAL" else self.reply


@dataclass(frozen=True, slots=True)
class Found:
    """What conntrack says of a packet: its `state`, its connection if it has one, and which direction."""

    state: str
    connection: Connection | None = None
    direction: str = "ORIGINAL"
    new: bool = False


class Conntrack:
    """The table of one node. `now`, in seconds, is an argument of whatever depends on time."""

    def __init__(self) -> None:
        self._by_tuple: dict[Flow, Connection] = {}

    def connections(self, now: float) -> list[Connection]:
        """The confirmed connections that still live, oldest first."""
        unique = dict.fromkeys(self._by_tuple.values())
        return [c for c in unique if c.expires > now]

    def find(self, flow: Flow, now: float) -> tuple[Connection, str] | None:
        """The living connection that has this tuple, and in which direction."""
        connection = self._by_tuple.get(flow)
        if connection is None:
            return None
        if connection.expires <= now:
            self.kill(connection)
            return None
        # A flow that mirrors itself is found by its reply tuple, which was put into the table last.
        return connection, "REPLY" if flow == connection.reply else "ORIGINAL"

    def taken(self, reply: Flow, but: Connection, now: float) -> bool:
        """Whether another connection already waits for answers with this tuple.

        One with the same original tuple is no rival: it is the same flow, seen twice before it was
        confirmed (nf_conntrack_tuple_taken).
        """
        found = self.find(reply, now)
        return found is not None and found[0] is not but and found[0].original != but.original

    def mapped(self, flow: Flow, now: float) -> list[Connection]:
        """The connections from the same source address and port, whose source was decided already."""
        source = (flow.proto, flow.src, flow.sport, flow.icmp_id)
        return [c for c in self.connections(now) if "SRC" in c.nat_done and source == (
            c.original.proto, c.original.src, c.original.sport, c.original.icmp_id)]

    def confirm(self, connection: Connection, now: float) -> bool:
        """Put the entry in the table; False when another one took a tuple of it meanwhile."""
        rivals = (self.find(flow, now) for flow in (connection.original, connection.reply))
        if any(rival and rival[0] is not connection for rival in rivals):
            return False
        connection.confirmed = True
        self._by_tuple[connection.original] = self._by_tuple[connection.reply] = connection
        return True

    def close(self, connection: Connection, now: float) -> None:
        """A RST of our own ends a TCP connection (nf_ct_set_closing)."""
        if connection.original.proto == "tcp":
            connection.state, connection.expires = "CLOSE", now + tcp.TIMEOUTS["CLOSE"]

    def kill(self, connection: Connection) -> None:
        """Forget the connection; packets that already carry it keep it."""
        for flow in (connection.original, connection.reply):
            if self._by_tuple.get(flow) is connection:
                del self._by_tuple[flow]

    def clear(self) -> None:
        """Forget every connection, as `conntrack -F` does."""
        self._by_tuple.clear()

    def look_up(self, packet: Packet, now: float) -> Found:
        """What the packet is to this node, creating an unconfirmed entry for one that may start a connection."""
        if packet.is_icmp_error:
            return self._related(packet, now)
        if packet.proto == "tcp" and frozenset(packet.flags) - {"P"} not in tcp.VALID:
            return Found("INVALID")
        found = self.find(packet.flow, now)
        if found is None:
            return self._begin(packet, now)
        connection, direction = found
        if packet.proto != "tcp":
            self._advance(connection, direction, packet, now)
        elif (fate := tcp.advance(connection, direction, packet, now)) == tcp.INVALID:
            return Found("INVALID")
        elif fate != tcp.FOLLOWED:
            self.kill(connection)
            if fate == tcp.REOPENED:
                return self._begin(packet, now)
        if direction == "REPLY":
            connection.seen_reply = True
            return Found("ESTABLISHED", connection, direction)
        return Found("ESTABLISHED" if connection.seen_reply else "NEW", connection, direction)

    def _related(self, packet: Packet, now: float) -> Found:
        """An ICMP error belongs to the connection of the packet it quotes (nf_conntrack_inet_error)."""
        found = self.find(packet.quoted.flow.reply, now) if packet.quoted else None
        if found is None or found[0].tuple(found[1]).dst != packet.dst:
            return Found("INVALID")
        return Found("RELATED", *found)

    def _begin(self, packet: Packet, now: float) -> Found:
        proto, state, life = packet.proto, "", GENERIC_TIMEOUT
        if proto == "tcp":
            state, life = tcp.first_state(packet)
            if state == tcp.INVALID:
                return Found("INVALID")
        elif proto == "icmp":
            if packet.icmp_type not in ICMP_QUESTIONS:
                return Found("INVALID")
            life = UNREPLIED["icmp"]
        elif proto in UNREPLIED:
            life = UNREPLIED[proto]
        connection = Connection(packet.flow, packet.flow.reply, state, now + life, stream_from=now + STREAM_AFTER,
                                last=("ORIGINAL", tcp.sign_of(packet.flags), packet.end), ends={"ORIGINAL": packet.end})
        return Found("NEW", connection, new=True)

    def _advance(self, connection: Connection, direction: str, packet: Packet, now: float) -> None:
        """Let a packet of another protocol's known connection change it."""
        proto = packet.proto
        life = UNREPLIED.get(proto, GENERIC_TIMEOUT)
        if proto == "udp":           # the first answer is not yet an exchange: it does not count here
            if connection.seen_reply and now > connection.stream_from:
                life, connection.assured = REPLIED["udp"], True
        elif connection.seen_reply or direction == "REPLY":
            life = REPLIED.get(proto, GENERIC_TIMEOUT)
        connection.expires = now + life

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

TCP follows the kernel's transition table (nf_conntrack_proto_tcp.c,
`tcp_conntracks`); what is left out is the check of sequence numbers against the
window. SCTP is followed like UDP, without its states.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from k8slab.entry import Entry
from k8slab.packet import Flow, Packet

# Columns of the table below: the state that the connection is in.
STATES = ("NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT",
          "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2")

# What each packet makes of each state: two letters a state, "iv" an INVALID packet,
# "ig" a packet that is let through and changes nothing.
_LETTERS = dict(zip("no ss sr es fw cw la tw cl s2".split(), STATES)) | {"iv": "INVALID", "ig": "IGNORE"}
_TRANSITIONS = {
    "ORIGINAL": {
        "syn":    "ss ss ig ig ig ig ig ss ss s2",
        "synack": "iv iv sr iv iv iv iv iv iv sr",
        "fin":    "iv iv fw fw la la la tw cl iv",
        "ack":    "es iv es es cw cw tw tw cl iv",
        "rst":    "iv cl cl cl cl cl cl cl cl cl",
        "none":   "iv iv iv iv iv iv iv iv iv iv",
    },
    "REPLY": {
        "syn":    "iv s2 iv iv iv iv iv ss iv s2",
        "synack": "iv sr ig ig ig ig ig ig ig sr",
        "fin":    "iv iv fw fw la la la tw cl iv",
        "ack":    "iv ig sr es cw cw tw tw cl ig",
        "rst":    "iv cl cl cl cl cl cl cl cl cl",
        "none":   "iv iv iv iv iv iv iv iv iv iv",
    },
}
TCP_TABLE = {(direction, sign): dict(zip(STATES, map(_LETTERS.get, row.split())))
             for direction, rows in _TRANSITIONS.items() for sign, row in rows.items()}

# Seconds that an entry lives after its last packet (nf_conntrack's defaults).
TCP_TIMEOUTS = {"SYN_SENT": 120, "SYN_RECV": 60, "ESTABLISHED": 432000, "FIN_WAIT": 120, "CLOSE_WAIT": 60,
                "LAST_ACK": 30, "TIME_WAIT": 120, "CLOSE": 10, "SYN_SENT2": 120}
TCP_UNACKNOWLEDGED = 300
UNREPLIED = {"udp": 30, "sctp": 30, "icmp": 30}
REPLIED = {"udp": 120, "sctp": 210, "icmp": 30}
GENERIC_TIMEOUT = 600
STREAM_AFTER = 2  # seconds after which a UDP exchange counts as a stream

# Not a state of the kernel's: the entry was killed by a SYN that starts a new one with the same tuple.
REOPENED = "REOPENED"

# The flags that a TCP packet may carry together, PSH aside (`tcp_valid_flags`).
TCP_VALID = {frozenset(flags) for flags in ("S", "SU", "SA", "R", "RA", "FA", "FAU", "A", "AU")}
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


def tcp_sign(flags: str) -> str:
    """Which row of the table a packet's flags choose: `tcp_sign("SA") == "synack"`."""
    if "R" in flags:
        return "rst"
    if "S" in flags:
        return "synack" if "A" in flags else "syn"
    return "fin" if "F" in flags else "ack" if "A" in flags else "none"


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
            connection.state, connection.expires = "CLOSE", now + TCP_TIMEOUTS["CLOSE"]

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
        if packet.proto == "tcp" and frozenset(packet.flags) - {"P"} not in TCP_VALID:
            return Found("INVALID")
        found = self.find(packet.flow, now)
        if found is None:
            return self._begin(packet, now)
        connection, direction = found
        if not self._advance(connection, direction, packet, now):
            return Found("INVALID")
        if packet.proto == "tcp" and connection.state == REOPENED:
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
            state = TCP_TABLE["ORIGINAL", tcp_sign(packet.flags)]["NONE"]
            if state == "INVALID":
                return Found("INVALID")
            # A connection picked up in the middle is not trusted for five days.
            life = TCP_UNACKNOWLEDGED if state == "ESTABLISHED" else TCP_TIMEOUTS[state]
        elif proto == "icmp":
            if packet.icmp_type not in ICMP_QUESTIONS:
                return Found("INVALID")
            life = UNREPLIED["icmp"]
        elif proto in UNREPLIED:
            life = UNREPLIED[proto]
        connection = Connection(packet.flow, packet.flow.reply, state, now + life, stream_from=now + STREAM_AFTER,
                                last=("ORIGINAL", tcp_sign(packet.flags), packet.end), ends={"ORIGINAL": packet.end})
        return Found("NEW", connection, new=True)

    def _advance(self, connection: Connection, direction: str, packet: Packet, now: float) -> bool:
        """Let a packet of a known connection change it; False when the packet is INVALID."""
        if packet.proto == "tcp":
            return self._advance_tcp(connection, direction, packet, now)
        proto = packet.proto
        life = UNREPLIED.get(proto, GENERIC_TIMEOUT)
        if proto == "udp":           # the first answer is not yet an exchange: it does not count here
            if connection.seen_reply and now > connection.stream_from:
                life, connection.assured = REPLIED["udp"], True
        elif connection.seen_reply or direction == "REPLY":
            life = REPLIED.get(proto, GENERIC_TIMEOUT)
        connection.expires = now + life
        return True

    def _advance_tcp(self, connection: Connection, direction: str, packet: Packet, now: float) -> bool:
        old, sign = connection.state, tcp_sign(packet.flags)
        new = TCP_TABLE[direction, sign][old]
        if new == "INVALID":
            return False
        if new == "SYN_SENT" and old in ("TIME_WAIT", "CLOSE"):
            if connection.close_begun or connection.last[:2] == (direction, "rst"):
                self.kill(connection)
                connection.state = REOPENED
                return True
            new = "IGNORE"
        answers_ignored = (sign == "synack" and connection.last[1] == "syn" and connection.last[0] != direction
                           and connection.last[2] == packet.ack)
        if new == "IGNORE" and answers_ignored:
            old, new = "SYN_SENT", "SYN_RECV"      # both ends agree on a connection that we had missed
        connection.last = (direction, sign, packet.end)
        if new == "IGNORE":
            return True
        self._note_data(connection, direction, packet)
        connection.close_begun |= new == "FIN_WAIT" != old
        connection.state = new
        self._age_tcp(connection, old, new, sign, now)
        return True

    def _note_data(self, connection: Connection, direction: str, packet: Packet) -> None:
        """Which data is on its way without an acknowledgement (`tcp_in_window`, its flags alone)."""
        other, end = "REPLY" if direction == "ORIGINAL" else "ORIGINAL", connection.ends.get(direction)
        if end is None or 0 < (packet.end - end) % 2**32 < 2**31:
            connection.ends[direction] = packet.end
            if end is not None:
                connection.unacknowledged.add(direction)
        if "A" not in packet.flags or packet.ack == connection.ends.get(other):
            connection.unacknowledged.discard(other)

    def _age_tcp(self, connection: Connection, old: str, new: str, sign: str, now: float) -> None:
        life = TCP_TIMEOUTS["CLOSE" if sign == "rst" else new]
        if not connection.seen_reply:
            if sign == "rst":
                self.kill(connection)      # only a RST was said: there never was a connection
            elif new == "ESTABLISHED":
                life = TCP_UNACKNOWLEDGED
        elif new == "ESTABLISHED" and old in ("SYN_RECV", "ESTABLISHED"):
            connection.assured = True
        if connection.unacknowledged:
            life = min(life, TCP_UNACKNOWLEDGED)
        connection.expires = now + life

"""What a host's table of connections held at each moment of a journey, of the entries before it and the events in it.

The kernel reports a change of an entry once the packet that made it has passed every hook. So the events of one
connection are dealt to its packets in their order: each goes to the first packet that can have made it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from k8slab.entry import Entry
from k8slab.kernel.events import Change
from k8slab.packet import Flow, Packet

# The states of TCP that a packet with these flags can bring about (nf_conntrack_proto_tcp.c).
BRINGS = {"S": {"SYN_SENT", "SYN_SENT2"}, "SA": {"SYN_RECV"}, "A": {"ESTABLISHED", "TIME_WAIT", "CLOSE_WAIT"},
          "F": {"FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT"}, "R": {"CLOSE"}}
QUESTIONS = frozenset({8, 13, 15, 17})     # ICMP types that may begin a connection
STARTS = {"S": "SYN_SENT", "A": "ESTABLISHED"}


def sign(flags: str) -> str:
    """The key of BRINGS that a packet's flags choose: `sign("PA") == "A"`."""
    if "R" in flags:
        return "R"
    return "SA" if {"S", "A"} <= set(flags) else next((one for one in "SFA" if one in flags), "")


@dataclass(slots=True, eq=False)
class Known:
    """A connection as it is at one moment. `status`: which of SNAT and DNAT it has; `due`: events still to be dealt."""

    now: Entry
    due: deque[Change]
    status: set[str]

    @property
    def original(self) -> Flow:
        return self.now.original

    @property
    def reply(self) -> Flow:
        return self.now.reply

    @property
    def mark(self) -> int:
        return self.now.mark

    @mark.setter
    def mark(self, value: int) -> None:
        self.now = replace(self.now, mark=value)

    @property
    def confirmed(self) -> bool:
        return self.now.confirmed

    def tuple(self, direction: str) -> Flow:
        """The tuple of "ORIGINAL" or "REPLY"."""
        return self.original if direction == "ORIGINAL" else self.reply

    def entry(self, now: float) -> Entry:
        """The entry; the kernel's own clock has aged it."""
        return self.now

    def take(self, entry: Entry) -> None:
        """From now on the connection is what this entry says."""
        self.now = entry
        mirrored = entry.original.reply
        if (mirrored.src, mirrored.sport) != (entry.reply.src, entry.reply.sport):
            self.status.add("DNAT")
        reply = entry.reply
        if (mirrored.dst, mirrored.dport, mirrored.icmp_id) != (reply.dst, reply.dport, reply.icmp_id):
            self.status.add("SNAT")

    def advance(self, packet: Packet, direction: str) -> None:
        """A packet of the connection has come: take the event that it can have made."""
        if self.due and self.due[0].what == "update" and self._made(packet, direction, self.due[0].entry):
            self.take(replace(self.due.popleft().entry, confirmed=True))
        elif self.due and self.due[0].what == "destroy" and "R" in packet.flags:
            self.due.popleft()                   # a RST that answers the first SYN ends the entry at once
            self.now = replace(self.now, state="CLOSE", seen_reply=True)
        elif direction == "REPLY" and not self.now.seen_reply:
            self.now = replace(self.now, seen_reply=True)

    def _made(self, packet: Packet, direction: str, entry: Entry) -> bool:
        if packet.proto == "tcp":
            return entry.state in BRINGS.get(sign(packet.flags), ())
        return entry.assured != self.now.assured or direction == "REPLY" and not self.now.seen_reply

    def announced(self) -> Entry | None:
        """The entry as it was when it was confirmed, if it was."""
        return self.due[0].entry if self.due and self.due[0].what == "new" else None


class Table:
    """A host's connections during a journey; `before`: the entries at its beginning, `changes`: in their order."""

    def __init__(self, before: Iterable[Entry], changes: Iterable[Change]) -> None:
        self.due: dict[Flow, list[deque[Change]]] = {}
        for change in changes:
            runs = self.due.setdefault(change.entry.original, [])
            if change.what == "new" or not runs:
                runs.append(deque())
            runs[-1].append(change)
        self.known: dict[Flow, Known] = {}
        for entry in before:
            runs = self.due.get(entry.original, [])
            goes_on = runs.pop(0) if runs and runs[0][0].what != "new" else deque()
            self._keep(_begun(replace(entry, confirmed=True), goes_on))

    def _keep(self, connection: Known) -> None:
        self.known[connection.original] = self.known[connection.reply] = connection

    def find(self, packet: Packet) -> tuple[str, Known | None, str, bool]:
        """What conntrack says of a packet: its state, its connection, the direction, and whether it is new."""
        if packet.is_icmp_error:
            found = self.known.get(packet.quoted.flow.reply) if packet.quoted else None
            if found is None:
                return "INVALID", None, "ORIGINAL", False
            return "RELATED", found, "ORIGINAL" if found.original == packet.quoted.flow.reply else "REPLY", False
        found = self.known.get(packet.flow)
        runs = self.due.get(packet.flow, [])
        if found and runs and runs[0][0].what == "new" and (not found.due or found.due[0].what == "destroy"):
            found = None             # it has made way for a new one with the same tuple
        if found:
            direction = "ORIGINAL" if packet.flow == found.original else "REPLY"
            answered = found.now.seen_reply or direction == "REPLY"
            found.advance(packet, direction)
            return "ESTABLISHED" if answered else "NEW", found, direction, False
        return self._begin(packet, runs)

    def _begin(self, packet: Packet, runs: list[deque[Change]]) -> tuple[str, Known | None, str, bool]:
        announced = runs.pop(0) if runs and runs[0][0].what == "new" else deque()
        starts = sign(packet.flags) in STARTS if packet.proto == "tcp" else (
            packet.proto != "icmp" or packet.icmp_type in QUESTIONS)
        if not announced and not starts:
            return "INVALID", None, "ORIGINAL", False
        entry = Entry(packet.flow, packet.flow.reply, STARTS.get(sign(packet.flags), "") * (packet.proto == "tcp"),
                      timeout=announced[0].entry.timeout if announced else 0)
        return "NEW", _begun(entry, announced), "ORIGINAL", True

    def confirm(self, connection: Known) -> None:
        """The first packet has come through: from now on others find the entry."""
        if connection.announced():
            connection.take(replace(connection.due.popleft().entry, confirmed=True))
        else:
            connection.now = replace(connection.now, confirmed=True)
        self._keep(connection)


def _begun(entry: Entry, due: deque[Change]) -> Known:
    known = Known(entry, due, set())
    known.take(entry)
    return known

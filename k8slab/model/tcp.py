"""TCP as netfilter follows it from the middle: which packet brings a connection into which state, and for how long.

Theory of operation
-------------------
A node that forwards a connection sees its packets and holds no socket: from flags and numbers it guesses what the
two ends believe. The guess is the kernel's transition table (nf_conntrack_proto_tcp.c, `tcp_conntracks`): the state,
the direction and the kind of a packet give the next state, or say that the packet is INVALID, or that it is let
through and changes nothing.

Of the sequence numbers (`tcp_in_window`) one thing is checked: a packet that acknowledges more than this node has
seen of the other direction is INVALID, and changes nothing. So it comes where one direction takes another way, or
the raw table says NOTRACK to some of it. What is left out is the window: how far ahead data may be, and how far
behind. A RST is not checked either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8slab.packet import Packet

if TYPE_CHECKING:
    from k8slab.model.conntrack import Connection

# Columns of the table below: the state that the connection is in.
STATES = ("NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT",
          "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2")

OTHER = {"ORIGINAL": "REPLY", "REPLY": "ORIGINAL"}

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
TABLE = {(direction, sign): dict(zip(STATES, map(_LETTERS.get, row.split())))
         for direction, rows in _TRANSITIONS.items() for sign, row in rows.items()}

# Seconds that an entry lives after its last packet (nf_conntrack's defaults).
TIMEOUTS = {"SYN_SENT": 120, "SYN_RECV": 60, "ESTABLISHED": 432000, "FIN_WAIT": 120, "CLOSE_WAIT": 60,
            "LAST_ACK": 30, "TIME_WAIT": 120, "CLOSE": 10, "SYN_SENT2": 120}
UNACKNOWLEDGED = 300

# The flags that a TCP packet may carry together, PSH aside (`tcp_valid_flags`).
VALID = {frozenset(flags) for flags in ("S", "SU", "SA", "R", "RA", "FA", "FAU", "A", "AU")}
# What a packet may do to a connection that is known, beside bringing it into another state.
FOLLOWED, INVALID, ENDED, REOPENED = "FOLLOWED", "INVALID", "ENDED", "REOPENED"


def sign_of(flags: str) -> str:
    """Which row of the table a packet's flags choose: `sign_of("SA") == "synack"`."""
    if "R" in flags:
        return "rst"
    if "S" in flags:
        return "synack" if "A" in flags else "syn"
    return "fin" if "F" in flags else "ack" if "A" in flags else "none"


def first_state(packet: Packet) -> tuple[str, int]:
    """The state of a connection that begins with this packet, and its seconds to live; INVALID for none."""
    state = TABLE["ORIGINAL", sign_of(packet.flags)]["NONE"]
    # A connection picked up in the middle is not trusted for five days.
    return state, UNACKNOWLEDGED if state == "ESTABLISHED" else TIMEOUTS.get(state, 0)


def advance(connection: Connection, direction: str, packet: Packet, now: float) -> str:
    """Let a packet change its connection; FOLLOWED, or INVALID, or ENDED (forget it), or REOPENED (begin anew).

    `direction`: ORIGINAL or REPLY; `now`: seconds of the node's clock.
    """
    old, sign = connection.state, sign_of(packet.flags)
    new = TABLE[direction, sign][old]
    if new == "INVALID":
        return INVALID
    if new == "SYN_SENT" and old in ("TIME_WAIT", "CLOSE"):
        if connection.close_begun or connection.last[:2] == (direction, "rst"):
            return REOPENED
        new = "IGNORE"
    answers_ignored = (sign == "synack" and connection.last[1] == "syn" and connection.last[0] != direction
                       and connection.last[2] == packet.ack)
    if new == "IGNORE" and answers_ignored:
        old, new = "SYN_SENT", "SYN_RECV"      # both ends agree on a connection that we had missed
    elif new != "IGNORE" and sign != "rst" and _acknowledges_unseen(connection, direction, packet):
        return INVALID
    connection.last = (direction, sign, packet.end)
    if new == "IGNORE":
        return FOLLOWED
    _note_data(connection, direction, packet)
    connection.close_begun |= new == "FIN_WAIT" != old
    connection.state = new
    return _age(connection, old, new, sign, now)


def _acknowledges_unseen(connection: Connection, direction: str, packet: Packet) -> bool:
    """Whether a packet acknowledges what never came by here ("ACK is over the upper bound")."""
    end = connection.ends.get(OTHER[direction])
    return end is not None and "A" in packet.flags and 0 < (packet.ack - end) % 2**32 < 2**31


def _note_data(connection: Connection, direction: str, packet: Packet) -> None:
    """Which data is on its way without an acknowledgement (`tcp_in_window`, its flags alone)."""
    other, end = OTHER[direction], connection.ends.get(direction)
    if end is None or 0 < (packet.end - end) % 2**32 < 2**31:
        connection.ends[direction] = packet.end
        if end is not None:
            connection.unacknowledged.add(direction)
    if "A" not in packet.flags or packet.ack == connection.ends.get(other):
        connection.unacknowledged.discard(other)


def _age(connection: Connection, old: str, new: str, sign: str, now: float) -> str:
    life = TIMEOUTS["CLOSE" if sign == "rst" else new]
    if not connection.seen_reply:
        if sign == "rst":
            return ENDED                       # only a RST was said: there never was a connection
        if new == "ESTABLISHED":
            life = UNACKNOWLEDGED
    elif new == "ESTABLISHED" and old in ("SYN_RECV", "ESTABLISHED"):
        connection.assured = True
    connection.expires = now + (min(life, UNACKNOWLEDGED) if connection.unacknowledged else life)
    return FOLLOWED

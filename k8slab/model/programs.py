"""The programs on a host: what answers a packet that has reached it, and what a client says next.

Servers are as plain as can be: whoever connects and asks is told which host answers, and
which address it saw the question come from; who asks in HTTP is told in HTTP. A closed TCP port answers
with RST, a closed UDP port with an ICMP error, a ping with its echo (RFC 9293, RFC 1122).

A client is a conversation that is open from this host: its SYN was sent, and it knows what to
say to each answer. A packet for a port where neither a server nor a client waits is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from k8slab.commands import spoken
from k8slab.stack import says
from k8slab.stack.refusals import reset
from k8slab.network import Host
from k8slab.packet import ECHO_REPLY, ECHO_REQUEST, UNREACHABLE, Flow, Packet

PROTOCOL_UNREACHABLE = 2                      # the ICMP code
ANSWERED = {ECHO_REQUEST: ECHO_REPLY, 13: 14}  # the ICMP questions that Linux answers: echo and timestamp
CLIENT_ISN, SERVER_ISN = 1000, 5000      # initial sequence numbers: any will do, fixed ones can be compared
SEGMENT = 1460                           # bytes that fit into a segment: Ethernet's 1500 without two headers
HANDSHAKE = 0x16                         # the first byte of a TLS connection (RFC 8446, 5.1)


class Talker(Protocol):
    """One connection's end of a program that talks bytes: it hears those of a segment, and says what it answers."""

    def hear(self, data: bytes) -> bytes:
        """Take bytes, give bytes."""


def segments(data: bytes) -> list[bytes]:
    """Bytes as TCP cuts them.

    >>> [len(one) for one in segments(bytes(3000))]
    [1460, 1460, 80]
    """
    return [data[at:at + SEGMENT] for at in range(0, len(data), SEGMENT)]


@dataclass(slots=True)
class Client:
    """A conversation from its opener's side. `question`: the bytes to send, None to send one packet alone.

    An empty question closes the connection at once. `stays`: it stays open, and is asked again; `seq` and `ack` are
    what its next packet says then. `answer` collects the bytes that came back; `outcome` is "",
    "answered", "refused" or "closed"; `error` is the ICMP error that refused it, if one did.
    """

    flow: Flow
    question: bytes | None = None
    answer: bytes = b""
    outcome: str = ""
    error: Packet | None = None
    stays: bool = False
    seq: int = 0
    ack: int = 0

    def hear(self, packet: Packet) -> list[Packet]:
        """What the client sends when this packet comes in."""
        self.answer += packet.payload
        if "R" in packet.flags:
            self.outcome = "refused"
            return []
        self.outcome = self.outcome or "answered"
        self.seq, self.ack = packet.ack, packet.end
        if self.stays:
            self.outcome = "closed" if "F" in packet.flags else "answered"
            return [self.next("A")] if packet.flags != "A" else []
        if self.question is None or packet.proto != "tcp":
            return []
        talk = Packet("tcp", self.flow.src, self.flow.dst, self.flow.sport, self.flow.dport, "A",
                      seq=packet.ack, ack=packet.end)
        if packet.flags == "SA":
            return [talk, talk.replace(flags="PA" if self.question else "FA", payload=self.question)]
        if "F" in packet.flags:
            self.outcome = "closed"
            return [talk]
        return [talk.replace(flags="FA")] if packet.payload else []

    def next(self, flags: str, payload: bytes = b"") -> Packet:
        """The next packet of a connection that stays open."""
        flow = self.flow
        return Packet("tcp", flow.src, flow.dst, flow.sport, flow.dport, flags, seq=self.seq, ack=self.ack,
                      payload=payload)


class Programs:
    """All programs of one host."""

    def __init__(self, host: Host) -> None:
        self.host, self.listens = host, set(host.listens)
        self.clients: dict[Flow, Client] = {}
        self.answers: dict[int, dict[bytes, bytes]] = {}     # UDP port → question and answer, without DNS's id
        self.talkers: dict[int, Callable[[], Talker]] = {}   # TCP port → what makes a talker for a TLS connection
        self.talks: dict[Flow, Talker] = {}
        self.open: dict[Flow, str] = {}          # the server's side of each connection: half open, open or closing

    def hear(self, packet: Packet) -> tuple[str, list[Packet]]:
        """What happens to a packet that was delivered here: a sentence, and the packets sent because of it."""
        if packet.is_icmp_error:
            return self._hear_error(packet)
        client = self.clients.get(packet.flow.reply) if packet.proto in _SERVERS else None
        if client:
            return says.ASKED.format(host=self.host.name), client.hear(packet)
        return _SERVERS.get(packet.proto, Programs._other)(self, packet)

    def _hear_error(self, packet: Packet) -> tuple[str, list[Packet]]:
        client = self.clients.get(packet.quoted.flow) if packet.quoted else None
        if client is None:
            return says.ERROR_IGNORED, []
        client.outcome, client.error = "refused", packet
        return says.ERROR_HEARD.format(destination=packet.quoted.destination), []

    def _tcp(self, packet: Packet) -> tuple[str, list[Packet]]:
        if ("tcp", packet.dport) not in self.listens:
            return self._closed(packet, "a RST"), _maybe(packet)
        if "R" in packet.flags:
            self.open.pop(packet.flow, None)
            return says.ENDED.format(host=self.host.name), []
        why = self._listens(packet)
        if packet.flow in self.open:
            return why, self._talk(packet)
        if "A" in packet.flags:
            return says.UNKNOWN_CONNECTION.format(host=self.host.name), _maybe(packet)
        if "S" not in packet.flags or "F" in packet.flags:
            return _ignore(self, packet)
        self.open[packet.flow] = "half open"
        return why, self._talk(packet)

    def _talk(self, packet: Packet) -> list[Packet]:
        """What the server's side of an open connection sends."""
        talk = Packet("tcp", packet.dst, packet.src, packet.dport, packet.sport, "A", seq=packet.ack, ack=packet.end)
        before = self.open[packet.flow]
        if "S" in packet.flags:          # RFC 5961, 4.2: an open connection answers a SYN with an ACK
            return [talk.replace(flags="SA", seq=SERVER_ISN)] if before == "half open" else [talk]
        if before == "half open":
            if packet.ack != SERVER_ISN + 1:         # it answers another SYN-ACK than ours
                return _maybe(packet)
            self.open[packet.flow] = "open"
        if "F" in packet.flags:
            self.open[packet.flow] = "closing"
            self.talks.pop(packet.flow, None)
            return [talk.replace(flags="FA")]
        if self.open[packet.flow] == "closing":
            del self.open[packet.flow]
            return []
        if talker := self._talker(packet):
            return _cut(talk, talker.hear(packet.payload))
        data = [talk.replace(flags="PA", payload=self._answer(packet))] if packet.payload else []
        # Data that completes the handshake is confirmed before any program has accepted the connection.
        return [talk, *data] if data and before == "half open" else data

    def _talker(self, packet: Packet) -> Talker | None:
        """Who hears the bytes of a TLS connection; the plain question of a connection is answered as ever."""
        if packet.flow not in self.talks and packet.dport in self.talkers and packet.payload[:1] == bytes([HANDSHAKE]):
            self.talks[packet.flow] = self.talkers[packet.dport]()
        return self.talks.get(packet.flow) if packet.payload else None

    def _udp(self, packet: Packet) -> tuple[str, list[Packet]]:
        if (packet.proto, packet.dport) not in self.listens:
            error = Packet("icmp", packet.dst, packet.src, icmp_type=UNREACHABLE, icmp_code=3, quoted=packet)
            return self._closed(packet, "an ICMP error"), [error]
        why = self._listens(packet)
        return why, [Packet("udp", packet.dst, packet.src, packet.dport, packet.sport, payload=self._datagram(packet))]

    def _icmp(self, packet: Packet) -> tuple[str, list[Packet]]:
        if packet.icmp_type not in ANSWERED:
            return _ignore(self, packet)
        answer = Packet("icmp", packet.dst, packet.src, icmp_type=ANSWERED[packet.icmp_type],
                        icmp_id=packet.icmp_id, payload=packet.payload)
        return says.ICMP_QUESTION.format(host=self.host.name), [answer]

    def _other(self, packet: Packet) -> tuple[str, list[Packet]]:
        error = Packet("icmp", packet.dst, packet.src, icmp_type=UNREACHABLE, icmp_code=PROTOCOL_UNREACHABLE,
                       quoted=packet)
        return says.UNSPOKEN.format(host=self.host.name, proto=packet.proto), [error]

    def _listens(self, packet: Packet) -> str:
        return says.LISTENS.format(destination=packet.destination, host=self.host.name)

    def _closed(self, packet: Packet, answer: str) -> str:
        return says.CLOSED.format(host=self.host.name, port=packet.dport, answer=answer)

    def _datagram(self, packet: Packet) -> bytes:
        known = self.answers.get(packet.dport, {}).get(packet.payload[2:])
        return self._answer(packet) if known is None else packet.payload[:2] + known

    def _answer(self, packet: Packet) -> bytes:
        """What a server says. The port that it saw is left out: MASQUERADE draws it."""
        return spoken(f"{self.host.name} at {packet.destination} answers {packet.src}", packet.payload)


def _cut(talk: Packet, data: bytes) -> list[Packet]:
    """Segments that carry these bytes, or an ACK alone for none."""
    return [talk.replace(flags="PA", payload=one, seq=talk.seq + SEGMENT * at)
            for at, one in enumerate(segments(data))] or [talk]


def _maybe(packet: Packet) -> list[Packet]:
    """The RST for this packet, if it gets one."""
    refusal = reset(packet)
    return [refusal] if refusal else []


def _ignore(programs: Programs, packet: Packet) -> tuple[str, list[Packet]]:
    return says.UNWANTED.format(host=programs.host.name), []


_SERVERS = {"tcp": Programs._tcp, "udp": Programs._udp, "icmp": Programs._icmp}

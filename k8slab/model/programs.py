"""The programs on a host: what answers a packet that has reached it, and what a client says next.

Servers are as plain as can be: whoever connects and asks is told which host answers, and
which address it saw the question come from; who asks in HTTP is told in HTTP. A closed TCP port answers
with RST, a closed UDP port with an ICMP error, a ping with its echo (RFC 9293, RFC 1122).

A client is a conversation that is open from this host: its SYN was sent, and it knows what to
say to each answer. A packet for a port where neither a server nor a client waits is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.model.refusals import reset
from k8slab.network import Host
from k8slab.packet import ECHO_REPLY, ECHO_REQUEST, UNREACHABLE, Flow, Packet

PROTOCOL_UNREACHABLE = 2                      # the ICMP code
ANSWERED = {ECHO_REQUEST: ECHO_REPLY, 13: 14}  # the ICMP questions that Linux answers: echo and timestamp
CLIENT_ISN, SERVER_ISN = 1000, 5000      # initial sequence numbers: any will do, fixed ones can be compared


@dataclass(slots=True)
class Client:
    """A conversation from its opener's side. `question`: the bytes to send, None to send one packet alone.

    An empty question closes the connection at once. `answer` collects the bytes that came back; `outcome` is "",
    "answered", "refused" or "closed"; `error` is the ICMP error that refused it, if one did.
    """

    flow: Flow
    question: bytes | None = None
    answer: bytes = b""
    outcome: str = ""
    error: Packet | None = None

    def hear(self, packet: Packet) -> list[Packet]:
        """What the client sends when this packet comes in."""
        self.answer += packet.payload
        if "R" in packet.flags:
            self.outcome = "refused"
            return []
        self.outcome = self.outcome or "answered"
        if self.question is None or packet.proto != "tcp":
            return []
        says = Packet("tcp", self.flow.src, self.flow.dst, self.flow.sport, self.flow.dport, "A",
                      seq=packet.ack, ack=packet.end)
        if packet.flags == "SA":
            return [says, says.replace(flags="PA" if self.question else "FA", payload=self.question)]
        if "F" in packet.flags:
            self.outcome = "closed"
            return [says]
        return [says.replace(flags="FA")] if packet.payload else []


class Programs:
    """All programs of one host."""

    def __init__(self, host: Host) -> None:
        self.host, self.listens = host, set(host.listens)
        self.clients: dict[Flow, Client] = {}
        self.open: dict[Flow, str] = {}          # the server's side of its connections: "half open", "open" or "closing"

    def hear(self, packet: Packet) -> tuple[str, list[Packet]]:
        """What happens to a packet that was delivered here: a sentence, and the packets sent because of it."""
        if packet.is_icmp_error:
            return self._hear_error(packet)
        client = self.clients.get(packet.flow.reply)
        if client:
            return f"reaches the socket that the question came from, on {self.host.name}", client.hear(packet)
        return _SERVERS.get(packet.proto, Programs._other)(self, packet)

    def _hear_error(self, packet: Packet) -> tuple[str, list[Packet]]:
        client = self.clients.get(packet.quoted.flow) if packet.quoted else None
        if client is None:
            return "no socket here sent the packet that this ICMP error quotes: it is ignored", []
        client.outcome, client.error = "refused", packet
        return f"tells the program that asked that {packet.quoted.destination} cannot be reached", []

    def _tcp(self, packet: Packet) -> tuple[str, list[Packet]]:
        if ("tcp", packet.dport) not in self.listens:
            return f"no program on {self.host.name} waits at port {packet.dport}: the answer is a RST", _maybe(packet)
        if "R" in packet.flags:
            self.open.pop(packet.flow, None)
            return f"ends whatever {self.host.name} knew of this connection", []
        why = f"reaches the socket that listens on {packet.destination}, on {self.host.name}"
        if packet.flow in self.open:
            return why, self._talk(packet)
        if "A" in packet.flags:
            return f"belongs to no connection that {self.host.name} knows of: the answer is a RST", _maybe(packet)
        if "S" not in packet.flags or "F" in packet.flags:
            return _ignore(self, packet)
        self.open[packet.flow] = "half open"
        return why, self._talk(packet)

    def _talk(self, packet: Packet) -> list[Packet]:
        """What the server's side of an open connection sends."""
        says = Packet("tcp", packet.dst, packet.src, packet.dport, packet.sport, "A", seq=packet.ack, ack=packet.end)
        if "S" in packet.flags:
            return [says.replace(flags="SA", seq=SERVER_ISN)]
        if self.open[packet.flow] == "half open":
            if packet.ack != SERVER_ISN + 1:         # it answers another SYN-ACK than ours
                return _maybe(packet)
            self.open[packet.flow] = "open"
        if "F" in packet.flags:
            self.open[packet.flow] = "closing"
            return [says.replace(flags="FA")]
        if self.open[packet.flow] == "closing":
            del self.open[packet.flow]
            return []
        return [says.replace(flags="PA", payload=self._answer(packet))] if packet.payload else []

    def _udp(self, packet: Packet) -> tuple[str, list[Packet]]:
        if (packet.proto, packet.dport) not in self.listens:
            error = Packet("icmp", packet.dst, packet.src, icmp_type=UNREACHABLE, icmp_code=3, quoted=packet)
            return f"no program on {self.host.name} waits at port {packet.dport}: the answer is an ICMP error", [error]
        why = f"reaches the socket that listens on {packet.destination}, on {self.host.name}"
        return why, [Packet("udp", packet.dst, packet.src, packet.dport, packet.sport, payload=self._answer(packet))]

    def _icmp(self, packet: Packet) -> tuple[str, list[Packet]]:
        if packet.icmp_type not in ANSWERED:
            return _ignore(self, packet)
        answer = Packet("icmp", packet.dst, packet.src, icmp_type=ANSWERED[packet.icmp_type],
                        icmp_id=packet.icmp_id, payload=packet.payload)
        return f"is a question of ICMP's own, and {self.host.name} answers it", [answer]

    def _other(self, packet: Packet) -> tuple[str, list[Packet]]:
        error = Packet("icmp", packet.dst, packet.src, icmp_type=UNREACHABLE, icmp_code=PROTOCOL_UNREACHABLE, quoted=packet)
        return f"nobody on {self.host.name} speaks protocol {packet.proto}: the answer is an ICMP error", [error]

    def _answer(self, packet: Packet) -> bytes:
        """What a server says. The port that it saw is left out: MASQUERADE draws it."""
        return spoken(f"{self.host.name} at {packet.destination} answers {packet.src}", packet.payload)


def spoken(line: str, question: bytes) -> bytes:
    """A server's answer: the line alone, or, for a question that begins as HTTP does, a page with it (RFC 1945, 6).

    >>> spoken("web answers", b"GET / HTTP/1.1").splitlines()[0]
    b'HTTP/1.0 200 OK'
    """
    if not question.startswith(b"GET "):
        return line.encode()
    body = f"{line}\n".encode()
    return b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def _maybe(packet: Packet) -> list[Packet]:
    """The RST for this packet, if it gets one."""
    refusal = reset(packet)
    return [refusal] if refusal else []


def _ignore(programs: Programs, packet: Packet) -> tuple[str, list[Packet]]:
    return f"nobody on {programs.host.name} wants this packet: it is ignored", []


_SERVERS = {"tcp": Programs._tcp, "udp": Programs._udp, "icmp": Programs._icmp}

"""Packet and Flow: what travels, and the name of the connection it belongs to.

Both are frozen values. Addresses are dotted-quad strings, because that is how
every listing prints them; `number()` gives the integer that masks are applied
to. scapy is not imported here: `k8slab.wire` turns a Packet into bytes.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from dataclasses import dataclass
from functools import lru_cache

# IANA protocol numbers of the protocols that rules and connections name.
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "sctp": 132}
PORT_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})

# ICMP types that are half of a question and answer: the answer to each
# (RFC 792; nf_conntrack_proto_icmp.c, `invmap`).
ICMP_ANSWERS = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}
ECHO_REQUEST, ECHO_REPLY, UNREACHABLE, TIME_EXCEEDED = 8, 0, 3, 11
ICMP_ERRORS = frozenset({3, 4, 5, 11, 12})

# An address that cannot be known: MASQUERADE's, where the interfaces are not known.
UNKNOWN = "?"

# TCP flags in the letters that scapy and tcpdump print, in header order.
TCP_FLAGS = "FSRPAU"


@lru_cache(maxsize=65536)
def number(address: str) -> int:
    """The IPv4 address as an integer in host order: `number("10.0.0.1") == 0x0a000001`.

    Raises ValueError when `address` is not a dotted quad.
    """
    return int(ipaddress.IPv4Address(address))


def dotted(value: int) -> str:
    """The integer in host order as a dotted quad: `dotted(0x0a000001) == "10.0.0.1"`."""
    return str(ipaddress.IPv4Address(value))


@dataclass(frozen=True, slots=True)
class Flow:
    """The tuple by which conntrack knows one direction of a connection.

    `proto` is a name of PROTOCOLS or a decimal number; `src` and `dst` are dotted
    quads. tcp, udp and sctp have `sport` and `dport`; icmp has `icmp_type`,
    `icmp_code` and `icmp_id`; other protocols have neither.

    >>> Flow("tcp", "10.244.1.5", "10.96.0.1", 40000, 443).reply
    Flow(tcp 10.96.0.1:443 > 10.244.1.5:40000)
    """

    proto: str
    src: str
    dst: str
    sport: int | None = None
    dport: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None

    @property
    def reply(self) -> Flow:
        """The tuple of the answer: a reply's reply is the original."""
        kind = self.icmp_type
        return dataclasses.replace(
            self, src=self.dst, dst=self.src, sport=self.dport, dport=self.sport,
            icmp_type=ICMP_ANSWERS.get(kind, kind))

    @property
    def source(self) -> str:
        """`10.244.1.5:40000`, or the address alone where there are no ports."""
        return self.src if self.sport is None else f"{self.src}:{self.sport}"

    @property
    def destination(self) -> str:
        """`10.96.0.1:443`, or the address alone where there are no ports."""
        return self.dst if self.dport is None else f"{self.dst}:{self.dport}"

    def __str__(self) -> str:
        return f"{self.proto} {self.source} > {self.destination}"

    def __repr__(self) -> str:
        return f"Flow({self})"


def flow_port(flow: Flow, end: str) -> int:
    """What conntrack keeps where a port would be, for "sport" or "dport" (`union nf_conntrack_man_proto`).

    For ICMP the query's id stands for the source port, type and code for the other; protocols without ports have 0.

    >>> flow_port(Flow("icmp", "10.0.0.1", "10.0.0.2", icmp_type=8, icmp_code=0, icmp_id=7), "dport")
    2048
    """
    if flow.proto == "icmp":
        return flow.icmp_id if end == "sport" else flow.icmp_type << 8 | flow.icmp_code
    return getattr(flow, end) or 0


@dataclass(frozen=True, slots=True)
class Packet:
    """One IPv4 packet.

    `src`, `dst`: dotted quads, or UNKNOWN. `sport`, `dport`: 0 to 65535, for tcp, udp, sctp.
    `flags`: letters of `TCP_FLAGS`, "S" for a SYN, "SA" for its answer. `seq`,
    `ack`: TCP sequence numbers. `icmp_*`: for icmp. `quoted`: for an ICMP error,
    the packet it is about. `ttl`: hops left. `payload`: bytes after the headers.

    >>> Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443).replace(dst="10.106.175.128")
    Packet(tcp 10.244.1.5:40000 > 10.106.175.128:443 [S] ttl 64)

    Raises ValueError for a field out of its range.
    """

    proto: str
    src: str
    dst: str
    sport: int | None = None
    dport: int | None = None
    flags: str = ""
    ttl: int = 64
    payload: bytes = b""
    seq: int = 0
    ack: int = 0
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None
    quoted: Packet | None = None

    def __post_init__(self) -> None:
        for address in (self.src, self.dst):
            if address != UNKNOWN:
                number(address)
        for name, port in (("sport", self.sport), ("dport", self.dport)):
            if self.proto in PORT_PROTOCOLS and port is None and UNKNOWN != self.src:
                raise ValueError(f"a {self.proto} packet needs {name}, a port from 0 to 65535")
            if port is not None and not 0 <= port <= 65535:
                raise ValueError(f"{name} is {port}: a port is a number from 0 to 65535")
        if self.proto == "tcp" and not self.flags:
            object.__setattr__(self, "flags", "S")
        if self.proto == "icmp" and self.icmp_type is None:
            object.__setattr__(self, "icmp_type", ECHO_REQUEST)
        if self.proto == "icmp" and self.icmp_code is None:
            object.__setattr__(self, "icmp_code", 0)
        if self.proto == "icmp" and self.icmp_id is None:
            object.__setattr__(self, "icmp_id", 0)

    @property
    def flow(self) -> Flow:
        """The tuple that conntrack reads from this packet's headers."""
        return Flow(self.proto, self.src, self.dst, self.sport, self.dport,
                    self.icmp_type, self.icmp_code, self.icmp_id)

    @property
    def source(self) -> str:
        """`10.244.1.5:40000`, or the address alone where there are no ports."""
        return self.flow.source

    @property
    def destination(self) -> str:
        """`10.96.0.1:443`, or the address alone where there are no ports."""
        return self.flow.destination

    @property
    def length(self) -> int:
        """Bytes of payload after the transport header."""
        return len(self.payload)

    @property
    def end(self) -> int:
        """The TCP sequence number after the last byte, where SYN and FIN count as one each (RFC 9293, 3.4)."""
        return (self.seq + self.length + ("S" in self.flags) + ("F" in self.flags)) % 2**32

    @property
    def is_icmp_error(self) -> bool:
        """Whether this packet reports a failure of another one, which it quotes."""
        return self.proto == "icmp" and self.icmp_type in ICMP_ERRORS

    def replace(self, **fields: object) -> Packet:
        """A copy with some fields changed: `packet.replace(dst="10.106.175.128", dport=6443)`.

        A source port of None stands for one that masquerading chose, and that cannot be known; nobody sends such a one.
        """
        if fields.get("sport", self.sport) is not None or self.proto not in PORT_PROTOCOLS:
            return dataclasses.replace(self, **fields)
        copy = dataclasses.replace(self, **fields | {"sport": 0})
        object.__setattr__(copy, "sport", None)
        return copy

    def changes(self, other: Packet) -> tuple[str, ...]:
        """The names of the fields in which `other` differs, in their order here."""
        return tuple(field.name for field in dataclasses.fields(self)
                     if getattr(self, field.name) != getattr(other, field.name))

    def __str__(self) -> str:
        words = [str(self.flow)]
        if self.proto == "tcp":
            words.append(f"[{self.flags}]")
        if self.proto == "icmp":
            words.append(f"type {self.icmp_type} code {self.icmp_code}")
        words.append(f"ttl {self.ttl}")
        if self.payload:
            words.append(f"{self.length} bytes")
        return " ".join(words)

    def __repr__(self) -> str:
        return f"Packet({self})"

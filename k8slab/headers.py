"""The packets that nearly every journey consists of as bytes and back, without scapy, which takes longer to import.

TCP and UDP packets and pings are written here as scapy writes them (RFC 791, 793, 768, 792), and read as it reads them;
every other packet is left to it (`wire.py`).
"""

from __future__ import annotations

import socket
import struct

from k8slab.packet import ECHO_REPLY, ECHO_REQUEST, PROTOCOLS, UNKNOWN, Packet

WINDOW, IDENTITY = 8192, 1              # what scapy writes where nobody says
FLAGS = "FSRPAU"                        # from the lowest bit
ECHOES = (ECHO_REQUEST, ECHO_REPLY)
HEADER = struct.Struct(">BBHHHBBH4s4s")
TCP, UDP, ECHO = struct.Struct(">HHIIBBHHH"), struct.Struct(">HHHH"), struct.Struct(">BBHHH")
TCP_AT, UDP_AT, ECHO_AT = 16, 6, 2      # where the checksum stands


def to_bytes(packet: Packet) -> bytes:
    """A packet as it is on a wire, from IP up.

    >>> to_bytes(Packet("udp", "10.0.0.1", "10.0.0.2", 53, 54)).hex()
    '4500001c00010000401166ce0a0000010a000002003500360008eb70'

    Raises ValueError for a packet with an address that cannot be known.
    """
    if not _plain(packet):
        from k8slab.wire import to_scapy  # importing scapy takes longer than all the rest
        return bytes(to_scapy(packet))
    if packet.proto == "tcp":
        bits = sum(1 << FLAGS.index(letter) for letter in packet.flags)
        upper, at = TCP.pack(packet.sport, packet.dport, packet.seq, packet.ack, 5 << 4, bits, WINDOW, 0, 0), TCP_AT
    elif packet.proto == "udp":
        upper, at = UDP.pack(packet.sport, packet.dport, UDP.size + packet.length, 0), UDP_AT
    else:
        upper, at = ECHO.pack(packet.icmp_type, packet.icmp_code, 0, packet.icmp_id, 0), ECHO_AT
    upper += packet.payload
    ends, number = socket.inet_aton(packet.src) + socket.inet_aton(packet.dst), PROTOCOLS[packet.proto]
    pseudo = b"" if packet.proto == "icmp" else ends + struct.pack(">HH", number, len(upper))
    found = checksum(pseudo + upper) or (0xFFFF if packet.proto == "udp" else 0)
    upper = upper[:at] + struct.pack(">H", found) + upper[at + 2:]
    head = [0x45, 0, HEADER.size + len(upper), IDENTITY, 0, packet.ttl, number, 0, ends[:4], ends[4:]]
    head[7] = checksum(HEADER.pack(*head))
    return HEADER.pack(*head) + upper


def _plain(packet: Packet) -> bool:
    """Whether a packet is one of those that are written here."""
    if UNKNOWN in (packet.src, packet.dst) or packet.quoted or packet.length > 60_000 or not 0 <= packet.ttl < 256:
        return False
    if packet.proto == "tcp":
        return set(packet.flags) <= set(FLAGS) and len(set(packet.flags)) == len(packet.flags)
    return packet.proto == "udp" or packet.proto == "icmp" and packet.icmp_type in ECHOES


def from_bytes(data: bytes) -> Packet:
    """The packet that bytes from IP up say; `to_bytes` has an example. Raises ValueError where they say none."""
    packet = _read(data)
    if packet is None:
        from scapy.layers.inet import IP  # as above

        from k8slab.wire import from_scapy
        packet = from_scapy(IP(data))
    return packet


def _read(data: bytes) -> Packet | None:
    """A packet of those that are read here: whole, without IP options, and no more than it says."""
    if len(data) < HEADER.size:
        return None
    first, _, total, _, fragment, ttl, number, _, src, dst = HEADER.unpack_from(data)
    if first != 0x45 or total != len(data) or fragment & 0x3FFF:
        return None
    upper = data[HEADER.size:]
    fields: dict = {"src": socket.inet_ntoa(src), "dst": socket.inet_ntoa(dst), "ttl": ttl}
    if number == PROTOCOLS["tcp"] and len(upper) >= TCP.size:
        sport, dport, seq, ack, offset, bits, *_ = TCP.unpack_from(upper)
        size = (offset >> 4) * 4
        if not TCP.size <= size <= len(upper) or not bits & 0x3F:
            return None
        flags = "".join(letter for at, letter in enumerate(FLAGS) if bits >> at & 1 and letter != "A")
        return Packet("tcp", **fields, sport=sport, dport=dport, flags=flags + "A" * (bits >> 4 & 1), seq=seq, ack=ack,
                      payload=upper[size:])
    if number == PROTOCOLS["udp"] and len(upper) >= UDP.size:
        sport, dport, size, _ = UDP.unpack_from(upper)
        if size != len(upper):
            return None
        return Packet("udp", **fields, sport=sport, dport=dport, payload=upper[UDP.size:])
    if number == PROTOCOLS["icmp"] and len(upper) >= ECHO.size and upper[0] in ECHOES:
        kind, code, _, identity, _ = ECHO.unpack_from(upper)
        return Packet("icmp", **fields, icmp_type=kind, icmp_code=code, icmp_id=identity, payload=upper[ECHO.size:])
    return None


def checksum(data: bytes) -> int:
    """The Internet checksum of bytes (RFC 1071), 16 bits: `checksum(b"") == 65535`."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF

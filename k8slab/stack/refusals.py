"""The packets that say no: ICMP errors and TCP resets."""

from __future__ import annotations

from k8slab.iptables import Rule
from k8slab.packet import ICMP_ERRORS, UNREACHABLE, Packet

# What REJECT sends (ipt_REJECT.c): the ICMP code of type 3.
REJECT_CODES = {"icmp-net-unreachable": 0, "icmp-host-unreachable": 1, "icmp-proto-unreachable": 2,
                "icmp-port-unreachable": 3, "icmp-net-prohibited": 9, "icmp-host-prohibited": 10,
                "icmp-admin-prohibited": 13}

LAST_KNOWN_TYPE = 18           # NR_ICMP_TYPES: Linux answers no ICMP message of a type that it does not know


def rejection(packet: Packet, rule: Rule, source: str) -> Packet | None:
    """What a REJECT rule answers, from the address `source` where it is an ICMP error; None for what gets none."""
    if rule.target.reject_with == "tcp-reset":
        return reset(packet)
    return icmp_error(packet, UNREACHABLE, REJECT_CODES[rule.target.reject_with], source)


def icmp_error(packet: Packet, kind: int, code: int, source: str) -> Packet | None:
    """The ICMP error about `packet`; None where that is, or may be, an error itself (RFC 1122, 3.2.2)."""
    if packet.proto == "icmp" and (packet.icmp_type in ICMP_ERRORS or packet.icmp_type > LAST_KNOWN_TYPE):
        return None
    return Packet("icmp", source, packet.src, icmp_type=kind, icmp_code=code, quoted=packet)


def reset(packet: Packet) -> Packet | None:
    """The RST that refuses a TCP packet (RFC 9293, 3.5.2); None for a RST, which is never answered."""
    if packet.proto != "tcp" or "R" in packet.flags:
        return None
    answer = Packet("tcp", packet.dst, packet.src, packet.dport, packet.sport, "R", seq=packet.ack)
    if "A" in packet.flags:
        return answer
    return answer.replace(flags="RA", seq=0, ack=packet.end)

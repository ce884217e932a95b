"""What becomes of a packet that has reached a host, as far as one can tell from outside its programs."""

from __future__ import annotations

from collections.abc import Collection

from k8slab.network import Host
from k8slab.packet import Flow, Packet
from k8slab.stack import says

SPOKEN = ("tcp", "udp", "icmp")
ICMP_ANSWERED = frozenset({8, 13})


def heard(host: Host, packet: Packet, asked: Collection[Flow]) -> str:
    """Who hears a packet that was delivered on this host; `asked`: the tuples that clients have asked with."""
    about = {"host": host.name, "destination": packet.destination, "port": packet.dport, "proto": packet.proto}
    if packet.is_icmp_error:
        if packet.quoted and packet.quoted.flow in asked:
            return says.ERROR_HEARD.format(destination=packet.quoted.destination)
        return says.ERROR_IGNORED
    if packet.proto not in SPOKEN:
        return says.UNSPOKEN.format(**about)
    if packet.flow.reply in asked:
        return says.ASKED.format(**about)
    if packet.proto == "icmp":
        return (says.ICMP_QUESTION if packet.icmp_type in ICMP_ANSWERED else says.UNWANTED).format(**about)
    if (packet.proto, packet.dport) in host.listens:
        return (says.ENDED if "R" in packet.flags else says.LISTENS).format(**about)
    return says.CLOSED.format(**about, answer="a RST" if packet.proto == "tcp" else "an ICMP error")

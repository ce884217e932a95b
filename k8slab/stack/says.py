"""The sentences that both dataplanes tell: what conntrack found, what was rewritten, who sent and who heard."""

from __future__ import annotations

from k8slab.stack.skb import Skb
from k8slab.packet import UNKNOWN, Packet

NAT = ", so the nat chains will be asked"
# What conntrack found: the packet's state, its direction, and whether the entry is a new one.
FOUND = {
    ("NEW", "ORIGINAL", True): "no entry for these addresses and ports: a new connection, state NEW{nat}",
    ("NEW", "ORIGINAL", False): "known, but nobody has answered yet: still NEW; nat has decided already",
    ("ESTABLISHED", "ORIGINAL", False): "a known connection, original direction: to the rules it is "
                                        "ESTABLISHED, and the nat chains are not asked again",
    ("ESTABLISHED", "REPLY", False): "the answer to a known connection, reply direction: to the rules it is "
                                     "ESTABLISHED, and no nat chain is asked",
    ("RELATED", "ORIGINAL", False): "an ICMP error about a packet of a known connection: RELATED",
    ("RELATED", "REPLY", False): "an ICMP error about a packet of a known connection: RELATED",
    ("INVALID", "ORIGINAL", False): "it belongs to no connection and cannot start one: INVALID",
}


def change(before: Packet, after: Packet, manip: str) -> str:
    """`changes the destination 10.96.0.1:443 to 10.106.175.128:6443`; `manip` names the end, SRC or DST."""
    end = "source" if manip == "SRC" else "destination"
    old, new = getattr(before, end), getattr(after, end)
    unknown = ", an address of this node that is not known" if UNKNOWN in new else ""
    return f"leaves the {end} {old} as it is" if old == new else f"changes the {end} {old} to {new}{unknown}"


def entry_change(before: Packet, skb: Skb) -> str:
    """The sentence for a rewriting that no rule did."""
    manip = "SRC" if before.source != skb.packet.source else "DST"
    words = change(before, skb.packet, manip)
    if before.is_icmp_error:
        return f"conntrack {words}, and puts the quoted packet back in the sender's words; no rule does this"
    if skb.state == "NEW" and skb.direction == "ORIGINAL" and "SNAT" in skb.connection.status and manip == "SRC":
        return f"conntrack {words}, to keep its replies apart from another connection's; no rule does this"
    which = "puts back what the entry remembers" if skb.direction == "REPLY" else "does again what it did to the first"
    return f"conntrack {which}: it {words}; no rule does this"


SENDS = "a program on {host} sends it"
NO_NEIGHBOUR = "nobody on {oif} answers the ARP question for {next_hop}; after three seconds it is given up"
CONFIRMED = "the first packet has come through: the entry is confirmed, and its answer will find it"
ASKED = "reaches the socket that the question came from, on {host}"
LISTENS = "reaches the socket that listens on {destination}, on {host}"
CLOSED = "no program on {host} waits at port {port}: the answer is {answer}"
ICMP_QUESTION = "is a question of ICMP's own, and {host} answers it"
ERROR_HEARD = "tells the program that asked that {destination} cannot be reached"
ERROR_IGNORED = "no socket here sent the packet that this ICMP error quotes: it is ignored"
ENDED = "ends whatever {host} knew of this connection"
UNKNOWN_CONNECTION = "belongs to no connection that {host} knows of: the answer is a RST"
UNWANTED = "nobody on {host} wants this packet: it is ignored"
UNSPOKEN = "nobody on {host} speaks protocol {proto}: the answer is an ICMP error"


def answers(host: str, packet: Packet) -> str:
    """What a host says when it sends this packet because of another: `web answers: SYN-ACK`."""
    if packet.proto == "tcp":
        what = {"SA": "SYN-ACK", "A": "ACK", "PA": "data", "FA": "FIN"}.get(packet.flags, "RST")
    elif packet.is_icmp_error:
        what = f"an ICMP error, type {packet.icmp_type} code {packet.icmp_code}"
    else:
        what = f"a {packet.proto} packet"
    return f"{host} answers: {what}"

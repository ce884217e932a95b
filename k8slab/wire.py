"""Packets as bytes: to and from scapy, and captures that Wireshark opens.

scapy is imported inside the functions, because importing it takes longer than all the rest of
`k8slab`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from k8slab.frame import Arp, Frame
from k8slab.network import Network
from k8slab.packet import PROTOCOLS, UNKNOWN, Packet
from k8slab.trace import Step, Trace

if TYPE_CHECKING:
    from scapy.packet import Packet as ScapyPacket

BETWEEN_FRAMES = 0.001       # the model's wires take no time; a capture needs an order to be read in


def to_scapy(packet: Packet) -> ScapyPacket:
    """The packet as scapy layers, from IP up.

    >>> to_scapy(Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)).summary()
    'IP / TCP 10.244.1.5:40000 > 10.96.0.1:https S'

    Raises ValueError for a packet with an address that cannot be known.
    """
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.sctp import SCTP, SCTPChunkInit
    from scapy.packet import Raw

    if UNKNOWN in (packet.src, packet.dst):
        raise ValueError(f"{packet} cannot be made into bytes: one of its addresses is not known")
    layers = IP(src=packet.src, dst=packet.dst, ttl=packet.ttl,
                proto=PROTOCOLS.get(packet.proto) or int(packet.proto))
    if packet.proto == "tcp":
        layers /= TCP(sport=packet.sport, dport=packet.dport, flags=packet.flags, seq=packet.seq, ack=packet.ack)
    elif packet.proto == "icmp":
        layers /= ICMP(type=packet.icmp_type, code=packet.icmp_code,
                       **({} if packet.is_icmp_error else {"id": packet.icmp_id}))
    elif packet.proto == "udp":
        layers /= UDP(sport=packet.sport, dport=packet.dport)
    elif packet.proto == "sctp":       # with the chunk that opens an association: without one it is not valid
        return layers / SCTP(sport=packet.sport, dport=packet.dport) / SCTPChunkInit()
    if packet.quoted:
        layers /= Raw(bytes(to_scapy(packet.quoted)))
    return layers / Raw(packet.payload) if packet.payload else layers


def from_scapy(layers: ScapyPacket) -> Packet:
    """The packet that scapy layers say; what is below IP is left out.

    Raises ValueError when there is no IPv4 layer.
    """
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.sctp import SCTP

    if IP not in layers:
        raise ValueError(f"{layers.summary()}: there is no IPv4 layer, such as IP(src=…, dst=…)/TCP(dport=443)")
    ip = IP(bytes(layers[IP]))      # as it will be on the wire: lengths, protocol numbers and defaults filled in
    names = {number: name for name, number in PROTOCOLS.items()}
    fields: dict = {"proto": names.get(ip.proto, str(ip.proto)), "src": ip.src, "dst": ip.dst, "ttl": ip.ttl}
    upper = next((ip[layer] for layer in (TCP, UDP, SCTP, ICMP) if isinstance(ip.payload, layer)), None)
    if isinstance(upper, ICMP):
        fields |= {"icmp_type": upper.type, "icmp_code": upper.code, "icmp_id": upper.id or 0}
        if upper.type in (3, 4, 5, 11, 12):
            return Packet(**fields | {"icmp_id": 0}, quoted=from_scapy(IP(bytes(upper.payload))))
    elif upper is not None:
        fields |= {"sport": upper.sport, "dport": upper.dport}
    if isinstance(upper, TCP):
        flags = "".join(letter for letter in "FSRPAU" if letter in str(upper.flags))
        fields |= {"flags": _order(flags), "seq": upper.seq, "ack": upper.ack}
    payload = b"" if isinstance(upper, SCTP) else bytes((ip if upper is None else upper).payload)
    return Packet(**fields, payload=payload)


def _order(flags: str) -> str:
    """ACK is written last, as people say it: SA, FA, PA."""
    return flags.replace("A", "") + "A" * ("A" in flags)


def seen_on(trace: Trace, node: str, interface: str) -> tuple[Step, ...]:
    """The steps at which a capture on this interface sees a packet, in order."""
    return tuple(s for s in trace.steps if s.node == node and (
        (s.kind == "ARRIVE" and s.iif == interface) or (s.kind == "LEAVE" and s.oif == interface)))


def frames(trace: Trace, network: Network, node: str, interface: str) -> list[ScapyPacket]:
    """What `tcpdump -i interface` on that node would have captured, as scapy packets from Ethernet up."""
    from scapy.layers.l2 import Ether

    result = []
    for step in seen_on(trace, node, interface):
        here, there = network.host(node).interface(interface).mac, _far_mac(trace, network, step)
        src, dst = (there, here) if step.kind == "ARRIVE" else (here, there)
        frame = Ether(src=src, dst=dst) / to_scapy(step.before)
        frame.time = step.number * BETWEEN_FRAMES
        result.append(frame)
    return result


def ethernet(frame: Frame) -> ScapyPacket:
    """A captured frame as a scapy packet from Ethernet up.

    >>> ethernet(Frame("02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff",
    ...                Arp(True, "02:00:00:00:00:01", "10.0.0.1", "00:00:00:00:00:00", "10.0.0.2"))).summary()
    'Ether / ARP who has 10.0.0.2 says 10.0.0.1'
    """
    from scapy.layers.l2 import ARP, Ether

    carries = frame.carries
    if isinstance(carries, Arp):
        inner = ARP(op=1 if carries.asks else 2, hwsrc=carries.mac, psrc=carries.ip,
                    hwdst=carries.target_mac, pdst=carries.target_ip)
    else:
        inner = to_scapy(carries)
    layers = Ether(src=frame.src, dst=frame.dst) / inner
    layers.time = frame.seconds
    return layers


def _far_mac(trace: Trace, network: Network, step: Step) -> str:
    """The MAC of the interface at the other end: where the same packet left, or came in."""
    kind, side = ("LEAVE", -1) if step.kind == "ARRIVE" else ("ARRIVE", 1)
    others = [s for s in trace.steps if s.leg == step.leg and s.kind == kind
              and (s.number - step.number) * side > 0]
    if not others:
        return "ff:ff:ff:ff:ff:ff"
    far = others[-1] if side < 0 else others[0]
    return network.host(far.node).interface(far.iif if kind == "ARRIVE" else far.oif).mac


def write_pcap(path: str | Path, captured: Iterable[ScapyPacket]) -> Path:
    """Write frames to a file that Wireshark and tcpdump open; returns its path."""
    from scapy.utils import wrpcap

    wrpcap(str(path), list(captured))
    return Path(path)

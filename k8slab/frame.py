"""Frame: what travels on one link, an IP packet or an ARP message between two hardware addresses."""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.packet import Packet

EVERYBODY = "ff:ff:ff:ff:ff:ff"
NOBODY = "00:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP message (RFC 826): `asks`, or else tells; the addresses of who sends it and of whom it is about."""

    asks: bool
    mac: str
    ip: str
    target_mac: str
    target_ip: str

    def __str__(self) -> str:
        return f"who has {self.target_ip}? tell {self.ip}" if self.asks else f"{self.ip} is at {self.mac}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One Ethernet frame: `src` and `dst` are MAC addresses; `seconds` is when it was seen."""

    src: str
    dst: str
    carries: Packet | Arp
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.src} > {self.dst}: {self.carries}"

"""The packet while it is in one host's hands, and the journal of what is done to it.

Skb is named after the kernel's sk_buff: the packet, and what this host's stack knows of it
besides its bytes. The mark and the conntrack entry are such notes: they are not in the
packet, and stay behind when it leaves on a wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.stack.routing import Decision
from k8slab.packet import Packet
from k8slab.stack.rewrite import Connection
from k8slab.trace import Step


@dataclass(slots=True)
class Skb:
    """`leg`: the packet's number in the journey. `state`: conntrack's word for it, None before it was asked.

    `rerouted`: the route that it has since a nat rule of OUTPUT changed its destination. `icmp_answer`: the
    kernel's own ICMP makes it at this moment.
    """

    packet: Packet
    leg: int
    iif: str | None = ""
    oif: str | None = ""
    mark: int = 0
    state: str | None = None
    connection: Connection | None = None
    direction: str = "ORIGINAL"
    rerouted: Decision | None = None
    icmp_answer: bool = False


class Journal:
    """The steps of one journey, numbered as they come."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.legs = 0

    def next_leg(self) -> int:
        """The number of the next packet of the journey, from 1."""
        self.legs += 1
        return self.legs

    def add(self, node: str, kind: str, skb: Skb, why: str, now: float, *, before: Packet | None = None,
            after: Packet | None = None, ends: bool = False, **where: object) -> None:
        """Write down what was done: `before` is given where the packet was changed, `ends` where it is gone."""
        before = before or skb.packet
        where = {"iif": skb.iif or "", "oif": skb.oif or ""} | where
        self.steps.append(Step(
            len(self.steps) + 1, skb.leg, node, kind, before, None if ends else after or skb.packet, why,
            mark=skb.mark, entry=skb.connection.entry(now) if skb.connection else None, **where))

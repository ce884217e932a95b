"""How a packet and everything that follows from it travel between the stacks of the model.

On a link the sender needs the hardware address of the next hop. It asks for it by ARP (RFC 826) when its table of
neighbours does not say; that is no step of a journey, because no host's rules see it, but a capture sees it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from k8slab.model.programs import PROTOCOL_UNREACHABLE
from k8slab.model.wire import GIVEN_UP, NOWHERE
from k8slab.packet import UNREACHABLE, Packet
from k8slab.stack import says
from k8slab.stack.skb import Journal, Skb
from k8slab.stack.stack import VERDICT, Fate, Stack
from k8slab.trace import Trace

if TYPE_CHECKING:
    from k8slab.model.dataplane import Model

HOST_UNREACHABLE = 1          # ICMP code: the neighbour does not answer


class Journey:
    """One packet and everything that follows from it, in the order in which it happens."""

    def __init__(self, model: Model, origin: Stack, packet: Packet) -> None:
        self.model, self.origin, self.sent = model, origin, packet
        self.journal = Journal()
        self.on_the_wire: deque[tuple[str, str, Packet, int]] = deque()
        self.first: Fate | None = None
        self.reply: Packet | None = None
        self.later: str = ""
        self.waited = 0.0              # seconds that were spent in vain on asking for a neighbour

    def run(self) -> Trace:
        for stack in self.model.stacks.values():
            stack.journal = self.journal
        self._emit(self.origin, self.sent, "SEND", says.SENDS.format(host=self.origin.name))
        self._carry()
        received = self.first.skb.packet if self.first.kind == "deliver" else None
        entries = tuple((name, entry) for name in self.model.stacks for entry in self.model.entries(name))
        return Trace(tuple(self.journal.steps), self.sent, received, self.reply, entries,
                     VERDICT[self.first.kind], self.first.reason or self.later)

    def _carry(self) -> None:
        """Carry what is on the wire as far as it goes: a host that sends two packets waits with the second."""
        while self.on_the_wire:
            host, interface, packet, leg = self.on_the_wire.popleft()
            stack = self.model.stacks[host]
            self._settle(stack, stack.receive(Skb(packet, leg), interface))

    def _emit(self, stack: Stack, packet: Packet, kind: str, why: str, about: Skb | None = None) -> None:
        leg = self.journal.next_leg()
        stack.note(kind, Skb(packet, leg), why)
        self._settle(stack, stack.send(packet, leg, about, answers=kind == "ANSWER"))

    def _settle(self, stack: Stack, fate: Fate) -> None:
        """See to it that what became of a packet on one host is carried on by the next."""
        if fate.kind == "transmit":
            fate = self._transmit(stack, fate)
            if fate is None:
                return
        if fate.skb.leg == 1:
            self.first = fate
        elif fate.kind != "deliver":
            self.later = self.later or f"the answer did not get through: {fate.reason}"
        if fate.kind == "deliver":
            self._deliver(stack, fate.skb)
        elif fate.answer is not None:
            self._emit(stack, fate.answer, "ANSWER", says.answers(stack.name, fate.answer), fate.skb)

    def _transmit(self, stack: Stack, fate: Fate) -> Fate | None:
        skb = fate.skb
        if skb.oif == "lo":
            if not self.model.network.host(stack.name).lo.up:
                return stack.lose(skb, "lo is down")
            stack.leave(fate)
            self.model.wire.loop(stack.name, skb.packet)
            return stack.receive(skb, "lo")
        found = self.model.wire.resolve(stack, skb.oif, fate.next_hop, skb.packet)
        if found == NOWHERE:
            return stack.lose(skb, f"nobody on {skb.oif} has the MAC that is noted for {fate.next_hop}")
        if found:
            stack.leave(fate)
            self.model.wire.carry((stack.name, skb.oif), found, skb.packet)
            self.on_the_wire.append((*found, skb.packet, skb.leg))
            return None
        self.waited = GIVEN_UP
        why = says.NO_NEIGHBOUR.format(oif=skb.oif, next_hop=fate.next_hop)
        return stack.refuse(skb, UNREACHABLE, HOST_UNREACHABLE, why)

    def _deliver(self, stack: Stack, skb: Skb) -> None:
        why, answers = self.model.programs[stack.name].hear(skb.packet)
        stack.note("DELIVER", skb, why)
        if stack is self.origin and skb.leg > 1 and self.reply is None:
            self.reply = skb.packet
        for answer in answers:
            # A protocol that nobody speaks is refused while the packet still has its entry; a closed port later.
            about = skb if answer.is_icmp_error and answer.icmp_code == PROTOCOL_UNREACHABLE else None
            self._emit(stack, answer, "ANSWER", says.answers(stack.name, answer), about)
            self._carry()


"""One node of which only the rules are known: where would this packet go?

This is what `k8slab trace` asks. There is no network around the node: a packet comes in on an
interface (or from a program on the node), walks the rules, and is delivered, leaves, or ends.
What the rules need and nobody said, such as the interface it came in on, makes the answer UNKNOWN;
what was assumed is listed beside the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from k8slab.iptables import Ruleset
from k8slab.model.chance import Chance, every_way
from k8slab.model.netfilter import Netfilter
from k8slab.stack.routing import OpenRoutes
from k8slab.stack.skb import Skb
from k8slab.stack.stack import VERDICT, Stack
from k8slab.packet import Packet
from k8slab.trace import Trace

NODE = "node"


@dataclass(frozen=True, slots=True)
class Question:
    """A packet and what is known of the node. `local`: its addresses. `iif`, `oif`: None when not known.

    `from_node`: a program on the node sends the packet, so that it starts at OUTPUT. `plain`: every rule is tried, one
    by one, where else those are left out that the packet cannot hit; what comes of it is the same.
    """

    rules: Ruleset
    packet: Packet
    local: tuple[str, ...] = ()
    iif: str | None = None
    oif: str | None = None
    from_node: bool = False
    plain: bool = False

    def trace(self, chance: Chance) -> Trace:
        """The packet's way through the node, with chance falling as `chance` says."""
        routes, clock = OpenRoutes(self.local, self.oif), lambda: 0.0
        stack = Stack(NODE, routes, Netfilter(self.rules, routes, chance, clock, plain=self.plain), clock)
        leg = stack.journal.next_leg()
        if self.from_node:
            stack.note("SEND", Skb(self.packet, leg), "a program on the node sends it")
            fate = stack.send(self.packet, leg)
            if fate.kind == "transmit" and fate.skb.oif == "lo":
                stack.leave(fate)
                fate = stack.receive(fate.skb, "lo")
        else:
            fate = stack.receive(Skb(self.packet, leg), self.iif)
        if fate.kind == "transmit":
            stack.leave(fate)
        if fate.kind == "deliver":
            stack.note("DELIVER", fate.skb, f"goes up to whatever listens on {fate.skb.packet.destination} here")
        received = fate.skb.packet if fate.kind in ("deliver", "transmit") else None
        entries = tuple((NODE, c.entry(0.0)) for c in stack.netfilter.conntrack.connections(0.0))
        return Trace(tuple(stack.journal.steps), self.packet, received, None, entries,
                     VERDICT[fate.kind], fate.reason, answers=False)

    def outcomes(self) -> Iterator[tuple[Fraction, Trace]]:
        """Each way in which chance can fall, with its probability."""
        return every_way(self.trace)


def proved_local(rules: Ruleset) -> tuple[str, ...]:
    """The addresses that the rules show to be the node's own.

    kube-proxy with --nodeport-addresses writes one jump to KUBE-NODEPORTS for each address of the node
    (writeIptablesRules in pkg/proxy/iptables/proxier.go); nothing else that it writes proves one.
    """
    nat = rules.get("nat")
    services = nat.get("KUBE-SERVICES") if nat else None
    found = []
    for rule in services.mentioning(("-j KUBE-NODEPORTS",)) if services else ():
        words = rule.text.split()
        if words[-2:] == ["-j", "KUBE-NODEPORTS"] and "-d" in words and "!" not in words:
            address, _, prefix = words[words.index("-d") + 1].partition("/")
            found += [address] if prefix in ("", "32") else []
    return tuple(found)

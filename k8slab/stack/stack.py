"""One host's network stack: the five hooks, in the order in which Linux calls them.

Theory of operation
-------------------
    in ── PREROUTING ── route ──┬── FORWARD ───────────────┬── POSTROUTING ── out
                                │                          │
                              INPUT                route ── OUTPUT
                                │                    │
                                └────── program ─────┘

At each hook (in capitals) netfilter shows the packet to several parties, in the order of their priorities
(nf_ip_hook_priorities in netfilter_ipv4.h): raw (-300), conntrack (-200), mangle (-150), nat for destinations
(-100), filter (0), nat for sources (100), security (150), conntrack's confirmation (last). security is at 50 in
iptables-legacy and at 150 in iptables-nft, so that at INPUT nat comes first there (LEGACY_HOOKS). A host without
rules has no netfilter at all, no hooks and no conntrack entries: that is a Pod's own namespace.

What is left out: fragments, IP options, routing by mark, transparent sockets, ICMP redirects (the
lab switches them off), and what becomes of a masqueraded connection whose route moves to
another interface.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from k8slab.stack.refusals import icmp_error, rejection
from k8slab.stack.routing import DEAD_ENDS, Decision, Routes
from k8slab.stack.rewrite import OTHER
from k8slab.stack.skb import Journal, Skb
from k8slab.iptables import Rule
from k8slab.packet import TIME_EXCEEDED, UNKNOWN, UNREACHABLE, Packet

HOOKS = {
    "PREROUTING": ("raw", "conntrack", "mangle", "nat"),
    "INPUT": ("mangle", "filter", "nat", "security", "confirm"),
    "FORWARD": ("mangle", "filter", "security"),
    "OUTPUT": ("raw", "conntrack", "mangle", "nat", "filter", "security"),
    "POSTROUTING": ("mangle", "nat", "confirm"),
}
LEGACY_HOOKS = HOOKS | {"INPUT": ("mangle", "filter", "security", "nat", "confirm")}
# What a packet's fate on its last host makes of the journey.
VERDICT = {"deliver": "DELIVERED", "drop": "DROPPED", "reject": "REJECTED", "error": "REJECTED",
           "unknown": "UNKNOWN", "transmit": "FORWARDED"}
TO_MANY = ("broadcast", "multicast")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a walk ended: `verdict` ACCEPT, DROP, REJECT or UNKNOWN; `rule` is what said so, if a rule did."""

    verdict: str
    why: str = ""
    rule: Rule | None = None


class Netfilter(Protocol):
    """What a stack asks at its hooks. `rules`: falsy where a host has no netfilter. `note` writes a step."""

    rules: object
    note: Callable[..., None]

    def ask(self, party: str, hook: str, skb: Skb) -> Ended: ...
    def rejected(self, skb: Skb) -> None: ...


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a packet on a host.

    `kind`: "deliver", "transmit", "drop", "reject", "error" (a local program is told at once) or
    "unknown". `next_hop`: whom to ask for on the link. `reason`: a sentence. `answer`: an ICMP error or reset
    for this host to send.
    """

    kind: str
    skb: Skb
    next_hop: str = ""
    reason: str = ""
    answer: Packet | None = None


class Stack:
    """The stack of one host. `clock` returns seconds; `journal` is where the steps of a journey go."""

    def __init__(self, name: str, routes: Routes, netfilter: Netfilter, clock: Callable[[], float], *,
                 forwards: bool = True) -> None:
        self.name, self.routes, self.netfilter, self.clock, self.forwards = name, routes, netfilter, clock, forwards
        self.journal, self.hooks = Journal(), HOOKS
        netfilter.note = self.note

    def note(self, kind: str, skb: Skb, why: str, **where: object) -> None:
        self.journal.add(self.name, kind, skb, why, self.clock(), **where)

    # The ways through the host.

    def receive(self, skb: Skb, iif: str | None) -> Fate:
        """A packet came in on `iif` (None: on one that is not known)."""
        skb.iif, skb.oif = iif, ""
        self.note("ARRIVE", skb, f"arrives on {iif or 'an interface that is not known'}", hook="")
        fate = self._hook("PREROUTING", skb)
        if fate:
            return fate
        return self._route_input(skb)

    def _route_input(self, skb: Skb) -> Fate:
        packet, decision = skb.packet, self.routes.look_up(skb.packet.dst)
        refused = self.routes.martian(packet.src, packet.dst, skb.iif)
        if not refused and decision.kind not in DEAD_ENDS:       # where no route leads, nobody asks for the source
            refused = self.routes.bad_source(packet.src, skb.iif)
        if refused:
            return self._drop(skb, f"refused by the routing code, in silence: {refused}")
        if decision.kind in ("local", "broadcast"):
            self.note("ROUTE", skb, f"{decision.why}: it goes up to a socket here")
            return self._hook("INPUT", skb) or Fate("deliver", skb)
        return self._forward(skb, decision)

    def _forward(self, skb: Skb, decision: Decision) -> Fate:
        if not self.forwards:
            return self._drop(skb, f"{skb.packet.dst} is not an address of this host, and ip_forward is 0")
        if decision.kind in DEAD_ENDS:
            return self._dead_end(skb, decision)
        if decision.kind == "multicast":
            return self._drop(skb, f"{decision.why}, and nobody here has joined it")
        skb.oif = decision.oif
        self.note("ROUTE", skb, self._way(decision))
        if skb.packet.ttl <= 1:
            return self.refuse(skb, TIME_EXCEEDED, 0, "its TTL has run out: the sender is told")
        before = skb.packet
        skb.packet = before.replace(ttl=before.ttl - 1)
        self.note("FORWARD", skb, f"this host forwards it: TTL {before.ttl} becomes {skb.packet.ttl}", before=before)
        return self._hook("FORWARD", skb) or self._output(skb, decision)

    def send(self, packet: Packet, leg: int, about: Skb | None = None, *, answers: bool = False) -> Fate:
        """A program here, or the kernel itself, sends a packet. `about`: the packet that it refuses, if it does.

        `answers`: it is sent because of another packet, and not because a program wants to.
        """
        skb = Skb(packet, leg, icmp_answer=answers and packet.proto == "icmp")
        decision = self.routes.look_up(packet.dst)
        if decision.kind in TO_MANY:
            return Fate("unknown", skb, reason=f"{self.name}: {decision.why}: the model follows packets for one host")
        if error := self._bad_output(packet.src, decision):
            return self._error(skb, f"no packet is made, because {error}")
        if packet.src in (UNKNOWN, "0.0.0.0"):
            skb.packet = packet.replace(src=self.routes.source(decision))
        skb.oif = decision.oif
        if about is not None and about.connection:
            # nf_ct_attach: a refusal belongs to the connection of what it refuses, though nothing is confirmed yet
            skb.connection, skb.state, skb.direction = about.connection, "RELATED", OTHER[about.direction]
        elif about is not None and about.state == "UNTRACKED":
            skb.state = "INVALID"        # what is said about a packet that conntrack left alone is no longer left alone
        self.note("ROUTE", skb, self._way(decision))
        return self._hook("OUTPUT", skb) or self._output(skb, skb.rerouted or decision)

    def _reroute(self, skb: Skb) -> Fate | None:
        """A nat rule of OUTPUT has changed the destination: ask the routes again (ip_route_me_harder).

        The tables that are still to come at this hook read the interface of the first route.
        """
        decision = self.routes.look_up(skb.packet.dst)
        if error := self._bad_output(skb.packet.src, decision):
            return self._error(skb, f"its new destination cannot be reached: {error}", hook="OUTPUT")
        skb.rerouted = decision
        self.note("ROUTE", skb, f"its destination has changed: {self._way(decision)}", oif=decision.oif or "")
        return None

    def _bad_output(self, src: str, decision: Decision) -> str:
        if decision.kind in DEAD_ENDS:
            return f"{decision.why}: {DEAD_ENDS[decision.kind][1]}"
        return self.routes.bad_output(src, decision)

    def _error(self, skb: Skb, why: str, hook: str = "") -> Fate:
        """The program that sends is told at once."""
        self.note("DROP", skb, why, hook=hook, ends=True)
        return Fate("error", skb, reason=f"{self.name}: {why}")

    def _output(self, skb: Skb, decision: Decision) -> Fate:
        skb.oif = decision.oif
        iif, skb.iif = skb.iif, ""        # at POSTROUTING a rule cannot see where the packet came from
        fate = self._hook("POSTROUTING", skb)
        skb.iif = iif
        return fate or Fate("transmit", skb, decision.next_hop)

    def leave(self, fate: Fate) -> None:
        """The packet goes out: whoever carries it calls this once the next hop's hardware address is known."""
        skb, next_hop = fate.skb, fate.next_hop
        way = f" towards {next_hop}" if next_hop != skb.packet.dst else ""
        self.note("LEAVE", skb, f"leaves on {skb.oif or 'an interface that is not known'}{way}")

    def _hook(self, hook: str, skb: Skb) -> Fate | None:
        """Let every party at the hook see the packet; a Fate when it ends there."""
        for party in self.hooks[hook] if self.netfilter.rules else ():
            before = skb.packet.dst
            ended = self.netfilter.ask(party, hook, skb)
            if ended.verdict != "ACCEPT":
                return self._ended(ended, skb)
            if hook == "OUTPUT" and party == "nat" and skb.packet.dst != before and (fate := self._reroute(skb)):
                return fate
        return None

    # The ends.

    def _ended(self, ended: Ended, skb: Skb) -> Fate:
        if ended.verdict == "REJECT":
            answer = rejection(skb.packet, ended.rule, self._source_of_error(skb.packet))
            if skb.icmp_answer and answer and answer.proto == "icmp":
                answer = None        # the kernel's ICMP is busy with the packet itself (icmp_xmit_lock)
            if answer and answer.proto == "tcp":
                self.netfilter.rejected(skb)
            return Fate("reject", skb, reason=f"{self.name}: {ended.why}", answer=answer)
        return Fate("unknown" if ended.verdict == "UNKNOWN" else "drop", skb, reason=f"{self.name}: {ended.why}")

    def _drop(self, skb: Skb, why: str, hook: str = "") -> Fate:
        self.note("DROP", skb, why, hook=hook, ends=True)
        return Fate("drop", skb, reason=f"{self.name}: {why}")

    def lose(self, skb: Skb, why: str) -> Fate:
        """End a packet that cannot be put on a wire, in silence."""
        return self._drop(skb, why)

    def _dead_end(self, skb: Skb, decision: Decision) -> Fate:
        code = DEAD_ENDS[decision.kind][0]
        if code is None:
            return self._drop(skb, f"{decision.why}: the packet is dropped in silence")
        return self.refuse(skb, UNREACHABLE, code, f"{decision.why}: the sender is told")

    def refuse(self, skb: Skb, kind: int, code: int, why: str) -> Fate:
        """End the packet and answer with an ICMP error of this type and code."""
        self.note("REJECT", skb, why, ends=True)
        answer = icmp_error(skb.packet, kind, code, self._source_of_error(skb.packet))
        return Fate("reject", skb, reason=f"{self.name}: {why}", answer=answer)

    def _source_of_error(self, packet: Packet) -> str:
        """An ICMP error comes from the address the packet was for, if it is ours, else from the one nearest."""
        return packet.dst if self.routes.address_type(packet.dst) == "LOCAL" else UNKNOWN

    @staticmethod
    def _way(decision: Decision) -> str:
        if decision.kind == "local":
            return f"{decision.why}: it turns round on lo"
        out = f"out on {decision.oif}" if decision.oif else "out on an interface that is not known"
        return f"{decision.why}: {out}"

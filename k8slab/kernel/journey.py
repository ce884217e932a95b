"""From what a kernel was seen doing to a Trace: the reports are put in order and told host by host.

Theory of operation
-------------------
What was seen is a row of *stays* (`stays.py`), each a packet's time on one host, with the reports of its passage
through the host's rules. In every stay the stack tells what it does, in the words of both dataplanes, and asks the
reports at each hook (`replay.py`) instead of rules. What was *seen* overrules what the stack expects.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

from k8slab.entry import Entry
from k8slab.iptables import Ruleset
from k8slab.kernel.events import Wire, inner_flow
from k8slab.kernel.known import Table
from k8slab.kernel.passages import Passage
from k8slab.kernel.replay import Replay
from k8slab.kernel.stays import Seen, Stay, stays
from k8slab.network import Network
from k8slab.headers import from_bytes
from k8slab.packet import UNREACHABLE, Flow, Packet
from k8slab.stack import says
from k8slab.stack.heard import SPOKEN, heard
from k8slab.stack.routing import HostRoutes
from k8slab.stack.skb import Journal, Skb
from k8slab.stack.stack import HOOKS, LEGACY_HOOKS, VERDICT, Fate, Stack
from k8slab.trace import OBSERVABLE, Step, Trace

HOST_UNREACHABLE = 1
NOT_SEEN = "it was not seen to leave on {oif}, and no report says why"


class Telling:
    """A journey while it is told."""

    def __init__(self, network: Network, rules: Mapping[str, Ruleset], at: str, sent: Packet, seen: Seen) -> None:
        self.network, self.at, self.sent = network, at, sent
        self.journal, self.first, self.reply, self.later = Journal(), None, None, ""
        self.refusals: dict[str, Fate] = {}         # host → what it has refused, until the answer to that is seen
        self.turned: dict[str, Skb] = {}             # host → what goes round by its lo
        self.asked = [sent.flow]
        self.draws: list[bool] = []                  # of every random draw: whether it was below the rule's threshold
        self.stacks: dict[str, Stack] = {}
        for host in network.hosts:
            routes = HostRoutes(host)
            table = Table(seen.before.get(host.name, ()), [c for c in seen.changes if c.host == host.name])
            netfilter = Replay(host.name, rules.get(host.name), routes, table, self.draws)
            stack = Stack(host.name, routes, netfilter, lambda: 0.0, forwards=bool(host.sysctl("ip_forward")))
            stack.journal, stack.hooks = self.journal, LEGACY_HOOKS if seen.backend == "legacy" else HOOKS
            self.stacks[host.name] = stack

    def tell(self, stay: Stay) -> None:
        """Everything that happened in one stay."""
        stack = self.stacks[stay.host]
        stack.netfilter.passage = stay.passage
        if stay.came:
            turned = self.turned.pop(stay.host, None) if stay.came.interface == "lo" else None
            fate = stack.receive(turned or Skb(packet_of(stay.came), stay.leg), stay.came.interface)
        else:
            fate = self._made(stack, stay)
        if fate is None:
            return
        self._settle(stack, stay, self._seen_leaving(stack, stay, fate))

    def _made(self, stack: Stack, stay: Stay) -> Fate | None:
        packet = self._as_made(stay)
        if packet is None:
            return None
        kind, why = ("SEND", says.SENDS.format(host=stay.host)) if stay.leg == 1 else (
            "ANSWER", says.answers(stay.host, packet))
        refusal = self.refusals.pop(stay.host, None) if packet.is_icmp_error or "R" in packet.flags else None
        if refusal and refusal.answer and packet.is_icmp_error:
            packet = refusal.answer             # as it was made: no capture shows what it quoted then
        stack.note(kind, Skb(packet, stay.leg), why)
        return stack.send(packet, stay.leg, refusal.skb if refusal else None, answers=kind == "ANSWER")

    def _as_made(self, stay: Stay) -> Packet | None:
        """The packet before any rule of its host read it."""
        if stay.leg == 1:
            return self.sent
        packet = packet_of(stay.left) if stay.left else None
        if stay.passage:
            packet = packet or _from_headers(stay.passage)
            flow = _flow(stay.passage)
            if packet and flow and not packet.is_icmp_error:
                packet = packet.replace(src=flow.src, dst=flow.dst, sport=flow.sport, dport=flow.dport,
                                        icmp_id=flow.icmp_id)
        return packet

    def _seen_leaving(self, stack: Stack, stay: Stay, fate: Fate) -> Fate | None:
        """What was seen overrules what the stack expects: None when the packet goes on elsewhere."""
        skb = fate.skb
        if stay.left:
            skb.packet, skb.oif = packet_of(stay.left), stay.left.interface
            stack.leave(fate)
            if skb.oif == "lo":
                self.turned[stay.host] = skb
            return None
        if fate.kind != "transmit":
            return fate
        if skb.oif == "lo" or any(self.stacks[name].routes.look_up(fate.next_hop).kind == "local"
               for name, _ in self.network.neighbours(stay.host, skb.oif)):
            why = NOT_SEEN.format(oif=skb.oif)
            stack.note("DROP", skb, why, ends=True)
            return Fate("drop", skb, reason=f"{stay.host}: {why}")
        why = says.NO_NEIGHBOUR.format(oif=skb.oif, next_hop=fate.next_hop)
        return stack.refuse(skb, UNREACHABLE, HOST_UNREACHABLE, why)

    def _settle(self, stack: Stack, stay: Stay, fate: Fate | None) -> None:
        if fate is None:
            return
        if fate.answer or fate.kind == "deliver" and fate.skb.packet.proto not in SPOKEN:
            self.refusals[stay.host] = fate
        if stay.leg == 1:
            self.first = fate
        elif fate.kind != "deliver":
            self.later = self.later or f"the answer did not get through: {fate.reason}"
        if fate.kind == "deliver":
            packet = fate.skb.packet
            stack.note("DELIVER", fate.skb, heard(self.network.host(stay.host), packet, self.asked))
            if stay.host == self.at and stay.leg > 1 and self.reply is None:
                self.reply = packet

    def trace(self, entries: tuple[tuple[str, Entry], ...]) -> Trace:
        """The journey as a Trace."""
        first = self.first or Fate("unknown", Skb(self.sent, 1), reason="the packet was lost from sight")
        received = first.skb.packet if first.kind == "deliver" else None
        steps = tuple(replace(step, observed=True) if _was_seen(step) else self._told(step)
                      for step in self.journal.steps)
        return Trace(steps, self.sent, received, self.reply, entries, VERDICT[first.kind], first.reason or self.later)


    def _told(self, step: Step) -> Step:
        """A refusal without a rule whose error nobody saw: Linux sends few (`ip_error`, net.ipv4.route.error_*)."""
        left = self.refusals.get(step.node)
        if step.kind == "REJECT" and left and left.skb.leg == step.leg:
            return replace(step, why=f"{step.why}; but no error was seen: the kernel limits how many it sends")
        return step


def follow(network: Network, rules: Mapping[str, Ruleset], at: str, sent: Packet, seen: Seen) -> Telling:
    """A journey as far as what was seen tells it. `rules`: of each node that has any; `at`: who has sent `sent`."""
    telling = Telling(network, rules, at, sent, seen)
    for stay in stays(at, sent.flow, seen):
        telling.tell(stay)
    return telling


def tell(network: Network, rules: Mapping[str, Ruleset], at: str, sent: Packet, seen: Seen,
         entries: tuple[tuple[str, Entry], ...]) -> Trace:
    """The Trace of what was seen; `entries`: pairs of node and entry, as they are afterwards."""
    return follow(network, rules, at, sent, seen).trace(entries)


def _was_seen(step: Step) -> bool:
    return step.kind in ("ARRIVE", "LEAVE") or bool(step.chain) and (step.kind in OBSERVABLE or step.kind == "NAT")


def packet_of(wire: Wire) -> Packet:
    return from_bytes(wire.data)


def _flow(passage: Passage) -> Flow | None:
    return inner_flow(passage.network, passage.transport)


def _from_headers(passage: Passage) -> Packet | None:
    """A packet that no capture saw, of the first bytes of its headers."""
    flow = _flow(passage)
    if flow is None:
        return None
    flags, payload, size = "", b"", struct.unpack_from(">H", passage.network, 2)[0] - 20
    if flow.proto == "tcp" and len(passage.transport) >= 14:
        bits = passage.transport[13]
        flags = "".join(letter for at, letter in enumerate("FSRP") if bits >> at & 1) + "A" * (bits >> 4 & 1)
        payload = b"?" * max(0, size - (passage.transport[12] >> 4) * 4)
    return Packet(flow.proto, flow.src, flow.dst, flow.sport, flow.dport, flags, passage.network[8], payload,
                  icmp_type=flow.icmp_type, icmp_code=flow.icmp_code, icmp_id=flow.icmp_id)

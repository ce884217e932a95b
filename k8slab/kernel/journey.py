"""From what a kernel was seen doing to a Trace: the reports are put in order and told host by host.

Theory of operation
-------------------
Captures give the order: the child process sees to it that one packet moves at a time. A *stay* is one packet's time
on one host, between the capture in which it came and the capture in which it left; a packet made on the host did not
come, and one that ended there did not leave. NAT changes a packet's addresses on the way, but not its IP id, its
sequence numbers or its payload's length, and these tell that what left is what came (`print_of`).

To each stay belong the reports of one passage through the host's rules (`replay.py`). The stack then tells what it
does in every stay, asking the reports at each hook, and what was *seen* overrules what the stack expects.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from k8slab.entry import Entry
from k8slab.iptables import Ruleset
from k8slab.kernel.events import Change, Hit, Wire, inner_flow
from k8slab.kernel.known import Table
from k8slab.kernel.replay import Passage, Replay, passages
from k8slab.network import Network
from k8slab.packet import UNREACHABLE, Flow, Packet
from k8slab.stack import says
from k8slab.stack.heard import SPOKEN, heard
from k8slab.stack.routing import HostRoutes
from k8slab.stack.skb import Journal, Skb
from k8slab.stack.stack import HOOKS, LEGACY_HOOKS, VERDICT, Fate, Stack
from k8slab.trace import OBSERVABLE, Step, Trace

HOST_UNREACHABLE = 1
NOT_SEEN = "it was not seen to leave on {oif}, and no report says why"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a journey: captures, reports of rules, conntrack events; the entries of each node before it.

    `backend`: "nft" or "legacy", whose tables stand in another order.
    """

    wires: list[Wire]
    hits: list[Hit]
    changes: list[Change]
    before: Mapping[str, list[Entry]] = field(default_factory=dict)
    backend: str = "nft"


@dataclass(slots=True)
class Stay:
    """One packet's time on one host. `time` in nanoseconds orders the stays; `leg` is the packet's number."""

    host: str
    time: float
    came: Wire | None = None
    left: Wire | None = None
    passage: Passage | None = None
    leg: int = 0


def print_of(network: bytes, transport: bytes) -> tuple:
    """What NAT leaves as it is, of a packet's first bytes: by this the same packet is known again."""
    proto, identity = network[9], network[4:6]
    if proto == 6:
        return proto, identity, transport[4:14]
    if proto == 1:
        return proto, identity, transport[0:2], transport[6:8]
    return proto, identity, transport[4:6] if proto == 17 else b""


def _print(wire: Wire) -> tuple:
    size = (wire.data[0] & 15) * 4
    return print_of(wire.data[:20], wire.data[size:size + 20])


def stays(at: str, sent: Flow, seen: Seen) -> list[Stay]:
    """The stays of a journey that begins on the host `at` with a packet of these ends, in order, with their legs."""
    found: list[Stay] = []
    for wire in seen.wires:
        if wire.outgoing:
            forwarded = next((s for s in reversed(found) if s.host == wire.host and s.came and not s.left
                              and _print(s.came) == _print(wire)), None)
            if forwarded:
                forwarded.left = wire
            else:
                found.append(Stay(wire.host, wire.time, left=wire))
        else:
            found.append(Stay(wire.host, wire.time, came=wire))
    _deal(found, passages(seen.hits))
    found = _caused(found, at, sent)
    if not found or found[0].host != at or found[0].came or _is_error(found[0].left):
        found.insert(0, Stay(at, float("-inf")))            # the first packet ended where it was made
    found.sort(key=lambda stay: stay.time)
    _number(found)
    return found


def _is_error(wire: Wire | None) -> bool:
    """Whether a host tells itself, by an ICMP error on lo, that its packet got nowhere."""
    return wire is not None and wire.interface == "lo" and wire.data[9] == 1 and (
        wire.data[(wire.data[0] & 15) * 4] in (3, 11, 12))


def _deal(found: list[Stay], reported: list[Passage]) -> None:
    """Give each passage to its stay; one that has none was made on the host and ended there."""
    for passage in reported:
        own = print_of(passage.network, passage.transport)
        came = passage.start == "pre"
        stay = next((s for s in found if s.host == passage.host and s.passage is None and bool(s.came) == came
                     and _print(s.came or s.left) == own), None)
        if stay is None and not came:
            last = max((s.time for s in found if s.host == passage.host and s.passage), default=float("-inf"))
            stay = Stay(passage.host, last)
            found.append(stay)
        if stay:
            stay.passage = passage


def _caused(found: list[Stay], at: str, sent: Flow) -> list[Stay]:
    """The stays without those of TCP segments that were sent again meanwhile, for a connection of an earlier journey.

    A segment belongs to this journey when its host has met packets of its connection before.
    """
    met: dict[str, set[Flow]] = {at: {sent}}
    strays, kept = set(), []
    for stay in sorted(found, key=lambda stay: stay.time):
        flows = _flows(stay)
        made_here = not stay.came and any(flow.proto == "tcp" for flow in flows)
        if stay.came and _print(stay.came) in strays or made_here and not flows & met.get(stay.host, set()):
            strays |= {_print(wire) for wire in (stay.came, stay.left) if wire}
            continue
        met.setdefault(stay.host, set()).update(flows, (flow.reply for flow in flows))
        kept.append(stay)
    return kept


def _flows(stay: Stay) -> set[Flow]:
    """The ends that a packet had on its way through a host."""
    headers = [(wire.data[:20], wire.data[(wire.data[0] & 15) * 4:]) for wire in (stay.came, stay.left) if wire]
    if stay.passage:
        headers += [(stay.passage.network, stay.passage.transport)]
        headers += [(walk[0].network, walk[0].transport) for walk in stay.passage.walks]
    return {flow for one in headers if (flow := inner_flow(*one))}


def _number(found: list[Stay]) -> None:
    legs, on_the_way = 0, {}
    for stay in found:
        if stay.came:
            stay.leg = on_the_way.get(stay.came.data, 0)
        else:
            legs += 1
            stay.leg = legs
        if stay.left:
            on_the_way[stay.left.data] = stay.leg


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
            fate = stack.receive(turned or Skb(_packet(stay.came), stay.leg), stay.came.interface)
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
        packet = _packet(stay.left) if stay.left else None
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
            skb.packet, skb.oif = _packet(stay.left), stay.left.interface
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
        steps = tuple(replace(step, observed=True) if _was_seen(step) else self._told(step) for step in self.journal.steps)
        return Trace(steps, self.sent, received, self.reply, entries, VERDICT[first.kind], first.reason or self.later)


    def _told(self, step: Step) -> Step:
        """A refusal without a rule, whose error nobody saw: Linux sends few of them (`ip_error`, net.ipv4.route.error_*)."""
        left = self.refusals.get(step.node)
        if step.kind == "REJECT" and left and left.skb.leg == step.leg:
            return replace(step, why=f"{step.why}; but no error was seen: the kernel limits how many it sends")
        return step


def follow(network: Network, rules: Mapping[str, Ruleset], at: str, sent: Packet, seen: Seen) -> Telling:
    """A journey as far as what was seen tells it. `rules`: those of each node that has any; `at`: who has sent `sent`."""
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


def _packet(wire: Wire) -> Packet:
    from scapy.layers.inet import IP  # importing scapy takes longer than the journey

    from k8slab.wire import from_scapy
    return from_scapy(IP(wire.data))


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

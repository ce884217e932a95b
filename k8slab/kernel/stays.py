"""What was seen, sorted: which packet was on which host when, and which reports of rules are about it.

Theory of operation
-------------------
Captures give the order: the child process sees to it that one packet moves at a time. A *stay* is one packet's time
on one host, between the capture in which it came and the capture in which it left; a packet made on the host did not
come, and one that ended there did not leave. NAT changes a packet's addresses on the way, but not its IP id, its
sequence numbers or its payload's length, and these tell that what left is what came (`print_of`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from k8slab.entry import Entry
from k8slab.kernel.events import Change, Hit, Wire, inner_flow
from k8slab.kernel.passages import Passage, passages
from k8slab.network import Network
from k8slab.packet import Flow


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


def in_order(network: Network, heard: list) -> list[Wire]:
    """The captures in order, without those of bridges' ports: what a port hears and sends, the bridge does."""
    ports = {(host.name, one.name) for host in network.hosts for one in host.interfaces if one.master}
    wires = (one for one in heard if isinstance(one, Wire) and (one.host, one.interface) not in ports)
    return sorted(wires, key=lambda wire: wire.time)




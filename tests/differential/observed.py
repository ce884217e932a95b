"""What can be compared: rules hit in order, policies, headers on each wire, entries afterwards. Nothing inferred.

The kernel's side is read from the reports alone, the model's from the steps of its trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k8slab.entry import Entry
from k8slab.iptables import Ruleset
from k8slab.kernel.passages import passages
from k8slab.kernel.stays import Seen
from k8slab.packet import Packet
from k8slab.trace import Trace

SEEN_IN_RULES = frozenset({"RULE", "JUMP", "RETURN", "POLICY", "NAT", "DROP", "REJECT"})


@dataclass(frozen=True, slots=True)
class Observed:
    """`wires`: host, interface, direction and packet, in order; `rules`: by host, in order; `entries`: by host."""

    wires: tuple[tuple, ...]
    rules: dict[str, tuple[tuple[str, str, int], ...]]
    entries: dict[str, tuple[tuple, ...]]

    def difference(self, other: Observed) -> str:
        """Where two part, "" where they agree; the other one is the model's."""
        for name, one, two in (("wire", self.wires, other.wires), *(
                (f"rules of {host}", self.rules.get(host, ()), other.rules.get(host, ()))
                for host in sorted(self.rules.keys() | other.rules.keys())), *(
                (f"entries of {host}", self.entries.get(host, ()), other.entries.get(host, ()))
                for host in sorted(self.entries.keys() | other.entries.keys()))):
            if one != two:
                at = next((n for n, (a, b) in enumerate(zip(one, two)) if a != b), min(len(one), len(two)))
                return f"{name} {at + 1}:\n  kernel {_at(one, at)}\n  model  {_at(two, at)}"
        return ""


def _at(values: tuple, at: int) -> Any:
    return values[at] if at < len(values) else "nothing more"


def header(packet: Packet) -> tuple:
    """What of a packet is compared: all but IP ids, sequence numbers, options and the payload's bytes."""
    quoted = str(packet.quoted.flow) if packet.quoted else ""
    kind = f"{packet.icmp_type}/{packet.icmp_code}" if packet.proto == "icmp" else packet.flags
    return str(packet.flow), kind, packet.icmp_id, packet.ttl, packet.length, quoted


def entry_of(entry: Entry) -> tuple:
    """What of an entry is compared: all but its time to live."""
    return (str(entry.original), str(entry.reply), entry.original.icmp_id, entry.reply.icmp_id, entry.state,
            entry.seen_reply, entry.assured, entry.mark)


def of_kernel(seen: Seen, rules: dict[str, Ruleset], after: dict[str, list[Entry]]) -> Observed:
    """What a kernel reported."""
    from scapy.layers.inet import IP

    from k8slab.wire import from_scapy
    wires = tuple((wire.host, wire.interface, "out" if wire.outgoing else "in", header(from_scapy(IP(wire.data))))
                  for wire in seen.wires)
    found: dict[str, list] = {}
    for passage in passages(seen.hits):
        for walk in passage.walks:
            own, first = rules[passage.host], walk[0]
            chain = own[first.table].get(first.chain) if first.table in own else None
            if chain is None or not chain.rules and chain.policy == "ACCEPT":
                continue
            found.setdefault(passage.host, []).extend(
                (hit.table, hit.chain, hit.position) for hit in walk if hit.position or hit.kind == "policy")
    return Observed(wires, {host: tuple(hits) for host, hits in found.items()}, _entries(after))


def of_model(trace: Trace) -> Observed:
    """The same of the model's trace."""
    ways = {"ARRIVE": "in", "LEAVE": "out"}
    wires = tuple((step.node, step.iif if step.kind == "ARRIVE" else step.oif, ways[step.kind], header(step.before))
                  for step in trace.steps if step.kind in ways)
    found: dict[str, list] = {}
    for step in trace.steps:
        if step.chain and step.kind in SEEN_IN_RULES and (step.rule or step.kind == "POLICY"):
            found.setdefault(step.node, []).append((step.table, step.chain, step.position))
    after: dict[str, list[Entry]] = {}
    for node, entry in trace.entries:
        after.setdefault(node, []).append(entry)
    return Observed(wires, {host: tuple(hits) for host, hits in found.items()}, _entries(after))


def _entries(after: dict[str, list[Entry]]) -> dict[str, tuple[tuple, ...]]:
    return {host: tuple(sorted(map(entry_of, entries), key=str)) for host, entries in after.items() if entries}

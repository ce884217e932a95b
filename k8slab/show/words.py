"""What each step is called, and what there is to say of it: the words that picture and text share.

The stage of the stepper, the saved page and the text twin all print what these functions return, so
that none of them can say more than another. All of it is read from a Trace and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from k8slab.packet import ECHO_REPLY, ECHO_REQUEST, Flow, Packet
from k8slab.trace import Step, Trace

OUTWARD, HOMEWARD = "request", "reply"
ARROWS = {OUTWARD: "→", HOMEWARD: "←"}

# A TCP packet is called after its flags; PSH says nothing of what it is for.
TCP_NAMES = {"S": "SYN", "SA": "SYN-ACK", "A": "ACK", "FA": "FIN", "F": "FIN", "R": "RST", "RA": "RST"}
ICMP_NAMES = {ECHO_REQUEST: "ping", ECHO_REPLY: "answer to a ping"}

# After this place in a rule come whole comments only: it is not inside of one.
OUTSIDE_QUOTES = r'(?=[^"]*(?:"[^"]*"[^"]*)*$)'

# The packet's fields as the reader sees them: a row's name, the fields of Packet in it, how they are printed.
Row = tuple[str, frozenset[str], Callable[[Packet], str]]
SOURCE: Row = ("Source", frozenset({"src", "sport"}), lambda p: p.source)
DESTINATION: Row = ("Destination", frozenset({"dst", "dport"}), lambda p: p.destination)
FLAGS: Row = ("TCP flags", frozenset({"flags"}), lambda p: p.flags)
TTL: Row = ("TTL", frozenset({"ttl"}), lambda p: str(p.ttl))
PAYLOAD: Row = ("Payload", frozenset({"payload"}), lambda p: f"{p.length} bytes")
ICMP_TYPE: Row = ("ICMP type", frozenset({"icmp_type", "icmp_code"}),
                  lambda p: f"{p.icmp_type} code {p.icmp_code}")
ICMP_ID: Row = ("ICMP id", frozenset({"icmp_id"}), lambda p: str(p.icmp_id))
QUOTED: Row = ("Quotes", frozenset({"quoted"}), lambda p: str(p.quoted.flow) if p.quoted else "nothing")
ROWS = {"tcp": (SOURCE, DESTINATION, FLAGS, TTL, PAYLOAD),
        "icmp": (SOURCE, DESTINATION, ICMP_TYPE, ICMP_ID, TTL)}
OTHER_ROWS = (SOURCE, DESTINATION, TTL, PAYLOAD)
ERROR_ROWS = (SOURCE, DESTINATION, ICMP_TYPE, QUOTED, TTL)


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the packet's table; `after` is "" where the packet ends at this step."""

    name: str
    before: str
    after: str
    changed: bool


def way(trace: Trace, step: Step) -> str:
    """OUTWARD for a packet that the journey's sender made, HOMEWARD for what it was answered with."""
    first, sent = next(s for s in trace.steps if s.leg == step.leg), trace.steps[0]
    return OUTWARD if (first.node, first.before.source) == (sent.node, sent.before.source) else HOMEWARD


def packet_name(packet: Packet) -> str:
    """What people call the packet.

    >>> packet_name(Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443))
    'SYN'
    """
    if packet.is_icmp_error:
        return "ICMP error"
    if packet.proto == "icmp":
        return ICMP_NAMES.get(packet.icmp_type, "ICMP message")
    if packet.proto == "tcp":
        name = TCP_NAMES.get(packet.flags.replace("P", ""), "packet")
        return "packet with data" if packet.length else name
    return f"{packet.proto.upper()} packet"


def fields(step: Step) -> tuple[Field, ...]:
    """The packet before and after the step, a row for each field that a reader should see."""
    before, after = step.before, step.after
    rows = ERROR_ROWS if before.is_icmp_error else ROWS.get(before.proto, OTHER_ROWS)
    return tuple(Field(name, show(before), show(after) if after else "", bool(names & set(step.changed)))
                 for name, names, show in rows)


def memory(step: Step) -> tuple[tuple[str, str], ...]:
    """What the node knows of the packet and is not in its bytes: pairs of name and value.

    Four pairs, always: the mark, the connection's state, and the tuples by which conntrack knows it.
    """
    mark = ("Mark", f"{step.mark:#x}" if step.mark else "none")
    entry = step.entry
    if entry is None:
        return mark, ("Connection", "no conntrack entry looked up"), ("Original", "none"), ("Reply", "none")
    state = [f"TCP state {entry.state}"] if entry.state else [entry.original.proto]
    state.append("answered" if entry.seen_reply else "no answer yet")
    state += [] if entry.confirmed else ["not confirmed yet"]
    translated = " (translated)" if entry.translated else ""
    return (mark, ("Connection", ", ".join(state)), ("Original", _tuple(entry.original)),
            ("Reply", _tuple(entry.reply) + translated))


def _tuple(flow: Flow) -> str:
    return f"{flow.source} > {flow.destination}"


def target(rule: str) -> str:
    """The name of a rule's target: `target("-A INPUT -j DROP") == "DROP"`, "" for a rule without one."""
    found = re.search(rf" -[jg] (\S+){OUTSIDE_QUOTES}", rule)
    return found.group(1) if found else ""


def title(step: Step) -> str:
    """The step as a short sentence, for a list.

    >>> title(Step(1, 1, "client", "SEND", p := Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443), p, ""))
    'client sends a SYN to 10.96.0.1:443'
    """
    return _TITLES[step.kind](step)


def _a(packet: Packet) -> str:
    name = packet_name(packet)
    return f"{'an' if name[0] in 'aAI' else 'a'} {name}"


def _nat(step: Step) -> str:
    if not step.changed:
        return f"{step.node}: {target(step.rule)} leaves the addresses as they are"
    end = "source" if {"src", "sport"} & set(step.changed) else "destination"
    name = target(step.rule)
    return f"{step.node}: " + (f"{name} to" if name else f"{end} becomes") + f" {getattr(step.after, end)}"


def _conntrack(step: Step) -> str:
    if step.entry is None:
        return f"{step.node}: conntrack keeps no entry for it"
    if step.hook in ("INPUT", "POSTROUTING"):
        return f"{step.node} confirms the conntrack entry"
    return f"{step.node} " + ("knows the connection" if step.entry.confirmed else "meets a new connection")


def _route(step: Step) -> str:
    return f"{step.node} routes it: " + (f"out on {step.oif}" if step.oif else "to a socket here")


def _rule(step: Step) -> str:
    says = step.verdict or target(step.rule) or "it counts"
    return f"{step.node}: rule {step.position} of {step.chain}: {says}"


def _ends(verb: str) -> Callable[[Step], str]:
    return lambda s: f"{s.node} {verb} it" + (f": rule {s.position} of {s.chain}" if s.chain else "")


_TITLES: dict[str, Callable[[Step], str]] = {
    "SEND": lambda s: f"{s.node} sends {_a(s.before)} to {s.before.destination}",
    "ARRIVE": lambda s: f"it arrives at {s.node}" + (f" on {s.iif}" if s.iif else ""),
    "CONNTRACK": _conntrack,
    "RULE": _rule,
    "JUMP": lambda s: f"{s.node}: {f'{s.table} {s.chain} →' if s.chain == s.hook else 'to'} {s.verdict}",
    "RETURN": lambda s: f"{s.node}: RETURN to {s.verdict}",
    "END": lambda s: f"{s.node}: back to {s.verdict}",
    "POLICY": lambda s: f"{s.node}: policy of {s.table} {s.chain}: {s.verdict}",
    "NAT": _nat,
    "ROUTE": _route,
    "FORWARD": lambda s: f"{s.node} forwards it, TTL {s.after.ttl}",
    "LEAVE": lambda s: f"{s.node} sends it out on {s.oif}" if s.oif else f"it leaves {s.node}",
    "DELIVER": lambda s: f"{s.node} receives it at {s.before.destination}",
    "ANSWER": lambda s: f"{s.node} answers with {_a(s.before)}",
    "DROP": _ends("drops"),
    "REJECT": _ends("refuses"),
}


def reader(step: Step) -> str:
    """What reads the packet at this step: a chain and its rule, or another part of the host.

    >>> syn = Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)
    >>> reader(Step(4, 1, "worker1", "ARRIVE", syn, syn, "", iif="veth-client"))
    'interface veth-client'
    """
    if step.chain:
        rule = f", rule {step.position}" if step.position else ""
        hook = "" if step.chain == step.hook else f"hook {step.hook}, "
        return f"{hook}table {step.table}, chain {step.chain}{rule}"
    hook = f", hook {step.hook}" if step.hook else ""
    return _READERS.get(step.kind, "the network stack").format(step=step) + hook


_READERS = {
    "SEND": "a program on {step.node}, which sends it", "DELIVER": "a socket on {step.node}",
    "ANSWER": "{step.node}, which sends it",
    "ARRIVE": "interface {step.iif}", "LEAVE": "interface {step.oif}",
    "CONNTRACK": "the conntrack table", "NAT": "the conntrack entry, no rule", "ROUTE": "the routing table",
    "FORWARD": "IP forwarding",
}

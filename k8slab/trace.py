"""Step and Trace: the one thing that leaves a dataplane.

Whatever is shown, graded or compared reads a Trace and nothing else. A Trace is
the whole journey: the packet that was sent, what each node did to it, the
answer, and what each node did to that. Each packet on the way is one *leg*:
leg 1 is the packet sent, leg 2 the answer to it, and so on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

from k8slab.entry import Entry
from k8slab.packet import UNKNOWN, Packet

# Every kind of step, and what it says. SEND and LEAVE stand at the two ends of a
# node's work, so that a packet's headers on each wire have a step to be read in.
KINDS = {
    "SEND": "a program hands a new packet to its host's network stack",
    "ARRIVE": "the packet comes in on an interface",
    "CONNTRACK": "the node looks the packet up in its table of connections",
    "RULE": "a rule matched, and its target neither jumps nor rewrites an address",
    "JUMP": "a rule matched and sends the packet to another chain",
    "RETURN": "a RETURN rule matched: back to the chain that jumped here",
    "END": "no rule is left in the chain: back to the chain that jumped here",
    "POLICY": "no rule is left in a built-in chain: its policy decides",
    "NAT": "an address or port is rewritten, by a rule or by the conntrack entry",
    "ROUTE": "the routing table says where the packet goes next",
    "FORWARD": "the node is a router for this packet: one hop less to live",
    "LEAVE": "the packet goes out on an interface",
    "DELIVER": "the packet reaches a program on this host",
    "ANSWER": "the host answers with a packet of its own",
    "DROP": "the packet ends here, in silence",
    "REJECT": "the packet ends here, and the sender is told",
}

# The kinds that a kernel can be seen doing: rules that a trace reports, policies,
# headers that a capture sees. The rest is concluded beside them.
OBSERVABLE = frozenset({"ARRIVE", "LEAVE", "RULE", "JUMP", "RETURN", "POLICY", "DROP", "REJECT"})

# The hooks at which a source is rewritten.
SOURCE_HOOKS = ("POSTROUTING", "INPUT")
# What the values of `Step.fact` are called, in their order.
FACTS = ("packet number", "host", "kind", "hook", "table", "chain", "rule", "in on", "out on", "verdict",
         "packet", "packet afterwards")

# What to say of a packet that reached nobody, by the journey's verdict.
_ENDS = {"DROPPED": "the packet was dropped", "REJECTED": "the packet was refused",
         "UNKNOWN": "the packet cannot be followed further"}

VERDICTS = ("DELIVERED", "FORWARDED", "DROPPED", "REJECTED", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Passed:
    """A rule that the packet met and that did not match: which test missed, and why.

    `position` counts from 1 in `chain`. `wanted` is what the rule asks for, `found`
    what the packet has.
    """

    table: str
    chain: str
    position: int
    rule: str
    test: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.chain} rule {self.position}: {self.test} is {self.found}, the rule wants {_wish(self.wanted)}"


def _wish(wanted: str) -> str:
    """`not 10.244.0.0/16` as a wish: any but 10.244.0.0/16."""
    return f"any but {wanted.removeprefix('not ')}" if wanted.startswith("not ") else wanted


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that one host did to one packet.

    `number` counts from 1 through the journey, `leg` the packets of it. `kind` is one of
    KINDS. `hook`, `table`, `chain`, `position` (from 1) and `rule` (its text) say which rule
    did it, where one did. `before` and `after`: the packet; `after` is None where it ends.
    `iif`, `oif`: names of interfaces, "" for none. `mark`: the firewall mark afterwards,
    32 bits. `entry`: the conntrack entry afterwards. `verdict`: ACCEPT, DROP, a chain's
    name, or "". `why`: a sentence. `observed`: a kernel was seen doing it; False when it
    is concluded, as all steps of the model are.
    """

    number: int
    leg: int
    node: str
    kind: str
    before: Packet
    after: Packet | None
    why: str
    hook: str = ""
    table: str = ""
    chain: str = ""
    position: int = 0
    rule: str = ""
    iif: str = ""
    oif: str = ""
    mark: int = 0
    entry: Entry | None = None
    verdict: str = ""
    observed: bool = False
    passed_over: Callable[[], tuple[Passed, ...]] | None = field(default=None, repr=False, compare=False)

    @property
    def passed(self) -> tuple[Passed, ...]:
        """The rules passed over since the last step, worked out when asked for."""
        return self.passed_over() if self.passed_over else ()

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the packet's fields that this step changed."""
        return self.before.changes(self.after) if self.after else ()

    @property
    def place(self) -> str:
        """Where it happens: `worker1 · nat KUBE-SERVICES rule 1`."""
        if not self.chain:
            return " · ".join(filter(None, (self.node, self.hook)))
        rule = f" rule {self.position}" if self.position else ""
        return f"{self.node} · {self.table} {self.chain}{rule}"

    def lines(self) -> list[str]:
        """The step as text: what happened and why, the rule, what was passed over, what changed."""
        lines = [f"{self.number:4}  {self.place}: {self.why}"]
        for passed in self.passed:
            lines += [f"        passed over {passed}", f"            {passed.rule}"]
        lines += [f"        {self.rule}"] if self.rule else []
        lines += [f"        {name}: {getattr(self.before, name)} becomes {getattr(self.after, name)}"
                  for name in self.changed]
        lines += [f"        mark {self.mark:#x}"] if self.mark else []
        return lines + ([f"        entry {self.entry}"] if self.kind in ("CONNTRACK", "NAT") and self.entry else [])

    def fact(self) -> tuple:
        """What two dataplanes must agree on in this step, without what the design lets differ: FACTS has the names."""
        flows = tuple(str(p.flow) if p else None for p in (self.before, self.after))
        return (self.leg, self.node, self.kind, self.hook, self.table, self.chain, self.rule,
                self.iif, self.oif, self.verdict, *flows)

    def to_dict(self) -> dict:
        """The step as plain JSON values."""
        names = ("number", "leg", "node", "kind", "hook", "table", "chain", "position", "rule",
                 "iif", "oif", "mark", "verdict", "why", "observed")
        return {name: getattr(self, name) for name in names} | {
            "before": packet_dict(self.before), "after": packet_dict(self.after),
            "entry": str(self.entry) if self.entry else None,
            "passed": [dataclasses.asdict(p) for p in self.passed]}


def packet_dict(packet: Packet | None) -> dict | None:
    """The five fields that name a packet's connection, None for those that cannot be known.

    >>> packet_dict(Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443))["dst"]
    '10.96.0.1'
    """
    if packet is None:
        return None
    known = {name: getattr(packet, name) for name in ("proto", "src", "sport", "dst", "dport")}
    return {name: None if value == UNKNOWN else value for name, value in known.items()}


@dataclass(frozen=True, slots=True)
class Trace:
    """A journey: its steps, the packet sent, the packet received, and what came back.

    `sent`: the first packet as the program made it. `received`: the same packet as it
    reached a program at the far end, or as it left the last node that is known; None
    when it reached nobody. `reply`: the packet that the sender got back, or None.
    `entries`: pairs of node name and conntrack entry, afterwards. `verdict`: one of
    VERDICTS, for the first packet; `reason`: a sentence, where it did not arrive. `answers`: False
    where a node is known by its rules alone, so that nobody is there to answer.
    """

    steps: tuple[Step, ...]
    sent: Packet
    received: Packet | None
    reply: Packet | None
    entries: tuple[tuple[str, Entry], ...]
    verdict: str
    reason: str = ""
    answers: bool = True

    @property
    def masqueraded(self) -> bool:
        """Whether a rule gave the packet that was sent a source of the node's, be it the one that it had."""
        return any(s.kind == "NAT" and s.leg == 1 and s.rule and s.hook in SOURCE_HOOKS
                   for s in self.steps)

    @property
    def chains(self) -> tuple[str, ...]:
        """The chains that the first packet was sent to by a rule, in order."""
        return tuple(s.verdict for s in self.steps if s.kind == "JUMP" and s.leg == 1)

    def summary(self) -> str:
        """The whole journey in one sentence."""
        return f"{self.sent.source} asked {self.sent.destination}; {self._first()}{self._back()}."

    def _first(self) -> str:
        """What became of the packet that was sent."""
        if self.received is None:
            return _ENDS[self.verdict]
        seen = "" if self.received.source == self.sent.source else f", which saw {self.received.source}"
        if self.reply is None:
            return f"the packet was {self.verdict.lower()} to {self.received.destination}{seen}"
        refused = "R" in self.reply.flags or self.reply.is_icmp_error
        return f"{self.received.destination}{seen}{',' * bool(seen)} {'refused' if refused else 'answered'}"

    def _back(self) -> str:
        """What came back, or why nothing did."""
        if not self.answers or self.verdict == "UNKNOWN" or self.received is None and self.reply is None:
            return f": {self.reason}" if self.reason else ""
        if self.reply is None:
            return ", and nothing came back" + (f": {self.reason}" if self.reason else "")
        what = "an ICMP error" if self.reply.is_icmp_error else "the answer"
        return f", and {what} came back as {self.reply.source}" + (f": {self.reason}" if self.reason else "")

    def to_dict(self) -> dict:
        """The journey as plain JSON values."""
        return {"verdict": self.verdict, "reason": self.reason or None, "sent": packet_dict(self.sent),
                "received": packet_dict(self.received), "reply": packet_dict(self.reply),
                "masqueraded": self.masqueraded, "steps": [step.to_dict() for step in self.steps]}

    def __str__(self) -> str:
        lines, leg, node = [self.summary()], 0, ""
        for step in self.steps:
            if step.leg != leg:
                lines += ["", f"Packet {step.leg}: {step.before}"]
            lines += [] if (step.leg, step.node) == (leg, node) else [""]       # a new host begins
            leg, node = step.leg, step.node
            lines += step.lines()
        if self.entries:
            lines += ["", "Connections remembered afterwards:"]
            lines += [f"  {node}: {entry}" for node, entry in self.entries]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first step at which two traces part; a side is None where that trace has ended."""

    left: Step | None
    right: Step | None

    def __str__(self) -> str:
        sides = ("nothing more" if s is None else f"{s.place}: {s.kind} {s.before} > {s.after}"
                 for s in (self.left, self.right))
        return "left: {}\nright: {}".format(*sides)


def together(left: Trace, right: Trace) -> tuple[tuple[tuple[Step, Step], ...], Difference | None]:
    """How far two traces agree in what a kernel can be seen doing: pairs of equal steps, then where they part.

    A source port that a rule let chance choose may differ: from there on the one stands for the other.
    """
    alike: list[tuple[Step, Step]] = []
    chosen: dict[str, str] = {}
    for one, other in zip_longest(_observable(left.steps), _observable(right.steps)):
        if one is None or other is None:
            return tuple(alike), Difference(one, other)
        if one.kind == other.kind == "NAT" and one.hook in SOURCE_HOOKS and one.after.src == other.after.src:
            chosen[other.after.source] = one.after.source
        if one.fact() != _with_ports(other.fact(), chosen):
            return tuple(alike), Difference(one, other)
        alike.append((one, other))
    return tuple(alike), None


def _with_ports(fact: tuple, chosen: dict[str, str]) -> tuple:
    """The fact with one trace's chosen source ports in place of the other's."""
    flows = (flow and " ".join(chosen.get(word, word) for word in flow.split()) for flow in fact[-2:])
    return (*fact[:-2], *flows)


def compare(left: Trace, right: Trace) -> Difference | None:
    """The first step that differs in what a kernel can be seen doing, or None when there is none."""
    return together(left, right)[1]


def _observable(steps: Iterable[Step]) -> list[Step]:
    """What a kernel reports: wires, and what rules and policies do; what routing drops, it drops without a word."""
    return [s for s in steps if s.kind in ("ARRIVE", "LEAVE") or s.chain and (
        s.kind in OBSERVABLE or s.kind == "NAT" and s.rule)]

"""Tables of rules, endpoints, conntrack entries and packets, for a notebook; `grid.py` has their form.

    rules_table(text, "KUBE-SERVICES")           the rules of a chain: what each asks for, and what it does
    endpoints_table(text, "shop/web:http")       where a Service's connections go, and in which shares
    entries_table(lab.entries("worker1"))        what a node remembers of its connections
    packets_table(trace, "worker1", "ens3")      the packets of a journey as a capture there sees them
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from k8slab.iptables import Chain, Rule, Ruleset, Table as RulesTable, parse
from k8slab.packet import Flow, Packet
from k8slab.show.grid import Cell, Column, Folded, Table
from k8slab.iptables.said import asks, comment, does
from k8slab.show.shares import Endpoint, endpoint, endpoints
from k8slab.show.words import packet_name
from k8slab.entry import Entry
from k8slab.trace import Step, Trace
from k8slab.wire import seen_on

# A big dump has chains of 10,000 rules, which nobody reads and no browser likes.
LIMIT = 200
NAMES = 12             # of chains or Services, in an error
# One chance in three is, in the kernel's 31 bits, a little more. A share as near as NEAR to a fraction whose
# denominator is at most SMALL is what kube-proxy meant by it.
NEAR, SMALL = Fraction(2, 10**9), 1_000

Rows = list[tuple[Cell, ...]]


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _limited(rows: Rows, limit: int) -> tuple[tuple[tuple[Cell, ...], ...], tuple[str, ...]]:
    """The first `limit` rows, and a note that says how many more there are."""
    more = len(rows) - limit
    notes = (f"… and {_count(more, 'row', 'rows')} more, not shown.",) if more > 0 else ()
    return tuple(rows[:limit]), notes


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - NAMES:,} more" if len(names) > NAMES else ""
    return (", ".join(names[:NAMES]) or "none") + more


def _table(rules: Ruleset | str, name: str) -> RulesTable:
    ruleset = parse(rules) if isinstance(rules, str) else rules
    if name not in ruleset:
        names = _listed(table.name for table in ruleset.tables)
        raise ValueError(f"there is no table {name}; there are {names}")
    return ruleset[name]


def rules_table(rules: Ruleset | str, chain: str, table: str = "nat", limit: int = LIMIT) -> Table:
    """The rules of one chain: what each asks for and does, and its packets where they were counted.

    `rules`: a Ruleset, or iptables-save text.

    >>> from k8slab.lab import kube_proxy_rules
    >>> print(rules_table(kube_proxy_rules(), "KUBE-MARK-MASQ"))
    Table nat, chain KUBE-MARK-MASQ: 1 rule
    Rule  When          Then
    ----  ------------  --------------
       1  every packet  MARK or 0x4000
        -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
    A packet that no rule ends goes back to the chain that jumped here.

    Raises ValueError when there is no such chain or table, and RulesError, which is one, for wrong text.
    """
    whole = _table(rules, table)
    if chain not in whole:
        raise ValueError(f"there is no chain {chain} in table {table}; there are "
                         f"{_listed(known.name for known in whole.chains)}")
    found = whole[chain]
    counted = any(rule.counters is not None for rule in found.rules)
    commented = any(map(comment, found.rules))
    columns = (Column("Rule", number=True), *[Column("Packets", number=True)] * counted, Column("When"),
               Column("Then", code=True), *[Column("Comment")] * commented)
    rows, more = _limited([_rule(number, rule, counted, commented)
                           for number, rule in enumerate(found.rules, 1)], limit)
    title = f"Table {table}, chain {chain}: {_count(len(found.rules), 'rule', 'rules')}"
    return Table(title, columns, rows, (*more, _end(found)))


def _end(chain: Chain) -> str:
    if chain.policy is None:
        return "A packet that no rule ends goes back to the chain that jumped here."
    counted = f" ({_count(chain.counters[0], 'packet', 'packets')})" if any(chain.counters or ()) else ""
    return f"A packet that no rule ends meets the chain's policy: {chain.policy}{counted}."


def _rule(number: int, rule: Rule, counted: bool, commented: bool) -> tuple[Cell, ...]:
    packets = [f"{rule.counters[0]:,}" if rule.counters else "not known"] * counted
    return (str(number), *packets, Folded(asks(rule), rule.text), does(rule), *[comment(rule)] * commented)


def endpoints_table(rules: Ruleset | str, service: str = "", limit: int = LIMIT) -> Table:
    """The endpoints of a Service and the share of new connections that each gets, worked out from the rules.

    `service`: a name as kube-proxy's comments have it, `shop/web:http` or `shop/web`, or the name of a chain
    that shares out; "" for all Services. A share is "about" a fraction since chances have 31 bits.

    >>> from k8slab.lab import kube_proxy_rules
    >>> print(endpoints_table(kube_proxy_rules(), "default/kubernetes"))
    Endpoints of default/kubernetes: 1 endpoint of KUBE-SVC-NPX46M4PTMTKRN6Y
    Endpoint                        Share  Rule  Chance there  Jumps to
    -------------------  ----------------  ----  ------------  -------------------------
    10.106.175.128:6443  1, 100.00000000%     2      the rest  KUBE-SEP-VDNPK4CXOQDGPWFC

    Raises ValueError when there is no such Service, or when a share depends on the packet.
    """
    nat = _table(rules, "nat")
    named = [(name, chain) for chain in nat.chains if (name := _service(nat, chain)) is not None]
    chosen = [(name, chain) for name, chain in named
              if (service in (chain.name, name, name.rpartition(":")[0]) if service else name)]
    if service and not chosen:
        raise ValueError(f"no rule shares out connections for {service}; there are "
                         f"{_listed(sorted({name or chain.name for name, chain in named}))}")
    several = len(chosen) > 1
    ends = [(*[name, chain.name][:2 * several], *_endpoint(end))
            for name, chain in chosen for end in endpoints(nat, chain)]
    rows, more = _limited(ends, limit)
    columns = (*[Column("Service"), Column("Chain", code=True)][:2 * several], Column("Endpoint", code=True),
               Column("Share", number=True), Column("Rule", number=True), Column("Chance there", number=True),
               Column("Jumps to", code=True))
    title = f"Endpoints of {service or 'all Services'}: {_count(len(ends), 'endpoint', 'endpoints')}"
    return Table(title + ("" if several or not chosen else f" of {chosen[0][1].name}"), columns, rows, more)


def _service(nat: RulesTable, chain: Chain) -> str | None:
    """The Service's name in the comment of a chain that shares out to endpoints; None for any other chain."""
    rule = next((rule for rule in chain.rules if endpoint(nat, rule)), None)
    return comment(rule).partition(" -> ")[0] if rule else None


def _endpoint(end: Endpoint) -> tuple[str, ...]:
    return (end.address, f"{share_text(end.share)}, {float(end.share * 100):.8f}%", str(end.rule),
            end.chance or "the rest", end.chain)


def share_text(share: Fraction) -> str:
    """A share as a learner says it: "1/2", "about 1/3", or a decimal where no small fraction is near.

    >>> share_text(Fraction(715827883, 2**31))
    'about 1/3'
    """
    small = share.limit_denominator(SMALL)
    if share == small:
        return str(share)
    return f"about {small}" if abs(share - small) < NEAR else f"{float(share):.6f}"


def entries_table(entries: Iterable[Entry | tuple[str, Entry]], timeouts: bool = True) -> Table:
    """Conntrack entries, of one node or (`trace.entries`) as pairs of a node's name and an entry.

    `timeouts`: whether to print the seconds that are left, which no two runs on a kernel have alike.

    >>> flow = Flow("udp", "10.244.1.5", "10.96.0.10", 40000, 53)
    >>> print(entries_table([Entry(flow, flow.reply, confirmed=True)], timeouts=False))
    Conntrack entries: 1 entry
    State            Original                          Reply                             Translated
    ---------------  --------------------------------  --------------------------------  ----------
    udp [UNREPLIED]  10.244.1.5:40000 > 10.96.0.10:53  10.96.0.10:53 > 10.244.1.5:40000  nothing
    """
    pairs = [entry if isinstance(entry, tuple) else ("", entry) for entry in entries]
    nodes, marks = any(node for node, _ in pairs), any(entry.mark for _, entry in pairs)
    columns = (*[Column("Node")] * nodes, Column("State"), Column("Original", code=True),
               Column("Reply", code=True), Column("Translated"),
               *[Column("Seconds left", number=True)] * timeouts, *[Column("Mark", code=True)] * marks)
    rows = tuple((*[node] * nodes, _state(entry), _tuple(entry.original), _tuple(entry.reply),
                  _translated(entry), *[f"{entry.timeout:,}"] * timeouts, *[f"{entry.mark:#x}"] * marks)
                 for node, entry in pairs)
    return Table(f"Conntrack entries: {_count(len(rows), 'entry', 'entries')}", columns, rows)


def _state(entry: Entry) -> str:
    """Protocol, TCP state and the bracketed flags of `conntrack -L`, and whether it is confirmed."""
    words = [entry.original.proto, *[entry.state] * bool(entry.state)]
    flags = (("[UNREPLIED]", not entry.seen_reply), ("[ASSURED]", entry.assured),
             ("not confirmed yet", not entry.confirmed))
    return " ".join(words + [name for name, has in flags if has])


def _tuple(flow: Flow) -> str:
    ends = f"{flow.source} > {flow.destination}"
    if flow.icmp_type is None:
        return ends
    return f"{ends} type {flow.icmp_type} code {flow.icmp_code} id {flow.icmp_id}"


def _translated(entry: Entry) -> str:
    """Which end of the connection the node rewrites, from what and to what, in the original direction."""
    seen, wire = entry.original, entry.reply.reply
    ends = (("source", seen.source, wire.source), ("destination", seen.destination, wire.destination))
    said = [f"{end} {old} to {new}" for end, old, new in ends if old != new]
    return " and ".join(said) or ("the ICMP id" if entry.translated else "nothing")


def packets_table(trace: Trace, node: str = "", interface: str = "") -> Table:
    """The packets of a journey as captures see them: on every wire, a node's interfaces, or one of them.

    Without `node`, a packet has a row for each wire that it leaves on. `Step` is the step in the stepper.

    >>> from k8slab.lab import Lab
    >>> packets_table(Lab("model").ping("client", "10.244.1.7"), "client").rows[1][:5]
    ('2', 'in on eth0', '10.244.1.7', '10.244.1.5', 'answer to a ping')

    Raises ValueError when `interface` is given without `node`.
    """
    if interface and not node:
        raise ValueError(f"which node's {interface}? say packets_table(trace, node, {interface!r})")
    steps = seen_on(trace, node, interface) if interface else [
        step for step in trace.steps if step.kind == "LEAVE" or (node and step.kind == "ARRIVE")]
    seen = [step for step in steps if node in ("", step.node)]
    columns = (Column("No.", number=True), Column("Where"), Column("Source", code=True),
               Column("Destination", code=True), Column("Packet"), Column("Payload bytes", number=True),
               Column("Step", number=True))
    rows = tuple((str(number), _where(step, node), *_packet(step.before), str(step.number))
                 for number, step in enumerate(seen, 1))
    place = " ".join(filter(None, (node, interface))) or "all wires"
    return Table(f"Packets on {place}: {_count(len(rows), 'packet', 'packets')}", columns, rows,
                 () if rows else (_elsewhere(trace),))


def _elsewhere(trace: Trace) -> str:
    """Where a capture would have seen something, for whoever asked in the wrong place."""
    places = dict.fromkeys(f"{step.node} {step.iif if step.kind == 'ARRIVE' else step.oif}"
                           for step in trace.steps if step.kind in ("ARRIVE", "LEAVE"))
    return f"The journey's packets were on {', '.join(places) or 'no wire'}."


def _where(step: Step, node: str) -> str:
    way = f"in on {step.iif}" if step.kind == "ARRIVE" else f"out on {step.oif}"
    return way if node else f"{step.node}, {way}"


def _packet(packet: Packet) -> tuple[str, ...]:
    flags = f" [{packet.flags}]" if packet.flags else ""
    return packet.source, packet.destination, packet_name(packet) + flags, str(packet.length)

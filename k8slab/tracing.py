"""What `k8slab trace` does for the person on call: explain, compare two dumps, show a whole Service.

cli.py has the words of the command; here are those of the flags below, what is taken from the dump, and the answers.

    --explain            what would have to be different for the packet to arrive
    --diff OLD NEW       what the packet meets now that it did not before
    --service NS/NAME    all ports of a Service, callers and chances, in one table
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from fractions import Fraction

from k8slab.drift import DIFFERS
from k8slab.errors import Wrong
from k8slab.iptables import Ruleset
from k8slab.model.dump import Question
from k8slab.oncall.callers import Asked, NoService, ask, callers, find, without_entrance
from k8slab.oncall.difference import difference
from k8slab.oncall.evidence import own_addresses, probable_addresses
from k8slab.oncall.explain import Explanation, explain
from k8slab.oncall.files import read_rules
from k8slab.oncall.interfaces import Case, label, settled
from k8slab.oncall.remarks import lost, orphaned
from k8slab.oncall.ways import SAID, Run, Walk, Ways, by_seed, every, how_many, outcome, scripts
from k8slab.packet import Packet
from k8slab.render import ipv4_address
from k8slab.show.grid import Column, Table

EXPLAINED = 4                    # ends of one packet that are explained, of those that differ
WAYS = 100                       # of chance, that are counted
SHARES = 8                       # ends of one caller that have a line of their own


def add_flags(trace: argparse.ArgumentParser) -> None:
    """The words of the command for the person on call."""
    trace.add_argument("--explain", action="store_true",
                       help="say what would have to be different for the packet to arrive")
    trace.add_argument("--diff", nargs=2, metavar=("OLD", "NEW"),
                       help="two dumps of one node in place of RULES: what the packet meets now, and did not before")
    trace.add_argument("--service", metavar="NAMESPACE/NAME[:PORT]",
                       help="in place of --from and --to: all ports and callers of a Service, with their chances")
    trace.add_argument("--pod", metavar="ADDR", type=ipv4_address, help="with --service: a Pod's address")
    trace.add_argument("--outside", metavar="ADDR", type=ipv4_address,
                       help="with --service: the address of a caller outside the cluster")


def check(options: argparse.Namespace) -> None:
    """Refuse words that do not go together. Raises Wrong; for words that are missing, ends as argparse does."""
    if options.diff and options.rules is not None:
        raise Wrong("--diff names both dumps: leave RULES out")
    if not options.diff and options.rules is None:
        options.missing("RULES is missing: a file of iptables-save text, or - for standard input")
    if options.diff and options.diff[0] == options.diff[1] == "-":
        raise Wrong("--diff - -: standard input can be one of the two only")
    if options.service:
        others = {"--fail": options.fail, "--from": options.source, "--to": options.target, "--diff": options.diff,
                  "--all": options.all, "--explain": options.explain, "--from-node": options.from_node}
        given = [name for name, there in others.items() if there]
        if given:
            raise Wrong(f"{given[0]} does not go with --service, which asks for every caller and port")
        return
    if options.pod or options.outside:
        raise Wrong("--pod and --outside go with --service")
    missing = [name for name, there in (("--from", options.source), ("--to", options.target)) if not there]
    if missing:
        options.missing(f"{' and '.join(missing)} missing: who sends the packet, and whom is it for?")


def local_addresses(options: argparse.Namespace, *dumps: Ruleset) -> tuple[list[str], list[str]]:
    """The node's own addresses, and which of them were taken from the dump, and why; or which to ask about."""
    facts = {fact.value: fact.why for rules in dumps for fact in own_addresses(rules)}
    local = list(dict.fromkeys([*options.local, *facts]))
    assumed = [f"{address} is local: {why}" for address, why in facts.items() if address not in options.local]
    for fact in (fact for rules in dumps[:1] for fact in probable_addresses(rules)):
        if fact.value not in local:
            assumed.append(f"{fact.value} is not taken for local, though {fact.why}: say --local {fact.value} if it is")
    return local, assumed


def make_question(options: argparse.Namespace, packet: Packet, *dumps: Ruleset) -> tuple[Question, list[str]]:
    """The question that the options ask of the first dump, and what had to be assumed to ask it. Raises Wrong."""
    local, assumed = local_addresses(options, *dumps)
    if options.from_node and packet.src not in local:
        local.insert(0, packet.src)
        assumed.append(f"{packet.src} is an address of the node, since a program there sends from it")
    if not options.from_node and packet.src in local:
        raise Wrong(f"{packet.src} is an address of the node: say --from-node if a program there sends the packet")
    if any(table.whole for rules in dumps for table in rules.tables):
        assumed.append("rules that the packet does not meet are right (--check reads them, too)")
    if not local:
        assumed.append("no address but 127.0.0.0/8 is the node's own (--local ADDR names one)")
    if not (options.iif or options.from_node):
        assumed.append("the packet comes in on some interface (--in IFACE names it)")
    if not options.oif:
        assumed.append("it would leave by some interface (--out IFACE names it)")
    return Question(dumps[0], packet, tuple(local), options.iif, options.oif, options.from_node), assumed


@dataclass(frozen=True, slots=True)
class Answer:
    """A packet's walks, and what is said beside them: cases where the answer depends on an interface, explanations.

    `others`: of how many ways of chance one is shown; 1 where all are.
    """

    question: Question
    ways: Ways
    groups: tuple[tuple[Case, ...], ...]
    explained: tuple[tuple[str, Explanation], ...]
    others: int = 1

    @property
    def arrives(self) -> bool:
        """Whether the packet goes on to a host in every way that was walked."""
        return not any(trace.received is None or lost(self.question, trace) for _, trace in self.ways)

    def lines(self) -> list[str]:
        """What is said below the walk."""
        lines = []
        if self.others > 1:
            count = f"more than {WAYS}" if self.others > WAYS else self.others
            lines += ["", f"This is one of {count} ways that chance can take; --all shows them all."]
        if self.groups:
            lines += ["", "It depends on the interface:"]
            lines += [f"  {label(group, self.question)}: {_ends(group[0].ways)}" for group in self.groups]
        for title, one in self.explained:
            lines += ["", *([f"{title}:"] if title else []), *one.lines()]
        return lines

    def to_dict(self) -> dict:
        """The same as plain JSON values; no key for what was not asked."""
        said: dict = {}
        if self.groups:
            said["interfaces"] = [{"interfaces": [{"in": c.question.iif, "out": c.question.oif} for c in group],
                                   "outcomes": _outcomes(group[0].ways)} for group in self.groups]
        if self.explained:
            said["explained"] = [{"of": title or None} | one.to_dict() for title, one in self.explained]
        return said


def _ends(ways: Ways) -> str:
    ends = {outcome(trace): trace for _, trace in ways}
    return "; or ".join(f"{verdict} to {to}, {SAID.get(how, how)}" if to else f"{verdict}: {how}"
                        for verdict, to, how in ends)


def _outcomes(ways: Ways) -> list[dict]:
    return [{"probability": float(chance), "verdict": trace.verdict, "reason": trace.reason or None,
             "destination": trace.received.destination if trace.received else None} for chance, trace in ways]


def answer(options: argparse.Namespace, question: Question, assumed: list[str]) -> Answer:
    """Walk the packet, find out whether interfaces that nobody named matter, and explain if that was asked for."""
    run: Run = every if options.all else by_seed(options.seed)
    question, groups, said = settled(question, run)
    if said:
        assumed[:] = [line for line in assumed if "some interface" not in line] + [said]
    found = ()
    if options.explain:
        found = tuple(_explained(options, question, groups, run))
    others = 1 if options.all or groups else how_many(question, WAYS)
    return Answer(question, run(question), groups, found, others)


def _explained(options: argparse.Namespace, question: Question, groups: tuple, run: Run) -> list:
    """Explanations: one for each interface that makes a difference, or for each end that chance can choose."""
    if groups:
        walk: Walk = lambda changed: run(changed)[0][1]
        found = [(label(group, question), explain(group[0].question, walk)) for group in groups]
        return ([one for one in found if one[1].obstacles] or found)[:EXPLAINED]
    if not options.all:
        return [("", explain(question, lambda changed: run(changed)[0][1]))]
    ends: dict = {}
    for probability, trace, walk in scripts(question):
        ends.setdefault(outcome(trace), []).append((probability, walk))
    return [(f"With probability {float(sum(chance for chance, _ in found)):.6f}" if len(ends) > 1 else "",
             explain(question, found[0][1])) for found in list(ends.values())[:EXPLAINED]]


def run_diff(options: argparse.Namespace, packet: Packet) -> int:
    """Print what the packet meets in the newer dump that it did not meet in the older one; the exit status."""
    old, new = (read_rules(name, options.check) for name in options.diff)
    question, assumed = make_question(options, packet, old, new)
    run: Run = by_seed(options.seed)
    question, groups, said = settled(question, run)
    newer, more, said_now = settled(replace(question, rules=new), run)      # a rule that is new may ask for another
    if groups or more:
        assumed.append("it depends on the interface: say --in and --out")
    elif said or said_now:
        assumed = [line for line in assumed if "some interface" not in line] + [said_now or said]
    found = difference(replace(newer, rules=old), new, run)
    if options.json:
        print(json.dumps(found.to_dict() | {"assumed": assumed}, indent=2))
    else:
        print("\n".join([*found.lines(), "", *assumed_lines(assumed)]).rstrip())
    return DIFFERS if options.fail and not found.same else 0


def run_service(options: argparse.Namespace) -> None:
    """Print a Service's ports, callers and chances."""
    rules = read_rules(options.rules, options.check)
    gone = without_entrance(rules, options.service)
    try:
        entrances = find(rules, options.service)
    except NoService:
        if not gone:
            raise
        entrances = ()
    local, assumed = local_addresses(options, rules)
    who, missing = callers(rules, entrances, tuple(local), options.pod, options.outside)
    missing += tuple(f"NodePort {one.port} ({one.name}) is asked at no address: say --local ADDR, one of the node's"
                     for one in entrances if not one.address and not local)
    asked = tuple(ask(rules, entrances, who, tuple(local), options.iif, options.oif))
    assumed += [f"{one.kind}: {one.address}, {one.why}" for one in who] + list(missing)
    if options.json:
        print(json.dumps({"service": options.service, "asked": [one.to_dict() for one in asked],
                          "lost": [{"port": one.name, "proto": one.proto, "address": one.address, "dport": one.port,
                                    "chain": one.target, "why": orphaned(rules, one)} for one in gone],
                          "assumed": assumed}, indent=2))
        return
    print(service_table(options.service, asked) if entrances else f"Service {options.service}: no way in")
    print("".join(f"\nNo way in: {one} ({one.name}): the chain {one.target} is there, and {orphaned(rules, one)}."
                  for one in gone), end="\n" * bool(gone))
    print("\n".join(["", *assumed_lines(assumed)]).rstrip())


def service_table(name: str, asked: tuple[Asked, ...]) -> Table:
    """A line for each end that a caller may meet at each entrance."""
    columns = (Column("Port"), Column("Asked at"), Column("Caller"), Column("Outcome"), Column("Chance", number=True),
               Column("Arrives at"), Column("Its source"))
    rows, notes = [], {}
    for one in asked:
        port = one.entrance.port_name or "-"
        head = (port, f"{one.address}:{one.entrance.port}/{one.entrance.proto}", one.caller.kind)
        if not one.ways:
            rows.append((*head, "UNKNOWN", "", "", one.note))
        for number, cells in enumerate(_rows(one, notes)):
            rows.append((*head, *cells) if not number else ("", "", "", *cells))
    count = len({one.entrance for one in asked})
    return Table(f"Service {name}: {count} way{'s' * (count != 1)} in", columns, tuple(rows),
                 tuple(f"[{number}] {reason}" for reason, number in notes.items()))


def _rows(one: Asked, notes: dict[str, int]) -> list[tuple[str, ...]]:
    """The cells of one caller's ends; of many alike, with the same chance, one line says how many there are."""
    ends = list(one.ends().items())
    rows = []
    if len(ends) > SHARES:
        alike: dict[tuple, list[tuple[str, Fraction]]] = {}
        for (verdict, to, how), chance in ends:
            alike.setdefault((verdict, how, bool(to)), []).append((to or how, chance))
        for (verdict, how, arrives), found in alike.items():
            low, high = (f"{float(pick(chance for _, chance in found)):.6f}" for pick in (min, max))
            chance = low if low == high else f"{low} to {high}"
            rows.append((verdict, chance if len(found) == 1 else f"{chance} each",
                         f"{len(found)} endpoints" if arrives and len(found) > 1 else found[0][0] if arrives else "",
                         how if arrives else _note(how, notes)))
        return rows
    for (verdict, to, how), chance in ends:
        rows.append((verdict, f"{float(chance):.6f}", to, how if to else _note(how, notes)))
    return rows


def _note(reason: str, notes: dict[str, int]) -> str:
    return f"see [{notes.setdefault(reason, len(notes) + 1)}]"


def assumed_lines(assumed: list[str]) -> list[str]:
    """What was assumed, as the last lines of an answer."""
    return ["Assumed:", *(f"  {line}" for line in assumed)] if assumed else []

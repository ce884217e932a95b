"""Where it matters which interface a packet comes in on, or leaves by, and where it does not.

Nobody who is called at night knows the name of a Pod's veth. Rules compare an interface with names such as
`docker0` and with beginnings such as `cali+`, so that all interfaces that no rule tells apart are as one: it is
enough to walk the packet once for each name, once for each beginning, and once for all others. Where every walk
ends alike, the answer holds whatever the interface is.

Two things are known beforehand. What comes from another host never comes in on `lo`, nor leaves by it. And Docker
writes, for each of its bridges, a rule that masquerades the bridge's own network where it leaves elsewhere: packets
from and to that network pass the bridge, and others do not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace

from k8slab.iptables import Ruleset
from k8slab.iptables.matches import IP
from k8slab.iptables.values import interface_holds
from k8slab.model.dump import Question
from k8slab.oncall.evidence import Fact, given, network, rules_of
from k8slab.oncall.ways import Run, Ways, chances
from k8slab.packet import UNKNOWN
from k8slab.trace import Trace

OTHERS = ("another interface", "any other interface")
LIMIT = 400                                   # walks; more than that is no answer that a person reads
NAMES = 4
NAMES_OF = {name: (f" {name} ", *(f" {other} " for other in IP.names[name].aliases)) for name in ("-i", "-o")}
SIDES = {"incoming interface": ("iif", "-i", "src"), "outgoing interface": ("oif", "-o", "dst")}


class TooMany(Exception):
    """There are too many interfaces to try."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which the interfaces may be, and how the packet ends then.

    The question's `iif` and `oif` are a name, `cali*` for every other that begins so, or None where it does not matter.
    """

    question: Question
    ways: Ways

    @property
    def outcome(self) -> frozenset:
        """What a person would call the same answer."""
        return frozenset(chances(self.ways).items())


def unknown_side(trace: Trace) -> str:
    """Which interface was missing for a verdict: a key of SIDES, or ""."""
    last = trace.steps[-1] if trace.verdict == "UNKNOWN" and trace.steps else None
    return next((side for side in SIDES if last and last.why.startswith(f"{side}:")), "")


def asked_for(ways: Ways) -> tuple[str, Trace | None]:
    """The same for several ways in which chance can fall: the first that was missing, and the walk that missed it."""
    return next(((side, trace) for _, trace in ways if (side := unknown_side(trace))), ("", None))


def bridges(rules: Ruleset) -> dict[str, Fact]:
    """The networks of bridges: by the bridge's name, the network and the reason.

    >>> rules = parse("*nat\\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\\nCOMMIT\\n")
    >>> bridges(rules)["docker0"].value
    '172.17.0.0/16'
    """
    found = {}
    for rule in rules_of(rules, "nat", "POSTROUTING"):
        out, source = given(rule, "-o"), given(rule, "-s")
        plain = len(rule.matches) == 1 and len(rule.matches[0].given) == 2
        if plain and out and out[1] and source and not source[1] and rule.target and rule.target.name == "MASQUERADE":
            found[out[0]] = Fact(network(rule, "-s"), f"nat POSTROUTING masquerades {network(rule, '-s')} where it "
                                                      f"leaves by another interface than {out[0]}")
    return found


def possible(rules: Ruleset, option: str, address: str) -> tuple[str, ...]:
    """The kinds of interfaces that a packet from, or to, this address may pass."""
    own = bridges(rules)
    for name, fact in own.items() if address != UNKNOWN else ():
        if ipaddress.IPv4Address(address) in ipaddress.IPv4Network(fact.value):
            return (name,)
    return tuple(name for name in kinds(rules, option) if name != "lo" and (name not in own or address == UNKNOWN))


def kinds(rules: Ruleset, option: str) -> tuple[str, ...]:
    """The interfaces that the rules tell apart, one of each kind; `option` is -i or -o.

    >>> kinds(parse("*filter\\n-A FORWARD -i docker0 -j DROP\\n-A FORWARD -i cali+ -j ACCEPT\\nCOMMIT\\n"), "-i")
    ('docker0', 'cali*', 'another interface')
    """
    patterns = {}
    for chain in (chain for table in rules.tables for chain in table.chains):
        for rule in chain.mentioning(NAMES_OF[option]):            # of ten thousand rules few name an interface
            if found := given(rule, option):
                patterns[found[0]] = None
    names = [pattern[:-1] + "*" if pattern.endswith("+") else pattern for pattern in patterns]
    other = [name for name in OTHERS if not any(interface_holds(pattern, name) for pattern in patterns)][:1]
    return tuple(dict.fromkeys((*names, *other)))


def cases(question: Question, run: Run) -> tuple[Case, ...]:
    """Every way in which interfaces that nobody named may be, as far as a rule that the packet meets asks.

    Raises TooMany where that would be more than LIMIT walks.
    """
    return tuple(_cases(question, run, [0]))


def _cases(question: Question, run: Run, walks: list[int]) -> Iterator[Case]:
    walks[0] += 1
    if walks[0] > LIMIT:
        raise TooMany
    ways = run(question)
    side, trace = asked_for(ways)
    field, option, end = SIDES.get(side, ("", "", ""))
    if not side or getattr(question, field) is not None:       # it is known, and something else could not be told
        yield Case(question, ways)
        return
    for name in possible(question.rules, option, getattr(trace.steps[-1].before, end)):
        yield from _cases(replace(question, **{field: name}), run, walks)


def grouped(found: tuple[Case, ...]) -> tuple[tuple[Case, ...], ...]:
    """The cases with the same answer together."""
    groups: dict[frozenset, list[Case]] = {}
    for case in found:
        groups.setdefault(case.outcome, []).append(case)
    return tuple(map(tuple, groups.values()))


def label(group: tuple[Case, ...], question: Question) -> str:
    """Which interfaces a group stands for: `in on docker0, cali*`; `question` is the one in which some were unknown."""
    said = []
    for field, words in (("iif", "in on"), ("oif", "out on")):
        names = list(dict.fromkeys(name for case in group if (name := getattr(case.question, field)) is not None))
        if names and getattr(question, field) is None:
            more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
            said.append(f"{words} {', '.join(names[:NAMES])}{more}")
    return " and ".join(said)


def settled(question: Question, run: Run) -> tuple[Question, tuple[tuple[Case, ...], ...], str]:
    """The question with interfaces that do no harm put in, the groups of cases where they do, and what to say of it.

    There are no groups where no interface was asked for, or where it does not matter which.
    """
    if not asked_for(run(question))[0]:
        return question, (), ""
    try:
        groups = grouped(cases(question, run))
    except TooMany:
        return question, (), "the rules name too many interfaces to try each: say which with --in and --out"
    if len(groups) > 1:
        return question, groups, ""
    one = next((case for case in groups[0] if {case.question.iif, case.question.oif} & set(OTHERS)), groups[0][0])
    tried = [(words, name) for words, field in (("comes in on", "iif"), ("leaves by", "oif"))
             if (name := getattr(one.question, field)) != getattr(question, field)]
    if len(groups[0]) == 1:
        said = " and ".join(f"{words} {'an interface that no rule names' if name in OTHERS else name}"
                            for words, name in tried)
        return one.question, (), f"the packet {said}{_known(one.question)}"
    said = " and ".join(words for words, _ in tried)
    return one.question, (), (f"the answer is the same whichever interface the packet {said}: it was walked for each "
                              f"of the {len(groups[0])} ways that the rules tell apart{_known(one.question)}")


def _known(question: Question) -> str:
    """Which networks the answer relies on."""
    return "".join(f" ({fact.why})" for fact in bridges(question.rules).values())

"""Which chain jumps to which: the rules of a table as a tree, for one Service or for one packet.

A rule with `-m statistic --mode random` takes its own part of the packets that the rules above it left over,
so that three equal endpoints have 0.333, 0.5 and no number at all. What a reader wants to know is each one's
share of the packets that came into the chain: the parts multiplied, 1/3 each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from k8slab.iptables import Chain, Context, Extension, Given, Miss, Rule, Table

# Chains that hold the rules of many Services: of these alone, rules are picked out (proxier.go).
SHARED = {"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"}
LIMIT = 12               # so many endpoints are told one by one; the rest are counted
SURE = Fraction(1)

# Option -> how it is said; a second form where a `!` stands before it.
SAYINGS = {
    "-s": ("from {}", "not from {}"), "-d": ("to {}", "not to {}"), "-i": ("in by {}", "not in by {}"),
    "-o": ("out by {}", "not out by {}"), "-p": ("{}", "not {}"), "--dport": ("port {}", "not port {}"),
    "--sport": ("source port {}", "not source port {}"), "--mark": ("mark {}", "not mark {}"),
    "--dst-type": ("to an address of type {}", "not to an address of type {}"),
    "--src-type": ("from an address of type {}", "not from an address of type {}"),
    "--seconds": ("its source seen in the last {} seconds", ""),
}
# Matches that decide nothing, or whose chance is told apart.
SILENT = {"comment", "nfacct", "statistic"}


@dataclass(frozen=True, slots=True)
class Branch:
    """One rule of a chain and where it leads.

    `kind`: "chain" for a jump, with the other chain's rules in `branches`; "again" for a jump to a chain that
    is told elsewhere in the tree; "side" for a jump to a chain that only marks and comes back; "end" for
    a target that decides; "note" for one that does not; "more" for rules that are only counted, in `target`.
    `when`: what a packet must have, in words. `chance`: the rule's own number as its text has it, or "".
    `share`: of the packets that come into the chain, for a rule that chooses; else None. `service`: the
    Service and port that the comment names. `lit`: the packet took it.
    """

    kind: str
    target: str
    chain: str = ""
    position: int = 0
    when: str = ""
    chance: str = ""
    share: Fraction | None = None
    service: str = ""
    lit: bool = False
    branches: tuple[Branch, ...] = ()

    def walk(self) -> Iterator[Branch]:
        """This branch and all behind it."""
        yield self
        for branch in self.branches:
            yield from branch.walk()


def say_share(share: Fraction) -> str:
    """A share as a plain fraction where it is one: 1/3 for 0.33333333349; "always" for the whole.

    >>> say_share(Fraction(715827883, 2**31))
    '1/3'
    """
    plain = share.limit_denominator(1000)
    if share == 1:
        return "always"
    return str(plain) if abs(plain - share) < Fraction(1, 10**7) and plain else f"{float(share):.2%}"


def service_of(rule: Rule) -> str:
    """The Service and port that kube-proxy's comment names: "default/kubernetes:https"; "" for none."""
    comment = next((m.value("--comment") for m in rule.matches if m.name == "comment"), "")
    first = comment.split(" ")[0]
    return first if "/" in first else ""


def condition(rule: Rule) -> str:
    """What a packet must have, in words: "to 10.96.0.1, tcp port 443"; "" for every packet."""
    words: list[str] = []
    for match in rule.matches:
        if match.name in SILENT or _remembers(match):
            continue
        said = [_say(given) for given in match.given if given.option.name in SAYINGS]
        if match.name != "ip" and not said and match.tests:
            said = [" ".join(match.save_options()) or match.name]
        # `-p tcp` and its port are one thing to a reader.
        if said and words and said[0].startswith("port ") and words[-1] == match.name:
            words[-1] += f" {said.pop(0)}"
        words += said
    return ", ".join(words)


def _remembers(match: Extension) -> bool:
    """Whether it is `-m recent --set`, which holds for every packet and writes its source down."""
    return match.name == "recent" and "--set" in match and not match.negated("--set")


def _say(given: Given) -> str:
    return SAYINGS[given.option.name][given.negated].format(given.option.kind.say(given.value))


def _statistic(rule: Rule) -> Extension | None:
    return next((match for match in rule.matches if match.name == "statistic"), None)


def _own_chance(rule: Rule) -> tuple[Fraction, str]:
    """The part of the packets that the rule takes, of those that come to it; and the number in its text."""
    match = _statistic(rule)
    if match is None:
        return SURE, ""
    name = "--probability" if "--probability" in match else "--every"
    given = next(given for given in match.given if given.option.name == name)
    part = Fraction(given.value, 2**31) if name == "--probability" else Fraction(1, given.value)
    number = given.save().split()[-1] if name == "--probability" else f"1 in {given.value}"
    return (1 - part, f"not {number}") if given.negated else (part, number)


def matching(name: str) -> Callable[[Rule], bool]:
    """A test for the rules of a Service: "shop/web", "shop/web:http", "10.96.12.34" or "10.96.12.34:80"."""
    address, _, port = name.partition(":")

    def named(rule: Rule) -> bool:
        return service_of(rule) == name or service_of(rule).startswith(f"{name}:")
    return named if "/" in name else lambda rule: _addressed(rule, address, port)


def _addressed(rule: Rule, address: str, port: str) -> bool:
    values = {given.option.name: given.option.kind.say(given.value) for match in rule.matches
              for given in match.given if not given.negated}
    return values.get("-d") == address and port in ("", values.get("--dport"))


class Tree:
    """The tree below one chain: `picks(chain, rule)` says which rules are told, `lit` which the packet took.

    `sure(rule)`: whether a rule certainly takes the packet that is asked for.
    """

    def __init__(self, table: Table, picks: Callable[[Chain, Rule], bool], lit: Collection[tuple[str, int]],
                 sure: Callable[[Rule], bool]) -> None:
        self.table, self.picks, self.lit, self.sure = table, picks, lit, sure
        self.first: dict[str, tuple[str, int]] = {}
        self.ending: dict[str, bool] = {}

    def grow(self, start: str) -> tuple[Branch, ...]:
        """The branches of the chain `start`; every other chain is told where it comes first, by level."""
        level, seen = [start], {start}
        while level:
            below = []
            for name in level:
                for position, rule in self._rules(name):
                    to = self._jump(rule)
                    if to and to not in seen:
                        seen.add(to)
                        below.append(to)
                        self.first[to] = (name, position)
            level = below
        return self._branches(start)

    def _rules(self, name: str) -> list[tuple[int, Rule]]:
        """The rules of a chain that are told, up to one behind which no packet comes."""
        told, chain = [], self.table[name]
        for position, rule in enumerate(chain.rules, 1):
            if self.picks(chain, rule):
                told.append((position, rule))
                if self.sure(rule) and self._ends(rule):
                    break
        return told

    def _jump(self, rule: Rule) -> str:
        """The chain that a rule sends packets to, but for one that only marks; "" for other rules."""
        target = rule.target
        to_chain = target is not None and target.kind in ("jump", "goto") and not self._marks(target.name)
        return target.name if to_chain else ""

    def _marks(self, name: str) -> bool:
        rules = self.table[name].rules
        return bool(rules) and all(rule.target and rule.target.kind == "mark" for rule in rules)

    def _ends(self, rule: Rule) -> bool:
        """Whether a packet that this rule takes does not come back to the rule after it."""
        if rule.target is None or rule.target.kind not in ("jump", "goto"):
            return bool(rule.target) and rule.target.kind in ("nat", "verdict", "return")
        name = rule.target.name
        if rule.target.kind == "jump" and name not in self.ending:
            self.ending[name] = False              # a loop, which iptables refuses, would end here
            # A protocol alone is no condition here: the rules that lead to kube-proxy's have asked for it.
            self.ending[name] = any(not _statistic(r) and condition(r) in ("", "tcp", "udp", "sctp")
                                    and self._ends(r) and r.target.kind != "return"
                                    for r in self.table[name].rules)
        return rule.target.kind == "goto" or self.ending[name]

    def _branches(self, name: str) -> tuple[Branch, ...]:
        rules = self._rules(name)
        chosen = any(_statistic(rule) for _, rule in rules)
        left, branches = SURE, []
        for position, rule in rules:
            part, number = _own_chance(rule)
            free = self._ends(rule) and not condition(rule)
            share = left * part if free and (chosen or self._jump(rule)) else None
            left -= left * part if free else 0
            when = [condition(rule)] if condition(rule) else []
            if share == SURE and any(self._ends(earlier) for _, earlier in rules[:len(branches)]):
                share, when = None, ["otherwise"]
            when += ["remembering the source"] if any(map(_remembers, rule.matches)) else []
            branches.append(self._branch(name, position, rule, (", ".join(when), number, share)))
        return _folded(tuple(branches))

    def _branch(self, name: str, position: int, rule: Rule, says: tuple[str, str, Fraction | None]) -> Branch:
        kind, target = self._kind(name, position, rule)
        below = self._branches(target) if kind == "chain" else ()
        lit = (name, position) in self.lit
        return Branch(kind, target, name, position, *says, service_of(rule), lit, below)

    def _kind(self, name: str, position: int, rule: Rule) -> tuple[str, str]:
        target = rule.target
        if target is None:
            return "note", "only counts"
        if target.kind in ("jump", "goto"):
            told = "chain" if self.first.get(target.name) == (name, position) else "again"
            return (told if self._jump(rule) else "side"), target.name
        words = " ".join(option.split(" ", 1)[-1] for option in target.save_options())
        ends = target.kind in ("nat", "verdict", "return", "unknown")
        return "end" if ends else "note", f"{target.name} {words}".strip()


def _folded(branches: tuple[Branch, ...]) -> tuple[Branch, ...]:
    """The branches with all but the first LIMIT endpoints, and the packet's, counted and not told."""
    choices = [branch for branch in branches if branch.share is not None]
    hidden = [branch for branch in choices[LIMIT:] if not branch.lit]
    if not hidden:
        return branches
    share = sum((branch.share for branch in hidden), Fraction(0))
    told = tuple(branch for branch in branches if branch not in hidden)
    says = f"and {len(hidden):,} more endpoint{'s' * (len(hidden) > 1)}, together {say_share(share)}"
    return (*told, Branch("more", says, share=share))


def by_service(branches: tuple[Branch, ...], rest: Collection[str]) -> tuple[Branch, ...]:
    """The branches, and a last one that counts the Services in `rest`, which are not told."""
    more = Branch("more", f"and {len(rest):,} more Service{'s' * (len(rest) > 1)}")
    return (*branches, more) if rest else branches


def possible(context: Context) -> Callable[[Rule], tuple[bool, bool]]:
    """For a packet: whether a rule may take it, and whether it certainly does."""
    def ask(rule: Rule) -> tuple[bool, bool]:
        # A context of its own each time: lists and counters that a test would write are nobody's.
        answer = rule.check(replace(context, memory={}), ("", "", 0))
        return not isinstance(answer, Miss), answer is None
    return ask

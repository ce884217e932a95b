"""A working copy of the rules, which restore text and commands change before it becomes a new `Ruleset`.

Each operation does what one iptables command does to a table, with the refusals of the real program. The
shape of the whole, that no chain can reach itself and no target stands at a hook where it cannot work, is
checked at the end of each table, where the kernel checks it (`soundness.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from k8slab.iptables.draftchain import LEADS_ON, DraftChain
from k8slab.iptables.errors import RulesError
from k8slab.iptables.names import CHAIN_NAME_LIMIT, OTHER_TARGETS, TABLES
from k8slab.iptables.rule import Counters, Rule
from k8slab.iptables.ruleset import Ruleset, Table
from k8slab.iptables.soundness import validate
from k8slab.iptables.targets import Target

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,27}")
RESERVED = ("ACCEPT", "DROP", "RETURN", "QUEUE")
MOST_SPREAD = 10_000                  # rules that all lists of addresses of a table may stand for
NO_CHAIN = "the chains of a table are made with :NAME lines or iptables -N"

class DraftTable:
    """A table that can be changed: its chains by name, in order."""

    def __init__(self, table: Table) -> None:
        self.name, self.comments = table.name, table.comments
        self.builtin = TABLES[table.name]
        self.chains = {chain.name: DraftChain(chain.name, chain.policy, chain.counters, chain.rules, chain.declared)
                       for chain in table.chains}
        for name in self.builtin:
            self.chains.setdefault(name, DraftChain(name, "ACCEPT", declared=False))
        self._led: Counter[str] | None = None      # how many rules lead to each chain, once somebody has asked
        self.spread = 0                    # how many rules the lists of addresses stand for

    def chain(self, name: str) -> DraftChain:
        """The chain of this name. Raises RulesError when there is none."""
        if name not in self.chains:
            raise RulesError(f"is not a chain of the table {self.name}", NO_CHAIN, name)
        return self.chains[name]

    def read(self) -> None:
        """Make rules of all lines that were kept."""
        for chain in self.chains.values():
            _ = chain.rules

    def check(self, rules: list[Rule]) -> None:
        """Raise RulesError unless new rules may stand in their chain, and their target exists and in this table."""
        self._interfaces(rules[0])
        self.spread += len(rules) - 1
        if self.spread > MOST_SPREAD:
            raise RulesError("its lists of addresses stand for too many rules", "write them out")
        if rules[0].target is not None:
            self.check_target(rules[0].target)

    def check_target(self, target: Target) -> None:
        """Raise RulesError unless a target exists and may stand in this table."""
        if target.kind not in LEADS_ON:
            if target.words and target.name in self.chains and target.name not in OTHER_TARGETS:
                raise RulesError("is a chain, and a jump to a chain has no options",
                                 f"{target.words[0]} stands after it", target.name)
            return target.check_tables(self.name)
        if target.name in self.builtin:
            raise RulesError("is a built-in chain", "rules can jump to chains made with -N only", target.name)
        if target.name not in self.chains:
            raise RulesError(f"is neither a target nor a chain of the table {self.name}", NO_CHAIN,
                             target.name)

    def append(self, rules: list[Rule]) -> None:
        """-A: put rules at the end of their chain."""
        chain = self.chain(rules[0].chain)
        self.check(rules)
        chain.add(rules)
        self._changed((), rules)

    def insert(self, rules: list[Rule], position: int) -> None:
        """-I: put rules before the one at a position, from 1."""
        chain = self.chain(rules[0].chain)
        self.check(rules)
        if position > len(chain.rules) + 1:
            raise RulesError("is beyond the end of the chain", f"{chain.name} has {len(chain.rules)} rules",
                             str(position))
        chain.rules[position - 1:position - 1] = rules
        self._changed((), rules)

    def replace(self, rules: list[Rule], position: int) -> None:
        """-R: put a rule in the place of the one at a position."""
        self._at(rules[0].chain, position)
        self.check(rules)
        if len(rules) > 1:
            raise RulesError("stands for several rules", "-R replaces one rule by one", rules[0].chain)
        chain = self.chain(rules[0].chain)
        self._changed((chain.rules[position - 1],), rules)
        chain.rules[position - 1] = rules[0]

    def delete(self, rule: Rule | None, chain: str, position: int = 0) -> None:
        """-D: take away the rule at a position, or the first that is the same as `rule`."""
        position = position if rule is None else self.find(rule)
        self._at(chain, position)
        self._changed((self.chain(chain).rules.pop(position - 1),), ())

    def flush(self, chain: DraftChain) -> None:
        """-F: take away all rules of a chain."""
        self._changed(chain.rules if self._led else (), ())
        chain.rules = []

    def find(self, rule: Rule) -> int:
        """-C: the position of the first rule that is the same. Raises RulesError when there is none."""
        for position, other in enumerate(self.chain(rule.chain).rules, 1):
            if other.normal == rule.normal:
                return position
        raise RulesError("Bad rule (does a matching rule exist in that chain?)", word=None)

    def _at(self, chain: str, position: int) -> None:
        if not 1 <= position <= (count := len(self.chain(chain).rules)):
            raise RulesError("is not the number of a rule", f"{chain} has {count} rules", str(position))

    def _interfaces(self, rule: Rule) -> None:
        """A packet that comes in has no outgoing interface yet, and one that goes out came in by none."""
        blind = {"INPUT": "-o", "PREROUTING": "-o", "OUTPUT": "-i", "POSTROUTING": "-i"}
        option = blind.get(rule.chain) if rule.chain in self.builtin else None
        if option and any(given.option.name == option for match in rule.matches[:1] for given in match.given):
            raise RulesError(f"cannot be used with {option}", "the packet has no such interface there",
                             rule.chain)

    def declare(self, name: str, policy: str, counters: Counters | None) -> None:
        """A `:NAME POLICY` line: make the chain, or empty the one that is there."""
        if name in self.builtin:
            self.policy(name, policy if policy != "-" else self.chains[name].policy)
        elif name not in self.chains:
            self.new(name)
        chain = self.chains[name]
        chain.counters, chain.declared = counters, True
        self.flush(chain)

    def plainly_new(self, name: str) -> bool:
        """Make a chain of a name that is right and new at first sight; False, and nothing done, for any other."""
        plain = PLAIN_NAME.fullmatch(name) is not None and name not in self.chains and name not in RESERVED
        if plain:
            self.chains[name] = DraftChain(name)
        return plain

    def new(self, name: str) -> None:
        """-N: make a chain."""
        check_chain_name(name)
        if name in self.chains:
            raise RulesError("is a chain already", "-F empties it", name)
        self.chains[name] = DraftChain(name)

    def remove(self, names: list[str]) -> None:
        """-X: take away chains, which must be empty and without a jump to them."""
        for name in names:
            if name in self.builtin:
                raise RulesError("is a built-in chain", "only chains made with -N can be deleted", name)
            if self.chain(name).rules:
                raise RulesError("is not empty", f"empty it first: -F {name}", name)
            if count := self.references().get(name):
                raise RulesError("is still referenced", f"{count} rules jump to it; delete them first", name)
        for name in names:
            del self.chains[name]

    def rename(self, old: str, new: str) -> None:
        """-E: rename a chain, and the jumps to it."""
        chain = self.chain(old)
        check_chain_name(new)
        if old in self.builtin or new in self.chains:
            raise RulesError("cannot be the new or old name",
                             "a built-in chain keeps its name, and names are unique",
                             old if old in self.builtin else new)
        chain.name = new
        self.chains = {chain.name: chain for chain in self.chains.values()}
        for each in self.chains.values():
            each.rules = [_renamed(rule, old, new) for rule in each.rules]
        self._led = None

    def policy(self, name: str, policy: str | None) -> None:
        """-P: what happens to a packet at the end of a built-in chain."""
        if name not in self.builtin:
            raise RulesError("is not a built-in chain", "only those have a policy", name)
        if policy not in ("ACCEPT", "DROP"):
            raise RulesError("is not a policy", "a policy is ACCEPT or DROP", policy)
        chain = self.chains[name]
        chain.policy, chain.declared = policy, True

    def references(self) -> Mapping[str, int]:
        """How many rules lead to each chain."""
        if self._led is None:
            self._led = Counter()
            for chain in self.chains.values():
                self._changed((), chain.rules)
        return self._led

    def _changed(self, gone: Iterable[Rule], come: Iterable[Rule]) -> None:
        if self._led is not None:
            self._led.update(_leads(come))
            self._led.subtract(_leads(gone))

    def validate(self) -> None:
        """Raise RulesError for a loop of chains that packets can reach, or a target at a hook where it cannot
        work.

        """
        validate(self.chains, self.builtin)

    def freeze(self, whole: Callable[[], object] | None = None) -> Table:
        """The table as a value."""
        return Table(self.name, tuple(chain.freeze() for chain in self.chains.values()), self.comments, whole)


def check_chain_name(name: str) -> None:
    """Raise RulesError when a name cannot be a chain's, in the real program's terms."""
    if not name or name[0] in "-!" or " " in name or "\t" in name or "\n" in name:
        raise RulesError("is not a chain's name", "a name begins with neither - nor !, and has no blanks",
                         name)
    if len(name.encode()) >= CHAIN_NAME_LIMIT:
        raise RulesError("is too long for a chain's name", f"it must be under {CHAIN_NAME_LIMIT} characters",
                         name)
    if name in RESERVED:
        raise RulesError("is a target's name", "a chain cannot be called so", name)


def _leads(rules: Iterable[Rule]) -> list[str]:
    return [rule.target.name for rule in rules if rule.target and rule.target.kind in LEADS_ON]


def _renamed(rule: Rule, old: str, new: str) -> Rule:
    """A rule that stood in or led to a chain which is now called otherwise."""
    chain = new if rule.chain == old else rule.chain
    target = rule.target
    if target and target.kind in LEADS_ON and target.name == old:
        target = replace(target, name=new)
    elif chain == rule.chain:
        return rule
    rule = replace(rule, chain=chain, target=target)
    return replace(rule, text=rule.normal, own_counters=False)


class Draft:
    """A set of rules that can be changed, table by table."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self.changed: dict[str, Table] = {}

    def open(self, name: str, empty: bool = False) -> DraftTable:
        """A table to change; `empty` begins it anew. Raises RulesError when there is no such table."""
        if name not in TABLES:
            raise RulesError("is not a table", f"the tables are {', '.join(sorted(TABLES))}", name)
        known = None if empty else self.changed.get(name) or self.ruleset.get(name)
        return DraftTable(known or Table(name))

    def close(self, table: DraftTable, whole: Callable[[], object] | None = None) -> None:
        """Take the changed table over. Raises RulesError as `DraftTable.validate` does, but not for one that is left
        to be read in `whole` later.

        """
        if whole is None:
            table.validate()
        self.changed[table.name] = table.freeze(whole)

    def tables(self) -> Iterator[Table]:
        """All tables: those that were there in their order, then the new ones."""
        old = [table.name for table in self.ruleset.tables]
        for name in (*old, *(name for name in self.changed if name not in old)):
            yield self.changed.get(name) or self.ruleset[name]

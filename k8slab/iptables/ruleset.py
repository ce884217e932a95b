"""Tables, chains and rules as values, and their text.

`str(ruleset)` gives back the text that was read, to the byte, for everything that iptables-save prints. All
values are frozen: a change makes a new `Ruleset` (see `restore`, and `command.run`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from k8slab.iptables.index import Branch, Leaf, index
from k8slab.iptables.names import TABLES
from k8slab.iptables.rule import Counters, Rule


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain. `policy`: ACCEPT or DROP; None for a user chain. `counters`: (packets, bytes) of the policy,
    None where the text had none. `declared`: whether the text had a line for it; a table has its built-in
    chains anyway.

    """

    name: str
    policy: str | None = None
    counters: Counters | None = (0, 0)
    rules: tuple[Rule, ...] = ()
    declared: bool = True
    _lines: tuple[Any, ...] = field(init=False, compare=False, repr=False, default=())

    @classmethod
    def unread(cls, name: str, policy: str | None, counters: Counters | None, declared: bool, reader: Any,
               lines: tuple) -> Chain:
        """A chain whose rules are lines until they are asked for; `reader.read(lines)` then makes rules of them."""
        chain = cls(name, policy, counters, (), declared)
        object.__setattr__(chain, "_lines", (reader, lines))
        object.__delattr__(chain, "rules")
        return chain

    def __getattr__(self, name: str) -> Any:
        """Python asks here for what is not set: the rules of a chain that was not read yet."""
        if name != "rules" or not self._lines:
            raise AttributeError(f"a chain has no {name}")
        reader, lines = self._lines
        object.__setattr__(self, "rules", tuple(reader.read(lines)))
        object.__setattr__(self, "_lines", ())
        return self.rules

    def mentioning(self, words: Collection[str]) -> Iterator[Rule]:
        """The rules in whose text one of some words stands. Of a chain that was not read yet these alone are read, one
        after the other, and wrong ones are left out.

        """
        for line in self._lines[1] if self._lines else self.rules:
            text = line.text if isinstance(line, Rule) else line[0]
            if any(word in text for word in words):
                yield from [line] if isinstance(line, Rule) else self._lines[0].right(line)

    def __str__(self) -> str:
        counters = f" [{self.counters[0]}:{self.counters[1]}]" if self.counters else ""
        return f":{self.name} {self.policy or '-'}{counters}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its chains in the order of the text, and the comment lines that stood before it.

    `whole`: reads everything that the text holds, for a table of which not all was read yet; else None.

    >>> parse("*nat\\n:KUBE-SERVICES - [0:0]\\nCOMMIT\\n")["nat"]["KUBE-SERVICES"].rules
    ()

    """

    name: str
    chains: tuple[Chain, ...] = ()
    comments: tuple[str, ...] = ()
    whole: Callable[[], object] | None = field(default=None, compare=False, repr=False)
    _named: dict[str, Chain] = field(init=False, compare=False, repr=False)
    _indexes: dict[str, Branch | Leaf] = field(init=False, compare=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named", {chain.name: chain for chain in self.chains})

    def __getitem__(self, name: str) -> Chain:
        return self._named[name]

    def __contains__(self, name: str) -> bool:
        return name in self._named

    def get(self, name: str) -> Chain | None:
        """The chain of this name, None where there is none."""
        return self._named.get(name)

    def check(self) -> None:
        """Check what has not been checked yet, here and in the rest of the text. Raises RulesError."""
        if self.whole:
            self.whole()

    def index(self, name: str) -> Branch | Leaf:
        """Which rules of a chain a packet can hit (`index.py`); worked out when first asked for, and kept."""
        if name not in self._indexes:
            self._indexes[name] = index(self._named[name].rules)
        return self._indexes[name]

    @property
    def builtin(self) -> tuple[str, ...]:
        """The names of its built-in chains, in hook order."""
        return TABLES[self.name]

    def lines(self) -> Iterator[str]:
        """The table as lines of iptables-save."""
        yield from self.comments
        yield f"*{self.name}"
        yield from (str(chain) for chain in self.chains if chain.declared)
        for chain in self.chains:
            for rule in chain.rules:
                yield f"[{rule.counters[0]}:{rule.counters[1]}] {rule.text}" if _prefixed(rule) else rule.text
        yield "COMMIT"

    def normal(self) -> Table:
        """The table as the kernel would give it back: all built-in chains in hook order, then the others by
        name.

        """
        users = sorted((chain for chain in self.chains if chain.name not in self.builtin),
                       key=lambda chain: chain.name.encode())
        chains = tuple(_normal(chain) for chain in (*(self[name] for name in self.builtin), *users))
        return Table(self.name, chains)


def _prefixed(rule: Rule) -> bool:
    """Whether counters stand before the rule; where `-c` gave them they are part of its text."""
    return rule.counters is not None and not rule.own_counters


def _normal(chain: Chain) -> Chain:
    rules = tuple(replace(rule, text=rule.normal, counters=None, own_counters=False) for rule in chain.rules)
    return replace(chain, counters=(0, 0), rules=rules, declared=True)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The rules of one node. `tail`: the lines after the last COMMIT, the last one empty where the text ended
    with a line end. `memo`: what others have worked out about these rules, and would else have to again.

    """

    tables: tuple[Table, ...] = ()
    tail: tuple[str, ...] = ("",)
    memo: dict[str, object] = field(init=False, compare=False, repr=False, default_factory=dict)
    _named: dict[str, Table] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named", {table.name: table for table in self.tables})

    def __getitem__(self, name: str) -> Table:
        return self._named[name]

    def __contains__(self, name: str) -> bool:
        return name in self._named

    def get(self, name: str) -> Table | None:
        """The table of this name, None where there is none."""
        return self._named.get(name)

    def __str__(self) -> str:
        lines = [line for table in self.tables for line in table.lines()]
        return "\n".join((*lines, *self.tail)) if lines else ""

    def normal(self) -> Ruleset:
        """The rules as iptables-save would print them after iptables-restore of this text (1.8.9, nf_tables).

        Counters are 0, comment lines are gone, and tables stand in the order of iptables-save.

        """
        tables = (self[name] for name in TABLES if name in self)
        return Ruleset(tuple(table.normal() for table in tables
                             if any(chain.declared or chain.rules for chain in table.chains)))

    def restore(self, text: str | bytes, *, noflush: bool = False, name: str = "<text>") -> Ruleset:
        """These rules after `iptables-restore` of `text`.

        Without `noflush` each table that the text names is emptied first; with it, as kube-proxy calls the
        program, only the chains that a `:CHAIN` line names. Raises RulesError, which names file, line and
        column.
        """
        from k8slab.iptables.text import restore    # it makes Rulesets
        return restore(self, text, noflush=noflush, name=name)

"""A chain that can be changed, and whose rules may be lines still, of which rules are made when somebody asks.

What a whole table must know of each rule, while it is a line, is where its target leads and at which hooks it works;
that is kept beside the lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from k8slab.iptables.names import HOOKS
from k8slab.iptables.rule import Counters, Rule
from k8slab.iptables.ruleset import Chain

LEADS_ON = ("jump", "goto")


@cache
def bits_of(hooks: tuple[str, ...]) -> int:
    """Hooks as bits, PREROUTING the lowest: `bits_of(("PREROUTING", "OUTPUT"))` is 9."""
    return sum(1 << HOOKS.index(hook) for hook in hooks)


EVERY_HOOK = bits_of(HOOKS)
Line = tuple[str, int]               # the line of a rule, with its counters, and its number


class Reader(Protocol):
    """Makes rules of lines. `used`: whether some chain keeps lines for it."""

    used: bool

    def read(self, kept: Sequence[Line | Rule]) -> list[Rule]: ...


class DraftChain:
    """A chain that can be changed. Its rules may be lines still, which `reader` reads when they are asked for.

    `leads`, `works`: what `outlook` says, for as long as some of them are lines.
    """

    __slots__ = ("name", "policy", "counters", "declared", "leads", "works", "_rules", "_reader")

    def __init__(self, name: str, policy: str | None = None, counters: Counters | None = (0, 0),
                 rules: Sequence[Rule] = (), declared: bool = True) -> None:
        self.name, self.policy, self.counters, self.declared = name, policy, counters, declared
        self._rules: list[Rule | Line] = list(rules)
        self._reader: Reader | None = None

    @property
    def rules(self) -> list[Rule]:
        """The rules. Raises RulesError for a line that was kept unseen and is wrong."""
        if self._reader is not None:
            self._rules, self._reader = self._reader.read(self._rules), None
        return self._rules

    @rules.setter
    def rules(self, rules: list[Rule]) -> None:
        self._rules, self._reader = rules, None

    def lines(self, reader: Reader) -> list[Rule | Line]:
        """Where lines may be put, at the end, for this reader to read."""
        if self._reader is not reader:
            self.works, self.leads = _targets(self.rules)
            self._reader, reader.used = reader, True
        return self._rules

    def keep(self, line: Line, reader: Reader, leads: str, works: int) -> None:
        """Put the line of a rule at the end, and what is known of its target."""
        if self._reader is not reader:
            self.lines(reader)
        self._rules.append(line)
        self.works &= works
        if leads:
            self.leads.append(leads)

    def add(self, rules: list[Rule]) -> None:
        """Put rules at the end."""
        if self._reader is not None:
            works, leads = _targets(rules)
            self.works &= works
            self.leads += leads
        self._rules += rules

    @property
    def outlook(self) -> tuple[int, list[str]]:
        """The hooks at which its own targets work, as bits, and the chains that it leads to."""
        return _targets(self._rules) if self._reader is None else (self.works, self.leads)

    def freeze(self) -> Chain:
        """The chain as a value."""
        if self._reader is None:
            return Chain(self.name, self.policy, self.counters, tuple(self._rules), self.declared)
        return Chain.unread(self.name, self.policy, self.counters, self.declared, self._reader, tuple(self._rules))


def _targets(rules: list[Rule]) -> tuple[int, list[str]]:
    """The hooks at which all targets of some rules work, as bits, and the chains that they lead to."""
    works, leads = EVERY_HOOK, []
    for rule in rules:
        target = rule.target
        if target is not None and target.spec is not None:
            if target.spec.kind in LEADS_ON:
                leads.append(target.name)
            elif target.spec.hooks:
                works &= bits_of(target.spec.hooks)
    return works, leads

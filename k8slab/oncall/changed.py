"""The same rules but for one thing: a rule gone, a rule more, another policy. Nothing is written anywhere.

A rule that is gone leaves one that no packet hits in its place, so that the others keep their numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from k8slab.iptables import Chain, Rule, Ruleset, read_rule
from k8slab.iptables.values import save_protocol


def _with_chain(rules: Ruleset, table: str, chain: str, change: Callable[[Chain], Chain]) -> Ruleset:
    tables = tuple(one if one.name != table else
                   replace(one, chains=tuple(change(c) if c.name == chain else c for c in one.chains))
                   for one in rules.tables)
    return replace(rules, tables=tables)


def _replaced(chain: Chain, position: int, taken: int, *rules: Rule) -> Chain:
    at = position - 1
    return replace(chain, rules=(*chain.rules[:at], *rules, *chain.rules[at + taken:]))


NEVER = "-m mark ! --mark 0x0/0x0"            # of every mark, no bit is 0


def without(rules: Ruleset, table: str, chain: str, position: int) -> Ruleset:
    """The rules in which one takes no packet any more; `position` counts from 1.

    >>> rules = parse("*filter\\n-A FORWARD -p tcp -j DROP\\nCOMMIT\\n")
    >>> without(rules, "filter", "FORWARD", 1)["filter"]["FORWARD"].rules[0].text
    '-A FORWARD -m mark ! --mark 0x0/0x0'
    """
    never = read_rule(f"-A {chain} {NEVER}")
    return _with_chain(rules, table, chain, lambda found: _replaced(found, position, 1, never))


def inserted(rules: Ruleset, table: str, text: str, position: int = 1) -> Ruleset:
    """The rules with one more, `-A CHAIN …`, which stands at `position` of its chain afterwards."""
    rule = read_rule(text)
    return _with_chain(rules, table, rule.chain, lambda found: _replaced(found, position, 0, rule))


def always(rules: Ruleset, table: str, chain: str, position: int) -> Ruleset:
    """The rules with one that every packet hits: it keeps its protocol and its target, and tests nothing else."""
    rule = rules[table][chain].rules[position - 1]
    wanted = rule.protocol
    protocol = f"-p {save_protocol(wanted.value)} " if wanted and not wanted.negated else ""
    target = rule.target.save() if rule.target else ""
    sure = read_rule(f"-A {chain} {protocol}{target}".rstrip())
    return _with_chain(rules, table, chain, lambda found: _replaced(found, position, 1, sure))


def with_policy(rules: Ruleset, table: str, chain: str, policy: str) -> Ruleset:
    """The rules with another policy of a built-in chain."""
    return _with_chain(rules, table, chain, lambda found: replace(found, policy=policy))

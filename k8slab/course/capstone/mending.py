"""From one set of rules to another by commands: what a person would type to mend them, chain by chain."""

from __future__ import annotations

from difflib import SequenceMatcher

from k8slab.iptables import Ruleset

Chains = dict[str, tuple[str | None, list[str]]]


def commands(rules: Ruleset, to: Ruleset) -> list[str]:
    """The commands of iptables that make these rules to those.

    >>> from k8slab.iptables import parse
    >>> one = parse("*nat\\n:X - [0:0]\\n-A X -j RETURN\\nCOMMIT\\n")
    >>> commands(one, parse("*nat\\n:X - [0:0]\\n-A X -j ACCEPT\\nCOMMIT\\n"))
    ['iptables -t nat -R X 1 -j ACCEPT']
    """
    found: list[str] = []
    for table in to.tables:
        now, wanted = _chains(rules, table.name), _chains(to, table.name)
        head = f"iptables -t {table.name}"
        found += [f"{head} -N {name}" for name in wanted if name not in now]
        # What leads into a new chain comes last, as one who types it would have it.
        for name in sorted(wanted, key=lambda name: name in now):
            found += [f"{head} {line}" for line in _edits(name, now.get(name, (None, []))[1], wanted[name][1])]
            policy = wanted[name][0]
            found += [f"{head} -P {name} {policy}"] if policy and now[name][0] not in (policy, None) else []
        gone = [name for name in now if name not in wanted]
        found += [f"{head} {letter} {name}" for letter in ("-F", "-X") for name in gone]
    return found


def _chains(rules: Ruleset, table: str) -> Chains:
    if table not in rules:
        return {}
    return {chain.name: (chain.policy, [rule.text.partition(f"-A {chain.name}")[2].strip() for rule in chain.rules])
            for chain in rules[table].chains}


def _edits(chain: str, now: list[str], wanted: list[str]) -> list[str]:
    """Delete, replace and insert, from the end on, so that no number changes before it is used."""
    found = []
    for kind, a, b, c, d in reversed(SequenceMatcher(None, now, wanted, autojunk=False).get_opcodes()):
        if kind == "replace" and b - a == d - c:
            found += [f"-R {chain} {a + i + 1} {wanted[c + i]}" for i in range(b - a)]
        elif kind != "equal":
            found += [f"-D {chain} {n}" for n in range(b, a, -1)]
            found += [_put(chain, a + i + 1, wanted[c + i], len(now)) for i in range(d - c)]
    return found


def _put(chain: str, position: int, rule: str, length: int) -> str:
    return f"-A {chain} {rule}" if position > length else f"-I {chain} {position} {rule}"

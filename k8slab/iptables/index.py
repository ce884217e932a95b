"""Which rules of a long chain a packet can hit at all, found without trying them one by one.

Theory of operation. KUBE-SERVICES holds a rule for each Service; a packet has one destination address, and
nearly all of these rules ask for another. The tests of a rule are made in order, and a rule is passed over at
the first that misses. So a rule that asks for *one* value of a field, with no `!`, cannot be hit by a packet
that has another value there, and may be left untried: to try it would change nothing. Two things must be so.
The test stands before every test that remembers something or draws lots, which therefore is never made; and
the packet's own value is known, else the test could not be made at all.

The index is a tree. A `Branch` parts rules by one field: those that ask for each value, and the rest, which
do not ask or ask for more than one value. Its leaves are the rules' places in the chain, in order. What is
left of the tree for one packet are a few leaves, and `following` finds the next rule of any of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from k8slab.iptables.context import Context
from k8slab.iptables.matches import DPORT, IP
from k8slab.iptables.options import Given, Option
from k8slab.iptables.rule import Rule
from k8slab.iptables.values import WHOLE

Leaf = tuple[int, ...]
FEW = 8            # so many rules are tried one by one in less time than it takes to choose among them


def _address(value: tuple[int, int]) -> int | None:
    return value[0] if value[1] == WHOLE else None


def _port(value: tuple[int, int]) -> int | None:
    return value[0] if value[0] == value[1] else None


def _interface(value: str) -> str | None:
    return None if value[-1:] == "+" else value


# The fields that rules are parted by, those that part best first; and the one value that an option's value stands
# for, None where it stands for more.
FIELDS: tuple[tuple[Option, Callable[..., Hashable]], ...] = (
    (IP.names["-d"], _address), (DPORT, _port), (IP.names["-s"], _address),
    (IP.names["-i"], _interface), (IP.names["-o"], _interface))
_EXACT = dict(FIELDS)


@dataclass(frozen=True, slots=True)
class Branch:
    """Rules parted by one field. `groups`: by the value that they ask for; `rest`: the others; `every`: all of them."""

    option: Option
    groups: dict[Hashable, Branch | Leaf]
    rest: Branch | Leaf
    every: Leaf


def index(rules: Sequence[Rule]) -> Branch | Leaf:
    """The index of a chain's rules, by their places from 0.

    >>> from k8slab.iptables import read_rule
    >>> index([read_rule(f"-A X -d 10.96.0.{n} -j DROP") for n in range(100)]).groups[0x0a600007]
    (7,)
    """
    return _part(range(len(rules)), [_wishes(rule) for rule in rules] if len(rules) > FEW else [], FIELDS)


def _wishes(rule: Rule) -> dict[Option, Hashable]:
    """The single values that a rule asks for, up to its first test that is more than a comparison."""
    found: dict[Option, Hashable] = {}
    for test in rule.tests:
        if not isinstance(test, Given):
            break
        exact = _EXACT.get(test.option)
        if exact is not None and not test.negated:
            value = exact(test.value)
            if value is not None:
                found.setdefault(test.option, value)
    return found


def _part(places: Sequence[int], wishes: list[dict[Option, Hashable]], fields: Sequence) -> Branch | Leaf:
    for at, (option, _) in enumerate(fields if len(places) > FEW else ()):
        groups: dict[Hashable, list[int]] = {}
        rest = []
        for place in places:
            value = wishes[place].get(option)
            (rest if value is None else groups.setdefault(value, [])).append(place)
        if groups:
            later = fields[at + 1:]
            return Branch(option, {value: _part(group, wishes, later) for value, group in groups.items()},
                          _part(rest, wishes, later), tuple(places))
    return tuple(places)


def candidates(tree: Branch | Leaf, ctx: Context) -> list[Leaf]:
    """The places of the rules that a packet may hit, in leaves of the tree; where its value is not known, all."""
    found: list[Leaf] = []
    left = [tree]
    while left:
        part = left.pop()
        if isinstance(part, Branch):
            value = part.option.look(ctx)
            if value is None:
                found.append(part.every)
                continue
            left += [part.groups.get(value, ()), part.rest]
        elif part:
            found.append(part)
    return found


def following(leaves: list[Leaf], at: int, end: int) -> int:
    """The first of the places in `leaves` from `at` on, `end` when there is none."""
    nearest = end
    for leaf in leaves:
        there = bisect_left(leaf, at)
        if there < len(leaf) and leaf[there] < nearest:
            nearest = leaf[there]
    return nearest

"""The map of hooks and chains: where netfilter asks a node's tables, in their order, and which chains hang there.

The hooks stand as in `stack/stack.py`: a packet comes in above on the left and leaves above on the right, and a
program's own packets begin below. What stands in a hook's box is read from rules, and from nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8slab import iptables
from k8slab.iptables import Ruleset
from k8slab.show.svg import Box, Line, Picture, Shape, Words, column, fold
from k8slab.stack.stack import HOOKS

LEFT, MIDDLE, RIGHT, WIDE, TOP, LINE, GAP = 12, 250, 488, 176, 62, 14, 46
# Where a hook's box stands: its left edge, and whether in the upper row.
PLACES = {"PREROUTING": (LEFT, True), "FORWARD": (MIDDLE, True), "POSTROUTING": (RIGHT, True),
          "INPUT": (LEFT, False), "OUTPUT": (RIGHT, False)}
WITHOUT = ("conntrack", "confirm")                 # of the parties, those that have no rules
SAYS = {"conntrack": "conntrack looks the packet up", "confirm": "conntrack keeps a new entry"}
MOST = 6                                           # chains told of one table at one hook
NOTES = ("In a hook, tables are asked from top to bottom; → leads to the chains that its rules jump to, in order. "
         "Tables without such a rule are left out. nat is asked for the first packet of a connection alone: conntrack "
         "does the same to all that follow, and the reverse to every reply. Thick: a Pod’s packet, on the Pod’s node.")
LOWEST = 96                                        # of a row: the programs stand beside INPUT


@dataclass(frozen=True, slots=True, repr=False)
class HookMap:
    """A node's hooks: for each, its parties in order, and the chains that its rules jump to."""

    hooks: dict[str, tuple[tuple[str, tuple[str, ...]], ...]]

    def __str__(self) -> str:
        lines = []
        for hook, parties in self.hooks.items():
            lines.append(hook)
            lines += [f"  {SAYS.get(party, party)}{': ' * bool(chains)}{', '.join(chains)}"
                      for party, chains in parties]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    @property
    def picture(self) -> Picture:
        """The map as shapes."""
        boxes = {hook: _lines(parties) for hook, parties in self.hooks.items()}
        heights = {up: max(LOWEST, *(LINE * len(boxes[hook]) + 34 for hook, (_, row) in PLACES.items() if row == up))
                   for up in (True, False)}
        low = TOP + heights[True] + GAP
        shapes: list[Shape] = [*_ways(TOP, heights[True], low), *_program(low)]
        for hook, (x, up) in PLACES.items():
            y = TOP if up else low
            shapes += [Box(x, y, WIDE, heights[up], "outer"), Words(x + 9, y + 18, hook, "name")]
            shapes += column(x + 9, y + 37, boxes[hook], "code")[0]
        bottom = low + heights[False] + 22
        notes, bottom = column(LEFT, bottom, fold(NOTES, "dim", RIGHT + WIDE - LEFT), "dim")
        return Picture(RIGHT + WIDE + LEFT, bottom + 4, (*shapes, *notes), "The map of hooks and chains",
                       "Five hooks, the tables asked at each, and the chains that hang there.")

    @property
    def svg(self) -> str:
        """The map as SVG, for a file of its own or inline in a page."""
        return self.picture.svg()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.picture.html(str(self))}


def hook_map(rules: Ruleset | str) -> HookMap:
    """The map of one node's rules: `iptables-save` text, or read already.

    >>> from k8slab.lab import kube_proxy_rules
    >>> print(str(hook_map(kube_proxy_rules())).split("INPUT")[0])
    PREROUTING
      conntrack looks the packet up
      nat: KUBE-SERVICES
    <BLANKLINE>

    Raises RulesError for text that is wrong.
    """
    ruleset = iptables.parse(rules) if isinstance(rules, str) else rules
    hooks = {}
    for hook, parties in HOOKS.items():
        told = ((party, _chains(ruleset, party, hook)) for party in parties)
        hooks[hook] = tuple((party, chains) for party, chains in told if chains or party in WITHOUT)
    return HookMap(hooks)


def _chains(rules: Ruleset, table: str, hook: str) -> tuple[str, ...]:
    """The chains of the table that the hook's rules jump to, in order."""
    if table not in rules or hook not in rules[table]:
        return ()
    found = rules[table]
    targets = [rule.target.name for rule in found[hook].rules if rule.target and rule.target.name in found]
    names = tuple(dict.fromkeys(targets))
    return names if len(names) <= MOST else (*names[:MOST - 1], f"{len(names) - MOST + 1:,} more chains")


def _lines(parties: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
    """A hook's parties as lines that fit into its box."""
    lines = []
    for party, chains in parties:
        lines.append("· conntrack" if party in WITHOUT else party)
        lines += [part for chain in chains for part in fold(f"→ {chain}", "code", WIDE - 14)]
    return lines


def _ways(top: float, height: float, low: float) -> list[Shape]:
    """The lines between the hooks, and what comes in and goes out."""
    across, after = top + 24, LEFT + WIDE
    fork = after + 18
    middle = {x: x + WIDE / 2 for x in (LEFT, RIGHT)}
    return [
        Words(LEFT, 24, "in, from an interface"), Words(RIGHT + WIDE, 24, "out, to an interface", anchor="end"),
        Line(((middle[LEFT], 32), (middle[LEFT], top)), "go", True),
        Line(((after, across), (MIDDLE, across)), "go", True),
        Words((after + MIDDLE) / 2, across - 9, "route", anchor="middle"),
        Line(((MIDDLE + WIDE, across), (RIGHT, across)), "go", True),
        Line(((middle[RIGHT], top), (middle[RIGHT], 32)), "go", True),
        Line(((fork, across), (fork, low + 20), (after, low + 20)), "wire", True),
        Words(fork + 6, top + height + 22, "for the node itself"),
        Line(((middle[RIGHT], low), (middle[RIGHT], top + height)), "wire", True),
        Words(middle[RIGHT] + 12, top + height + 28, "route again"),
    ]


def _program(low: float) -> list[Shape]:
    """The programs of the node, between INPUT and OUTPUT."""
    y = low + 58
    return [Box(MIDDLE, y - 22, WIDE, 44), Words(MIDDLE + WIDE / 2, y - 4, "a program of the node:", anchor="middle"),
            Words(MIDDLE + WIDE / 2, y + 12, "kube-apiserver, kubelet …", anchor="middle"),
            Line(((LEFT + WIDE, y), (MIDDLE, y)), "wire", True),
            Line(((MIDDLE + WIDE, y), (RIGHT, y)), "wire", True)]

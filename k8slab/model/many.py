"""Many connections from one Pod to one address, counted by who answers, without walking each of them.

Theory of operation. Two such connections meet the same rules with the same packets, but for their source port, until
chance is asked: from there on they may part. So the ways that connections can take form a tree, with a question to
chance at each branch, and who answers at each leaf. A way is walked when the first connection takes it; for the
others the same dice are thrown, question by question, and no rule is tried. What is counted is therefore what as many
real connections would have come to with these dice: exact where the rules decide, a sample where chance does.

That holds only while nothing but chance tells connections apart. Where a rule remembers packets (recent, limit,
statistic's nth) or looks at the source port, where a DNAT draws a port, and where a capture watches, every connection
is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from k8slab.iptables import Place
from k8slab.model.chance import Chance

if TYPE_CHECKING:
    from k8slab.model.dataplane import Model

FOLLOWED = 100         # so many connections are made in any case: what a listing shows afterwards is theirs
SOURCE_PORT = ("--sport", "--source-port", "--ports", "srcport", "dstport")        # in the text of a rule
Question = tuple[int, ...]                              # to chance: a threshold, or the two bounds of a port
Counted = dict[tuple[str, Place], tuple[int, int]]      # host and place of a rule → packets and bytes


class Counts(Counter[str]):
    """How many connections each `address:port` answered; a verdict stands for those that nobody did.

    `how`: whether the rules alone decided or chance had a say, and how many of the connections were really made.
    """

    how: str = ""


class Dice:
    """The dice of a model while one connection is made: they give first what is left over, and note what was asked."""

    def __init__(self, dice: Chance, left: list[int | None]) -> None:
        self.dice, self.left = dice, left[::-1]
        self.asked: list[tuple[Question, bool]] = []

    def draw(self, threshold: int) -> int:
        found = self.left.pop() if self.left else self.dice.draw(threshold)
        self.asked.append(((threshold,), found < threshold))
        return found

    def port(self, low: int, high: int) -> int | None:
        found = self.left.pop() if self.left else self.dice.port(low, high)
        self.asked.append(((low, high), False))         # which port it is decides nothing
        return found


class Way:
    """A place on the ways that connections take: what is asked of chance there, or who answers at the end."""

    __slots__ = ("question", "ways", "answered", "counted")

    def __init__(self) -> None:
        self.question: Question = ()
        self.ways: dict[bool, Way] = {}
        self.answered = ""
        self.counted: Counted = {}


def connections(model: Model, connect: Callable[[], str], n: int) -> Counts:
    """Count who answers `n` connections; `connect()` makes one, and says who did."""
    counts, drawn, root, dice, made = Counts(), Counter(), Way(), model.chance, 0
    followed = FOLLOWED if _alike(model) else n
    for done in range(n):
        way, left = (None, []) if done < followed else _follow(root, dice)
        if way is None:
            answered, true = _walk(model, connect, root, dice, left)
            followed = followed if true and not _remembered(model) else n
            made += 1
        else:
            answered = way.answered
            drawn[way] += 1
        counts[answered] += 1
    for way, times in drawn.items():
        _count(model, way.counted, times)
    worth = "chance had a say, so this is a sample" if root.question else "the rules decide, so this is exact"
    counts.how = f"{worth}; {made:,} of {n:,} connections were made"
    return counts


def _alike(model: Model) -> bool:
    """Whether no rule tells two connections apart by more than chance, as far as its text shows, and nobody watches."""
    chains = [chain for stack in model.stacks.values() for table in stack.netfilter.tables.values()
              for chain in table.chains]
    drawn = any(rule.target and rule.target.name in ("DNAT", "REDIRECT")
                for chain in chains for rule in chain.mentioning(("--random",)))
    asked = any(True for chain in chains for _ in chain.mentioning(SOURCE_PORT))
    return not (drawn or asked or _remembered(model) or model.wire.watched)


def _remembered(model: Model) -> bool:
    """Whether a rule of some host remembers packets."""
    return any(stack.netfilter.memory for stack in model.stacks.values())


def _follow(root: Way, dice: Chance) -> tuple[Way | None, list[int | None]]:
    """Throw the dice along the ways that are known; None, and what was thrown, where no connection went so far."""
    way: Way | None = root
    thrown: list[int | None] = []
    while way is not None and way.question:
        if len(way.question) == 1:
            thrown.append(dice.draw(*way.question))
            way = way.ways.get(thrown[-1] < way.question[0])
        else:
            thrown.append(dice.port(*way.question))
            way = way.ways.get(False)
    return (way if way is not None and way.answered else None), thrown


def _walk(model: Model, connect: Callable[[], str], root: Way, dice: Chance,
          left: list[int | None]) -> tuple[str, bool]:
    """Make a connection, and note the way that it took: who answered, and whether the way is one with those known."""
    before, noting = _counted(model), Dice(dice, left)
    try:
        _throw(model, noting)
        answered = connect()
    finally:
        _throw(model, dice)
    way = root
    for question, answer in noting.asked:
        if way.answered or way.question not in ((), question):
            return answered, False
        way.question = question
        way = way.ways.setdefault(answer, Way())
    if way.question or way.answered not in ("", answered):
        return answered, False
    way.answered, after = answered, _counted(model)
    way.counted = {place: (after[place][0] - packets, after[place][1] - octets) for place in after
                   for packets, octets in [before.get(place, (0, 0))]}
    return answered, True


def _throw(model: Model, dice: Chance) -> None:
    """Let the hosts ask these dice."""
    for stack in model.stacks.values():
        stack.netfilter.chance = dice


def _counted(model: Model) -> Counted:
    return {(name, place): (count[0], count[1]) for name, stack in model.stacks.items()
            for place, count in stack.netfilter.counts.items()}


def _count(model: Model, counted: Counted, times: int) -> None:
    """Let the rules of a way count for connections that were not made."""
    for (name, place), (packets, octets) in counted.items():
        count = model.stacks[name].netfilter.counts[place]
        count[0] += packets * times
        count[1] += octets * times

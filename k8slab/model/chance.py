"""Where the model's dice come from: chance is an argument, never hidden.

Two things in the kernel's path are left to chance: whether a `statistic` rule matches,
and which source port MASQUERADE or SNAT takes where it may choose. A Chance answers both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Protocol, TypeVar

# `statistic` compares a threshold with 31 random bits (xt_statistic.c).
DRAWS = 1 << 31

T = TypeVar("T")


class Chance(Protocol):
    """What a node asks when the kernel would ask its random generator."""

    def draw(self, threshold: int) -> int:
        """A number in [0, DRAWS): a `statistic` rule matches when it is below `threshold`."""

    def port(self, low: int, high: int) -> int | None:
        """A port to begin the search for a free one with, or None when it shall stay open."""


class Seeded:
    """Dice that fall the same way for the same seed.

    >>> Seeded(7).port(1, 6) == Seeded(7).port(1, 6)
    True
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self, threshold: int) -> int:
        return self._random.randrange(DRAWS)

    def port(self, low: int, high: int) -> int | None:
        return self._random.randint(low, high)


class Scripted:
    """Dice that fall as `script` says, choice by choice, and as the first choice after that.

    `probability` is the product of what was chosen; `widths` how many choices there were each time.
    """

    def __init__(self, script: tuple[int, ...] = ()) -> None:
        self.script, self.made, self.widths, self.probability = script, [], [], Fraction(1)

    def draw(self, threshold: int) -> int:
        if not 0 < threshold < DRAWS:
            return 0
        hit = Fraction(threshold, DRAWS)
        return (0, DRAWS - 1)[self._choose((hit, 1 - hit))]

    def port(self, low: int, high: int) -> int | None:
        return None

    def _choose(self, weights: tuple[Fraction, ...]) -> int:
        at = len(self.made)
        choice = self.script[at] if at < len(self.script) else 0
        self.made.append(choice)
        self.widths.append(len(weights))
        self.probability *= weights[choice]
        return choice


def every_way(run: Callable[[Scripted], T]) -> Iterator[tuple[Fraction, T]]:
    """Each way in which chance can fall for `run`, with its exact probability; they add up to 1.

    >>> [str(p) for p, hit in every_way(lambda chance: chance.draw(DRAWS // 4) < DRAWS // 4)]
    ['1/4', '3/4']
    """
    script: tuple[int, ...] | None = ()
    while script is not None:
        chance = Scripted(script)
        result = run(chance)
        yield chance.probability, result
        script = _next(chance.made, chance.widths)


def _next(made: list[int], widths: list[int]) -> tuple[int, ...] | None:
    """Count up the last choice that can be counted up, as an odometer does."""
    for at in range(len(made) - 1, -1, -1):
        if made[at] + 1 < widths[at]:
            return (*made[:at], made[at] + 1)
    return None

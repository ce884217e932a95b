"""Dice: what is drawn for a seed, the same on every machine and with every Python, for ever.

Python promises for its own `random` only that `random()` stays as it is, not what `choice` or `shuffle` make of it. So
each draw here is a SHA-256 of the seed and of the draw's number, and nothing else.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import TypeVar

from k8slab.errors import Told

T = TypeVar("T")
LONGEST = 60


class SeedError(Told, ValueError):
    """A seed from which no cluster can be made."""


def seed_text(seed: object) -> str:
    """A seed as it is drawn from: a whole number or a name, without regard to case and to space at its ends.

    >>> seed_text(" Ada "), seed_text(2026)
    ('ada', '2026')

    Raises SeedError for another value, or an empty or overlong one.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, str)):
        raise SeedError(f"the seed is {seed!r}; a whole number or a name is wanted, as in 2026 or 'Ada'")
    if isinstance(seed, int) and abs(seed) >= 10**LONGEST:
        raise SeedError(f"the seed has more than {LONGEST} digits; a shorter number is wanted")
    text = unicodedata.normalize("NFC", str(seed)).strip().casefold()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise SeedError(f"the seed {text[:20]!r} has {len(text)} characters; a name of 1 to {LONGEST}, on one line, "
                        "is wanted")
    return text


class Dice:
    """Draws from a seed, one after the other.

    >>> dice = Dice("2026")
    >>> dice.between(1, 6), dice.pick("abc"), dice.pick("abc")
    (4, 'b', 'c')
    """

    def __init__(self, seed: str) -> None:
        self._seed, self._drawn = seed, 0

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, ends included."""
        self._drawn += 1
        digest = hashlib.sha256(f"{self._seed}\n{self._drawn}".encode()).digest()
        return low + int.from_bytes(digest[:16], "big") % (high - low + 1)

    def pick(self, among: Sequence[T]) -> T:
        """One of several."""
        return among[self.between(0, len(among) - 1)]

    def one_in(self, n: int) -> bool:
        """True once in `n` times."""
        return self.between(1, n) == 1

    def some(self, among: Sequence[T], how_many: int) -> list[T]:
        """Several, each once, in the order in which they were drawn."""
        left = list(among)
        return [left.pop(self.between(0, len(left) - 1)) for _ in range(min(how_many, len(left)))]

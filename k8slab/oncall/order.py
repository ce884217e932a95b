"""Which things of a list stand out of place, when the others stay where they are."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Sequence


def out_of_place(wanted: Sequence[str], there: Sequence[str]) -> list[int]:
    """The numbers, from 0, of as few as possible of `there` that must be moved for the rest to stand as in `wanted`.

    >>> out_of_place(["a", "b", "c", "d"], ["a", "c", "d", "b"])
    [3]
    """
    places: dict[str, deque[int]] = defaultdict(deque)
    for at, one in enumerate(wanted):
        places[one].append(at)
    order = [(at, places[one].popleft()) for at, one in enumerate(there) if places[one]]
    kept = {order[index][0] for index in _increasing([place for _, place in order])}
    return [at for at, _ in order if at not in kept]


def _increasing(numbers: Sequence[int]) -> list[int]:
    """The indices of a longest part of the numbers that rises: patience sorting."""
    tails: list[int] = []                 # the last number of the best part of each length, and where it stands
    ends: list[int] = []
    before: list[int] = []
    for index, number in enumerate(numbers):
        at = bisect_left(tails, number)
        before.append(ends[at - 1] if at else -1)
        tails[at:at + 1] = [number]
        ends[at:at + 1] = [index]
    found, index = [], ends[-1] if ends else -1
    while index >= 0:
        found.append(index)
        index = before[index]
    return found[::-1]

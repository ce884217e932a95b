"""The lab's clock: moved by hand, with a queue of what is due."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # when a lab's clock stands at 0


class Clock:
    """Seconds since the lab began, and the calls that are due, each at its moment and in the order of asking.

    >>> clock, seen = Clock(), []
    >>> clock.after(10, lambda: seen.append(clock.now))
    >>> clock.advance(86400)
    >>> seen, clock.now
    ([10.0], 86400.0)
    """

    def __init__(self, epoch: datetime = EPOCH) -> None:
        self.now = 0.0
        self.epoch = epoch
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._number = itertools.count()

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Call `call` when the clock stands at `when` seconds, at the earliest now; what it raises goes to the mover.

        >>> clock = Clock()
        >>> clock.at(-5, lambda: print(clock.now)); clock.run()
        0.0
        """
        heapq.heappush(self._due, (max(round(when, 6), self.now), next(self._number), call))

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        """Call `call` in `seconds` from now: `clock.after(15, expire)`."""
        self.at(self.now + seconds, call)

    def run(self) -> None:
        """Make every call that is due now, and those that they ask for now."""
        self.advance(0)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` (none is negative), with every call that is due on the way."""
        until = round(self.now + seconds, 6)
        while self._due and self._due[0][0] <= until:
            self.now, _, call = heapq.heappop(self._due)
            call()
        self.now = until

    def stamp(self, micro: bool = False) -> str:
        """The present moment as the API writes it, in UTC; `micro`: with microseconds, as Leases have it.

        >>> Clock().stamp(), Clock().stamp(micro=True)
        ('2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000000Z')
        """
        moment = self.epoch + timedelta(seconds=self.now)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")

    def since(self, stamp: str | None) -> float:
        """Seconds from a moment that the API wrote until now; 0 for none.

        >>> Clock().since("2025-12-31T23:59:00Z")
        60.0
        """
        return (self.epoch - datetime.fromisoformat(stamp)).total_seconds() + self.now if stamp else 0.0

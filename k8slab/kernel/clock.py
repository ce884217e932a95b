"""The lab's time on the real kernel."""

from __future__ import annotations

import time

from k8slab.kernel.holder import Holder


class Clock:
    """The lab's time, in seconds. The kernel's own cannot be moved: what it knows of connections is aged instead.

    While nobody asks anything of the lab, its connections do not age.
    """

    def __init__(self, holder: Holder) -> None:
        self._holder, self._ahead, self._aged = holder, 0.0, 0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass for the conntrack entries of every node; lists of `recent` are not touched."""
        self._ahead += seconds
        if whole := round(self._ahead) - self._aged:       # the kernel counts in seconds; their parts add up
            self._aged += whole
            self._holder.ask("age", whole)

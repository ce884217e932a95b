"""What kubectl printed, and with what it ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """`parts`: (stream, text) in the order of printing, `out` or `err`; `status`: 0, or 1 where something was wrong.

    >>> answer = Answer((("err", "Warning: old\\n"), ("out", "NAME\\n")))
    >>> answer
    Warning: old
    NAME
    >>> answer.out
    'NAME\\n'
    """

    parts: tuple[tuple[str, str], ...] = ()
    status: int = 0

    @property
    def out(self) -> str:
        """Standard output."""
        return "".join(text for stream, text in self.parts if stream == "out")

    @property
    def err(self) -> str:
        """Standard error."""
        return "".join(text for stream, text in self.parts if stream == "err")

    def __str__(self) -> str:
        return "".join(text for _, text in self.parts).removesuffix("\n")

    __repr__ = __str__


class Printed:
    """What is being printed: `out`, `err`, and warnings of which each is shown once."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str]] = []
        self._last: list[tuple[str, str]] = []
        self.status = 0

    def out(self, text: str) -> None:
        """Print to standard output, as it is."""
        self.parts.append(("out", text))

    def err(self, line: str) -> None:
        """Print a line to standard error."""
        self.parts.append(("err", line + "\n"))

    def fail(self, line: str) -> None:
        """Tell an error, when all else has been printed, and end with status 1: kubectl goes on and gathers them."""
        self._last.append(("err", line + "\n"))
        self.status = 1

    def warn(self, text: str) -> None:
        """Print a warning of the API server, unless it has been."""
        if text and ("err", f"Warning: {text}\n") not in self.parts:
            self.err(f"Warning: {text}")

    def answer(self) -> Answer:
        """All of it."""
        return Answer(tuple(part for part in self.parts + self._last if part[1]), self.status)

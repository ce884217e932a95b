"""Outcome: what became of an answer. Four kinds, and never a traceback: a value to be displayed."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

RIGHT, NOT_YET, NOT_ATTEMPTED, CANNOT_CHECK = "Right", "Not yet", "Not attempted", "Cannot check"


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """What became of an answer.

    `kind`: RIGHT, NOT_YET, NOT_ATTEMPTED or CANNOT_CHECK. `says`: a sentence. `lines`: what was found, each
    a sentence or a rule.

    >>> Outcome(NOT_YET, "3 of 6 packets go where they should.", ("Packet 4 did not.",))
    Not yet. 3 of 6 packets go where they should.
      Packet 4 did not.
    """

    kind: str
    says: str
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((f"{self.kind}. {self.says}", *(f"  {line}" for line in self.lines)))

    __repr__ = __str__

    @property
    def html(self) -> str:
        """The same as HTML; the verdict is a word, not a colour."""
        lines = "".join(f"<li>{code(line)}</li>" for line in self.lines)
        return f"<p><strong>{self.kind}.</strong> {code(self.says)}</p>" + (f"<ul>{lines}</ul>" if lines else "")


class Unfit(Exception):
    """An answer that cannot be tried on packets; `outcome` says why, and what would be right."""

    def __init__(self, kind: str, says: str, *lines: str) -> None:
        super().__init__(says)
        self.outcome = Outcome(kind, says, lines)


def code(text: str) -> str:
    """Text as HTML, where what stands between backticks is code, and a line of its own begins a line.

    >>> code("`-j DNAT` & more")
    '<code>-j DNAT</code> &amp; more'
    """
    parts = escape(text, quote=False).split("`")
    marked = "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    return marked.replace("\n", "<br>")

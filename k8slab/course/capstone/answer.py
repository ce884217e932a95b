"""What `cluster.ask` gives: every way of a packet, with its share, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from k8slab.course.capstone.going import ENDS, Fate
from k8slab.course.widgets import Panel
from k8slab.show.grid import Column, Table
from k8slab.trace import Trace


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What becomes of a question: `fates`, with the share of each, and one `trace` of those that chance can make."""

    asked: str
    fates: dict[Fate, float]
    trace: Trace

    @property
    def table(self) -> Table:
        """The ways of the packet, the most frequent first."""
        columns = (Column("Share", number=True), Column("Fate"), Column("Destination"), Column("Source"))
        ways = sorted(self.fates.items(), key=lambda way: (-round(way[1], 6), str(way[0])))
        return Table(self.asked, columns, tuple(
            (f"{share:.3f}", ", but ".join(filter(None, (ENDS.get(one.verdict, "goes on"), one.answer))),
             one.destination, one.source) for one, share in ways))

    def __repr__(self) -> str:
        return str(self.table)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self.table._repr_mimebundle_()


def paragraphs(lines: Sequence[str]) -> Panel:
    """Sentences, each in a line of its own, to be displayed."""
    return Panel("\n".join(lines), "".join(f"<p>{escape(line, quote=False)}</p>" for line in lines))

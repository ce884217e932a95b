"""A table as a value: HTML to look at, and a text twin that says the same.

The HTML is a real table with a caption and headings that say what they head. What shows saved notebooks takes
away style sheets and aria-*, so it needs neither; the few inline styles undo JupyterLab's own, which puts all
cells to the right, and where they too are taken away the words are still there.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WRAP = 54              # characters of a column in the text twin, before a cell takes another line
GAP, INDENT = "  ", "    "
CODE = 'style="background: none; padding: 0; font-size: 12px"'
PORT = re.compile(r":(?=\d)")                 # where an address may go on in the next line
NAME = re.compile(r"(?<=[\w-])([/:])(?=\w)")    # and a name, as shop/web:http
PATH = re.compile(r"(?<=\w)/(?=[a-z])")        # and a path, as /api/v1/nodes, but no mask
# Of a rule, options and the arrows in comments, escaped: a line of HTML would break at their hyphens.
UNBROKEN = re.compile(r"(?<![^ ])--?[A-Za-z][a-z-]*|-&gt;")


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, whether it holds numbers (they go to the right), or code."""

    name: str
    number: bool = False
    code: bool = False


@dataclass(frozen=True, slots=True)
class Folded:
    """A cell of a line in words, and the code behind it, which opens at a click; the twin prints both."""

    line: str
    code: str


Cell = str | Folded


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """A table to be displayed.

    `rows`: a cell for each column; the first heads its row. `notes`: sentences below it.

    >>> ports = (("https", "443"), ("dns", "53"))
    >>> print(Table("Ports", (Column("Name"), Column("Port", number=True)), ports))
    Ports
    Name   Port
    -----  ----
    https   443
    dns      53
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        heads = [column.name for column in self.columns]
        rows = [[_wrapped(cell) for cell in row] for row in self.rows]
        widths = [max(map(len, (head, *(line for row in rows for line in row[at]))))
                  for at, head in enumerate(heads)]
        lines = [self.caption, self._line(heads, widths), GAP.join("-" * width for width in widths)]
        for row, cells in zip(rows, self.rows):
            for i in range(max(map(len, row))):
                lines.append(self._line([cell[i] if i < len(cell) else "" for cell in row], widths))
            lines += [INDENT + cell.code for cell in cells if isinstance(cell, Folded)]
        return "\n".join((*lines, *self.notes))

    __repr__ = __str__

    def _line(self, words: Sequence[str], widths: Sequence[int]) -> str:
        cells = (word.rjust(width) if column.number else word.ljust(width)
                 for word, width, column in zip(words, widths, self.columns))
        return GAP.join(cells).rstrip()

    @property
    def html(self) -> str:
        """The table as HTML, made of what a sanitiser keeps."""
        heads = "".join(f'<th scope="col" {_style(column)}><strong>{escape(column.name)}</strong></th>'
                        for column in self.columns)
        tags = ("th", *["td"] * (len(self.columns) - 1))
        rows = "".join(f"<tr>{''.join(map(_html, self.columns, row, tags))}</tr>" for row in self.rows)
        notes = "".join(f'<tr><td colspan="{len(self.columns)}" {_style()}>{escape(note)}</td></tr>'
                        for note in self.notes)
        caption = f'<caption style="text-align: left"><strong>{escape(self.caption)}</strong></caption>'
        return (f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
                + (f"<tfoot>{notes}</tfoot>" if notes else "") + "</table>")

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html}


def _wrapped(cell: Cell) -> list[str]:
    line = cell.line if isinstance(cell, Folded) else cell
    return textwrap.wrap(line, WRAP, break_long_words=False, break_on_hyphens=False) or [""]


def code(text: str) -> str:
    """Code as HTML, of which no line breaks at the hyphen of an option or of an arrow.

    >>> code("-A INPUT").partition(">")[2]
    '<nobr>-A</nobr> INPUT</code>'
    """
    unbroken = UNBROKEN.sub(r"<nobr>\g<0></nobr>", escape(text))
    return f"<code {CODE}>{unbroken}</code>"


def _style(column: Column = Column("")) -> str:
    side = "right" if column.number else "left"
    return f'style="text-align: {side}; vertical-align: top; padding: 4px 6px; font-weight: normal"'


def _html(column: Column, cell: Cell, tag: str) -> str:
    """A cell; the first of a row is its heading."""
    if isinstance(cell, Folded):
        words = f"<details><summary>{escape(cell.line)}</summary>{code(cell.code)}</details>"
    elif column.code and cell:
        text = PATH.sub("<wbr>/", escape(cell))
        words = f"<code {CODE}>{text if ' ' in cell else PORT.sub('<wbr>:', text)}</code>"
    else:
        words = NAME.sub(r"<wbr>\1", escape(cell))
    scope = ' scope="row"' if tag == "th" else ""
    return f"<{tag}{scope} {_style(column)}>{words}</{tag}>"


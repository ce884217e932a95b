"""The one error that wrong rules raise, with the place and what would be right."""

from __future__ import annotations

from k8slab.errors import Told


def shown(word: str, limit: int = 60) -> str:
    """A word of the input as one printable line, cut at `limit` characters."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
                   for c in word[:limit])
    return f'"{safe}…"' if len(word) > limit else f'"{safe}"'


class RulesError(Told, ValueError):
    """A wrong rule, command or dump; its text is one line.

    `problem`: what is wrong, said of `word` where there is one. `hint`: what would be right. `file`: the
    name the text was given. `line`, `column`: from 1; None where there is no text. `index`: which word of
    the line, from 0, until the line's reader has turned it into a column.

    >>> str(RulesError("is not a port", "a port is at most 65535", "65536", file="01.save", line=3, column=7))
    '01.save:3:7: "65536" is not a port; a port is at most 65535'

    """

    def __init__(self, problem: str, hint: str = "", word: str | None = None, *, file: str | None = None,
                 line: int | None = None, column: int | None = None, index: int | None = None) -> None:
        super().__init__(problem, hint, word)
        self.problem, self.hint, self.word = problem, hint, word
        self.file, self.line, self.column, self.index = file, line, column, index

    def placed(self, **place: object) -> RulesError:
        """The same error with those of `word`, `file`, `line`, `column`, `index` that it did not have yet."""
        fields = {name: getattr(self, name) if getattr(self, name) is not None else place.get(name)
                  for name in ("word", "file", "line", "column", "index")}
        return RulesError(self.problem, self.hint, **fields)

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        what = self.problem if self.word is None else f"{shown(self.word)} {self.problem}"
        text = f"{what}; {self.hint}" if self.hint else what
        return f"{place}: {text}" if place else text

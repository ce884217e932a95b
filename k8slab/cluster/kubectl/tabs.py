"""Columns as Go's text/tabwriter aligns them, and ages as kubectl writes them."""

from __future__ import annotations

from collections.abc import Sequence

GET = {"least": 6, "padding": 3}       # k8s.io/cli-runtime, GetNewTabWriter
DESCRIBE = {"least": 0, "padding": 2}  # k8s.io/kubectl, tabbedString


def aligned(lines: Sequence[Sequence[str]], least: int, padding: int) -> str:
    """Lines of cells as text. A column is as wide as its widest cell in the lines next to each other that have it.

    The last cell of a line ends no column, so that it is not padded.

    >>> print(aligned([["NAME", "AGE"], ["kubernetes", "16m"]], **GET), end="")
    NAME         AGE
    kubernetes   16m
    """
    widths: list[list[int]] = [[] for _ in lines]
    _measure(lines, widths, 0, 0, len(lines), least, padding)
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(cells[:-1], widths[at], strict=True)) + cells[-1] + "\n"
        if cells else "\n" for at, cells in enumerate(lines))


def _measure(lines: Sequence[Sequence[str]], widths: list[list[int]], column: int, start: int, end: int,
             least: int, padding: int) -> None:
    at = start
    while at < end:
        if len(lines[at]) - 1 <= column:
            at += 1
            continue
        block = at
        while at < end and len(lines[at]) - 1 > column:
            at += 1
        longest = max(len(cells[column]) for cells in lines[block:at])
        width = max(longest + padding, least) if longest or least else 0
        for line in range(block, at):
            widths[line].append(width)
        _measure(lines, widths, column + 1, block, at, least, padding)


# From how many seconds on an age is written how: (up to, unit, its seconds, smaller unit, its seconds).
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
AGES = (
    (2 * _MINUTE, "s", 1, "", 0), (10 * _MINUTE, "m", _MINUTE, "s", 1), (3 * _HOUR, "m", _MINUTE, "", 0),
    (8 * _HOUR, "h", _HOUR, "m", _MINUTE), (2 * _DAY, "h", _HOUR, "", 0), (8 * _DAY, "d", _DAY, "h", _HOUR),
    (2 * _YEAR, "d", _DAY, "", 0), (8 * _YEAR, "y", _YEAR, "d", _DAY), (float("inf"), "y", _YEAR, "", 0),
)


def age(seconds: float) -> str:
    """An age as kubectl shortens it (apimachinery, pkg/util/duration, HumanDuration).

    >>> [age(one) for one in (5, 119, 120, 161 * 60, 231 * 86400, 3 * 86400 + 3600)]
    ['5s', '119s', '2m', '161m', '231d', '3d1h']
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    _, unit, size, smaller, small = next(one for one in AGES if whole < one[0])
    rest = whole % size // small if small else 0
    return f"{whole // size}{unit}" + (f"{rest}{smaller}" if rest else "")

"""A timeline: events, and beside them the connections that lived through them and those that broke.

Connections of one name share a lane, so that a program that asks again and again has one lane and not fifty.
Where two of them are open at once the lane has more than one row.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8slab.show.card import (BLUE, DIM, INK, MARGIN, SMALL, VERMILION, WIDTH, Plot, axes, card, drawn, key,
                              points, shortened, width_of, write)
from k8slab.show.grid import Column, Table

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL = 22             # characters of a lane's name in the picture; the twin has it whole
EVENT_WRAP = 70        # characters of an event's words in one line of the picture
# Pixels: a row of a lane, between lanes, a level of event numbers, a line of text.
ROW, SPACE, LEVEL, LINE = 22, 12, 22, 21
CLOSE = 20             # pixels between the middles of two event numbers that do not overlap
APART = 0.012          # of the whole time: between two connections in one row
# How a connection ended -> marker, colour, line style.
ENDS = {"ended": ("o", BLUE, "-"), "broken": ("x", VERMILION, "--"), "still open": (">", BLUE, "-")}


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection: whose it is, when it began and ended in seconds, and whether it broke.

    `end` is None for one that was still open when the recording ended. `why`: a sentence for one that broke.
    """

    name: str
    start: float
    end: float | None = None
    broken: bool = False
    why: str = ""

    @property
    def fate(self) -> str:
        """`broken`, `still open` or `ended`."""
        return "broken" if self.broken else "still open" if self.end is None else "ended"


@drawn
def timeline(events: Iterable[tuple[float, str]], connections: Iterable[Connection] = ()) -> Plot:
    """Events, as pairs of seconds and words, and the connections that were open meanwhile.

    Seconds are printed to a hundredth.

    >>> print(timeline([(0.66, "the Service is deleted"), (9.39, "it is there again, with a new uid")],
    ...                [Connection("client", 0, 12), Connection("curl", 1, 2, broken=True, why="timed out")]))
    2 events and 2 connections in 12 seconds
    1 of 2 connections broke
    <BLANKLINE>
    Events
    No.  Seconds  Event
    ---  -------  ---------------------------------
      1     0.66  the Service is deleted
      2     9.39  it is there again, with a new uid
    <BLANKLINE>
    Connections
    Connection  From  To  How it ended  Why
    ----------  ----  --  ------------  ---------
    client         0  12  ended
    curl           1   2  broken        timed out
    client: 1, none broken
    curl: 1 of 1 broken

    Raises ValueError for nothing to draw, a negative time, an end before its start, or a broken one that has
    no end.
    """
    events, connections = sorted(events), sorted(connections, key=lambda c: c.start)
    times = [at for at, _ in events] + [t for c in connections for t in (c.start, c.end) if t is not None]
    if not times or min(times) < 0:
        raise ValueError("a timeline wants events or connections, at 0 seconds or later")
    for c in connections:
        if c.end is None and c.broken or c.end is not None and c.end < c.start:
            raise ValueError(f"{c} has no end, or one before its start")
    broken = sum(c.broken for c in connections)
    title = f"{_counted(events, connections)} in {_seconds(max(times))} seconds"
    finding = (f"{broken:,} of {len(connections):,} connections broke" if broken else
               "No connection broke" if connections else "No connection was watched")
    last = max(times)
    if last < 0.01:                # what is printed as 0 is drawn so, in a second
        last = 1.0
    lanes = _lanes(connections, last)
    figure = _figure(title, finding, events, lanes, last)
    return Plot(figure, title, finding, (*_events_table(events), *_connections_table(connections, lanes)))


def _seconds(time: float) -> str:
    """Seconds to a hundredth, without what says nothing: `_seconds(9.5) == "9.5"`."""
    return f"{time:,.2f}".rstrip("0").rstrip(".")


def _counted(events: Sequence[object], connections: Sequence[object]) -> str:
    """`2 events and 1 connection`; what there is none of is left out."""
    things = (("event", len(events)), ("connection", len(connections)))
    return " and ".join(f"{count:,} {noun}{'s' * (count != 1)}" for noun, count in things if count)


def _events_table(events: Sequence[tuple[float, str]]) -> tuple[Table, ...]:
    rows = tuple((str(number), _seconds(at), words) for number, (at, words) in enumerate(events, 1))
    columns = (Column("No.", number=True), Column("Seconds", number=True), Column("Event"))
    return (Table("Events", columns, rows),) if rows else ()


def _connections_table(connections: Sequence[Connection], lanes: Sequence[_Lane]) -> tuple[Table, ...]:
    rows = tuple((c.name, _seconds(c.start), "" if c.end is None else _seconds(c.end), c.fate, c.why)
                 for c in connections)
    columns = (Column("Connection"), Column("From", number=True), Column("To", number=True),
               Column("How it ended"), Column("Why"))
    notes = tuple(f"{lane.name}: {lane.tally}" for lane in lanes)
    return (Table("Connections", columns, rows, notes),) if rows else ()


@dataclass(frozen=True, slots=True)
class _Lane:
    """The connections of one name, in rows of which each holds connections one after another."""

    name: str
    rows: tuple[tuple[Connection, ...], ...]

    @property
    def label(self) -> str:
        return shortened(self.name, LABEL)

    @property
    def fates(self) -> list[str]:
        return [connection.fate for row in self.rows for connection in row]

    @property
    def tally(self) -> str:
        """What became of them: `2 of 40 broken`, or `40, none broken`."""
        count, broken = len(self.fates), self.fates.count("broken")
        return f"{broken:,} of {count:,} broken" if broken else f"{count:,}, none broken"

    @property
    def height(self) -> int:
        return ROW * len(self.rows) + SPACE


def _lanes(connections: Sequence[Connection], last: float) -> list[_Lane]:
    """The lanes in the order of their first connection; each in the first row that is free again."""
    names: dict[str, list[list[Connection]]] = {}
    for connection in connections:
        rows = names.setdefault(connection.name, [])
        until = connection.start - last * APART
        row = next((row for row in rows if row[-1].end is not None and row[-1].end <= until), None)
        if row is None:
            rows.append(row := [])
        row.append(connection)
    return [_Lane(name, tuple(map(tuple, rows))) for name, rows in names.items()]


def _figure(title: str, finding: str, events: Sequence[tuple[float, str]], lanes: Sequence[_Lane],
            last: float) -> Figure:
    measure = card(100, "", "")
    left = MARGIN + max([width_of(measure, lane.label, SMALL) for lane in lanes] + [16]) + 14
    right = WIDTH - MARGIN - max([width_of(measure, lane.tally, SMALL, "bold") for lane in lanes] + [16]) - 14
    levels = _levels([at / last * (right - left) for at, _ in events])
    top = (104 if lanes else 76) + LEVEL * (max(levels, default=-1) + 1)
    height = SPACE + sum(lane.height for lane in lanes)
    lines = [textwrap.wrap(words, EVENT_WRAP, break_on_hyphens=False) or [""] for _, words in events]
    below = top + height + 62
    figure = card(below + LINE * sum(map(len, lines)) + 12 * bool(lines), title, finding)
    inside = axes(figure, left, top, right - left, height)
    inside.set(xlim=(0, last), ylim=(height, 0), yticks=())
    inside.grid(False, axis="y")
    inside.xaxis.set_major_formatter("{x:g}")
    inside.set_xlabel("seconds", fontsize=points(SMALL), color=DIM, labelpad=6)
    for number, ((at, _), level) in enumerate(zip(events, levels), 1):
        _flag(inside, number, at, -LEVEL * level)
    _draw_lanes(figure, inside, lanes, top, last)
    _list(figure, below, [at for at, _ in events], lines)
    if lanes:
        key(figure, 86, _signs({fate for lane in lanes for fate in lane.fates}))
    return figure


def _levels(xs: Sequence[float]) -> list[int]:
    """On which level each event's number stands, so that no two overlap; `xs` are pixels, in order."""
    ends: list[float] = []
    levels = []
    for x in xs:
        level = next((i for i, end in enumerate(ends) if end + CLOSE <= x), len(ends))
        ends[level:level + 1] = [x]
        levels.append(level)
    return levels


def _flag(inside: Axes, number: int, at: float, y: float) -> None:
    """An event: a dashed line through all lanes, and its number at the head."""
    bottom = inside.get_ylim()[0]
    inside.plot([at, at], [y, bottom], color=DIM, linewidth=1, linestyle=(0, (3, 3)), clip_on=False)
    inside.text(at, y - 9, str(number), fontsize=points(SMALL), color=INK, ha="center", va="center",
                weight="bold")


def _draw_lanes(figure: Figure, inside: Axes, lanes: Sequence[_Lane], top: float, last: float) -> None:
    y = float(SPACE)
    for lane in lanes:
        middle = top + y + ROW * len(lane.rows) / 2 + 5
        write(figure, MARGIN, middle, lane.label, SMALL)
        write(figure, WIDTH - MARGIN, middle, lane.tally, SMALL, ha="right",
              weight="normal" if "none" in lane.tally else "bold")
        for number, row in enumerate(lane.rows):
            for connection in row:
                _draw(inside, y + ROW * (number + 0.5), connection, last)
        y += lane.height


def _draw(inside: Axes, y: float, connection: Connection, last: float) -> None:
    marker, colour, style = ENDS[connection.fate]
    end = last if connection.end is None else connection.end
    inside.plot([connection.start, end], [y, y], color=colour, linestyle=style, linewidth=2.4, clip_on=False,
                solid_capstyle="butt")
    inside.plot([end], [y], color=colour, marker=marker, markersize=points(9), markeredgewidth=2.4,
                clip_on=False)


def _list(figure: Figure, y: float, times: Sequence[float], lines: Sequence[Sequence[str]]) -> None:
    """The events in words below the axis, each under its number."""
    for number, (at, words) in enumerate(zip(times, lines), 1):
        write(figure, MARGIN + 18, y + 12, str(number), SMALL, ha="right", weight="bold")
        write(figure, MARGIN + 84, y + 12, f"{_seconds(at)} s", SMALL, ha="right", color=DIM)
        for word in words:
            write(figure, MARGIN + 96, y + 12, word, SMALL)
            y += LINE


def _signs(fates: set[str]) -> list[Artist]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], color=colour, linestyle=style, marker=marker, linewidth=2.4, markersize=points(9),
                   markeredgewidth=2.4, label=fate)
            for fate, (marker, colour, style) in ENDS.items() if fate in fates]

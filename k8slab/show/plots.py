"""Plots: how connections spread over endpoints, what a look-up costs, and when connections broke.

    spread(lab.connections(1000, "client", "10.96.0.1", 443))     counts beside what chance alone would give
    lookups({10: {"rules": 48, "map": 1}, 100: {...}})            numbers against the number of Services
    timeline([(0.7, "the Service is gone")], [Connection("client", 0, 9.4, broken=True)])     what broke when

`card.py` has the look and `Plot`, which each of them returns; `timeline.py` the third.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import MIN_EMIN, Context, Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING

from k8slab.show.card import (BLUE, DIM, DPI, GREEN, INK, MARGIN, ORANGE, SKY, SMALL, VERMILION, WIDTH, Plot,
                              apart, axes, card, drawn, key, points, rule, shortened, width_of, write)
from k8slab.show.grid import Column, Table
from k8slab.show.timeline import Connection, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Connection", "Plot", "fair_range", "lookups", "spread", "timeline"]

LABEL = 26             # characters of a name in a picture; the twin has it whole
PART = Decimal("0.95")
DIGITS = 50


def fair_range(n: int, share: Fraction | float) -> tuple[int, int]:
    """The counts, both included, that at least 95% of all ways to make `n` fair draws give.

    At most 2.5% give less, and at most 2.5% more.

    The binomial distribution summed up term by term, in fifty digits: no approximation, and no scipy.

    >>> fair_range(100, 0.5)
    (40, 60)

    Raises ValueError for a share that is not from 0 to 1 or a negative `n`.
    """
    part = Fraction(share)
    if not 0 <= part <= 1 or n < 0:
        raise ValueError(f"{n} draws, a share of {share}: draws are 0 or more, and a share is from 0 to 1")
    if part == 1:
        return n, n
    with localcontext(Context(prec=DIGITS, Emin=MIN_EMIN)):
        tail = (1 - PART) / 2
        hit, miss = Decimal(part.numerator), Decimal(part.denominator - part.numerator)
        term = total = (miss / part.denominator) ** n
        low, k = 0, 0
        while total < 1 - tail:
            low = k + 1 if total < tail else low
            term = term * (n - k) * hit / ((k + 1) * miss)
            k, total = k + 1, total + term
        return low, k


@drawn
def spread(counts: Mapping[str, int], shares: Mapping[str, Fraction | float] | None = None) -> Plot:
    """How connections spread over endpoints, beside what chance alone would give.

    `counts`: endpoint, as `10.244.1.3:8080`, to connections. `shares`: endpoint to its part, from 0 to 1, as
    `shares.endpoints` works it out; equal parts where it is None. An endpoint in `shares` alone counts 0.

    >>> print(spread({"10.244.1.3:8080": 52, "10.244.1.7:8080": 48}))
    100 connections over 2 endpoints
    Every count is in the range that 95% of fair draws fall into
    <BLANKLINE>
    Connections of each endpoint, and what chance alone would give
    Endpoint         Connections  Share  Expected  Range of 95%  The count is
    ---------------  -----------  -----  --------  ------------  ------------
    10.244.1.3:8080           52  0.500      50.0      40 to 60  inside
    10.244.1.7:8080           48  0.500      50.0      40 to 60  inside

    Raises ValueError for no endpoint, or for shares that leave an endpoint out or do not add up to 1.
    """
    draws = _draws(counts, shares)
    n, beside = sum(counts.values()), sum(draw.place != "inside" for draw in draws)
    title = f"{n:,} connection{'s' * (n != 1)} over {len(draws)} endpoint{'s' * (len(draws) != 1)}"
    finding = "Every count is in the range that 95% of fair draws fall into"
    if beside:
        verb = "lies" if beside == 1 else "lie"
        finding = (f"{beside} of {len(draws)} counts {verb} outside the range of 95%; "
                   "by chance alone 1 in 20 does")
    columns = (Column("Endpoint", code=True), *(Column(name, number=True) for name in (
        "Connections", "Share", "Expected", "Range of 95%")), Column("The count is"))
    rows = tuple((d.endpoint, f"{d.count:,}", f"{float(d.share):.3f}", f"{float(d.expected):,.1f}",
                  d.span, d.place) for d in draws)
    table = Table("Connections of each endpoint, and what chance alone would give", columns, rows)
    return Plot(_spread_figure(title, finding, draws), title, finding, (table,))


@dataclass(frozen=True, slots=True)
class _Draw:
    """One endpoint's connections, and what chance would give it: `low` and `high` are both in the range."""

    endpoint: str
    count: int
    share: Fraction
    expected: Fraction
    low: int
    high: int

    @property
    def place(self) -> str:
        return "below" if self.count < self.low else "above" if self.count > self.high else "inside"

    @property
    def span(self) -> str:
        return f"{self.low:,} to {self.high:,}"


def _draws(counts: Mapping[str, int], shares: Mapping[str, Fraction | float] | None) -> list[_Draw]:
    if shares is None:
        shares = {endpoint: Fraction(1, len(counts)) for endpoint in counts}
    if not shares:
        raise ValueError("there is no endpoint to count connections of")
    if left_out := [endpoint for endpoint in counts if endpoint not in shares]:
        raise ValueError(f"no share is given for {', '.join(left_out)}")
    n, whole = sum(counts.values()), sum(map(Fraction, shares.values()))
    if abs(whole - 1) > Fraction(1, 10**6):
        raise ValueError(f"the shares add up to {float(whole):.6f}, and not to 1")
    return [_Draw(endpoint, counts.get(endpoint, 0), Fraction(share), n * Fraction(share),
                  *fair_range(n, share)) for endpoint, share in shares.items()]


def _spread_figure(title: str, finding: str, draws: Sequence[_Draw]) -> Figure:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    top, row, bottom = 112, 32, 62
    figure = card(top + row * len(draws) + bottom, title, finding)
    names = [shortened(draw.endpoint, LABEL) for draw in draws]
    words = [f"{draw.place} {draw.span}" for draw in draws]
    left = MARGIN + max(width_of(figure, name) for name in names) + 12
    right = WIDTH - MARGIN - max(width_of(figure, word, SMALL) for word in words) - 16
    middle = right - max(width_of(figure, f"{draw.count:,}", weight="bold") for draw in draws) - 8
    inside = axes(figure, left, top, middle - left, row * len(draws))
    for i, (draw, name, word) in enumerate(zip(draws, names, words)):
        _bar(inside, i, draw)
        y = top + row * (i + 0.5) + 5
        write(figure, MARGIN, y, name)
        write(figure, right, y, f"{draw.count:,}", ha="right", weight="bold")
        write(figure, WIDTH - MARGIN, y, word, SMALL, ha="right", color=DIM)
    _count_axis(inside, len(draws), max(max(draw.count, draw.high, 1) for draw in draws))
    signs = [Patch(facecolor=SKY, edgecolor=BLUE, label="counted"),
             Line2D([], [], color=INK, marker="D", linestyle="", markersize=points(8), label="expected"),
             Line2D([], [], color=INK, linewidth=1.8, label="range of 95% of fair draws")]
    outside = Patch(facecolor=ORANGE, edgecolor=VERMILION, hatch="///", label="outside it")
    key(figure, 86, signs + [outside] * any(draw.place != "inside" for draw in draws))
    return figure


def _bar(inside: Axes, at: int, draw: _Draw) -> None:
    face, edge, hatch = (SKY, BLUE, "") if draw.place == "inside" else (ORANGE, VERMILION, "///")
    inside.barh(at, draw.count, height=0.62, facecolor=face, edgecolor=edge, hatch=hatch, linewidth=1.2)
    inside.plot([draw.low, draw.high], [at, at], color=INK, linewidth=1.8, marker="|", markersize=points(14),
                markeredgewidth=1.8, clip_on=False)
    inside.plot([float(draw.expected)], [at], color=INK, marker="D", markersize=points(8), clip_on=False)


def _count_axis(inside: Axes, rows: int, most: int) -> None:
    from matplotlib.ticker import MaxNLocator

    inside.set(xlim=(0, most * 1.04), ylim=(rows - 0.5, -0.5), yticks=())
    inside.grid(False, axis="y")
    inside.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10), integer=True))
    inside.xaxis.set_major_formatter("{x:,.0f}")
    inside.set_xlabel("connections", fontsize=points(SMALL), color=DIM, labelpad=6)


# Line style, marker and colour of each line: any one of them tells the lines apart.
LINES = (("-", "o", BLUE), ("--", "s", VERMILION), ("-.", "^", GREEN), (":", "D", INK))
NAME_WRAP = 19         # characters of a line's name, before it takes another line of the picture
STEEP = 50             # ratio of the greatest to the least number from which an axis counts in powers of ten


@drawn
def lookups(numbers: Mapping[int, Mapping[str, float]]) -> Plot:
    """What grows with the number of Services, and what does not: rules, and look-ups for one packet.

    `numbers`: the number of Services, to the name of each line and its value there, such as the rules of the
    dump, the rules tested in iptables' list, and the look-ups in a map.

    >>> print(lookups({10: {"list": 12, "map": 1}, 1000: {"list": 1002, "map": 1}}))
    Rules and look-ups against the number of Services
    1 of 2 lines stays level from 10 to 1,000 Services
    <BLANKLINE>
    Numbers against Services
    Services   list  map
    --------  -----  ---
          10     12    1
       1,000  1,002    1

    Raises ValueError for no numbers, more than four lines, or other lines at one number than at another.
    """
    services = sorted(numbers)
    names = list(numbers[services[0]]) if services else []
    if not names or len(names) > len(LINES) or any(set(line) != set(names) for line in numbers.values()):
        raise ValueError(f"one to {len(LINES)} lines are wanted, the same for each number of Services")
    title = "Rules and look-ups against the number of Services"
    columns = (Column("Services", number=True), *(Column(name, number=True) for name in names))
    rows = tuple((f"{n:,}", *(f"{numbers[n][name]:,}" for name in names)) for n in services)
    lines = {name: [numbers[n][name] for n in services] for name in names}
    level = sum(len(set(line)) == 1 for line in lines.values())
    finding = (f"{level} of {len(names)} lines stay{'s' * (level == 1)} level "
               f"from {services[0]:,} to {services[-1]:,} Services")
    return Plot(_lookups_figure(title, finding, services, lines), title, finding,
                (Table("Numbers against Services", columns, rows),))


def _lookups_figure(title: str, finding: str, services: Sequence[int],
                    lines: Mapping[str, Sequence[float]]) -> Figure:
    left, top, height, names = MARGIN + 62, 112, 260, 200
    figure = card(top + height + 62, title, finding)
    inside = axes(figure, left, top, WIDTH - left - names, height)
    for (style, marker, colour), numbers in zip(LINES, lines.values()):
        inside.plot(services, numbers, linestyle=style, marker=marker, color=colour, linewidth=2.2,
                    markersize=points(9), clip_on=False)
    _scale(inside, "x", services)
    tenfold = _scale(inside, "y", [number for numbers in lines.values() for number in numbers])
    inside.set_xlabel("Services", fontsize=points(SMALL), color=DIM, labelpad=6)
    unit = "rules or look-ups" + ", tenfold from one grid line to the next" * tenfold
    write(figure, MARGIN, top - 18, unit, SMALL, color=DIM)
    _name_lines(figure, inside, services[-1], lines)
    return figure


def _scale(inside: Axes, side: str, numbers: Sequence[float]) -> bool:
    """Let an axis begin at 0, or count in powers of ten (then True) where the numbers are too far apart."""
    from matplotlib.ticker import MaxNLocator

    axis = getattr(inside, f"{side}axis")
    most, least = max(numbers), min(numbers)
    if tenfold := least > 0 and most / least >= STEEP:
        getattr(inside, f"set_{side}scale")("log")
    else:
        axis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10), integer=True))
    room = 1 if side == "x" else 1.3          # the lines' names begin where the lines end
    getattr(inside, f"set_{side}lim")((least / 1.3, most * room) if tenfold else (0, most * room or 1))
    axis.set_major_formatter(lambda number, at: f"{number:,g}")
    axis.set_minor_formatter(lambda number, at: "")
    return tenfold


def _name_lines(figure: Figure, inside: Axes, last: int, lines: Mapping[str, Sequence[float]]) -> None:
    """Write each line's name and last number at its end, moved up or down where two would overlap."""
    height = figure.get_size_inches()[1] * DPI
    gap, line = 6, 19
    names = [(height - inside.transData.transform((last, numbers[-1]))[1], colour,
              textwrap.wrap(f"{name}: {numbers[-1]:,}", NAME_WRAP))
             for (name, numbers), (_, _, colour) in zip(lines.items(), LINES)]
    names.sort(key=lambda name: name[0])
    right, below = inside.transAxes.transform((1, 0))
    bottom = height - below + gap          # the axis' own numbers are under it
    tops = apart([(y - line * len(words) / 2, line * len(words) + gap) for y, _, words in names], bottom)
    for (y, colour, words), top in zip(names, tops):
        middle = top + line * len(words) / 2
        for i, word in enumerate(words):
            write(figure, right + 28, top + line * (i + 0.75), word, SMALL)
        rule(figure, (right + 9, y), (right + 23, middle), colour)

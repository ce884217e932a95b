"""Plots: the twin has every number of the picture, no two words overlap, and the range is the binomial's own."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
from fractions import Fraction
from itertools import accumulate
from math import comb

import matplotlib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.text import Text

from k8slab.iptables import parse
from k8slab.lab import kube_proxy_rules
from k8slab.show import card, timeline as lanes
from k8slab.show.plots import LINES, Connection, Plot, fair_range, lookups, spread, timeline
from k8slab.show.shares import endpoints

EVENTS = ((0.25, "kubectl delete svc kubernetes"),
          (0.66, "the Service default/kubernetes is gone; kube-proxy takes its rules out of the nat table there"),
          (9.39, "the Endpoints name 10.106.175.128 again"), (9.81, "the Service is there again, with a new uid"))
CONNECTIONS = (Connection("kubectl get --watch", 0), Connection("client of 10.96.0.1:443", 0.1, 4.2, True, "reset"),
               Connection("client of 10.96.0.1:443", 0.5, 11.9),
               *(Connection("a program that asks and asks again", n, n + 0.4, 1 < n < 9, "timed out" * (1 < n < 9))
                 for n in range(12)))
NUMBERS = {n: {"rules of the dump": 8 + 4 * n, "rules tested, iptables' list, at worst": n + 4, "a map": 1,
               "another map": 1} for n in (1, 10, 100, 1000, 10000)}
# Endpoints and counts of which the third and the fourth are beside the range.
UNFAIR = {f"10.106.175.{128 + i}:6443": count for i, count in enumerate([83, 90, 120, 52, 88, 79])}


def spread_of(n: int) -> Plot:
    """A spread over `n` endpoints, of counts that differ."""
    return spread({f"10.106.175.{128 + i}:6443": 1000 + 37 * i for i in range(n)})


PLOTS = {"spread": lambda: spread(UNFAIR), "one endpoint": lambda: spread({"10.106.175.128:6443": 12345}),
         "nothing counted": lambda: spread({"a": 0, "b": 0}),
         "long name": lambda: spread({"a-pod-with-a-name-longer-than-a-picture-is-wide": 1, "b": 2}),
         "lookups": lambda: lookups(NUMBERS), "few lookups": lambda: lookups({2: {"a": 6.5}, 20: {"a": 24}}),
         "timeline": lambda: timeline(EVENTS, CONNECTIONS), "events": lambda: timeline(EVENTS),
         "connections": lambda: timeline((), CONNECTIONS),
         "crowded": lambda: timeline([(1 + n / 100, "all at once") for n in range(12)], CONNECTIONS[:1])}


def tick_labels(plot: Plot) -> dict[Text, bool]:
    """The labels of ticks, and whether each is within the limits of its axis: the others are not drawn."""
    plot.figure.draw_without_rendering()
    found = {}
    for axis in (axis for axes in plot.figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = axis.get_view_interval()
        found |= {tick.label1: low <= tick.get_loc() <= high
                  for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())}
    return found


def texts(plot: Plot) -> list[Text]:
    """The words that can be read in the picture."""
    ticks = tick_labels(plot)
    return [text for text in plot.figure.findobj(Text)
            if text.get_visible() and text.get_text().strip() and ticks.get(text, True)]


def lines_of(plot: Plot) -> list[Line2D]:
    return [line for axes in plot.figure.axes for line in axes.get_lines()]


# The range.

@pytest.mark.parametrize("share", [Fraction(0), Fraction(1), *(Fraction(1, of) for of in range(2, 13)),
                                   Fraction(3, 4), Fraction(999, 1000)], ids=str)
def test_the_range_is_the_binomials_own(share: Fraction) -> None:
    """In whole numbers, from the definition: of all `of ** n` ways, how many give at most k hits."""
    hits, of = share.numerator, share.denominator
    for n in range(121):
        ways = list(accumulate(comb(n, k) * hits**k * (of - hits)**(n - k) for k in range(n + 1)))
        assert ways[-1] == of**n
        low, high = (next(k for k, sofar in enumerate(ways) if sofar * 40 >= part * of**n) for part in (1, 39))
        assert fair_range(n, share) == (low, high)
        assert (ways[high] - (ways[low - 1] if low else 0)) * 20 >= of**n * 19


@pytest.mark.parametrize(("n", "share"), [(1000, Fraction(1, 2)), (2000, Fraction(715827883, 2**31))])
def test_the_range_of_many_draws_is_exact(n: int, share: Fraction) -> None:
    hits, of = share.numerator, share.denominator
    low, high = fair_range(n, share)
    below = sum(comb(n, k) * hits**k * (of - hits)**(n - k) for k in range(low))
    with_low = below + comb(n, low) * hits**low * (of - hits)**(n - low)
    beyond = sum(comb(n, k) * hits**k * (of - hits)**(n - k) for k in range(high + 1, n + 1))
    with_high = beyond + comb(n, high) * hits**high * (of - hits)**(n - high)
    assert below * 40 < of**n <= with_low * 40 and beyond * 40 <= of**n < with_high * 40


def test_the_range_of_a_great_many_draws_does_not_underflow() -> None:
    low, high = fair_range(200_000, Fraction(1, 3))
    assert 66_200 < low < 66_667 < high < 67_100


@pytest.mark.parametrize(("n", "share"), [(-1, 0.5), (10, 1.5), (10, -0.1)])
def test_no_range_of_what_cannot_be_drawn(n: int, share: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        fair_range(n, share)


# What every picture keeps to.

@pytest.mark.parametrize("name", PLOTS)
def test_the_twin_has_every_number_and_sentence_of_the_picture(name: str) -> None:
    plot = PLOTS[name]()
    twin = " ".join(str(plot).split())
    numbers = set(re.findall(r"\d[\d,.]*", twin))
    for text in set(texts(plot)) - set(tick_labels(plot)):
        for number in re.findall(r"\d[\d,.]*", text.get_text()):
            assert number in numbers or number in twin, text.get_text()
    assert plot.title in twin and plot.finding in twin
    assert {plot.title, plot.finding} <= {text.get_text() for text in texts(plot)}
    assert plot.alt == f"{plot.title}. {plot.finding}."


@pytest.mark.parametrize("make", [*PLOTS.values(), *(lambda n=n: spread_of(n) for n in range(1, 13))])
def test_no_words_overlap_and_none_leaves_the_card(make) -> None:
    plot = make()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(plot)]
    width, height = plot.figure.bbox.size
    assert len(boxes) >= 5
    for i, (words, box) in enumerate(boxes):
        assert box.x0 >= 8 and box.x1 <= width - 8 and box.y0 >= 2 and box.y1 <= height - 8, words
        for other, beside in boxes[i + 1:]:
            assert not (box.x0 < beside.x1 and beside.x0 < box.x1 and box.y0 < beside.y1 - 1
                        and beside.y0 < box.y1 - 1), (words, other)


@given(st.lists(st.tuples(st.floats(0, 60), st.just("an event")), min_size=1, max_size=15),
       st.lists(st.builds(lambda name, start, length, broken: Connection(name, start, start + length, broken),
                          st.sampled_from("abc"), st.floats(0, 50), st.floats(0, 10), st.booleans()), max_size=12))
@example([(2.1e-227, "an event")], [])
@settings(max_examples=15, deadline=None)
def test_no_words_of_any_timeline_overlap(events: list, connections: list) -> None:
    test_no_words_overlap_and_none_leaves_the_card(lambda: timeline(events, connections))


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_numbers_give_the_same_bytes_whatever_a_persons_settings(name: str) -> None:
    first = PLOTS[name]().png
    with matplotlib.rc_context({"font.family": "serif", "font.size": 30, "hatch.linewidth": 9,
                                "path.sketch": (1, 100, 2), "figure.autolayout": True, "savefig.bbox": "tight"}):
        theirs = dict(matplotlib.rcParams)
        assert PLOTS[name]().png == first and dict(matplotlib.rcParams) == theirs
    assert first.startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "colours"), [
    ("spread", (card.SKY, card.BLUE, card.ORANGE, card.INK)), ("timeline", (card.BLUE, card.VERMILION)),
    ("lookups", (card.BLUE, card.VERMILION, card.INK))])
def test_the_picture_shows_its_colours_on_a_card_with_round_corners(name: str, colours: tuple) -> None:
    pixels = imread(io.BytesIO(PLOTS[name]().png))
    assert pixels.shape[1] == card.WIDTH * card.SCALE
    assert pixels[0, 0, 3] == 0 and tuple(pixels[40, 40]) == pytest.approx((*to_rgb(card.GROUND), 1), abs=0.01)
    for colour in colours:
        assert (abs(pixels[:, :, :3] - to_rgb(colour)).max(axis=2) < 0.01).sum() > 100, colour


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2, 1.4.3)."""
    def light(colour: str) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055)**2.4 for c in to_rgb(colour)]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts))
    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_words_have_a_contrast_of_4_5_and_signs_of_3() -> None:
    for name, make in PLOTS.items():
        for text in texts(make()):
            assert contrast(text.get_color(), card.GROUND) >= 4.5, (name, text.get_text())
    for colour in (*(line[2] for line in LINES), *(sign[1] for sign in lanes.ENDS.values()), card.INK):
        assert contrast(colour, card.GROUND) >= 3, colour
    assert min(contrast(card.INK, card.SKY), contrast(card.INK, card.ORANGE)) >= 3      # the range on its bar


def test_signs_differ_by_more_than_colour() -> None:
    assert len({(style, marker) for style, marker, _ in LINES}) == len({line[1] for line in LINES}) == len(LINES)
    assert len({marker for marker, _, _ in lanes.ENDS.values()}) == len(lanes.ENDS)


# Each picture.

def test_the_bars_of_a_spread_are_its_counts_ranges_and_expected_values() -> None:
    plot = spread(UNFAIR)
    bars = [patch for box in plot.figure.axes[0].containers if isinstance(box, BarContainer) for patch in box]
    assert [bar.get_width() for bar in bars] == list(UNFAIR.values())
    assert [bar.get_hatch() for bar in bars] == ["", "", "///", "///", "", ""]
    n, drawn = sum(UNFAIR.values()), [list(line.get_xdata()) for line in lines_of(plot)]
    assert drawn == [values for _ in UNFAIR for values in ([*fair_range(n, Fraction(1, 6))], [n / 6])]
    assert [row[-1] for row in plot.tables[0].rows] == ["inside", "inside", "above", "below", "inside", "inside"]
    assert plot.finding == "2 of 6 counts lie outside the range of 95%; by chance alone 1 in 20 does"


def test_a_spread_takes_the_shares_of_the_rules() -> None:
    nat = parse(kube_proxy_rules("03-many-endpoints.iptables-save"))["nat"]
    shares = {end.address: end.share for end in endpoints(nat, nat["KUBE-SVC-67NZLRHBNDSAWJRO"])}
    table = spread({"10.244.1.5:8080": 20, "10.244.1.3:8080": 30}, shares).tables[0]
    assert [row[:4] for row in table.rows][1:4] == [("10.244.1.20:8080", "0", "0.200", "10.0"),
                                                    ("10.244.1.3:8080", "30", "0.200", "10.0"),
                                                    ("10.244.1.5:8080", "20", "0.200", "10.0")]
    unequal = spread({"a": 75, "b": 25}, {"a": 0.75, "b": 0.25}).tables[0]
    assert [row[3:] for row in unequal.rows] == [("75.0", "66 to 83", "inside"), ("25.0", "17 to 34", "inside")]


@pytest.mark.parametrize(("counts", "shares", "said"), [
    ({}, None, "no endpoint"), ({"a": 1}, {"b": 1}, "no share is given for a"),
    ({"a": 1}, {"a": 0.5}, "add up to 0.5")])
def test_a_spread_of_nothing_or_of_wrong_shares_is_refused(counts: dict, shares: dict | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        spread(counts, shares)


def test_the_lines_of_lookups_are_its_numbers() -> None:
    plot = lookups(NUMBERS)
    assert [list(line.get_ydata()) for line in lines_of(plot)] == [
        [numbers[name] for numbers in NUMBERS.values()] for name in NUMBERS[1]]
    assert all(list(line.get_xdata()) == list(NUMBERS) for line in lines_of(plot))
    assert (plot.figure.axes[0].get_xscale(), plot.figure.axes[0].get_yscale()) == ("log", "log")
    assert any("tenfold" in text.get_text() for text in texts(plot))
    few = PLOTS["few lookups"]()
    assert few.figure.axes[0].get_yscale() == "linear" and few.figure.axes[0].get_ylim()[0] == 0
    assert not any("tenfold" in text.get_text() for text in texts(few))


@pytest.mark.parametrize("numbers", [{}, {1: {}}, {1: {"a": 1}, 2: {"b": 1}}, {1: dict.fromkeys("abcde", 1)}])
def test_lookups_that_cannot_be_drawn_are_refused(numbers: dict) -> None:
    with pytest.raises(ValueError, match="lines are wanted"):
        lookups(numbers)


def test_a_timeline_marks_what_broke_by_shape_and_word() -> None:
    plot = timeline(EVENTS, CONNECTIONS)
    ends = [(line.get_xdata()[0], line.get_marker()) for line in lines_of(plot) if line.get_marker() != "None"]
    broken = sorted(c.end for c in CONNECTIONS if c.broken)
    assert sorted(x for x, marker in ends if marker == "x") == broken and len(broken) == 8
    assert sorted(x for x, marker in ends if marker == "o") == sorted(
        c.end for c in CONNECTIONS if not c.broken and c.end is not None)
    assert [(x, marker) for x, marker in ends if marker == ">"] == [(11.9, ">")]
    written = {text.get_text() for text in texts(plot)}
    assert {"broken", "7 of 12 broken", "1 of 2 broken", "1, none broken"} <= written
    assert plot.finding == "8 of 15 connections broke" and str(plot).count("timed out") == 7


def test_a_timeline_has_a_line_and_words_for_each_event() -> None:
    plot = timeline(EVENTS)
    assert [line.get_xdata()[0] for line in lines_of(plot)] == [at for at, _ in EVENTS]
    written = " ".join(text.get_text() for text in texts(plot))
    assert all(f"{number} {at:g} s {words}" in written for number, (at, words) in enumerate(EVENTS, 1))


def test_connections_of_one_name_share_a_lane_and_none_covers_another() -> None:
    found = lanes._lanes(sorted(CONNECTIONS, key=lambda c: c.start), 11.9)
    assert [(lane.name, [len(row) for row in lane.rows]) for lane in found] == [
        ("kubectl get --watch", [1]), ("a program that asks and asks again", [12]), ("client of 10.96.0.1:443", [1, 1])]
    for row in (row for lane in found for row in lane.rows):
        assert all(one.end < other.start for one, other in zip(row, row[1:]))


@pytest.mark.parametrize(("events", "connections"), [
    ((), ()), (((-1, "before"),), ()), ((), (Connection("a", 2, 1),)), ((), (Connection("a", 2, None, True),))])
def test_a_timeline_that_cannot_be_drawn_is_refused(events: tuple, connections: tuple) -> None:
    with pytest.raises(ValueError, match="timeline wants|has no end"):
        timeline(events, connections)


@pytest.mark.parametrize(("boxes", "end", "begins"), [
    ([(0, 10), (5, 10), (40, 10)], 60, [0, 10, 40]), ([(0, 10), (85, 10), (95, 10)], 100, [0, 80, 90]),
    ([(50, 10)], 55, [45]), ([], 10, [])])
def test_boxes_stay_where_they_are_as_far_as_they_can(boxes: list, end: float, begins: list) -> None:
    assert card.apart(boxes, end) == begins


@given(st.lists(st.tuples(st.floats(-50, 500), st.floats(1, 60)), max_size=8), st.floats(0, 200))
def test_boxes_are_moved_apart_and_stay_before_the_end(boxes: list, room: float) -> None:
    boxes.sort()
    end = max([0.0, *(begin for begin, _ in boxes)]) + sum(length for _, length in boxes) + room
    begins = card.apart(boxes, end)
    after = [begin + length for begin, (_, length) in zip(begins, boxes)]
    assert all(first <= second + 1e-6 for first, second in zip(after, [*begins[1:], end]))


# In a notebook, and without one.

def test_a_notebook_gets_the_picture_its_alt_text_and_the_folded_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display
    from ipywidgets.widgets.widget import _instances

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **options: shown.append((data, options)))
    plot = spread(UNFAIR)
    plot._ipython_display_()
    (picture, options), (numbers, _) = shown
    assert picture["text/plain"] == str(plot) == repr(plot) and base64.b64decode(picture["image/png"]) == plot.png
    about = options["metadata"]["image/png"]
    assert about["alt"] == plot.alt and about["width"] == 680 and options["raw"] is True
    live = _instances[picture["application/vnd.jupyter.widget-view+json"]["model_id"]]
    assert f'alt="{plot.alt}"' in live.value and picture["image/png"] in live.value
    assert set(numbers) == {"text/html"} and plot.tables[0].html in numbers["text/html"]


PROGRAM = """
import sys
import k8slab.show.plots as plots
assert "matplotlib" not in sys.modules and "IPython" not in sys.modules and "ipywidgets" not in sys.modules
for plot in (plots.spread({"a": 1, "b": 2}), plots.lookups({1: {"a": 1}}), plots.timeline([(1, "now")])):
    assert plot.png and str(plot)
print(sorted({"matplotlib.pyplot", "numpy.distutils", "scipy", "pandas"} & set(sys.modules)))
"""


def test_plots_need_no_pyplot_no_display_and_import_matplotlib_when_drawn() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120,
                          env=environment | {"MPLBACKEND": "TkAgg"})
    assert done.stdout.strip() == "[]", done.stderr

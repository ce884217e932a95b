"""The card that plots are drawn on, and `Plot`: a picture with its text twin, as a notebook shows it.

A picture is saved once and seen on light and on dark grounds. Grey text with a contrast of 4.5 to 1 on white
has less on JupyterLab's dark #111, so no colour of text does for both: the picture brings its own light
ground, with round corners. Colours are Okabe and Ito's, and each comes with a shape, a hatch or a line style.

Sizes are in pixels of the page, from the top left corner; the file has twice as many, for fine screens. A
figure is made by matplotlib's objects and drawn by Agg: there is no window and no global state, and the same
numbers give the same bytes with the same matplotlib.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from html import escape
from typing import TYPE_CHECKING

from k8slab.show.grid import Table

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

WIDTH = 680
MARGIN = 20
SCALE = 2                       # pixels of the file for one of the page
DPI = 96                        # pixels of the page in CSS's inch, of 72 points
TITLE, BODY, SMALL = 17, 15, 14

GROUND, EDGE, GRID = "#f8f8f6", "#d0d0cc", "#dededa"
INK, DIM = "#212121", "#595959"
BLUE, SKY, ORANGE, VERMILION, GREEN = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73"

# What a person's own matplotlibrc could change.
SETTINGS = {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "text.usetex": False,
            "hatch.linewidth": 1.2, "axes.formatter.use_locale": False, "path.sketch": None,
            "path.effects": [], "figure.autolayout": False, "figure.constrained_layout.use": False,
            "savefig.bbox": None}


@dataclass(frozen=True, slots=True, repr=False)
class Plot:
    """A picture and what it says; `str(plot)` says all that the picture says.

    `figure`: matplotlib's. `title`, `finding`: a sentence each. `tables`: the numbers of the picture, which a
    notebook shows below it, folded.
    """

    figure: Figure
    title: str
    finding: str
    tables: tuple[Table, ...]

    def __str__(self) -> str:
        return "\n\n".join((f"{self.title}\n{self.finding}", *map(str, self.tables)))

    __repr__ = __str__

    @property
    def alt(self) -> str:
        """What stands for the picture where it cannot be seen, in two sentences."""
        return f"{self.title}. {self.finding}."

    @property
    def png(self) -> bytes:
        """The picture as PNG, of 256 colours: a quarter of the bytes, and no difference that can be seen."""
        import matplotlib
        from PIL import Image           # matplotlib needs it too

        whole, small = io.BytesIO(), io.BytesIO()
        with matplotlib.rc_context(SETTINGS):
            self.figure.savefig(whole, format="png", dpi=DPI * SCALE)
        Image.open(whole).quantize().save(small, format="png", optimize=True)
        return small.getvalue()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, object], dict[str, object]]:
        """The picture and its twin, which are saved, and the same live with its alt text, which is not.

        JupyterLab gives a PNG of its own no `alt`, and takes `data:` pictures out of the HTML of a notebook
        that is not trusted. So the live view is a widget's; `scripts/execute_notebooks.py` takes it out.
        """
        from ipywidgets import HTML      # only a notebook needs it

        png = base64.b64encode(self.png).decode()
        width, height = (round(inches * DPI) for inches in self.figure.get_size_inches())
        image = (f'<img src="data:image/png;base64,{png}" width="{width}" style="max-width: 100%" '
                 f'alt="{escape(self.alt)}">')
        data = HTML(image)._repr_mimebundle_() | {"text/plain": str(self), "image/png": png}
        return data, {"image/png": {"width": width, "height": height, "alt": self.alt}}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        tables = "".join(table.html for table in self.tables)
        numbers = f"<details><summary>The numbers of this picture</summary>{tables}</details>"
        display(data, metadata=metadata, raw=True)
        display({"text/html": numbers}, raw=True)


def drawn(make: Callable[..., Plot]) -> Callable[..., Plot]:
    """Make a plot with our settings, whatever a person's own are; theirs are as before afterwards."""
    @wraps(make)
    def with_settings(*args: object, **options: object) -> Plot:
        import matplotlib

        with matplotlib.rc_context(SETTINGS):
            return make(*args, **options)
    return with_settings


def card(height: float, title: str, finding: str) -> Figure:
    """An empty card, `height` pixels high, with its title and finding."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor="none")
    FigureCanvasAgg(figure)
    line, wide, high, corner = (size / DPI for size in (1, WIDTH - 2, height - 2, 8))
    figure.add_artist(FancyBboxPatch(
        (line, line), wide, high, boxstyle=f"round,pad=0,rounding_size={corner}", linewidth=0.8,
        facecolor=GROUND, edgecolor=EDGE, transform=figure.dpi_scale_trans, zorder=-1))     # below the axes
    write(figure, MARGIN, 34, title, TITLE, weight="bold")
    write(figure, MARGIN, 58, finding, SMALL, color=DIM)
    return figure


def write(figure: Figure, x: float, y: float, words: str, size: float = BODY, **style: object) -> Text:
    """Words on the card; y is that of their base line."""
    width, height = figure.get_size_inches() * DPI
    return figure.text(x / width, 1 - y / height, words, **{"fontsize": points(size), "color": INK} | style)


def rule(figure: Figure, start: tuple[float, float], end: tuple[float, float], color: str) -> None:
    """A thin line on the card from one point to another."""
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches() * DPI
    xs, ys = zip(start, end)
    figure.add_artist(Line2D([x / width for x in xs], [1 - y / height for y in ys], color=color, linewidth=1))


def points(pixels: float) -> float:
    """A size in pixels of the page as matplotlib wants it: `points(16) == 12`."""
    return pixels * 72 / DPI


def width_of(figure: Figure, words: str, size: float = BODY, weight: str = "normal") -> float:
    """How wide words will be, in pixels."""
    text = write(figure, 0, 0, words, size, weight=weight)
    width = text.get_window_extent().width
    text.remove()
    return width


def shortened(words: str, most: int) -> str:
    """Words of at most that many characters, with … in the middle of what was longer."""
    return words if len(words) <= most else f"{words[:most // 2]}…{words[-(most - most // 2 - 1):]}"


def axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes with a line below and a light grid; the place is of what is inside them."""
    whole, high = figure.get_size_inches() * DPI
    place = (left / whole, 1 - (top + height) / high, width / whole, height / high)
    inside = figure.add_axes(place, facecolor="none")
    for side in ("left", "top", "right"):
        inside.spines[side].set_visible(False)
    inside.spines["bottom"].set(color=DIM, linewidth=0.8)
    inside.grid(color=GRID, linewidth=0.8)
    inside.set_axisbelow(True)
    inside.tick_params(which="both", length=0, pad=6, labelsize=points(SMALL), labelcolor=DIM)
    return inside


def key(figure: Figure, y: float, signs: list[Artist]) -> None:
    """What each sign means, in one line; y is the line's middle."""
    width, height = figure.get_size_inches() * DPI
    figure.legend(handles=signs, loc="center left", bbox_to_anchor=(MARGIN / width, 1 - y / height),
                  ncols=len(signs), frameon=False, fontsize=points(SMALL), labelcolor=INK, borderpad=0,
                  borderaxespad=0, handletextpad=0.5, columnspacing=1.6, handlelength=2.0)


def apart(boxes: Sequence[tuple[float, float]], end: float) -> list[float]:
    """Where boxes of `(begin, length)` come to stand, moved so that none overlaps and none passes `end`.

    >>> apart([(0, 10), (5, 10), (40, 10)], 45)
    [0, 10, 35]
    """
    begins: list[float] = []
    at = 0.0
    for begin, length in boxes:
        begins.append(max(begin, at) if begins else begin)
        at = begins[-1] + length
    for i in reversed(range(len(boxes))):
        begins[i] = min(begins[i], end - boxes[i][1])
        end = begins[i]
    return begins

"""Pictures as values: boxes, lines and words with their places, printed as one SVG.

What a saved notebook keeps of a picture
----------------------------------------
Measured with JupyterLab 4.6 in Chromium, in a notebook that is not trusted: its sanitiser drops an inline
`<svg>` and leaves the letters in it as rubble; of an output of type `image/svg+xml` it shows the text twin
alone; but it keeps `<img>` with a `data:` address, its `alt`, `style` and `width`, and `<details>` with
nested lists. So a picture is HTML: an `<img>` that holds the SVG, and below it the twin as a list, which also
stays where a code host takes the picture away. No `image/svg+xml` lies beside it: everything that knows both
takes the HTML, and the notebook would hold the picture twice.

An image knows nothing of the page around it, save one thing: `prefers-color-scheme` in it is the colour
scheme of the page that shows it, and JupyterLab's themes set that on `<body>` (both measured). So the picture
follows the theme by itself, trusted or not. Where a browser tells it nothing, it stays readable: it stands on
a ground of its own, which changes together with its ink. Inline, in JupyterLab's page, it reads the theme's
name.

Words have sizes that are estimates for common fonts, on the wide side: the tests lay them out with these.
"""

from __future__ import annotations

import base64
import textwrap
from dataclasses import dataclass
from html import escape

# How wide one letter is at most, and how high a line: style class -> (pixels, pixels).
SIZES = {"name": (8.3, 15), "word": (6.7, 14), "dim": (6.7, 14), "code": (6.7, 14), "part": (6.7, 14),
         "pill": (7.3, 14), "share": (7.6, 14)}
# A picture is drawn at this many times its own units where there is room: 11 units become 13.75 pixels.
SCALE = 1.25
# Units of a piece of a line with room for an arrowhead, and of the head itself.
ROOMY, HEAD = 24, 10

# Okabe and Ito's blue and vermilion say which way a line leads, and so does its form: solid or dashed.
# g ground, i ink, d dim ink, l lines, f nodes, a and t accent and its tint, b the way back, o ink on a.
_LIGHT = ("--g:#fff;--i:#212121;--d:#595959;--l:#8c8c8c;--f:#f6f6f6;--a:#0072b2;--t:#e3f0f8;--b:#c04f00;"
          "--o:#fff")
_DARK = ("--g:#111;--i:#e6e6e6;--d:#b4b4b4;--l:#757575;--f:#1d1d1d;--a:#56b4e9;--t:#102b3b;--b:#e69f00;"
         "--o:#111")
_FORCED = ("--g:Canvas;--i:CanvasText;--d:CanvasText;--l:CanvasText;--f:Canvas;--a:Highlight;--t:Canvas;"
           "--b:CanvasText;--o:HighlightText")
_SHEET = f"""
.k-pic{{{_LIGHT}}}
@media(prefers-color-scheme:dark){{.k-pic{{{_DARK}}}}}
[data-jp-theme-light=true] .k-pic{{{_LIGHT}}}[data-jp-theme-light=false] .k-pic{{{_DARK}}}
@media(forced-colors:active){{.k-pic.k-pic{{{_FORCED};forced-color-adjust:none}}}}
.k-pic text{{fill:var(--i);font:11px system-ui,-apple-system,"Segoe UI",sans-serif}}
.k-pic rect{{fill:var(--g);stroke:var(--l)}}.k-pic path{{fill:none;stroke:var(--l)}}
.k-pic .ground{{stroke:none}}.k-pic .outer{{fill:var(--f)}}
.k-pic .on{{stroke:var(--a)}}
.k-pic .lit{{fill:var(--t);stroke:var(--a);stroke-width:2}}.k-pic .ref{{stroke-dasharray:3 2}}
.k-pic .pillbox{{fill:var(--a);stroke:none}}
.k-pic .bus{{stroke-width:2}}.k-pic .side{{stroke-dasharray:2 3}}
.k-pic .go,.k-pic .back{{stroke:var(--a);stroke-width:2.5;stroke-linejoin:round}}
.k-pic .back{{stroke:var(--b);stroke-dasharray:5 3}}
.k-pic .gohead{{fill:var(--a);stroke:none}}.k-pic .backhead{{fill:var(--b);stroke:none}}
.k-pic .name{{font-weight:600;font-size:12px}}.k-pic .share,.k-pic .pill{{font-weight:700}}
.k-pic .code,.k-pic .part{{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}}
.k-pic .part{{font-weight:600}}
.k-pic .dim{{fill:var(--d)}}.k-pic .pill{{fill:var(--o);font-size:10.5px}}
"""


def _class(kind: str) -> str:
    """The style class, left out where the style sheet's first lines already say all."""
    return "" if kind in ("word", "wire", "inner") else f' class="{kind}"'


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `x`, `y` its upper left corner. `kind`: the style class."""

    x: float
    y: float
    width: float
    height: float
    kind: str = "inner"

    def __str__(self) -> str:
        return (f'<rect{_class(self.kind)} x="{self.x:.0f}" y="{self.y:.0f}" width="{self.width:.0f}" '
                f'height="{self.height:.0f}" rx="5"/>')


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text; its base line begins at `x`, `y`, or with `anchor` ends there; `kind`: of SIZES."""

    x: float
    y: float
    text: str
    kind: str = "word"
    anchor: str = "start"

    @property
    def box(self) -> Box:
        """The room that the words take at most."""
        letter, line = SIZES[self.kind]
        width = letter * len(self.text)
        left = self.x - {"start": 0, "middle": width / 2, "end": width}[self.anchor]
        return Box(left, self.y - line + 3, width, line)

    def __str__(self) -> str:
        anchor = "" if self.anchor == "start" else f' text-anchor="{self.anchor}"'
        place = f'x="{self.x:.0f}" y="{self.y:.0f}"{anchor}'
        return f"<text{_class(self.kind)} {place}>{escape(self.text, False)}</text>"


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points. `heads`: arrowheads in the middle of its pieces, as `arrows` has them."""

    points: tuple[tuple[float, float], ...]
    kind: str = "wire"
    heads: bool = False

    def __str__(self) -> str:
        path = " ".join(f"{x:.0f} {y:.0f}" for x, y in self.points)
        heads = "".join(f"M{x:.0f} {y:.0f}{_HEADS[way]}z" for x, y, way in self.arrows) if self.heads else ""
        head = f'<path class="{self.kind}head" d="{heads}"/>' if heads else ""
        return f'<path{_class(self.kind)} d="M{path}"/>{head}'

    @property
    def arrows(self) -> list[tuple[float, float, tuple[int, int]]]:
        """The middle of each piece that has room, or else of the last piece; its direction as two signs."""
        pieces = list(zip(self.points, self.points[1:]))
        roomy = [piece for piece in pieces if _length(*piece) >= ROOMY]
        return [((x1 + x2) / 2, (y1 + y2) / 2, ((x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)))
                for (x1, y1), (x2, y2) in roomy or pieces[-1:] if _length((x1, y1), (x2, y2)) >= HEAD]


def _length(start: tuple[float, float], end: tuple[float, float]) -> float:
    return abs(end[0] - start[0]) + abs(end[1] - start[1])


# An arrowhead from its middle, by direction: right, left, down, up.
_HEADS = {(1, 0): "m-5-5 10 5-10 5", (-1, 0): "m5-5-10 5 10 5",
          (0, 1): "m-5-5 5 10 5-10", (0, -1): "m-5 5 5-10 5 10"}
Shape = Box | Words | Line


@dataclass(frozen=True, slots=True)
class Picture:
    """Shapes on a ground of `width` by `height` units; `name`: the accessible name, `says`: a description."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    name: str
    says: str

    def svg(self) -> str:
        """The picture as SVG, for a file of its own or inline."""
        ground = f'<rect class="ground" width="{self.width:g}" height="{self.height:g}"/>'
        name = escape(self.name)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" class="k-pic" role="img" aria-label="{name}" '
                f'viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width * SCALE:g}">'
                f"<title>{name}</title><desc>{escape(self.says)}</desc>"
                f"<style>{_SHEET}</style>{ground}{''.join(map(str, self.shapes))}</svg>")

    def html(self, twin: str) -> str:
        """The picture as an image, and its text twin as a list to be opened: see the head of this file."""
        data = base64.b64encode(self.svg().encode()).decode()
        return (f'<img alt="{escape(self.name)}" width="{self.width * SCALE:g}" style="max-width: 100%" '
                f'src="data:image/svg+xml;base64,{data}">'
                f"<details><summary>The picture in words</summary>{nested_list(twin)}</details>")


def nested_list(text: str) -> str:
    """Lines indented by two spaces a level, as lists in lists.

    >>> nested_list("a\\n  b\\nc")
    '<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>'
    """
    parts, depth = [], -1
    for line in filter(str.strip, text.splitlines()):
        level = (len(line) - len(line.lstrip())) // 2
        if level > depth:
            parts.append("<ul>" * (level - depth))
        else:
            parts.append("</li>" + "</ul></li>" * (depth - level))
        parts.append(f"<li>{escape(line.strip(), False)}")
        depth = level
    return "".join(parts) + "</li></ul>" * (depth + 1)


def width_of(kind: str, *texts: str) -> float:
    """The room that the longest of some lines takes at most."""
    return SIZES[kind][0] * max(map(len, texts), default=0)


def fold(text: str, kind: str, width: float) -> list[str]:
    """The text in lines that fit into `width`, broken at spaces; a longer word is broken where it must be.

    >>> fold("10.244.1.0/24 via 10.106.175.131 dev eth0", "code", 220)
    ['10.244.1.0/24 via 10.106.175.131', 'dev eth0']
    """
    return textwrap.wrap(text, max(1, int(width / SIZES[kind][0])), break_on_hyphens=False)


def fold_list(text: str, kind: str, width: float) -> list[str]:
    """As `fold`, but what stands between commas stays together where it fits into one line."""
    most = int(width / SIZES[kind][0])
    whole = (part.replace(" ", "\u00a0") if len(part) < most else part for part in text.split(", "))
    return [line.replace("\u00a0", " ") for line in fold(", ".join(whole), kind, width)]


def column(x: float, y: float, texts: list[str], kind: str) -> tuple[list[Shape], float]:
    """Lines below each other, the first one's base line at `y`; and the base line of a line after them."""
    step = SIZES[kind][1]
    return [Words(x, y + i * step, text, kind) for i, text in enumerate(texts)], y + len(texts) * step

"""Whether a picture is tidy: nothing sticks out of it, no words lie on words, on a line or on a border."""

from __future__ import annotations

from itertools import combinations

from k8slab.show.svg import Box, Line, Picture, Words

SLACK = 0.6              # drawn coordinates are rounded to whole units


def edges(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.x + box.width, box.y + box.height


def overlap(a: Box, b: Box) -> bool:
    left, top, right, bottom = edges(a)
    other = edges(b)
    return (left + SLACK < other[2] and other[0] + SLACK < right
            and top + SLACK < other[3] and other[1] + SLACK < bottom)


def inside(a: Box, b: Box) -> bool:
    """Whether `a` lies within `b`."""
    left, top, right, bottom = edges(b)
    x1, y1, x2, y2 = edges(a)
    return left - SLACK <= x1 and top - SLACK <= y1 and x2 <= right + SLACK and y2 <= bottom + SLACK


def faults(picture: Picture) -> list[str]:
    """A line for each thing that is not tidy."""
    words = [s for s in picture.shapes if isinstance(s, Words)]
    boxes = [s for s in picture.shapes if isinstance(s, Box)]
    lines = [s for s in picture.shapes if isinstance(s, Line)]
    # The mark on a host sits on its border, and a dot on its interface: they are meant to cover.
    marks = [box for box in boxes if box.kind == "pillbox"]
    boxes = [box for box in boxes if box.kind != "pillbox"]
    plain = [w for w in words if w.kind != "pill"]
    ground = Box(0, 0, picture.width, picture.height)
    found = [f"{s} sticks out" for s in (*[w.box for w in words], *boxes, *marks) if not inside(s, ground)]
    found += [f"{a.text!r} lies on {b.text!r}" for a, b in combinations(words, 2) if overlap(a.box, b.box)]
    found += [f"the mark {m} covers {w.text!r}" for m in marks if m.width > 10 for w in plain
              if overlap(m, w.box)]
    found += [f"{a} lies on {b}" for a, b in combinations(boxes, 2)
              if overlap(a, b) and not inside(a, b) and not inside(b, a)]
    found += [f"{w.text!r} lies on the border of {b}" for w in plain for b in boxes
              if overlap(w.box, b) and not inside(w.box, b)]
    return found + [f"a line runs through {w.text!r}" for w in plain for line in lines
                    for start, end in zip(line.points, line.points[1:]) if overlap(w.box, _strip(start, end))]


def _strip(start: tuple[float, float], end: tuple[float, float]) -> Box:
    """The room of a line that is level or upright: two units wide."""
    (x1, x2), (y1, y2) = sorted((start[0], end[0])), sorted((start[1], end[1]))
    assert x1 == x2 or y1 == y2, "a line is level or upright"
    return Box(x1 - 1, y1 - 1, x2 - x1 + 2, y2 - y1 + 2)

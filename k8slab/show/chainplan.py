"""The tree of chains as a picture: from left to right, a column a jump, and no two things in one place.

What a rule asks for stands above what it leads to; an endpoint's share stands on the line to it. A box stands
in the middle of what it leads to, so that a Service is seen to fan out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from k8slab.show.chains import Branch, say_share
from k8slab.show.svg import (
    SIZES,
    Box,
    Line,
    Picture,
    Shape,
    Words,
    column,
    fold,
    fold_list,
    width_of,
)

# Room at the edge, below a block, between words and the box under them, and for words wider than their box;
# then from a box to the upright behind it, and from there to the next box.
EDGE, ROW, LEAD, MARGIN, OUT, IN = 10, 8, 3, 14, 16, 12
NARROWEST = 127          # a column holds "rule 2, 0.20000000019" in one line
# What a line means: the packet's way, or the kind of branch that it leads to.
LEGEND = {"lit": "the packet’s way: a thick line with arrowheads",
          "side": "dashed: KUBE-MARK-MASQ marks the packet, and it comes back to the next rule",
          "again": "dashed: a chain that is drawn elsewhere in the map"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of boxes, and the x of the upright from which the lines to them branch off."""

    x: float
    width: float
    upright: float = 0

    @property
    def end(self) -> float:
        return self.x + self.width


@dataclass(frozen=True, slots=True)
class Block:
    """A branch to be placed: the words above its box, in it, and the blocks behind; `depth` counts jumps."""

    branch: Branch | None
    depth: int
    above: list[str]
    box: list[str]
    blocks: list[Block]

    @property
    def kind(self) -> str:
        return self.branch.kind if self.branch else "chain"

    @property
    def height(self) -> float:
        """Of the block itself: the words above, the box and the room below."""
        return _words_height(self.above) + _box_height(self.box) + ROW


def _words_height(lines: list[str]) -> float:
    return SIZES["dim"][1] * len(lines) + LEAD * bool(lines)


def _box_height(lines: list[str]) -> float:
    return SIZES["part"][1] * len(lines) + 8 * bool(lines)


def _pieces(name: str) -> list[str]:
    """A chain's name in lines: `KUBE-SVC-` and `NPX46M4PTMTKRN6Y`."""
    head, dash, tail = name.rpartition("-")
    return [head + dash, tail] if len(tail) == 16 and dash else fold(name, "part", 135)


def _deep(branches: tuple[Branch, ...], depth: int = 1) -> dict[int, list[Branch]]:
    """The branches by their column."""
    levels: dict[int, list[Branch]] = {depth: list(branches)} if branches else {}
    for branch in branches:
        for level, found in _deep(branch.branches, depth + 1).items():
            levels.setdefault(level, []).extend(found)
    return levels


def _box_lines(branch: Branch) -> list[str]:
    if branch.kind in ("end", "note"):
        return fold(branch.target, "part", 180)
    return [] if branch.kind == "more" else _pieces(branch.target)


def _columns(chain: str, branches: tuple[Branch, ...]) -> list[Column]:
    """The columns, as wide as what stands in them."""
    columns = [Column(EDGE, width_of("part", *_pieces(chain)) + 14)]
    for _, found in sorted(_deep(branches).items()):
        shares = width_of("share", *map(_share, found))
        lines = [line for branch in found for line in _box_lines(branch)]
        upright = columns[-1].end + OUT
        columns.append(Column(upright + shares + IN, max(width_of("part", *lines) + 14, NARROWEST), upright))
    return columns


def _share(branch: Branch) -> str:
    """What stands on the line to a branch: its share, where it is one of several."""
    return "" if branch.share in (None, 1) or branch.kind == "more" else say_share(branch.share)


def _block(branch: Branch, depth: int, columns: list[Column]) -> Block:
    room = columns[depth].width + MARGIN
    above = fold_list(branch.target if branch.kind == "more" else _picture_words(branch), "dim", room)
    below = [_block(b, depth + 1, columns) for b in branch.branches]
    return Block(branch, depth, above, _box_lines(branch), below)


def _picture_words(branch: Branch) -> str:
    always = "always" if branch.share == 1 else ""
    return ", ".join(filter(None, (f"rule {branch.position}", branch.when, branch.chance, always)))


def _place(block: Block, columns: list[Column], y: float) -> tuple[list[Shape], float, float]:
    """The shapes of a block and all behind it, from `y` down; the y of its box's middle, and the y below."""
    x, width = columns[block.depth].x, columns[block.depth].width
    shapes: list[Shape] = []
    ends, below = [], y
    for child in block.blocks:
        more, middle, below = _place(child, columns, below)
        shapes += more
        ends.append((child, middle))
    height, words = _box_height(block.box), _words_height(block.above)
    # The box stands in the middle of what it leads to, or at the top where that is not as high.
    wanted = (ends[0][1] + ends[-1][1]) / 2 - height / 2 - words if ends else y
    top = max(y, min(wanted, below - block.height))
    above, _ = column(x, top + 11, block.above, "dim")
    lit = block.branch is not None and block.branch.lit
    box = Box(x, top + words, width, height, _style(block, lit))
    middle = box.y + height / 2
    names, _ = column(x + 7, box.y + 14.5, block.box, "part") if block.box else ([], 0)
    shapes += [*above, *([box] if block.box else []), *names]
    shapes += _edges(block, ends, columns, middle)
    return shapes, middle, max(below, top + block.height)


def _style(block: Block, lit: bool) -> str:
    base = {"side": "inner ref", "again": "inner ref", "end": "outer"}.get(block.kind, "inner")
    return base + " lit" * lit


def _edges(block: Block, ends: list[tuple[Block, float]], columns: list[Column],
           middle: float) -> list[Shape]:
    """The lines to the blocks behind: out of the box, along one upright, into each; the packet's on top."""
    shapes: list[Shape] = []
    if not ends:
        return shapes
    x1, after = columns[block.depth].end, columns[block.depth + 1]
    upright, x2 = after.upright, after.x
    for child, y in sorted(ends, key=lambda end: end[0].branch.lit):
        branch = child.branch
        if branch.kind == "more":
            continue
        kind = "go" if branch.lit else "side" if branch.kind in ("side", "again") else "wire"
        points = dict.fromkeys([(x1, middle), (upright, middle), (upright, y), (x2, y)])
        shapes.append(Line(tuple(points), kind, heads=branch.lit))
        if share := _share(branch):
            shapes.append(Words(upright + 5, y - 6, share, "share"))
    return shapes


def picture(chain: str, branches: tuple[Branch, ...], caption: Iterable[str], name: str,
            says: str) -> Picture:
    """The tree below `chain`, with `caption` above it and what the lines mean below."""
    columns = _columns(chain, branches)
    told = {kind for top in branches for b in top.walk() for kind in (b.kind, "lit" * b.lit)}
    legend = {kind: says for kind, says in LEGEND.items() if kind in told}
    width = max(columns[-1].end + MARGIN, EDGE + 44 + width_of("dim", *legend.values())) + EDGE
    lines = [part for line in caption for part in fold(line, "word", width - 2 * EDGE)]
    shapes, y = column(EDGE, 24, lines, "word")
    root = Block(None, 0, [], _pieces(chain), [_block(branch, 1, columns) for branch in branches])
    placed, _, bottom = _place(root, columns, y + 2)
    for kind, meaning in legend.items():
        lit = kind == "lit"
        shapes += [Line(((EDGE, bottom + 8), (EDGE + 36, bottom + 8)), "go" if lit else "side", lit),
                   Words(EDGE + 44, bottom + 12, meaning, "dim")]
        bottom += 18
    return Picture(width, bottom + 6, (*shapes, *placed), name, says)

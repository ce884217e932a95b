"""Where a fault is: the rules in which a node differs from the same node with that one fault mended.

A claim names a chain; it may name its table too, and the number of a rule or its text. What it names must all be the
fault's. A rule that is missing has the number that it would get, and the text that it would have.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from k8slab.course.capstone.faulty import Fault, chains
from k8slab.iptables import Ruleset
from k8slab.iptables.names import TABLES

WORD = re.compile(r"[A-Za-z0-9_.-]+")
COMMAND = re.compile(r"(?:^|\s)(?:-[AIDRS]|--(?:append|insert|delete|replace|list-rules))\s+(\S+)(?:\s+(\d+)(?=\s|$))?")
TABLE = re.compile(r"(?:^|\s)(?:-t\s*|--table[ =])(\w+)")
NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Spot:
    """What differs in a chain: the numbers of its rules, as they stand or would stand, and the texts."""

    numbers: set[int] = field(default_factory=set)
    texts: tuple[str, ...] = ()


def spots(fault: Fault, now: Ruleset, mended: Ruleset) -> dict[tuple[str, str], Spot]:
    """The chains by which the fault's place is named, by table and chain: those that differ, and some beside."""
    one, other = chains(now), chains(mended)
    found = {key: _spot(one.get(key, ("",)), other.get(key, ("",))) for key in {*one, *other}
             if one.get(key) != other.get(key)}
    also = (tuple(words.format_map(fault.place.words()).split()) for words in fault.incident.also)
    return {key: Spot() for key in also} | found


def _spot(now: tuple[str, ...], mended: tuple[str, ...]) -> Spot:
    """The policy comes first in both, and is no rule."""
    numbers: set[int] = set()
    texts: list[str] = []
    for kind, a, b, c, d in SequenceMatcher(None, now[1:], mended[1:], autojunk=False).get_opcodes():
        if kind != "equal":
            numbers |= {*range(a + 1, b + 1), *range(c + 1, d + 1)} if kind == "replace" else (
                set(range(a + 1, max(b, a + d - c) + 1)))
            texts += [*now[1 + a:1 + b], *mended[1 + c:1 + d]]
    return Spot(numbers, tuple(texts))


@dataclass(frozen=True, slots=True)
class Claim:
    """A place as it was written: `table` or "", `chain`, `number` or 0, and the words of a rule's text."""

    table: str
    chain: str
    number: int
    words: tuple[str, ...]

    @property
    def rule(self) -> str:
        """What of it names a rule, in words; "" where nothing does."""
        return f"rule {self.number}" if self.number else f"`{' '.join(self.words)}`" if self.words else ""

    def at(self, spots: dict[tuple[str, str], Spot]) -> list[Spot]:
        """What the fault has in the chain, in the table if one is named."""
        return [spot for (table, chain), spot in spots.items()
                if chain == self.chain and self.table in ("", table)]

    def fits(self, spot: Spot) -> bool:
        """Whether the rule that is named, if one is, is one that differs."""
        return ((not self.number or self.number in spot.numbers)
                and (not self.words or any(_holds(text, self.words) for text in spot.texts)))


def read(text: str, known: set[str]) -> Claim | str:
    """A claim from its text; a sentence where no chain is named, or several are. `known`: the names of all chains."""
    table = TABLE.search(text)
    rest = TABLE.sub(" ", text)
    command = COMMAND.search(rest)
    if command and command[1] in known:
        words = _words(rest[command.end():])
        named = table[1] if table else next((one for one in WORD.findall(rest[:command.start()]) if one in TABLES), "")
        return Claim(named, command[1], int(command[2] or 0), words)
    before, dash, options = rest.partition(" -")
    words = WORD.findall(before)
    names = list(dict.fromkeys(word for word in words if word in known))
    if not names:
        return f"`{text}` names no chain of this node, nor one that it should have."
    if len(names) > 1:
        return f"{', '.join(names)} are {len(names)} chains. A fault has one place: which rule, in which chain?"
    named = table[1] if table else next((word for word in words if word in TABLES), "")
    number = next((int(word) for word in words if NUMBER.fullmatch(word)), 0)
    return Claim(named, names[0], number, _words(dash + options))


def _words(text: str) -> tuple[str, ...]:
    """The words of a rule's text, without what stands for the rest of it."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.replace('"', "").split()
    return tuple(word.removesuffix("/32") for word in words if word.strip("….,;:"))


def _holds(text: str, words: tuple[str, ...]) -> bool:
    """Whether a rule's text holds all the words, in their order."""
    of = iter(_words(text))
    return all(word in of for word in words)

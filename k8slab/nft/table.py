"""The text of `nft list table ip kube-proxy` → chains, sets and maps.

Of nftables' language only what kube-proxy's table is made of: blocks of one table, whose lines begin with a tab for
each level. Rules stay text here; `follow` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from k8slab.errors import Told
from k8slab.packet import PROTOCOLS

PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
BLOCK = re.compile(r"(set|map|chain) (\S+) \{")
BASE = re.compile(r"type (filter|nat|route) hook (\w+) priority ([\w+\- ]+);(?: policy (\w+);)?")
ELEMENTS = re.compile(r'elements = \{((?:[^{}"]|"[^"]*")*)\}')
# An element that a rule has added (affinity) says when it goes.
ELEMENT = re.compile(r'(?P<key>[^:"]+?)\s*(?:(?:timeout|expires) \w+\s*)*(?:comment "[^"]*")?\s*'
                     r'(?::\s*(?P<verdict>.+?))?\s*')
# The names that nft knows for some ports, and takes as well as the numbers.
PORTS = {"domain": "53", "http": "80", "https": "443", "http-alt": "8080"}
NUMBER = re.compile(r"0|[1-9][0-9]*|0x[0-9a-fA-F]+")
NUMBERED = {number: name for name, number in PROTOCOLS.items()}
NAMED = {form: str(number) for name, number in PROTOCOLS.items() for form in (name, name.upper())}
LARGEST = {"inet_proto": 255, "inet_service": 65535}
# The parts of a key, as a set's type names them, in words.
WORDS = {"ipv4_addr": "address", "inet_proto": "protocol", "inet_service": "port"}
VERDICTS = ("accept", "drop", "return", "continue")


class NftError(Told, ValueError):
    """A text that is no table as kube-proxy writes it; the message says where, and what would be right."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: `rules`, each as its text. `kind`, `hook`, `priority`: of one that hangs on a hook, else "" and 0."""

    name: str
    rules: tuple[str, ...]
    kind: str = ""
    hook: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `sets`: the name of each set and map, to its elements: key → verdict, "" in a set."""

    chains: Mapping[str, Chain]
    sets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def at(self, hook: str) -> list[Chain]:
        """The chains that hang on a hook, in the order in which a packet meets them."""
        return sorted((one for one in self.chains.values() if one.hook == hook), key=lambda one: one.priority)


def read_table(text: str) -> Table:
    """Read a table.

    >>> read_table('table ip t {\\n\\tset s {\\ntype ipv4_addr\\nelements = { 10.96.0.1 }\\n\\t}\\n}').sets["s"]
    {'10.96.0.1': ''}

    Raises NftError for a text that is no such table, with the line; for an element that is none of its set's type, or
    is there twice; and for a verdict that leads to a chain that is not there.
    """
    if not isinstance(text, str) or not re.match(r"\s*table ip \S+ \{", text):
        raise NftError("this is not what `nft list table ip kube-proxy` prints: it begins with `table ip kube-proxy {`")
    chains: dict[str, Chain] = {}
    sets: dict[str, dict[str, str]] = {}
    for kind, name, lines in _blocks(text):
        if kind == "chain":
            chains[name] = _chain(name, lines)
        else:
            sets[name] = _elements(f"{kind} {name}", lines)
    table = Table(chains, sets)
    for name, elements in sets.items():
        for key, verdict in elements.items():
            check_verdict(table, verdict, f"{name}, element {key}")
    return table


def _blocks(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Each set, map and chain: what it is, its name, its lines."""
    head, lines, start = None, [], 0
    for number, line in enumerate(text.splitlines()[1:], 2):
        words = line.strip()
        opens = BLOCK.fullmatch(words)
        if opens and head:
            break
        if opens:
            head, lines, start = opens.groups(), [], number
        elif head and words == "}" and not line.startswith("\t\t"):
            yield *head, lines
            head = None
        elif head:
            lines += [words] if words else []
        elif words and words != "}" and not words.startswith("comment "):
            raise NftError(f"line {number}: `{words}` stands in no set, map or chain")
    if head:
        raise NftError(f"line {start}: {head[0]} {head[1]} has no end: a line with a tab and `}}` is wanted")


def _chain(name: str, lines: list[str]) -> Chain:
    rules = tuple(line for line in lines if not line.startswith(("type ", "comment ")))
    if base := next(filter(None, map(BASE.match, lines)), None):
        kind, hook, priority, policy = base.groups()
        if policy not in (None, "accept"):
            raise NftError(f"chain {name}: policy {policy} is none of kube-proxy's: its chains accept")
        return Chain(name, rules, kind, hook, _priority(name, priority))
    if typed := next((line for line in lines if line.startswith("type ")), ""):
        raise NftError(f"chain {name}: `{typed}` does not say type, hook and priority as nft lists them")
    return Chain(name, rules)


def _priority(name: str, text: str) -> int:
    """`dstnat - 10` → -110."""
    word, _, more = text.replace(" ", "").partition("-") if text[0] != "-" else (text, "", "")
    word, _, plus = word.partition("+")
    try:
        return PRIORITIES[word] + int(plus or 0) - int(more or 0) if word in PRIORITIES else int(word)
    except ValueError:
        raise NftError(f"chain {name}: priority {text} is not known; there are {', '.join(PRIORITIES)}") from None


def _elements(name: str, lines: list[str]) -> dict[str, str]:
    """The elements of a set or map; a key's parts are set apart by ` . `."""
    typed = next((line[5:] for line in lines if line.startswith("type ")), "")
    types = typed.partition(" : ")[0].split(" . ")
    if not set(types) <= set(WORDS):
        raise NftError(f"{name}: `type {typed}` is none of kube-proxy's: its keys are made of {', '.join(WORDS)}")
    found: dict[str, str] = {}
    for text in _listed(name, lines):
        match = ELEMENT.fullmatch(text)
        if not match:
            raise NftError(f"{name}: `{text}` is no element: a key, in a map then ` : ` and a verdict")
        key, verdict = _key(name, match["key"], types), " ".join((match["verdict"] or "").split())
        if name.startswith("map ") != bool(verdict):
            raise NftError(f"{name}: `{text}`: an element of a map has a verdict after ` : `, one of a set "
                           "has none")
        if key in found and found[key] != verdict:
            raise NftError(f"{name}: {key} is there twice, with two verdicts")
        found[key] = verdict
    return found


def _listed(name: str, lines: Sequence[str]) -> list[str]:
    """The text of each element; none where the block has no line of them."""
    start = next((at for at, line in enumerate(lines) if line.startswith("elements")), None)
    if start is None:
        return []
    match = ELEMENTS.fullmatch(" ".join(lines[start:]))
    listed = [one.strip() for one in re.findall(r'(?:[^,"]|"[^"]*")+', match[1])] if match else []
    if not any(listed):
        raise NftError(f"{name}: elements stand in braces: elements = {{ a, b }}")
    return listed if listed[-1] else listed[:-1]          # nft lets a comma stand behind the last one


def _key(name: str, text: str, types: Sequence[str]) -> str:
    """A key as packets have it: each part in the form of its type, with ` . ` between them."""
    parts = re.split(r"\s+\.\s+|\s*\.\s+|\s+\.\s*", text.strip())
    found = [_part(kind, part) for kind, part in zip(types, parts)]
    if len(parts) == len(types) and None not in found:
        return " . ".join(map(str, found))
    if len(types) > 1:
        says = ", ".join(WORDS[one] for one in types)
        raise NftError(f"{name}, `{text}`: No packet has this key. The {name.split()[0]}'s `type` says its parts: "
                       f"{says}, set apart by ` . `.")
    why = ("elements are set apart by commas" if re.search(r"\s", text) else
           "this set is of single ones, without `flags interval`" if re.search("[/-]", text) else "no packet has it")
    raise NftError(f"{name}: `{text}` is no {types[0]}: {why}")


def _part(kind: str, text: str) -> str | None:
    """A part of a key as packets have it, also where nft takes another word or form; None for what is none."""
    if kind == "ipv4_addr":
        try:
            return str(IPv4Address(text))
        except ValueError:
            return None
    text = {"inet_proto": NAMED, "inet_service": PORTS}[kind].get(text, text)
    number = int(text, 0) if NUMBER.fullmatch(text) else -1
    if not 0 <= number <= LARGEST[kind]:
        return None
    return NUMBERED.get(number, str(number)) if kind == "inet_proto" else str(number)


def check_verdict(table: Table, verdict: str, where: str) -> None:
    """Raise NftError for a verdict that is none, or that leads to a chain that is not there."""
    word, _, chain = verdict.partition(" ")
    if verdict and not (word in ("goto", "jump") and chain or verdict in VERDICTS):
        raise NftError(f"{where}: `{verdict}` is no verdict; there are goto CHAIN, jump CHAIN, {', '.join(VERDICTS)}")
    if chain and chain not in table.chains:
        raise NftError(f"{where}: there is no chain {chain} in this table")

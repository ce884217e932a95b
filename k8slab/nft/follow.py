"""One packet through the text of a table: the rules that are read, and the look-ups that they make.

Theory of operation
-------------------
A packet meets the chains of each hook in the order of their priorities. A rule is a row of expressions, read from left
to right; the first that does not hold ends the rule (STATEMENTS). `jump` comes back to the rule after it, `goto` does
not. `vmap` looks a verdict up, `map` a value, `@name` asks whether a key is in a set: each is one look-up, however many
elements there are, since nftables keeps them in hash tables. An expression that is not known stops the walk with a
sentence: nothing is guessed.

What is followed is the first packet of a new connection, so `ct state new` holds, and chains of type nat are read for
it. `numgen random` is drawn by the caller: `draw`. Sets that the rules fill themselves (affinity) are taken as listed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from k8slab.nft.table import Chain, NftError, Table, check_verdict, read_table
from k8slab.packet import UNKNOWN, Packet

DEEPEST = 16              # jumps within jumps that the kernel allows
# What nat chains settle at each hook, the first that translates, or else the last; once for a connection.
SETTLES = {"prerouting": "destination", "output": "destination", "input": "source", "postrouting": "source"}


@dataclass(frozen=True, slots=True)
class Read:
    """One rule that was read. `at`: the hook; `lookups`: how many it made; `verdict`: "" where it had none."""

    at: str
    chain: str
    position: int
    rule: str
    matched: bool
    verdict: str
    lookups: int


@dataclass(frozen=True, slots=True, repr=False)
class Followed:
    """A packet's way. `verdict`: DELIVERED (to the node), FORWARDED, DROPPED or REJECTED; `packet`: as it last was."""

    sent: Packet
    packet: Packet
    verdict: str
    masqueraded: bool
    reads: tuple[Read, ...]

    @property
    def rules(self) -> int:
        """How many rules were read."""
        return len(self.reads)

    @property
    def lookups(self) -> int:
        """How many look-ups in sets and maps they made."""
        return sum(one.lookups for one in self.reads)

    def __str__(self) -> str:
        to = f" to {self.packet.destination}" if self.verdict in ("DELIVERED", "FORWARDED") else ""
        source = ", with the node's source" if self.masqueraded and to else ""
        head = (f"{self.sent.source} asked {self.sent.destination} ({self.sent.proto}): {self.verdict}{to}{source}; "
                f"{self.rules} rules read, {self.lookups} look-ups")
        return "\n".join([head, *(f"  {one.chain} rule {one.position}: {one.rule}\n      -> {_became(one)}"
                                  for one in self.reads)])

    __repr__ = __str__


def _became(one: Read) -> str:
    return (one.verdict or "goes on") if one.matched else "does not match"


@dataclass(slots=True)
class _Way:
    """The packet on its way."""

    table: Table
    packet: Packet
    local: frozenset[str]
    iif: str
    draw: int
    mark: int = 0
    hook: str = ""
    masqueraded: bool = False
    settled: set[str] = field(default_factory=set)
    reads: list[Read] = field(default_factory=list)
    translated: bool = False
    verdict: str = ""
    lookups: int = 0


def follow(table: Table | str, packet: Packet, *, local: Sequence[str] = (), from_node: bool = False, iif: str = "",
           draw: int = 0) -> Followed:
    """Follow the first packet of a new connection through a node's table, which may be its text.

    `local`: the node's own addresses; what is not for one of them is forwarded. `from_node`: a program on the node
    sends it. `iif`: the interface that it came in on, where rules ask. `draw`: what `numgen random` gives, modulo N.

    Raises NftError for a text that is no table, and for a rule that is not known.
    """
    table = read_table(table) if isinstance(table, str) else table
    way = _Way(table, packet, frozenset(local), iif, draw)
    hooks = ["output", "postrouting"] if from_node else ["prerouting"]
    verdict = ""
    for hook in hooks:
        verdict = _pass(way, hook)
        if verdict:
            break
        if hook == "prerouting":
            hooks += ["input"] if way.packet.dst in way.local else ["forward", "postrouting"]
        elif from_node and hook == "postrouting" and way.packet.dst in way.local:
            hooks += ["prerouting"]      # out by lo, and in again
            from_node = False
    ended = verdict or ("DELIVERED" if hook == "input" else "FORWARDED")
    return Followed(packet, way.packet, ended, way.masqueraded, tuple(way.reads))


def _pass(way: _Way, hook: str) -> str:
    """Pass one hook: "" where the packet goes on, else the verdict that ended it."""
    way.hook = hook
    for chain in way.table.at(hook):
        if chain.kind == "nat" and SETTLES[hook] in way.settled:
            continue
        verdict = _walk(way, chain, 1)
        if verdict in ("drop", "reject"):
            return {"drop": "DROPPED", "reject": "REJECTED"}[verdict]
    way.settled.add(SETTLES.get(hook, ""))    # what no chain has translated stays as it is
    return ""


def _walk(way: _Way, chain: Chain, depth: int) -> str:
    """Read a chain's rules: "" at its end, else the verdict that ends the packet's way through this hook's chain."""
    if depth > DEEPEST:
        raise NftError(f"chain {chain.name}: more than {DEEPEST} jumps within each other, or a loop, which the kernel "
                       "refuses")
    for position, rule in enumerate(chain.rules, 1):
        way.verdict, way.lookups = "", 0
        matched = _evaluate(way, chain, rule)
        verdict = way.verdict if matched else ""
        way.reads.append(Read(way.hook, chain.name, position, rule, matched, verdict, way.lookups))
        word, _, target = verdict.partition(" ")
        if word in ("accept", "drop", "reject"):
            return word
        if word == "return":
            return ""
        if word in ("jump", "goto"):
            inner = _walk(way, way.table.chains[target], depth + 1)
            if inner or word == "goto":
                return inner
    return ""


def _evaluate(way: _Way, chain: Chain, rule: str) -> bool:
    """Read a rule from left to right, up to the first expression that does not hold."""
    rest = rule
    while rest:
        for pattern, statement in STATEMENTS:
            if match := pattern.match(rest):
                break
        else:
            raise NftError(f"chain {chain.name}: cannot tell what `{rest}` in the rule `{rule}` does; what is read "
                           "here is what kube-proxy writes for Services")
        if not statement(way, match, f"chain {chain.name}, rule `{rule}`"):
            return False
        rest = rest[match.end():].lstrip()
    return True


# What each expression does: True where the rule goes on.


def _part(way: _Way, name: str) -> str:
    """A packet's field as elements have it; what a packet does not have is in no set."""
    packet = way.packet
    port = "none" if packet.dport is None else str(packet.dport)
    return {"ip saddr": packet.src, "ip daddr": packet.dst, "meta l4proto": packet.proto, "th dport": port}[name]


def _look_up(way: _Way, match: re.Match, where: str) -> str | None:
    """The element of a set or map for the packet's key; None where there is none."""
    key = " . ".join(_part(way, name) for name in match["key"].split(" . "))
    if match["set"] not in way.table.sets:
        raise NftError(f"{where}: there is no set or map {match['set']}")
    way.lookups += 1
    return way.table.sets[match["set"]].get(key)


def _in_set(way: _Way, match: re.Match, where: str) -> bool:
    return (_look_up(way, match, where) is not None) != bool(match["no"])


def _by_map(way: _Way, match: re.Match, where: str) -> bool:
    way.verdict = _look_up(way, match, where) or ""
    return bool(way.verdict) and way.verdict != "continue"


def _in_range(way: _Way, match: re.Match, where: str) -> bool:
    """An address in a range, or in one of a list, which the kernel looks up as it does a set's."""
    words = [word.strip().split("-") for word in match["range"].strip("{} ").split(",")]
    way.lookups += match["range"].startswith("{")
    text = _part(way, match["key"])
    try:
        spans = [(ipaddress.IPv4Network(word[0])[0], ipaddress.IPv4Network(word[-1])[-1]) for word in words]
        inside = any(first <= ipaddress.IPv4Address(text) <= last for first, last in spans)
    except ValueError:
        raise NftError(f"{where}: cannot tell whether {text} is in {match['range']}") from None
    return inside != bool(match["no"])


def _by_interface(way: _Way, match: re.Match, where: str) -> bool:
    if not way.iif and way.hook != "output":
        raise NftError(f"{where}: cannot tell, since the interface that the packet came in on is not known")
    name = match["name"]
    same = way.iif.startswith(name[:-1]) if name.endswith("*") else way.iif == name
    return same != bool(match["no"])


def _set_mark(way: _Way, match: re.Match, where: str) -> bool:
    bits = int(match["bits"], 16)
    way.mark = way.mark | bits if match["how"] == "|" else way.mark ^ bits
    return True


def _masquerade(way: _Way, match: re.Match, where: str) -> bool:
    way.masqueraded, way.verdict = True, "accept"
    way.settled.add("source")
    way.packet = way.packet.replace(src=UNKNOWN, sport=None)
    return True


def _translate(way: _Way, to: Sequence[str], where: str) -> bool:
    try:
        address, port = to
        way.packet = way.packet.replace(dst=str(ipaddress.IPv4Address(address)), dport=int(port))
    except ValueError:
        raise NftError(f"{where}: `{' . '.join(to)}` is no address and port") from None
    way.translated, way.verdict = True, "accept"
    way.settled.add("destination")
    return True


def _drawn(way: _Way, match: re.Match, where: str) -> str | None:
    """What the number that is drawn leads to; None where the map has no such number."""
    way.lookups += 1
    pairs = [re.split(r"\s*:\s*", one.strip(), maxsplit=1) for one in match["choices"].split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise NftError(f"{where}: an element of its map is a number, ` : ` and what it leads to")
    return dict(pairs).get(str(way.draw % int(match["n"])))


def _translate_drawn(way: _Way, match: re.Match, where: str) -> bool:
    found = _drawn(way, match, where)
    return found is not None and _translate(way, re.split(r"\s+\.\s+", found), where)


def _go_drawn(way: _Way, match: re.Match, where: str) -> bool:
    way.verdict = _drawn(way, match, where) or ""
    check_verdict(way.table, way.verdict, where)
    return bool(way.verdict)


def _verdict(way: _Way, match: re.Match, where: str) -> bool:
    way.verdict = match[0].strip()
    check_verdict(way.table, way.verdict if way.verdict != "reject" else "drop", where)
    return True


_KEY = r"(?P<key>(?:ip saddr|ip daddr|meta l4proto|th dport)(?: \. (?:ip saddr|ip daddr|meta l4proto|th dport))*)"
_DRAW = r"numgen random mod (?P<n>[1-9]\d*)"
_PATTERNS: tuple[tuple[str, Callable[[_Way, re.Match, str], bool]], ...] = (
    (r"ct state new\b", lambda way, match, where: True),
    (r"ct status dnat\b", lambda way, match, where: way.translated),
    (rf"{_KEY} vmap @(?P<set>\S+)", _by_map),
    (rf"{_KEY} (?P<no>!= )?@(?P<set>\S+)", _in_set),
    (r"(?P<key>ip [sd]addr) (?P<no>!= )?(?P<range>\{[\d./, -]+\}|[\d./-]+)", _in_range),
    (r"meta l4proto (tcp|udp|sctp)\b(?! \.)", lambda way, match, where: way.packet.proto == match[1]),
    (r'iifname (?P<no>!= )?"(?P<name>[^"]+)"', _by_interface),
    (r"fib (?P<key>[sd]addr) type local\b", lambda way, match, where: _part(way, f"ip {match['key']}") in way.local),
    (r"meta mark & (0x[0-9a-f]+) != 0x0+\b", lambda way, match, where: bool(way.mark & int(match[1], 16))),
    (r"meta mark set meta mark (?P<how>[|^]) (?P<bits>0x[0-9a-f]+)", _set_mark),
    (r"masquerade( fully-random)?", _masquerade),
    (rf"dnat ip to {_DRAW} map \{{(?P<choices>[^}}]+)\}}", _translate_drawn),
    (r"dnat to ([\d.]+):(\d+)", lambda way, match, where: _translate(way, match.groups(), where)),
    (rf"{_DRAW} vmap \{{(?P<choices>[^}}]+)\}}", _go_drawn),
    (r"update @\S+ \{ ip saddr \}", lambda way, match, where: True),
    (r"(jump|goto) \S+|drop\b|reject\b|accept\b|return\b", _verdict),
    (r'comment "[^"]*"', lambda way, match, where: True),
)
STATEMENTS = tuple((re.compile(pattern), statement) for pattern, statement in _PATTERNS)

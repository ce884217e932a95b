"""What a test looks at, and the three answers it can give.

A test of a rule looks at a packet in a certain place: the hook's interfaces, the mark the packet carries,
what conntrack knows of it. All of that is one `Context`. The answer is None for a hit, a `Miss` with both
values, or `CannotTell` with the reason: nothing is ever guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from k8slab.iptables.kinds import WORDS, Kind
from k8slab.packet import Flow, Packet


class Place(NamedTuple):
    """Where a rule stands: its table, its chain, and its position in the chain from 1."""

    table: str
    chain: str
    position: int


@dataclass(frozen=True, slots=True)
class Context:
    """A packet at a hook, and what the node knows of it.

    `iif`, `oif`: interface names; "" where the hook has none, None where it is not known. `mark`, `connmark`:
    32-bit fwmark of the packet and of its connection. `ctstate`: NEW, ESTABLISHED, RELATED, INVALID or
    UNTRACKED; None where it is not known. `ctstatus`: of SNAT, DNAT, ASSURED, SEEN_REPLY, CONFIRMED,
    EXPECTED. `ctdir`: ORIGINAL or REPLY. `original`, `reply`: the tuples of the conntrack entry.
    `address_type(address, interface)`: LOCAL, UNICAST, BROADCAST, MULTICAST and so on, or None where it is
    not known; `interface` is None but for `--limit-iface-*`. `draw(threshold)`: a number in [0, 2**31) for
    `statistic --mode random`, which hits below the threshold; None where there is no source of chance.
    `memory`: the node's own memory of recent lists, nth counters and limits, which the tests read and change.
    `now`: seconds. `physin`, `physout`: bridge ports.

    >>> Context(Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443), iif="veth0", ctstate="NEW").mark
    0

    """

    packet: Packet
    iif: str | None = None
    oif: str | None = None
    mark: int = 0
    ctstate: str | None = None
    ctstatus: frozenset[str] = frozenset()
    ctdir: str | None = None
    original: Flow | None = None
    reply: Flow | None = None
    connmark: int = 0
    address_type: Callable[[str, str | None], str | None] = lambda address, interface: None
    draw: Callable[[int], int] | None = None
    memory: dict[Any, Any] = field(default_factory=dict)
    now: float = 0.0
    physin: str | None = None
    physout: str | None = None


class Miss(NamedTuple):
    """A test that missed. Its words are worked out only when asked for.

    `test` names what was compared: "destination address". `wanted` and `found` are words as the rule and a
    listing would write them, `wanted` with "not " where the rule negates.

    """

    test: str
    value: Any
    raw: Any
    kind: Kind = WORDS
    negated: bool = False

    @property
    def wanted(self) -> str:
        """What the rule asks for: `10.96.0.10`, or `not 10.244.0.0/16`."""
        return ("not " if self.negated else "") + self.kind.say(self.value)

    @property
    def found(self) -> str:
        """What the packet has: `10.96.0.1`."""
        return self.kind.found(self.raw)

    def __str__(self) -> str:
        relation = ("is" if self.negated else "is not") + (" in" if self.kind.within(self.value) else "")
        return f"{self.test} {self.found} {relation} {self.kind.say(self.value)}"


@dataclass(frozen=True, slots=True)
class CannotTell:
    """A test that could not be made. `reason` is a sentence: what is supported, or what to give."""

    test: str
    reason: str

    def __str__(self) -> str:
        return f"{self.test}: {self.reason}"


Answer = Miss | CannotTell | None

"""iptables-legacy: which iptables a lab uses, and the trace of rules that ip_tables itself reports.

Theory of operation
-------------------
`meta nftrace set 1` marks a packet for both: nf_tables reports it by its own trace, and ip_tables logs each rule that
a marked packet meets (`trace_packet` in net/ipv4/netfilter/ip_tables.c). So our nft table that switches the trace on
does so for legacy, too, and no TRACE rule stands in anybody's listing. The log goes to nfnetlink_log, group 0:

    TRACE: nat:PREROUTING:rule:1     table, chain, `rule`, `return` or `policy`, and a number that counts from 1

with the packet as it was before the rule. The number of a policy, or of the end of a user chain, is one more than the
chain has rules; a rule without a test whose target is ACCEPT, DROP or RETURN is called `policy` or `return` as well.

Only our nft table says where a packet's way through a host begins. `merged` deals the lines to these beginnings, by
what NAT leaves as it is of a packet, and by the order of the hooks.
"""

from __future__ import annotations

import functools
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from k8slab.iptables import Ruleset
from k8slab.kernel import netlink
from k8slab.kernel.events import CONTINUE, TABLE, Hit
from k8slab.kernel.jobs import ENVIRONMENT
from k8slab.kernel.netlink import attribute, attributes, number, text
from k8slab.kernel.stays import print_of

BACKENDS = ("auto", "nft", "legacy")
SUBSYSTEM_LOG, CONFIG, PACKET = 4, 1, 0                    # nfnetlink.h, nfnetlink_log.h
COMMAND, MODE, THRESHOLD = 1, 2, 5                         # NFULA_CFG_…
BIND, UNBIND, BIND_FAMILY = 1, 2, 3                        # NFULNL_CFG_CMD_…
HEADER, MARK, INDEV, OUTDEV, PAYLOAD, PREFIX = 1, 2, 4, 5, 9, 10      # NFULA_…
COPY_PACKET = 2
HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")   # netfilter.h, by number
# Where a hook and a table stand on a packet's way (netfilter_ipv4.h); nat at INPUT comes after filter.
PLACES = {"PREROUTING": 0, "OUTPUT": 0, "INPUT": 1, "FORWARD": 1, "POSTROUTING": 2}
TABLES = {"raw": 0, "mangle": 1, "nat": 2, "filter": 3, "security": 4}
STARTS = {"pre": {"PREROUTING", "INPUT", "FORWARD", "POSTROUTING"}, "out": {"OUTPUT", "POSTROUTING"}}


@functools.cache
def installed() -> str:
    """Which iptables is called `iptables` here: "legacy" or "nft", as `iptables -V` says."""
    try:
        said = subprocess.run(["iptables", "-V"], env=ENVIRONMENT, capture_output=True, text=True, check=False).stdout
    except OSError:
        return "nft"
    return "nft" if "nf_tables" in said else "legacy"


def named(words: list[str], backend: str, here: str) -> list[str]:
    """The words with the program's name for that backend, where `iptables` is `here` another one.

    >>> named(["iptables-save", "-t", "nat"], "legacy", "nft"), named(["ip", "route"], "legacy", "nft")
    (['iptables-legacy-save', '-t', 'nat'], ['ip', 'route'])
    """
    program, _, what = PurePosixPath(words[0]).name.partition("-")
    if backend == here or program != "iptables" or what not in ("", "save", "restore"):
        return words
    return ["-".join(filter(None, [program, backend, what])), *words[1:]]


class Line(NamedTuple):
    """One line of the log: `place` counts from 1, `data` is the packet from its IP header up."""

    host: str
    hook: str
    table: str
    chain: str
    place: int
    mark: int
    iif: str
    oif: str
    data: bytes


def listen() -> socket.socket:
    """A socket that hears the log of the network namespace that this thread is in. Raises OSError where it may not."""
    heard = netlink.listen()
    heard.setblocking(True)
    # The family's logger is chosen for the namespace; then the group is bound, and each packet comes at once and whole.
    _configure(heard, attribute(COMMAND, bytes([BIND_FAMILY])), socket.AF_INET)
    hush(heard, False)
    heard.setblocking(False)
    return heard


def hush(heard: socket.socket, quiet: bool) -> None:
    """Have the kernel log nothing, or have it log again."""
    heard.setblocking(True)
    if quiet:
        _configure(heard, attribute(COMMAND, bytes([UNBIND])))
    else:
        mode, threshold = struct.pack(">IBB", 0xFFFF, COPY_PACKET, 0), struct.pack(">I", 1)
        _configure(heard, attribute(COMMAND, bytes([BIND])) + attribute(MODE, mode) + attribute(THRESHOLD, threshold))
    heard.setblocking(False)


def _configure(heard: socket.socket, what: bytes, family: int = socket.AF_UNSPEC) -> None:
    netlink.ask(heard, netlink.netfilter(SUBSYSTEM_LOG, CONFIG, what, family, netlink.ACK))


def read_lines(host: str, data: bytes, names: Callable[[int], str]) -> Iterator[Line]:
    """The lines in a datagram; `names` gives an interface's name."""
    for kind, _, body in netlink.messages(data):
        found = attributes(body[4:])
        word, _, rest = text(found.get(PREFIX)).partition(" ")
        if kind != SUBSYSTEM_LOG << 8 | PACKET or word != "TRACE:":
            continue                     # a LOG rule of the learner's own
        table, chain, _, place = rest.strip().split(":")
        iif, oif = (names(number(found[key])) if key in found else "" for key in (INDEV, OUTDEV))
        yield Line(host, HOOKS[found[HEADER][2]], table, chain, int(place), number(found.get(MARK)), iif, oif,
                   found[PAYLOAD])


@dataclass(slots=True)
class _Way:
    """A packet's way through a host, as far as its lines are known. `at`: place of hook and table, and in the chain."""

    start: Hit
    at: tuple[int, int, int] = (-1, 0, 0)
    hits: list[Hit] = field(default_factory=list)

    def takes(self, line: Line) -> bool:
        """Whether the line can be the next of this packet's."""
        place, in_user_chain = _place(line, self.at), line.chain != line.hook
        return line.hook in STARTS[self.start.chain] and (place > self.at or in_user_chain and place == self.at)

    def take(self, line: Line, size: int) -> None:
        """The line is this packet's; its chain has `size` rules."""
        before, self.at = self.at, max(self.at, _place(line, self.at))
        first = before[:2] != self.at[:2]
        position = line.place if line.place <= size else 0
        kind = "rule" if position else "policy" if line.chain == line.hook else "return"
        length = (line.data[0] & 15) * 4
        headers = (line.data[:length], line.data[length:length + 20]) if first else (b"", b"")
        self.hits.append(Hit(line.host, self.start.packet, line.table, line.chain, position, kind, CONTINUE, "",
                             line.mark, line.iif, line.oif, *headers))


def _place(line: Line, at: tuple[int, int, int]) -> tuple[int, int, int]:
    """Where the line stands: place of hook, of table, and in the hook's own chain (half a rule on in another one)."""
    hook, table = PLACES[line.hook], TABLES[line.table] + 3 * (line.table == "nat" and line.hook == "INPUT")
    own = 2 * line.place if line.chain == line.hook else (at[2] | 1 if at[:2] == (hook, table) else 0)
    return hook, table, own


def merged(hits: list[Hit], lines: list[Line], sizes: Mapping[tuple[str, str, str], int],
           print_of: Callable[[bytes, bytes], tuple]) -> list[Hit]:
    """The hits that nf_tables would have reported: the beginnings in `hits`, and the lines dealt to them.

    `sizes`: host, table and chain → its number of rules. `print_of`: what NAT leaves as it is, of a packet's headers.
    """
    ways = [_Way(hit) for hit in hits if hit.table == TABLE and hit.network]
    queues: dict[tuple, list[_Way]] = {}
    for way in ways:
        queues.setdefault((way.start.host, print_of(way.start.network, way.start.transport)), []).append(way)
    for line in lines:
        length = (line.data[0] & 15) * 4
        queue = queues.get((line.host, print_of(line.data[:length], line.data[length:length + 20])), [])
        while queue and not queue[0].takes(line):
            queue.pop(0)
        if queue:
            queue[0].take(line, sizes.get((line.host, line.table, line.chain), 0))
    return [hit for way in ways for hit in (way.start, *way.hits)]


def hits(heard: list, backend: str, rules: Mapping[str, Ruleset]) -> list[Hit]:
    """The reports of rules among what was heard, in nf_tables' form whichever backend made them."""
    found = [one for one in heard if isinstance(one, Hit)]
    if backend == "nft":
        return found
    sizes = {(node, table.name, chain.name): len(chain.rules) for node, own in rules.items()
             for table in own.tables for chain in table.chains}
    return merged(found, [one for one in heard if isinstance(one, Line)], sizes, print_of)

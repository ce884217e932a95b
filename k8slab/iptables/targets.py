"""Every target that is understood, as one table, and what each does to a mark or an address.

A target's `kind` says what a walk does with it: "verdict" ends it (ACCEPT, DROP, REJECT), "return" goes back,
"jump" and "goto" go to the chain that is the target's name, "nat" rewrites and ends, "mark" and "connmark"
change marks, "ct" speaks to conntrack, "log" and "trace" report, "aside" changes what no walk reads, and
"unknown" is a target of which only the words are known. Where each may stand is checked as iptables-nft and the
kernel check it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from k8slab.iptables.errors import RulesError
from k8slab.iptables.kinds import CT_EVENT, LOG_LEVEL, MARK, NAME, REJECT_TYPE, Kind, number_kind, text_kind
from k8slab.iptables.options import Extension, Given, Option, Settings, Spec
from k8slab.iptables.shown import (checksum_shown, connmark_shown, ct_shown, dashless, log_shown, mss_shown, nat_shown,
                                   set_mark_shown)
from k8slab.iptables.values import (WHOLE, integer, read_mark, read_ports, read_quad, save_ports,
                                    save_whole_mark)
from k8slab.packet import dotted


@dataclass(frozen=True, slots=True)
class NatRange:
    """What a NAT target may choose from.

    `min_address`, `max_address`: dotted quads, both ends included; `min_port`, `max_port`: 0 to 65535; each
    None where the rule does not say. `base_port`: the port that is moved to min_port, and the others in step
    (`--to-destination :80-90/8000`).
    """

    min_address: str | None = None
    max_address: str | None = None
    min_port: int | None = None
    max_port: int | None = None
    random: bool = False
    random_fully: bool = False
    persistent: bool = False
    base_port: int | None = None

    def at(self, address: str) -> NatRange:
        """The same with one address: what MASQUERADE and REDIRECT take from the node."""
        return replace(self, min_address=address, max_address=address)


def read_nat(word: str) -> NatRange:
    """`10.0.0.1`, `10.0.0.1-10.0.0.9:80-90`, `:8080`, `:80-90/8000`."""
    addresses, colon, ports = word.partition(":")
    if word.count(":") > 1 or word[:1] == "[":
        raise RulesError("is an IPv6 address", "an IPv6 dump or rule; only IPv4 is supported", word)
    if not word or (not addresses and not ports):
        raise RulesError("is not an address to translate to",
                         "one looks like 10.0.0.1, 10.0.0.1-10.0.0.9 or 10.0.0.1:80",
                         word)
    first, dash, last = addresses.partition("-")
    low = dotted(read_quad(first, word)) if addresses else None
    high = dotted(read_quad(last, word)) if dash else low
    if not ports:
        return NatRange(low, high)
    ports, slash, base = ports.partition("/")
    base_port = integer(base, 0, 65535, "a port") if slash else None
    return NatRange(low, high, *read_ports(ports, "-"), base_port=base_port)


def save_nat(value: NatRange) -> str:
    """`10.0.0.1-10.0.0.9:80-90`, as iptables-save prints it."""
    text = value.min_address or ""
    if value.max_address != value.min_address:
        text += f"-{value.max_address}"
    if value.min_port is not None:
        text += ":" + save_ports((value.min_port, value.max_port), "-")
    return text if value.base_port is None else f"{text}/{value.base_port}"


class Target(Extension):
    """What a rule does with a packet that hits. `name` is the target, or the chain of a jump or goto.

    >>> Target("KUBE-MARK-MASQ", JUMP).kind
    'jump'

    """

    __slots__ = ()

    @property
    def kind(self) -> str:
        """What a walk does with it: see the head of this file."""
        return self.spec.kind if self.spec else "unknown"

    @property
    def nat(self) -> NatRange | None:
        """The range that DNAT, SNAT, MASQUERADE or REDIRECT may choose from; None for other targets."""
        if self.kind != "nat":
            return None
        ports = self.value("--to-ports", (None, None))
        given = self.value("--to-destination") or self.value("--to-source") or NatRange(None, None, *ports)
        return replace(given, random="--random" in self, random_fully="--random-fully" in self,
                       persistent="--persistent" in self)

    def new_mark(self, old: int) -> int:
        """`(old & ~mask) ^ value`, of `--set-xmark value/mask`; the mark as it was for other targets."""
        value, mask = self.value("--set-xmark", (0, 0))
        return (old & ~mask & WHOLE) ^ value

    def new_marks(self, mark: int, connmark: int) -> tuple[int, int]:
        """The packet's and the connection's mark after MARK or CONNMARK (xt_mark.c, xt_connmark.c)."""
        nf, ct = self.value("--nfmask", WHOLE), self.value("--ctmask", WHOLE)
        if "--save-mark" in self:
            return mark, (connmark & ~ct & WHOLE) ^ (mark & nf)
        if "--restore-mark" in self:
            return (mark & ~nf & WHOLE) ^ (connmark & ct), connmark
        return (self.new_mark(mark), connmark) if self.kind == "mark" else (mark, self.new_mark(connmark))

    @property
    def reject_with(self) -> str | None:
        """`icmp-port-unreachable`, `tcp-reset` and so on; None for targets other than REJECT."""
        return self.value("--reject-with")

    @property
    def notrack(self) -> bool:
        """Whether conntrack is told to leave the packet alone, and nothing more is asked of it."""
        return self.name == "NOTRACK" or [given.option.name for given in self.given] == ["--notrack"]

    def save(self) -> str:
        """`-j DNAT --to-destination 10.106.175.128:6443`, as iptables-save prints it."""
        return " ".join(("-g" if self.kind == "goto" else "-j", self.name, *self.save_options()))

    def check_tables(self, table: str) -> None:
        """Raise RulesError when the target may not stand in this table."""
        if self.spec and self.spec.tables and table not in self.spec.tables:
            raise RulesError(f"cannot stand in the table {table}",
                             f"{self.name} belongs to {self.spec.tables[0]}", self.name)
        if self.name == "DROP" and table == "nat":
            raise RulesError("cannot stand in the table nat",
                             "nat is not meant for filtering; drop in filter", self.name)

    @property
    def needs(self) -> tuple[int, ...]:
        """The protocols of which the rule's `-p` must give one, by their numbers; () where any will do."""
        for given in self.given:
            if given.option.kind is TO_PORTS or (given.option.kind is NAT and given.value.min_port is not None):
                return PORTED
            if given.value == "tcp-reset" and given.option is REJECT:
                return TCP
        return ()

    def check_protocol(self, protocol: int, negated: bool) -> None:
        """Raise RulesError when the target needs a protocol with ports, and the rule's `-p` is not one."""
        needs = self.needs
        if needs and (negated or protocol not in needs):
            what, which = ("a port", "tcp, udp or sctp") if needs is PORTED else ("tcp-reset", "tcp")
            raise RulesError(f"with {what} needs a protocol", f"write -p {which}", self.name)


PORTED = (6, 17, 132, 33)            # tcp, udp, sctp, dccp
TCP = (6,)


def _whole(word: str) -> int:
    return integer(word, 0, WHOLE, "a mark")


def _settle_connmark(given: Settings) -> None:
    if "--set-xmark" in given:
        return
    mask = given.pop("--mask", None)
    for name in ("--nfmask", "--ctmask"):
        option = next(option for option in CONNMARK if option.name == name)
        given.setdefault(name, Given(option, mask.value if mask else WHOLE))


def _arithmetic(name: str, read: Kind, *aliases: str) -> Option:
    return Option(name, read, into="" if name == "--set-xmark" else "--set-xmark", aliases=aliases)


def _set_mark(word: str) -> tuple[int, int]:
    value, mask = read_mark(word)
    return value, value | mask


NEW_MARK = (
    _arithmetic("--set-xmark", Kind(read_mark, save_whole_mark)),
    _arithmetic("--set-mark", replace(MARK, read=_set_mark)),
    _arithmetic("--and-mark", replace(MARK, read=lambda word: (0, ~_whole(word) & WHOLE))),
    _arithmetic("--or-mark", replace(MARK, read=lambda word: (_whole(word),) * 2)),
    _arithmetic("--xor-mark", replace(MARK, read=lambda word: (_whole(word), 0))),
)
MASK = Kind(_whole, lambda value: f"{value:#x}")
CONNMARK = (*NEW_MARK, Option("--save-mark"), Option("--restore-mark"), Option("--nfmask", MASK),
            Option("--ctmask", MASK),
            Option("--mask", MASK))

NAT = Kind(read_nat, save_nat)
TO_PORTS = Kind(lambda word: read_ports(word, "-"), lambda value: save_ports(value, "-"))
RANDOM, FULLY, PERSISTENT = Option("--random"), Option("--random-fully"), Option("--persistent")
ZONE = Kind(lambda word: word if word == "mark" else str(integer(word, 0, 65535, "a conntrack zone")))
EVENTS = replace(CT_EVENT, save=lambda names: ",".join(names).lower())
REJECT = Option("--reject-with", REJECT_TYPE)
BEFORE, AFTER = ("PREROUTING", "OUTPUT"), ("POSTROUTING", "INPUT")

JUMP, GOTO = Spec("jump", kind="jump"), Spec("goto", kind="goto")


def _nat(name: str, options: tuple[Option, ...], hooks: tuple[str, ...], needs: tuple[str, ...] = ()) -> Spec:
    return Spec(name, options, needs=needs, kind="nat", tables=("nat",), hooks=hooks, show=nat_shown)


TARGETS: dict[str, Spec] = {spec.name: spec for spec in (
    Spec("ACCEPT", kind="verdict"),
    Spec("DROP", kind="verdict"),
    Spec("RETURN", kind="return"),
    Spec("REJECT", (REJECT,), kind="verdict", defaults=(Given(REJECT, "icmp-port-unreachable"),),
         tables=("filter",), hooks=("INPUT", "FORWARD", "OUTPUT"),
         show=lambda target, numeric: f"reject-with {target.value('--reject-with')}"),
    _nat("DNAT", (Option("--to-destination", NAT), RANDOM, PERSISTENT), BEFORE, ("--to-destination",)),
    _nat("SNAT", (Option("--to-source", NAT), RANDOM, FULLY, PERSISTENT), AFTER, ("--to-source",)),
    _nat("MASQUERADE", (Option("--to-ports", TO_PORTS), RANDOM, FULLY), ("POSTROUTING",)),
    _nat("REDIRECT", (Option("--to-ports", TO_PORTS), RANDOM), BEFORE),
    Spec("MARK", NEW_MARK, needs=("--set-xmark",), kind="mark", show=set_mark_shown),
    Spec("CONNMARK", CONNMARK, needs=("--set-xmark", "--save-mark", "--restore-mark"),
         settle=_settle_connmark,
         excludes=(("--set-xmark", "--save-mark", "--restore-mark"),), kind="connmark", show=connmark_shown),
    Spec("CT", (Option("--notrack"), Option("--helper", NAME), Option("--timeout", NAME),
                Option("--ctevents", EVENTS), Option("--expevents", EVENTS), Option("--zone", ZONE),
                Option("--zone-orig", ZONE),
                Option("--zone-reply", ZONE)), excludes=(("--zone", "--zone-orig", "--zone-reply"),),
         kind="ct", tables=("raw",), hooks=("PREROUTING", "OUTPUT"), show=ct_shown),
    Spec("NOTRACK", kind="ct", tables=("raw",), hooks=("PREROUTING", "OUTPUT"),
         show=lambda target, numeric: "NOTRACK"),
    Spec("LOG", (Option("--log-prefix", text_kind(29, "a prefix", cut=True)),
                 Option("--log-level", LOG_LEVEL, omit=4),
                 Option("--log-tcp-sequence"), Option("--log-tcp-options"), Option("--log-ip-options"),
                 Option("--log-uid"), Option("--log-macdecode")), kind="log", show=log_shown),
    Spec("NFLOG", (Option("--nflog-prefix", text_kind(63, "a prefix", cut=True)),
                   Option("--nflog-group", number_kind(0, 65535, "a group"), omit=0),
                   Option("--nflog-range", number_kind(0, WHOLE, "a length")),
                   Option("--nflog-size", number_kind(0, WHOLE, "a length")),
                   Option("--nflog-threshold", number_kind(1, 65535, "a count"))), kind="log",
         show=dashless),
    Spec("TRACE", kind="trace"),
    Spec("CHECKSUM", (Option("--checksum-fill"),), needs=("--checksum-fill",), kind="aside", tables=("mangle",),
         show=checksum_shown),
    Spec("TCPMSS", (Option("--set-mss", number_kind(0, 65515, "a segment's size")), Option("--clamp-mss-to-pmtu")),
         needs=("--set-mss", "--clamp-mss-to-pmtu"), excludes=(("--set-mss", "--clamp-mss-to-pmtu"),),
         kind="aside", show=mss_shown),
)}

"""Every match that is understood, as one table.

`IP` are the tests of the rule itself (-s, -d, -i, -o, -p, -f), which the kernel makes first, in this order.
`MATCHES` are the extensions of `-m`. What each compares is in iptables-extensions(8) and the kernel's
net/netfilter/xt_*.c; the print forms are those of iptables 1.8.9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from k8slab.iptables.context import Answer, CannotTell, Context, Miss, Place
from k8slab.iptables.errors import RulesError
from k8slab.iptables.kinds import (ADDRESS_RANGE, ADDRESS_TYPE, CT_STATE, CT_STATUS, DIRECTION, FLAG, HOST, ICMP_TYPE,
                                   INTERFACE, MARK,
                                   MASK, NAME, NETWORK, PORT_LIST, PORTS, PROBABILITY, PROTOCOL,
                                   PROTOCOL_NUMBER, RATE,
                                   STATE, TCP_FLAG_TEST, Kind, number_kind, text_kind)
from k8slab.iptables.names import PROTOCOL_NUMBERS
from k8slab.iptables.options import Extension, Given, Option, Settings, Spec
from k8slab.iptables.shown import (addrtype_shown, dashless, icmp_shown, iprange_shown, limit_shown, mark_shown,
                                   multiport_shown, ports_shown, recent_shown, statistic_shown)
from k8slab.iptables.stateful import check_limit, check_recent, check_statistic
from k8slab.iptables.values import RATE_UNITS, WHOLE, integer, read_choice, read_ports, save_ports
from k8slab.packet import TCP_FLAGS, UNKNOWN, Flow, flow_port, number

NO_PORTS = "a packet of this protocol has no ports that could be compared"
NO_ADDRESS = "it was masqueraded, to an address that depends on the interface"
NO_ENTRY = "the conntrack entry of this packet is not known"
NO_BRIDGE = "physdev is supported where the bridge ports are given"
UNTRACKED = ("INVALID", "UNTRACKED")


def protocol_number(proto: str) -> int:
    """The IANA number of a Packet's or Flow's `proto`, which is a name or a decimal number."""
    return PROTOCOL_NUMBERS[proto] if proto in PROTOCOL_NUMBERS else int(proto)


def address_number(address: str) -> int | None:
    """An address as an integer, None for one that is not known."""
    return None if address == UNKNOWN else number(address)


def _flow(direction: str, read: Callable[[Flow], object]) -> Callable[[Context], object]:
    def look(ctx: Context) -> object:
        flow = getattr(ctx, direction)
        return None if flow is None else read(flow)
    return look


def _icmp(ctx: Context) -> tuple[int, int] | None:
    packet = ctx.packet
    return None if packet.icmp_type is None else (packet.icmp_type, packet.icmp_code or 0)


def _flags(ctx: Context) -> int:
    return sum(1 << TCP_FLAGS.index(letter) for letter in ctx.packet.flags if letter in TCP_FLAGS)


def _ports(read: Callable[[Context], tuple]) -> Callable[[Context], tuple | None]:
    def look(ctx: Context) -> tuple | None:
        ports = read(ctx)
        return None if None in ports else ports
    return look


IP = Spec("ip", (
    Option("-s", NETWORK, "source address", lambda ctx: address_number(ctx.packet.src), NO_ADDRESS,
           True, ("--source", "--src"), omit=(0, 0)),
    Option("-d", NETWORK, "destination address", lambda ctx: address_number(ctx.packet.dst), NO_ADDRESS,
           True, ("--destination", "--dst"), omit=(0, 0)),
    Option("-i", INTERFACE, "incoming interface", lambda ctx: ctx.iif,
           "give it with --in, or say --from-node", True, ("--in-interface",), omit="+"),
    Option("-o", INTERFACE, "outgoing interface", lambda ctx: ctx.oif, "give it with --out",
           True, ("--out-interface",), omit="+"),
    Option("-p", PROTOCOL, "protocol", lambda ctx: protocol_number(ctx.packet.proto), "",
           True, ("--protocol", "--proto"), omit=0),
    # A Packet is always whole: it is never a second or further fragment.
    Option("-f", FLAG, "fragment", lambda ctx: False, "", True, ("--fragment",)),
))

SPORT = Option("--sport", PORTS, "source port", lambda ctx: ctx.packet.sport, NO_PORTS, True,
               ("--source-port",))
DPORT = Option("--dport", PORTS, "destination port", lambda ctx: ctx.packet.dport, NO_PORTS, True,
               ("--destination-port",))


# What goes with what.

def _settle_recent(given: Settings) -> None:
    if ("--set" in given or "--remove" in given) and ("--seconds" in given or "--hitcount" in given):
        raise RulesError("--seconds and --hitcount go with --rcheck and --update only", "leave them out",
                         "recent")
    if "--rsource" not in given and "--rdest" not in given:
        given["--rsource"] = Given(RECENT["--rsource"], True)


def _settle_statistic(given: Settings) -> None:
    mode, needs = given["--mode"].value, {"random": "--probability", "nth": "--every"}
    if needs[mode] not in given:
        raise RulesError(f"is given no {needs[mode]}", f"--mode {mode} needs it", "statistic")
    if mode == "nth" and not 0 <= given["--packet"].value < given["--every"].value:
        raise RulesError("has a --packet that is not below --every", "--packet counts from 0", "statistic")


def _native_ports(match: Extension) -> tuple[Given, ...]:
    """The ports as nf_tables prints them: `! --dport 0:5` as `--dport 6:65535`, `0:65535` as nothing."""
    if "--tcp-option" in match:
        return match.given
    given = []
    for one in match.given:
        if one.option.kind is PORTS and one.value == (0, 65535):
            continue
        if one.option.kind is PORTS and one.negated and one.value[0] == 0 != one.value[1]:
            one = replace(one, value=(one.value[1] + 1, 65535), negated=False)
        if one.option.kind is not TCP_FLAG_TEST or one.value[0]:
            given.append(one)
    return tuple(given)


# Tests that look at more than one option.

def _check_conntrack(match: Extension, ctx: Context, place: Place) -> Answer:
    """Without an entry only the state can be compared, and where it is, nothing else is (xt_conntrack.c)."""
    stateless = ctx.ctstate in UNTRACKED
    unknown = None
    for given in match.given:
        if stateless and given.option.name != "--ctstate":
            if "--ctstate" in match:
                continue
            kind = replace(given.option.kind, found=str)
            return Miss(given.option.label, given.value, "of no conntrack entry", kind, False)
        answer = given.check(ctx, place)
        if isinstance(answer, Miss):
            return answer
        unknown = unknown or answer
    return unknown


def _check_connmark(match: Extension, ctx: Context, place: Place) -> Answer:
    """Without an entry there is no mark to compare, and `!` does not turn that into a hit (xt_connmark.c)."""
    given, = match.given
    if ctx.original is None:
        kind = replace(given.option.kind, found=str)
        return Miss(given.option.label, given.value, "of no conntrack entry", kind, given.negated)
    return given.check(ctx, place)


def _check_addrtype(match: Extension, ctx: Context, place: Place) -> Answer:
    """The type of an address, asked of the whole node or, with --limit-iface, of one interface."""
    interface = ctx.iif if "--limit-iface-in" in match else ctx.oif if "--limit-iface-out" in match else None
    if interface is None and ("--limit-iface-in" in match or "--limit-iface-out" in match):
        option = IP.names["-i" if "--limit-iface-in" in match else "-o"]
        return Given(option, "+").check(ctx, place)
    unknown = None
    for given in (given for given in match.given if given.option.kind is ADDRESS_TYPE):
        address, label = getattr(ctx.packet, given.option.name[2:5]), given.option.label
        found = None if address == UNKNOWN else ctx.address_type(address, interface)
        if found is None:
            why = f"whether {address} is this node's own is not known; say which addresses are with --local"
            unknown = unknown or CannotTell(label, why)
        elif (found in given.value) == given.negated:
            return Miss(f"{label} {address}", given.value, {found}, given.option.kind, given.negated)
    return unknown


def _conntrack_state(ctx: Context) -> set[str] | None:
    return None if ctx.ctstate is None else {ctx.ctstate} | (ctx.ctstatus & {"SNAT", "DNAT"})


def _of_entry(name: str, kind: Kind, label: str, direction: str, field: str) -> Option:
    """An option that compares one field of the entry's original or reply tuple."""
    convert = {"proto": protocol_number, "src": address_number, "dst": address_number}
    look = _flow(direction, lambda flow: convert[field](getattr(flow, field)) if field in convert
                 else flow_port(flow, field))
    return Option(name, kind, label, look, NO_ENTRY, True)


CONNTRACK = (
    Option("--ctstate", CT_STATE, "conntrack state", _conntrack_state, NO_ENTRY, True),
    _of_entry("--ctproto", PROTOCOL_NUMBER, "connection's protocol", "original", "proto"),
    _of_entry("--ctorigsrc", HOST, "original source", "original", "src"),
    _of_entry("--ctorigdst", HOST, "original destination", "original", "dst"),
    _of_entry("--ctreplsrc", HOST, "reply source", "reply", "src"),
    _of_entry("--ctrepldst", HOST, "reply destination", "reply", "dst"),
    _of_entry("--ctorigsrcport", PORTS, "original source port", "original", "sport"),
    _of_entry("--ctorigdstport", PORTS, "original destination port", "original", "dport"),
    _of_entry("--ctreplsrcport", PORTS, "reply source port", "reply", "sport"),
    _of_entry("--ctrepldstport", PORTS, "reply destination port", "reply", "dport"),
    Option("--ctstatus", CT_STATUS, "conntrack status",
           lambda ctx: None if ctx.ctstate is None else ctx.ctstatus, NO_ENTRY, True),
    Option("--ctexpire", Kind(lambda word: read_ports(word) if not word.isdigit() else
                              (integer(word, 0, WHOLE, "a number of seconds"),) * 2, save_ports),
           "time until the conntrack entry expires", lambda ctx: None, "--ctexpire is not supported", True),
    Option("--ctdir", DIRECTION, "direction", lambda ctx: ctx.ctdir, NO_ENTRY, True),
)

RECENT = {option.name: option for option in (
    Option("--set", negatable=True), Option("--rcheck", negatable=True), Option("--update", negatable=True),
    Option("--remove", negatable=True), Option("--seconds", number_kind(1, WHOLE, "a number of seconds")),
    Option("--reap"), Option("--hitcount", number_kind(1, 65535, "a number of packets")), Option("--rttl"),
    Option("--name", NAME), Option("--mask", MASK), Option("--rsource"), Option("--rdest"))}
STATISTIC = {option.name: option for option in (
    Option("--mode", Kind(read_choice({"random": "random", "nth": "nth"}, "a mode"))),
    Option("--probability", PROBABILITY, negatable=True),
    Option("--every", number_kind(1, WHOLE, "a count"), negatable=True),
    Option("--packet", number_kind(0, WHOLE, "a count")))}
LIMIT = Option("--limit", RATE)


def _physical(name: str, label: str, side: str, kind: Kind = INTERFACE) -> Option:
    def look(ctx: Context) -> object:
        port = getattr(ctx, side)
        return port if kind is INTERFACE or port is None else bool(port)
    return Option(name, kind, label, look, NO_BRIDGE, True)


def _bridged(ctx: Context) -> bool | None:
    return None if ctx.physin is None or ctx.physout is None else bool(ctx.physin and ctx.physout)


def _port_match(name: str, *more: Option, save: Callable | None = None) -> Spec:
    return Spec(name, (SPORT, DPORT, *more), protocols=(name,), save=save, show=ports_shown)


MATCHES: dict[str, Spec] = {spec.name: spec for spec in (
    _port_match("tcp",
                Option("--tcp-option", number_kind(1, 255, "a TCP option"), "TCP option", lambda ctx: None,
                              "a packet's TCP options are not modelled", True),
                Option("--tcp-flags", TCP_FLAG_TEST, "TCP flags", _flags, "", True),
                Option("--syn", replace(FLAG, read=lambda: (0x17, 0x02)), negatable=True, into="--tcp-flags"),
                save=_native_ports),
    _port_match("udp", save=_native_ports),
    _port_match("sctp", Option("--chunk-types", Kind(lambda mode, types: (mode, types), " ".join, words=2),
                               "SCTP chunk types", lambda ctx: None,
                               "a packet's SCTP chunks are not modelled", True)),
    Spec("multiport", (
        Option("--sports", PORT_LIST, "source port", _ports(lambda ctx: (ctx.packet.sport,)), NO_PORTS, True,
               ("--source-ports",)),
        Option("--dports", PORT_LIST, "destination port", _ports(lambda ctx: (ctx.packet.dport,)), NO_PORTS,
               True, ("--destination-ports",)),
        Option("--ports", PORT_LIST, "one of the ports",
               _ports(lambda ctx: (ctx.packet.sport, ctx.packet.dport)), NO_PORTS, True)),
        protocols=("tcp", "udp", "udplite", "sctp", "dccp"), plain_protocol=True,
        needs=("--sports", "--dports", "--ports"), excludes=(("--sports", "--dports", "--ports"),),
        show=multiport_shown),
    Spec("iprange", (
        Option("--src-range", ADDRESS_RANGE, "source address", lambda ctx: address_number(ctx.packet.src), NO_ADDRESS,
               True),
        Option("--dst-range", ADDRESS_RANGE, "destination address", lambda ctx: address_number(ctx.packet.dst),
               NO_ADDRESS, True)), needs=("--src-range", "--dst-range"), show=iprange_shown),
    Spec("icmp", (Option("--icmp-type", ICMP_TYPE, "ICMP type", _icmp, "this packet has none", True),),
         protocols=("icmp",), needs=("--icmp-type",), show=icmp_shown),
    Spec("comment", (Option("--comment", text_kind(255, "a comment")),), needs=("--comment",),
         show=lambda match, numeric: f"/* {match.value('--comment')} */"),
    Spec("conntrack", CONNTRACK, needs=tuple(option.name for option in CONNTRACK), check=_check_conntrack,
         show=dashless),
    Spec("state", (Option("--state", STATE, "conntrack state", _conntrack_state, NO_ENTRY, True),),
         needs=("--state",), show=dashless),
    Spec("mark", (Option("--mark", MARK, "mark", lambda ctx: ctx.mark, "", True),), needs=("--mark",),
         show=mark_shown),
    Spec("connmark", (Option("--mark", MARK, "connection's mark", lambda ctx: ctx.connmark, "", True),),
         needs=("--mark",), check=_check_connmark, show=mark_shown),
    Spec("addrtype", (Option("--src-type", ADDRESS_TYPE, "type of the source address", negatable=True),
                      Option("--dst-type", ADDRESS_TYPE, "type of the destination address", negatable=True),
                      Option("--limit-iface-in"), Option("--limit-iface-out")),
         needs=("--src-type", "--dst-type"), excludes=(("--limit-iface-in", "--limit-iface-out"),),
         check=_check_addrtype, show=addrtype_shown),
    Spec("statistic", tuple(STATISTIC.values()), needs=("--mode",), requires=(("--every", "--packet"),),
         excludes=(("--probability", "--every"), ("--probability", "--packet")), settle=_settle_statistic,
         check=check_statistic, stateful=True, show=statistic_shown),
    Spec("recent", tuple(RECENT.values()), needs=("--set", "--rcheck", "--update", "--remove"),
         requires=(("--reap", "--seconds"),),
         excludes=(("--set", "--rcheck", "--update", "--remove"), ("--rsource", "--rdest")),
         defaults=(Given(RECENT["--name"], "DEFAULT"), Given(RECENT["--mask"], WHOLE)),
         settle=_settle_recent, check=check_recent, stateful=True, show=recent_shown),
    Spec("physdev", (
        _physical("--physdev-is-in", "came in by a bridge port", "physin", FLAG),
        _physical("--physdev-in", "incoming bridge port", "physin"),
        _physical("--physdev-is-out", "goes out by a bridge port", "physout", FLAG),
        _physical("--physdev-out", "outgoing bridge port", "physout"),
        Option("--physdev-is-bridged", FLAG, "bridged", _bridged, NO_BRIDGE, True)),
        needs=("--physdev-in", "--physdev-is-in", "--physdev-out", "--physdev-is-out",
               "--physdev-is-bridged"),
        show=lambda match, numeric: f"PHYSDEV match {' '.join(match.save_options())}"),
    # The real program writes two blanks before the name. It counts, and always hits.
    Spec("nfacct", (Option("--nfacct-name", replace(NAME, save=lambda name: f" {name}")),),
         needs=("--nfacct-name",),
         show=lambda match, numeric: f"nfacct-name  {match.value('--nfacct-name')}"),
    Spec("limit", (LIMIT, Option("--limit-burst", number_kind(0, 10000, "a burst"), omit=5)),
         defaults=(Given(LIMIT, RATE_UNITS["hour"] // 3),), check=check_limit, stateful=True,
         show=limit_shown),
)}

"""Hypothesis strategies for rules of every match and target that is understood.

`rules()` draws one rule as people and programs write it: options in any order, long and short names, values
in the forms that iptables reads. `dumps()` draws restore input with several such rules. Each rule stands in
the user chain T, from which U can be reached, in a table where its target may stand. `nfacct` is drawn for
parsing only: its objects are made by another program, and without them the kernel refuses the rule.
"""

from __future__ import annotations

import string

from hypothesis import strategies as st

from k8slab.iptables.kinds import ADDRESS_TYPES, CT_EVENTS, STATES, STATUSES
from k8slab.iptables.names import ICMP_TYPES, LOG_LEVELS, REJECT_WITH
from k8slab.iptables.values import TCP_FLAGS
from k8slab.packet import dotted

TEXT = st.text(string.ascii_letters + string.digits + " _-/:>.,;'\"\\()!", min_size=1, max_size=24)
NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1,
                max_size=20).filter(lambda name: name[0] != "-")
NUMBERS = st.integers(0, 2**32 - 1)
PORTS = st.integers(0, 65535)
INTERFACES = st.sampled_from(["eth0", "lo", "veth+", "cni0", "abcdefghijklmno"])
QUADS = NUMBERS.map(dotted)
NUMBER_FORMS = (str, hex, lambda number: f"0x{number:08x}", lambda number: f"0{number:o}")


def quoted(text: str) -> str:
    """A text in the quotes of iptables-restore."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def maybe_not(option: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """An option, sometimes with a ! before it."""
    return st.tuples(st.sampled_from(["", "", "! "]), option).map("".join)


def with_value(names: str, values: st.SearchStrategy) -> st.SearchStrategy[str]:
    """One of several names of an option, and a value."""
    return st.tuples(st.sampled_from(names.split()), values.map(str)).map(" ".join)


def some_of(*options: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """At least one of some options, in any order, each once."""
    each = st.lists(st.sampled_from(range(len(options))), min_size=1, unique=True)
    return each.flatmap(lambda chosen: st.tuples(*(options[one] for one in chosen))).map(" ".join)


def then(*options: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Options of which each may be left out."""
    return st.tuples(*(st.one_of(st.just(""), option) for option in options)).map(" ".join)


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """All of some options, in order."""
    return st.tuples(*parts).map(" ".join)


def lists(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Names with commas between, in any order and either case."""
    some = st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True).map(",".join)
    return st.tuples(some, st.sampled_from([str.upper, str.lower])).map(lambda pair: pair[1](pair[0]))


def ranges(low: int = 0, high: int = 65535, separator: str = ":") -> st.SearchStrategy[str]:
    """A port, or a range with both ends, or with one."""
    port = st.integers(low, high)
    pair = st.tuples(port, port).map(sorted).filter(lambda ends: ends[0] < ends[1])
    return st.one_of(port.map(str), pair.map(lambda ends: f"{ends[0]}{separator}{ends[1]}"))


ADDRESSES = st.one_of(
    QUADS, st.tuples(QUADS, st.integers(1, 32)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.tuples(QUADS, st.sampled_from(["255.255.0.0", "255.0.255.0"])).map("/".join), st.just("10.0.0/24"))
HOSTS = st.one_of(QUADS, st.tuples(QUADS, st.integers(1, 32)).map(lambda pair: f"{pair[0]}/{pair[1]}"))
MARKS = st.one_of(
    st.tuples(NUMBERS, st.sampled_from(NUMBER_FORMS)).map(lambda pair: pair[1](pair[0])),
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: f"{pair[0]:#x}/{pair[1]}"), st.just("0x4000/0x4000"))
# The whole range is left out: nf_tables keeps nothing of a test that every packet passes, nor of its
# negation.
PORT_TESTS = ranges().filter(lambda text: text != "0:65535")
FLAGS = st.lists(st.sampled_from(TCP_FLAGS), min_size=1, unique=True).map(",".join)
FLAG_TEST = maybe_not(joined(st.just("--tcp-flags"), FLAGS, FLAGS))
CHANCES = st.floats(0, 1).map(lambda chance: f"{chance:.10f}")
UNITS = st.sampled_from(["s", "sec", "second", "min", "minute", "hour", "day"])
RATES = st.tuples(st.integers(1, 60), UNITS).map(lambda pair: f"{pair[0]}/{pair[1]}") | st.just("100")
PORT_OPTIONS = (maybe_not(with_value("--sport --source-port", PORT_TESTS)),
                maybe_not(with_value("--dport --destination-port", PORT_TESTS)))
RECENT_MASKS = st.sampled_from(["255.255.255.0", "255.255.255.255"])
RECENT_LIST = then(with_value("--name", NAMES), with_value("--mask", RECENT_MASKS),
                   st.sampled_from(["--rsource", "--rdest"]))


def _connection_options() -> tuple[st.SearchStrategy[str], ...]:
    names = ("--ctorigsrc", "--ctorigdst", "--ctreplsrc", "--ctrepldst")
    addresses = [maybe_not(with_value(name, HOSTS)) for name in names]
    return (maybe_not(with_value("--ctstate", lists(STATES))),
            maybe_not(with_value("--ctstatus", lists(STATUSES[1:]))), *addresses,
            with_value("--ctdir", st.sampled_from(["ORIGINAL", "REPLY"])),
            maybe_not(with_value("--ctproto", st.sampled_from(["tcp", "17", "icmp"]))))


def _connection_ports() -> st.SearchStrategy[str]:
    names = ("--ctorigsrcport", "--ctorigdstport", "--ctreplsrcport", "--ctrepldstport")
    ports = [maybe_not(with_value(name, PORT_TESTS)) for name in names]
    return joined(st.just("--ctproto tcp"), some_of(*ports))


# What may follow `-m NAME`, and the protocols of which the match needs one.
MATCH_OPTIONS: dict[str, st.SearchStrategy[str]] = {
    "tcp": st.one_of(st.just(""), some_of(*PORT_OPTIONS, maybe_not(st.just("--syn")) | FLAG_TEST)),
    "udp": st.one_of(st.just(""), some_of(*PORT_OPTIONS)),
    "sctp": st.one_of(st.just(""), some_of(*PORT_OPTIONS)),
    "icmp": maybe_not(with_value("--icmp-type", st.one_of(
        st.sampled_from(sorted(ICMP_TYPES)), st.integers(0, 254), st.just("3/4"), st.just("8/0")))),
    "multiport": maybe_not(with_value("--sports --source-ports --dports --ports", st.lists(
        PORT_TESTS, min_size=1, max_size=7).map(",".join))),
    "comment": with_value("--comment", TEXT.map(quoted) | NAMES | st.just("default/kubernetes:https")),
    "conntrack": st.one_of(some_of(*_connection_options()), _connection_ports()),
    "state": maybe_not(with_value("--state", lists(STATES[:5]))),
    "mark": maybe_not(with_value("--mark", MARKS)),
    "connmark": maybe_not(with_value("--mark", MARKS)),
    "addrtype": joined(
        some_of(maybe_not(with_value("--src-type", lists(ADDRESS_TYPES))),
                maybe_not(with_value("--dst-type", lists(ADDRESS_TYPES)))),
        st.sampled_from(["", "", "--limit-iface-in", "--limit-iface-out"])),
    "statistic": st.one_of(
        joined(st.just("--mode random"), maybe_not(with_value("--probability", CHANCES))),
        st.tuples(st.integers(1, 9), st.integers(0, 8), st.sampled_from(["", "! "])).map(
            lambda t: f"--mode nth {t[2]}--every {t[0]} --packet {t[1] % t[0]}")),
    "recent": joined(
        st.one_of(maybe_not(st.sampled_from(["--set", "--remove"])),
                  joined(maybe_not(st.sampled_from(["--rcheck", "--update"])),
                         st.one_of(st.just(""), st.integers(1, 100000).map(lambda n: f"--seconds {n}"),
                                   st.integers(1, 100000).map(lambda n: f"--seconds {n} --reap")),
                         then(with_value("--hitcount", st.integers(1, 255)), st.just("--rttl")))),
        RECENT_LIST),
    "physdev": some_of(maybe_not(with_value("--physdev-in", INTERFACES)),
                       maybe_not(st.just("--physdev-is-in")),
                       maybe_not(with_value("--physdev-out", INTERFACES)),
                       maybe_not(st.just("--physdev-is-out")),
                       maybe_not(st.just("--physdev-is-bridged"))),
    "iprange": some_of(*(maybe_not(with_value(name, st.one_of(QUADS, st.tuples(QUADS, QUADS).map("-".join))))
                         for name in ("--src-range", "--dst-range"))),
    "nfacct": with_value("--nfacct-name", NAMES),
    "limit": then(with_value("--limit", RATES), with_value("--limit-burst", st.integers(1, 10000))),
}
PORTED = ["tcp", "udp", "sctp"]
PROTOCOLS = {"tcp": ["tcp"], "udp": ["udp"], "sctp": ["sctp"], "icmp": ["icmp"], "multiport": PORTED}


def _nat_range() -> st.SearchStrategy[str]:
    addresses = st.one_of(QUADS, st.tuples(QUADS, QUADS).map("-".join))
    return st.one_of(addresses, st.tuples(addresses, ranges(separator="-")).map(":".join),
                     ranges(separator="-").map(lambda text: ":" + text))


def _nat(option: str, *flags: str) -> st.SearchStrategy[str]:
    return joined(with_value(option, _nat_range()), then(*map(st.just, flags)))


SET_MARK = with_value("--set-mark --set-xmark", MARKS) | \
    with_value("--and-mark --or-mark --xor-mark", NUMBERS.map(hex))
EVENTS = lists(CT_EVENTS).map(str.lower)
LOG_FLAGS = ("--log-tcp-sequence", "--log-tcp-options", "--log-ip-options", "--log-uid", "--log-macdecode")
# What may follow `-j NAME`, and the table in which it may stand.
TARGET_OPTIONS: dict[str, tuple[str, st.SearchStrategy[str]]] = {
    "ACCEPT": ("", st.just("")), "DROP": ("filter", st.just("")), "RETURN": ("", st.just("")),
    "U": ("", st.just("")),
    "REJECT": ("filter", st.just("") | with_value("--reject-with", st.sampled_from(
        sorted((set(REJECT_WITH) | set(REJECT_WITH.values())) - {"tcp-reset", "tcp-rst"})))),
    "DNAT": ("nat", _nat("--to-destination", "--random", "--persistent")),
    "SNAT": ("nat", _nat("--to-source", "--random", "--random-fully", "--persistent")),
    "MASQUERADE": ("nat", then(with_value("--to-ports", ranges(1, separator="-")), st.just("--random"),
                               st.just("--random-fully"))),
    "REDIRECT": ("nat", then(with_value("--to-ports", ranges(1, separator="-")), st.just("--random"))),
    "MARK": ("", SET_MARK),
    "CONNMARK": ("", SET_MARK | st.sampled_from(["--save-mark", "--restore-mark"]).flatmap(
        lambda name: then(with_value("--nfmask", NUMBERS), with_value("--ctmask", NUMBERS.map(hex))).map(
            lambda masks: f"{name} {masks}")) | st.just("--save-mark --mask 0xff")),
    "CT": ("raw", joined(then(st.just("--notrack"), with_value("--ctevents", EVENTS)),
                         then(with_value("--zone --zone-orig --zone-reply", st.integers(1, 65535))))),
    "CHECKSUM": ("mangle", st.just("--checksum-fill")),
    "TCPMSS": ("", st.just("--clamp-mss-to-pmtu") | with_value("--set-mss", st.integers(0, 65515))),
    "NOTRACK": ("raw", st.just("")), "TRACE": ("raw", st.just("")),
    "LOG": ("", then(with_value("--log-prefix", TEXT.map(quoted)),
                     with_value("--log-level", st.sampled_from(sorted(LOG_LEVELS)) | st.integers(0, 7)),
                     *map(st.just, LOG_FLAGS))),
    "NFLOG": ("", then(with_value("--nflog-prefix", TEXT.map(quoted)), with_value("--nflog-group", PORTS),
                       with_value("--nflog-size", st.integers(1, 65535)),
                       with_value("--nflog-threshold", st.integers(1, 65535)))),
}
PLAIN = ["", "tcp", "udp", "17", "sctp", "icmp", "47", "all"]
NEEDS_PORTS = ("DNAT", "SNAT", "MASQUERADE", "REDIRECT")
BASE = (maybe_not(with_value("-s --source --src", ADDRESSES)),
        maybe_not(with_value("-d --destination --dst", ADDRESSES)),
        maybe_not(with_value("-i --in-interface", INTERFACES)),
        maybe_not(with_value("-o --out-interface", INTERFACES)),
        maybe_not(st.just("-f")))


@st.composite
def rules(draw: st.DrawFn, match: str | None = None, target: str | None = None,
          kernel: bool = False) -> tuple[str, str]:
    """A (table, rule) pair; `match` and `target` name what it has to have, `kernel` leaves nfacct out."""
    names = [name for name in MATCH_OPTIONS if not (kernel and name == "nfacct")]
    chosen = [match] * bool(match) + draw(st.lists(st.sampled_from(names), max_size=2))
    chosen = list(dict.fromkeys(chosen))
    target = target or draw(st.sampled_from(["", *TARGET_OPTIONS]))
    wanted = [set(PROTOCOLS[name]) for name in chosen if name in PROTOCOLS]
    wanted += [set(PORTED)] * (target in NEEDS_PORTS) + [{"tcp"}] * (target == "TCPMSS")
    protocols = sorted(set.intersection(*wanted)) if wanted else PLAIN
    if not protocols:               # two matches that no one protocol fits: keep the one that was asked for
        chosen = chosen[:1]
        protocols = sorted(set(PROTOCOLS.get(chosen[0], PORTED)) & set(PORTED) or {"icmp"})
        target = "" if "icmp" in protocols and target in NEEDS_PORTS or target == "TCPMSS" else target
    protocol = draw(st.sampled_from(protocols))
    if "conntrack" in chosen and "state" in chosen:
        chosen.remove("state" if match != "state" else "conntrack")
    if target == "TCPMSS":          # the legacy program wants a test for SYN beside it
        target = "" if match == "tcp" else target
        chosen = [name for name in chosen if name != "tcp" or match == "tcp"]
    table, options = TARGET_OPTIONS.get(target, ("", st.just("")))
    parts = [[draw(base)] for base in draw(st.lists(st.sampled_from(BASE), max_size=2, unique=True))]
    parts += [[f"-m {name} {draw(MATCH_OPTIONS[name])}"] for name in chosen]
    parts = draw(st.permutations(parts))
    if protocol:
        # The real program looks for -p while it reads multiport's ports, and for all others at the end.
        latest = next((at for at, part in enumerate(parts) if part[0].startswith("-m multiport")), len(parts))
        parts.insert(draw(st.integers(0, latest)), [draw(st.sampled_from(["-p ", "--protocol "])) + protocol])
    if target:
        option = "-g" if target == "U" and draw(st.booleans()) else "-j"
        syn = "-m tcp --syn " * (target == "TCPMSS")
        parts.append([f"{syn}{option} {target} {draw(options)}"])
    text = " ".join(["-A T", *(part[0] for part in parts)])
    return table or draw(st.sampled_from(["mangle", "raw", "filter", "nat"])), " ".join(text.split(" "))


@st.composite
def dumps(draw: st.DrawFn, size: int = 12, **wanted: object) -> str:
    """Restore input with up to `size` rules, each in its table."""
    drawn = draw(st.lists(rules(**wanted), min_size=1, max_size=size))
    lines = []
    for table in ("mangle", "raw", "filter", "nat"):
        if found := [text for name, text in drawn if name == table]:
            lines += [f"*{table}", ":T - [0:0]", ":U - [0:0]", *found, "COMMIT"]
    return "\n".join([*lines, ""])

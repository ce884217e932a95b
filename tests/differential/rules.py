"""Random rules that the packets of a case are likely to meet: every match, target, hook and policy."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from k8slab.iptables.names import REJECT_WITH, TABLES

PORTS = (443, 6443, 8080, 53, 81, 30080)
WIDE = ("10.244.0.0/16", "10.96.0.0/16", "10.106.175.0/24", "10.0.0.0/8", "0.0.0.0/0")
INWARD, OUTWARD = ("PREROUTING", "INPUT", "FORWARD"), ("FORWARD", "OUTPUT", "POSTROUTING")
DESTINATION, SOURCE = ("PREROUTING", "OUTPUT"), ("INPUT", "POSTROUTING")


class Words:
    """What rules may name: the addresses and interfaces of the case."""

    def __init__(self, random: Random, addresses: tuple[str, ...], interfaces: tuple[str, ...]) -> None:
        self.random, self.addresses, self.interfaces = random, addresses, interfaces

    def any(self, *values):
        return self.random.choice(values)

    def maybe_not(self) -> str:
        return self.any("", "", "! ")

    def address(self) -> str:
        return self.any(*self.addresses, *WIDE[:3])

    def port(self) -> int:
        return self.any(*PORTS)

    def mark(self) -> str:
        return self.any("0x1", "0x4000", "0x4000/0x4000", "0x0/0xff", "0x3/0x1")


def _ports(w: Words) -> str:
    low = w.port()
    side = w.any("--sport 20000:29999", "--dport 1:1024", f"--dport {low}", f"--dport {low}:{low + 100}",
                 "--sport 40000:60000")
    return f"{w.maybe_not()}{side}"


def _tcp_flags(w: Words) -> str:
    return f"-p tcp -m tcp {w.maybe_not()}{w.any('--syn', '--tcp-flags SYN,ACK SYN', '--tcp-flags FIN,RST,ACK ACK')}"


def _conntrack(w: Words) -> str:
    option = w.any(
        f"--ctstate {w.any('NEW', 'ESTABLISHED', 'RELATED,ESTABLISHED', 'INVALID', 'UNTRACKED', 'DNAT', 'SNAT,NEW')}",
        f"--ctorigdst {w.address()}", f"--ctorigsrc {w.address()}", f"--ctreplsrc {w.address()}",
        f"--ctrepldst {w.address()}", f"--ctstatus {w.any('NONE', 'CONFIRMED', 'SEEN_REPLY', 'ASSURED')}",
        f"--ctproto {w.any('tcp', 'udp', 'icmp')}", f"--ctorigdstport {w.port()}", f"--ctreplsrcport {w.port()}")
    direction = w.any("", "", f" --ctdir {w.any('ORIGINAL', 'REPLY')}")
    return f"-m conntrack {w.maybe_not()}{option}{direction}"


def _recent(w: Words) -> str:
    action = w.any("--set", "--rcheck --seconds 3600", "--update --seconds 3600 --hitcount 2", "--remove", "--rcheck")
    return f"-m recent {w.maybe_not() if '--hitcount' not in action else ''}{action} --name {w.any('a', 'b')} --rsource"


def _addrtype(w: Words) -> str:
    inverted, side = w.maybe_not(), w.any("--dst-type", "--src-type")
    return f"-m addrtype {inverted}{side} {w.any('LOCAL', 'UNICAST', 'LOCAL,BROADCAST')}"


def _multiport(w: Words) -> str:
    ports = w.any("443,6443", "1:1024,8080", "20000:29999,53")
    return f"-p {w.any('tcp', 'udp')} -m multiport {w.maybe_not()}{w.any('--dports', '--sports', '--ports')} {ports}"


def _statistic(w: Words) -> str:
    return "-m statistic " + w.any("--mode random --probability 0.5", "--mode random ! --probability 0.3",
                                   "--mode nth --every 2 --packet 0", "--mode nth --every 3 --packet 1")


# What a rule may ask, by the match's name; `-i` and `-o` are added where the hook has them.
TESTS: dict[str, Callable[[Words], str]] = {
    "source": lambda w: f"{w.maybe_not()}-s {w.address()}", "destination": lambda w: f"{w.maybe_not()}-d {w.address()}",
    "protocol": lambda w: w.any("-p tcp", "-p udp", "-p icmp", "! -p tcp", "-p 253"),
    "tcp": lambda w: f"-p tcp -m tcp {_ports(w)}", "flags": _tcp_flags, "udp": lambda w: f"-p udp -m udp {_ports(w)}",
    "sctp": lambda w: f"-p sctp -m sctp {_ports(w)}",
    "icmp": lambda w: f"-p icmp -m icmp {w.maybe_not()}--icmp-type {w.any('8', '0', '3', '3/3', '11/0')}",
    "multiport": _multiport, "conntrack": _conntrack, "addrtype": _addrtype, "recent": _recent, "statistic": _statistic,
    "state": lambda w: f"-m state {w.maybe_not()}--state {w.any('NEW', 'ESTABLISHED', 'INVALID', 'RELATED')}",
    "mark": lambda w: f"-m mark {w.maybe_not()}--mark {w.mark()}",
    "connmark": lambda w: f"-m connmark {w.maybe_not()}--mark {w.mark()}",
    "iprange": lambda w: f"-m iprange {w.maybe_not()}{w.any('--src-range', '--dst-range')} "
                         f"{w.any('10.244.0.0-10.244.1.9', '10.96.0.1-10.96.0.9', w.address().partition('/')[0])}",
    "limit": lambda w: f"-m limit --limit 1/hour --limit-burst {w.any(1, 2, 3)}",
    "comment": lambda w: '-m comment --comment "a word"',
}
GROUPS = ("protocol", "tcp", "flags", "udp", "sctp", "icmp", "multiport")      # of these a rule has one: each says -p


def _tests(w: Words, hook: str) -> str:
    names = w.random.sample(list(TESTS), w.any(0, 1, 1, 2, 3))
    if w.random.random() < 0.12:
        names = ["mark"]                     # what another node has marked must not be seen: ask often
    first = next((name for name in names if name in GROUPS), "")
    names.sort(key=lambda name: name == "statistic")        # last: whether it hit is seen by whether the rule did
    made = {name: TESTS[name](w) for name in names if name == first or name not in GROUPS}
    if "statistic" in made:                  # nobody sees whether a draw was made after a test that remembers
        made = {name: words for name, words in made.items() if name not in ("limit", "recent")}
    words = list(made.values())
    if w.random.random() < 0.2 and hook in INWARD:
        words.insert(0, f"{w.maybe_not()}-i {w.any(*w.interfaces)}")
    if w.random.random() < 0.2 and hook in OUTWARD:
        words.insert(0, f"{w.maybe_not()}-o {w.any(*w.interfaces)}")
    return " ".join(words)


def _marks(w: Words) -> str:
    return w.any("MARK --set-xmark 0x4000/0x4000", "MARK --set-mark 0x1", "MARK --or-mark 0x2", "MARK --and-mark 0xf",
                 "MARK --xor-mark 0x4000")


def _connmarks(w: Words) -> str:
    return w.any("CONNMARK --save-mark", "CONNMARK --restore-mark", "CONNMARK --set-mark 0x1",
                 "CONNMARK --set-xmark 0x4000/0x4000")


def _asides(hook: str, tests: str) -> list[str]:
    """Targets that change what no rule reads: where TCPMSS may not stand, the kernel refuses the whole table."""
    mss = "-p tcp" in tests and "! -p tcp" not in tests and hook in OUTWARD
    return ["CHECKSUM --checksum-fill"] + ["TCPMSS --set-mss 1300", "TCPMSS --clamp-mss-to-pmtu"] * mss


def _targets(w: Words, table: str, hook: str, tests: str) -> list[str]:
    """Every target that may stand here."""
    end = ["ACCEPT", "ACCEPT", "RETURN", "LOG", "NFLOG", ""]
    if table != "nat":
        end.append("DROP")
    if table == "mangle":
        end += [_marks(w), _marks(w), _connmarks(w)] + _asides(hook, tests)
    if table == "raw":
        end += ["CT --notrack", "NOTRACK", "TRACE"]
    if table == "filter":
        kinds = [kind for kind in REJECT_WITH if kind != "tcp-reset" or "-p tcp" in tests and "! -p tcp" not in tests]
        end += [f"REJECT --reject-with {w.any(*kinds)}", _connmarks(w)]
    if table == "nat":
        end += _translations(w, hook, tests)
    return end


def _translations(w: Words, hook: str, tests: str) -> list[str]:
    ported = any(p in tests for p in ("-p tcp", "-p udp")) and "! -p" not in tests
    port = f":{w.port()}" if ported else ""
    to = w.any(*w.addresses)
    if hook in DESTINATION:
        redirect = f" --to-ports {w.port()}" if ported else ""
        return [f"DNAT --to-destination {to}{port}", f"DNAT --to-destination {to}", f"REDIRECT{redirect}"] * 2
    ports = " --to-ports 50000-50100" if ported else ""
    found = [f"SNAT --to-source {to}", f"SNAT --to-source {to}{':50000-50010' if ported else ''}"]
    if hook == "POSTROUTING":
        found += ["MASQUERADE", "MASQUERADE --random-fully", f"MASQUERADE{ports}"] * 2
    return found


def ruleset(w: Words) -> str:
    """A whole set of rules, as text for `iptables-restore`: some tables, some hooks, user chains, policies."""
    lines = []
    for table, hooks in TABLES.items():
        if w.random.random() < (0.75 if table in ("nat", "filter") else 0.35):
            lines += _table(w, table, hooks)
    return "\n".join(lines) + "\n" if lines else "*filter\nCOMMIT\n"


def _table(w: Words, table: str, hooks: tuple[str, ...]) -> list[str]:
    chains, rules = [], []
    for hook in hooks:
        policy = "DROP" if table != "nat" and w.random.random() < 0.06 else "ACCEPT"
        chains.append(f":{hook} {policy} [0:0]")
        if w.random.random() < 0.3:
            continue
        users = [f"{hook[:4]}-{n}" for n in range(w.any(0, 1, 2, 3))]
        chains += [f":{name} - [0:0]" for name in users]
        for at, chain in enumerate([hook, *users]):
            many = w.any(0, 1, 2, 3, 4) if at else w.any(1, 2, 3)
            rules += [_rule(w, table, hook, chain, users[at:]) for _ in range(many)]
    return [f"*{table}", *chains, *rules, "COMMIT"]


def _rule(w: Words, table: str, hook: str, chain: str, below: list[str]) -> str:
    tests = _tests(w, hook)
    if table == "mangle" and w.random.random() < 0.25:
        return f"-A {chain} -j {_marks(w)}"
    if below and w.random.random() < 0.4:
        way = w.any("-j", "-j", "-g") if chain != hook or w.random.random() < 0.5 else "-j"
        return f"-A {chain} {tests} {way} {w.any(*below)}".replace("  ", " ")
    target = w.any(*_targets(w, table, hook, tests))
    return f"-A {chain} {tests}{f' -j {target}' if target else ''}".replace("  ", " ").rstrip()

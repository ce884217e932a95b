"""How often each match hit and missed, and each target, hook and policy came up, in the traces of many cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from k8slab.iptables import read_rule
from k8slab.iptables.names import TABLES
from k8slab.trace import Trace

# A test of `-s`, `-p` and their like has no match of its own; a miss names it by these words.
PLAIN = {"source address": "-s", "destination address": "-d", "incoming interface": "-i", "outgoing interface": "-o",
         "protocol": "-p"}
MATCHES = ("-s", "-d", "-i", "-o", "-p", "tcp", "udp", "sctp", "icmp", "multiport", "conntrack", "state", "addrtype",
           "mark", "connmark", "recent", "statistic", "limit", "iprange")
TARGETS = ("ACCEPT", "DROP", "REJECT", "RETURN", "jump", "goto", "MARK", "CONNMARK", "CT", "LOG", "NFLOG", "TRACE",
           "CHECKSUM", "TCPMSS", "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "none")
WANTED = 10


def count(traces: Iterable[Trace]) -> Counter:
    """Keys are pairs: ("hit", match), ("miss", match), ("target", name), ("hook", "nat INPUT"), ("policy", "DROP")."""
    found: Counter = Counter()
    for trace in traces:
        for step in trace.steps:
            if step.hook and step.table:
                found["hook", f"{step.table} {step.hook}"] += 1
            if step.kind == "POLICY":
                found["policy", step.verdict] += 1
            if step.rule:
                _rule(found, step.rule)
            for passed in step.passed:
                found["miss", _missed(passed.rule, passed.test)] += 1
    return found


def _rule(found: Counter, text: str) -> None:
    rule = read_rule(text)
    target = rule.target
    name = "none" if target is None else target.kind if target.kind in ("jump", "goto") else target.name
    found["target", {"NOTRACK": "CT"}.get(name, name)] += 1
    for match in rule.matches:
        if match.name == "comment":
            continue
        if match.name == "ip":
            for given in match.given:
                found["hit", given.option.name] += 1
        else:
            found["hit", match.name] += 1


def _missed(text: str, test: str) -> str:
    """The match that a missed test belongs to."""
    if test in PLAIN and (PLAIN[test] in text.split() or "-m iprange" not in text):
        return PLAIN[test]
    words, own = test.split(), [match.name for match in read_rule(text).matches if match.name not in ("ip", "comment")]
    if test == "conntrack state" and "conntrack" not in own:
        return "state"
    known = {"ICMP": "icmp", "TCP": "tcp", "SYN": "tcp"}
    name = known.get(words[0], words[0])
    if name in MATCHES:
        return name
    for word, among in (("port", ("tcp", "udp", "sctp", "multiport")), ("type", ("addrtype",)),
                        ("address", ("iprange",)), ("mark", ("mark", "connmark")), ("conntrack", ("conntrack", "state"))):
        chosen = [name for name in own if name in among]
        if word in test and chosen:
            return chosen[0]
    return own[0] if own else test


def expected() -> list[tuple[str, str]]:
    """All that should come up at least WANTED times."""
    hooks = [f"{table} {hook}" for table, names in TABLES.items() for hook in names]
    return [*(("hit", name) for name in MATCHES), *(("miss", name) for name in MATCHES),
            *(("target", name) for name in TARGETS),
            *(("hook", name) for name in hooks), ("policy", "ACCEPT"), ("policy", "DROP")]


def table(found: Counter) -> str:
    """The counts as text, the rarest last."""
    lines = [f"{'match':<12} {'hit':>8} {'missed':>8}"]
    lines += [f"{name:<12} {found['hit', name]:8} {found['miss', name]:8}" for name in MATCHES]
    for kind in ("target", "hook", "policy"):
        lines += ["", f"{kind:<22} {'times':>8}"]
        lines += [f"{name:<22} {found[kind, name]:8}" for what, name in expected() if what == kind]
    rare = [f"{kind} {name} ({found[kind, name]})" for kind, name in expected() if found[kind, name] < WANTED]
    return "\n".join([*lines, "", f"fewer than {WANTED}: {', '.join(rare) or 'none'}"])



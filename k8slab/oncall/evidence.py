"""What a dump tells of its node: which addresses are the node's own, which networks its Pods have.

A dump has no list of interfaces and addresses, yet some rules are written for an address of the node and for
nothing else. Each row of PROOFS is one such kind, with the reason that is told beside the answer. What only makes
an address probable is in HINTS: it is named to the person who asks, and not taken.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from k8slab.iptables import Rule, Ruleset
from k8slab.iptables.names import TABLES
from k8slab.iptables.said import comment
from k8slab.model.dump import proved_local

ALL_BITS = 0xFFFFFFFF
MARKS = ("KUBE-MARK-MASQ",)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a dump tells: an address or a network, and a sentence for why."""

    value: str
    why: str


def rules_of(rules: Ruleset, table: str, *chains: str) -> Iterator[Rule]:
    """The rules of some chains of a table, of all where none is named; none where there is no such chain."""
    found = rules.get(table)
    for chain in found.chains if found else ():
        if not chains or chain.name in chains:
            yield from chain.rules


def given(rule: Rule, option: str) -> tuple[object, bool] | None:
    """The value of one of the rule's own tests, such as -s, and whether it is negated.

    >>> given(read_rule("-A X ! -i cni0 -j DROP"), "-i")
    ('cni0', True)
    """
    own = rule.matches[0].given if rule.matches and rule.matches[0].name == "ip" else ()
    return next(((one.value, one.negated) for one in own if one.option.name == option), None)


def address(rule: Rule, option: str) -> str:
    """The single address that -s or -d names, "" for a network, a negated test, or none.

    >>> address(read_rule("-A X -d 10.96.0.1/32 -j DROP"), "-d")
    '10.96.0.1'
    """
    found = given(rule, option)
    if found is None or found[1] or found[0][1] != ALL_BITS:
        return ""
    return str(ipaddress.IPv4Address(found[0][0]))


def network(rule: Rule, option: str) -> str:
    """The network that -s or -d names, negated or not; "" where there is none, or an odd mask."""
    found = given(rule, option)
    return str(found[0][0] and _cidr(*found[0]) or "") if found else ""


def _cidr(first: int, mask: int) -> str:
    length = mask.bit_count()
    odd = mask != (ALL_BITS << 32 - length) & ALL_BITS
    return "" if odd else f"{ipaddress.IPv4Address(first)}/{length}"


# Each gives pairs of an address and the reason.

def _node_ports(rules: Ruleset) -> Iterator[tuple[str, str]]:
    for found in proved_local(rules):
        yield found, "the rules for NodePorts name it"


def _dns_cache(rules: Ruleset) -> Iterator[tuple[str, str]]:
    """NodeLocal DNS puts its addresses on an interface of the node, and rules for them into raw (node-cache)."""
    for rule in rules_of(rules, "raw", "PREROUTING"):
        if comment(rule).startswith("NodeLocal DNS Cache"):
            yield address(rule, "-d"), "NodeLocal DNS has put it on an interface here"


def _counted(rules: Ruleset) -> Iterator[tuple[str, str]]:
    """A TCP packet that a rule of INPUT counted was delivered here, unless TPROXY leads others in as well."""
    if any(rule.target and rule.target.name == "TPROXY" for rule in rules_of(rules, "mangle")):
        return
    for table in TABLES:
        for rule in rules_of(rules, table, "INPUT"):
            if rule.counters and rule.counters[0] and rule.protocol and rule.protocol.save() == "-p tcp":
                yield address(rule, "-d"), f"{table} INPUT has counted TCP packets to it"


def _sources(rules: Ruleset) -> Iterator[tuple[str, str]]:
    """What SNAT gives; not looked for in kube-proxy's chains, which are many and have none."""
    nat = rules.get("nat")
    others = (chain.name for chain in (nat.chains if nat else ()) if not chain.name.startswith("KUBE-"))
    for rule in rules_of(rules, "nat", *others):
        nat = rule.target.nat if rule.target and rule.target.name == "SNAT" else None
        if nat and nat.min_address and nat.min_address == nat.max_address:
            yield nat.min_address, f"nat {rule.chain} gives it to packets as their source"


def _named(rules: Ruleset) -> Iterator[tuple[str, str]]:
    for table in TABLES:
        for rule in rules_of(rules, table, "INPUT"):
            yield address(rule, "-d"), f"{table} INPUT has a rule for it"


PROOFS: tuple[Callable[[Ruleset], Iterator[tuple[str, str]]], ...] = (_node_ports, _dns_cache, _counted)
HINTS = (_sources, _named)


def _facts(rules: Ruleset, kinds: tuple, known: tuple[str, ...] = ()) -> tuple[Fact, ...]:
    found: dict[str, str] = {}
    for kind in kinds:
        for value, why in kind(rules):
            if value and value not in known and not ipaddress.IPv4Address(value).is_loopback:
                found.setdefault(value, why)
    return tuple(Fact(value, why) for value, why in found.items())


def own_addresses(rules: Ruleset) -> tuple[Fact, ...]:
    """The addresses that the rules show to be the node's own."""
    return _facts(rules, PROOFS)


def probable_addresses(rules: Ruleset) -> tuple[Fact, ...]:
    """Addresses that are probably the node's own: not taken, but worth asking about."""
    return _facts(rules, HINTS, tuple(fact.value for fact in own_addresses(rules)))


def pod_networks(rules: Ruleset) -> tuple[Fact, ...]:
    """The ranges that kube-proxy takes for Pods' (--cluster-cidr): what comes from elsewhere it marks.

    >>> pod_networks(parse("*nat\\n:KUBE-MARK-MASQ - [0:0]\\n:KUBE-SVC-A - [0:0]\\n"
    ...                    "-A KUBE-SVC-A ! -s 10.244.0.0/16 -d 10.96.0.1/32 -j KUBE-MARK-MASQ\\nCOMMIT\\n"))[0].value
    '10.244.0.0/16'
    """
    found: dict[str, str] = {}
    for rule in rules_of(rules, "nat"):
        source = given(rule, "-s")
        if source and source[1] and rule.target and rule.target.name in MARKS and (cidr := network(rule, "-s")):
            found.setdefault(cidr, f"nat {rule.chain} takes what does not come from it for no Pod's")
    return tuple(Fact(cidr, why) for cidr, why in found.items())

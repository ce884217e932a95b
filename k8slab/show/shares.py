"""How a Service's rules share connections out over its endpoints: exactly, as fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from k8slab.iptables import Chain, Extension, Rule, Table
from k8slab.iptables.said import asks, chance
from k8slab.iptables.targets import save_nat

# `statistic --mode random` hits when 31 random bits are below a threshold (xt_statistic.c).
DRAWS = 1 << 31


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One branch of a Service's chain: the rule's number from 1, the endpoint's `address:port`, its chain.

    `chance`: the rule's own, of the packets that come as far as it, as iptables-save prints it; "" for the
    rule that takes the rest. `share`: of all new connections, exactly.
    """

    rule: int
    address: str
    chain: str
    chance: str
    share: Fraction


def endpoints(nat: Table, chain: Chain) -> tuple[Endpoint, ...]:
    """The endpoints that a chain such as KUBE-SVC-… shares connections out to, in the order of its rules.

    Rules that find a client which session affinity remembers are left aside: chance does not decide there.

    >>> from k8slab.iptables import parse
    >>> from k8slab.lab import kube_proxy_rules
    >>> nat = parse(kube_proxy_rules("03-many-endpoints.iptables-save"))["nat"]
    >>> [f"{float(end.share):.9f}" for end in endpoints(nat, nat["KUBE-SVC-67NZLRHBNDSAWJRO"])][:2]
    ['0.200000000', '0.200000000']

    Raises ValueError when a share depends on the packet.
    """
    rest, found = Fraction(1), []
    for number, rule in enumerate(chain.rules, 1):
        address = endpoint(nat, rule)
        if address and not any(match.name == "recent" for match in rule.matches):
            dice = [match for match in rule.matches if match.name == "statistic"]
            if any(test not in dice for test in rule.tests):
                raise ValueError(f"{chain.name} rule {number} is no matter of chance alone: {asks(rule)}")
            share = rest
            for match in dice:
                share *= _part(match)
            rest -= share
            found.append(Endpoint(number, address, rule.target.name, " and ".join(map(chance, dice)), share))
    return tuple(found)


def endpoint(nat: Table, rule: Rule) -> str:
    """The `address:port` to which the chain that this rule jumps to translates; "" for any other rule."""
    chain = nat.get(rule.target.name) if rule.target and rule.target.kind in ("jump", "goto") else None
    targets = [other.target for other in chain.rules if other.target] if chain else []
    wanted = (target.value("--to-destination") for target in targets)
    return next((save_nat(to) for to in wanted if to), "")


def _part(match: Extension) -> Fraction:
    """The part of the packets that come to it which a `statistic` match takes."""
    nth = match.value("--mode") == "nth"
    part = Fraction(1, match.value("--every")) if nth else Fraction(match.value("--probability"), DRAWS)
    return 1 - part if match.negated("--every") or match.negated("--probability") else part

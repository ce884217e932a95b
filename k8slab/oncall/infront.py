"""Which rules of other programs decide a Service's packet before kube-proxy is asked.

A chain of another's may stand before kube-proxy's jumps, as Docker's and Calico's do; a packet that comes back from it
is as it was. But a DNAT, a REDIRECT or an ACCEPT in it ends the walk through nat. Followed is each jump and goto, and
of the Services only those are kept whose packets every rule on the way can take: Docker's DNAT for port 8080 of the
node is no harm to a ClusterIP. That is asked in PREROUTING and OUTPUT of nat, where the packet still has the Service's
address; in filter, which others fill with their network policies, chains are not followed.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from k8slab.iptables import Rule, Table
from k8slab.iptables.matches import address_number, protocol_number
from k8slab.iptables.options import Given
from k8slab.oncall.entrances import Entrance

HOOKS = ("PREROUTING", "OUTPUT")
LEADS_ON = ("jump", "goto")
NOT_MODELLED = ("NETMAP", "DNETMAP")           # they translate, and no walk follows them
# What a Service's packet has of what an option compares; None where that depends on more than the Service.
LOOKS: dict[str, Callable[[Entrance], object]] = {
    "-d": lambda one: address_number(one.address) if one.address else None,
    "-p": lambda one: protocol_number(one.proto),
    "--dport": lambda one: one.port,
    "--dports": lambda one: (one.port,),
    "--dst-range": lambda one: address_number(one.address) if one.address else None,
    "--dst-type": lambda one: "LOCAL" if one.kind == "NodePort" else "UNICAST",
    "--ctorigdst": lambda one: address_number(one.address) if one.address else None,
    "--ctorigdstport": lambda one: one.port,
}


@dataclass(frozen=True, slots=True)
class Decides:
    """A rule of another's that ends the walk of a Service's packet. `position`: in its chain, from 1; `jump`: of the
    rule of the built-in chain that leads there; `entrance`: the first of the Services' that it can take.
    """

    rule: Rule
    position: int
    jump: int
    entrance: Entrance


def decides(nat: Table, hook: str, before: int, known: Sequence[Entrance], own: Callable[[str], bool],
            local: Sequence[str] = ()) -> Iterator[Decides]:
    """The rules that the first `before` rules of a built-in chain of nat lead to, in chains that are not kube-proxy's
    `own`, and that end the walk of a packet to an entrance. `local`: addresses of the node, where NodePorts are.
    """
    known = [each for one in known for each in
             ([one] if one.address or not local else [replace(one, address=address) for address in local])]
    asked: dict[str, set[Entrance]] = defaultdict(set)
    ahead = deque((jump, rule.target.name, _taken(rule, known)) for jump, rule in
                  enumerate(nat[hook].rules[:before], 1) if rule.target and rule.target.kind in LEADS_ON)
    while ahead:
        jump, name, left = ahead.popleft()
        left = [one for one in left if one not in asked[name]]
        asked[name].update(left)              # of two ways to a chain, the second adds nothing for the same packet
        if not left or own(name) or name not in nat:
            continue
        for position, rule in enumerate(nat[name].rules, 1):
            if rule.target is None or not (taken := _taken(rule, left)):
                continue
            if rule.target.kind in LEADS_ON:
                ahead.append((jump, rule.target.name, taken))
            elif rule.target.kind in ("verdict", "nat") or rule.target.name in NOT_MODELLED:
                yield Decides(rule, position, jump, taken[0])


def _taken(rule: Rule, known: Sequence[Entrance]) -> list[Entrance]:
    """The entrances whose packets a rule can take; what it asks beside them, such as an interface, may be so."""
    tests = [(one, LOOKS[one.option.name]) for match in rule.matches for one in match.given
             if one.option.name in LOOKS]
    return [one for one in known if all(_holds(test, look(one)) for test, look in tests)]


def _holds(test: Given, found: object) -> bool:
    if found is None:                         # of an address that is not known: probably not the one that is named
        return test.negated
    if test.option.name == "--dst-type":
        return (found in test.value) != test.negated
    return test.option.kind.holds(test.value, found) != test.negated

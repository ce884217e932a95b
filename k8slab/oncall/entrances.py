"""The Services that a dump knows, by kube-proxy's comments: at which addresses and ports they are to be had.

    -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp … "default/kubernetes:https cluster IP" … --dport 443 -j KUBE-SVC-…

Every kube-proxy since 1.1 writes the Service's name there; older ones end it with a colon where the port has no name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from k8slab.iptables import Rule, Ruleset
from k8slab.iptables.said import comment
from k8slab.iptables.targets import save_nat
from k8slab.iptables.values import save_protocol
from k8slab.oncall.evidence import address, rules_of

# What follows the name in a comment, and what kind of entrance the rule is.
KINDS = {"cluster IP": "ClusterIP", "external IP": "external IP", "loadbalancer IP": "load balancer", "": "NodePort"}
CHAINS = ("KUBE-SVC-", "KUBE-SVL-")               # where a Service's rule for its ClusterIP masquerades
NAME = re.compile(r"([^/\s:]+)/([^/\s:]+):?(\S*?)(?: (.+))?")
REFUSES = re.compile(r"has no (local )?endpoints")


@dataclass(frozen=True, slots=True)
class Entrance:
    """One way in: a Service's port at one address. `address` is "" for a NodePort, which any of the node's has.

    `kind`: ClusterIP, NodePort, external IP or load balancer; `target`: the chain that its rule leads to, "" where
    it has no endpoints.
    """

    namespace: str
    service: str
    port_name: str
    kind: str
    proto: str
    address: str
    port: int
    target: str = ""

    @property
    def name(self) -> str:
        """`default/kubernetes:https`; "" where the rules do not tell."""
        if not self.service:
            return ""
        return f"{self.namespace}/{self.service}" + (f":{self.port_name}" if self.port_name else "")

    def __str__(self) -> str:
        return f"{self.address or 'node'}:{self.port}/{self.proto}"


def named(said: str) -> tuple[str, str, str, str] | None:
    """Namespace, Service, port's name and what follows, of a comment of kube-proxy's; None for another's.

    >>> named("default/kubernetes:https cluster IP")
    ('default', 'kubernetes', 'https', 'cluster IP')
    >>> named("default/web:")
    ('default', 'web', '', '')
    """
    found = NAME.fullmatch(said)
    return tuple(part or "" for part in found.groups()) if found else None


def destination_port(rule: Rule) -> int:
    """The one port that `--dport` asks for, 0 where there is none, or a range."""
    for match in rule.matches:
        ports = match.value("--dport") if match.spec else None
        if ports and ports[0] == ports[1] and not match.negated("--dport"):
            return ports[0]
    return 0


def entrances(rules: Ruleset) -> tuple[Entrance, ...]:
    """Every way into every Service, in the order of the rules.

    >>> from k8slab.lab import kube_proxy_rules
    >>> str(entrances(parse(kube_proxy_rules()))[0])
    '10.96.0.1:443/tcp'
    """
    places = (("nat", "KUBE-SERVICES"), ("nat", "KUBE-NODEPORTS"), ("filter", "KUBE-SERVICES"),
              ("filter", "KUBE-EXTERNAL-SERVICES"))
    found: dict[tuple, Entrance] = {}
    for table, chain in places:
        for rule in rules_of(rules, table, chain):
            one = _entrance(rule, table, chain)
            if one and (not one.target or one.target.startswith("KUBE-") and one.target != "KUBE-MARK-MASQ"):
                found.setdefault((one.proto, one.address, one.port), one)
    return tuple(found.values())


def orphans(rules: Ruleset, words: Collection[str], known: Collection[Entrance]) -> tuple[Entrance, ...]:
    """ClusterIPs of which a Service's own chain is there, and no `known` entrance: the chain's rule that masquerades
    names the address and the port. Looked at are rules in whose text one of some words stands.

    >>> rules = parse("*nat\\n:KUBE-MARK-MASQ - [0:0]\\n:KUBE-SVC-A - [0:0]\\n-A KUBE-SVC-A ! -s 10.244.0.0/16 "
    ...               '-d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" '
    ...               "-m tcp --dport 443 -j KUBE-MARK-MASQ\\nCOMMIT\\n")
    >>> [f"{one} {one.target}" for one in orphans(rules, ["10.96.0.1/32"], ())]
    ['10.96.0.1:443/tcp KUBE-SVC-A']
    """
    there = {(one.proto, one.address, one.port) for one in known}
    nat, found = rules.get("nat"), []
    for chain in nat.chains if nat else ():
        for rule in chain.mentioning(words) if chain.name.startswith(CHAINS) else ():
            where, port, said = address(rule, "-d"), destination_port(rule), named(comment(rule)) or ("", "", "", "")
            if where and port and rule.protocol and rule.target and rule.target.name == "KUBE-MARK-MASQ":
                one = Entrance(*said[:3], "ClusterIP", save_protocol(rule.protocol.value), where, port, chain.name)
                found += [one] if (one.proto, one.address, one.port) not in there else []
    return tuple(found)


def leading(rules: Ruleset, chain: str) -> tuple[Rule, ...]:
    """The rules of KUBE-SERVICES in nat that lead to a chain."""
    nat = rules.get("nat")
    services = nat.get("KUBE-SERVICES") if nat else None
    found = services.mentioning((f"-j {chain}",)) if services else ()
    return tuple(rule for rule in found if rule.target and rule.target.name == chain)


def _entrance(rule: Rule, table: str, chain: str) -> Entrance | None:
    words, port = named(comment(rule)), destination_port(rule)
    if not (words and port and rule.protocol and rule.target):
        return None
    namespace, service, port_name, said = words
    where = address(rule, "-d")
    if table == "filter":
        if not REFUSES.fullmatch(said):
            return None
        kind = "NodePort" if not where else "ClusterIP" if chain == "KUBE-SERVICES" else "external IP"
    elif said not in KINDS or (said == "") != (chain == "KUBE-NODEPORTS"):
        return None
    else:
        kind = KINDS[said]
    where = "" if kind == "NodePort" else where
    target = rule.target.name if table == "nat" else ""
    return Entrance(namespace, service, port_name, kind, save_protocol(rule.protocol.value), where, port, target)


def destinations(rules: Ruleset, chain: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The `address:port` that a chain of nat can translate to, through every chain that it jumps to."""
    nat = rules.get("nat")
    found = nat.get(chain) if nat and chain not in seen else None
    for rule in found.rules if found else ():
        target = rule.target
        if target is None:
            continue
        to = target.value("--to-destination")
        if to:
            yield save_nat(to)
        elif target.kind in ("jump", "goto"):
            yield from destinations(rules, target.name, seen | {chain})

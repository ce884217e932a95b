"""What a rule's tests can see of a packet at a hook, what its target gives, and which rules switch conntrack on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8slab.iptables import TARGETS, Context, NatRange, Rule, Ruleset
from k8slab.stack.routing import Routes
from k8slab.stack.skb import Skb

# The hooks at which a packet has an interface to go out on.
OUTWARD = ("FORWARD", "OUTPUT", "POSTROUTING")
# What a rule sees as the state of a packet that conntrack has not looked at (xt_conntrack.c).
UNSEEN = "INVALID"
# Matches and kinds of target that make a kernel switch conntrack on; a nat table without them does not.
TRACKING_MATCHES = {"conntrack", "state", "connmark", "connbytes", "connlimit", "connlabel", "helper"}
TRACKING_TARGETS = {"nat", "connmark"}
# A rule with one of them has one of these words in its text; many another rule has, too.
TRACKING_WORDS = (*TRACKING_MATCHES,
                  *(name for name, spec in TARGETS.items() if spec.kind in (*TRACKING_TARGETS, "ct")))


def context_of(skb: Skb, hook: str, routes: Routes, *, draw: Callable[[int], int] | None, memory: dict[Any, Any],
               now: float) -> Context:
    """What the packet and its connection are to a rule at this hook; `now` in seconds."""
    connection = skb.connection
    entry = connection.entry(now) if connection else None
    status = set(connection.status) if connection else set()
    if entry:
        flags = {"ASSURED": entry.assured, "SEEN_REPLY": entry.seen_reply, "CONFIRMED": entry.confirmed}
        status |= {name for name, on in flags.items() if on}
    return Context(
        skb.packet, iif=skb.iif, oif=skb.oif if hook in OUTWARD else "", mark=skb.mark, ctstate=skb.state or UNSEEN,
        ctstatus=frozenset(status), ctdir=skb.direction if connection else None,
        original=entry.original if entry else None, reply=entry.reply if entry else None,
        connmark=entry.mark if entry else 0, address_type=routes.address_type, draw=draw, memory=memory, now=now)


def tracks(rules: Ruleset) -> bool:
    """Whether a kernel that is given these rules begins to track connections; a nat table alone does not make it."""
    if "tracks" not in rules.memo:
        rules.memo["tracks"] = any(_tracks(rule) for table in rules.tables for chain in table.chains
                                   for rule in chain.mentioning(TRACKING_WORDS))
    return rules.memo["tracks"]


def _tracks(rule: Rule) -> bool:
    """Whether a kernel that is given this rule begins to track connections."""
    target = rule.target
    return (any(match.name in TRACKING_MATCHES for match in rule.matches)
            or target is not None and (target.kind in TRACKING_TARGETS or (target.kind == "ct" and not target.notrack)))


def range_of(rule: Rule, skb: Skb, hook: str, routes: Routes) -> NatRange:
    """The range that a rule's target gives; MASQUERADE and REDIRECT take their address from this host."""
    given = rule.target.nat
    if rule.target.name == "MASQUERADE":
        return given.at(routes.nearest(skb.oif, routes.look_up(skb.packet.dst).next_hop))
    if rule.target.name == "REDIRECT":
        return given.at("127.0.0.1" if hook == "OUTPUT" else routes.first(skb.iif))
    return given

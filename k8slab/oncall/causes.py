"""The step at which a packet ended, in words, and the same rules without what ended it.

CAUSES is the table of kube-proxy's own refusals: their comments say what is missing, and that is no rule to delete
but an endpoint, or a range of sources. Any other rule that drops or rejects is named as what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from k8slab.iptables import Rule, Ruleset
from k8slab.iptables.said import asks, comment, does
from k8slab.model.dump import Question
from k8slab.oncall.changed import always, inserted, with_policy, without
from k8slab.oncall.interfaces import SIDES, possible, unknown_side
from k8slab.packet import PORT_PROTOCOLS
from k8slab.trace import Step, Trace

# Where no endpoint is known, this address stands for the one that is missing (RFC 5737, for examples).
STAND_IN = "192.0.2.1"
NEAREST = 3
NOBODY_KNOWS = "ends in a way that cannot be told"
BRANCHES = 120                                # walks that are spent on rules that cannot be told


@dataclass(frozen=True, slots=True)
class Found:
    """What ended the packet, and `rules` without it; None where no change of rules is known that would help."""

    place: str
    rule: str
    what: str
    change: str
    rules: Ruleset | None
    chain: tuple[str, str, int] | None = None

    def late(self, trace: Trace) -> str:
        """A note where, without the rule, a later one of its chain accepts the packet: that one comes too late."""
        if self.chain is None:
            return ""
        table, chain, position = self.chain
        for step in trace.steps:
            if (step.table, step.chain, step.kind, step.verdict) == (table, chain, "RULE", "ACCEPT") and \
                    step.position > position:
                return f" Rule {step.position} of the chain would accept it ({step.rule}), but stands too far down."
        return ""


def obstacle(question: Question, trace: Trace, walk: Callable[[Question], Trace]) -> Found | None:
    """What ended a packet that did not arrive."""
    last = trace.steps[-1]
    if trace.verdict == "UNKNOWN":
        return _cannot_tell(question, last, walk) if last.rule else \
            Found(where(last), "", trace.reason, "", None)
    if last.kind == "POLICY":
        return _policy(question, trace, last)
    if not last.rule:
        return Found(where(last), "", f"No rule decides: {last.why}.", "", None)
    marked = _marked(question, trace, last)
    for step in filter(None, (marked, last)):
        for pattern, make in CAUSES:
            if found := re.fullmatch(pattern, comment(rule_of(question, step))):
                return make(question, trace, last, found)
    return _rule_in_the_way(question, last, marked)


def rule_of(question: Question, step: Step) -> Rule:
    return question.rules[step.table][step.chain].rules[step.position - 1]


def where(step: Step) -> str:
    if not step.chain:
        return step.hook or "the node"
    return f"{step.table} {step.chain}" + (f" rule {step.position}" if step.position else "'s policy")


def _verb(step: Step) -> str:
    return "refuses the packet, and the sender is told" if step.kind == "REJECT" else "drops the packet in silence"


def gone(question: Question, step: Step) -> Ruleset:
    return without(question.rules, step.table, step.chain, step.position)


def _rule_in_the_way(question: Question, last: Step, marked: Step | None) -> Found:
    rule, place = rule_of(question, last), where(last)
    what = f"It {_verb(last)}: {last.rule}"
    if marked:
        setter = where(marked)
        what += f" The mark was given by {setter}: {marked.rule}"
        return Found(place, last.rule, what, f"{setter} must not send this packet on to be marked, or {place} must "
                     f"not be there.", gone(question, last), (last.table, last.chain, last.position))
    change = (f"{place} must not be there, or another rule must accept the packet before it." if
              asks(rule) == "every packet" else
              f"The packet must not be one of those that {place} takes ({asks(rule)}); or the rule must go; or another "
              f"must accept the packet before it.")
    return Found(place, last.rule, what, change, gone(question, last), (last.table, last.chain, last.position))


def _marked(question: Question, trace: Trace, last: Step) -> Step | None:
    """Where the decision was taken, if the last rule only acts on a mark: the jump to the chain that gave it."""
    if not any(match.name == "mark" for match in rule_of(question, last).matches):
        return None
    marking = [step for step in trace.steps if step.kind == "RULE" and step.rule and step.verdict == "" and step.mark
               and (rule := rule_of(question, step)).target and rule.target.kind == "mark"]
    jumps = [step for step in trace.steps if step.kind == "JUMP" and marking and step.verdict == marking[-1].chain
             and step.number < marking[-1].number]
    return jumps[-1] if jumps else marking[-1] if marking else None


# kube-proxy's own refusals.

def _no_endpoints(question: Question, trace: Trace, last: Step, found: re.Match) -> Found:
    name, local = found["name"].rstrip(":"), found["local"]
    packet = last.before
    what = (f"It {_verb(last)}, because Service {name} has no endpoint "
            f"{'on this node, and its traffic policy is Local' if local else 'that is ready'}.")
    change = (f"Service {name} needs an endpoint on this node that is ready, or the traffic policy Cluster." if local
              else f"Service {name} needs an endpoint that is ready: look at its selector and at its Pods' readiness.")
    rules = gone(question, last)
    port = f":{packet.dport}" if packet.proto in PORT_PROTOCOLS else ""
    chain = "KUBE-SERVICES" if "nat" in rules and "KUBE-SERVICES" in rules["nat"] else ""
    for hook in [chain] if chain else ["PREROUTING", "OUTPUT"] if "nat" in rules else []:
        rules = inserted(rules, "nat", f"-A {hook} -d {trace.sent.dst} -p {packet.proto} -m {packet.proto} --dport "
                         f"{trace.sent.dport} -j DNAT --to-destination {STAND_IN}{port}")
    return Found(where(last), last.rule, what, f"{change} ({STAND_IN} stands for it in the walk.)", rules)


def _source_range(question: Question, trace: Trace, last: Step, found: re.Match) -> Found:
    name, firewall, source = found["name"], found["chain"], trace.sent.src
    what = f"It {_verb(last)}, because no loadBalancerSourceRange of Service {name} holds {source}."
    rules = None
    nat = question.rules.get("nat")
    chain = nat.get(firewall) if nat else None
    jump = next((rule for rule in chain.rules if rule.target and rule.target.kind == "jump"), None) if chain else None
    if jump:
        rules = inserted(question.rules, "nat", f"-A {firewall} -s {source} -j {jump.target.name}")
    return Found(where(last), last.rule, what, f"A loadBalancerSourceRange of Service {name} must hold {source}.",
                 rules)


CAUSES: tuple[tuple[str, Callable[[Question, Trace, Step, re.Match], Found]], ...] = (
    (r"(?P<name>\S+/\S+) has no (?P<local>local )?endpoints", _no_endpoints),
    (r"(?P<name>\S+/\S+) traffic not accepted by (?P<chain>KUBE-FW-\w+)", _source_range),
)


# A policy: no rule was there.

def _policy(question: Question, trace: Trace, last: Step) -> Found:
    place = f"{last.table} {last.chain}"
    what = f"No rule there accepts the packet, and the policy of {place} is {last.verdict}."
    through = dict.fromkeys(step.verdict for step in trace.steps if step.kind == "JUMP" and step.leg == last.leg
                            and (step.table, step.hook) == (last.table, last.hook))
    if through:
        what += f" It came back without a verdict from {', '.join(through)}."
    near = nearest(question, trace, last)
    if near:
        what += " What would accept asks for something else: " + "; ".join(near) + "."
    change = f"A rule of {place}, or of a chain that it leads to, must accept the packet; or its policy must be ACCEPT."
    rules = with_policy(question.rules, last.table, last.chain, "ACCEPT")
    return Found(f"{place}'s policy", "", what, change, rules)


def nearest(question: Question, trace: Trace, last: Step) -> list[str]:
    """The rules with ACCEPT that the packet passed in this table at this hook, each with what it missed."""
    said = []
    for step in trace.steps:
        if (step.table, step.hook, step.leg) != (last.table, last.hook, last.leg):
            continue
        for passed in step.passed:
            rule = question.rules[passed.table][passed.chain].rules[passed.position - 1]
            # A rule for connections that are known already is no answer to a new packet.
            if rule.target and rule.target.name == "ACCEPT" and not passed.test.startswith("conntrack"):
                said.append(str(passed))
    return [*said[:NEAREST], *([f"and {len(said) - NEAREST} more"] if len(said) > NEAREST else [])]


# A rule that cannot be told.

def _cannot_tell(question: Question, last: Step, walk: Callable[[Question], Trace]) -> Found:
    rule, place = rule_of(question, last), where(last)
    what = f"It cannot be told whether this rule takes the packet: {last.rule} ({last.why})."
    known = rule.target is None or rule.target.kind != "unknown"
    if not known:
        what = f"It cannot be told what this rule does with the packet: {last.rule} ({last.why})."
    budget = [BRANCHES]
    missed = _ends(question, gone(question, last), walk, budget)
    if not known:
        return Found(place, last.rule, what, f"Were it not there, the packet {_or(missed)}.", None)
    hit = _ends(question, always(question.rules, last.table, last.chain, last.position), walk, budget)
    if missed == hit and len(hit) == 1:
        return Found(place, last.rule, what, f"Either way the packet {_or(hit)}.", None)
    return Found(place, last.rule, what, f"If it does ({does(rule)}), the packet {_or(hit)}; if it does not, the "
                 f"packet {_or(missed)}.", None)


def _ends(question: Question, rules: Ruleset, walk: Callable[[Question], Trace], budget: list[int]) -> frozenset[str]:
    """How the packet may end with these rules, whatever else in them cannot be told."""
    if budget[0] <= 0:
        return frozenset({"ends in a way that was not looked into"})
    budget[0] -= 1
    question = replace(question, rules=rules)
    trace = walk(question)
    if trace.verdict != "UNKNOWN":
        return frozenset({_end(trace)})
    last, side = trace.steps[-1], unknown_side(trace)
    if side:
        field, option, end = SIDES[side]
        names = possible(rules, option, getattr(last.before, end)) if getattr(question, field) is None else ()
        return frozenset().union(*(_ends(replace(question, **{field: name}), rules, walk, budget) for name in names)) \
            or frozenset({NOBODY_KNOWS})
    if not last.rule or not last.position:
        return frozenset({NOBODY_KNOWS})
    found = _ends(question, gone(question, last), walk, budget)
    rule = rule_of(question, last)
    if rule.target is None or rule.target.kind != "unknown":
        return found | _ends(question, always(rules, last.table, last.chain, last.position), walk, budget)
    return found | {NOBODY_KNOWS}


def _end(trace: Trace) -> str:
    if trace.received is None:
        return f"is {trace.verdict.lower()} ({trace.reason.partition(': ')[2] or trace.reason})"
    return f"is {trace.verdict.lower()} to {trace.received.destination}"


def _or(ends: frozenset[str]) -> str:
    return " or ".join(sorted(ends))


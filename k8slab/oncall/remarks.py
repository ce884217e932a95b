"""A packet that goes on, though not to where was meant: no rule translated it, or nobody can answer it.

A ClusterIP that leaves a node untranslated is lost: no host has that address. Where the rules have a Service for the
packet and did not translate it, something was in the way, as real as a rule that drops.
"""

from __future__ import annotations

from k8slab.iptables import Ruleset
from k8slab.iptables.said import asks
from k8slab.model.dump import Question
from k8slab.oncall.causes import Found, gone, rule_of, where
from k8slab.oncall.changed import inserted
from k8slab.oncall.entrances import Entrance, entrances, leading, orphans
from k8slab.packet import PORT_PROTOCOLS
from k8slab.trace import Trace

SOURCE_TARGETS = ("MASQUERADE", "SNAT")
OWN = ("KUBE-SEP-", "KUBE-PORTALS-", "KUBE-NODEPORT-")       # kube-proxy's chains that translate, of all its ages
SHOWN = 3


def _translated(trace: Trace) -> bool:
    return any(step.kind == "NAT" and step.leg == 1 and step.hook in ("PREROUTING", "OUTPUT") and
               {"dst", "dport"} & set(step.changed) for step in trace.steps)


def _wanted(question: Question) -> Entrance | None:
    """The Service that the packet is for, by address, port and protocol."""
    packet = question.packet
    return next((one for one in entrances(question.rules) if one.target and one.address == packet.dst and
                 (one.port, one.proto) == (packet.dport, packet.proto)), None)


def untranslated(question: Question, trace: Trace) -> Found | None:
    """Why a packet that goes on was not translated, though the rules have its Service; None where all is well."""
    if trace.received is None or _translated(trace):
        return None
    wanted = _wanted(question)
    if wanted is None:
        return _no_entrance(question)
    hook = "OUTPUT" if question.from_node else "PREROUTING"
    away = f"The packet leaves for {question.packet.destination}, which no host has: it is not translated, though " \
           f"Service {wanted.name} is there."
    for step in trace.steps:
        if step.table == "raw" and step.rule and (rule := rule_of(question, step)).target and rule.target.kind == "ct":
            return Found(where(step), step.rule, f"{away} {where(step)} keeps it from conntrack, so that nat is not "
                         f"asked: {step.rule}", f"{where(step)} must not take this packet ({asks(rule)}).",
                         gone(question, step))
    walked = [step for step in trace.steps if step.table == "nat" and step.hook == hook]
    if any(step.verdict == "KUBE-SERVICES" and step.kind == "JUMP" for step in walked):
        return None                                      # its own rules let it pass: no single thing to change
    chain = question.rules["nat"][hook]
    there = any(rule.target and rule.target.name == "KUBE-SERVICES" for rule in chain.rules)
    if there and walked and walked[-1].rule:
        last = walked[-1]
        return Found(where(last), last.rule, f"{away} {where(last)} ends the walk through nat before kube-proxy's "
                     f"rules are asked: {last.rule}", f"{where(last)} must not take this packet, or must stand after "
                     "the jump to KUBE-SERVICES.", gone(question, last))
    if there:
        return None
    return Found(f"nat {hook}", "", f"{away} Nothing in nat {hook} leads to KUBE-SERVICES.",
                 f"nat {hook} needs the rule -A {hook} -m comment --comment \"kubernetes service portals\" "
                 "-j KUBE-SERVICES, which kube-proxy writes at its next full sync.",
                 inserted(question.rules, "nat", f"-A {hook} -j KUBE-SERVICES"))


def _no_entrance(question: Question) -> Found | None:
    """A Service's own chain is there for the packet, and KUBE-SERVICES has no rule that leads the packet to it."""
    packet, rules = question.packet, question.rules
    lost = next((one for one in orphans(rules, (f"-d {packet.dst}/32",), entrances(rules)) if
                 (one.address, one.port, one.proto) == (packet.dst, packet.dport, packet.proto)), None)
    if lost is None:
        return None
    what = f"The packet leaves for {packet.destination}, which no host has: it is not translated. The chain " \
           f"{lost.target} is there for it{f' ({lost.name})' if lost.service else ''}, and {orphaned(rules, lost)}."
    rule = f"-A KUBE-SERVICES -d {lost.address}/32 -p {lost.proto} -m {lost.proto} --dport {lost.port} -j {lost.target}"
    return Found("nat KUBE-SERVICES", "", what, f"nat KUBE-SERVICES needs the rule {rule}, which kube-proxy writes at "
                 "its next sync, if the Service has this port.", inserted(rules, "nat", rule))


def orphaned(rules: Ruleset, lost: Entrance) -> str:
    """What leads to the chain of an entrance that is not there, in words."""
    if others := leading(rules, lost.target):
        return f"what leads to it from nat KUBE-SERVICES asks for something else: {others[0].text}"
    return "nothing in nat KUBE-SERVICES leads to it"


def lost(question: Question, trace: Trace) -> bool:
    """Whether a packet that goes on is still for a ClusterIP, which no host has."""
    return trace.verdict == "FORWARDED" and (untranslated(question, trace) is not None or any(
        one.address == trace.received.dst and one.kind == "ClusterIP" for one in entrances(question.rules)))


def remarks(question: Question, trace: Trace) -> tuple[str, ...]:
    """What the sender of a packet that arrives should know."""
    return tuple(filter(None, (_stranger(question, trace), _foreign(question, trace), _source(question, trace))))


def _foreign(question: Question, trace: Trace) -> str:
    """Its destination was chosen by a rule of another program's."""
    step = next((step for step in trace.steps if step.table == "nat" and step.hook in ("PREROUTING", "OUTPUT") and
                 step.leg == 1 and step.rule and {"dst", "dport"} & set(step.changed)), None)
    if step is None or step.chain.startswith(OWN):
        return ""
    wanted = _wanted(question)
    service = f" Service {wanted.name} is at {wanted}, and its own rules were not asked." if wanted else ""
    return f"The rule that chose its destination is not kube-proxy's: {where(step)}: {step.rule}.{service}"


def _stranger(question: Question, trace: Trace) -> str:
    """No Service has the address, the port or the protocol that was asked for."""
    packet = question.packet
    if _translated(trace) or trace.verdict != "FORWARDED":
        return ""
    every = entrances(question.rules)
    known = [one for one in every if one.address == packet.dst or
             (not one.address and (one.port, one.proto) == (packet.dport, packet.proto))]
    known += orphans(question.rules, (f"-d {packet.dst}/32",), every)
    if not known:
        return "No rule changed its destination."
    said = ", ".join(f"{one} ({one.name or one.target}, {one.kind})" for one in known[:SHOWN])
    if packet.proto not in PORT_PROTOCOLS:
        return (f"No rule changed its destination: kube-proxy translates ports of tcp, udp and sctp, and an "
                f"{packet.proto} packet has none. {packet.dst} belongs to a Service{_nobody(known)}. What it answers "
                f"are its ports: {said}.")
    if any(one.address == packet.dst for one in known):
        return (f"No rule changed its destination: {packet.dst} belongs to a Service, but not with "
                f"{packet.dport}/{packet.proto}. There are {said}.")
    return (f"No rule changed its destination. Port {packet.dport} is a NodePort ({known[0].name}): if {packet.dst} is "
            f"this node's own, say --local {packet.dst}.")


def _nobody(known: list[Entrance]) -> str:
    return ", and no host has that address: nobody answers" if {one.kind for one in known} == {"ClusterIP"} else ""


def _source(question: Question, trace: Trace) -> str:
    """It keeps its source: which rules would have changed it, and why they did not."""
    if trace.masqueraded or trace.verdict != "FORWARDED":
        return ""
    passed = [one for step in trace.steps if step.table == "nat" and step.hook == "POSTROUTING" for one in step.passed
              if (rule := question.rules[one.table][one.chain].rules[one.position - 1]).target
              and rule.target.name in SOURCE_TARGETS]
    said = f"It keeps its source {trace.received.src}: whoever answers needs a way back to that address."
    return said + (f" What would have changed it: {'; '.join(map(str, passed[:SHOWN]))}." if passed else "")

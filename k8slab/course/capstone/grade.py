"""Grading a capstone: where the faults are, which packets show them, and whether the node does right afterwards.

A place is right when what it names is not as it should be. A proof is right when its packet would fare otherwise if
that one fault were mended. A remedy is right when everything goes where the objects say, whoever asks; how that was
come by does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from k8slab import iptables
from k8slab.course.capstone import where
from k8slab.course.capstone.asking import Asked, questions
from k8slab.course.capstone.cluster import Capstone, Work
from k8slab.course.capstone.commandline import Refused, bare, changed
from k8slab.course.capstone.faulty import Fault, broken, chains, shows
from k8slab.course.capstone.survey import Wrong, alike, fates, survey, told, ways
from k8slab.course.capstone.work import BLANK, AskError, asked, exactly
from k8slab.course.outcome import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, RIGHT, Outcome, Unfit
from k8slab.iptables import Ruleset
from k8slab.lab import Lab
from k8slab.trace import Step

# Tests that ask what came before.
REMEMBERS = re.compile(r"--mode nth|-m (?:recent|limit|hashlimit|connlimit|quota|connbytes)\b")
MOST = 3                # rules that are told of a packet that goes wrong


@lru_cache(maxsize=64)
def without(cluster: Capstone, number: int) -> Ruleset:
    """The rules with one of the two faults mended: the other is there alone."""
    return broken(cluster.drawn, cluster.faults[1 - number:2 - number])


@lru_cache(maxsize=64)
def begun(cluster: Capstone) -> Ruleset:
    """The rules with both faults, as they were before anything was done."""
    return broken(cluster.drawn, cluster.faults)


@lru_cache(maxsize=64)
def spots(cluster: Capstone, number: int) -> dict[tuple[str, str], where.Spot]:
    """The places of one of the two faults."""
    return where.spots(cluster.faults[number], begun(cluster), without(cluster, number))


def pairs(value: object, what: str) -> list[tuple[str, str]]:
    """Two pairs of words; raises Unfit for anything else, and for those that nobody has touched."""
    good = isinstance(value, (list, tuple)) and len(value) == 2 and all(
        isinstance(one, (list, tuple)) and len(one) == 2 and all(isinstance(word, str) for word in one)
        for one in value)
    if not good:
        raise Unfit(CANNOT_CHECK, f"Two pairs of texts are wanted, each {what}.")
    found = [(one.strip(), other.strip()) for one, other in value]
    if all(word in ("", BLANK) for pair in found for word in pair):
        raise Unfit(NOT_ATTEMPTED, "")
    return found


def places(cluster: Capstone, value: object) -> Outcome:
    """Whether two pairs, of a Service and a chain, name the places of the two faults."""
    claims = pairs(value, "a Service and a chain, as in ('shop/web', 'KUBE-SERVICES')")
    found, lines = set(), []
    for number, (service, chain) in enumerate(claims, 1):
        which, why = _place(cluster, service, chain)
        if which is not None and which in found:
            why = "that is the fault that you have named already."
        if which is not None:
            found.add(which)
        lines += [f"Place {number}: {why}"] if why else []
    return _two(len(found), "faults are where you say", lines)


def place_of(cluster: Capstone, service: str, chain: str) -> int | None:
    """Which of the two faults a Service and a chain name: 0, 1, or None."""
    return _place(cluster, service, chain)[0]


def shown_by(cluster: Capstone, who: str, to: str) -> set[int]:
    """Which of the two faults a packet shows: 0, 1, both or none."""
    return _proof(cluster, who, to)[0]


def _two(right: int, what: str, lines: Sequence[str]) -> Outcome:
    return Outcome(RIGHT if right == 2 and not lines else NOT_YET, f"{right} of 2 {what}.", tuple(lines))


def _place(cluster: Capstone, service: str, chain: str) -> tuple[int | None, str]:
    """Which fault a claim names, or None; and what to say where it names none."""
    if BLANK in (service, chain):
        return None, f"there is still a blank, {BLANK}."
    if not any(exactly(port, service) for port in cluster.ports):
        return None, f"no Service with a ClusterIP is called {service}; a name is its namespace and its own, shop/web."
    claim = where.read(chain, {name for rules in (begun(cluster), cluster.true) for _, name in chains(rules)})
    if isinstance(claim, str):
        return None, claim
    of = [n for n, fault in enumerate(cluster.faults) if _harms(cluster, fault, service)]
    hit = [n for n in (0, 1) if claim.at(spots(cluster, n))]
    both = [n for n in hit if n in of]
    for n in both:
        if any(map(claim.fits, claim.at(spots(cluster, n)))):
            return n, ""
    name = f"{claim.chain} of {claim.table}" if claim.table else claim.chain
    if both:
        return None, f"{name} is not as it should be, but {claim.rule} there is not what does harm to {service}."
    if of:
        return None, (f"something is wrong with what is asked of {service}, but not in {name}. Which rule does the "
                      "packet meet that it should not, or miss that it should meet?")
    if hit:
        return None, f"{name} is not as it should be, but that does no harm to {service}."
    return None, f"neither is anything wrong with what is asked of {service}, nor is {name} other than it should be."


def _harms(cluster: Capstone, fault: Fault, service: str) -> bool:
    return fault.incident.wide or any(port.key == fault.place.key and exactly(port, service)
                                      for port in cluster.ports)


def proofs(cluster: Capstone, value: object) -> Outcome:
    """Whether two pairs, of who asks and whom, make packets that show one fault each.

    A packet shows a fault where it fares otherwise when that one fault is mended. One that shows both may stand for
    both, and be given twice.
    """
    given = pairs(value, "who asks and whom, as in ('pod', '10.43.0.1:443')")
    seen: list[set[int]] = []
    lines = []
    for number, (who, to) in enumerate(given, 1):
        shown, why = _proof(cluster, who, to)
        seen.append(shown)
        lines += [f"Proof {number}: {why}"] if why else []
    right = max(sum(number in shown for number, shown in zip(order, seen)) for order in ((0, 1), (1, 0)))
    if right < 2 and not lines:
        lines = ["Both packets show the same fault. Which packet shows the other?"]
    return _two(right, "faults are shown by a packet", lines)


def _proof(cluster: Capstone, who: str, to: str) -> tuple[set[int], str]:
    """Which faults a packet shows, and what to say where it shows none."""
    if BLANK in (who, to):
        return set(), f"there is still a blank, {BLANK}."
    try:
        question = asked(cluster.drawn, who, to)
    except AskError as error:
        return set(), f"{error}."
    shown = {n for n in (0, 1) if shows(question, cluster.drawn, begun(cluster), without(cluster, n))}
    same = told(fates(question, cluster.drawn, begun(cluster)))
    return shown, "" if shown else f"{question}, and with either fault mended it fares the same: {same}."


def rules_after(cluster: Capstone, remedy: object) -> Ruleset:
    """The node's rules after a remedy: commands, a text for iptables-restore, or a lab; raises Unfit for others."""
    if isinstance(remedy, Lab):
        return iptables.parse(remedy.run(cluster.drawn.node.name, "iptables-save"))
    if not isinstance(remedy, str):
        raise Unfit(CANNOT_CHECK, "A text of commands is wanted, one a line, or the lab that you have mended.")
    if not bare(remedy):
        raise Unfit(NOT_ATTEMPTED, "")
    try:
        return changed(cluster.ruleset, remedy)
    except Refused as refused:
        raise Unfit(NOT_YET, f"{str(refused)[0].upper()}{str(refused)[1:]}") from None


def mended(cluster: Capstone, remedy: object) -> Outcome:
    """Whether everything goes where the objects say after a remedy."""
    rules = rules_after(cluster, remedy)
    if chains(rules) == chains(cluster.ruleset):
        raise Unfit(NOT_ATTEMPTED, "")
    if remembers := _counting(cluster, rules):
        raise Unfit(CANNOT_CHECK, f"`{remembers}` decides by what came before, and each packet here is the first. "
                                  "kube-proxy shares out by chance: `-m statistic --mode random --probability P`.")
    found = survey(cluster.drawn, rules)
    if not found.wrong:
        return Outcome(RIGHT, str(found))
    unknown = next((one for one in found.wrong for way in one.found if way.verdict == "UNKNOWN"), None)
    if unknown:
        reasons = (trace.reason for _, way, trace in ways(unknown.asked, cluster.drawn, rules)
                   if way.verdict == "UNKNOWN")
        return Outcome(CANNOT_CHECK, f"The packet's way cannot be told: {next(reasons)}")
    return Outcome(NOT_YET, str(found), tuple(_explained(cluster, rules, found.wrong)))


def _explained(cluster: Capstone, rules: Ruleset, them: Sequence[Wrong]) -> list[str]:
    """Of packets that go wrong, one that the answer made so, or else the first: what should be, and what it met."""
    drawn = cluster.drawn
    new = next((one for one in them if alike(fates(one.asked, drawn, cluster.ruleset), one.wanted)), None)
    wrong = new or them[0]
    lines = [*wrong.lines(), *["Before your commands it went right."] * bool(new)]
    all_ = ways(wrong.asked, drawn, rules)
    trace = next((trace for _, fate, trace in all_ if fate not in wrong.wanted), all_[0][2])
    met = [step for step in trace.steps if step.kind in ("NAT", "DROP", "REJECT") and (step.rule or step.chain)
           or step.kind == "POLICY" and step.verdict == "DROP"]
    return lines + [f"{'It' if step.leg == 1 else 'Its answer'} met {step.place}: {decided(step)}"
                    for step in met[:MOST]]


def decided(step: Step) -> str:
    """What decided in a step: the text of a rule, or a policy."""
    return f"`{step.rule}`" if step.rule else f"the policy, {step.verdict}"


def _counting(cluster: Capstone, rules: Ruleset) -> str:
    """A rule of a remedy that remembers packets, and is not one of the node's own; "" where there is none."""
    known = {text for them in (*chains(cluster.true).values(), *chains(begun(cluster)).values()) for text in them}
    return next((text for them in chains(rules).values() for text in them
                 if text not in known and REMEMBERS.search(text) and " -j LOG" not in text), "")


def proof_of(cluster: Capstone, number: int) -> Asked:
    """A question whose packet shows one of the two faults, and if that may be not the other."""
    fault = cluster.faults[number]
    own = {fault.place.ip, cluster.drawn.node.addresses[0]}
    asks = [one for _, one, _ in questions(cluster.drawn) if one.address in own
            and shows(one, cluster.drawn, begun(cluster), without(cluster, number))]
    return next((one for one in asks if number_alone(cluster, one, number)), asks[0])


def number_alone(cluster: Capstone, one: Asked, number: int) -> bool:
    """Whether a packet that shows one fault does not show the other."""
    return not shows(one, cluster.drawn, begun(cluster), without(cluster, 1 - number))


def work_of(answer: object, about: str) -> Work:
    """The learner's work, if it is the one that is wanted; raises Unfit."""
    if not isinstance(answer, Work) or answer.about != about:
        how = {"places": "cluster.claim(places)", "proofs": "cluster.prove(proofs)", "mended": "cluster.mend(remedy)"}
        raise Unfit(CANNOT_CHECK, f"`{how[about]}` is wanted, where `cluster = capstone(seed)`.")
    return answer

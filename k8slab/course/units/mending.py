"""Exercises on broken clusters: the learner mends one in place, by any remedy, and packets tell whether it works."""

from __future__ import annotations

from collections.abc import Sequence

from k8slab.course.causes import CAUSES
from k8slab.course.exercise import OTHER_LAB, Attempt, Exercise, Fault, verdict
from k8slab.course.faults import FAULTS, Breakage
from k8slab.course.incident import Incident
from k8slab.course.outcome import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, RIGHT, Outcome, Unfit
from k8slab.course.tries import tries
from k8slab.lab import Lab

ASKS = "Find out what is wrong with cluster {}, and mend it; or say lab.nothing_is_broken()."
ENOUGH = 15         # tries of each other client, where chance decides: one way of three is missed once in 400 times


def cluster(number: str, name: str, *hints: str, faults: Sequence[Fault] = ()) -> Exercise:
    """The exercise on the fault of that name, which the learner knows as a cluster with a number.

    >>> cluster("8", "forwarding-off", "Look at the routes.").key
    'cluster-8'
    """
    fault = FAULTS[name]
    return Exercise(f"cluster-{number}", ASKS.format(number), None, _mended(fault, number, faults), hints,
                    "\n".join(fault.mends), CAUSES[name].says, tuple(faults), lambda: Incident(fault),
                    fault=fault)


def _mended(fault: Breakage, number: str, faults: Sequence[Fault]) -> Attempt:
    """The answer is the cluster itself. What it was to begin with is asked first: what never failed is not mended."""

    def attempt(_: Lab, answer: object) -> Outcome:
        if not isinstance(answer, Incident) or answer.fault is not fault:
            raise Unfit(CANNOT_CHECK, OTHER_LAB.format(f"cluster-{number}"))
        if fault.broken and answer.before.works:
            raise Unfit(CANNOT_CHECK, "This machine's kernel does not show the fault: the program was answered.")
        answer.mended = False
        if not answer.touched:
            raise Unfit(NOT_ATTEMPTED, ASKS.format(number))
        if answer.declared or not fault.broken:
            outcome = _declared(answer, faults)
        else:
            answer.settle()
            outcome = _verdict(answer, faults)
        answer.mended = outcome.kind == RIGHT
        return outcome

    return attempt


def _verdict(lab: Incident, faults: Sequence[Fault]) -> Outcome:
    """What becomes of the packets of all of whom the message speaks, and of the program's call where it makes one."""
    lab.need_caller()
    fault = lab.fault
    asked = (tries(lab, fault.asks, fault.times, fresh=True),
             *(tries(lab, probe, min(fault.times, ENOUGH), fresh=True) for probe in fault.also))
    sent = [one for one in asked if not one.unseen or one.wrong]
    outcome = verdict(sent, (), faults) if sent else Outcome(RIGHT, "The program is answered.")
    if not fault.calls or outcome.kind != RIGHT:
        return outcome
    heard = lab.report()
    if not heard.works:
        raise Unfit(NOT_YET, "The packets go where they should, and the program still does not accept it.", heard.says)
    lost = lab.lost_names()
    if lost:
        raise Unfit(NOT_YET, "The program is answered, and others that call the API server by another name are not.",
                    f"Names that were right, and are in the certificate no more: {', '.join(lost)}")
    return outcome


def _declared(lab: Incident, faults: Sequence[Fault]) -> Outcome:
    """What to say to the claim that nothing is broken; or to a change where nothing was."""
    heard, fault = lab.report(), lab.fault
    if fault.broken:
        lab.declared = False
        says = "It works now; so something was." if heard.works else f"The program still says: {heard.says}"
        raise Unfit(NOT_YET, "Something is broken, or was.", says)
    rest = verdict([probe.send(lab) for probe in fault.also], (), faults)
    if rest.kind != RIGHT or lab.declared:
        return rest if rest.kind != RIGHT else Outcome(RIGHT, "It is as it should be: what the Service is for works.")
    raise Unfit(NOT_YET, "What was broken? Try what the Service is for, and compare with a cluster that works.")

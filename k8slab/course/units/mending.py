"""Exercises on broken clusters: the learner mends one in place, by any remedy, and packets tell whether it works."""

from __future__ import annotations

from collections.abc import Sequence

from k8slab.course.causes import CAUSES
from k8slab.course.exercise import Attempt, Exercise, Fault, verdict
from k8slab.course.faults import FAULTS, Breakage
from k8slab.course.incident import Incident
from k8slab.course.outcome import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, RIGHT, Outcome, Unfit
from k8slab.course.probe import Sent
from k8slab.lab import Lab

ASKS = "Find out what is wrong with cluster {}, and mend it; or say lab.nothing_is_broken()."


def cluster(number: str, name: str, *hints: str, faults: Sequence[Fault] = ()) -> Exercise:
    """The exercise on the fault of that name, which the learner knows as a cluster with a number.

    >>> cluster("8", "forwarding-off", "Look at the routes.").key
    'cluster-8'
    """
    fault = FAULTS[name]
    return Exercise(f"cluster-{number}", ASKS.format(number), None, _mended(fault, number, faults), hints,
                    "\n".join(fault.mends), CAUSES[name].says, tuple(faults), lambda: Incident(fault))


def _mended(fault: Breakage, number: str, faults: Sequence[Fault]) -> Attempt:
    """The answer is the cluster itself. What it was to begin with is asked first: what never failed is not mended."""

    def attempt(_: Lab, answer: object) -> Outcome:
        if not isinstance(answer, Incident) or answer.fault is not fault:
            raise Unfit(CANNOT_CHECK, f'That is another lab. Run the cell with `broken("cluster-{number}")` once more, '
                                      "and go on from there.")
        if fault.broken and answer.before.works:
            raise Unfit(CANNOT_CHECK, "This machine's kernel does not show the fault: the program was answered.")
        answer.mended = False
        if not answer.touched:
            raise Unfit(NOT_ATTEMPTED, ASKS.format(number))
        if answer.declared or not fault.broken:
            outcome = _declared(answer, faults)
            answer.mended = outcome.kind == RIGHT
            return outcome
        sent = [one for one in (answer.tried()[0], *(probe.send(answer) for probe in fault.also))
                if not _answered_unseen(answer, one)]
        outcome = verdict(sent, (), faults) if sent else Outcome(RIGHT, "The program is answered.")
        heard = answer.report() if fault.calls and outcome.kind == RIGHT else None
        if heard and not heard.works:
            raise Unfit(NOT_YET, "The packets go where they should, and the program still does not accept it.",
                        heard.says)
        answer.mended = outcome.kind == RIGHT
        return outcome

    return attempt


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


def _answered_unseen(lab: Incident, sent: Sent) -> bool:
    """Whether a connection that cannot be followed, as over a bridge with hooks, is answered all the same."""
    address, _, port = sent.probe.to.rpartition(":")
    if sent.trace.verdict != "UNKNOWN" or not port:
        return False
    found = "".join(lab.connections(1, sent.probe.at, address, int(port)))
    return ":" in found if sent.probe.wanted["comes back"].startswith("an answer") else ":" not in found

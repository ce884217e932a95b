"""The ways in which chance can fall for a packet: one, by a seed, or every one with its exact probability."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice

from k8slab.model.chance import Scripted, Seeded, every_way
from k8slab.model.dump import Question
from k8slab.trace import Trace

# `outcome` in a sentence, where no heading says that this is of the packet's source.
SAID = {"as it was": "its source unchanged"}
Ways = tuple[tuple[Fraction, Trace], ...]
Run = Callable[[Question], Ways]
Walk = Callable[[Question], Trace]


def by_seed(seed: int) -> Run:
    """One way, as the seed throws the dice."""
    return lambda question: ((Fraction(1), question.trace(Seeded(seed))),)


def every(question: Question) -> Ways:
    """Every way; the probabilities add up to 1."""
    return tuple(question.outcomes())


def how_many(question: Question, limit: int) -> int:
    """In how many ways chance can fall; `limit` + 1 where it is more than `limit`."""
    return sum(1 for _ in islice(question.outcomes(), limit + 1))


def scripts(question: Question) -> Iterator[tuple[Fraction, Trace, Walk]]:
    """Every way, with a walk that lets chance fall so again, for rules that were changed."""
    for probability, (chance, trace) in every_way(lambda chance: (chance, question.trace(chance))):
        made = tuple(chance.made)
        yield probability, trace, lambda changed, made=made: changed.trace(Scripted(made))


def outcome(trace: Trace) -> tuple[str, str, str]:
    """What a person would call the same end: the verdict, who got the packet and from whom, or why nobody did."""
    if trace.received is None:
        return trace.verdict, "", trace.reason
    return trace.verdict, trace.received.destination, "masqueraded" if trace.masqueraded else "as it was"


def chances(ways: Ways) -> dict[tuple[str, str, str], Fraction]:
    """How probable each end is, in the order in which they were found."""
    found: dict[tuple[str, str, str], Fraction] = {}
    for probability, trace in ways:
        end = outcome(trace)
        found[end] = found.get(end, Fraction(0)) + probability
    return found

"""Which steps tell the story: at most fifteen of a journey that may have a hundred.

A step is a headline when something was changed or decided at it, and when that is *news*: the second
packet of a connection meets the same rules and the same entry as the first, and repeats no headline.
How much a step matters is its rank, 0 for most; ranks are shown whole as long as they fit, so that the
choice is made by rule and never by a step's number.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8slab.show.words import HOMEWARD, way
from k8slab.trace import Step, Trace

LIMIT = 15
# How the reason of a step begins whose rule asks nothing.
UNTESTED = "has no test"

# 0: without these there is no story. 1: who received and who answered. 2: the rules on the way to a decision whose
# tests the packet passed, and the one that marked it: they say why it was made. 3: what is remembered for the reply,
# and that nothing matched. 4: the rules on the way that have no test. 5: what is done again to later packets. 6:
# where the packet goes with its new address.
ESSENCE, MEETING, REASON, MEMORY, PATH, AGAIN, WAY = range(7)
PLAIN = {"SEND": ESSENCE, "DROP": ESSENCE, "REJECT": ESSENCE, "DELIVER": MEETING, "ANSWER": MEETING}


def headlines(trace: Trace, limit: int = LIMIT) -> tuple[Step, ...]:
    """The steps that tell the journey's story, in order: at most `limit` (2 or more) of them.

    >>> from k8slab.lab import Lab
    >>> [step.kind for step in headlines(Lab("model").ping("client", "10.244.1.7"))]
    ['SEND', 'JUMP', 'END', 'ROUTE', 'DELIVER', 'ANSWER', 'ROUTE', 'DELIVER']
    """
    news = _news(trace)
    for worst in range(WAY, ESSENCE - 1, -1):
        chosen = [step for step, rank in news if rank <= worst]
        if len(chosen) <= limit:
            return tuple(chosen)
    return (*chosen[:limit - 1], chosen[-1])


def _news(trace: Trace) -> list[tuple[Step, int]]:
    """The steps that have a rank, each kind of event once."""
    seen: set[tuple] = set()
    news = []
    for step, rank in _ranked(trace):
        event = (step.node, step.kind, step.hook, step.chain, step.position, way(trace, step), step.changed)
        if step is trace.steps[-1] or event not in seen:
            news.append((step, rank))
        seen.add(event)
    return news


def _ranked(trace: Trace) -> Iterator[tuple[Step, int]]:
    path = _path(trace)
    translators = {step.node for step in trace.steps if _translates(step)}
    decided: tuple | None = None       # the packet and node for which a destination was just settled
    for step in trace.steps:
        here = (step.leg, step.node)
        unmatched = not translators and _asks_in_vain(step)
        if unmatched or step.kind == "ANSWER" or (_translates(step) and "dst" in step.changed):
            decided = here
        if step is trace.steps[-1] or step.verdict == "UNKNOWN":
            yield step, ESSENCE
        elif step.kind in PLAIN:
            yield step, PLAIN[step.kind]
        elif _translates(step):
            yield step, ESSENCE if step.rule or way(trace, step) == HOMEWARD else AGAIN
        elif unmatched or step.number in path or _remembers(trace, step, translators):
            tested = step.kind == "JUMP" and not step.why.startswith(UNTESTED)
            reason = not unmatched and (tested or step.kind == "RULE" and step.mark)
            yield step, REASON if reason else PATH if step.kind == "JUMP" else MEMORY
        elif step.kind == "ROUTE" and decided == here:
            decided = None
            yield step, WAY


def _translates(step: Step) -> bool:
    return step.kind == "NAT" and bool(step.changed)


def _asks_in_vain(step: Step) -> bool:
    """Whether a new connection goes into a nat chain or comes back from one, with nothing to find there."""
    return (step.leg == 1 and step.table == "nat" and step.kind in ("JUMP", "END")
            and step.hook in ("PREROUTING", "OUTPUT"))


def _remembers(trace: Trace, step: Step, translators: set[str]) -> bool:
    """Whether a node that translates meets a new connection, keeps it, or knows the reply by it."""
    if step.kind != "CONNTRACK" or step.entry is None or step.node not in translators:
        return False
    return step.leg == 1 or way(trace, step) == HOMEWARD


def _path(trace: Trace) -> set[int]:
    """The numbers of the steps by which a packet came to a rule that changed or ended something.

    Those are the jumps that it has not come back from, and the rules that marked it.
    """
    found: set[int] = set()
    calls: list[Step] = []
    mark, walk = 0, None
    for step in trace.steps:
        if walk != (step.leg, step.node, step.hook, step.table):
            if walk is None or walk[:2] != (step.leg, step.node):
                mark = 0         # a mark stays behind when the packet leaves its node
            calls, walk = [], (step.leg, step.node, step.hook, step.table)
        if step.kind == "JUMP":
            calls.append(step)
        elif step.kind in ("END", "RETURN"):
            while calls and calls.pop().chain != step.verdict:
                pass             # a goto leaves a chain without a way back: its jump ends with its caller's
        if step.mark != mark or (step.rule and (step.kind in ("DROP", "REJECT") or _translates(step))):
            found |= {s.number for s in (*calls, step)}
        mark = step.mark
    return found

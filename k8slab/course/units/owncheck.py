"""How unit 10 tries a part of a kube-proxy: in the unit's own, in whose other parts nothing is wrong.

First packets, in a lab whose worker1 has the rules that come out; packets tell most faults, and say where they went.
What they cannot tell, a name by another hash or a chain that nobody needs, the text tells: in each cluster the rules
must be those of the real kube-proxy, and the first that is not is shown.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from k8slab.course.exercise import Attempt, Fault, verdict
from k8slab.course.functions import called, defined, has_blank, same_code
from k8slab.course.outcome import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, RIGHT, Outcome, Unfit
from k8slab.course.probe import Probe
from k8slab.course.units.ownclusters import CLUSTERS, MOVES, UNNAMED, busy
from k8slab.course.units.ownparts import PARTS
from k8slab.course.units.ownproxy import (HELD, assembled, difference, expected, guarded, lines_of, recorded,
                                          recorded_names, restored, start, written)
from k8slab.errors import Told
from k8slab.iptables import Ruleset
from k8slab.lab import Lab

# Words in what iptables refuses or in the first difference, and what is said of them: part → pairs.
SLIPS: dict[str, tuple[tuple[str, str], ...]] = {
    "chain": (("too long for a chain's name", "iptables allows 28 characters, and the prefix has nine of them."),),
    "served": (("None' is not an IPv4 address", "The `clusterIP` of a headless Service is the word None, and nobody "
                                                "can send a packet there."),),
    "sync": (("is still referenced", "All that goes must be emptied before the first is deleted: a rule of a chain "
                                     "that goes, too, still leads to this one."),
             ("is not empty", "A chain is deleted only when it is empty: its line `:CHAIN - [0:0]` empties it."),),
    "endpoints": (("KeyError: 'name'", UNNAMED),),
}
ALIVE = "This chain belongs to a Service that is there; only those that the new text does not name go."


def _without_chances(lines: Sequence[str]) -> list[str]:
    return sorted(re.sub(r" -m statistic --mode random --probability \S+", "", line) for line in lines)


def _only_a_refusal(wanted: Sequence[str], found: Sequence[str]) -> bool:
    missing, more = ((Counter(one) - Counter(other)) for one, other in ((wanted, found), (found, wanted)))
    return any("-j REJECT" in line for line in missing) and not any("KUBE-SVC-" in line for line in more)


# What all the lines of a cluster tell together, the wanted and the found ones: part → pairs.
TOGETHER: dict[str, tuple[tuple[Callable[[Sequence[str], Sequence[str]], bool], str], ...]] = {
    "endpoints": ((lambda wanted, found: _without_chances(wanted) == _without_chances(found),
                   "The endpoints are sorted as texts: 10.244.1.11 before 10.244.1.3."),),
    "kube_proxy": ((lambda wanted, found: sorted(wanted) == sorted(found),
                    "The same rules in another order: in its chain, the mark comes before the shares."),
                   (_only_a_refusal,
                    "Each port has its own refusal; compare it with the two above, comment and all.")),
}


def _asks(at: str, to: str, proto: str = "tcp", **wanted: str) -> Probe:
    answer = {"comes back": f"an answer from {to}"} | {name.replace("_", " "): fact for name, fact in wanted.items()}
    return Probe(f"a {proto} question from {at} to {to}", at, answer, to=to, proto=proto)


# In the cluster `busy`: from a Pod to three Services, from an endpoint to itself, and where nobody is.
ASKED = (
    _asks("client", "10.96.0.1:443", destination="10.106.175.128:6443"),
    _asks("client", "10.96.0.10:53", "udp"),
    _asks("client", "10.96.12.34:80", destination="10.244.1.7:8080"),
    _asks("web", "10.96.12.34:80", destination="10.244.1.7:8080"),
    _asks("client", "10.96.12.40:80", comes_back="a refusal from 10.244.1.1"),
)
GONE = (ASKED[0], _asks("client", "10.96.12.34:80", destination="10.96.12.34:80", comes_back="nothing"))


def nodes() -> Lab:
    """The cluster's nodes and Pods; its kube-proxy has written nothing but what is there without any Service."""
    return Lab(rules=str(start().normal()))


def function(name: str, answer: object, asks: str) -> Callable:
    """The answer as a function; raises Unfit for one that is none, is untouched, or has a blank left."""
    part = PARTS[name]
    if isinstance(answer, str):
        answer = defined(answer, name, {key: value for key, value in assembled().items() if key != name})
    if not callable(answer):
        raise Unfit(CANNOT_CHECK, f"A function is wanted: `{part.blank.partition(':')[0].removeprefix('def ')}`.")
    if same_code(answer, defined(part.blank, name, {})):
        raise Unfit(NOT_ATTEMPTED, asks)
    if has_blank(answer):
        raise Unfit(NOT_YET, f"There is still a blank, `____`, in `{name}`.")
    return answer


def tried(name: str, asks: str, faults: Sequence[Fault] = (), first: Callable[[Callable], None] | None = None
          ) -> Attempt:
    """The answer is one part: by packets, then by the text. `first` is asked before, and raises Unfit if need be."""

    def attempt(lab: Lab, answer: object) -> Outcome:
        part = function(name, answer, asks)
        if first:
            first(part)
        with _slips(name):
            text = written(name, part, busy())
            restored(text)
        sent = _sent(lab, [text], ASKED, faults)
        if sent.kind != RIGHT:
            return sent
        _like_the_real(name, _written(name, part))
        return Outcome(RIGHT, f"{sent.says} In {len(HELD)} recorded clusters the rules are what the real kube-proxy "
                              f"wrote, in {len(CLUSTERS) - len(HELD)} others what this package's writes.")

    return attempt


def moved_on(asks: str) -> Attempt:
    """The answer is `sync`: by the rules after each move from one cluster to the next, then by packets."""

    def attempt(lab: Lab, answer: object) -> Outcome:
        part = function("sync", answer, asks)
        _like_the_real("sync", _changed(part))
        before, after = busy(), [one for one in busy() if one["metadata"]["name"] not in ("web", "web-1")]
        first = written("kube_proxy", None, before)
        texts = [first, written("sync", part, after, chain_names(restored(first)))]
        sent = _sent(lab, texts, GONE, ())
        return sent if sent.kind != RIGHT else Outcome(
            RIGHT, f"{sent.says} After each of {len(MOVES)} changes the rules are those of a kube-proxy that has "
                   "known nothing else.")

    return attempt


def chain_names(rules: Ruleset | str) -> list[str]:
    """The names of Services' and endpoints' chains in nat, of rules or of `iptables-save` text, sorted.

    >>> chain_names(":KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]\\n:KUBE-SERVICES - [0:0]")
    ['KUBE-SVC-NPX46M4PTMTKRN6Y']
    """
    return sorted(line[1:].split()[0] for line in str(rules).splitlines()
                  if line.startswith((":KUBE-SVC-", ":KUBE-SEP-")))


def _sent(lab: Lab, texts: Sequence[str], probes: Sequence[Probe], faults: Sequence[Fault]) -> Outcome:
    for text in texts:
        lab.restore("worker1", text, noflush=True)
    # Of a whole kube-proxy's rules most pass a packet over, and rightly so: none is told as the learner's own.
    return verdict([probe.send(lab) for probe in probes], (), faults)


@contextmanager
def _slips(name: str, otherwise: str = "", known: str = "") -> Iterator[None]:
    """Add, to an Unfit that is raised inside, what is `known` of it, else what SLIPS says, else `otherwise`."""
    try:
        yield
    except Unfit as unfit:
        outcome = unfit.outcome
        said = known or _slip(name, str(outcome)) or otherwise
        raise Unfit(outcome.kind, outcome.says, *([said] if said else []), *outcome.lines) from None


def _slip(name: str, words: str) -> str:
    return next((says for part, says in SLIPS.get(name, ()) if part in words.replace('"', "'")), "")


@dataclass(frozen=True, slots=True)
class Tried:
    """One cluster: what is special about it, and the lines that are wanted and that came out."""

    says: str
    wanted: Sequence[str]
    found: Sequence[str]


def _together(name: str, one: Tried) -> str:
    return next((says for tells, says in TOGETHER.get(name, ()) if tells(one.wanted, one.found)), "")


def _written(name: str, part: Callable | None) -> Iterator[Tried]:
    for cluster in CLUSTERS:
        says = cluster.says.get(name, cluster.says.get("", ""))
        with _slips(name, says):
            found = restored(written(name, part, cluster.objects))
        yield Tried(says, expected(cluster.objects, cluster.recorded), lines_of(found))


def _changed(part: Callable | None) -> Iterator[Tried]:
    for move in MOVES:
        before = restored(written("kube_proxy", None, move.before))
        wanted = expected(move.objects, move.recorded)
        text = written("sync", part, move.objects, chain_names(before))
        alive = set(re.findall(r"^-X (\S+)", text, re.M)) & set(chain_names("\n".join(wanted)))
        with _slips("sync", known=ALIVE if alive else ""):
            found = restored(text, before)
        yield Tried(move.says, wanted, lines_of(found))


def _as_it_stands(name: str, part: Callable) -> Iterator[Tried]:
    """A whole kube-proxy's rules, with whatever stands around it in its notebook."""
    for cluster in HELD:
        arguments = copy.deepcopy(recorded(cluster)), *([[]] if name == "sync" else [])
        text = called(guarded(name, part), *arguments, name=name)
        yield Tried("", expected((), cluster), lines_of(restored(text)))


def _like_the_real(name: str, clusters: Iterator[Tried]) -> None:
    """Raise Unfit unless the rules are as wanted in each cluster: the first that differs is told."""
    for number, one in enumerate(clusters):
        if differ := difference(one.wanted, one.found):
            what = "change" if name == "sync" else "cluster"
            times = (f"{number} {what}{'s' * (number != 1)}; in the next one," if number else
                     f"no {what} yet; in the first one,")
            said = _slip(name, f"{differ.wanted}\n{differ.found}") or _together(name, one) or one.says
            raise Unfit(
                NOT_YET,
                f"The packets cannot tell, but {differ} from the real one's." if name == "chain" else
                f"The rules are right {'after' if name == 'sync' else 'for'} {times} {differ}.",
                *([said] if said else []),
                f"wanted: `{differ.wanted}`" if differ.wanted else "wanted: no such line",
                f"found: `{differ.found}`" if differ.found else "found: no such line",
            )


class PartError(Told, ValueError):
    """Something that is no part of the unit's kube-proxy."""


def working(part: Callable) -> Callable:
    """This part where its text is right in each cluster, else the unit's own, so that what follows works.

    A whole kube-proxy must be right with what stands around it, too. Raises PartError for something that is none of
    the unit's functions.
    """
    name = getattr(part, "__name__", "")
    if name not in PARTS:
        raise PartError(f"working takes a function of this unit, {', '.join(PARTS)}; not {name or part!r}")
    if ours(part):
        return part
    try:
        _like_the_real(name, _changed(part) if name == "sync" else _written(name, part))
        if name in ("kube_proxy", "sync"):
            _like_the_real(name, _as_it_stands(name, part))
    except Unfit:
        return assembled()[name]
    return part


def ours(part: Callable) -> bool:
    """Whether a function is the unit's own."""
    return getattr(getattr(part, "__code__", None), "co_filename", "") == "<unit 10>"


def whose(*parts: Callable) -> str:
    """Who wrote each of these functions, one a line."""
    return "\n".join(f"{part.__name__:15} {'the unit' if ours(part) else 'you'}" for part in parts)


def compared(part: Callable) -> str:
    """A kube-proxy's rules beside the real one's in each recorded cluster, one a line; or why there are none."""
    lines: list[str] = []
    for name in recorded_names():
        try:
            text = called(guarded("kube_proxy", part), recorded(name), name="kube_proxy")
            differ = difference(expected((), name), lines_of(restored(text)))
        except Unfit as unfit:
            return "\n".join([*lines, f"{name:26} nothing to compare", str(unfit.outcome)])
        lines.append(f"{name:26} {differ or 'equal'}")
    return "\n".join(lines)

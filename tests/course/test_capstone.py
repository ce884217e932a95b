"""Capstones: the same for ever, always two faults that show, found by a solver that knows only what a learner knows."""

from __future__ import annotations

import hashlib
import json

import pytest

from k8slab import iptables
from k8slab.course.capstone import Capstone, capstone, grade
from k8slab.course.capstone.dice import Dice, SeedError, seed_text
from k8slab.course.capstone.drawn import draw
from k8slab.course.capstone.faulty import SOURCE_ALONE, broken, concerned
from k8slab.course.capstone.incidents import MAP
from k8slab.course.capstone.mending import commands
from k8slab.course.capstone.report import report
from k8slab.course.capstone.survey import survey
from k8slab.course.capstone.work import AskError
from k8slab.course.outcome import NOT_YET, RIGHT
from tests.course.solver import Finding, Seen, Solver

SMALL = 20              # Services of a cluster that is quickly examined
CALLERS = {"pod", "node", "outside"}


def seen(cluster: Capstone, rules: str = "") -> Seen:
    """What a learner is given."""
    drawn = cluster.drawn
    return Seen(cluster.objects, rules or cluster.rules, drawn.pod, drawn.node.addresses[0], drawn.outside,
                drawn.pod_range, drawn.subnet)


def solved(cluster: Capstone) -> list[Finding]:
    """The solver's findings, each named by the map; they are the faults, in their places, and what mends them does."""
    found = Solver(seen(cluster)).solve()
    assert {one.kind for one in found} == {fault.incident.name for fault in cluster.faults}, (cluster.seed, found)
    services = {one.kind: one.services for one in found}
    for fault in cluster.faults:
        assert fault.place.service in services[fault.incident.name]
    claims = [(fault.place.service, next(one.chain for one in found if one.kind == fault.incident.name))
              for fault in cluster.faults]
    assert grade.places(cluster, claims).kind == RIGHT, (cluster.seed, claims)
    mends = "\n".join(line for one in found for line in one.mends)
    assert grade.mended(cluster, mends).kind == RIGHT, (cluster.seed, mends, grade.mended(cluster, mends))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_twenty_capstones_from_twenty_seeds_are_solved_by_what_the_course_taught(seed: int) -> None:
    assert len(solved(capstone(seed, services=SMALL))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(20), "Ada", "Grace"])
def test_so_are_those_of_full_size(seed: object) -> None:
    cluster = capstone(seed)
    assert len(solved(cluster)) == 2 and not Solver(seen(cluster, str(cluster.true))).solve()


@pytest.mark.slow
def test_two_hundred_seeds_have_every_kind_of_the_map() -> None:
    met = {one.kind for seed in range(200) for one in solved(capstone(f"two hundred {seed}", services=SMALL))}
    assert met == {one.name for one in MAP}


@pytest.mark.parametrize("seed", range(100, 106))
def test_nothing_is_found_where_nothing_is_wrong(seed: int) -> None:
    cluster = capstone(seed, services=SMALL)
    assert not Solver(seen(cluster, str(cluster.true))).solve()
    assert not survey(cluster.drawn, cluster.true).wrong


def caller(cluster: Capstone, question: object) -> str:
    """Whom the map calls the one who asks."""
    if question.address == cluster.drawn.node.addresses[0]:
        return "nodeport"
    return question.who if question.who in CALLERS else "itself"


def pairs() -> list[tuple[str, str]]:
    """Each kind of fault at the Service kubernetes, and each at another, where it can be."""
    first = [one for one in MAP if one.at != "ordinary"]
    second = [one for one in MAP if one.at != "kubernetes"]
    made = []
    for other in second:
        fits = [one for one in first if one.name != other.name and not (one.wide and other.name in SOURCE_ALONE)]
        made.append((fits[0].name, other.name))
        first = [one for one in first if one is not fits[0]] or [one for one in MAP if one.at != "ordinary"]
    assert {one for one, _ in made} == {one.name for one in MAP if one.at != "ordinary"}
    return made


@pytest.mark.parametrize("kinds", pairs(), ids="+".join)
def test_each_kind_shows_to_those_whom_the_map_names_and_is_masked_by_no_other(kinds: tuple[str, str]) -> None:
    cluster = capstone("each 5", services=12, kinds=kinds)
    both = {one.asked for one in survey(cluster.drawn, cluster.ruleset).wrong}
    alone = []
    for fault in cluster.faults:
        with_it = broken(cluster.drawn, [fault])
        wrong = survey(cluster.drawn, with_it).wrong
        alone += [one.asked for one in wrong]
        possible = CALLERS | ({"nodeport"} if fault.place.node_port else set()) | (
            {"itself"} if fault.place.own else set())
        if not fault.incident.wide:
            assert {caller(cluster, one.asked) for one in wrong} == possible & set(fault.incident.shows)
        assert {caller(cluster, one.asked) for one in wrong} <= set(fault.incident.shows)
        main = fault.incident.chain.format_map(fault.place.words())
        assert main in concerned(fault, with_it, cluster.true)
    assert both == set(alone)
    solved(cluster)


@pytest.mark.parametrize("seed", [2026, "Ada"])
def test_the_same_seed_is_the_same_cluster_for_ever(seed: object) -> None:
    cluster = capstone(seed)
    text = json.dumps([cluster.drawn.items, [(fault.incident.name, fault.place.name) for fault in cluster.faults],
                       cluster.drawn.policy, cluster.drawn.pod, cluster.drawn.outside])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == {2026: "2ccb81f9477d5991", "Ada": "0e35d2ed0fded14d"}[seed]

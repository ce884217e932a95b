"""Capstones: the same for ever, always two faults that show, found by a solver that knows only what a learner knows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from k8slab import course
from k8slab.course.capstone import Capstone, capstone, grade
from k8slab.course.capstone.dice import SeedError, seed_text
from k8slab.course.capstone.asking import far, inside
from k8slab.course.capstone.commandline import Refused
from k8slab.course.capstone.faulty import SOURCE_ALONE, broken
from k8slab.course.capstone.incidents import MAP
from k8slab.course.capstone.mending import commands
from k8slab.course.capstone.report import report
from k8slab.course.capstone.survey import survey, usable
from k8slab.course.capstone.where import spots
from k8slab.course.capstone.work import AskError
from k8slab.course.outcome import NOT_ATTEMPTED, NOT_YET, RIGHT, Unfit
from k8slab.course.progress import Progress
from k8slab.errors import CommandError, Told
from tests.course.solver import Finding, Seen, Solver

SMALL = 14              # Services of a cluster that is quickly examined
CALLERS = {"pod", "node", "outside"}
AT_NODE_PORTS = {"nodeport", "pod-nodeport", "node-nodeport"}


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
    drawn = cluster.drawn
    source = question.source(drawn)
    own = {one.address for one in usable(drawn, next(
        one for one in cluster.ports if question.address in (one.cluster_ip, *drawn.node.addresses)
        and question.port in (one.port, one.node_port)))}
    who = (question.who if question.who in CALLERS else "far" if far(drawn, source) else "itself" if source in own
           else "pod" if inside(source, drawn.subnet) else "outside")
    if question.address in drawn.node.addresses:
        return {"outside": "nodeport"}.get(who, f"{who}-nodeport")
    return who


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
        possible = CALLERS | {"far"} | (AT_NODE_PORTS if fault.place.node_port else set()) | (
            {"itself"} if fault.place.own else set())
        if not fault.incident.wide:
            assert {caller(cluster, one.asked) for one in wrong} == possible & set(fault.incident.shows)
        assert {caller(cluster, one.asked) for one in wrong} <= set(fault.incident.shows)
        main = fault.incident.chain.format_map(fault.place.words())
        assert main in {chain for _, chain in spots(fault, with_it, cluster.true)}
    assert both == set(alone)
    solved(cluster)


@pytest.mark.parametrize("seed", [2026, "Ada"])
def test_the_same_seed_is_the_same_cluster_for_ever(seed: object) -> None:
    cluster = capstone(seed)
    text = json.dumps([cluster.drawn.items, [(fault.incident.name, fault.place.name) for fault in cluster.faults],
                       cluster.drawn.policy, cluster.drawn.pod, cluster.drawn.outside])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == {2026: "2ccb81f9477d5991", "Ada": "0e35d2ed0fded14d"}[seed]


def test_a_seed_is_a_number_or_a_name_and_case_and_space_do_not_count() -> None:
    assert capstone(" ADA ", services=12) is capstone("ada", services=12)
    assert capstone(7, services=12) is capstone("7", services=12)
    assert repr(capstone("Ada", services=12)) != repr(capstone("Ade", services=12))
    assert seed_text("Zoe\u0308") == seed_text("zo\u00eb")


@pytest.mark.parametrize("seed", ["", "  ", None, 1.5, True, ["Ada"], "x" * 61, "a\nb", 10**60])
def test_what_cannot_be_a_seed_is_told(seed: object) -> None:
    with pytest.raises(SeedError, match="the seed"):
        capstone(seed)


SMALLEST = capstone("each 5", services=12, kinds=("stale-endpoint", "no-hairpin"))
WRONG = [
    (lambda: SMALLEST.ask("me", "10.0.0.1:80"), AskError, "'pod', 'node', 'outside'"),
    (lambda: SMALLEST.ask(None, "10.0.0.1:80"), AskError, "None"),
    (lambda: SMALLEST.ask("pod", "10.0.0.1"), AskError, "an address and a port"),
    (lambda: SMALLEST.ask("pod", "10.0.0.999:80"), AskError, "an address and a port"),
    (lambda: SMALLEST.ask("pod", 7), AskError, "an address and a port"),
    (lambda: SMALLEST.port("shop/none"), AskError, "no Service with a ClusterIP"),
    (lambda: SMALLEST.after("iptables -t nat -D KUBE-SERVICES 999"), Refused, "command 1"),
    (lambda: SMALLEST.after("iptables -t nat -F\nls"), Refused, "command 2"),
    (lambda: SMALLEST.trace("--from 10.0.0.1"), CommandError, "--to missing"),
    (lambda: SMALLEST.trace("--from '10.0.0.1 --to 10.0.0.2:80"), CommandError, "quotation"),
    (lambda: SMALLEST.run("iptables -t nat -S NONE"), Told, "NONE"),
]


@pytest.mark.parametrize(("ask", "kind", "words"), WRONG)
def test_a_wrong_question_is_told_in_words(ask: object, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        ask()
    assert isinstance(caught.value, Told)


def answers(cluster: Capstone) -> tuple[list, list, str, list[str]]:
    """Places, proofs, remedy and words that make a report."""
    places = [(fault.place.name, fault.incident.chain.format_map(fault.place.words())) for fault in cluster.faults]
    asks = [grade.proof_of(cluster, number) for number in (0, 1)]
    proofs = [(one.who, f"{one.proto} {one.address}:{one.port}") for one in asks]
    words = ["The list of servers was an old one.", "Somebody has deleted the mark rule."]
    return places, proofs, "\n".join(commands(cluster.ruleset, cluster.true)), words


def test_the_report_is_written_when_all_is_right(tmp_path: Path) -> None:
    places, proofs, remedy, words = answers(SMALLEST)
    said = report(SMALLEST, places, proofs[::-1], remedy, words, str(tmp_path))
    assert str(said) == "Written: `capstone-each-5.md`, beside this notebook."
    text = (tmp_path / "capstone-each-5.md").read_text(encoding="utf-8")
    first, second = text.index("## Fault 1: default/kubernetes"), text.index("## Fault 2:")
    assert first < text.index(words[0]) < text.index(proofs[0][1].split()[1]) < second < text.index(words[1])
    survey_ = survey(SMALLEST.drawn, SMALLEST.ruleset)
    for part in ("each 5", *SMALLEST.reports.text.splitlines(), remedy, f"Before: {survey_}",
                 f"After: {survey_.asked} of {survey_.asked} packets"):
        assert part in text


def test_a_lab_that_was_mended_is_a_remedy_and_has_its_report(tmp_path: Path) -> None:
    places, proofs, remedy, words = answers(SMALLEST)
    with SMALLEST.lab() as lab:
        with pytest.raises(Unfit) as untouched:
            grade.mended(SMALLEST, lab)
        assert untouched.value.outcome.kind == NOT_ATTEMPTED
        for line in remedy.splitlines():
            lab.run(SMALLEST.drawn.node.name, line)
        assert grade.mended(SMALLEST, lab).kind == RIGHT
        assert "Written" in str(report(SMALLEST, places, proofs, lab, words, str(tmp_path)))
    assert remedy.splitlines()[0] in (tmp_path / "capstone-each-5.md").read_text(encoding="utf-8")


def test_a_report_says_what_is_missing_and_writes_nothing(tmp_path: Path) -> None:
    places, proofs, remedy, words = answers(SMALLEST)
    blanks = [("____", "____"), ("____", "____")]
    said = str(report(SMALLEST, blanks, proofs[:1] * 2, "# nothing", ["____", "too short"], str(tmp_path)))
    assert "The places: not attempted." in said and "The proofs: 1 of 2" in said
    assert "The remedy: not attempted." in said and "Your words" in said
    for wrong in ((7, proofs, remedy, words), (places, None, remedy, words), (places, proofs, 3, words),
                  (places, proofs, remedy, 5)):
        assert str(report(SMALLEST, *wrong, str(tmp_path))).startswith("Not yet.")
    assert not list(tmp_path.iterdir())
    assert "cannot be written" in str(report(SMALLEST, places, proofs, remedy, words, str(tmp_path / "none")))


def test_what_an_answer_broke_is_told_before_what_was_broken() -> None:
    outcome = grade.mended(SMALLEST, "iptables -P FORWARD DROP\niptables -F POD-NETWORK")
    assert outcome.kind == NOT_YET and "Before your commands it went right." in outcome.lines


def test_help_is_for_the_cluster_of_the_one_who_asks(tmp_path: Path) -> None:
    unit = course.unit("13", Progress(tmp_path / "progress.json"))
    before = unit.solution("places").text
    unit.check("places", SMALLEST.claim([("default/kubernetes", "FORWARD"), ("____", "____")]))
    after = unit.solution("places").text
    assert capstone().faults[1].place.service in before and SMALLEST.faults[1].place.service in after
    assert SMALLEST.faults[0].incident.found in [unit.hint("places") for _ in range(3)][2].text
    for key, answer in (("places", SMALLEST.claim), ("proofs", SMALLEST.prove), ("mended", SMALLEST.mend)):
        unit.check(key, answer("x"))
        told = eval(unit.solution(key).text.split("\n\n")[1], {"cluster": SMALLEST})
        assert unit.check(key, told).text.startswith(RIGHT)


def test_two_files_for_the_command_line_are_the_dump_and_the_objects(tmp_path: Path) -> None:
    assert SMALLEST.save(str(tmp_path)) == "capstone-each-5.rules, capstone-each-5.json"
    assert (tmp_path / "capstone-each-5.rules").read_text(encoding="utf-8") == SMALLEST.rules
    assert json.loads((tmp_path / "capstone-each-5.json").read_text(encoding="utf-8"))["items"] == SMALLEST.objects

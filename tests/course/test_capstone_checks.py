"""The capstone's checks say Right for what is right alone: remedies, proofs and places that only look so."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from k8slab.course import unit
from k8slab.course.capstone import Capstone, capstone, grade
from k8slab.course.capstone.asking import others, questions
from k8slab.course.capstone.cluster import file_name
from k8slab.course.capstone.mending import commands
from k8slab.course.capstone.report import report, telling
from k8slab.course.capstone.survey import Wrong, fates
from k8slab.course.capstone.work import asked
from k8slab.course.outcome import CANNOT_CHECK, NOT_YET, RIGHT, Outcome, Unfit
from k8slab.course.progress import Progress
from k8slab.errors import Told

# The first has its Pods where the whole one has them, and is quicker to examine.
ANNA, SEVEN = capstone("anna", services=30, kinds=("from-pods-dropped", "firewall")), capstone(7)
GOOD = "\n".join(commands(ANNA.ruleset, ANNA.true))
STRICT = GOOD.replace("-P FORWARD ACCEPT", "-P FORWARD DROP")


def judged(judge: object, *given: object) -> Outcome:
    try:
        return judge(*given)
    except Unfit as unfit:
        return unfit.outcome


def test_the_remedies_that_the_rest_are_made_of_are_right() -> None:
    assert grade.mended(ANNA, GOOD).kind == grade.mended(ANNA, STRICT).kind == RIGHT


@pytest.mark.parametrize(("remedy", "words"), [
    ("iptables -D FORWARD 1\niptables -A FORWARD -s 172.24.39.47 -p tcp --dport 8443 -j ACCEPT",
     "the policy, DROP"),
    (f"{GOOD}\niptables -I FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j DROP", "Its answer met"),
    (f"{STRICT}\niptables -D KUBE-FORWARD 3", "and the answer is dropped"),
    (f"{GOOD}\niptables -A INPUT -j DROP", "node asks"),
    (f"{GOOD}\niptables -t nat -I PREROUTING -s 172.24.0.0/16 -m addrtype --dst-type LOCAL -j RETURN", "pod asks"),
])
def test_a_remedy_for_some_or_for_the_way_there_alone_is_not_right(remedy: str, words: str) -> None:
    outcome = grade.mended(ANNA, remedy)
    assert outcome.kind == NOT_YET and words in "\n".join(outcome.lines), outcome


def test_a_remedy_that_takes_away_one_pod_whom_nobody_was_told_of_is_not_right() -> None:
    whole = capstone("anna")
    mends = "\n".join(commands(whole.ruleset, whole.true))
    assert grade.mended(whole, mends).kind == RIGHT
    outcome = grade.mended(whole, f"{mends}\niptables -t nat -I PREROUTING -s 172.24.39.48 -j ACCEPT")
    assert outcome.kind == NOT_YET and "172.24.39.48 asks" in outcome.lines[0], outcome


def test_a_mark_for_one_machine_outside_is_not_the_mark_for_all() -> None:
    cluster = capstone("one outside", services=30, kinds=("first-always", "no-mark"))
    place = cluster.faults[1].place
    right = commands(cluster.ruleset, cluster.true)
    (mark,) = (line for line in right if "KUBE-MARK-MASQ" in line)
    one = f"iptables -t nat -I {place.words()['svc']} 1 -s {cluster.drawn.outside} -j KUBE-MARK-MASQ"
    outcome = grade.mended(cluster, "\n".join(one if line == mark else line for line in right))
    assert outcome.kind == NOT_YET and place.ip in outcome.lines[0], outcome


def test_each_free_address_of_the_nodes_pods_asks_once_and_nobody_hidden_is_one_that_was_told() -> None:
    cluster = capstone("anna")
    hidden, drawn = others(cluster.drawn), cluster.drawn
    who = {one.who for _, one, _ in questions(drawn)}
    ports = len(cluster.ports)
    assert set(hidden.pods[:ports]) <= who and len(set(hidden.pods)) == len(hidden.pods)
    assert drawn.pod not in hidden.pods and drawn.outside not in hidden.outside
    assert len(hidden.pods) <= ports + 60 and hidden == others(drawn)


def test_what_counts_packets_is_named_and_not_judged() -> None:
    assert grade.mended(ANNA, f"{GOOD}\niptables -I FORWARD -m limit --limit 1/hour -j LOG").kind == RIGHT
    for rule in ("-m statistic --mode nth --every 2 --packet 1", "-m limit --limit 1/hour"):
        outcome = judged(grade.mended, ANNA, f"{GOOD}\niptables -I FORWARD {rule} -j DROP")
        assert outcome.kind == CANNOT_CHECK and "by chance" in outcome.says, outcome


@pytest.mark.parametrize("seed", [39, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (42, 57))])
def test_a_packet_that_one_fault_hides_from_the_other_shows_one(seed: int) -> None:
    cluster = capstone(seed)
    place = cluster.faults[1].place
    twice = [("outside", f"{place.ip}:{place.port}")] * 2
    assert judged(grade.proofs, cluster, twice).lines == ("Both packets show the same fault. Which packet shows the "
                                                         "other?",)
    assert grade.shown_by(cluster, *twice[0]) == {1}
    assert grade.proofs(cluster, [twice[0], ("outside", f"{cluster.faults[0].place.ip}:443")]).kind == RIGHT


@pytest.mark.parametrize("seed", [33, pytest.param(52, marks=pytest.mark.slow)])
def test_a_packet_that_shows_both_may_stand_for_both(seed: int) -> None:
    """Its destination is wrong by the one fault, and its source by the other."""
    cluster = capstone(seed)
    place = cluster.faults[1].place
    question = asked(cluster.drawn, "outside", f"{place.ip}:{place.port}")
    now = fates(question, cluster.drawn, cluster.ruleset)
    assert all(now != fates(question, cluster.drawn, grade.without(cluster, n)) for n in (0, 1))
    assert grade.proofs(cluster, [("outside", f"{place.ip}:{place.port}")] * 2).kind == RIGHT


FIRST = ("default/kubernetes", "KUBE-SVC-NPX46M4PTMTKRN6Y")
Q, SVC = "users/queue-web:metrics", "KUBE-SVC-KQNT7RNDZXFQ56AT"


@pytest.mark.parametrize("chain", [
    "KUBE-SERVICES", "nat KUBE-SERVICES", "-t nat -A KUBE-SERVICES …", "KUBE-SERVICES rule 263",
    f"-A KUBE-SERVICES -d 10.100.144.46/32 -p tcp --dport 9090 -j {SVC}", "iptables -t nat -I KUBE-SERVICES 263",
])
def test_a_place_may_be_named_by_its_chain_its_number_or_its_text(chain: str) -> None:
    assert grade.places(SEVEN, [FIRST, (Q, chain)]).kind == RIGHT


@pytest.mark.parametrize(("chain", "words"), [
    ("filter KUBE-SERVICES", "not in KUBE-SERVICES of filter"),
    ("-t filter -A KUBE-SERVICES -j REJECT", "not in KUBE-SERVICES of filter"),
    ("KUBE-SERVICES rule 999999", "rule 999999 there is not what does harm"),
    ("KUBE-SERVICES rule 1", "rule 1 there is not what does harm"),
    ("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS", "is not what does harm"),
    (f"KUBE-SERVICES, {SVC}, FORWARD", "are 3 chains"),
    (SVC, f"but not in {SVC}"),
])
def test_a_place_that_names_more_or_other_than_the_fault_is_not_right(chain: str, words: str) -> None:
    outcome = grade.places(SEVEN, [FIRST, (Q, chain)])
    assert outcome.kind == NOT_YET and words in outcome.lines[0], outcome


def test_shares_are_printed_with_the_digits_by_which_they_differ() -> None:
    place = SEVEN.faults[0].place
    right = "\n".join(commands(SEVEN.ruleset, SEVEN.true))
    outcome = grade.mended(SEVEN, right.replace("0.33333333349", "0.3333"))
    assert outcome.kind == NOT_YET and place.ip in outcome.lines[0]
    assert outcome.lines[0].partition(": ")[2] != outcome.lines[1].partition(": ")[2] and "0.33330" in outcome.lines[0]
    near = Wrong("x", {"a": Fraction(1, 3) + Fraction(1, 10**5), "b": Fraction(2, 3) - Fraction(1, 10**5)},
                 {"a": Fraction(1, 3), "b": Fraction(2, 3)})
    assert near.lines() == ["x: 0.33334 a; 0.66666 b.", "By the objects: 0.33333 a; 0.66667 b."]
    told = judged(unit("08", Progress(None)).content.exercises[0].grade, [0.25, 0.33333, 0.5])
    assert told.kind == NOT_YET and "gets 0.249997" in told.lines[-1], told


def written(cluster: Capstone, folder: Path) -> str:
    """The report that is made when all is right."""
    places = [(fault.place.name, fault.incident.chain.format_map(fault.place.words())) for fault in cluster.faults]
    asks = [grade.proof_of(cluster, number) for number in (0, 1)]
    proofs = [(one.who, f"{one.proto} {one.address}:{one.port}") for one in asks]
    remedy = "\n".join(commands(cluster.ruleset, cluster.true))
    said = report(cluster, places, proofs, remedy, ["This was the first fault.", "That was the second one."], folder)
    assert str(said).startswith("Written"), said
    return (folder / f"capstone-{file_name(cluster.seed)}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("seed", range(14))
def test_the_two_lists_of_the_report_show_the_fault(seed: int, tmp_path: Path) -> None:
    cluster = capstone(seed, services=14)
    parts = written(cluster, tmp_path).split("\n## ")
    for part in parts[2:4]:
        before, after = part.partition("Before: ")[2].split("After: ")
        assert before.splitlines()[2:] != after.splitlines()[2:], part
    for number in (0, 1):
        question = grade.proof_of(cluster, number)
        now, then = (fates(question, cluster.drawn, rules) for rules in (cluster.ruleset, cluster.true))
        for rules, own, other in ((cluster.ruleset, now, then), (cluster.true, then, now)):
            fate, _ = telling(question, cluster, rules, other)
            assert fate not in other or set(own) <= set(other), (seed, number)


def test_the_report_names_the_policy_that_dropped(tmp_path: Path) -> None:
    assert "* node · filter FORWARD: the policy, DROP" in written(ANNA, tmp_path)


def test_chains_to_which_nothing_leads_are_shown_with_a_sentence() -> None:
    said = str(SEVEN.chains(Q))
    assert f"The chains of {Q} exist, and nothing in KUBE-SERVICES leads there:\n" in said
    assert "KUBE-SEP-" in said and "DNAT" in said
    cluster = capstone("zz", services=12, kinds=("reject-left", "old-address"))
    assert "there is no chain KUBE-SVC-NPX46M4PTMTKRN6Y" in str(cluster.chains("kubernetes"))
    assert cluster.faults[1].place.words()["svc"] in str(cluster.chains(cluster.faults[1].place.ip))


SMALL = capstone("each 5", services=12, kinds=("stale-endpoint", "no-hairpin"))


@pytest.mark.parametrize(("ask", "words"), [
    (lambda: SMALL.services(3), "a text is wanted"), (lambda: SMALL.services(None), "a text is wanted"),
    (lambda: SMALL.chains(3), "a text is wanted"), (lambda: SMALL.chains("nobody"), "no Service with a ClusterIP"),
    (lambda: SMALL.port("a"), "Services: "), (lambda: SMALL.ready("nobody"), "no Service with a ClusterIP"),
    (lambda: SMALL.run(None), "a text is wanted"), (lambda: SMALL.after(None), "a text is wanted"),
    (lambda: SMALL.trace(3), "a text is wanted"), (lambda: SMALL.lab("nobody"), "no Service with a ClusterIP"),
    (lambda: SMALL.save("/nonexistent"), "nothing can be written there: No such file"),
    (lambda: SMALL.save(3), "nothing can be written there"),
    (lambda: capstone("zz", services=30, kinds=("no-mark", "wrong-port")), "kubernetes cannot have the fault"),
    (lambda: capstone("zz", services=6, kinds=("wrong-port", "no-nodeport-mark")), "no other Service can have"),
    (lambda: capstone("zz", services="many"), "a whole number"), (lambda: capstone("zz", services=0), "a whole number"),
    (lambda: capstone("zz", kinds=("x", "y")), "two names are wanted"), (lambda: capstone("zz", kinds=5), "two names"),
    (lambda: SMALL.run("ip6tables -S"), "it is for IPv6"), (lambda: SMALL.run("conntrack -L"), "iptables is wanted"),
    (lambda: SMALL.run("iptables-save -c"), "-t and a table"), (lambda: SMALL.run("iptables -S | rm"), "lab's pipes"),
    (lambda: SMALL.after("iptables-legacy -F"), "rules of another kind"), (lambda: SMALL.after("sudo"), "is wanted"),
    (lambda: SMALL.ask("127.0.0.1", "10.0.0.1:80"), "the address of a Pod"),
    (lambda: SMALL.ask("sctp", "sctp 10.0.0.1:80"), "an address and a port"),
])
def test_what_is_no_question_is_told(ask: object, words: str) -> None:
    with pytest.raises(Told, match=words):
        ask()


def test_a_report_on_what_is_no_cluster_is_told() -> None:
    assert "is no capstone" in str(report(3, [], [], "", []))


def test_commands_are_read_as_they_are_typed() -> None:
    flushed = SMALL.after("iptables -F; iptables -P FORWARD ACCEPT")
    for text in ("sudo iptables -F && sudo iptables -P FORWARD ACCEPT", "/usr/sbin/iptables -tfilter -F\niptables -P "
                 "FORWARD ACCEPT", "iptables --table=filter -F\n# nothing\niptables -P FORWARD ACCEPT"):
        assert SMALL.after(text).rules == flushed.rules
    kept = SMALL.after("iptables -A INPUT -m comment --comment 'a; b' -j ACCEPT")
    assert 'a; b' in kept.run("iptables -S INPUT")
    assert SMALL.run("iptables-save") == SMALL.rules
    assert SMALL.run("iptables-save -t nat | head -n 1") == "*nat\n"
    assert SMALL.run("sudo iptables -tnat -S KUBE-SERVICES | grep -c kubernetes:https") == "1\n"


def test_a_word_means_the_same_service_everywhere() -> None:
    for word in ("kubernetes", "default/kubernetes", " default/kubernetes:https ", SMALL.faults[0].place.ip, "kubern"):
        assert SMALL.port(word).name == "default/kubernetes:https"
        assert SMALL.services(word).rows[0][0] == "default/kubernetes:https" and len(SMALL.services(word).rows) == 1
        assert "default/kubernetes:https" in str(SMALL.chains(word))
    assert "No Service with a ClusterIP is called 'nobody'" in str(SMALL.services("nobody"))


def test_a_question_may_have_capitals_other_addresses_and_the_nodes_own_loopback() -> None:
    to = f"{SMALL.faults[0].place.ip}:443"
    assert SMALL.ask("pod", f"TCP {to}").fates == SMALL.ask("pod", to).fates
    assert SMALL.ask(SMALL.drawn.node.addresses[0], to).fates == SMALL.ask("node", to).fates
    (fate,) = SMALL.ask("node", "127.0.0.1:80").fates
    assert (fate.verdict, fate.source) == ("FORWARDED", "127.0.0.1")
    _, away, outside = (one[0] for one in (others(SMALL.drawn).pods, others(SMALL.drawn).far,
                                           others(SMALL.drawn).outside))
    assert {one.source for one in SMALL.ask(away, to).fates} == {away}
    assert {one.source for one in SMALL.ask(outside, to).fates} == set(SMALL.drawn.node.addresses)
    shut = SMALL.after("iptables -I FORWARD -m conntrack --ctstate ESTABLISHED -j DROP").ask("pod", to)
    assert "goes on, but the answer is dropped" in str(shut) and max(step.leg for step in shut.trace.steps) == 2


def test_seeds_have_files_of_their_own() -> None:
    seeds = ("王伟", "李娜", "मीना", "a/b", "a:b", "each 5", "😀", "😁", "o'neil")
    names = [file_name(seed) for seed in seeds]
    assert len(set(names)) == len(names) and names[:2] == ["王伟", "李娜"] and names[5] == "each-5"
    assert not any(sign in name for name in names for sign in '<>:"/\\|?*. \'')


def test_help_before_any_answer_says_whose_cluster_it_is_of(tmp_path: Path) -> None:
    thirteen = unit("13", Progress(tmp_path / "progress.json"))
    assert "the cluster of the seed 2026" in [thirteen.hint("places") for _ in range(3)][2].text
    assert "the cluster of the seed 2026" in thirteen.solution("mended").text
    thirteen.check("places", SMALL.claim([("____", "____"), ("____", "____")]))
    assert "2026" not in [thirteen.hint("places") for _ in range(3)][2].text

"""What unit 12 says of the two modes, held: its counts, a solution that is shown whole, the second Service."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from k8slab import course
from k8slab.course.units.crowd import counted, crowd, parts, syn, table_of
from k8slab.course.units.labs import KUBERNETES, rules_of_objects, service
from k8slab.course.units.tablework import RIGHT_LINES, WRONG_LINES, two_lines, two_servers
from k8slab.errors import Told
from k8slab.lab import Lab
from k8slab.nft import follow

API, WEB = "10.106.175.128:6443", "10.244.1.7:8080"
REFUSED = "dial tcp 10.96.0.1:443: connect: connection refused"
LOST = "dial tcp 10.96.0.1:443: i/o timeout"


def test_iptables_reads_a_rule_more_for_each_service_and_nftables_does_not() -> None:
    ten, fifty = counted(10, 50).values()
    grown = {name: fifty[name] - ten[name] for name in ten}
    assert grown == {"iptables, first Service": 0, "iptables, last Service": 40, "iptables, no Service": 40,
                     "nftables, last Service": 0}


def test_the_counts_are_those_of_the_kernels_own_trace() -> None:
    items = crowd(10)
    with Lab("model", rules=rules_of_objects(*items)) as lab:
        trace = lab.connect("client", "10.96.0.1", 443)
    steps = [step for step in trace.steps if (step.leg, step.node) == (1, "worker1")]
    assert sum(len(step.passed) + bool(step.rule) for step in steps) == counted(10)[10]["iptables, first Service"]


@pytest.mark.parametrize(("wrong", "words"), [
    (lambda: parts(table_of(crowd(1)), "chain services", "chain foo"), "this table has no `chain foo`"),
    (lambda: syn("10.96.0.1", "443"), "a port is a number from 0 to 65535, not '443'"),
    (lambda: syn("kubernetes", 443), "to 'kubernetes'; it asks no DNS"),
    (lambda: table_of(crowd(1), "10.96.0.1/16"), "10.96.0.1/16 has host bits set"),
    (lambda: counted(1), "from 2 to 50,000 is wanted, not 1"),
    (lambda: crowd("ten"), "from 1 to 50,000 is wanted, not 'ten'"),
])
def test_a_cell_that_was_varied_is_answered_in_words(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises(Told) as told:
        wrong()
    assert words in str(told.value)


def test_the_rule_that_rewrote_is_not_shown_as_what_left_the_source() -> None:
    assert "It met" not in str(two_lines(None, WRONG_LINES.replace("mod 3", "mod 2")))


def test_a_solution_that_is_a_dictionary_is_shown_with_its_values() -> None:
    shown = course.unit("12").solution("nft-fates").text
    assert "'10.96.12.40:80': 'refused'" in shown and "'10.96.12.34:80': '10.244.1.7:8080'" in shown


def test_the_lines_to_be_mended_are_wrong_in_the_table() -> None:
    right, wrong = (two_servers(*lines.splitlines()) for lines in (RIGHT_LINES, WRONG_LINES))
    assert len([1 for a, b in zip(right.splitlines(), wrong.splitlines()) if a != b]) == 2
    assert follow(wrong, syn("10.96.0.1", 443), draw=2).verdict == "DROPPED"


@pytest.mark.parametrize("dataplane", ["model", pytest.param("kernel", marks=pytest.mark.kernel)])
@pytest.mark.parametrize(("port", "endpoints", "pod", "node", "arrives"), [
    (80, ["10.244.1.7"], f"answered by {API}", f"answered by {API}", API),
    (6443, ["10.244.1.7"], LOST, f"answered by {API}", WEB),       # translated on worker1, then on k8smaster again
    (6443, [], REFUSED, REFUSED, None),                            # filter sees the translated packet
])
def test_a_second_service_that_gets_the_api_servers_address(dataplane: str, port: int, endpoints: list[str], pod: str,
                                                            node: str, arrives: str | None) -> None:
    second = service("shop", "web", "10.106.175.128", port, 8080, *endpoints)
    with Lab(dataplane, rules=rules_of_objects(*service(*KUBERNETES, "10.106.175.128"), *second)) as lab:
        assert (lab.dial("client", "10.96.0.1", 443), lab.dial("k8smaster", "10.96.0.1", 443)) == (pod, node)
        received = lab.connect("client", "10.96.0.1", 443).received
        assert (received and received.destination) == arrives


def test_the_second_service_in_nftables_mode_is_refused_in_place_of_dropped() -> None:
    second = service("shop", "web", "10.106.175.128", 80, 8080, "10.244.1.7")
    for items, verdict in ((crowd(1), "DROPPED"), ([*crowd(1), *second], "REJECTED")):
        assert follow(table_of(items, "10.96.0.0/12"), syn("10.96.0.1", 443)).verdict == verdict

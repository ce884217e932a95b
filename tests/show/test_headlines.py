"""The short view: which steps tell the story, by rule."""

from __future__ import annotations

import pytest

from k8slab.show.headlines import LIMIT, headlines
from k8slab.show.text import story
from tests.show.journeys import MAKERS, journey


@pytest.mark.parametrize("name", MAKERS)
def test_headlines_are_few_in_order_and_hold_the_beginning_and_the_end(name: str) -> None:
    trace = journey(name)
    chosen = headlines(trace)
    numbers = [step.number for step in chosen]
    assert 2 <= len(chosen) <= LIMIT == 15
    assert numbers == sorted(set(numbers))
    assert chosen[0] is trace.steps[0] and chosen[-1] is trace.steps[-1]


@pytest.mark.parametrize("name", MAKERS)
def test_each_change_of_address_by_a_rule_and_each_end_is_a_headline(name: str) -> None:
    trace = journey(name)
    rewritten = {s.number for s in trace.steps if s.kind == "NAT" and s.rule and s.changed}
    ended = {s.number for s in trace.steps if s.kind in ("DROP", "REJECT") or s.verdict == "UNKNOWN"}
    must = rewritten | ended
    assert must <= {step.number for step in headlines(trace)}


def test_the_articles_journey() -> None:
    told = [(s.node, s.kind, s.verdict if s.kind == "JUMP" else "") for s in headlines(journey("article"))]
    assert told == [
        ("client", "SEND", ""), ("worker1", "CONNTRACK", ""), ("worker1", "JUMP", "KUBE-SERVICES"),
        ("worker1", "JUMP", "KUBE-SVC-NPX46M4PTMTKRN6Y"), ("worker1", "JUMP", "KUBE-SEP-VDNPK4CXOQDGPWFC"),
        ("worker1", "NAT", ""), ("worker1", "ROUTE", ""), ("worker1", "CONNTRACK", ""),
        ("k8smaster", "DELIVER", ""), ("k8smaster", "ANSWER", ""), ("k8smaster", "ROUTE", ""),
        ("worker1", "CONNTRACK", ""), ("worker1", "NAT", ""), ("client", "DELIVER", "")]


def test_jumps_that_came_back_are_no_headlines_and_a_goto_is() -> None:
    for name, chains in (("goto", ["TRY", "AWAY"]), ("goto that ends", [])):
        assert [step.verdict for step in headlines(journey(name)) if step.kind == "JUMP"] == chains
    assert "KUBE-FORWARD" not in [step.verdict for step in headlines(journey("article"))]


def test_the_rule_that_marked_the_packet_is_a_headline() -> None:
    marked = [step.chain for step in headlines(journey("node")) if step.mark and step.kind == "RULE"]
    assert marked == ["KUBE-MARK-MASQ"]


def test_a_later_packet_of_a_connection_repeats_no_headline() -> None:
    legs = [step.leg for step in headlines(journey("connection")) if step.kind == "NAT"]
    assert legs == [1, 2, 3]


def test_a_journey_without_translation_says_that_the_chains_were_asked() -> None:
    kinds = [step.kind for step in headlines(journey("other port"))]
    assert kinds == ["SEND", "JUMP", "END", "ROUTE", "DROP"]


@pytest.mark.parametrize("limit", range(2, 16))
def test_a_smaller_limit_is_kept(limit: int) -> None:
    chosen = headlines(journey("connection"), limit)
    assert len(chosen) <= limit
    assert chosen[0].kind == "SEND" and chosen[-1] is journey("connection").steps[-1]


@pytest.mark.parametrize("name", MAKERS)
def test_the_story_has_a_sentence_for_each_headline(name: str) -> None:
    trace = journey(name)
    text = story(trace)
    assert text.startswith(trace.summary())
    flat = " ".join(text.split())
    for step in headlines(trace):
        assert f" {step.number}. {step.node}" in flat
        if step.kind not in ("SEND", "ANSWER"):
            assert " ".join(f"{step.place}: {step.why}.".split()) in flat
    assert max(map(len, text.splitlines()[1:])) <= 100

"""Each pane says what the step says, and its twin says all that the pane says."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.show import words as w
from k8slab.show.stage import pane
from k8slab.show.text import twin
from k8slab.trace import Step, Trace
from tests.show.journeys import MAKERS, NETWORK, journey
from tests.show.reading import Reader, words

# Words of the pane's frame: the table's column headings.
FRAME = {"Field", "Before", "After"}


def assert_complete(trace: Trace, step: Step) -> None:
    html = Reader(pane(trace, step, NETWORK))
    position = f"rule {step.position}" if step.rule else ""
    for part in (step.why, step.node, step.hook, step.table, step.chain, position):
        assert " ".join(part.split()) in html.text
    for passed in step.passed:
        assert str(passed) in html.text and " ".join(passed.rule.split()) in html.text
    assert " ".join(step.rule.split()) in html.text
    shown = {name for row in w.fields(step) if row.changed for name in _names(step, row.name)}
    assert set(step.changed) <= shown
    assert sum(tag == "em" for tag, _ in html.elements) == sum(row.changed for row in w.fields(step))
    if step.mark:
        assert f"{step.mark:#x}" in html.text
    if step.entry:
        for flow in (step.entry.original, step.entry.reply):
            assert f"{flow.source} > {flow.destination}" in html.text
    said = words(twin(trace, step, NETWORK))
    assert words(html.text) - FRAME <= said, words(html.text) - FRAME - said
    assert said - {"→", "←"} <= words(html.text), said - words(html.text)


def _names(step: Step, row: str) -> frozenset[str]:
    rows = (*w.ROWS.get(step.before.proto, w.OTHER_ROWS), *w.ERROR_ROWS)
    return next(names for name, names, _ in rows if name == row)


@pytest.mark.parametrize("name", MAKERS)
def test_each_pane_says_all_that_its_step_says(name: str) -> None:
    trace = journey(name)
    for step in trace.steps:
        assert_complete(trace, step)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["tcp", "udp", "icmp"]), st.sampled_from([host.name for host in NETWORK.hosts]),
       st.sampled_from(["10.96.0.1", "10.96.0.10", "10.106.175.128", "10.244.1.7", "10.244.1.9", "1.1.1.1"]),
       st.sampled_from([443, 6443, 8080, 53, 1]), st.binary(max_size=20))
def test_each_pane_of_any_journey_says_all_that_its_step_says(proto, at, dst, port, payload) -> None:
    src = NETWORK.host(at).address
    ports = (None, None) if proto == "icmp" else (40000, port)
    trace = Lab("model").send(Packet(proto, src, dst, *ports, payload=payload), at)
    for step in trace.steps:
        assert_complete(trace, step)


def test_a_packet_that_ends_is_said_to_end() -> None:
    trace = journey("dropped")
    last = trace.steps[-1]
    assert last.after is None
    assert "it ends here" in Reader(pane(trace, last)).text and "it ends here" in twin(trace, last)


def test_the_request_and_the_reply_are_told_apart_in_words_and_by_the_arrow() -> None:
    trace = journey("article")
    out, home = (Reader(pane(trace, step, NETWORK)) for step in (trace.steps[0], trace.steps[-1]))
    assert "request, on its way out" in out.text and "reply, on its way home" in home.text
    arrows = [[a["d"] for tag, a in reader.elements if tag == "path"] for reader in (out, home)]
    assert len(arrows[0]) == 2 and set(arrows[0]).isdisjoint(arrows[1])


def test_a_host_that_answers_itself_has_a_request_and_a_reply() -> None:
    trace = journey("node")
    assert {step.node for step in trace.steps} == {"k8smaster"}
    assert {w.way(trace, step) for step in trace.steps} == {w.OUTWARD, w.HOMEWARD}


def test_the_wire_is_lit_that_the_packet_is_on() -> None:
    trace = journey("article")
    for step in trace.steps:
        lit = pane(trace, step).count("k-lit")
        assert lit == (step.kind in ("LEAVE", "ARRIVE"))


def test_tables_have_headings_that_say_what_they_head() -> None:
    html = Reader(pane(journey("article"), journey("article").steps[8]))
    heads = [attributes.get("scope") for tag, attributes in html.elements if tag == "th"]
    assert heads.count("col") == 3 and set(heads) == {"col", "row"}


def test_what_comes_from_outside_is_escaped() -> None:
    trace = journey("article")
    rule = '-A X -m comment --comment "<i>" -j Y&Z'
    step = dataclasses.replace(trace.steps[8], why="<b>why</b>", rule=rule)
    html = pane(dataclasses.replace(trace, steps=(step,)), step)
    assert "<b>why" not in html and "<i>\"" not in html and "&lt;i&gt;" in html and "Y&amp;Z" in html


def test_a_comment_that_looks_like_options_stays_a_comment() -> None:
    trace = journey("article")
    rule = '-A X ! -s 10.0.0.0/8 -m comment --comment "a -j DROP -b" -j ACCEPT'
    step = dataclasses.replace(trace.steps[8], rule=rule)
    assert w.target(rule) == "ACCEPT"
    html = pane(trace, step)
    assert "<span>--comment &quot;a -j DROP -b&quot;</span> <b><span>-j ACCEPT</span></b>" in html
    assert "<span>! -s 10.0.0.0/8</span>" in html


def test_a_rule_is_broken_between_options_and_its_target_is_bold() -> None:
    trace = journey("article")
    step = next(s for s in trace.steps if s.kind == "NAT" and s.rule)
    html = pane(trace, step)
    assert "<span>--comment &quot;default/kubernetes:https&quot;</span>" in html
    assert "<b><span>-j DNAT</span> <span>--to-destination 10.106.175.128:6443</span></b>" in html

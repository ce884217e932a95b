"""Two journeys side by side: where they part, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from k8slab.lab import Lab
from k8slab.show import side_by_side
from k8slab.show.beside import ENDED
from k8slab.show.grid import Folded
from k8slab.trace import Trace, alignment, compare
from tests.model.labs import model, syn
from tests.show.journeys import MAKERS, journey


@pytest.fixture(scope="module")
def flushed() -> tuple[Trace, Trace]:
    """A connection before and after the Service's chain was emptied, from two ports."""
    lab = Lab("model")
    before = lab.connect("client", "10.96.0.1", 443)
    lab.run("worker1", "iptables -t nat -F KUBE-SVC-NPX46M4PTMTKRN6Y")
    return before, lab.connect("client", "10.96.0.1", 443)


@pytest.mark.parametrize("name", MAKERS)
def test_a_journey_is_like_itself(name: str) -> None:
    table = side_by_side(journey(name), journey(name))
    assert "do the same" in table.caption and table.marked == ()
    assert compare(journey(name), journey(name)) is None


def test_the_first_difference_is_marked_and_told(flushed: tuple[Trace, Trace]) -> None:
    table = side_by_side(*flushed, ("before", "after"))
    alike, before, after = alignment(*flushed)
    assert table.caption == f"Before and after differ after {alike} steps alike: the first difference is on worker1"
    row = table.rows[table.marked[0]]
    assert row[0] == "First difference" and table.rows[table.marked[0] - 1][0] == "Alike"
    assert "KUBE-SVC-NPX46M4PTMTKRN6Y rule 2" in row[1].line and "no rule is left" in row[2]
    assert before[alike].place in row[1].line and after[alike].place in row[2]


def test_everything_is_in_one_of_the_columns(flushed: tuple[Trace, Trace]) -> None:
    text = str(side_by_side(*flushed)).replace("\n", " ")
    for steps in alignment(*flushed)[1:]:
        assert all(step.place.split()[0] in text for step in steps)
    marked = side_by_side(*flushed).html.count("border-top: 2px solid")
    assert marked == 3                     # the three cells of one row


def test_a_port_that_a_host_chose_is_no_difference(flushed: tuple[Trace, Trace]) -> None:
    before = flushed[0]
    again = Lab("model").connect("client", "10.96.0.1", 443, sport=55555)
    assert again.sent.sport != before.sent.sport and compare(before, again) is None


def test_another_destination_port_is_one() -> None:
    difference = compare(Lab("model").send(syn(dport=443), "client"), Lab("model").send(syn(dport=80), "client"))
    assert difference and difference.left.number == difference.right.number


def test_a_journey_that_ended_earlier(flushed: tuple[Trace, Trace]) -> None:
    whole = flushed[0]
    cut = replace(whole, steps=whole.steps[:20])
    table = side_by_side(cut, whole)
    assert table.rows[table.marked[0]][1] == ENDED and table.rows[-1][0] == "And on"
    empty = replace(whole, steps=())
    assert side_by_side(empty, whole).rows[1][:2] == ("First difference", ENDED)
    assert "Alike" not in [row[0] for row in side_by_side(whole, empty).rows]


def test_a_difference_in_the_very_first_step() -> None:
    table = side_by_side(Lab("model").send(syn(), "client"), Lab("model").ping("k8smaster", "10.244.1.7"))
    assert table.caption.startswith("Left and right differ after 0 steps alike") and table.marked == (1,)


def test_a_mark_on_one_side_alone_is_a_difference() -> None:
    rule = "-A FORWARD -p tcp -j MARK --set-mark 1"
    table = side_by_side(model(filter="").send(syn("10.244.1.7", 8080), "client"),
                         model(filter=rule.replace("-A FORWARD", "-A FORWARD -s 10.244.1.5")).send(syn("10.244.1.7", 8080), "client"))
    assert isinstance(table.rows[table.marked[0]][2], Folded)


def test_names_are_not_html(flushed: tuple[Trace, Trace]) -> None:
    html = side_by_side(*flushed, ("<b>", "a&b")).html
    assert "<b>" not in html and "&lt;b&gt;" in html and "a&amp;b" in html

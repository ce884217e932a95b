"""Journeys as a real kernel was seen to make them: told, and walked by the model, without a kernel."""

from __future__ import annotations

from collections import Counter

import pytest

from k8slab.kernel.journey import follow
from k8slab.kernel.stays import stays
from k8slab.kernel.passages import passages
from k8slab.model.dataplane import Model
from k8slab.trace import Trace, compare
from tests.differential.cases import Dice
from tests.kernel.journeys import JOURNEYS, network, rules
from tests.kernel.record import FOLDER, Recorded, dump, load, load_rules

# What each journey is about: verdict, who got the first packet, who answered.
ENDS = {
    "article": ("DELIVERED", "10.106.175.128:6443", "10.96.0.1:443"),
    "connect": ("DELIVERED", "10.106.175.128:6443", "10.96.0.1:443"),
    "nodeport": ("DELIVERED", "10.244.1.7:8080", "10.106.175.131:30080"),
    "hairpin": ("DELIVERED", "10.244.1.7:8080", "10.96.0.20:80"),
    "refused": ("REJECTED", "", "10.244.1.1"),
    "icmp-error": ("DELIVERED", "10.244.1.7:99", "10.96.0.40"),
    "dns": ("DELIVERED", "10.244.0.2:53 or 10.244.0.3:53", "10.96.0.10:53"),
    "loopback": ("DELIVERED", "10.106.175.128:6443", "10.96.0.1:443"),
}


def told(name: str) -> tuple[Recorded, Trace, list[bool]]:
    """The recording, the trace that it tells, and how chance fell."""
    recorded = load(name)
    telling = follow(network(), load_rules(), JOURNEYS[name].host, recorded.sent, recorded.seen)
    return recorded, telling.trace(recorded.after), telling.draws


def as_modelled(name: str, recorded: Recorded, draws: list[bool]) -> Trace:
    """The model's journey with the kernel's draws, and with the ports that it chose."""
    model = Model(network(), load_rules())
    for host, stack in model.stacks.items():
        chosen = [change.entry.reply for change in recorded.seen.changes if change.host == host and change.what == "new"
                  and change.entry.reply.dport != change.entry.original.sport]
        stack.netfilter.chance = Dice(draws, chosen)
    return JOURNEYS[name].on(model)


@pytest.mark.parametrize("name", JOURNEYS)
def test_the_model_takes_the_steps_that_the_kernel_was_seen_to_take(name):
    recorded, trace, draws = told(name)
    model = as_modelled(name, recorded, list(draws))
    difference = compare(trace, model)
    assert difference is None, str(difference)
    assert any(step.observed for step in trace.steps)
    assert trace.summary() == model.summary()
    assert [step.kind for step in trace.steps] == [step.kind for step in model.steps]      # what is inferred, too


@pytest.mark.parametrize("name", JOURNEYS)
def test_a_recording_tells_how_the_journey_ends(name):
    _, trace, _ = told(name)
    verdict, got, answered = ENDS[name]
    assert trace.verdict == verdict
    assert (trace.received.destination if trace.received else "") in got.split(" or ")
    assert trace.reply.source == answered


@pytest.mark.parametrize("name", JOURNEYS)
def test_everything_that_was_seen_belongs_to_one_stay(name):
    recorded = load(name)
    found = stays(JOURNEYS[name].host, recorded.sent.flow, recorded.seen)
    wires = [wire for stay in found for wire in (stay.came, stay.left) if wire]
    assert Counter(wires) == Counter(recorded.seen.wires)
    dealt = [stay.passage for stay in found if stay.passage]
    assert len(dealt) == len(passages(recorded.seen.hits)) > 0
    assert all(stay.passage.start == ("pre" if stay.came else "out") for stay in found if stay.passage)
    legs = list(dict.fromkeys(stay.leg for stay in found))
    assert legs == list(range(1, len(legs) + 1))
    assert [stay.time for stay in found] == sorted(stay.time for stay in found)


@pytest.mark.parametrize("name", JOURNEYS)
def test_a_recording_is_read_as_it_was_written(name):
    assert dump(load(name)) == (FOLDER / f"{name}.json").read_text()


def test_the_recorded_rules_are_our_kube_proxys():
    assert {node: str(one.normal()) for node, one in load_rules().items()} == rules()

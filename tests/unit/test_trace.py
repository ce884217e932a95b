"""What a trace says of itself: one sentence, the text twin, JSON, and where two traces part."""

from __future__ import annotations

import dataclasses
import json

import pytest

from k8slab.entry import Entry
from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.trace import KINDS, OBSERVABLE, compare
from tests.model.labs import CLIENT, VIP, WEB, model, syn


@pytest.fixture(scope="module")
def article():
    return Lab(seed=1).send(syn())


def udp(port):
    return Packet("udp", CLIENT, WEB, 40000, port)


@pytest.mark.parametrize(
    ("lab", "packet", "sentence"),
    [
        (Lab, syn(), "10.106.175.128:6443 answered, and the answer came back as 10.96.0.1:443."),
        (
            Lab,
            syn(dport=80),
            "the packet was dropped: router: the route is “blackhole 10.96.0.0/16”: the packet is dropped in silence.",
        ),
        (model, syn(WEB, 9), "10.244.1.7:9 refused, and the answer came back as 10.244.1.7:9."),
        (model, udp(9), "10.244.1.7:9 refused, and an ICMP error came back as 10.244.1.7."),
        (
            lambda: model(filter="-A FORWARD -j REJECT"),
            syn(WEB, 8080),
            "the packet was refused, and an ICMP error came back as 10.244.1.1: "
            "worker1: rule 1 of filter FORWARD says REJECT.",
        ),
        (
            lambda: model(raw="-A PREROUTING -s 10.244.1.7 -j DROP"),
            syn(WEB, 8080),
            "the packet was delivered to 10.244.1.7:8080, and nothing came back: the answer did not get through: "
            "worker1: rule 1 of raw PREROUTING says DROP.",
        ),
        (
            lambda: model(nat="-A POSTROUTING -j MASQUERADE"),
            syn(WEB, 8080),
            "10.244.1.7:8080, which saw 10.244.1.1:40000, answered, and the answer came back as 10.244.1.7:8080.",
        ),
    ],
)
def test_the_journey_in_one_sentence(lab, packet, sentence):
    trace = lab().send(packet, "client")
    assert trace.summary() == f"{packet.source} asked {packet.destination}; {sentence}"


def test_the_text_says_all_that_the_steps_say(article):
    text = str(article)
    assert text.startswith(article.summary())
    for step in article.steps:
        assert step.why in text and step.rule in text and step.place in text
        for passed in step.passed:
            assert f"{passed.chain} rule {passed.position}" in text
            assert passed.wanted.removeprefix("not ") in text and passed.found in text
    for node, entry in article.entries:
        assert f"{node}: {entry}" in text


def test_the_json_says_all_that_the_steps_say(article):
    data = json.loads(json.dumps(article.to_dict()))
    assert [s["why"] for s in data["steps"]] == [s.why for s in article.steps]
    assert [len(s["passed"]) for s in data["steps"]] == [len(s.passed) for s in article.steps]
    assert data["verdict"] == "DELIVERED" and data["reply"]["src"] == VIP


def test_steps_are_numbered_and_of_known_kinds(article):
    assert [s.number for s in article.steps] == list(range(1, len(article.steps) + 1))
    assert {s.kind for s in article.steps} <= set(KINDS) and OBSERVABLE <= set(KINDS)
    assert not any(s.observed for s in article.steps)  # the model concludes, it does not observe


def test_compare_names_the_first_step_that_differs(article):
    assert compare(article, article) is None
    other = list(article.steps)
    at = next(i for i, s in enumerate(other) if s.kind == "JUMP")
    other[at] = dataclasses.replace(other[at], verdict="KUBE-NODEPORTS")
    changed = dataclasses.replace(article, steps=tuple(other))
    assert compare(article, changed).left is article.steps[at]
    shorter = dataclasses.replace(article, steps=article.steps[:-3])
    assert compare(article, shorter).right is None and "nothing more" in str(compare(article, shorter))


def test_compare_leaves_out_what_no_kernel_shows(article):
    at = next(i for i, s in enumerate(article.steps) if s.kind == "ROUTE")
    steps = (*article.steps[:at], *article.steps[at + 1 :])
    assert compare(article, dataclasses.replace(article, steps=steps)) is None


def test_an_entry_prints_as_conntrack_l_does():
    flow = syn().flow
    entry = Entry(flow, flow.reply, "SYN_SENT", timeout=120)
    assert str(entry) == (
        "tcp      6 120 SYN_SENT src=10.244.1.5 dst=10.96.0.1 sport=40000 dport=443 [UNREPLIED] "
        "src=10.96.0.1 dst=10.244.1.5 sport=443 dport=40000 mark=0 use=1"
    )
    assert not entry.translated


def test_only_the_packet_that_was_sent_counts_as_masqueraded():
    trace = model(nat="-A POSTROUTING -j MASQUERADE").send(syn(WEB, 8080), "client")
    assert trace.masqueraded
    later = tuple(dataclasses.replace(s, leg=s.leg + 1) for s in trace.steps)
    assert not dataclasses.replace(trace, steps=later).masqueraded


def test_a_port_that_chance_chose_is_no_difference_but_an_address_is():
    one, other = (Lab("model", seed=seed).connect("worker1", "10.96.0.1", 443) for seed in (1, 2))
    assert one.received.sport != other.received.sport and compare(one, other) is None
    with Lab("model", seed=2) as lab:
        lab.run("worker1", "iptables -t nat -R KUBE-POSTROUTING 3 -p tcp -j SNAT --to-source 10.106.175.9")
        moved = lab.connect("worker1", "10.96.0.1", 443)
    assert compare(one, moved) is not None

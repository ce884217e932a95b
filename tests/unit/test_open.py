"""Connections that stay open: what is asked over them goes where their entry leads, whatever the rules say by then."""

from __future__ import annotations

import pytest

from k8slab.lab import Lab
from k8slab.network import NetworkError

DATAPLANES = ["model", pytest.param("kernel", marks=pytest.mark.kernel)]
both = pytest.mark.parametrize("dataplane", DATAPLANES)
CHAIN = "KUBE-SVC-NPX46M4PTMTKRN6Y"


@both
def test_asks_again_and_again_over_one_connection(dataplane: str) -> None:
    with Lab(dataplane) as lab:
        talk = lab.open("client", "10.96.0.1", 443)
        for number in range(5):
            trace = talk.ask(b"question %d" % number)
            assert trace.received.payload == b"question %d" % number
            assert trace.reply.source == "10.96.0.1:443" and b"10.106.175.128:6443" in trace.reply.payload
            assert not any(step.table == "nat" for step in trace.steps if step.node == "worker1" and step.leg == 1)
        entries = [one for one in lab.entries("worker1") if one.original.dst == "10.96.0.1"]
        assert len(entries) == 1 and entries[0].state == "ESTABLISHED"


@both
def test_outlives_the_rules_and_other_connections(dataplane: str) -> None:
    with Lab(dataplane) as lab:
        talks = [lab.open(pod, "10.96.0.1", 443) for pod in ("client", "web", "client")]
        lab.run("worker1", f"iptables -t nat -F {CHAIN}")
        for _ in range(3):
            lab.clock.advance(600)
            assert lab.connect("client", "10.96.0.1", 443).verdict == "DROPPED"
            assert lab.connect("client", "10.106.175.128", 6443).verdict == "DELIVERED"
            assert all(talk.ask().reply.source == "10.96.0.1:443" for talk in talks)


@both
def test_a_question_without_an_answer_ends_it(dataplane: str) -> None:
    with Lab(dataplane) as lab:
        talk = lab.open("client", "10.96.0.1", 443)
        lab.run("k8smaster", "iptables -I INPUT -p tcp --dport 6443 -j DROP")
        assert talk.ask().reply is None
        lab.run("k8smaster", "iptables -D INPUT 1")
        with pytest.raises(NetworkError, match="open no longer|no connection|closed|ended"):
            talk.ask()


@both
def test_two_hosts_talk_from_the_same_port_and_are_not_taken_for_each_other(dataplane: str) -> None:
    with Lab(dataplane) as lab:
        talks = {pod: lab.open(pod, "10.96.0.1", 443) for pod in ("client", "web", "coredns-1")}
        assert len({talk.opened.sent.sport for talk in talks.values()}) == 1
        for pod, talk in talks.items():
            trace = talk.ask()
            assert (trace.sent.src, trace.steps[0].node) == (lab.network.host(pod).address, pod)
            assert trace.sent.src.encode() in trace.reply.payload


@both
def test_one_that_nobody_accepts_is_not_open(dataplane: str) -> None:
    with Lab(dataplane) as lab:
        for address, port in (("10.96.0.2", 443), ("10.244.1.7", 81)):
            talk = lab.open("client", address, port)
            with pytest.raises(NetworkError):
                talk.ask()

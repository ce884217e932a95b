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
        ask = lab.open("client", "10.96.0.1", 443)
        for number in range(5):
            trace = ask(b"question %d" % number)
            assert trace.received.payload == b"question %d" % number
            assert trace.reply.source == "10.96.0.1:443" and b"10.106.175.128:6443" in trace.reply.payload
            assert not any(step.table == "nat" for step in trace.steps if step.node == "worker1" and step.leg == 1)
        entries = [one for one in lab.entries("worker1") if one.original.dst == "10.96.0.1"]
        assert len(entries) == 1 and entries[0].state == "ESTABLISHED"


@both
def test_outlives_the_rules_and_other_connections(dataplane: str) -> None:
    with Lab(dataplane) as lab:
        asks = [lab.open(pod, "10.96.0.1", 443) for pod in ("client", "web", "client")]
        lab.run("worker1", f"iptables -t nat -F {CHAIN}")
        for _ in range(3):
            lab.clock.advance(600)
            assert lab.connect("client", "10.96.0.1", 443).verdict == "DROPPED"
            assert lab.connect("client", "10.106.175.128", 6443).verdict == "DELIVERED"
            assert all(ask().reply.source == "10.96.0.1:443" for ask in asks)


@both
def test_a_question_without_an_answer_ends_it(dataplane: str) -> None:
    with Lab(dataplane) as lab:
        ask = lab.open("client", "10.96.0.1", 443)
        lab.run("k8smaster", "iptables -I INPUT -p tcp --dport 6443 -j DROP")
        assert ask().reply is None
        lab.run("k8smaster", "iptables -D INPUT 1")
        with pytest.raises(NetworkError, match="it has ended"):
            ask()


@both
def test_is_not_opened_where_nobody_accepts_it(dataplane: str) -> None:
    with Lab(dataplane) as lab:
        with pytest.raises(NetworkError, match="no connection to 10.96.0.2:443.*blackhole"):
            lab.open("client", "10.96.0.2", 443)
        with pytest.raises(NetworkError, match="refused"):
            lab.open("client", "10.244.1.7", 81)

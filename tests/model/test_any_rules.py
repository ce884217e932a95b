"""Whatever the rules: an answer, never an error, for a node alone and for the whole network."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from k8slab.iptables import RulesError, parse
from k8slab.iptables.names import TABLES
from k8slab.model.chance import Seeded
from k8slab.model.dataplane import Model
from k8slab.model.dump import Question
from k8slab.network import cluster_network
from k8slab.packet import Packet
from k8slab.trace import VERDICTS
from tests.iptables.rules_strategy import dumps
from tests.model.labs import CLIENT, MASTER, WEB, WORKER, syn

PACKETS = st.sampled_from([
    syn(), syn(WEB, 8080), syn(MASTER, 6443), syn(WORKER, 22), syn("127.0.0.1", 80), syn("224.0.0.1"), syn(flags="SA"),
    Packet("udp", CLIENT, "10.244.0.2", 40000, 53), Packet("icmp", CLIENT, WEB), Packet("47", CLIENT, WEB),
    Packet("sctp", CLIENT, WEB, 40000, 9), Packet("icmp", CLIENT, WEB, icmp_type=5, quoted=syn(WEB, 8080)),
])


@st.composite
def reached(draw: st.DrawFn) -> str:
    """Generated rules, with a jump to them from one built-in chain of each table."""
    lines = []
    for line in draw(dumps()).splitlines():
        lines.append(line)
        if line[:1] == "*":
            lines.append(f":{draw(st.sampled_from(TABLES[line[1:]]))} ACCEPT [0:0]")
        elif line == ":U - [0:0]":
            lines.append(f"-A {lines[-3].split()[0][1:]} -j T")
    return "\n".join([*lines, ""])


@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], max_examples=150)
@given(reached(), PACKETS, st.sampled_from([(), (WORKER,), (WORKER, MASTER)]), st.booleans())
def test_any_rules_give_an_answer(text, packet, local, from_node):
    try:
        rules = parse(text)
    except RulesError:
        assume(False)
    trace = Question(rules, packet, local, from_node=from_node).trace(Seeded(1))
    assert trace.verdict in VERDICTS and trace.summary() and str(trace) and trace.to_dict()
    journey = Model(cluster_network(), {"worker1": rules}, seed=1).send(packet, "client")
    assert journey.verdict in VERDICTS and journey.summary() and str(journey) and journey.to_dict()

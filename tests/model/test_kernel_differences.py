"""What the differential test found: cases in which the model differed from Linux 6.18, iptables 1.8.9 (nf_tables)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from k8slab.lab import Lab
from k8slab.network import cluster_network
from k8slab.packet import Packet
from tests.model.labs import CLIENT, MASTER, TRACKED, WEB, WORKER, model, rules, steps, syn


def test_at_input_nat_is_asked_before_security():
    lab = model(nat=f"-A PREROUTING -p tcp --dport 9 -j DNAT --to-destination {WORKER}\n-A INPUT -j LOG",
                security="-A INPUT -j LOG")
    tables = [step.table for step in steps(lab.send(syn(WORKER, 9), "client"), "RULE", "worker1", leg=1)]
    assert tables == ["nat", "security"]


@pytest.mark.parametrize(("packet", "answers"), [
    (Packet("icmp", CLIENT, WORKER, icmp_id=7), 0),                     # its echo reply is refused in silence
    (Packet("udp", CLIENT, WORKER, 40000, 53), 0),                     # so is the error about a closed port
])
def test_what_the_kernels_own_icmp_sends_is_refused_without_a_word(packet, answers):
    trace = model(filter="-A OUTPUT -j REJECT").send(packet, "client")
    refused = steps(trace, "REJECT", "worker1")
    assert len(refused) == 1 and trace.reply is None
    assert len([step for step in trace.steps if step.kind == "ANSWER" and step.number > refused[0].number]) == answers


@pytest.mark.parametrize(("option", "hits"), [
    ("--ctorigsrcport 7", True), ("--ctorigsrcport 8", False), ("--ctorigdstport 2048", True),
])
def test_of_icmp_conntrack_compares_the_id_and_the_type_as_ports(option, hits):
    lab = model(filter=f"-A FORWARD -m conntrack {option} -j DROP")
    assert (lab.send(Packet("icmp", CLIENT, WEB, icmp_id=7), "client").verdict == "DROPPED") is hits


def test_a_flow_that_mirrors_itself_is_answered_by_its_second_packet():
    lab = model(filter="-A OUTPUT -m conntrack --ctstate NEW -j ACCEPT")
    own = Packet("253", WORKER, WORKER)
    states = [entry.seen_reply for _ in range(2) if lab.send(own, "worker1") for entry in lab.entries("worker1")]
    assert states == [False, True]


def test_nobody_speaks_a_protocol_to_itself():
    assert model().send(Packet("253", WEB, WEB), "web").reply.icmp_code == 2


@pytest.mark.parametrize(("flags", "answers"), [("PA", ["A", "PA"]), ("FA", ["FA"]), ("A", [])])
def test_what_completes_a_handshake_is_answered_so(flags, answers):
    lab = model()
    reply = lab.send(syn(WEB, 8080), "client").reply
    more = syn(WEB, 8080, flags=flags, seq=reply.ack, ack=reply.end, payload=b"who?" if flags == "PA" else b"")
    sent = [step.before.flags for step in steps(lab.send(more, "client"), "ANSWER", "web")]
    assert sent == answers


def test_an_open_connection_answers_a_syn_with_an_ack():
    lab = model()
    reply = lab.send(syn(WEB, 8080), "client").reply
    lab.send(syn(WEB, 8080, flags="A", seq=reply.ack, ack=reply.end), "client")
    assert lab.send(syn(WEB, 8080), "client").reply.flags == "A"


@pytest.mark.parametrize(("packet", "related"), [
    (Packet("253", CLIENT, WORKER), True), (Packet("udp", CLIENT, WORKER, 40000, 81), False),
])
def test_a_refused_protocol_keeps_its_entry_and_a_closed_port_does_not(packet, related):
    lab = model(raw="-A OUTPUT -m conntrack --ctstate RELATED -j LOG")
    trace = lab.send(packet, "client")
    assert bool(steps(trace, "RULE", "worker1")) is related and trace.reply.is_icmp_error


def test_no_loopback_address_comes_in_from_a_wire_not_even_with_route_localnet():
    network = cluster_network()
    for name in ("k8smaster", "worker1"):
        network = network.replace(replace(network.host(name), sysctls={"ip_forward": 1, "route_localnet": 1}))
    lab = model(network)
    assert "own address" in lab.stacks["worker1"].routes.bad_source("127.0.0.1", "eth0")


def test_an_error_about_an_untracked_packet_is_invalid_and_tracked():
    lab = model(raw="-A OUTPUT -j NOTRACK", filter="-A OUTPUT -p icmp -m state --state INVALID -j LOG\n"
                "-A OUTPUT -p tcp -j REJECT")
    trace = lab.send(syn(WEB, 8080, src=WORKER), "worker1")
    assert [step.before.proto for step in steps(trace, "RULE", "worker1") if "INVALID" in step.rule] == ["icmp"]


def test_notrack_is_still_untracked_for_others():
    lab = model(raw="-A OUTPUT -j NOTRACK", filter="-A OUTPUT -m conntrack --ctstate UNTRACKED -j DROP")
    assert lab.send(syn(WEB, 8080, src=WORKER), "worker1").verdict != "DELIVERED"


@pytest.mark.parametrize(("seen", "state"), [(0, "SYN_SENT"), (1, "ESTABLISHED"), (2, "FIN_WAIT"), (3, "TIME_WAIT")])
@pytest.mark.parametrize("dataplane", [pytest.param("kernel", marks=pytest.mark.kernel), "model"])
def test_what_acknowledges_more_than_the_node_has_seen_is_invalid(dataplane, seen, state):
    """Of what the API server says (SYN-ACK, data, FIN) its node tracks the first few packets."""
    first = f"-A OUTPUT -p tcp -m limit --limit 1/hour --limit-burst {seen} -j ACCEPT\n" if seen else ""
    raw = f"{first}-A OUTPUT -p tcp -j NOTRACK"
    with Lab(dataplane=dataplane) as lab:
        lab.restore("k8smaster", rules(raw=raw, nat=TRACKED))
        lab.connect("client", MASTER, 6443)
        (entry,) = lab.entries("k8smaster")
        assert entry.state == state

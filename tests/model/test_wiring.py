"""Bridges, neighbours and captures of the model, and networks that are wired anew while it runs."""

from __future__ import annotations

import pytest

from k8slab.errors import CommandError
from k8slab.lab import Lab
from k8slab.network import NetworkError
from k8slab.show.drawing import draw
from tests.model.labs import CLIENT, VIP, WEB, model

BRIDGE = """ip link add br0 type bridge
ip link set br0 up
ip address add 10.9.0.1/24 dev br0"""
POD = """ip netns add {0}
ip link add v{0} address 02:00:00:00:0{1}:01 type veth peer name eth0 address 02:00:00:00:0{1}:02 netns {0}
ip link set v{0} master br0
ip link set v{0} up
ip -n {0} link set lo up
ip -n {0} link set eth0 up
ip -n {0} address add 10.9.0.{1}/24 dev eth0
ip -n {0} route add default via 10.9.0.1"""


@pytest.fixture
def bridged():
    """worker1 with a bridge and the Pods a, b and c on it: 10.9.0.2, .3 and .4."""
    lab = Lab("model", seed=1)
    for text in (BRIDGE, *(POD.format(name, number) for number, name in enumerate("abc", 2))):
        for line in text.splitlines():
            assert lab.run("worker1", line) == ""
    return lab


def summaries(frames):
    return [frame.summary().removeprefix("Ether / ") for frame in frames]


def test_pods_on_a_bridge_hear_each_other_without_the_node(bridged):
    trace = bridged.ping("a", "10.9.0.3")
    assert trace.reply and {s.node for s in trace.steps} == {"a", "b"}
    assert bridged.ping("a", "10.9.0.1").reply and bridged.ping("a", WEB).reply.ttl == 63
    assert bridged.connect("a", VIP, 443).reply.source == f"{VIP}:443"      # the node's rules read what it routes


def test_a_question_goes_to_all_and_the_answer_to_one(bridged):
    with (bridged.capture("a", "eth0") as a, bridged.capture("worker1", "vb") as port,
          bridged.capture("c", "eth0") as c, bridged.capture("worker1", "br0") as br0):
        bridged.ping("a", "10.9.0.3")
    who, is_at = "ARP who has 10.9.0.3 says 10.9.0.2", "ARP is at 02:00:00:00:03:02 says 10.9.0.3"
    pings = [f"IP / ICMP 10.9.0.{one} > 10.9.0.{other} {what} 0" for one, other, what in
             ((2, 3, "echo-request"), (3, 2, "echo-reply"))]
    assert summaries(a) == summaries(port) == [who, is_at, *pings]
    assert summaries(c) == summaries(br0) == [who]
    assert a[0].dst == "ff:ff:ff:ff:ff:ff" and (a[2].src, a[2].dst) == ("02:00:00:00:02:02", "02:00:00:00:03:02")
    assert [f.time for f in a] == sorted(f.time for f in a)


def test_who_is_known_is_not_asked_for_again(bridged):
    bridged.ping("a", "10.9.0.3")
    with bridged.capture("a", "eth0") as frames:
        bridged.ping("a", "10.9.0.3")
        bridged.ping("b", "10.9.0.2")
    assert len(frames) == 4 and "ARP" not in str(summaries(frames))
    bridged.run("worker1", "ip -n a neigh flush all")
    with bridged.capture("a", "eth0") as frames:
        bridged.ping("a", "10.9.0.3")
    assert summaries(frames)[0].startswith("ARP who has")


def test_an_unanswered_question_is_asked_three_times_and_noted(bridged):
    with bridged.capture("b", "eth0") as frames:
        trace = bridged.ping("a", "10.9.0.99")
    assert summaries(frames) == ["ARP who has 10.9.0.99 says 10.9.0.2"] * 3
    assert [round(f.time - frames[0].time) for f in frames] == [0, 1, 2]
    assert trace.reply.is_icmp_error and bridged.run("a", "ip neigh") == "10.9.0.99 dev eth0 FAILED \n"


def test_time_makes_neighbours_stale(bridged):
    bridged.ping("a", "10.9.0.3")
    states = [bridged.run("a", "ip neigh").split()[-1]]
    bridged.clock.advance(40)
    states.append(bridged.run("a", "ip neigh").split()[-1])
    bridged.ping("a", "10.9.0.3")
    states.append(bridged.run("a", "ip neigh").split()[-1])
    bridged.clock.advance(6)
    assert [*states, bridged.run("a", "ip neigh").split()[-1]] == ["REACHABLE", "STALE", "DELAY", "REACHABLE"]


def test_a_frame_for_a_mac_that_nobody_has_any_more_is_lost(bridged):
    bridged.ping("a", "10.9.0.3")
    bridged.run("b", "ip link set eth0 address 02:00:00:00:09:09")
    assert bridged.ping("a", "10.9.0.3").verdict == "DROPPED"
    bridged.clock.advance(60)
    assert bridged.ping("a", "10.9.0.3").reply


@pytest.mark.parametrize("change", [
    "ip link set br0 down", "ip link set va down", "ip link set va nomaster", "ip -n b link set eth0 down",
    "ip link del vb", "ip netns del b",
])
def test_what_cuts_the_way_cuts_it(bridged, change):
    assert bridged.ping("a", "10.9.0.3").reply.src == "10.9.0.3"
    bridged.run("worker1", change)
    first = bridged.ping("a", "10.9.0.3").reply          # lost; or refused, where a saw its carrier go
    assert first is None or first.is_icmp_error
    bridged.clock.advance(60)                            # by now a's note of its neighbour is worth nothing
    assert bridged.ping("a", "10.9.0.3").reply.is_icmp_error


def test_rewiring_keeps_rules_connections_and_programs():
    lab = Lab("model", seed=1)
    lab.run("worker1", "iptables -A FORWARD -m comment --comment kept -j ACCEPT")
    lab.serve("web", 9)
    lab.connect("client", VIP, 443)
    before = lab.entries("worker1")
    lab.run("worker1", "ip netns add extra")
    lab.run("worker1", "ip link add br0 type bridge")
    assert "kept" in lab.run("worker1", "iptables-save") and lab.entries("worker1") == before
    assert lab.connect("client", WEB, 9).reply.flags == "SA"
    lab.reset()
    assert [h.name for h in lab.network.hosts if h.name == "extra"] == []


def test_a_pod_made_by_hand_answers_pings_refuses_and_serves(bridged):
    assert "Connection refused" in bridged.run("a", "nc -zv 10.9.0.3 80")
    bridged.serve("b", 80)
    assert bridged.run("a", "curl -s http://10.9.0.3/") == "b at 10.9.0.3:80 answers 10.9.0.2\n"


def test_forwarding_and_filters_follow_sysctl():
    lab = model()
    assert lab.ping("client", WEB).reply
    lab.run("worker1", "sysctl -w net.ipv4.ip_forward=0")
    assert lab.ping("client", WEB).reply is None
    lab.run("worker1", "sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.veth-client.rp_filter=1")
    assert lab.ping("client", WEB).reply
    lab.run("worker1", f"ip route del {CLIENT}")
    assert "rp_filter is 1" in lab.ping("client", WEB).reason


def test_a_capture_of_what_is_not_there_is_told():
    with pytest.raises(NetworkError, match="client has no interface eth7"), model().capture("client", "eth7"):
        pass


def test_lo_is_captured_too():
    lab = model()
    with lab.capture("client", "lo") as frames:
        lab.ping("client", CLIENT)
    assert len(frames) == 2 and frames[0].src == "00:00:00:00:00:00"


def test_names_that_the_lab_has_elsewhere_are_refused():
    lab = model()
    with pytest.raises(CommandError, match="the lab has a host of this name already"):
        lab.run("worker1", "ip netns add coredns-1")
    with pytest.raises(CommandError, match='Cannot open network namespace "coredns-1"'):
        lab.run("worker1", "ip netns exec coredns-1 ip a")


def test_a_network_that_was_wired_by_hand_is_drawn(bridged):
    drawn = draw(bridged.network, bridged.ping("a", "10.9.0.3"))
    assert "eth0 10.9.0.2/24, to worker1 br0, b eth0 and c eth0 by veth va" in str(drawn)
    assert "  va, a port of br0, to a eth0 by veth va\n" in str(drawn) and "br0 10.9.0.1/24" in str(drawn)
    assert drawn.svg.startswith("<svg")

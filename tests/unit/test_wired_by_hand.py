"""A node that is wired by hand, on both dataplanes: what the bridge takes, what the routes do, what is seen of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from k8slab.course.exercise import rules_of
from k8slab.course.outcome import NOT_ATTEMPTED
from k8slab.course.units import labs, unit03
from k8slab.lab import Lab
from k8slab.trace import compare
from k8slab.wire import from_scapy

BRIDGED = """ip link add br0 address 02:00:00:00:02:00 type bridge
ip link set br0 up
ip netns add red
ip netns add blue
ip link add veth-red address 02:00:00:00:01:02 type veth peer name eth0 address 02:00:00:00:00:02 netns red
ip link add veth-blue address 02:00:00:00:01:03 type veth peer name eth0 address 02:00:00:00:00:03 netns blue
ip address add 10.244.1.1/24 dev br0
ip link set veth-red master br0 up
ip link set veth-blue master br0 up
ip -n red address add 10.244.1.2/24 dev eth0
ip -n blue address add 10.244.1.3/24 dev eth0
ip -n red link set eth0 up
ip -n blue link set eth0 up
ip -n red route add default via 10.244.1.1
ip -n blue route add default via 10.244.1.1"""
SERVICE = ("iptables -t nat -A PREROUTING -d 10.96.12.34 -p tcp -m tcp --dport 80 -j DNAT "
           "--to-destination 10.244.1.3:8080")


@pytest.fixture(params=["model", pytest.param("kernel", marks=pytest.mark.kernel)])
def dataplane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a dataplane, which every lab of the test takes."""
    monkeypatch.setenv("K8SLAB_DATAPLANE", request.param)
    return request.param


@pytest.fixture
def bridged(dataplane: str) -> Iterator[Lab]:
    """red and blue on a bridge of worker1, and a Service whose endpoint is blue."""
    with labs.bare_node() as lab:
        for command in (*BRIDGED.splitlines(), SERVICE):
            lab.run("worker1", command)
        lab.serve("blue", 8080)
        yield lab


def test_on_a_bridge_the_answer_of_a_service_comes_home_untranslated(bridged: Lab) -> None:
    with bridged.capture("red", "eth0") as frames:
        trace = bridged.connect("red", "10.96.12.34", 80)
    assert trace.received.destination == "10.244.1.3:8080" and trace.reply.source == "10.244.1.3:8080"
    assert trace.reply.ttl == 64 and "worker1" not in {step.node for step in trace.steps if step.leg == 2}
    assert [step.oif for step in trace.steps if step.node == "worker1" and step.kind == "LEAVE"] == ["br0"]
    seen = [from_scapy(frame["IP"]) for frame in frames if frame.haslayer("IP")]
    assert [(packet.source, packet.flags) for packet in seen] == [
        ("10.244.1.2:40000", "S"), ("10.244.1.3:8080", "SA"), ("10.244.1.2:40000", "R")]
    assert ("tcp", 8080) in bridged.network.host("blue").listens


def test_a_bridge_takes_what_is_for_the_mac_of_its_port(dataplane: str) -> None:
    with labs.bare_node() as lab:
        for command in BRIDGED.replace(" master br0", "").replace("dev br0", "dev veth-red").splitlines():
            if "blue" not in command and "br0" not in command:
                lab.run("worker1", command)
        assert lab.ping("red", "10.244.1.1").reply          # red has noted the MAC of veth-red
        for command in (*BRIDGED.splitlines()[:2], "ip address del 10.244.1.1/24 dev veth-red",
                        "ip address add 10.244.1.1/24 dev br0", "ip link set veth-red master br0"):
            lab.run("worker1", command)
        trace = lab.ping("red", "10.244.1.1")
        assert trace.reply and {step.iif for step in trace.steps if step.node == "worker1" and step.iif} == {"br0"}


def test_commands_take_no_ports_from_the_labs_own_connections(dataplane: str) -> None:
    with labs.two_pods() as lab:
        lab.run("red", "ping -c 1 10.244.1.3")
        lab.run("red", "nc -z 10.244.1.3 8080")
        assert lab.connect("red", "10.244.1.3", 8080).sent.sport == 40000


def test_a_pod_whose_arp_nobody_answers_and_one_without_any_address_are_told(dataplane: str) -> None:
    with labs.two_pods() as lab:
        lab.run("worker1", "ip -n red route replace default dev eth0")
        trace = lab.connect("red", labs.API.partition(":")[0], 6443)
        assert trace.verdict == "REJECTED" and "answers the ARP question for 10.106.175.128" in trace.reason
        lab.run("worker1", "ip link delete veth-red")
        assert "Network is unreachable" in lab.connect("red", "10.244.1.3", 8080).reason


def test_a_lab_that_was_only_looked_at_is_not_attempted(dataplane: str) -> None:
    exercise = next(one for one in unit03.UNIT.exercises if one.key == "two-faults")
    with exercise.make() as lab:
        before = rules_of(lab)
        lab.run("red", "ping -c 1 -W 1 10.244.1.1")
        assert rules_of(lab) == before and exercise.grade(lab).kind == NOT_ATTEMPTED
        lab.run("worker1", "ip link set veth-red down")
        assert exercise.grade(lab).kind != NOT_ATTEMPTED


@pytest.mark.kernel
def test_both_dataplanes_tell_a_bridge_alike() -> None:
    traces = []
    for name in ("model", "kernel"):
        with Lab(name, network=labs.bare_node().network, rules=labs.NO_RULES) as lab:
            for command in (*BRIDGED.splitlines(), SERVICE):
                lab.run("worker1", command)
            lab.serve("blue", 8080)
            traces.append(lab.connect("red", "10.96.12.34", 80))
    assert compare(*traces) is None and len({str(trace.reply) for trace in traces}) == 1


@pytest.mark.kernel
def test_a_bridge_of_the_kernels_is_quiet() -> None:
    with Lab("kernel", network=labs.bare_node().network, rules=labs.NO_RULES) as lab:
        lab.run("worker1", "ip netns add red")
        for host in ("worker1", "red"):
            assert lab.run(host, "sysctl -n net.ipv4.igmp_link_local_mcast_reports") == "0\n"

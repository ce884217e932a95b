"""What a note keeps of an incident: what has changed something is the remedy, and the rest are looks."""

from __future__ import annotations

import pytest

from k8slab import course
from k8slab.course.faults import FAULTS
from k8slab.course.incident import Incident
from k8slab.course.kept import Done
from k8slab.course.note import written
from k8slab.course.unit import CourseError
from k8slab.errors import CommandError, Told
from k8slab.magic import on

MAKE = "create service clusterip more --tcp=80:8080"


@pytest.mark.parametrize(("line", "stations"), [
    ("kubectl get svc -o wide", ("object",)),
    ("kubectl get pods --show-labels", ("object",)),
    ("kubectl -n default get svc,endpointslices", ("object", "endpoints")),
    ("kubectl describe svc/web", ("object",)),
    ("kubectl get endpointslices -l kubernetes.io/service-name=web", ("endpoints",)),
    ("iptables -t nat -S KUBE-SERVICES", ("rules",)),
    ("iptables-save", ("rules",)),
    ("conntrack -L -p udp", ("conntrack",)),
    ("ip route get 10.244.1.7", ("routes",)),
    ("sysctl net.ipv4.ip_forward", ("routes",)),
    ("lab.advance(3)", ()),
])
def test_a_command_looks_at_stations(line: str, stations: tuple[str, ...]) -> None:
    assert Done("worker1", line).stations == stations


# One after another in one lab: what comes second does what was done already.
ON_WORKER1 = (
    ("ip a", False), ("ip -br a", False), ("ip -br address", False), ("ip route", False), ("ip neigh", False),
    ("iptables -t nat -S KUBE-SERVICES", False), ("iptables -L FORWARD -nv", False), ("iptables-save", False),
    ("conntrack -L -p udp", False), ("conntrack -D -p udp", False), ("sysctl net.ipv4.ip_forward", False),
    ("sysctl -w net.ipv4.ip_forward=1", True), ("sysctl -w net.ipv4.ip_forward=1", False),
    ("iptables -P FORWARD DROP", True), ("iptables -P FORWARD DROP", False), ("iptables -Z", False),
    ("iptables -I FORWARD -j ACCEPT", True), ("ip netns exec client ip link set lo down", True),
    ("ip netns exec client ip a", False), ("ip -n client route", False), ("ip neigh flush all", True),
    ("ping -c 1 -W 1 10.244.1.5", False), ("conntrack -F", True), ("ip link set veth-client up", False),
)


@pytest.mark.parametrize("plane", ["model", pytest.param("kernel", marks=pytest.mark.kernel)])
def test_what_a_command_did_decides_whether_it_is_a_remedy(plane: str) -> None:
    with Incident(FAULTS["forwarding-off"], plane) as lab:
        for line, changes in ON_WORKER1:
            lab.run("worker1", line)
            assert (lab.done[-1].line, lab.done[-1].changed) == (line, changes)
        remedies = [line for line, changes in ON_WORKER1 if changes]
        assert lab.changes == tuple(f"worker1: {line}" for line in remedies)


@pytest.mark.kernel
def test_what_only_a_kernel_has_is_told_by_its_words() -> None:
    with Incident(FAULTS["forwarding-off"], "kernel") as lab:
        for line, changes in (("ip rule", False), ("ip rule add from 10.244.1.9 lookup main", True),
                              ("ip route add 198.51.100.0/24 dev eth0 metric 7", True),
                              ("sh -c 'cat /proc/sys/net/ipv4/ip_forward 2>/dev/null'", False),
                              ("sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'", True)):
            lab.run("worker1", line)
            assert (lab.done[-1].line, lab.done[-1].changed) == (line, changes)


def test_of_kubectl_what_wrote_something_is_a_remedy() -> None:
    with Incident(FAULTS["target-port"], "model") as lab:
        for line, changes in (("get svc", False), ("-n kube-system get pods", False), ("events", False),
                              ("get svc -w", False), ("patch svc web -p '{'", False), ("edit svc web", False),
                              ("logs client", False), ("config view", False), ("delete svc nosuch", False),
                              (f"{MAKE} --dry-run=client", False), (MAKE, True), (MAKE, False),
                              ("""patch svc web -p '{"metadata": {"labels": {"a": "b"}}}'""", True),
                              ("""patch svc web -p '{"metadata": {"labels": {"a": "b"}}}'""", False),
                              ("-n default delete svc more", True)):
            lab.kubectl(line, seconds=30 * line.endswith("-w"))
            assert (lab.done[-1].line, lab.done[-1].changed) == (f"kubectl {line}", changes)


def test_what_was_refused_is_not_in_the_note() -> None:
    with Incident(FAULTS["forwarding-off"], "model") as lab:
        for refused in (lambda: lab.advance(-3), lambda: lab.restore("worker1", "*nat\n-A NOWHERE -j X\nCOMMIT\n"),
                        lambda: lab.serve("worker1", 70000), lambda: lab.unserve("client", 81),
                        lambda: lab.run("worker1", "iptables -A FORWARD -j NOWHERE"),
                        lambda: lab.run("worker1", "ip link del nosuch")):
            with pytest.raises(Told):
                refused()
        assert lab.done == [] and lab.changes == ()
        lab.restore("worker1", "*nat\nCOMMIT\n", noflush=True)
        lab.serve("outside", 443)
        lab.unserve("outside", 443)
        assert lab.changes == ("worker1: iptables-restore", "lab.serve('outside', 443)", "lab.unserve('outside', 443)")


def test_a_question_that_is_answered_by_an_error_was_a_look() -> None:
    asks = "ip route get 10.106.175.128 from 10.244.1.5 iif veth-client"
    with Incident(FAULTS["forwarding-off"], "model") as lab:
        assert on(lab, "worker1", asks) == "RTNETLINK answers: No route to host\n"
        assert f"routes: worker1: {asks}\n      RTNETLINK answers: No route to host" in written("8", lab)


def test_a_wrong_guess_is_not_in_the_note() -> None:
    unit = course.unit("11")
    with unit.broken("cluster-2") as lab:
        lab.nothing_is_broken()
        assert lab.changes == ("lab.nothing_is_broken()",)
        assert "Something is broken" in unit.check("cluster-2", lab).text and lab.changes == ()


def test_one_look_counts_for_both_of_its_stations() -> None:
    with Incident(FAULTS["target-port"], "model") as lab:
        lab.kubectl("get svc,endpointslices")
        text = written("1", lab)
        assert text.count(": kubectl get svc,endpointslices\n") == 2 and "object: not looked at" not in text


def test_what_is_done_to_api_servers_by_their_methods_is_in_the_note() -> None:
    drills = course.drills()
    with drills.broken("cluster-13") as lab:
        lab.cluster.api_servers["k8smaster3"].start()
        lab.advance(10)
        assert drills.check("cluster-13", lab).text.startswith("Right")
        assert "Remedy:\n  k8smaster3: API server started\n  lab.advance(10)\n" in drills.note("cluster-13", lab).text
        lab.reset()
        lab.cluster.api_servers["k8smaster2"].stop()
        assert lab.changes == ("k8smaster2: API server stopped",)


def test_another_clusters_lab_has_no_note_here() -> None:
    unit = course.unit("11")
    with unit.broken("cluster-2") as lab:
        lab.run("worker1", "iptables -D FORWARD -j REJECT --reject-with icmp-host-prohibited")
        assert unit.check("cluster-2", lab).text.startswith("Right")
        with pytest.raises(CourseError, match=r'That is another lab.*broken\("cluster-1"\)'):
            unit.note("cluster-1", lab)
        with pytest.raises(CourseError, match="another lab"):
            unit.note("cluster-1", None)
        assert "Incident: cluster 2" in unit.note("cluster-2", lab).text


def test_where_the_pod_that_calls_is_gone_the_report_says_so() -> None:
    unit = course.unit("11")
    with unit.broken("cluster-1") as lab:
        lab.kubectl("delete pod client")
        with pytest.raises(Told, match=r"the Pod client, whose program calls, is gone.*lab.reset\(\)"):
            lab.report()
        assert "is gone" in unit.check("cluster-1", lab).text
        lab.reset()
        assert not lab.report().works


def test_a_command_on_no_host_is_told_as_ever() -> None:
    with Incident(FAULTS["forwarding-off"], "model") as lab:
        with pytest.raises(Told, match="nowhere"):
            lab.run("nowhere", "iptables -S")
        with pytest.raises(CommandError):
            lab.run("worker1", "iptables 'x")


@pytest.mark.parametrize("call", [
    lambda lab: lab.run("worker1", None), lambda lab: lab.run(3, "ip a"), lambda lab: lab.kubectl(None),
    lambda lab: lab.advance("3"), lambda lab: lab.restore("worker1", None), lambda lab: lab.serve("client", "https"),
])
def test_what_it_cannot_take_is_told_and_not_kept(call) -> None:
    with Incident(FAULTS["forwarding-off"], "model") as lab:
        with pytest.raises(Told, match="it must be"):
            call(lab)
        assert lab.done == []

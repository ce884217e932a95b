"""The verdict on a mended cluster: it is for all of whom the message speaks, and the same each time that it is asked."""

from __future__ import annotations

import pytest

from k8slab.course.faults import FAULTS, TO_IDLE, do
from k8slab.course.incident import AT_ONCE, NEVER, Done, Incident
from k8slab.course.outcome import NOT_ATTEMPTED, NOT_YET, RIGHT
from k8slab.course.symptoms import symptoms
from k8slab.course.units.drills import DRILLS, FLUSHED
from k8slab.course.units.unit11 import UNIT

EXERCISES = {one.key: one for content in (UNIT, DRILLS) for one in content.exercises}
SVC, DEAD = "KUBE-SVC-NPX46M4PTMTKRN6Y", "KUBE-SEP-FQ2NRQUZHJ3LQXRW"
FORWARD, NAT = "%on worker1 iptables", "%on worker1 iptables -t nat"
AFFINITY = """%kubectl patch svc kubernetes -p '{"spec": {"sessionAffinity": "ClientIP"}}'"""
REMOVE = ("%kubectl patch {} kubernetes --type=json -p "
          """'[{{"op": "remove", "path": "{}"}}]'""")
THE_ENDPOINT, THE_SLICES = REMOVE.format("endpoints", "/subsets/0/addresses/2"), REMOVE.format("endpointslice",
                                                                                                  "/endpoints/2")
kernel = pytest.mark.kernel
PLANES = ["model", pytest.param("kernel", marks=[kernel, pytest.mark.slow])]


def broken(key: str, *steps: str, dataplane: str = "model") -> Incident:
    """A cluster of the unit or the drills in which these steps were done."""
    lab = Incident(EXERCISES[key].make().fault, dataplane)
    for step in steps:
        do(lab, step)
    return lab


def verdicts(key: str, lab: Incident, times: int = 2) -> list[str]:
    """What is said, each time, with a report before."""
    found = []
    for _ in range(times):
        lab.report()
        found.append(EXERCISES[key].grade(lab).kind)
    return found


@pytest.mark.parametrize("dataplane", PLANES)
@pytest.mark.parametrize(("key", "steps"), [
    ("cluster-16", (f"{NAT} -D {SVC} 4",)),
    ("cluster-16", (f"{NAT} -D {SVC} 4", f"{NAT} -D {SVC} 6")),
    ("cluster-13", (AFFINITY, "lab.advance(3)")),
    ("cluster-13", (THE_SLICES, "lab.advance(3)")),
])
def test_what_does_not_work_is_never_right(key: str, steps: tuple[str, ...], dataplane: str) -> None:
    with broken(key, *steps, dataplane=dataplane) as lab:
        assert verdicts(key, lab) == [NOT_YET] * 2


@pytest.mark.parametrize("dataplane", PLANES)
def test_a_remedy_that_takes_some_seconds_is_waited_for(dataplane: str) -> None:
    with broken("cluster-13", THE_ENDPOINT, "lab.advance(3)", dataplane=dataplane) as lab:
        done = list(lab.done)
        assert verdicts("cluster-13", lab, 1) == [RIGHT] and lab.done == done


@pytest.mark.parametrize("dataplane", PLANES)
def test_the_node_remembers_afterwards_what_it_did_before(dataplane: str) -> None:
    with broken("cluster-16", "lab.advance(1)", dataplane=dataplane) as lab:
        rules = lab.run("worker1", "iptables -t mangle -S")
        assert verdicts("cluster-16", lab, 2) == [NOT_YET] * 2
        assert lab.report().says.startswith("each of 30 connections")
        assert [lab.connect("web", "10.96.0.1", 443).received.dst for _ in range(5)] == ["10.106.175.128"] * 5
        assert lab.run("worker1", "iptables -t mangle -S") == rules


@pytest.mark.parametrize("rule", ["! -d 10.244.1.7", "-m conntrack --ctstate DNAT", "-d 10.106.175.0/24",
                                  "-d 10.106.175.128"])
def test_a_policy_that_allows_more_than_the_api_server_is_not_right(rule: str) -> None:
    with broken("cluster-10", f"{FORWARD} -I POD-client 2 {rule} -j ACCEPT") as lab:
        outcome = EXERCISES["cluster-10"].grade(lab)
        assert outcome.kind == NOT_YET and outcome.lines[0] == EXERCISES["cluster-10"].faults[0].says


# What is said of a mistake.


@pytest.mark.parametrize("key", ["cluster-2", "cluster-14"])
@pytest.mark.parametrize(("rules", "flushed"), [
    (("-I FORWARD -s 10.244.0.0/16 -p tcp -d 10.106.175.128 --dport 6443 -j ACCEPT",), False),
    (("-I FORWARD -m conntrack --ctstate DNAT -j ACCEPT",), False),
    (("-I FORWARD -s 10.244.0.0/16 -j ACCEPT", "-I FORWARD -d 10.244.0.0/16 -j ACCEPT"), True),
])
def test_a_lost_refusal_is_told_where_it_is_lost(key: str, rules: tuple[str, ...], flushed: bool) -> None:
    with broken(key, *(f"{FORWARD} {rule}" for rule in rules)) as lab:
        outcome = EXERCISES[key].grade(lab)
        assert outcome.kind == NOT_YET and (FLUSHED.says in outcome.lines) is flushed
        assert bool(TO_IDLE.send(lab).wrong) is flushed


@pytest.mark.parametrize(("key", "steps"), [
    ("cluster-1", ("%on worker1 sysctl -w net.ipv4.ip_forward=0",)),
    ("cluster-2", (f"{FORWARD} -R FORWARD 6 -j DROP",)),
    ("cluster-5", (f"{NAT} -F KUBE-SERVICES",)),
    ("cluster-13", (f"{NAT} -D {SVC} 4",)),
])
def test_a_packet_that_was_translated_is_not_said_to_be_untranslated(key: str, steps: tuple[str, ...]) -> None:
    with broken(key, *steps) as lab:
        outcome = EXERCISES[key].grade(lab)
        assert outcome.kind == NOT_YET and not {fault.says for fault in EXERCISES[key].faults} & set(outcome.lines)


# What counts as a try.


@pytest.mark.parametrize("line", [
    "ip a", "ip -br a", "ip r", "ip -n client a", "ip netns exec client ip r", "kubectl get pods",
    "kubectl -n kube-system get pods", "kubectl get svc --show-labels", "kubectl logs web", "kubectl events",
    "kubectl config view", "kubectl create deployment x --dry-run=client", "sysctl -a", "nft list ruleset",
    "iptables -nvL FORWARD", "conntrack -E", "sh -c 'ip a'"])
def test_a_look_is_no_change(line: str) -> None:
    assert not Done("worker1", line).changes


@pytest.mark.parametrize("line", [
    "ip a add 10.0.0.1/24 dev lo", "ip netns exec client ip route del default", "ip -n client r d default",
    "kubectl -n default patch svc web -p {}", "kubectl scale deploy web --replicas=1", "iptables-nft -D FORWARD 6",
    "nft delete rule ip filter FORWARD handle 7", "sysctl net.ipv4.ip_forward=1", "iptables --flush"])
def test_a_change_is_one(line: str) -> None:
    assert Done("worker1", line).changes


def test_an_edit_that_was_refused_is_no_change() -> None:
    with broken("cluster-5") as lab:
        lab.kubectl("edit svc web")
        lab.kubectl("get nothing")
        assert not lab.touched and EXERCISES["cluster-5"].grade(lab).kind == NOT_ATTEMPTED
        assert broken("cluster-5", "lab.kubectl('delete svc web')").touched

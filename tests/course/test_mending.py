"""The verdict on a mended cluster: it is for all of whom the message speaks, and the same each time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from k8slab.course.faults import FAULTS, TO_IDLE, do
from k8slab.course.incident import AT_ONCE, NEVER, Incident
from k8slab.course.outcome import NOT_ATTEMPTED, NOT_YET, RIGHT
from k8slab.course.symptoms import symptoms
from k8slab.course.tries import remembered
from k8slab.course.units.drills import DRILLS, FLUSHED
from k8slab.course.units.unit11 import UNIT
from k8slab.trace import Trace

EXERCISES = {one.key: one for content in (UNIT, DRILLS) for one in content.exercises}
NAMES = {"cluster-1": "target-port", "cluster-2": "rule-before", "cluster-5": "no-endpoints", "cluster-7": "ping",
         "cluster-8": "forwarding-off", "cluster-10": "policy-before-dnat", "cluster-13": "dead-but-listed",
         "cluster-14": "forward-drop", "cluster-15": "bridge", "cluster-16": "affinity-to-the-dead"}
SVC = "KUBE-SVC-NPX46M4PTMTKRN6Y"
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
    lab = Incident(FAULTS[NAMES[key]], dataplane)
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


@kernel
def test_a_try_that_is_cut_off_leaves_no_rule_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with broken("cluster-16", dataplane="kernel") as lab:
        rules = lab.run("worker1", "iptables -t mangle -S")
        with pytest.raises(KeyboardInterrupt), remembered(lab, "client") as forget:
            forget()
            lab.connect("client", "10.96.0.1", 443)       # the lists have the client no more, and get it back
            monkeypatch.setattr(lab.dataplane, "connect", cut_off)
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


def test_an_edit_that_was_refused_is_no_change() -> None:
    with broken("cluster-5") as lab:
        lab.kubectl("edit svc web")
        lab.kubectl("get nothing")
        assert not lab.touched and EXERCISES["cluster-5"].grade(lab).kind == NOT_ATTEMPTED
        assert broken("cluster-5", "lab.kubectl('delete svc web')").touched


# By whatever program it was done.


@kernel
@pytest.mark.parametrize(("key", "where", "line"), [
    ("cluster-2", "worker1", "iptables-nft -D FORWARD 6"),
    ("cluster-2", "worker1", "sh -c 'nft delete rule ip filter FORWARD handle $(nft -a list chain ip filter FORWARD "
                             "| sed -n \"s/.*reject.*handle //p\")'"),
    ("cluster-8", "worker1", "sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'"),
])
def test_a_remedy_by_another_program_is_seen(key: str, where: str, line: str) -> None:
    with broken(key, dataplane="kernel") as lab:
        lab.run(where, line)
        assert lab.report().says == "answered by 10.106.175.128:6443"
        assert EXERCISES[key].grade(lab).kind == RIGHT


@kernel
def test_a_trace_knows_the_rules_that_another_program_has_made() -> None:
    with broken("cluster-2", "%on worker1 sh -c 'iptables-nft -D FORWARD 6; iptables-nft -I FORWARD -p tcp -j DROP'",
                dataplane="kernel") as lab:
        assert "-A FORWARD -p tcp -j DROP" in [step.rule for step in lab.connect("client", "10.96.0.1", 443).steps]


@kernel
def test_a_look_by_another_program_is_no_try() -> None:
    with broken("cluster-8", dataplane="kernel") as lab:
        for line in ("sh -c 'ip a; iptables -S'", "nft list ruleset", "ip -br a", "cat /proc/sys/net/ipv4/ip_forward"):
            lab.run("worker1", line)
        assert EXERCISES["cluster-8"].grade(lab).kind == NOT_ATTEMPTED


# What the program says, and when.


class Unseen(Incident):
    """The cluster of the bridge as it is on a kernel with br_netfilter, where a way over the bridge is not followed."""

    answered = False

    def connect(self, pod: str, address: str, port: int, **options: object) -> Trace:
        trace = super().connect(pod, address, port, **options)
        return replace(trace, verdict="UNKNOWN", received=None, reply=None) if address == "10.96.12.34" else trace

    def connections(self, n: int, pod: str, address: str, port: int) -> Counter[str]:
        return Counter({"10.244.1.7:8080" if self.answered else "UNKNOWN": n})


def test_who_answers_over_a_bridge_with_hooks_is_said_by_all() -> None:
    with Unseen(FAULTS["bridge"], "model") as lab:
        assert lab.before.says.endswith("i/o timeout")
        do(lab, FAULTS["bridge"].mends[0])
        lab.answered = True
        assert lab.dial("client", "10.96.12.34", 80) == "answered by 10.244.1.7:8080"
        assert (lab.report().says, lab.report().works) == ("answered by 10.244.1.7:8080", True)
        assert EXERCISES["cluster-15"].grade(lab).kind == RIGHT


@pytest.mark.parametrize("dataplane", ["model", pytest.param("kernel", marks=kernel)])
def test_a_neighbour_is_waited_for_three_seconds(dataplane: str) -> None:
    with broken("cluster-8", FAULTS["forwarding-off"].mends[0], "%on k8smaster ip link set eth0 down",
                "%on worker1 ip neigh flush dev eth0", dataplane=dataplane) as lab:
        heard = lab.report()
        assert heard.says.endswith("connect: no route to host") and heard.delay == "after 3 seconds"


@pytest.mark.parametrize("dataplane", ["model", pytest.param("kernel", marks=kernel)])
def test_the_wait_is_that_of_the_try_that_failed(dataplane: str) -> None:
    with broken("cluster-13", "%on k8smaster3 ip link set eth0 down", "%on worker1 ip neigh flush dev eth0",
                dataplane=dataplane) as lab:
        heard = lab.report()
        assert heard.says.startswith("some of 30") and heard.says.endswith("no route to host")
        assert heard.delay == "after 3 seconds"


@pytest.mark.parametrize("dataplane", ["model", pytest.param("kernel", marks=kernel)])
def test_a_ping_and_its_delay_are_of_one_packet(dataplane: str) -> None:
    with broken("cluster-7", f"{NAT} -I PREROUTING -p icmp -d 10.96.0.1 -j DNAT --to-destination 10.106.175.128",
                dataplane=dataplane) as lab:
        heard = lab.report()
        assert heard.says.startswith("rtt ") and (heard.delay, heard.works) == (AT_ONCE, True)


def test_a_ping_that_nobody_answers_is_told_as_silence() -> None:
    with broken("cluster-7", f"{FORWARD} -P FORWARD ACCEPT") as lab:
        assert "0 received" in lab.report().says and lab.report().delay == NEVER


@pytest.mark.parametrize("dataplane", ["model", pytest.param("kernel", marks=kernel)])
@pytest.mark.parametrize(("kind", "says"), [
    ("blackhole", "invalid argument"), ("prohibit", "permission denied"), ("unreachable", "no route to host")])
def test_a_route_that_leads_nowhere_is_told_as_the_socket_says_it(kind: str, says: str, dataplane: str) -> None:
    with broken("cluster-8", f"%on client ip route add {kind} 10.96.0.0/12", dataplane=dataplane) as lab:
        assert repr(lab.report()) == f"dial tcp 10.96.0.1:443: connect: {says}\n(at once)"


def test_only_the_node_that_was_just_started_has_no_rules() -> None:
    with Incident(FAULTS["not-yet-synced"], "model") as lab:
        kubes = {node: lab.run(node, "iptables -t nat -S").count("KUBE-SVC") for node in ("k8smaster", "worker1")}
        assert kubes["k8smaster"] and not kubes["worker1"]
        assert lab.connect("coredns-1", "10.96.0.1", 443).reply.flags == "SA"


@kernel
@pytest.mark.slow
def test_the_table_of_symptoms_is_the_same_on_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("rule-before", "rp-filter", "no-default-route")
    tables = []
    for plane in ("model", "kernel"):
        monkeypatch.setenv("K8SLAB_DATAPLANE", plane)
        tables.append(str(symptoms(*names)))
    assert tables[0] == tables[1]

"""What a lab's methods are given: what they cannot take is told in a sentence, whatever it is."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest

from k8slab.cluster.errors import ClusterError
from k8slab.dataplanes import LabError
from k8slab.errors import CommandError, Told
from k8slab.lab import Lab
from k8slab.packet import Packet

PING = Packet("icmp", "10.244.1.5", "10.96.0.1", icmp_id=7)
# Method → what it takes, by name.
TAKES: dict[str, dict] = {
    "advance": {"seconds": 1}, "kubectl": {"command": "get svc", "given": "", "seconds": 0},
    "dial": {"pod": "client", "address": "10.96.0.1", "port": 443}, "application": {"pod": "client"},
    "resolve": {"pod": "client", "name": "kubernetes.default.svc.cluster.local", "kind": "A"},
    "send": {"packet": PING, "at": "client"}, "ping": {"pod": "client", "address": "10.96.0.1"},
    "connect": {"pod": "client", "address": "10.96.0.1", "port": 443, "proto": "tcp", "question": b"who?"},
    "open": {"pod": "client", "address": "10.96.0.1", "port": 443},
    "connections": {"n": 1, "pod": "client", "address": "10.96.0.1", "port": 443},
    "run": {"node": "worker1", "command": "ip route", "given": ""},
    "serve": {"host": "client", "port": 99, "proto": "tcp"}, "unserve": {"host": "client", "port": 99, "proto": "tcp"},
    "capture": {"host": "client", "interface": "eth0"},
    "restore": {"node": "worker1", "text": "*nat\nCOMMIT\n"}, "entries": {"node": "worker1"},
}
WRONG = (None, 3, 2.5, -1, math.nan, math.inf, True, "", "nowhere", "é", b"x", [], [3], {}, object(), 70000)


@pytest.fixture(scope="module", params=["model", pytest.param("kernel", marks=pytest.mark.kernel)])
def lab(request: pytest.FixtureRequest) -> Lab:
    with Lab(request.param, cluster=True) as made:
        yield made


@pytest.mark.parametrize("method", TAKES)
def test_whatever_is_given_it_is_taken_or_told(method: str, lab: Lab) -> None:
    for name in TAKES[method]:
        for value in (one for one in WRONG if not (name in ("seconds", "n") and one == 70000)):     # right, and long
            with suppress(Told):
                made = getattr(lab, method)(**TAKES[method] | {name: value})
                if method == "capture":
                    with made:
                        pass


@pytest.mark.parametrize(("call", "says"), [
    (lambda lab: lab.kubectl(None), "kubectl: command is None; it must be a text"),
    (lambda lab: lab.advance("3"), "advance: seconds is '3', a str; it must be a number that is not below 0"),
    (lambda lab: lab.dial("client", "10.96.0.1", "https"), "dial: port is 'https', a str; it must be a port: a"),
    (lambda lab: lab.dial("client", "10.96.0.1", 65536), "dial: port is 65536; it must be a port: a whole"),
    (lambda lab: lab.dial("client", "10.96.0.1"), "dial(pod, address, port): missing a required arg"),
    (lambda lab: lab.connect("client", "10.96.0.1", 443, flags="S"), "got an unexpected keyword argument 'flags'"),
    (lambda lab: lab.send("10.96.0.1"), "send: packet is '10.96.0.1', a str; it must be a Packet"),
    (lambda lab: lab.connections(2.5, "client", "10.96.0.1", 443), "connections: n is 2.5; it must be a whole number"),
    (lambda lab: lab.run(["worker1"], "ip route"), "run: node is ['worker1'], a list; it must be the name of a host"),
    (lambda lab: lab.restore("worker1", None), "restore: text is None; it must be a text, as iptables-save prints it"),
])
def test_it_says_which_input_what_was_found_and_what_is_right(call, says: str) -> None:
    with Lab("model", cluster=True) as lab, pytest.raises(LabError) as told:
        call(lab)
    assert says in str(told.value)


@pytest.mark.parametrize(("given", "says"), [
    ({"dataplane": 3}, "there is no dataplane 3"), ({"seed": "x"}, "Lab: seed is 'x', a str; it must be a whole"),
    ({"cluster": 3}, "cluster is 3; it must be True, a Cluster"), ({"network": 3}, "network is 3; it must be a Net"),
    ({"rules": 3}, "rules is 3; it must be None, or a text"), ({"cluster": True, "first_sync": "a"}, "first_sync is '"),
    ({"cluster": True, "first_sync": -1}, "first_sync is -1"), ({"colour": 1}, "unexpected keyword argument 'colour'"),
])
def test_what_a_lab_is_made_of(given: dict, says: str) -> None:
    with pytest.raises(LabError) as told:
        Lab(**{"dataplane": "model"} | given)
    assert says in str(told.value)


def test_an_open_connection_and_a_cluster_are_as_careful(lab: Lab) -> None:
    talk = lab.open("client", "10.96.0.1", 443)
    with pytest.raises(LabError, match="ask: question is None; it must be bytes"):
        talk.ask(None)
    assert talk.ask().reply is not None
    for seconds in ("3", -3, None):
        with pytest.raises(ClusterError, match="it must be a number that is not below 0"):
            lab.cluster.advance(seconds)


@pytest.mark.parametrize(("names", "says"), [
    (None, "names is None; it must be a list of names"), (3, "names is 3;"), ("abc", "names is 'abc'; it must be a li"),
    ([3], "name 1 of 1 is 3; it must be a text"), (["kubernetes", "é"], "name 2 of 2 is 'é'; it must be a text"),
    ([""], "name 1 of 1 is ''"), ([], "names is empty"), ({"a": 1}, "names is {'a': 1}"),
])
def test_names_of_a_certificate_are_a_list_of_texts(names: object, says: str) -> None:
    with Lab("model", cluster=True) as lab, pytest.raises(ClusterError) as told:
        lab.cluster.authority.issue(names)
    assert says in str(told.value)


def test_what_is_right_is_taken_as_ever() -> None:
    with Lab("model", cluster=True) as lab:
        lab.advance(0.5)
        assert lab.connect("client", "10.96.0.1", 443, sport=50000).sent.source == "10.244.1.5:50000"
        assert lab.connections(n=2, pod="client", address="10.96.0.1", port=443).total() == 2
        assert lab.cluster.authority.issue(("kubernetes", "10.96.0.1")).names == ("kubernetes", "10.96.0.1")
        assert lab.connect.__doc__.startswith("Open a connection")


@pytest.mark.parametrize(("command", "says"), [
    ("", "worker1: no command was given; one looks like ip address"), ("  ", "no command was given"),
    ("''", "no command was given"), ("echo / > /proc/net/xt_recent/x", "> is a shell's, and run starts one program"),
    ("ip route | grep default", "| is a shell's"), ("ip route; ip link", "; is a shell's"), ("ip route &", "& is a sh"),
    ("iptables -A FORWARD -j ACCEPT < /dev/null", "sh -c '…'"),
])
def test_a_command_is_one_program(command: str, says: str, lab: Lab) -> None:
    with pytest.raises(CommandError) as told:
        lab.run("worker1", command)
    assert says in str(told.value)


def test_what_is_quoted_is_the_programs_own(lab: Lab) -> None:
    for words in ('"a > b | c"', "'a; b'", r"a\>b"):
        lab.run("worker1", f"iptables -A FORWARD -m comment --comment {words} -j ACCEPT")
        lab.run("worker1", f"iptables -D FORWARD -m comment --comment {words} -j ACCEPT")

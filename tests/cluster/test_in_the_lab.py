"""The cluster and its network together, on both dataplanes: objects, rules and a Pod that connects each second."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from k8slab.cluster.cluster import Cluster
from k8slab.dataplanes import LabError
from k8slab.dialling import told
from k8slab.lab import Lab
from k8slab.names import NoName
from k8slab.network import NetworkError
from tests.cluster.fixtures import FIRST, SECOND, THIRD, endpoints, in_slice, service

VIP = ("10.96.0.1", 443)
REFUSED, NO_ROUTE, TIMEOUT = "connect: connection refused", "connect: no route to host", "i/o timeout"
DNAT = re.compile(r'default/kubernetes:https.*--to-destination (\S+):6443')
MOVED = "10.106.175.139"


@pytest.fixture(params=["model", pytest.param("kernel", marks=pytest.mark.kernel)])
def dataplane(request: pytest.FixtureRequest) -> str:
    return request.param


@dataclass(frozen=True)
class Moment:
    """What is seen at one second: addresses in Endpoints, slice and each node's rules; where the Pod's connection was
    sent, "" for nowhere, and what came of it; where an API server listens, and where a machine is."""

    second: float
    endpoints: frozenset[str]
    slice: frozenset[str]
    rules: dict[str, frozenset[str]]
    sent_to: str
    said: str
    running: frozenset[str]
    machines: frozenset[str]


def look(lab: Lab) -> Moment:
    trace = lab.connect("client", *VIP)
    sent_to = next((step.after.dst for step in trace.steps if step.leg == 1 and step.kind == "NAT"), "")
    nodes = [host for host in lab.network.hosts if host.kind == "node"]
    return Moment(
        lab.cluster.clock.now, frozenset(endpoints(lab.cluster)), frozenset(in_slice(lab.cluster)),
        {host.name: frozenset(DNAT.findall(lab.run(host.name, "iptables -t nat -S"))) for host in nodes},
        sent_to, told(trace, *VIP),
        frozenset(one.address for one in lab.cluster.api_servers.values() if one.running),
        frozenset(host.address for host in nodes))


def seconds(lab: Lab, count: int) -> Iterator[Moment]:
    """The next seconds, and what must hold at each, whatever happens."""
    for _ in range(count):
        before = frozenset(in_slice(lab.cluster))
        lab.advance(1)
        now = look(lab)
        for node, rules in now.rules.items():          # a sync comes at most a second after the slice
            assert rules in (now.slice, before) or service(lab.cluster) == {} and not rules, (node, now)
        if not now.rules["worker1"]:
            assert now.said.endswith(TIMEOUT), now
        else:
            assert now.sent_to in now.rules["worker1"]
            expected = (f"answered by {now.sent_to}:6443" if now.sent_to in now.running else
                        REFUSED if now.sent_to in now.machines else NO_ROUTE)
            assert now.said.endswith(expected), now
        yield now


def first(moments: Iterator[Moment], wanted: set[str], within: float, start: float) -> Moment:
    """The first moment at which Endpoints and slice hold these addresses; it must come within so many seconds."""
    for now in moments:
        assert now.endpoints == now.slice
        if now.slice == wanted:
            assert now.second - start <= within + 1
            return now
    raise AssertionError(f"{wanted} did not come")


def test_api_servers_come_move_die_and_return(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        cluster = lab.cluster
        assert look(lab).slice == {FIRST} and look(lab).said == f"answered by {FIRST}:6443"
        for address in (SECOND, THIRD):
            cluster.add_api_server()
        assert look(lab).slice == {FIRST}          # not before /readyz says ok
        start = cluster.clock.now
        first(seconds(lab, 12), {FIRST, SECOND, THIRD}, 2.5, start)
        assert set(lab.connections(60, "client", *VIP)) == {f"{one}:6443" for one in (FIRST, SECOND, THIRD)}
        cluster.api_servers["k8smaster2"].move(MOVED)
        start, both = cluster.clock.now, {FIRST, SECOND, THIRD, MOVED}
        first(seconds(lab, 5), both, 2.5, start)                             # its new lease at once
        gone = first(seconds(lab, 30), {FIRST, MOVED, THIRD}, 25, start)     # the old one runs out
        assert gone.second - start >= 5 and SECOND not in gone.machines
        assert lab.run("k8smaster2", "ip -br address show dev eth0").split()[2] == f"{MOVED}/24"
        cluster.api_servers["k8smaster3"].crash()
        start = cluster.clock.now
        first(seconds(lab, 30), {FIRST, MOVED}, 25, start)
        for server in (cluster.api_servers["k8smaster"], cluster.api_servers["k8smaster2"]):
            server.crash()
        for now in seconds(lab, 40):                                         # nobody is left to take them out
            assert now.slice == now.endpoints == {FIRST, MOVED} and now.said.endswith(REFUSED)
        cluster.api_servers["k8smaster3"].start()
        start = cluster.clock.now
        back = first(seconds(lab, 12), {THIRD}, 2.5 + 10, start)
        list(seconds(lab, 2))
        assert look(lab).said == f"answered by {THIRD}:6443" and back.running == {THIRD}


def test_the_service_is_deleted_while_a_connection_is_open(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        talk, old = lab.open("client", *VIP), service(lab.cluster)["metadata"]["uid"]
        chains = rules_of_it(lab)
        lab.kubectl("delete svc kubernetes")
        assert endpoints(lab.cluster) == [] and in_slice(lab.cluster) == [FIRST]     # the slice stays
        start, failed = lab.cluster.clock.now, 0
        for now in seconds(lab, 12):
            assert talk.ask().reply.source == "10.96.0.1:443"
            failed += now.said.endswith(TIMEOUT)
            if now.rules["worker1"]:
                break
        made = service(lab.cluster)
        assert failed and lab.cluster.clock.now - start <= 11
        assert made["spec"]["clusterIP"] == "10.96.0.1" and made["metadata"]["uid"] != old
        assert rules_of_it(lab) == chains and look(lab).said == f"answered by {FIRST}:6443"
        assert talk.close().reply is not None
        with pytest.raises(NetworkError, match="open no longer"):
            talk.ask()


def rules_of_it(lab: Lab) -> list[str]:
    return [line for line in lab.run("worker1", "iptables -t nat -S").splitlines() if "NPX46M4PTMTKRN6Y" in line]


def test_an_open_connection_ends_with_its_server(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        refused, silent = lab.open("client", *VIP), lab.open("client", *VIP)
        lab.cluster.api_servers["k8smaster"].crash()
        assert "R" in refused.ask().reply.flags
        lab.cluster.api_servers["k8smaster"].move(MOVED)
        trace = silent.ask()
        assert trace.reply is None or trace.reply.is_icmp_error
        for talk in (refused, silent):
            with pytest.raises(NetworkError, match="open no longer"):
                talk.ask()


def test_before_kube_proxys_first_sync_a_client_times_out(dataplane: str) -> None:
    with Lab(dataplane, cluster=True, first_sync=5) as lab:
        assert lab.dial("client", *VIP) == "dial tcp 10.96.0.1:443: i/o timeout"
        assert lab.syncs == {"k8smaster": [], "worker1": []}
        lab.advance(5)
        assert lab.dial("client", *VIP) == f"answered by {FIRST}:6443"
        assert [sync.reason for _, sync in lab.syncs["worker1"]] == ["the first sync"]


def test_pods_come_and_go_with_their_wires_and_endpoints(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        lab.kubectl("apply -f -", """{kind: Service, apiVersion: v1, metadata: {name: shop}, spec: {
            clusterIP: 10.96.0.40, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}""")
        lab.advance(3)
        assert lab.dial("client", "10.96.0.40", 80) == "answered by 10.244.1.7:8080"
        lab.cluster.add_pod("web-5f4b8d9c7-abcde", {"app": "web"}, node="worker1", address="10.244.1.9")
        lab.advance(3)
        assert lab.dial("web-5f4b8d9c7-abcde", *VIP) == f"answered by {FIRST}:6443"
        lab.kubectl("delete pod web")
        lab.advance(3)
        assert "web" not in [host.name for host in lab.network.hosts]
        assert lab.dial("client", "10.96.0.40", 80) == "answered by 10.244.1.9:8080"
        assert lab.dial("client", "10.244.1.7", 8080).endswith(TIMEOUT)


def test_udp_that_went_to_an_endpoint_that_is_gone_is_forgotten_and_tcp_is_not(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        for _ in range(12):
            lab.connect("client", "10.96.0.10", 53, proto="udp")
        talk = lab.open("client", *VIP)
        there = {entry.reply.src for entry in lab.entries("worker1") if entry.original.proto == "udp"}
        assert there == {"10.244.0.2", "10.244.0.3"}
        lab.kubectl("delete pod coredns-1 -n kube-system")
        lab.advance(3)
        assert {e.reply.src for e in lab.entries("worker1") if e.original.proto == "udp"} == {"10.244.0.3"}
        assert talk.ask().reply.source == "10.96.0.1:443"


def test_names_are_asked_of_kube_dns_by_its_own_rules(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        found = lab.resolve("client", "kubernetes.default.svc.cluster.local")
        assert found.address == "10.96.0.1" and found.status == "NOERROR"
        assert found.trace.sent.destination == "10.96.0.10:53" == found.trace.reply.source
        assert found.trace.received.dst in ("10.244.0.2", "10.244.0.3")
        srv = lab.resolve("client", "_https._tcp.kubernetes.default.svc.cluster.local", "SRV").records
        assert srv[0].value == "0 100 443 kubernetes.default.svc.cluster.local."
        assert lab.resolve("client", "1.0.96.10.in-addr.arpa", "PTR").records[0].value == \
            "kubernetes.default.svc.cluster.local."
        assert lab.resolve("client", "nobody.default.svc.cluster.local").status == "NXDOMAIN"
        lab.run("worker1", "iptables -t nat -F KUBE-SERVICES")
        assert str(lab.resolve("client", "kubernetes.default.svc.cluster.local")) == "no answer came"
        with pytest.raises(NoName):
            lab.resolve("client", "a..b")


def test_reset_makes_cluster_and_network_anew(dataplane: str) -> None:
    with Lab(dataplane, cluster=Cluster(2, seed=3)) as lab:
        before = lab.kubectl("get svc,ep,endpointslices,pods -A -o yaml")
        lab.kubectl("delete svc kubernetes")
        lab.cluster.api_servers["k8smaster2"].move(MOVED)
        lab.reset()
        assert look(lab).slice == {FIRST, SECOND}
        assert lab.kubectl("get svc,ep,endpointslices,pods -A -o yaml") == before


def test_a_lab_without_a_cluster_says_how_to_have_one() -> None:
    with pytest.raises(LabError, match=r"Lab\(cluster=True\)"):
        Lab("model").kubectl("get svc")
    with pytest.raises(LabError, match="leave network and rules out"):
        Lab("model", cluster=True, rules="*nat\nCOMMIT\n")
    with pytest.raises(LabError, match="not below 0"):
        Lab("model", cluster=True).advance(-1)


def test_pods_of_a_node_that_moved_are_reached_there(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        lab.cluster.api_servers["k8smaster"].move(MOVED)
        assert lab.resolve("client", "kubernetes.default.svc.cluster.local").address == "10.96.0.1"
        lab.cluster.add_api_server()
        lab.cluster.add_pod("far", node="k8smaster2", address="10.244.2.7")
        lab.advance(4)
        assert lab.dial("far", "10.244.1.7", 8080) == "answered by 10.244.1.7:8080"


# The canary.


CHAIN = "KUBE-SVC-NPX46M4PTMTKRN6Y"


def test_a_flush_of_all_tables_is_noticed_within_half_a_minute(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        before = lab.run("worker1", "iptables -t nat -S"), lab.run("worker1", "iptables -S")
        for table in ("nat", "filter", "mangle"):
            lab.run("worker1", f"iptables -t {table} -F")
            lab.run("worker1", f"iptables -t {table} -X")
        assert lab.dial("client", *VIP).endswith(TIMEOUT)
        lab.advance(30)
        assert lab.dial("client", *VIP) == "answered by 10.106.175.128:6443"
        after = lab.run("worker1", "iptables -t nat -S"), lab.run("worker1", "iptables -S")
        assert [sorted(text.splitlines()) for text in after] == [sorted(text.splitlines()) for text in before]
        assert "KUBE-PROXY-CANARY" in lab.run("worker1", "iptables -t mangle -S")


def test_where_the_other_canaries_are_left_they_are_waited_for(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        for command in ("iptables -t nat -F", "iptables -t mangle -F", "iptables -t mangle -X"):
            lab.run("worker1", command)
        first = lab.syncs["worker1"][0][0]
        lab.advance(first + 30 - lab.cluster.clock.now)
        assert CHAIN not in lab.run("worker1", "iptables -t nat -S KUBE-SERVICES")
        lab.advance(5)
        assert CHAIN in lab.run("worker1", "iptables -t nat -S KUBE-SERVICES")
        assert lab.dial("client", *VIP) == "answered by 10.106.175.128:6443"


def test_rules_that_are_flushed_without_their_chains_are_missed_only_by_the_hourly_sync(dataplane: str) -> None:
    with Lab(dataplane, cluster=True) as lab:
        rules = lab.run("worker1", "iptables -t nat -S")
        lab.run("worker1", "iptables -t nat -F")
        lab.advance(300)
        assert lab.dial("client", *VIP).endswith(TIMEOUT)
        lab.advance(3600)
        assert lab.run("worker1", "iptables -t nat -S") == rules
        lab.advance(3600)
        assert lab.run("worker1", "iptables -t nat -S") == rules

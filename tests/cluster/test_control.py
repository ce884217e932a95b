"""The controller of `default/kubernetes`: what it mends, how soon, and what it leaves alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8slab.cluster import Cluster, ClusterError
from k8slab.cluster.control import LEASES
from k8slab.cluster.server import identity
from tests.cluster.fixtures import FIRST, SECOND, THIRD, Rules, endpoints, in_slice, service

MOVED = "10.106.175.140"


def patch(cluster: Cluster, what: str, text: str, how: str = "merge") -> None:
    answer = cluster.kubectl(["patch", *what.split(), "--type", how, "-p", text])
    assert answer.status == 0, answer


def port_of(cluster: Cluster) -> int:
    return cluster.store.get("/registry/services/endpoints/default/kubernetes").value["subsets"][0]["ports"][0]["port"]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(dns=False)


def test_an_edited_service_stays_edited(cluster: Cluster) -> None:
    patch(cluster, "svc kubernetes", '[{"op": "replace", "path": "/spec/ports/0/port", "value": 8443}]', "json")
    cluster.advance(3600)
    assert service(cluster)["spec"]["ports"][0]["port"] == 8443


def test_an_edited_address_is_put_right(cluster: Cluster) -> None:
    ports = '"ports": [{"name": "https", "port": 6443}]'
    patch(cluster, "endpoints kubernetes", '{"subsets": [{"addresses": [{"ip": "10.0.0.9"}], ' + ports + "}]}")
    assert endpoints(cluster) == ["10.0.0.9"]
    cluster.advance(10)
    assert endpoints(cluster) == in_slice(cluster) == [FIRST]


def test_an_edited_port_stays_unless_the_subsets_are_wrong(cluster: Cluster) -> None:
    one = '{"addresses": [{"ip": "' + FIRST + '"}], "ports": [{"name": "https", "port": 7777}]}'
    patch(cluster, "endpoints kubernetes", '{"subsets": [' + one + "]}")
    cluster.advance(60)
    assert port_of(cluster) == 7777
    assert cluster.store.get("/registry/endpointslices/default/kubernetes").value["ports"][0]["port"] == 7777
    patch(cluster, "endpoints kubernetes", '{"subsets": [' + one + ", " + one.replace("7777", "7778") + "]}")
    cluster.advance(10)
    assert port_of(cluster) == 6443


@pytest.mark.parametrize("command", ["delete endpoints kubernetes", "delete endpointslice kubernetes"])
def test_what_is_deleted_comes_back(cluster: Cluster, command: str) -> None:
    cluster.kubectl(command)
    assert not (endpoints(cluster) and in_slice(cluster))
    cluster.advance(10)
    assert endpoints(cluster) == in_slice(cluster) == [FIRST]


def test_the_label_that_forbids_mirroring_comes_back_and_the_mirror_goes(cluster: Cluster) -> None:
    patch(cluster, "endpoints kubernetes", '{"metadata": {"labels": null}}')
    cluster.advance(1)
    names = [one["metadata"]["name"] for one in cluster.objects() if one["kind"] == "EndpointSlice"]
    assert len(names) == 2  # the mirror of Endpoints that nobody forbade to mirror
    assert in_slice(cluster, next(one for one in names if one != "kubernetes")) == [FIRST]
    cluster.advance(10)
    assert [one["metadata"]["name"] for one in cluster.objects() if one["kind"] == "EndpointSlice"] == ["kubernetes"]


def test_a_slice_with_another_label_or_endpoint_is_written_anew(cluster: Cluster) -> None:
    patch(cluster, "endpointslice kubernetes", '{"metadata": {"labels": {"a": "b"}}}')
    patch(cluster, "endpointslice kubernetes", '{"endpoints": [{"addresses": ["10.0.0.9"]}]}')
    cluster.advance(10)
    value = cluster.store.get("/registry/endpointslices/default/kubernetes").value
    assert value["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}
    assert in_slice(cluster) == [FIRST]


def test_the_selector_that_one_expects_makes_two_controllers_fight(cluster: Cluster) -> None:
    """Its Pods are in another namespace, so that the endpoints controller finds none."""
    patch(cluster, "svc kubernetes", '{"spec": {"selector": {"component": "kube-apiserver"}}}')
    assert endpoints(cluster) == []
    cluster.advance(10)
    assert endpoints(cluster) == [FIRST]
    patch(cluster, "svc kubernetes", '{"metadata": {"labels": {"again": "yes"}}}')
    assert endpoints(cluster) == []
    cluster.advance(10)
    assert endpoints(cluster) == in_slice(cluster) == [FIRST]


def test_a_deleted_mirror_pod_changes_no_endpoint(cluster: Cluster) -> None:
    cluster.kubectl("delete pod -n kube-system kube-apiserver-k8smaster")
    assert endpoints(cluster) == in_slice(cluster) == [FIRST]
    cluster.advance(5)
    assert "1/1" in str(cluster.kubectl("get pods -n kube-system"))


def test_two_things_are_called_lease(cluster: Cluster) -> None:
    """The one that kubectl shows can be deleted, and nothing happens; the other cannot be seen."""
    name = identity("k8smaster")
    assert cluster.kubectl(f"delete lease -n kube-system {name}").status == 0
    cluster.advance(1)
    assert endpoints(cluster) == in_slice(cluster) == [FIRST]
    assert FIRST not in str(cluster.kubectl("get leases -A"))
    assert [one.value["ip"] for one in cluster.store.range(LEASES)] == [FIRST]
    cluster.advance(10)
    assert name in str(cluster.kubectl("get leases -n kube-system"))


def test_without_any_lease_the_endpoints_stay(cluster: Cluster) -> None:
    """An etcd that lost the leases: a server whose round comes before its own is written says so."""
    server = cluster.api_servers["k8smaster"]
    server.crash()
    cluster.advance(60)
    assert [one.key for one in cluster.store.range(LEASES)] == []
    assert endpoints(cluster) == [FIRST]
    assert cluster.kubectl("get svc").status == 1


def test_a_held_address_keeps_the_service_away(cluster: Cluster) -> None:
    cluster.kubectl("delete svc kubernetes")
    assert cluster.kubectl("create service clusterip thief --tcp=443 --clusterip=10.96.0.1").status == 0
    cluster.advance(40)
    assert service(cluster) == {}
    assert "provided IP is already allocated" in cluster.api_servers["k8smaster"].said[-1][1]
    cluster.kubectl("delete svc thief")
    cluster.advance(10)
    assert service(cluster)["spec"]["clusterIP"] == "10.96.0.1"


def test_one_becomes_three_one_moves_one_dies_all_die_one_returns() -> None:
    """At every moment Endpoints and slice are what the facts say, and the rules follow within a second."""
    cluster = Cluster(dns=False)
    rules = Rules(cluster)

    def holds(*addresses: str) -> None:
        cluster.advance(1)
        assert endpoints(cluster) == in_slice(cluster) == list(addresses)
        assert sum("-j DNAT" in line for line in rules.text.splitlines()) == len(addresses)

    second, third = cluster.add_api_server(), cluster.add_api_server()
    holds(FIRST)                                 # not yet ready
    cluster.advance(10)
    holds(FIRST, SECOND, THIRD)
    third.move(MOVED)
    cluster.advance(3)
    holds(FIRST, SECOND, THIRD, MOVED)           # the old lease has not run out
    cluster.advance(25)
    holds(FIRST, SECOND, MOVED)
    second.crash()
    holds(FIRST, SECOND, MOVED)                  # dead and listed
    cluster.advance(25)
    holds(FIRST, MOVED)
    for server in (cluster.api_servers["k8smaster"], third):
        server.crash()
    cluster.advance(600)
    assert endpoints(cluster) == in_slice(cluster) == [FIRST, MOVED]
    second.start()
    cluster.advance(3)
    holds(SECOND)
    second.stop()
    assert endpoints(cluster) == in_slice(cluster) == []


def test_a_graceful_stop_takes_the_address_away_at_once() -> None:
    cluster = Cluster(2, dns=False)
    cluster.api_servers["k8smaster2"].stop()
    assert endpoints(cluster) == in_slice(cluster) == [FIRST]


def test_a_server_that_is_not_ready_is_no_endpoint() -> None:
    cluster = Cluster(dns=False, ready_after=30)
    cluster.add_api_server()
    cluster.advance(29)
    assert endpoints(cluster) == [FIRST]
    cluster.advance(1)
    assert endpoints(cluster) == [FIRST, SECOND]


def test_a_server_that_restarts_within_its_lease_takes_its_old_address_out_until_it_is_ready() -> None:
    cluster = Cluster(2, dns=False)
    server = cluster.api_servers["k8smaster2"]
    server.crash()
    cluster.advance(1)
    server.start()
    assert endpoints(cluster) == [FIRST]
    assert "didn't exit successfully" in server.said[-1][1]
    cluster.advance(3)
    assert endpoints(cluster) == [FIRST, SECOND]


def test_the_only_server_that_restarts_at_once_refuses_to_empty_the_endpoints() -> None:
    cluster = Cluster(dns=False)
    server = cluster.api_servers["k8smaster"]
    server.crash()
    server.start()
    assert endpoints(cluster) == [FIRST]
    assert "refusing to erase all endpoints" in server.said[0][1]


def test_addresses_are_in_the_order_of_bytes() -> None:
    cluster = Cluster(nodes={"k8smaster": "10.0.0.9", "k8smaster2": "10.0.0.10"}, api_servers=2, dns=False)
    assert endpoints(cluster) == ["10.0.0.10", "10.0.0.9"]


def test_a_server_runs_once() -> None:
    cluster = Cluster(dns=False)
    with pytest.raises(ClusterError, match="runs already"):
        cluster.api_servers["k8smaster"].start()
    with pytest.raises(ClusterError, match="give 1 to 1"):
        Cluster(2, nodes={"k8smaster": FIRST})


def test_the_older_reconciler_counts_and_never_misses_a_dead_server() -> None:
    """What an article of that time tells: dead servers stay among the endpoints for ever."""
    cluster = Cluster(2, dns=False, reconciler="master-count")
    assert endpoints(cluster) == in_slice(cluster) == [FIRST, SECOND]
    assert cluster.store.range(LEASES) == []
    first, second = cluster.api_servers.values()
    second.crash()
    cluster.advance(86400)
    assert endpoints(cluster) == [FIRST, SECOND]
    second.start()
    assert endpoints(cluster) == [FIRST]
    cluster.advance(3)
    assert endpoints(cluster) == [FIRST, SECOND]
    second.stop()
    assert endpoints(cluster) == in_slice(cluster) == [FIRST]
    third = cluster.add_api_server("k8smaster3", THIRD)
    cluster.advance(3)
    assert endpoints(cluster) == [FIRST, THIRD]
    third.move(MOVED)  # more than the count: the next in the order of addresses goes, and they go in turns
    cluster.advance(3)
    assert len(endpoints(cluster)) == 2


def test_nobody_keeps_the_endpoints_when_that_was_asked_for() -> None:
    cluster = Cluster(dns=False, reconciler="none")
    assert endpoints(cluster) == []
    assert service(cluster)["spec"]["clusterIP"] == "10.96.0.1"
    with pytest.raises(ClusterError, match="there are lease, master-count, none"):
        Cluster(reconciler="guess")


DEEDS = st.lists(st.tuples(st.sampled_from(["start", "stop", "crash", "delete", "wait"]), st.integers(0, 2),
                           st.floats(0, 30)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(DEEDS)
def test_whatever_happens_the_servers_that_are_ready_are_the_endpoints_in_the_end(deeds: list) -> None:
    """And at all times the Service, where there is one, has its address; an address belongs to one Service."""
    cluster = Cluster(3, dns=False)
    servers = list(cluster.api_servers.values())
    for deed, which, seconds in deeds:
        server = servers[which]
        if deed == "delete":
            cluster.kubectl("delete svc kubernetes")
        elif deed != "wait" and server.running == (deed != "start"):
            getattr(server, deed)()
        cluster.advance(seconds)
        assert service(cluster).get("spec", {}).get("clusterIP", "10.96.0.1") == "10.96.0.1"
    cluster.advance(30)
    ready = sorted(one.address for one in servers if one.state == "ready")
    if ready:
        assert endpoints(cluster) == in_slice(cluster) == ready
        assert service(cluster)["spec"]["clusterIP"] == "10.96.0.1"
        assert not [text for one in servers for when, text in one.said if when > cluster.clock.now - 10]


def test_a_day_passes_in_which_nothing_happens(cluster: Cluster) -> None:
    before = service(cluster), endpoints(cluster), in_slice(cluster)
    cluster.advance(86400)
    assert (service(cluster), endpoints(cluster), in_slice(cluster)) == before

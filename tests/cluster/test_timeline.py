"""What became of Service, Endpoints, slice and rules over time, beside a recording of the real thing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from k8slab.cluster import Cluster
from tests.cluster.fixtures import FIRST, GOLDEN, SECOND, Rules, endpoints, in_slice, service

State = tuple[str, str, int]  # endpoints, slice, nat lines that name the chain
STEP = 0.25
# The longest that each may take (facts 4.3), and a second for kube-proxy's own pace.
BOUNDS = {"kubectl delete": 10 + 1, "a second API": 2.5 + 1, "the second API": 15 + 10 + 1}


def recorded(title: str) -> list[tuple[float, str, str, int]]:
    """A timeline's lines: second, endpoints, slice, nat lines; what a line leaves out is as before."""
    text = next(part for part in (GOLDEN / "timeline.txt").read_text().split("== ") if part.startswith(title))
    rows, last = [], ["", ""]
    for line in text.splitlines()[1:]:
        if not line.strip():
            continue
        for place, key in enumerate(("endpoints", "slice")):
            if found := re.search(rf"{key}='([^']*)'", line):
                last[place] = found[1]
        rows.append((float(line.split("s")[0]), *last, int(re.search(r"natlines=(\d+)", line)[1])))
    return rows


def lived(cluster: Cluster, rules: Rules, seconds: float) -> list[tuple[float, State]]:
    """The states that a cluster goes through, each with the second after which it was first seen."""
    start, states = cluster.clock.now, []
    while cluster.clock.now < start + seconds:
        state = (" ".join(endpoints(cluster)), " ".join(in_slice(cluster)), _nat_lines(rules))
        if not states or states[-1][1] != state:
            states.append((cluster.clock.now - start, state))
        cluster.advance(STEP)
    return states


def _nat_lines(rules: Rules) -> int:
    nat = rules.text[rules.text.index("*nat"):]
    return sum("NPX46M4PTMTKRN6Y" in line for line in nat.splitlines())


def one_server() -> tuple[Cluster, Rules]:
    cluster = Cluster(dns=False)
    return cluster, Rules(cluster)


def delete_service() -> tuple[Cluster, Rules]:
    cluster, rules = one_server()
    cluster.kubectl("delete svc kubernetes")
    return cluster, rules


def join() -> tuple[Cluster, Rules]:
    cluster, rules = one_server()
    cluster.add_api_server()
    return cluster, rules


def crash() -> tuple[Cluster, Rules]:
    cluster, rules = join()
    cluster.advance(30)
    cluster.api_servers["k8smaster2"].crash()
    return cluster, rules


EVENTS = [("kubectl delete", delete_service), ("a second API", join), ("the second API", crash)]


@pytest.mark.parametrize(("title", "event"), EVENTS, ids=[title for title, _ in EVENTS])
def test_the_states_are_the_recorded_ones(title: str, event: Callable[[], tuple[Cluster, Rules]]) -> None:
    """First and last are the same, each change comes within its bound, and nothing else happens on the way."""
    rows = recorded(title)
    states = lived(*event(), 40)
    settled = [state for _, state in states]
    # Rules follow within a second: those in-between states, when only the rules are still to change, are no others.
    assert settled[0][:2] == rows[0][1:3]
    assert settled[-1] == rows[-1][1:]
    assert states[-1][0] <= BOUNDS[title]
    allowed = {row[1:3] for row in rows} | {("", FIRST)}
    assert {state[:2] for state in settled} <= allowed
    assert abs(states[-1][0] - rows[-1][0]) <= BOUNDS[title]


def test_the_service_comes_back_at_its_address_with_another_uid() -> None:
    cluster, rules = one_server()
    uid, lines = service(cluster)["metadata"]["uid"], rules.lines
    cluster.kubectl("delete svc kubernetes")
    cluster.advance(1)
    assert (service(cluster), endpoints(cluster), in_slice(cluster), rules.lines) == ({}, [], [FIRST], [])
    cluster.advance(10)
    assert service(cluster)["spec"]["clusterIP"] == "10.96.0.1"
    assert service(cluster)["metadata"]["uid"] != uid
    assert (endpoints(cluster), rules.lines) == ([FIRST], lines)


def test_the_slice_is_the_same_object_all_the_while() -> None:
    cluster, _ = one_server()
    before = cluster.store.get("/registry/endpointslices/default/kubernetes")
    cluster.kubectl("delete svc kubernetes")
    cluster.advance(30)
    assert cluster.store.get("/registry/endpointslices/default/kubernetes") is before


def test_the_order_of_causes() -> None:
    """Lease, Service, Endpoints, slice: in this order, with one moment's writes next to each other."""
    cluster, _ = one_server()
    cluster.kubectl("delete svc kubernetes")
    since = cluster.clock.now
    cluster.advance(11)
    puts = [one.path for one in cluster.log.between(since) if one.server == "etcd" and one.verb == "put"
            and ("default/kubernetes" in one.path or "masterleases" in one.path)]
    assert puts == ["/registry/services/specs/default/kubernetes", "/registry/masterleases/10.106.175.128",
                    "/registry/services/endpoints/default/kubernetes"]


def test_two_servers_share_and_the_rules_say_so() -> None:
    cluster, rules = join()
    cluster.advance(5)
    assert endpoints(cluster) == [FIRST, SECOND]
    assert "--probability 0.50000000000" in "\n".join(rules.lines)


def test_two_thousand_services_more_change_nothing() -> None:
    cluster, _ = one_server()
    text = "\n---\n".join(
        f"{{apiVersion: v1, kind: Service, metadata: {{name: s{n}}}, spec: {{ports: [{{port: 80}}]}}}}"
        for n in range(2000))
    assert cluster.kubectl("create -f -", stdin=text).status == 0
    addresses = [one["spec"]["clusterIP"] for one in cluster.objects() if one["kind"] == "Service"]
    assert len(set(addresses)) == 2001
    assert min(map(_offset, addresses)) == 1
    assert sorted(map(_offset, addresses))[1] > 256
    cluster.kubectl("delete svc kubernetes")
    cluster.advance(11)
    assert service(cluster)["spec"]["clusterIP"] == "10.96.0.1"


def _offset(address: str) -> int:
    return int(address.split(".")[2]) * 256 + int(address.split(".")[3])


def test_an_ordinary_service_made_again_gets_another_address() -> None:
    cluster, _ = one_server()
    found = []
    for _ in range(2):
        cluster.kubectl("create service clusterip web --tcp=80")
        found.append(str(cluster.kubectl("get svc web -o jsonpath={.spec.clusterIP}")))
        cluster.kubectl("delete svc web")
    assert found[0] != found[1]

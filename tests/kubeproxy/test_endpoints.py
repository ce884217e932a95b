"""Which endpoints a node uses, from the table of `CategorizeEndpoints`: ready, serving, local, hinted."""

from __future__ import annotations

import pytest

from k8slab.kubeproxy.endpoints import choose
from k8slab.kubeproxy.objects import Endpoint, Node, ServicePort

NODE = Node("here", ("10.0.0.1",), "a")
CLUSTER = ServicePort("ns", "svc", "", "tcp", "10.96.0.9", 80)
LOCAL = ServicePort("ns", "svc", "", "tcp", "10.96.0.9", 80, internal_local=True)
OUTSIDE_LOCAL = ServicePort("ns", "svc", "", "tcp", "10.96.0.9", 80, node_port=30000, external_local=True)
UNREACHABLE_LOCAL = ServicePort("ns", "svc", "", "tcp", "10.96.0.9", 80, external_local=True)


def end(number: int, state: str = "ready", node: str = "", zones: str = "", nodes: str = "") -> Endpoint:
    serving, leaving = state in ("ready", "leaving"), state in ("leaving", "gone")
    hints = frozenset(zones.split()), frozenset(nodes.split())
    return Endpoint(f"10.244.0.{number}", 80, state == "ready", serving, leaving, node, *hints)


def numbers(endpoints: tuple[Endpoint, ...]) -> list[int]:
    return [int(one.address.rpartition(".")[2]) for one in endpoints]


@pytest.mark.parametrize(
    ("endpoints", "wanted"),
    [
        ([end(1), end(2, "leaving"), end(3, "gone")], [1]),
        ([end(1, "not yet"), end(2, "leaving"), end(3, "gone")], [2]),  # none is ready: those that still serve
        ([end(1, "not yet"), end(3, "gone")], []),
        ([end(1, zones="a"), end(2, zones="b"), end(3, zones="a b")], [1, 3]),
        ([end(1, zones="a"), end(2)], [1, 2]),  # one without a hint: no hint holds
        ([end(1, zones="b"), end(2, zones="c")], [1, 2]),  # nobody is for this zone
        ([end(1, zones="a"), end(2, "leaving")], [1]),  # only ready endpoints have to have one
        ([end(1, nodes="here"), end(2, nodes="there")], [1]),
        ([end(1, nodes="here"), end(2)], [1, 2]),
        ([end(1, nodes="here", zones="b"), end(2, zones="a"), end(3, zones="a")], [2, 3]),  # not all name nodes: zones
        ([end(1, nodes="here", zones="b"), end(2, nodes="there", zones="a")], [1]),  # nodes go before zones
        ([end(1, nodes="there", zones="a"), end(2, nodes="there", zones="b")], [1]),
    ],
)
def test_policy_cluster(endpoints: list[Endpoint], wanted: list[int]) -> None:
    chosen = choose(CLUSTER, endpoints, NODE)
    assert numbers(chosen.cluster) == numbers(chosen.reachable) == wanted
    assert chosen.local == () and chosen.any == bool(wanted)


@pytest.mark.parametrize(
    ("port", "endpoints", "cluster", "local", "reachable", "any_"),
    [
        (LOCAL, [end(1, node="here"), end(2, node="there")], [], [1], [1], True),
        (LOCAL, [end(2, node="there"), end(3)], [], [], [], True),  # without a node's name: local nowhere
        (LOCAL, [end(1, "leaving", "here"), end(2, node="there")], [], [1], [1], True),
        (LOCAL, [end(1, "gone", "here")], [], [], [], False),
        (OUTSIDE_LOCAL, [end(1, node="here"), end(2, node="there")], [1, 2], [1], [1, 2], True),
        (OUTSIDE_LOCAL, [end(1, "leaving", "here"), end(2, node="there")], [2], [1], [1, 2], True),
        (OUTSIDE_LOCAL, [end(1, node="here", zones="b"), end(2, node="there", zones="a")], [2], [1], [1, 2], True),
        (UNREACHABLE_LOCAL, [end(1, node="here"), end(2, node="there")], [1, 2], [], [1, 2], True),
    ],
)
def test_policy_local(port: ServicePort, endpoints: list[Endpoint], cluster: list[int], local: list[int],
                      reachable: list[int], any_: bool) -> None:
    chosen = choose(port, endpoints, NODE)
    found = numbers(chosen.cluster), numbers(chosen.local), numbers(chosen.reachable), chosen.any
    assert found == (cluster, local, reachable, any_)


def test_a_node_without_a_zone_follows_no_hint() -> None:
    assert len(choose(CLUSTER, [end(1, zones="a"), end(2, zones="b")], Node("here")).cluster) == 2
    assert choose(CLUSTER, [], NODE).any is False

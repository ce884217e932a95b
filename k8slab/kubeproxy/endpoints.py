"""Which endpoints a node's rules lead to (pkg/proxy/topology.go, `CategorizeEndpoints`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from k8slab.kubeproxy.objects import Endpoint, Node, ServicePort


@dataclass(frozen=True, slots=True)
class Chosen:
    """The endpoints of a Service's port as one node uses them.

    `cluster`: for policy Cluster; `local`: for policy Local; `reachable`: each of these once; all sorted by the text
    `address:port`. `any`: whether there is a usable one anywhere.
    """

    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    reachable: tuple[Endpoint, ...] = ()
    any: bool = False


def choose(port: ServicePort, endpoints: Sequence[Endpoint], node: Node) -> Chosen:
    """Choose among all endpoints of a Service's port.

    Endpoints that are ready come first; where there is none, those that terminate and still serve. Hints of zones and
    nodes hold only where every ready endpoint has them. An endpoint without a node's name is local nowhere.
    """
    if not endpoints:
        return Chosen()
    uses_cluster = not port.internal_local or port.external
    uses_local = port.internal_local or port.external_local and port.external
    ready = [one for one in endpoints if one.ready]
    fallback = [one for one in endpoints if one.serving and one.terminating and not one.ready]
    near = _near(ready, node)
    cluster = (
        (
            [one for one in ready if near is None or near(one)]
            or [one for one in endpoints if one.serving and one.terminating]
        )
        if uses_cluster
        else []
    )
    if not uses_local:
        return Chosen(_sorted(cluster), (), _sorted(cluster), bool(cluster))
    at_home = [one for one in ready if one.node == node.name and node.name]
    local = at_home or [one for one in fallback if one.node == node.name and node.name]
    if not uses_cluster:
        reachable = local
    elif near is None and (at_home or not local):
        reachable = cluster  # the local ones are among them
    else:
        reachable = list({one.text: one for one in (*cluster, *local)}.values())
    return Chosen(_sorted(cluster), _sorted(local), _sorted(reachable), bool(cluster or ready or fallback))


def _sorted(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    return tuple(sorted(endpoints, key=attrgetter("text")))


def _near(ready: Sequence[Endpoint], node: Node) -> Callable[[Endpoint], bool] | None:
    """Tell the endpoints that hints reserve for this node, or for its zone; None where all are for everybody."""
    if all(one.node_hints for one in ready) and any(node.name in one.node_hints for one in ready):
        return lambda one: node.name in one.node_hints
    if node.zone and all(one.zone_hints for one in ready) and any(node.zone in one.zone_hints for one in ready):
        return lambda one: node.zone in one.zone_hints
    return None

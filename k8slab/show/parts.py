"""A network taken apart for its drawing: which Pod stands in which node, what the LAN is, who stands below it."""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.network import Host, Link, Network


@dataclass(frozen=True, slots=True)
class Parts:
    """The network taken apart: each node's Pods with their link's two ends, the LAN, and the other hosts."""

    nodes: tuple[Host, ...]
    pods: dict[str, list[tuple[Host, str, str]]]
    lan: Link | None
    others: tuple[Host, ...]


def parts(network: Network) -> Parts:
    """Which host stands where; a Pod belongs into a node where a link of two ends leads there.

    >>> from k8slab.network import cluster_network
    >>> [host.name for host in parts(cluster_network()).others]
    ['router', 'outside']
    """
    nodes = tuple(host for host in network.hosts if host.kind == "node")
    pods: dict[str, list[tuple[Host, str, str]]] = {node.name: [] for node in nodes}
    for host in network.hosts:
        for link in network.links if host.node in pods else ():
            ends = dict(link.ends)
            if len(link.ends) == 2 and set(ends) == {host.name, host.node}:
                pods[host.node].append((host, ends[host.node], ends[host.name]))
                break
    for node in nodes:                                    # the ports of a bridge beside each other
        pods[node.name].sort(key=lambda held: node.interface(held[1]).master)
    inside = {pod.name for held in pods.values() for pod, _, _ in held}
    shared = [link for link in network.links if any(name in pods for name, _ in link.ends)
              and not any(name in inside for name, _ in link.ends)]
    lan = max(shared, key=lambda link: len(link.ends), default=None)
    others = tuple(host for host in network.hosts if host.name not in inside and host.name not in pods)
    return Parts(nodes, pods, lan, others)

"""Journeys for the tests of the kernel's dataplane, on a cluster with Services of many kinds."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from k8slab.kubeproxy import Config, Node, Objects, Proxier, pod_cidr, read_objects, saved
from k8slab.network import POD_RANGE, Network, cluster_network
from k8slab.packet import Packet
from k8slab.trace import Trace

WEB, CLIENT, WORKER, MASTER = "10.244.1.7", "10.244.1.5", "10.106.175.131", "10.106.175.128"
# Name → ClusterIP, port, protocol, target port, endpoints, NodePort.
SERVICES: dict[str, tuple[str, int, str, int, tuple[str, ...], int | None]] = {
    "kubernetes": ("10.96.0.1", 443, "TCP", 6443, (MASTER,), None),
    "kube-dns": ("10.96.0.10", 53, "UDP", 53, ("10.244.0.2", "10.244.0.3"), None),
    "web": ("10.96.0.20", 80, "TCP", 8080, (WEB,), 30080),
    "nobody": ("10.96.0.30", 80, "TCP", 8080, (), None),
    "closed": ("10.96.0.40", 99, "UDP", 99, (WEB,), None),
}


@dataclass(frozen=True, slots=True)
class Journey:
    """What is done: a connection from a host to an address and port, or one packet sent."""

    host: str
    to: str
    port: int
    proto: str = "tcp"
    packet: Packet | None = None

    def on(self, dataplane: Any) -> Trace:
        """Do it there."""
        if self.packet:
            return dataplane.send(self.packet, self.host)
        return dataplane.connect(self.host, self.to, self.port, proto=self.proto)


def _send(host: str, source: str, to: str, port: int, proto: str = "tcp") -> Journey:
    return Journey(host, to, port, proto, Packet(proto, source, to, 40000, port))


JOURNEYS = {
    "article": _send("client", CLIENT, "10.96.0.1", 443),
    "connect": Journey("client", "10.96.0.1", 443),
    "nodeport": Journey("outside", WORKER, 30080),
    "hairpin": Journey("web", "10.96.0.20", 80),
    "refused": _send("client", CLIENT, "10.96.0.30", 80),
    "icmp-error": _send("client", CLIENT, "10.96.0.40", 99, "udp"),
    "dns": Journey("client", "10.96.0.10", 53, "udp"),
    "loopback": Journey("k8smaster", "10.96.0.1", 443),
}


@functools.cache
def rules() -> dict[str, str]:
    """kube-proxy's rules for these Services, node by node."""
    found = {}
    for host in network().hosts:
        if host.kind == "node":
            config = Config(Node(host.name, (host.address,)), pod_cidr(POD_RANGE))
            found[host.name] = saved(config, Proxier(config).sync(objects()).text)
    return found


@functools.cache
def network() -> Network:
    """The lab's own cluster."""
    return cluster_network()


def objects() -> Objects:
    """The Services and their EndpointSlices."""
    return read_objects([item for name in SERVICES for item in _items(name)])


def _items(name: str) -> list[dict]:
    address, port, proto, target, endpoints, node_port = SERVICES[name]
    given = {"name": "main", "port": port, "protocol": proto, "targetPort": target}
    spec = {"clusterIP": address, "type": "NodePort" if node_port else "ClusterIP",
            "ports": [given | ({"nodePort": node_port} if node_port else {})]}
    slices = {"addressType": "IPv4", "ports": [{"name": "main", "port": target, "protocol": proto}],
              "endpoints": [{"addresses": [one]} for one in endpoints]}
    about = {"namespace": "default", "name": name}
    return [{"kind": "Service", "metadata": about, "spec": spec},
            {"kind": "EndpointSlice", "metadata": about | {"labels": {"kubernetes.io/service-name": name}}} | slices]

"""Rules of many Services, as kube-proxy writes them: a text of any size whose every number is known."""

from __future__ import annotations

import functools

from k8slab.kubeproxy import Config, Node, Proxier, pod_cidr, proxier, read_objects, saved

LABEL = "kubernetes.io/service-name"


def service(n: int) -> str:
    """The address of Service n."""
    return f"10.96.{n // 256}.{n % 256}"


def items(services: int, endpoints: int = 5) -> list[dict]:
    """The objects of a cluster with this many Services of port 80, as the API gives them."""
    found: list[dict] = []
    for n in range(services):
        name, low = f"service-{n}", f"{n // 256}.{n % 256}"
        found.append({"kind": "Service", "metadata": {"namespace": "default", "name": name},
                      "spec": {"clusterIP": service(n), "ports": [{"name": "http", "port": 80}]}})
        found.append({"kind": "EndpointSlice", "addressType": "IPv4",
                      "metadata": {"namespace": "default", "name": name, "labels": {LABEL: name}},
                      "ports": [{"name": "http", "port": 8080}],
                      "endpoints": [{"addresses": [f"10.{i}.{low}"]} for i in range(1, endpoints + 1)]})
    return found


@functools.cache
def cluster_text(services: int, endpoints: int = 5, comments: bool = False) -> str:
    """What iptables-save prints of kube-proxy's rules; `comments`: with those that it leaves out of a large cluster."""
    cluster, config = read_objects(items(services, endpoints)), Config(Node("worker1"), pod_cidr("10.244.0.0/16"))
    large = proxier.LARGE
    try:
        proxier.LARGE = 10**9 if comments else large
        return saved(config, Proxier(config).sync(cluster).text)
    finally:
        proxier.LARGE = large

"""Clusters that tests look at, and how their texts are compared."""

from __future__ import annotations

import re
from pathlib import Path

from k8slab.cluster import Cluster
from k8slab.cluster.kinds import POD
from k8slab.cluster.node import new_pod
from k8slab.kubeproxy import Config, Node, Proxier, pod_cidr, read_objects, saved

GOLDEN = Path(__file__).parent / "golden"
FIRST, SECOND, THIRD = "10.106.175.128", "10.106.175.129", "10.106.175.130"
CHAIN = "NPX46M4PTMTKRN6Y"
# What no two clusters have in common: uids, times, versions, and the hash of a host's name.
VARIES = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r'resourceVersion: "\d+"'), "VERSION"),
    (re.compile(r"apiserver-[a-z2-7]{26}"), "apiserver-HASH"),
)


def masked(text: str) -> str:
    """Text with what varies from cluster to cluster made the same."""
    for pattern, instead in VARIES:
        text = pattern.sub(instead, text)
    return text


def bare_cluster() -> Cluster:
    """A cluster like the recorded one: no kubelet, no kube-dns, sixteen minutes old, and a Pod of one second."""
    cluster = Cluster(nodes={"k8smaster": FIRST}, dns=False, kubelets=False)
    cluster.advance(16 * 60)
    client = cluster.client("somebody")
    pod = new_pod("kube-apiserver-k8smaster", "kube-system", {"component": "kube-apiserver"}, "kube-apiserver",
                  nodeName="k8smaster", hostNetwork=True)
    made = client.create(pod, POD, "kube-system")
    made["status"] = {"phase": "Running", "podIP": FIRST, "containerStatuses": [
        {"name": "kube-apiserver", "ready": True, "restartCount": 0, "state": {"running": {}}}]}
    client.update(made, POD, "kube-system", status=True)
    cluster.advance(1)
    return cluster


def endpoints(cluster: Cluster) -> list[str]:
    """The addresses in the Endpoints of the Service `kubernetes`, as etcd has them."""
    entry = cluster.store.get("/registry/services/endpoints/default/kubernetes")
    subsets = (entry.value.get("subsets") or []) if entry else []
    return [one["ip"] for subset in subsets for one in subset["addresses"]]


def in_slice(cluster: Cluster, name: str = "kubernetes") -> list[str]:
    """The addresses in an EndpointSlice of `default`, as etcd has them."""
    entry = cluster.store.get(f"/registry/endpointslices/default/{name}")
    return [one["addresses"][0] for one in (entry.value.get("endpoints") or [])] if entry else []


def service(cluster: Cluster) -> dict:
    """The Service `kubernetes`, as etcd has it, or an empty dict."""
    entry = cluster.store.get("/registry/services/specs/default/kubernetes")
    return entry.value if entry else {}


class Rules:
    """One node's kube-proxy, which writes its rules as text: `lines` are those that name the Service's chain."""

    def __init__(self, cluster: Cluster, first_sync: float = 0.0) -> None:
        self._config = Config(Node("k8smaster", (FIRST,)), pod_cidr("10.244.0.0/16"))
        self.text = ""
        self.follower = cluster.kube_proxy("k8smaster", self._sync, first_sync)
        cluster.clock.run()

    def _sync(self, objects: list[dict], full: bool) -> None:
        self.text = saved(self._config, Proxier(self._config).sync(read_objects(objects)).text)

    @property
    def lines(self) -> list[str]:
        """Chain lines and rules that name the chains of the Service, without those of its endpoints alone."""
        return [one for one in self.text.splitlines() if CHAIN in one]

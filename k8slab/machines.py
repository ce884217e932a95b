"""The machines that a cluster stands on: what its objects and processes change in the network of a dataplane.

On each node a kube-proxy follows the API and writes rules, a network plugin wires the Pods that kubelet runs, and
port 6443 is open as long as the API server's process runs. `cluster/` knows nothing of all this, and the dataplane
nothing of clusters: they meet here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from k8slab import iptables
from k8slab.cluster.kinds import POD
from k8slab.cluster.plain import dig, name_of, namespace_of
from k8slab.model.dataplane import Model
from k8slab.kubeproxy import Config, Node, Objects, Proxier, Sync, pod_cidr, read_objects, setup
from k8slab.kubeproxy.setup import CANARY
from k8slab.network import API_SERVER_PORT, POD_LISTENS, POD_RANGE, PODS, ROUTER, Network, cluster_network, veth

if TYPE_CHECKING:
    from k8slab.apiservers import ApiServers
    from k8slab.cluster.cluster import Cluster
    from k8slab.kernel.dataplane import Kernel

CNI_WORDS = '-m comment --comment "network plugin: masquerade what leaves the Pod range"'
CNI_RULES = f"*nat\n-A POSTROUTING -s {POD_RANGE} ! -d {POD_RANGE} {CNI_WORDS} -j MASQUERADE --random-fully\nCOMMIT\n"
LAN = "node LAN"
FirstSync = float | Mapping[str, float]
RUNNING = 2.0       # seconds until the lab's own Pods run


def addresses(cluster: Cluster) -> dict[str, str]:
    """Each node's address as it is now, in the order in which their Pod ranges are numbered.

    >>> from k8slab.cluster.cluster import Cluster
    >>> addresses(Cluster())
    {'k8smaster': '10.106.175.128', 'worker1': '10.106.175.131'}
    """
    servers = cluster.api_servers
    return {name: servers[name].address if name in servers else address for name, address in cluster.nodes.items()}


def pods(cluster: Cluster) -> dict[str, str]:
    """The Pods that have an address of their own: name and address. It is a look into etcd, nobody is asked.

    A Pod whose name another namespace has too is called `name.namespace`.
    """
    registry = next(iter(cluster.api_servers.values())).registry
    found: dict[str, str] = {}
    for pod in registry.list(POD)[0]:
        name, address = name_of(pod), dig(pod, "status", "podIP")
        if address and not dig(pod, "spec", "hostNetwork"):
            found[f"{name}.{namespace_of(pod)}" if name in found else name] = address
    return found


def clusters(given: bool | Cluster | Callable[[], Cluster], seed: int) -> Iterator[Cluster]:
    """The lab's cluster, and a new one like it each time that it is asked for; the lab's Pods are in it and run."""
    from k8slab.cluster.cluster import Cluster  # it brings cryptography, which a lab of rules alone can do without
    first = given if isinstance(given, Cluster) else None
    while True:
        again = given.again if isinstance(given, Cluster) else given
        cluster, first = first or (Cluster(seed=seed) if given is True else again()), None
        for name, address in PODS.items():
            node = list(cluster.nodes)[int(address.split(".")[2])] if len(cluster.nodes) > 1 else ""
            if node in cluster.kubelets and not name.startswith("coredns"):
                cluster.add_pod(name, node=node, address=address, ports=POD_LISTENS.get(name, ()))
        cluster.advance(RUNNING)
        yield cluster


class Machines:
    """A cluster's nodes and Pods on a dataplane, which `build` makes of a network.

    `first_sync`: seconds until the nodes' kube-proxies first write, of all or by the node's name. `cni_masquerade`:
    whether the network plugin gives what leaves the Pod range the node's source.

    `syncs`: what each node's kube-proxy wrote: the second of the cluster's clock, and the Sync.
    """

    def __init__(self, cluster: Cluster, build: Callable[[Network], Model | Kernel], first_sync: FirstSync = 0.0,
                 cni_masquerade: bool = False) -> None:
        self.cluster, self._cni = cluster, cni_masquerade
        self._nodes, self._pods = addresses(cluster), pods(cluster)
        self.dataplane = build(cluster_network(self._nodes, self._pods))
        self._open = {name for name in self._nodes if name.startswith("k8smaster")}
        self._time, self._seen = cluster.clock.now, (-1, -1)
        self.syncs: dict[str, list[tuple[float, Sync]]] = {}
        self._api_servers: ApiServers | None = None
        for name in self._nodes:
            self._begin(name, first_sync.get(name, 0.0) if isinstance(first_sync, Mapping) else first_sync)
        for server in cluster.api_servers.values():
            server.on_change(self.follow)
        self.follow()
        cluster.clock.run()

    def _begin(self, node: str, first_sync: float = 0.0) -> None:
        """Start a node's kube-proxy."""
        proxier = Proxier(Config(Node(node, (self._nodes[node],)), pod_cidr(POD_RANGE)))
        done = self.syncs[node] = []

        def sync(objects: list[dict], full: bool) -> None:
            self.follow()
            known, now = read_objects(objects), self.cluster.clock.now
            wrote = proxier.sync(known, now, full=full)
            if full:
                there = iptables.parse(self.dataplane.run(node, "iptables-save"), node) if done else None
                missing = setup(proxier.config, there)
                if missing:
                    self.dataplane.restore(node, missing, noflush=True)
            self.dataplane.restore(node, wrote.text, noflush=True)
            if not done and self._cni:
                self.dataplane.restore(node, CNI_RULES, noflush=True)
            done.append((now, wrote))
            self._forget_stale(node, known)

        self.cluster.kube_proxy(node, sync, first_sync, lambda: self._canaries(node))

    def _canaries(self, node: str) -> tuple[str, ...]:
        """The tables of a node in which kube-proxy's canary is."""
        plane = self.dataplane
        rules = plane.stack(node).netfilter.rules if isinstance(plane, Model) else plane.rules(node)
        return tuple(table.name for table in rules.tables if table.get(CANARY)) if rules else ()

    def _forget_stale(self, node: str, objects: Objects) -> None:
        """Delete the entries of UDP conversations with what is no endpoint any more: UDP has no end of its own.

        An entry of TCP stays, whatever becomes of its endpoint (pkg/proxy/conntrack, cleanup.go).
        """
        services = {(one.cluster_ip, one.port): {(end.address, end.port) for end in objects.endpoints.get(one.key, ())
                                                 if end.serving} for one in objects.ports if one.protocol == "udp"}
        for entry in self.dataplane.entries(node) if services else ():
            asked, ends = entry.original, services.get((entry.original.dst, entry.original.dport))
            if asked.proto == "udp" and ends is not None and (entry.reply.src, entry.reply.sport) not in ends:
                self.dataplane.run(node, f"conntrack -D -p udp --orig-src {asked.src} --orig-dst {asked.dst} --orig-"
                                         f"port-src {asked.sport} --orig-port-dst {asked.dport}")

    def follow(self) -> None:
        """Do what has become due: let the dataplane's time go on to the cluster's, wire what came, moved or went."""
        now, revision = self.cluster.clock.now, self.cluster.store.revision
        if now > self._time:
            self.dataplane.clock.advance(now - self._time)
            self._time = now
        self._move_nodes()
        if self._seen != (revision, len(self._nodes)):
            self._seen = revision, len(self._nodes)
            self._wire_pods()
        running = {name for name, server in self.cluster.api_servers.items() if server.running}
        for name in sorted(running ^ self._open):
            change = self.dataplane.serve if name in running else self.dataplane.unserve
            change(name, API_SERVER_PORT)
        self._open = running

    def serve_tls(self) -> None:
        """Let the API servers answer whoever comes with TLS; the plain question of the lab is answered as ever."""
        from k8slab.apiservers import ApiServers  # with it comes tornado

        self._api_servers = self._api_servers or ApiServers(self.cluster)
        if isinstance(self.dataplane, Model):
            self._api_servers.on_model(self.dataplane)
        else:
            self._api_servers.on_kernel(self.dataplane)

    def prepare(self, asked: bytes) -> None:
        """Let kube-dns's Pods know the answer to a question that is about to be sent; other bytes are passed over."""
        from k8slab.names import PORT, answered  # scapy's layers take longer to import than all the rest

        objects = self.cluster.objects()
        kinds = [[one for one in objects if one["kind"] == kind] for kind in ("Service", "EndpointSlice")]
        reply = answered(asked, *kinds)
        for host in self.dataplane.network.hosts if reply else ():
            if host.name.startswith("coredns"):
                self.dataplane.answer(host.name, PORT, {asked[2:]: reply[2:]})

    def _move_nodes(self) -> None:
        """Put new nodes on the LAN, and give a node its new address."""
        there = addresses(self.cluster)
        for name in there.keys() - self._nodes.keys():
            self._nodes = self._nodes | {name: there[name]}
            self._join(name)
        for name in [name for name in there if there[name] != self._nodes[name]]:
            old, self._nodes = self._nodes[name], self._nodes | {name: there[name]}
            self._run(name, f"ip address delete {old}/24 dev eth0", f"ip address add {there[name]}/24 dev eth0",
                      f"ip route add default via {ROUTER} dev eth0",
                      *(f"ip route add {self._range(other)}.0/24 via {address} dev eth0"
                        for other, address in there.items() if other != name))
            self._route_to(name)

    def _join(self, name: str) -> None:
        """Put a node on the LAN that has just been made, and start what runs on it."""
        drawn = cluster_network(self._nodes, {}).host(name)
        self.dataplane.join(replace(drawn, listens=()), LAN)
        self._route_to(name)
        self.cluster.api_servers[name].on_change(self.follow)
        self._begin(name)

    def _route_to(self, name: str) -> None:
        """Tell the other nodes the way to a node's Pods."""
        for other in self._nodes.keys() - {name}:
            self._run(other, f"ip route replace {self._range(name)}.0/24 via {self._nodes[name]} dev eth0")

    def _wire_pods(self) -> None:
        """What a network plugin does for each Pod that came or went."""
        before, self._pods = self._pods, pods(self.cluster)
        for pod in [pod for pod, address in before.items() if self._pods.get(pod) != address]:
            self._run(self._node_of(before[pod]), f"ip netns delete {pod}")
        for pod, address in self._pods.items() - before.items():
            node, gateway = self._node_of(address), f"{address.rpartition('.')[0]}.1"
            port = veth(pod)
            self._run(node, f"ip netns add {pod}", f"ip link add {port} type veth peer name eth0 netns {pod}",
                      f"ip address add {gateway}/32 dev {port}", f"ip link set {port} up",
                      *(f"ip -n {pod} {words}" for words in (
                          "link set lo up", f"address add {address}/32 dev eth0", "link set eth0 up",
                          f"route add {gateway} dev eth0", f"route add default via {gateway} dev eth0")),
                      f"ip route add {address} dev {port}")
            for proto, number in POD_LISTENS.get(pod.partition("-")[0], ()):
                self.dataplane.serve(pod, number, proto)

    def _run(self, host: str, *commands: str) -> None:
        for command in commands:
            self.dataplane.run(host, command)

    def _range(self, node: str) -> str:
        """The first three numbers of a node's Pod range."""
        return f"10.244.{list(self._nodes).index(node)}"

    def _node_of(self, address: str) -> str:
        return next(name for name in self._nodes if address.startswith(f"{self._range(name)}."))

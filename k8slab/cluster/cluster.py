"""Cluster: a whole control plane, with its nodes, that a notebook holds in its hand."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from random import Random

from k8slab.cluster import certificates, dns, kubelet
from k8slab.cluster.clock import EPOCH, Clock
from k8slab.cluster.client import Client
from k8slab.cluster.errors import ClusterError, Refused
from k8slab.cluster.kinds import ENDPOINT_SLICE, NODE, POD, SERVICE, find_kind
from k8slab.cluster.kubectl import Answer, Watching, kubectl, watching
from k8slab.cluster.log import Log
from k8slab.cluster.node import Kubelet, new_pod
from k8slab.cluster.proxy import Follower
from k8slab.cluster.reconcilers import TYPES
from k8slab.cluster.registry import Event, Registry
from k8slab.cluster.schedule import Housekeeper, Scheduler
from k8slab.cluster.server import PORT, ApiServer, Shared
from k8slab.cluster.shell import filtered, piped
from k8slab.cluster.slices import Controllers
from k8slab.cluster.store import Store

SERVICE_CIDR, POD_CIDR = "10.96.0.0/16", "10.244.0.0/16"
NODES = {"k8smaster": "10.106.175.128", "worker1": "10.106.175.131"}
FURTHER = {"k8smaster2": "10.106.175.129", "k8smaster3": "10.106.175.130"}  # further API servers
DNS_PODS = {"coredns-1": "10.244.0.2", "coredns-2": "10.244.0.3"}
DNS_PORTS = (("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP"))
DNS_INDEX = 10      # of the Service range: where kubeadm puts kube-dns
COMPACTION = 300.0  # seconds of history that etcd keeps (--etcd-compaction-interval)
SETTLE = 12.0       # seconds until a new cluster's Pods run and its first rounds are over


class Cluster:
    """A control plane at work. `api_servers`: how many, each on a node of its own whose name begins with k8smaster.

    `nodes`: name to address, those of the lab unless given; the n-th has Pods from 10.244.n.0/24. `dns`: with the
    Service kube-dns and its Pods. `kubelets`: without them a bare control plane, where a Node is only an object.
    `seed`: what chance is drawn from. `ready_after`: seconds that an API server takes to become ready. `reconciler`:
    lease, master-count or none, by which the endpoints of `kubernetes` are kept. `epoch`: the moment, in UTC, at which
    its clock stands at 0.

    >>> Cluster().kubectl("get svc kubernetes -n default -o name")
    service/kubernetes

    Raises ClusterError for more API servers than there are nodes for.
    """

    def __init__(self, api_servers: int = 1, *, nodes: Mapping[str, str] | None = None, dns: bool = True,
                 kubelets: bool = True, seed: int = 0, service_cidr: str = SERVICE_CIDR, ready_after: float = 2.5,
                 reconciler: str = "lease", epoch: datetime = EPOCH) -> None:
        self.again = lambda: Cluster(api_servers, nodes=nodes, dns=dns, kubelets=kubelets, seed=seed,
                                     service_cidr=service_cidr, ready_after=ready_after, reconciler=reconciler,
                                     epoch=epoch)
        self.nodes = dict(nodes or NODES) | dict(list(FURTHER.items())[:max(0, api_servers - 1)] if not nodes else [])
        self.clock, self.log = Clock(epoch), Log()
        self.store = Store(self.clock)
        self.shared = Shared(self.clock, self.store, self.log, Random(seed), service_cidr, reconciler, api_servers)
        self._files: dict[str, str] = {}
        self._key = secrets.token_bytes(32)      # by which tokens are signed: no seed may tell it
        self.api_servers: dict[str, ApiServer] = {}
        if reconciler not in TYPES:
            raise ClusterError(f"there is no reconciler {reconciler!r}; there are {', '.join(TYPES)}")
        hosts = [one for one in self.nodes if one.startswith("k8smaster")]
        if not 0 < api_servers <= len(hosts):
            raise ClusterError(f"{api_servers} API servers were asked for: give 1 to {len(hosts)}, one for each node "
                               "whose name begins with k8smaster")
        for name in hosts[:api_servers]:
            self.api_servers[name] = ApiServer(name, self.nodes[name], self.shared, ready_after)
        first = self.api_servers[hosts[0]]
        first.start()
        self.kubelets: dict[str, Kubelet] = {}
        self._begin(kubelets)
        self.advance(ready_after)
        for name in hosts[1:api_servers]:
            self.api_servers[name].start()
        if dns:
            self._add_dns()
        self.advance(SETTLE)

    def _begin(self, kubelets: bool) -> None:
        manager = self.client("kube-controller-manager")
        self._controllers = Controllers(manager)
        self._housekeeper = Housekeeper(manager, self.authority.pem)
        self._scheduler = Scheduler(self.client("kube-scheduler"))
        self.clock.after(COMPACTION, self._compact)
        for number, (name, address) in enumerate(self.nodes.items()):
            if kubelets:
                self._add_kubelet(name, address, number)
            else:
                self._client.create({"kind": "Node", "metadata": {"name": name}}, NODE)

    def _add_kubelet(self, name: str, address: str, number: int) -> None:
        pods = str(list(ipaddress.IPv4Network(POD_CIDR).subnets(new_prefix=24))[number])
        wanted = {("kube-system", pod): where for pod, where in DNS_PODS.items()}
        self.kubelets[name] = Kubelet(name, address, pods, self.client(f"kubelet-{name}"), self.shared.rng,
                                      self.api_servers.get(name), wanted if number == 0 else {})

    def _compact(self) -> None:
        self.clock.after(COMPACTION, self._compact)
        if any(one.running for one in self.api_servers.values()):
            self.store.compact(self.store.revision_at(self.clock.now - COMPACTION))

    def _add_dns(self) -> None:
        ports = [{"name": name, "port": port, "protocol": protocol, "targetPort": port}
                 for name, port, protocol in DNS_PORTS]
        labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
        address = str(ipaddress.IPv4Network(self.shared.service_cidr)[DNS_INDEX])
        self._client.create({"kind": "Service", "metadata": {"name": "kube-dns", "labels": labels}, "spec": {
            "clusterIP": address, "selector": {"k8s-app": "kube-dns"}, "ports": ports}}, SERVICE, "kube-system")
        for name in DNS_PODS:
            pod = new_pod(name, "kube-system", {"k8s-app": "kube-dns"}, "registry.k8s.io/coredns/coredns:v1.13.1",
                          tuple((protocol, port) for _, port, protocol in DNS_PORTS), nodeName=next(iter(self.nodes)))
            pod["spec"]["containers"][0]["name"] = "coredns"
            self._client.create(pod, POD, "kube-system")

    def choose(self) -> Registry:
        """The API server that answers: a ready one, as the load balancer before several would choose it."""
        servers = [one for one in self.api_servers.values() if one.running]
        if not servers:
            first = next(iter(self.api_servers.values()))
            raise Refused(f"The connection to the server {first.address}:{PORT} was refused - did you specify the "
                          "right host or port?")
        return next((one for one in servers if one.state == "ready"), servers[0]).registry

    def client(self, name: str) -> Client:
        """A client of the API by a name of one's own, which the log will tell."""
        return Client(name, self.choose, self.clock, self.log)

    @cached_property
    def _client(self) -> Client:
        return self.client("kubeadm")

    @property
    def service_ip(self) -> str:
        """The address of the Service `kubernetes`: the first of the Service range."""
        return str(ipaddress.IPv4Network(self.shared.service_cidr)[1])

    @property
    def dns_address(self) -> str:
        """The address of the Service kube-dns, as it lies in etcd: "" where there is none."""
        found = self._any_registry.find(SERVICE, "kube-system", "kube-dns")
        return found["spec"]["clusterIP"] if found else ""

    def advance(self, seconds: float) -> None:
        """Move the lab's clock by seconds, with all that happens meanwhile. Raises ClusterError for fewer than none."""
        if not isinstance(seconds, (int, float)) or not seconds >= 0:
            raise ClusterError(f"advance: seconds is {seconds!r}; it must be a number that is not below 0, such as 3")
        self.clock.advance(seconds)

    def add_api_server(self, node: str = "", address: str = "") -> ApiServer:
        """Start one more API server, on a node that is new; what is returned can be stopped, crashed and moved.

        Raises ClusterError when no name is left, or the node is there already.
        """
        node = node or next((one for one in FURTHER if one not in self.nodes), "")
        if not node or node in self.nodes:
            raise ClusterError(f"there is a node {node} already" if node else "say which node: "
                               f"{', '.join(FURTHER)} are there already")
        self.nodes[node] = address = address or FURTHER.get(node, "")
        server = self.api_servers[node] = ApiServer(node, address, self.shared,
                                                    next(iter(self.api_servers.values())).ready_after)
        server.start()
        if self.kubelets:
            self._add_kubelet(node, address, len(self.nodes) - 1)
        self.clock.run()
        return server

    def add_pod(self, name: str, labels: Mapping[str, str] | None = None, *, node: str = "", address: str = "",
                namespace: str = "default", image: str = "nginx:1.29", ports: Sequence[tuple[str, int]] = (),
                **spec: object) -> None:
        """Create a Pod, on a node and with an address of one's choice where they are given; it runs a second later.

        Raises ApiError for what the API refuses, ClusterError for an address without a node.
        """
        if address:
            if node not in self.kubelets:
                raise ClusterError(f"Pod {name}: an address needs a node, one of {', '.join(self.kubelets)}")
            self.kubelets[node].promise(namespace, name, address)
        pod = new_pod(name, namespace, labels if labels is not None else {"app": name}, image, tuple(ports), **spec)
        pod["spec"] |= {"nodeName": node} if node else {}
        self._client.create(pod, POD, namespace)
        self.clock.run()

    def objects(self) -> list[dict]:
        """The Services, EndpointSlices and Nodes, as the API's own JSON: what `kubeproxy.read_objects` takes.

        It is a look into etcd: nobody is asked, and it works when no API server runs.
        """
        return [obj for kind in (SERVICE, ENDPOINT_SLICE, NODE) for obj in self._any_registry.list(kind)[0]]

    def subscribe(self, kind: str, call: Callable[[Event], None], who: str = "watcher") -> Callable[[], None]:
        """Tell `call` of every object of a kind, first those that there are; what is returned ends it."""
        return self.client(who).follow(find_kind(kind), call).close

    def kube_proxy(self, node: str, sync: Callable[[list[dict], bool], None], first_sync: float = 0.0,
                   canaries: Callable[[], Collection[str]] | None = None) -> Follower:
        """Start a node's kube-proxy: `sync` is called with the objects whenever rules are to be written.

        `canaries`: says in which of the node's tables kube-proxy's canary is.
        """
        return Follower(self.client(f"kube-proxy-{node}"), sync, first_sync, canaries=canaries)

    def give(self, name: str, text: str) -> None:
        """Let `kubectl … -f NAME` find a file with this text."""
        self._files[name] = text

    def kubectl(self, command: str | Sequence[str], stdin: str = "", seconds: float = 0.0) -> Answer:
        """Run a kubectl command as in a shell, pipes to grep and all; whatever goes wrong is in the answer.

        `command`: what comes after `kubectl`, text or words; `stdin`: what `-f -` reads; `seconds`: how long `-w`
        watches. The answer has `out`, `err` and `status`, and prints as a terminal shows it.
        """
        words, pipes = piped(command)
        if {"-w", "--watch", "--watch-only"} & set(words) and "get" in words:
            answer = self._watched(words, seconds)
        else:
            answer = kubectl(self.client("kubectl"), words, self._files | {"-": stdin})
        self.clock.run()
        return filtered(answer, pipes)

    def _watched(self, words: Sequence[str], seconds: float) -> Answer:
        def call(watch: Watching) -> None:
            self.advance(seconds)
            watch.close()
        return kubectl(self.client("kubectl"), words, watch=call)

    def watch(self, command: str | Sequence[str]) -> Watching:
        """Begin `kubectl get … -w`, which prints as the clock moves on: `text` is what it has, `close()` ends it."""
        words, _ = piped(command)
        return watching(self.client("kubectl"), [one for one in words if one not in ("-w", "--watch")])

    @cached_property
    def authority(self) -> certificates.Authority:
        """The cluster's CA, made when it is first asked for."""
        return certificates.Authority(self.clock.epoch)

    def certificate(self, node: str, further: Sequence[str] = ()) -> certificates.Certificate:
        """A certificate for a node's API server, with kubeadm's names and `further` ones."""
        names = certificates.server_names(node, self.service_ip, self.api_servers[node].address, further=further)
        return self.authority.issue(names)

    def pod(self, name: str, namespace: str = "default") -> dict:
        """A Pod as the API has it; raises ApiError where there is none."""
        return self._client.get(POD, namespace, name)

    def environment(self, pod: str, namespace: str = "default") -> dict[str, str]:
        """What kubelet would write into the environment of a Pod that starts now."""
        return kubelet.environment(self.pod(pod, namespace), self._client.list(SERVICE)[0])

    def account_files(self, pod: str, namespace: str = "default") -> dict[str, str]:
        """The files of its service account that a Pod finds, by path; the token is signed at this moment."""
        found, issuer = self.pod(pod, namespace), f"https://kubernetes.default.svc.{dns.DOMAIN}"
        bearer = kubelet.token(found, issuer, self._key, self._unix_time())
        return kubelet.account_files(found, self.authority.pem, bearer)

    def account_of(self, bearer: str) -> str:
        """Whose a Pod's token is, "" for one that was not signed here, has run out, or whose Pod is gone."""
        claims = kubelet.claims_of(bearer, self._key, self._unix_time())
        if claims is None:
            return ""
        whose = claims["kubernetes.io"]
        there = self._any_registry.find(POD, whose["namespace"], whose["pod"]["name"])
        return claims["sub"] if there and there["metadata"]["uid"] == whose["pod"]["uid"] else ""

    def _unix_time(self) -> int:
        return int(self.clock.epoch.timestamp() + self.clock.now)

    @property
    def _any_registry(self) -> Registry:
        """One through which etcd can be looked into: nobody is asked."""
        return next(iter(self.api_servers.values())).registry

    def dns_answer(self, name: str, kind: str = "A") -> tuple[dns.Record, ...] | None:
        """What kube-dns knows of a full name: records, or None where there is no such name."""
        return dns.answer(self._client.list(SERVICE)[0], self._client.list(ENDPOINT_SLICE)[0], name, kind)

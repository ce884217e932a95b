"""A cluster that nobody has seen: addresses, nodes, Services and EndpointSlices, drawn from a seed.

Nothing of it is the lab's: the ranges are those that other installers take, and the rules are one worker's. Its Pod
network is plain routes: no overlay, and interfaces of Pods that have no address at the node's end, so that MASQUERADE
gives the one address that the node has. Two rules of that network's accept in FORWARD what comes from Pods and what
goes to them, as it must be where a policy is DROP.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from k8slab import iptables
from k8slab.course.capstone.dice import Dice
from k8slab.kubeproxy import Config, Node, Objects, Proxier, pod_cidr, read_objects, saved
from k8slab.kubeproxy.objects import SERVICE_LABEL

SERVICES = 240
# What installers and clouds take where nobody says otherwise; no two of them overlap.
SERVICE_RANGES = ("10.43.0.0/16", "10.96.0.0/16", "10.100.0.0/16", "10.152.0.0/16", "172.20.0.0/16", "172.30.0.0/16")
POD_RANGES = ("10.42.0.0/16", "10.128.0.0/16", "10.200.0.0/16", "10.244.0.0/16", "172.24.0.0/16")
API_PORTS = (6443, 6443, 8443)
# Machines that are no part of a cluster: the addresses that RFC 5737 keeps for examples.
OUTSIDE = ("203.0.113", "198.51.100")
NAMESPACES = ("billing", "build", "chat", "data", "mail", "maps", "media", "monitoring", "search", "shop", "users")
FIRST = ("account", "archive", "basket", "catalogue", "comment", "index", "invoice", "label", "order", "photo", "price",
         "queue", "report", "route", "stock", "ticket")
SECOND = ("api", "cache", "feed", "gate", "store", "sync", "view", "web")
# Port of the Service, its name, and the ports that programs behind it listen on.
PORTS = ((80, "http", (8080, 3000, 8000)), (443, "https", (8443, 9443)), (5432, "sql", (5432,)),
         (6379, "redis", (6379,)), (9090, "metrics", (9090, 9102)))
POD_NETWORK = """*filter
:POD-NETWORK - [0:0]
-A FORWARD -m comment --comment "the Pod network" -j POD-NETWORK
-A POD-NETWORK -s {pods} -m comment --comment "from Pods" -j ACCEPT
-A POD-NETWORK -d {pods} -m comment --comment "to Pods" -j ACCEPT
COMMIT
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A cluster, and the worker whose rules are looked at.

    `node`: its name and its one address. `subnet`: its Pods' range. `pod`, `outside`: who asks beside the node, a Pod
    there that is nobody's endpoint, and a machine that is no part of the cluster. `masters`: the addresses of the
    three API servers. `policy`: of FORWARD. `items`: the objects, as the API has them; `objects`: as kube-proxy reads
    them.
    """

    service_range: str
    pod_range: str
    node: Node
    subnet: str
    pod: str
    outside: str
    masters: tuple[str, ...]
    policy: str
    items: tuple[dict, ...]
    objects: Objects

    def rules(self, items: tuple[dict, ...] | None = None) -> str:
        """What `iptables-save` prints on the node when kube-proxy has heard of `items`: of all that is, by default."""
        config = Config(self.node, pod_cidr(self.pod_range))
        text = saved(config, Proxier(config).sync(self.objects if items is None else read_objects(items)).text)
        rules = iptables.parse(text).restore(POD_NETWORK.format(pods=self.pod_range), noflush=True)
        return str(iptables.run(rules, f"iptables -P FORWARD {self.policy}")[0].normal())


def draw(dice: Dice, services: int = SERVICES) -> Drawn:
    """Draw a cluster with so many Services.

    >>> draw(Dice("2026"), 10).service_range in SERVICE_RANGES
    True
    """
    service_range, pod_range = dice.pick(SERVICE_RANGES), dice.pick(POD_RANGES)
    lan = f"10.{dice.between(60, 79)}.{dice.between(0, 254)}"
    hosts = [f"{lan}.{n}" for n in dice.some(range(10, 250), 3 + dice.between(7, 10))]
    masters, workers = tuple(sorted(hosts[:3], key=ipaddress.ip_address)), hosts[3:]
    names = {address: f"worker-{n}" for n, address in enumerate(workers, 1)}
    free = {one: _subnet(pod_range, n) for one, n in zip(workers, dice.some(range(1, 60), len(workers)))}
    here = dice.pick(workers)
    pods = {one: iter(dice.some(range(2, 251), 249)) for one in workers}
    makes = _Makes(dice, service_range, workers, free, pods, names)
    asking = makes.address(here)
    items = [*_nodes(masters, names, free), *_kubernetes(makes.first(1), masters, dice.pick(API_PORTS)),
             *_dns(makes), *(item for _ in range(services - 2) for item in makes.service())]
    outside = f"{dice.pick(OUTSIDE)}.{dice.between(2, 250)}"
    return Drawn(service_range, pod_range, Node(names[here], (here,)), f"{free[here]}.0/24", asking, outside, masters,
                 dice.pick(("ACCEPT", "DROP")), tuple(items), read_objects(items))


def _subnet(pod_range: str, n: int) -> str:
    """The first three numbers of the n-th /24 of the Pod range."""
    return ".".join((*pod_range.split(".")[:2], str(n)))


def _nodes(masters: tuple[str, ...], names: dict[str, str], subnets: dict[str, str]) -> Iterator[dict]:
    known = {address: f"control-{n}" for n, address in enumerate(masters, 1)} | names
    for address, name in known.items():
        spec = {"podCIDR": f"{subnets[address]}.0/24"} if address in subnets else {}
        yield {"kind": "Node", "metadata": {"name": name}, "spec": spec,
               "status": {"addresses": [{"type": "InternalIP", "address": address}]}}


def made(namespace: str, name: str, spec: dict, ends: list[dict], ports: list[dict]) -> list[dict]:
    """A Service and its EndpointSlice, as the API has them."""
    label = {SERVICE_LABEL: name}
    return [{"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name}, "spec": spec},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
             "metadata": {"namespace": namespace, "name": name, "labels": label}, "endpoints": ends, "ports": ports}]


def _kubernetes(address: str, masters: tuple[str, ...], port: int) -> list[dict]:
    spec = {"type": "ClusterIP", "clusterIP": address,
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]}
    return made("default", "kubernetes", spec, [{"addresses": [one], "conditions": {"ready": True}} for one in masters],
                [{"name": "https", "port": port, "protocol": "TCP"}])


def _dns(makes: _Makes) -> list[dict]:
    named = (("dns", 53, "UDP", 53), ("dns-tcp", 53, "TCP", 53), ("metrics", 9153, "TCP", 9153))
    spec = {"type": "ClusterIP", "clusterIP": makes.first(10),
            "ports": [{"name": name, "port": port, "protocol": proto, "targetPort": to}
                      for name, port, proto, to in named]}
    return made("kube-system", "kube-dns", spec, [makes.endpoint(True) for _ in range(2)],
                [{"name": name, "port": to, "protocol": proto} for name, _, proto, to in named])


class _Makes:
    """Makes Services, each with a name, an address and endpoints that no other has."""

    def __init__(self, dice: Dice, service_range: str, workers: list[str], subnets: dict[str, str],
                 pods: dict[str, Iterator[int]], names: dict[str, str]) -> None:
        self.dice, self.range, self.workers = dice, ipaddress.ip_network(service_range), workers
        self.subnets, self.pods, self.names = subnets, pods, names
        self.called = iter(dice.some([(n, f"{a}-{b}") for n in NAMESPACES for a in FIRST for b in SECOND], 1400))
        self.node_ports = iter(dice.some(range(30000, 32768), 400))
        self.taken: set[str] = set()

    def first(self, n: int) -> str:
        """The n-th address of the Service range."""
        return str(self.range[n])

    def address(self, worker: str) -> str:
        """An address for a Pod of a worker."""
        return f"{self.subnets[worker]}.{next(self.pods[worker])}"

    def endpoint(self, ready: bool) -> dict:
        """An endpoint on some worker."""
        worker = self.dice.pick(self.workers)
        return {"addresses": [self.address(worker)], "nodeName": self.names[worker],
                "conditions": {"ready": ready, "serving": ready, "terminating": False}}

    def cluster_ip(self) -> str:
        """An address that no Service has; the first 256 are for those that ask for one (ServiceIPStaticSubrange)."""
        while (address := str(self.range[self.dice.between(257, 60000)])) in self.taken:
            pass
        self.taken.add(address)
        return address

    def service(self) -> list[dict]:
        """One more Service."""
        namespace, name = next(self.called)
        kind = "NodePort" if self.dice.one_in(8) else "ClusterIP"
        headless = kind == "ClusterIP" and self.dice.one_in(20)
        ports, targets = [], []
        for port, called, listens in self.dice.some(PORTS, 1 + self.dice.one_in(6)):
            to = self.dice.pick(listens)
            number = {"nodePort": next(self.node_ports)} if kind == "NodePort" else {}
            ports.append({"name": called, "port": port, "protocol": "TCP", "targetPort": to, **number})
            targets.append({"name": called, "port": to, "protocol": "TCP"})
        how_many = 0 if self.dice.one_in(25) else self.dice.pick((1, 1, 2, 2, 3, 3, 4))
        ends = [self.endpoint(True) for _ in range(how_many)]
        ends += [self.endpoint(False)] if how_many and self.dice.one_in(12) else []
        spec = {"type": kind, "clusterIP": "None" if headless else self.cluster_ip(), "ports": ports}
        return made(namespace, name, spec, ends, targets)

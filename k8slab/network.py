"""The drawing that both dataplanes build from: hosts, interfaces, links, addresses, routes.

A Network is a value: it describes and does nothing. A *host* is anything with a
network stack of its own: a node, a Pod, a router, a client outside. A *link*
joins two interfaces (a veth pair) or more (a LAN).
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
from dataclasses import dataclass, field

from k8slab import hearing
from k8slab.errors import Told

POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
ROUTER = "10.106.175.1"
# The address block that RFC 5737 keeps for examples stands for the world outside.
OUTSIDE_GATEWAY, OUTSIDE_CLIENT = "203.0.113.1", "203.0.113.10"
API_SERVER_PORT = 6443
LONGEST_NAME = 15      # of an interface on Linux

# What a host's kernel is set to, unless a host says otherwise; distributions differ
# in their defaults, so that the lab sets each one (Documentation/networking/ip-sysctl.rst).
SYSCTLS = {"ip_forward": 0, "rp_filter": 0, "route_localnet": 0, "send_redirects": 0}


class NetworkError(Told, ValueError):
    """A network that cannot be built: the message says which part, and why."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface: `addresses` with their prefix, "10.106.175.131/24"; `mac` fixed by the lab.

    `kind`: "veth", "bridge" or "loopback". `up`: whether it is switched on. `master`: the bridge that it is a port
    of, or "". `index`: its number on its host, 0 for its place among the host's interfaces (`Host.index`). `fresh`: it
    has never been up, so that no queue stands before it (qdisc noop). `own_mac`: a bridge whose MAC was set, and does
    not follow its ports. `looked`: a bridge that has looked at its ports, and goes by what it saw.
    """

    name: str
    addresses: tuple[str, ...] = ()
    mac: str = "02:00:00:00:00:00"
    kind: str = "veth"
    up: bool = True
    master: str = ""
    index: int = 0
    fresh: bool = False
    own_mac: bool = False
    looked: bool = False

    @property
    def ips(self) -> tuple[str, ...]:
        """The addresses without their prefixes, in order: the first is the primary one."""
        return tuple(address.partition("/")[0] for address in self.addresses)


LOOPBACK = Interface("lo", ("127.0.0.1/8",), "00:00:00:00:00:00", "loopback", index=1)


@dataclass(frozen=True, slots=True)
class Route:
    """One line of a routing table; `str()` is what `ip route` prints.

    `destination`: "10.244.1.0/24", a bare address or "default". `via`: the next hop's
    address, or "" when the destination is on the link. `dev`: the interface, "" when
    the next hop tells it. `kind`: "unicast", "blackhole" (silence), "unreachable" or
    "prohibit" (an ICMP error). `src`: the address that local programs send from.
    """

    destination: str
    via: str = ""
    dev: str = ""
    kind: str = "unicast"
    src: str = ""

    @property
    def prefix(self) -> ipaddress.IPv4Network:
        """The destination as a network; "default" is 0.0.0.0/0."""
        return ipaddress.IPv4Network("0.0.0.0/0" if self.destination == "default" else self.destination)

    def __str__(self) -> str:
        words = [] if self.kind == "unicast" else [self.kind]
        words.append(self.destination.removesuffix("/32"))
        words += ["via", self.via] if self.via else []
        words += ["dev", self.dev] if self.dev else []
        words += ["scope", "link"] if self.dev and not self.via else []
        return " ".join(words + (["src", self.src] if self.src else []))


@dataclass(frozen=True, slots=True)
class Host:
    """One network stack. `kind`: "node", "pod", "router" or "client". `node`: a Pod's node.

    `listens`: pairs of protocol and port on which a program answers. `sysctls`: what differs
    from SYSCTLS. `lo` is among the interfaces only where it is down or has more addresses than
    127.0.0.1. `last_index`: the highest number that an interface made by hand was given.
    """

    name: str
    kind: str
    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...] = ()
    listens: tuple[tuple[str, int], ...] = ()
    node: str = ""
    sysctls: dict[str, int] = field(default_factory=dict)
    last_index: int = 0

    def sysctl(self, name: str, interface: str = "") -> int:
        """The value of a name in SYSCTLS on this host: for an interface the higher of its own and the host's."""
        return max(self.sysctls.get(name, SYSCTLS[name]), self.sysctls.get(f"{interface}/{name}", 0))

    @property
    def address(self) -> str:
        """The host's first address; "" when it has none."""
        return next((ip for interface in self.interfaces for ip in interface.ips), "")

    @property
    def lo(self) -> Interface:
        """The loopback interface, which every host has."""
        return next((i for i in self.interfaces if i.name == "lo"), LOOPBACK)

    def index(self, name: str) -> int:
        """The number of an interface on this host, as `ip link` shows it: 1 is lo. Raises NetworkError for no such."""
        interface = self.lo if name == "lo" else self.interface(name)
        return interface.index or 2 + [i.name for i in self.interfaces if i.name != "lo"].index(name)

    def interface(self, name: str) -> Interface:
        """The interface of that name. Raises NetworkError when the host has none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        names = ", ".join(i.name for i in self.interfaces)
        raise NetworkError(f"{self.name} has no interface {name}; it has {names}")


@dataclass(frozen=True, slots=True)
class Link:
    """Interfaces that hear each other: `ends` are pairs of host name and interface name."""

    name: str
    ends: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Network:
    """Hosts and the links between them. Raises NetworkError for a drawing that cannot be built."""

    hosts: tuple[Host, ...]
    links: tuple[Link, ...]

    def __post_init__(self) -> None:
        names = [host.name for host in self.hosts]
        for name in names:
            if names.count(name) > 1:
                raise NetworkError(f"two hosts are called {name}")
        taken: set[tuple[str, str]] = set()
        for link in self.links:
            for host, name in link.ends:
                if len(self.host(host).interface(name).name) > LONGEST_NAME:
                    raise NetworkError(f"{name}: Linux allows an interface's name 15 characters")
                if (host, name) in taken:
                    raise NetworkError(f"interface {name} of {host} is on two links")
                taken.add((host, name))

    def host(self, name: str) -> Host:
        """The host of that name. Raises NetworkError when there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise NetworkError(f"there is no host {name}; there are {', '.join(h.name for h in self.hosts)}")

    def replace(self, host: Host) -> Network:
        """The same network with one host described anew, or with one more."""
        others = [host if h.name == host.name else h for h in self.hosts]
        return dataclasses.replace(self, hosts=tuple(others if host in others else [*others, host]))

    def joined(self, host: Host, lan: str) -> Network:
        """The same network with one machine more on the LAN of that name, by its eth0.

        Raises NetworkError when there is a host of this name, or no such LAN.
        """
        if any(link.name == lan for link in self.links):
            more = [(*link.ends, (host.name, "eth0")) if link.name == lan else link.ends for link in self.links]
            links = tuple(dataclasses.replace(link, ends=ends) for link, ends in zip(self.links, more))
            return Network((*self.hosts, host), links)
        raise NetworkError(f"there is no LAN {lan}; there are {', '.join(link.name for link in self.links)}")

    def neighbours(self, host: str, interface: str) -> tuple[tuple[str, str], ...]:
        """Who hears what this interface sends: host and interface, through every bridge on the way.

        An interface that is down neither sends nor hears; a bridge's port hears for the bridge alone.

        >>> cluster_network().neighbours("client", "eth0")
        (('worker1', 'veth-client'),)
        """
        return hearing.neighbours(self, host, interface)

    def ends(self, host: str, interface: str) -> tuple[tuple[str, str], ...]:
        """The other ends of the link that this interface is on, whatever their state."""
        for link in self.links:
            if (host, interface) in link.ends:
                return tuple(end for end in link.ends if end != (host, interface))
        return ()


def cluster_network(nodes: dict[str, str] | None = None, pods: dict[str, str] | None = None) -> Network:
    """The lab's own cluster (design: "The lab's own cluster").

    `nodes`: name to address on the node LAN; the n-th node has Pods from 10.244.n.0/24, and those
    whose name begins with k8smaster run an API server. `pods`: name to address; the third number
    says the node. Each Pod listens on the ports of POD_LISTENS.

    >>> cluster_network().host("client").routes[1]
    Route(destination='default', via='10.244.1.1', dev='eth0', kind='unicast', src='')

    Raises NetworkError for a Pod whose address belongs to no node.
    """
    nodes = NODES if nodes is None else nodes
    pods = PODS if pods is None else pods
    names = list(nodes)
    by_node: dict[str, list[str]] = {name: [] for name in names}
    for pod, address in pods.items():
        subnet = int(address.split(".")[2])
        if ipaddress.IPv4Address(address) not in ipaddress.IPv4Network(POD_RANGE) or subnet >= len(names):
            raise NetworkError(f"Pod {pod}: {address} is in no node's range; {names[0]} has 10.244.0.0/24")
        by_node[names[subnet]].append(pod)
    hosts = [_node(name, nodes, by_node[name], pods) for name in names]
    hosts += [_pod(pod, pods[pod], name) for name in names for pod in by_node[name]]
    hosts += [_router(), Host("outside", "client", (_interface("outside", "eth0", f"{OUTSIDE_CLIENT}/24"),),
                              (Route("default", OUTSIDE_GATEWAY, "eth0"),))]
    links = [Link("node LAN", tuple((name, "eth0") for name in (*names, "router"))),
             Link("outside", (("router", "eth1"), ("outside", "eth0")))]
    links += [Link(pod, ((name, veth(pod)), (pod, "eth0"))) for name in names for pod in by_node[name]]
    return Network(tuple(hosts), tuple(links))


NODES = {"k8smaster": "10.106.175.128", "worker1": "10.106.175.131"}
PODS = {"coredns-1": "10.244.0.2", "coredns-2": "10.244.0.3", "client": "10.244.1.5", "web": "10.244.1.7"}
POD_LISTENS = {"coredns": (("udp", 53), ("tcp", 53), ("tcp", 9153)), "web": (("tcp", 8080),)}


def veth(pod: str) -> str:
    """The name of a Pod's interface on its node; of a name too long for Linux a digest, as network plugins take one.

    >>> veth("web"), veth("web-7d5b9c6f4-x2x9k")
    ('veth-web', 'vethe614049f')
    """
    name = f"veth-{pod}"
    return name if len(name) <= LONGEST_NAME else f"veth{hashlib.sha256(pod.encode()).hexdigest()[:8]}"


def _interface(host: str, name: str, *addresses: str) -> Interface:
    """An interface whose MAC comes from its place, so that every run has the same one.

    02 marks an address given out locally (IEEE 802); the rest is the IPv4 address and a digest
    of the place, because the host ends of all veths of a node share one address.
    """
    octets = [int(part) for part in addresses[0].partition("/")[0].split(".")]
    digest = sum(i * byte for i, byte in enumerate(f"{host}/{name}".encode(), 1)) % 256
    return Interface(name, addresses, ":".join(f"{n:02x}" for n in (2, *octets, digest)))


def _node(name: str, nodes: dict[str, str], own_pods: list[str], pods: dict[str, str]) -> Host:
    names = list(nodes)
    gateway = f"10.244.{names.index(name)}.1"
    interfaces = [_interface(name, "eth0", f"{nodes[name]}/24")]
    interfaces += [_interface(name, veth(pod), f"{gateway}/32") for pod in own_pods]
    routes = [Route("default", ROUTER, "eth0")]
    routes += [Route(f"10.244.{i}.0/24", nodes[other], "eth0") for i, other in enumerate(names) if other != name]
    routes += [Route(pods[pod], dev=veth(pod)) for pod in own_pods]
    listens = (("tcp", API_SERVER_PORT),) if name.startswith("k8smaster") else ()
    return Host(name, "node", tuple(interfaces), tuple(routes), listens, sysctls={"ip_forward": 1})


def _pod(name: str, address: str, node: str) -> Host:
    gateway = address.rpartition(".")[0] + ".1"
    return Host(name, "pod", (_interface(name, "eth0", f"{address}/32"),),
                (Route(gateway, dev="eth0"), Route("default", gateway, "eth0")),
                POD_LISTENS.get(name.partition("-")[0], ()), node)


def _router() -> Host:
    """The router at the edge: it drops the cluster's inner ranges in silence, as most networks do."""
    dropped = tuple(Route(r, kind="blackhole") for r in (SERVICE_RANGE, POD_RANGE))
    return Host("router", "router", (_interface("router", "eth0", f"{ROUTER}/24"),
                                     _interface("router", "eth1", f"{OUTSIDE_GATEWAY}/24")),
                dropped, sysctls={"ip_forward": 1})

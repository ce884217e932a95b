"""Random networks of a case: nodes, Pods, dead ends, and what their kernels are set to."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from k8slab.network import NODES, Network, Route, cluster_network

VIP, NODE_PORT, NOBODY, DEAD = "10.96.0.1", 30080, "10.106.175.200", "10.99.0.1"


def network(random: Random) -> Network:
    """A cluster of one or two nodes with some Pods, some of whose sysctls and routes are unusual."""
    nodes = dict(list(NODES.items())[:random.choice((1, 2, 2))])
    pods = {f"{random.choice(('web', 'coredns', 'client'))}-{n}": f"10.244.{n % len(nodes)}.{5 + n}"
            for n in range(random.choice((2, 3)))}
    made = cluster_network(nodes, pods)
    for name in nodes:
        host = made.host(name)
        extra = (Route("10.99.0.0/24", kind=random.choice(("blackhole", "unreachable", "prohibit"))),)
        sysctls = {"ip_forward": int(random.random() > 0.05), "rp_filter": random.choice((0, 0, 0, 1, 2)),
                   "route_localnet": random.choice((0, 0, 1))}
        listens = (*host.listens, ("udp", 53)) if random.random() < 0.3 else host.listens
        made = made.replace(replace(host, routes=(*host.routes, *extra), sysctls=sysctls, listens=listens))
    return made


def addresses(made: Network) -> tuple[str, ...]:
    """Where packets may go: every host, and places where nobody is."""
    return (*dict.fromkeys(host.address for host in made.hosts), VIP, DEAD, "127.0.0.1")


def senders(made: Network) -> list[str]:
    """Who may send: all but the router."""
    return [host.name for host in made.hosts if host.kind != "router"]


def interfaces(made: Network) -> tuple[str, ...]:
    """Names that `-i` and `-o` may say."""
    own = {interface.name for host in made.hosts if host.kind == "node" for interface in host.interfaces}
    return (*sorted(own), "veth+", "lo", "nope0")

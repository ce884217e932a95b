"""Small labs for the tests of the model: the lab's own network, with rules of the test's own."""

from __future__ import annotations

import dataclasses

from k8slab.model.dataplane import Clock, Model
from k8slab.network import Network, Route, cluster_network
from k8slab.packet import Packet
from k8slab.trace import Step, Trace

CLIENT, WEB = "10.244.1.5", "10.244.1.7"
WORKER, MASTER = "10.106.175.131", "10.106.175.128"
VIP, VIP_PORT = "10.96.0.1", 443
TRACKED = "-A POSTROUTING -s 192.0.2.1 -j MASQUERADE"      # never hits: it only switches conntrack on
DNAT = f"-d {VIP}/32 -p tcp -m tcp --dport {VIP_PORT} -j DNAT --to-destination {MASTER}:6443"


def rules(**tables: str) -> str:
    """Restore text: `rules(filter="-A FORWARD -j DROP", nat=":MINE - [0:0]\\n…")`."""
    return "".join(f"*{name}\n{body.strip()}\nCOMMIT\n" for name, body in tables.items())


def model(network: Network | None = None, *, seed: object = 0, **tables: str) -> Model:
    """The lab's network with these tables on worker1, and nothing on the other hosts."""
    return Model(network or cluster_network(), {"worker1": rules(**tables)} if tables else {}, seed=seed, clock=Clock())


def changed(network: Network, name: str, *, drop: str = "", add: tuple[Route, ...] = (), **sysctls: int) -> Network:
    """The network with one host's routes or sysctls changed; `drop` is a destination."""
    host = network.host(name)
    routes = tuple(r for r in host.routes if r.destination != drop) + add
    return network.replace(dataclasses.replace(host, routes=routes, sysctls=host.sysctls | sysctls))


def syn(dst: str = VIP, dport: int = VIP_PORT, src: str = CLIENT, sport: int = 40000, **fields: object) -> Packet:
    return Packet("tcp", src, dst, sport, dport, **fields)


def steps(trace: Trace, kind: str, node: str = "", leg: int = 0) -> list[Step]:
    return [s for s in trace.steps if s.kind == kind and node in ("", s.node) and leg in (0, s.leg)]

"""Cluster: the control plane that a notebook holds in its hand."""

from __future__ import annotations

from random import Random

from k8slab.cluster.client import Client
from k8slab.cluster.clock import Clock
from k8slab.cluster.errors import Refused
from k8slab.cluster.kinds import ENDPOINT_SLICE, NODE, SERVICE
from k8slab.cluster.log import Log
from k8slab.cluster.registry import Registry
from k8slab.cluster.server import PORT, ApiServer, Shared
from k8slab.cluster.store import Store

SERVERS = {"k8smaster": "10.106.175.128", "k8smaster2": "10.106.175.129", "k8smaster3": "10.106.175.130"}
SERVICE_CIDR = "10.96.0.0/16"


class Cluster:
    def __init__(self, api_servers: int = 1, *, seed: int = 0, service_cidr: str = SERVICE_CIDR) -> None:
        self.clock = Clock()
        self.store = Store(self.clock)
        self.log = Log()
        self.shared = Shared(self.clock, self.store, self.log, Random(seed), service_cidr)
        self.api_servers = {}
        for name, address in list(SERVERS.items())[:api_servers]:
            self.api_servers[name] = ApiServer(name, address, self.shared)
            self.api_servers[name].start()
            self.clock.advance(self.api_servers[name].ready_after)

    def _choose(self) -> Registry:
        servers = [one for one in self.api_servers.values() if one.running]
        if not servers:
            first = next(iter(self.api_servers.values()))
            raise Refused(f"The connection to the server {first.address}:{PORT} was refused - did you specify the "
                          "right host or port?")
        return next((one for one in servers if one.state == "ready"), servers[0]).registry

    def client(self, name: str) -> Client:
        return Client(name, self._choose, self.clock, self.log)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def objects(self) -> list[dict]:
        return [obj for kind in (SERVICE, ENDPOINT_SLICE, NODE)
                for entry in self.store.range(kind.prefix) for obj in [entry.value]]

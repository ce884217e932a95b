"""One kube-apiserver: it starts, becomes ready, makes its rounds, and stops, crashes or moves."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from k8slab.cluster import control
from k8slab.cluster.client import Client
from k8slab.cluster.clock import Clock
from k8slab.cluster.errors import ApiError, ClusterError
from k8slab.cluster.kinds import LEASE, NAMESPACE, SERVICE, SERVICE_CIDR
from k8slab.cluster.log import Log
from k8slab.cluster.plain import dig, new_uid
from k8slab.cluster.reconcilers import Lease, MasterCount, Nobody, NothingStale
from k8slab.cluster.registry import Registry
from k8slab.cluster.store import Store

PORT = 6443
IDENTITY_SECONDS = 3600
NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")
READY = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready"}


@dataclass(frozen=True, slots=True)
class Shared:
    """What all parts of one control plane share.

    `service_cidr`, `reconciler`, `count`: the API servers' `--service-cluster-ip-range`,
    `--endpoint-reconciler-type` and `--apiserver-count`.
    """

    clock: Clock
    store: Store
    log: Log
    rng: Random
    service_cidr: str
    reconciler: str = "lease"
    count: int = 1


def identity(node: str) -> str:
    """The name of the Lease by which an API server is known: `apiserver-` and a hash of its host's name.

    >>> identity("k8smaster")
    'apiserver-esot6uxnpygumwisqrpv6iwllq'

    From kubernetes, pkg/controlplane/apiserver (APIServerID).
    """
    digest = hashlib.sha256(node.encode()).digest()[:16]
    return "apiserver-" + base64.b32encode(digest).decode().lower().rstrip("=")


class ApiServer:
    """An API server at `address`:6443 on a node. `ready_after`: seconds from its start until /readyz says ok.

    `state`: stopped, starting or ready. `said`: what its controller wrote in its log, with the second.
    """

    def __init__(self, node: str, address: str, shared: Shared, ready_after: float = 2.5) -> None:
        self.node, self.address, self.ready_after = node, address, ready_after
        self.name = f"kube-apiserver-{node}"
        self.state = "stopped"
        self.said: list[tuple[float, str]] = []
        self.starts = 0
        self._shared, self._clock = shared, shared.clock
        self.registry = Registry(self.name, shared.store, shared.log, shared.rng, shared.service_cidr)
        self._client = Client(self.name, lambda: self.registry, shared.clock, shared.log)  # its loopback connection
        self._reconciler = self._choose(shared.reconciler, shared.count)
        self._hooks: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"{self.name} at {self.address}:{PORT}: {self.state}"

    def _choose(self, reconciler: str, count: int) -> Lease | MasterCount | Nobody:
        leases = control.MasterLeases(self._shared.store, self._shared.log, self.name)
        return {"lease": Lease(self._client, leases, PORT), "master-count": MasterCount(self._client, PORT, count),
                "none": Nobody()}[reconciler]

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self.state != "stopped"

    def on_change(self, call: Callable[[], None]) -> None:
        """Call `call` whenever it starts, becomes ready or ends: the kubelet on its node sees that."""
        self._hooks.append(call)

    def start(self) -> None:
        """Start the process: it takes its address out of the endpoints, should a crash have left it there.

        Raises ClusterError when it runs already.
        """
        if self.running:
            raise ClusterError(f"{self.name} runs already: stop() or crash() ends it")
        self.starts += 1
        self._set("starting")
        self._holder = f"{identity(self.node)}_{new_uid(self._shared.rng)}"
        self._bootstrap()
        self._remove_stale()
        self._clock.after(self.ready_after, self._guard(self._become_ready))

    def _remove_stale(self) -> None:
        try:
            self._reconciler.leave(self.address, False)
            self._say("Found stale data, removed previous endpoints on kubernetes service, apiserver didn't exit "
                      "successfully previously")
        except NothingStale:
            pass
        except (ApiError, control.Failed) as error:
            self._say(f"Error removing old endpoints from kubernetes service: {error}")

    def _bootstrap(self) -> None:
        """What every API server sees to at its start: namespaces, and the ServiceCIDR of its flag."""
        for name in NAMESPACES:
            if self._client.find(NAMESPACE, "", name) is None:
                self._client.create({"kind": "Namespace", "metadata": {"name": name}}, NAMESPACE)
        if self._client.find(SERVICE_CIDR, "", control.NAME) is None:
            made = self._client.create({"kind": "ServiceCIDR", "metadata": {"name": control.NAME},
                                        "spec": {"cidrs": [self._shared.service_cidr]}}, SERVICE_CIDR)
            made["status"] = {"conditions": [READY | {"lastTransitionTime": self._clock.stamp()}]}
            self._client.update(made, SERVICE_CIDR, status=True)

    def _become_ready(self) -> None:
        self._set("ready")
        self._round()

    def _round(self) -> None:
        """One round of the controller; the next comes 10 seconds after this one began."""
        self._clock.after(control.INTERVAL, self._guard(self._round))
        self._try(self._update)
        self._try(self._renew_identity)

    def _update(self) -> None:
        addresses = self.registry.addresses.ranges()
        present = self.registry.find(SERVICE, control.NAMESPACE, control.NAME) is not None
        control.ensure_service(self._client, present, str(addresses[0].first), PORT)
        self._reconciler.reconcile(self.address)

    def _renew_identity(self) -> None:
        """The Lease that `kubectl get leases -n kube-system` shows; no endpoint depends on it."""
        name, now = identity(self.node), self._clock.stamp(micro=True)
        lease = self._client.find(LEASE, "kube-system", name)
        if lease and dig(lease, "spec", "holderIdentity") == self._holder:
            lease["spec"]["renewTime"] = now
            self._client.update(lease, LEASE, "kube-system")
            return
        labels = {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": self.node}
        spec = {"holderIdentity": self._holder, "leaseDurationSeconds": IDENTITY_SECONDS, "renewTime": now}
        new = {"kind": "Lease", "metadata": {"name": name, "namespace": "kube-system", "labels": labels}, "spec": spec}
        (self._client.update if lease else self._client.create)(new, LEASE, "kube-system")

    def stop(self) -> None:
        """Stop it in an orderly way: its address leaves the endpoints at once, even when it is the last."""
        self._expect_running()
        self._try(lambda: self._reconciler.leave(self.address, True))
        self._set("stopped")

    def crash(self) -> None:
        """End it without a word, as `kill -9` does: its lease runs out, should anybody look."""
        self._expect_running()
        self._set("stopped")

    def move(self, address: str) -> None:
        """Give its node another address and start it anew there; nobody takes the old lease away."""
        if self.running:
            self.crash()
        self.address = address
        self.start()

    def _expect_running(self) -> None:
        if not self.running:
            raise ClusterError(f"{self.name} does not run: start() starts it")

    def _set(self, state: str) -> None:
        self.state = state
        for call in self._hooks:
            call()

    def _guard(self, call: Callable[[], None]) -> Callable[[], None]:
        """A call for later, which comes to nothing when this process has ended by then."""
        life = self.starts
        return lambda: call() if self.running and self.starts == life else None

    def _try(self, call: Callable[[], None]) -> None:
        try:
            call()
        except (ApiError, control.Failed, NothingStale) as error:
            self._say(str(error))

    def _say(self, text: str) -> None:
        self.said.append((self._clock.now, text))

"""The controller of `default/kubernetes`, which runs inside every API server (kubernetes, pkg/controlplane).

The Service is created where it is missing and never corrected. Its Endpoints and its slice say what the reconciler's
own leases say: keys in etcd that run out after 15 seconds, and that no API shows. The Leases that kubectl shows are
others.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8slab.cluster.client import Client
from k8slab.cluster.errors import ApiError
from k8slab.cluster.kinds import ENDPOINT_SLICE, ENDPOINTS, SERVICE
from k8slab.cluster.log import Log
from k8slab.cluster.plain import copied, dig, hosts_of
from k8slab.cluster.store import Store
from k8slab.errors import Told

NAMESPACE, NAME, PORT = "default", "kubernetes", 443
INTERVAL = 10.0   # seconds between two rounds, whatever a round takes
LEASE_TTL = 15.0  # seconds: a lease outlives one missed round
SERVICE_LABELS = {"component": "apiserver", "provider": "kubernetes"}
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
SERVICE_NAME = "kubernetes.io/service-name"
LEASES = "/registry/masterleases/"


class Failed(Told):
    """A round came to nothing; the server notes it and tries again in the next."""


class MasterLeases:
    """The reconciler's leases in etcd: one key for each API server's address."""

    def __init__(self, store: Store, log: Log, name: str) -> None:
        self._store, self._log, self._name = store, log, name

    def addresses(self) -> list[str]:
        """The addresses that have a lease, in the order of keys, by bytes: `10.0.0.10` comes before `10.0.0.9`."""
        self._note("range", LEASES)
        return [entry.value["ip"] for entry in self._store.range(LEASES)]

    def refresh(self, address: str) -> None:
        """Write the lease anew; `generation` changes, since etcd would not write what has not changed."""
        entry = self._store.get(LEASES + address)
        generation = entry.value["generation"] + 1 if entry else 1
        self._store.put(LEASES + address, {"ip": address, "generation": generation}, ttl=LEASE_TTL)
        self._note("put", LEASES + address)

    def remove(self, address: str) -> bool:
        """Delete the lease; whether there was one."""
        self._note("delete", LEASES + address)
        return self._store.delete(LEASES + address) is not None

    def _note(self, verb: str, key: str) -> None:
        self._log.add(self._store.clock.now, self._name, "etcd", verb, key)


def ensure_service(client: Client, present: bool, address: str, target: int) -> None:
    """Create the Service where it is missing, at its address; one that is there stays as it is.

    `present`: whether the server's cache has it; `target`: the port at which the servers listen. Raises ApiError,
    for one when another Service holds the address.
    """
    if present:
        return
    port = {"name": "https", "port": PORT, "protocol": "TCP", "targetPort": target}
    spec = {"clusterIP": address, "ipFamilyPolicy": "SingleStack", "ports": [port], "sessionAffinity": "None",
            "type": "ClusterIP"}
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": dict(SERVICE_LABELS)}
    try:
        client.create({"kind": "Service", "metadata": metadata, "spec": spec}, SERVICE, NAMESPACE)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise


def reconcile(client: Client, addresses: list[str], port: int, *, stopping: bool = False,
              check_ports: bool = False) -> None:
    """Make Endpoints and slice say which servers have a lease (pkg/controlplane/reconcilers/lease.go, doReconcile).

    Raises Failed where there is no lease at all and the server is not stopping: endpoints are not emptied then.
    """
    old = client.find(ENDPOINTS, NAMESPACE, NAME)
    if not addresses and not stopping:
        raise Failed("no API server IP addresses were listed in storage, refusing to erase all endpoints for the "
                     "kubernetes Service")
    endpoints = copied(old) or {"kind": "Endpoints", "metadata": {"name": NAME, "namespace": NAMESPACE}}
    labels = endpoints["metadata"].setdefault("labels", {})
    marked = labels.get(SKIP_MIRROR) == "true"
    labels[SKIP_MIRROR] = "true"
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    subsets = endpoints.get("subsets") or []
    form = len(subsets) == 1
    same = form and sorted(hosts_of(subsets[0].get("addresses") or [])) == addresses
    right = not check_ports or (form and subsets[0].get("ports") == ports)
    if not (old and marked and form and same and right):
        if not form or not right:
            subsets = [{"addresses": dig(subsets, 0, "addresses", default=[]) if form else [], "ports": ports}]
        if not same:
            subsets = [{"addresses": [{"ip": one} for one in addresses], "ports": subsets[0]["ports"]}]
        endpoints["subsets"] = subsets if addresses else []
        endpoints = (client.update if old else client.create)(endpoints, ENDPOINTS, NAMESPACE)
    ensure_slice(client, endpoints)


def ensure_slice(client: Client, endpoints: dict) -> None:
    """The slice that says the same; written anew where endpoints, ports or labels differ."""
    subset = dig(endpoints, "subsets", 0, default={})
    ready, waiting = (hosts_of(subset.get(one) or []) for one in ("addresses", "notReadyAddresses"))
    wanted = {"kind": "EndpointSlice", "metadata": {"name": NAME, "namespace": NAMESPACE,
                                                    "labels": {SERVICE_NAME: NAME}},
              "addressType": "IPv6" if _all_ipv6(ready + waiting) else "IPv4",
              "endpoints": [*_slice_endpoints(ready, True), *_slice_endpoints(waiting, False)] or None,
              "ports": copied(subset.get("ports"))}
    found = client.find(ENDPOINT_SLICE, NAMESPACE, NAME)
    if found and found["addressType"] != wanted["addressType"]:
        client.delete(ENDPOINT_SLICE, NAMESPACE, NAME)
        found = None
    if found is None:
        client.create(wanted, ENDPOINT_SLICE, NAMESPACE)
    elif any(found.get(one) != wanted[one] for one in ("endpoints", "ports")) or \
            found["metadata"].get("labels") != wanted["metadata"]["labels"]:
        client.update(wanted, ENDPOINT_SLICE, NAMESPACE)


def _slice_endpoints(addresses: Iterable[str], ready: bool) -> list[dict]:
    return [{"addresses": [one], "conditions": {"ready": ready}} for one in addresses]


def _all_ipv6(addresses: list[str]) -> bool:
    return bool(addresses) and all(":" in one for one in addresses)

"""The ways in which an API server keeps the endpoints of `kubernetes` (`--endpoint-reconciler-type`).

`lease` is the default since 1.11. `master-count`, deprecated, is what an older article may tell of: it knows how many
servers there should be, and notices no dead one. From kubernetes, pkg/controlplane/reconcilers.
"""

from __future__ import annotations

from k8slab.cluster.client import Client
from k8slab.cluster.control import NAME, NAMESPACE, SKIP_MIRROR, MasterLeases, ensure_slice, reconcile
from k8slab.cluster.kinds import ENDPOINTS
from k8slab.cluster.plain import hosts_of
from k8slab.errors import Told

TYPES = ("lease", "master-count", "none")


class NothingStale(Told):
    """The server had no endpoint that it could take away."""


class Lease:
    """By leases in etcd: who has one is an endpoint."""

    def __init__(self, client: Client, leases: MasterLeases, port: int) -> None:
        self._client, self._leases, self._port = client, leases, port

    def reconcile(self, address: str) -> None:
        """One round of the server at this address: its own lease first, whatever follows."""
        self._leases.refresh(address)
        reconcile(self._client, self._leases.addresses(), self._port)

    def leave(self, address: str, stopping: bool) -> None:
        """Take the server's own endpoint away; raises NothingStale where it has no lease, Failed as `reconcile`."""
        if not self._leases.remove(address) and not stopping:
            raise NothingStale(f"{address} has no lease")
        reconcile(self._client, self._leases.addresses(), self._port, stopping=stopping, check_ports=True)


class MasterCount:
    """By a number: every server adds itself, and takes others away where there are more than `count`."""

    def __init__(self, client: Client, port: int, count: int) -> None:
        self._client, self._port, self._count = client, port, count

    def reconcile(self, address: str) -> None:
        """One round of the server at this address."""
        endpoints = self._client.find(ENDPOINTS, NAMESPACE, NAME)
        subsets = (endpoints or {}).get("subsets") or []
        addresses = hosts_of(subsets[0].get("addresses") or []) if len(subsets) == 1 else []
        self._write(endpoints, kept(addresses, address, self._count))

    def leave(self, address: str, stopping: bool) -> None:
        """Take the server's own endpoint away; raises NothingStale where it is not among them."""
        endpoints = self._client.find(ENDPOINTS, NAMESPACE, NAME)
        addresses = [one for subset in (endpoints or {}).get("subsets") or [] for one in
                     hosts_of(subset.get("addresses") or [])]
        if address not in addresses:
            raise NothingStale(f"{address} is no endpoint")
        self._write(endpoints, [one for one in addresses if one != address])

    def _write(self, endpoints: dict | None, addresses: list[str]) -> None:
        new = endpoints or {"kind": "Endpoints", "metadata": {"name": NAME, "namespace": NAMESPACE}}
        new["metadata"].setdefault("labels", {})[SKIP_MIRROR] = "true"
        ports = [{"name": "https", "port": self._port, "protocol": "TCP"}]
        new["subsets"] = [{"addresses": [{"ip": one} for one in addresses], "ports": ports}] if addresses else []
        ensure_slice(self._client, (self._client.update if endpoints else self._client.create)(
            new, ENDPOINTS, NAMESPACE))


class Nobody:
    """By nobody: somebody else writes the endpoints."""

    def reconcile(self, address: str) -> None:
        """Do nothing."""

    def leave(self, address: str, stopping: bool) -> None:
        """Do nothing."""


def kept(addresses: list[str], own: str, count: int) -> list[str]:
    """The endpoints that a server leaves, itself among them: of too many, those next after it in the order go.

    >>> kept(["10.0.0.1", "10.0.0.2", "10.0.0.3"], "10.0.0.2", 2)
    ['10.0.0.1', '10.0.0.2']
    >>> kept(["10.0.0.1"], "10.0.0.2", 2)
    ['10.0.0.1', '10.0.0.2']
    """
    left = sorted({*addresses, own})
    while len(left) > count:
        del left[(left.index(own) + 1) % len(left)]
    return left

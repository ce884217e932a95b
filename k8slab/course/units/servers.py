"""Clusters whose API servers come and go: what the exercises on the Service `kubernetes` begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8slab.lab import Lab

if TYPE_CHECKING:
    from k8slab.cluster.cluster import Cluster

UNTIL_ROUND = 8.5  # seconds until the third server of a new lab has just made a round
LEASES, LEASE_TTL = "/registry/masterleases/", 15.0


def several(servers: int, **options: object) -> Cluster:
    """A cluster with this many API servers; `options` are Cluster's own.

    >>> list(several(2).api_servers)
    ['k8smaster', 'k8smaster2']
    """
    from k8slab.cluster.cluster import Cluster  # with it comes a library for certificates

    return Cluster(api_servers=servers, **options)


def listed(cluster: Cluster) -> list[str]:
    """The addresses in the slice of the Service `kubernetes`, in its order: a look into etcd, nobody is asked.

    >>> listed(several(2))
    ['10.106.175.128', '10.106.175.129']
    """
    slices = [one for one in cluster.objects() if one["kind"] == "EndpointSlice"]
    own = next((one for one in slices if one["metadata"]["name"] == "kubernetes"), {})
    return [address for end in own.get("endpoints") or () for address in end["addresses"]]


def just_after_a_round() -> Lab:
    """Three API servers, of which k8smaster2 and k8smaster3 have just made a round."""
    lab = Lab(cluster=lambda: several(3))
    lab.advance(UNTIL_ROUND)
    return lab


def rounds() -> list[tuple[dict[str, float], float, list[str]]]:
    """Rounds of a cluster that lives through a crash, a return and a stop: leases, the second, what was written.

    Leases are given as who has one and when it was last renewed, whether it is valid or not.
    """
    cluster = several(3, dns=False, kubelets=False)
    renewed: dict[str, float] = {}
    found, known = [], 0
    events = {20: cluster.api_servers["k8smaster3"].crash, 60: cluster.api_servers["k8smaster3"].start,
              80: cluster.api_servers["k8smaster2"].stop}
    for half in range(200):
        events.get(half / 2, lambda: None)()
        cluster.advance(0.5)
        new = [one for one in list(cluster.log)[known:] if one.path.startswith(LEASES)]
        known = len(list(cluster.log))
        for one in new:
            if one.verb == "put":
                renewed[one.path.removeprefix(LEASES)] = one.at
            elif one.verb == "delete":
                renewed.pop(one.path.removeprefix(LEASES), None)
        edge = any(cluster.clock.now - at == LEASE_TTL for at in renewed.values())
        if any(one.verb == "put" for one in new) and not edge:
            found.append((dict(renewed), cluster.clock.now, listed(cluster)))
    return found


def taken() -> Lab:
    """Somebody has deleted the Service `kubernetes` and given its address to another before it came back."""
    lab = Lab(cluster=True)
    lab.kubectl("delete svc kubernetes")
    lab.kubectl("create service clusterip web --clusterip=10.96.0.1 --tcp=443:8080")
    lab.advance(25)
    return lab

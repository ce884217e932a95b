"""kube-proxy as a client of the API: it follows Services and EndpointSlices, and says when rules are to be written.

What it writes is not its business here: `sync` is called with the objects, by whoever knows of rules and nodes. It
follows slices and not Endpoints. Before the first sync a node has no rules at all (pkg/proxy/config, proxier.go).
"""

from __future__ import annotations

from collections.abc import Callable

from k8slab.cluster.client import Client
from k8slab.cluster.kinds import ENDPOINT_SLICE, NODE, SERVICE
from k8slab.cluster.registry import Event

MIN_PERIOD = 1.0     # seconds between two syncs (--iptables-min-sync-period)
FULL_PERIOD = 3600.0  # seconds between two syncs of all rules, whether anything has changed or not


class Follower:
    """One node's kube-proxy. `sync(objects, full)`: the Services, slices and Nodes as the API's own JSON.

    `first_sync`: seconds from its start until it first has all objects and writes.
    """

    def __init__(self, client: Client, sync: Callable[[list[dict], bool], None], first_sync: float = 0.0,
                 min_period: float = MIN_PERIOD) -> None:
        self._clock, self._sync, self._min_period = client.clock, sync, min_period
        self._begins = self._clock.now + first_sync
        self.synced: list[float] = []  # the seconds at which it wrote
        self._asked = self._closed = False
        self._full_due = 0.0
        self._copies = [client.follow(kind, self._changed) for kind in (SERVICE, ENDPOINT_SLICE, NODE)]
        self._clock.at(self._begins, self._ask)

    def _changed(self, event: Event) -> None:
        self._ask()

    def _ask(self) -> None:
        """Have a sync as soon as one may be: never two within the least period."""
        if not self._asked:
            self._asked = True
            last = self.synced[-1] if self.synced else float("-inf")
            self._clock.at(max(self._begins, last + self._min_period), self._run)

    def _run(self) -> None:
        self._asked = False
        if self._closed or not all(one.synced for one in self._copies):
            return  # the first list is still to come, and its objects ask anew
        full = self._clock.now >= self._full_due
        if full:
            self._full_due = self._clock.now + FULL_PERIOD
            self._clock.at(self._full_due, self._ask)
        self.synced.append(self._clock.now)
        self._sync([obj for one in self._copies for _, obj in sorted(one.items.items())], full)

    def close(self) -> None:
        """End it: the rules stay as they are, and nobody follows."""
        self._closed = True
        for one in self._copies:
            one.close()

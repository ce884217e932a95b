"""kube-proxy as a client of the API: it follows Services and EndpointSlices, and says when rules are to be written.

What it writes is not its business here: `sync` is called with the objects, by whoever knows of rules and nodes. It
follows slices and not Endpoints. Before the first sync a node has no rules at all (pkg/proxy/config, proxier.go).

It never reads back what it wrote, with one exception: an empty chain in three tables, the *canary*. Each half minute it
looks for the one in mangle, and where that is gone, somebody has flushed the tables: it writes everything anew
(`Monitor` in pkg/util/iptables). Whoever takes away rules alone, and no chain, is not noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from k8slab.cluster.client import Client
from k8slab.cluster.kinds import ENDPOINT_SLICE, NODE, SERVICE
from k8slab.cluster.registry import Event

MIN_PERIOD = 1.0     # seconds between two syncs (--iptables-min-sync-period)
FULL_PERIOD = 3600.0  # seconds between two syncs of all rules, whether anything has changed or not
SYNC_PERIOD = 30.0   # seconds between two looks for the canary (--iptables-sync-period)
FLUSHING = 5.0       # seconds that the canaries of the other tables are waited for, so that no flush is met half done
LOOKED_FOR = "mangle"


class Follower:
    """One node's kube-proxy. `sync(objects, full)`: the Services, slices and Nodes as the API's own JSON.

    `first_sync`: seconds from its start until it first has all objects and writes. `canaries`: says in which tables the
    canary is.
    """

    def __init__(self, client: Client, sync: Callable[[list[dict], bool], None], first_sync: float = 0.0,
                 min_period: float = MIN_PERIOD, canaries: Callable[[], Collection[str]] | None = None) -> None:
        self._clock, self._sync, self._min_period, self._canaries = client.clock, sync, min_period, canaries
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
        if self._canaries and not self.synced:
            self._clock.after(SYNC_PERIOD, self._look)
        self._write()

    def _look(self) -> None:
        """Look for the canary; where it is gone, write all as soon as the others are, too, or after some seconds."""
        if self._closed:
            return
        there = self._canaries()
        if LOOKED_FOR in there:
            self._clock.after(SYNC_PERIOD, self._look)
        else:
            self._clock.after(FLUSHING if there else 0.0, self._reload)

    def _reload(self) -> None:
        if not self._closed:
            self._full_due = self._clock.now
            self._write()
            self._clock.after(SYNC_PERIOD, self._look)

    def _hourly(self) -> None:
        if self._clock.now >= self._full_due:      # it may have been done since, for another reason
            self._ask()

    def _write(self) -> None:
        full = self._clock.now >= self._full_due
        if full:
            self._full_due = self._clock.now + FULL_PERIOD
            self._clock.at(self._full_due, self._hourly)
        self.synced.append(self._clock.now)
        self._sync([obj for one in self._copies for _, obj in sorted(one.items.items())], full)

    def close(self) -> None:
        """End it: the rules stay as they are, and nobody follows."""
        self._closed = True
        for one in self._copies:
            one.close()

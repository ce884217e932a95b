"""Proxier: one node's kube-proxy in iptables mode. Objects in, a Sync out: the text that it feeds to iptables-restore.

Theory of operation
-------------------
A sync is one call of `iptables-restore --noflush --counters`: chains that it names are emptied and filled, all others
stay. The top-level chains (KUBE-SERVICES and the like) are named at each sync, and so have all their rules at each.
A Service's own chains are named only in a *full* sync and in the sync after the Service or one of its slices changed:
in a cluster of thousands that is most of the text (KEP-3453). A chain that no Service has any more is named, so that
it is empty, and deleted with `-X` in the same call.

A full sync is the first one, each after a failure, and one an hour, but not in a large cluster: more than 1,000
endpoints, counted for each port of each Service. There, too, some comments are left out, and chains that nobody has
any more are looked for only each `SYNC_PERIOD`. The order of Services is that of their names: the real one's is
a Go map's, and so differs from sync to sync.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from k8slab.kubeproxy.config import Config
from k8slab.kubeproxy.endpoints import choose
from k8slab.kubeproxy.objects import Endpoint, Objects, ServicePort
from k8slab.kubeproxy.older import layout
from k8slab.kubeproxy.service import Text

LARGE = 1000  # endpoints; more than that is a large cluster (`largeClusterEndpointsThreshold`)
SYNC_PERIOD, FULL_SYNC_PERIOD = 30, 3600  # seconds
FILTER_CHAINS = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS")
NAT_CHAINS = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
LAST = '"kubernetes service nodeports; NOTE: this must be the last rule in this chain"'


@dataclass(frozen=True, slots=True)
class Sync:
    """One sync: the text for `iptables-restore --noflush`, why it was written, and the chains of nat it touches.

    `full`: whether every Service's chains are in it. `written`: the Services' chains that it fills; `deleted`: those
    that it deletes.
    """

    text: str
    reason: str
    full: bool
    written: frozenset[str]
    deleted: frozenset[str]


class Proxier:
    """One node's kube-proxy, which remembers what it wrote last.

    >>> from k8slab.kubeproxy.objects import Node, read_objects
    >>> first = Proxier(Config(Node("worker1"))).sync(read_objects([]))
    >>> first.full, first.reason
    (True, 'the first sync')
    """

    def __init__(self, config: Config) -> None:
        self.config, self.layout = config, layout(config.as_of)
        self._last: dict[tuple[str, str], tuple] | None = None  # namespace and name → ports and endpoints
        self._chains: frozenset[str] = frozenset()  # of Services, in nat, as far as it knows
        self._full_at = self._scan_at = 0.0
        self._failed = False

    def fail(self) -> None:
        """Say that the last text was refused: the next sync is a full one."""
        self._failed = True

    def sync(self, objects: Objects, now: float = 0.0, *, full: bool = False) -> Sync:
        """Write what has changed since the last sync; `now` in seconds, `full` for a reason of one's own."""
        state = _by_service(objects)
        large = sum(len(objects.endpoints.get(port.key, ())) for port in objects.ports) > LARGE
        reason = self._why_full(now, large, full)
        changed = {key for key in state if reason or self._last is None or self._last.get(key) != state[key]}
        text, active, written = self._top(), set(), set()
        for port in sorted(objects.ports, key=lambda one: one.key):
            chosen = choose(port, objects.endpoints.get(port.key, ()), self.config.node)
            writer = self.layout.writer(text, self.config, port, chosen, not large)
            writer.write_entrances()
            active.update(writer.chains)
            if (port.namespace, port.service) in changed:
                writer.write_chains()
                written.update(writer.chains)
        deleted = self._stale(text, active, now, large)
        self._bottom(text)
        self._last, self._chains, self._failed = state, (self._chains | active) - deleted, False
        if reason:
            self._full_at = now
        names = ", ".join(f"{namespace}/{name}" for namespace, name in sorted(changed)[:3])
        return Sync(
            str(text),
            reason or (f"changed: {names}" if changed else "nothing changed"),
            bool(reason),
            frozenset(written),
            deleted,
        )

    def _why_full(self, now: float, large: bool, asked: bool) -> str:
        reasons = (
            (self._last is None, "the first sync"),
            (self._failed, "the last sync failed"),
            (asked, "asked for"),
            (now - self._full_at >= FULL_SYNC_PERIOD and not large, "an hour since the last full sync"),
        )
        return next((reason for holds, reason in reasons if holds), "")

    def _stale(self, text: Text, active: set[str], now: float, large: bool) -> frozenset[str]:
        """Empty and delete the chains that no Service has any more."""
        if large and self._last is not None and now - self._scan_at < SYNC_PERIOD:
            return frozenset()
        self._scan_at = now
        stale = sorted(self._chains - active)
        text.nat_chains += [f":{chain} - [0:0]" for chain in stale]
        text.nat_rules += [f"-X {chain}" for chain in stale]
        return frozenset(stale)

    def _top(self) -> Text:
        """The chains that are written at each sync, and their first rules."""
        text, mark, new = Text(), self.config.mark, self.layout.firewall
        firewall = new and self.config.serves_localhost
        chains = FILTER_CHAINS + ("KUBE-PROXY-FIREWALL",) * new + ("KUBE-FIREWALL",) * firewall
        text.filter_chains += [f":{chain} - [0:0]" for chain in chains]
        text.nat_chains += [f":{chain} - [0:0]" for chain in NAT_CHAINS]
        fully = " --random-fully" if self.config.random_fully else ""
        text.nat_rules += [
            f"-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN",
            f"-A KUBE-POSTROUTING -j MARK --xor-mark {mark}",
            f'-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j '
            f"MASQUERADE{fully}",
            f"-A KUBE-MARK-MASQ -j MARK --or-mark {mark}",
        ]
        if firewall:
            text.filter_rules.append(
                '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 '
                "! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
            )
        return text

    def _bottom(self, text: Text) -> None:
        """The rules that come after those of the Services."""
        head, mark = f"-A KUBE-SERVICES -m comment --comment {LAST}", self.config.mark
        text.nat_rules += [f"{head} {where} -j KUBE-NODEPORTS" for where in self._node_port_addresses()]
        counted = " -m nfacct --nfacct-name ct_state_invalid_dropped_pkts" if self.config.nfacct else ""
        text.filter_rules += [
            f"-A KUBE-FORWARD -m conntrack --ctstate INVALID{counted} -j DROP",
            f'-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark {mark}/{mark} -j '
            f"ACCEPT",
            *(
                f'-A KUBE-FORWARD -m comment --comment "{comment}" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'
                for comment in self.layout.forwards
            ),
        ]

    def _node_port_addresses(self) -> list[str]:
        """The tests for the addresses at which NodePorts are served."""
        ranges = self.config.node_port_addresses
        loopback = self.config.serves_localhost
        if not ranges or any(one.endswith("/0") for one in ranges):
            return ["-m addrtype --dst-type LOCAL" + ("" if loopback else " ! -d 127.0.0.0/8")]
        networks = [ipaddress.ip_network(one) for one in ranges]
        addresses = [ipaddress.ip_address(one) for one in self.config.node.addresses]
        return [
            f"-d {one}"
            for one in addresses
            if any(one in network for network in networks) and (loopback or not one.is_loopback)
        ]


def _by_service(objects: Objects) -> dict[tuple[str, str], tuple]:
    """All that is said of each Service: a change of one port or endpoint is a change of the Service."""
    found: dict[tuple[str, str], list[tuple[ServicePort, tuple[Endpoint, ...]]]] = {}
    for port in objects.ports:
        found.setdefault((port.namespace, port.service), []).append((port, objects.endpoints.get(port.key, ())))
    return {key: tuple(value) for key, value in found.items()}

"""The rules of one port of a Service, in the order in which kube-proxy writes them (proxier.go, `syncProxyRules`).

Theory of operation
-------------------
    KUBE-SERVICES ── ClusterIP ──────────> KUBE-SVC (policy Cluster) or KUBE-SVL (Local) ──> KUBE-SEP ──> DNAT
          │  └─────── external IP ────────> KUBE-EXT ──────────────────────┘
          │  └─────── load balancer's IP ─> KUBE-FW, where sources are limited ──> KUBE-EXT
    KUBE-NODEPORTS ── NodePort ───────────> KUBE-EXT

What leads into these chains is written at each sync, since the top-level chains are; the chains themselves only where
the Service or its endpoints have changed. Where a port has nobody to answer, a rule of the table filter says so
instead: REJECT where there is no endpoint at all, DROP where there is none on this node.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from k8slab.kubeproxy.config import Config
from k8slab.kubeproxy.endpoints import Chosen
from k8slab.kubeproxy.names import EXT, FW, SVC, SVL, digest, endpoint_chain
from k8slab.kubeproxy.objects import Endpoint, ServicePort

MASQ = "KUBE-MARK-MASQ"


@dataclass(slots=True)
class Text:
    """What is written in one sync: lines of chains and of rules, for both tables."""

    filter_chains: list[str] = field(default_factory=list)
    filter_rules: list[str] = field(default_factory=list)
    nat_chains: list[str] = field(default_factory=list)
    nat_rules: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = (
            "*filter",
            *self.filter_chains,
            *self.filter_rules,
            "COMMIT",
            "*nat",
            *self.nat_chains,
            *self.nat_rules,
            "COMMIT",
            "",
        )
        return "\n".join(parts)


class Writer:
    """Writes the rules of one port. `comments`: False in a large cluster, which leaves some out."""

    def __init__(self, text: Text, config: Config, port: ServicePort, chosen: Chosen, comments: bool) -> None:
        self.text, self.config, self.port, self.chosen, self.comments = text, config, port, chosen, comments
        self.name, self.protocol = port.name, port.protocol
        same = digest(self.name + self.protocol)
        self.svc, self.svl, self.ext, self.fw = SVC + same, SVL + same, EXT + same, FW + same
        self.internal = chosen.any and not (port.internal_local and not chosen.local)
        self.outside = chosen.any and not (port.external_local and not chosen.local)
        self.firewall = bool(chosen.any and port.load_balancer_ips and port.source_ranges)
        self.internal_chain = self.svl if port.internal_local else self.svc
        self.seps = {one.text: endpoint_chain(self.name, self.protocol, one.text) for one in chosen.reachable}
        self.chains = self._chains()

    def _chains(self) -> list[str]:
        """The chains of nat that the port has."""
        uses = (
            (self.chosen.cluster, self.svc),
            (self.chosen.local, self.svl),
            (self.chosen.any and self.port.external, self.ext),
            (self.firewall, self.fw),
        )
        return [chain for used, chain in uses if used] + [*self.seps.values()]

    def _to(self, address: str, port: int) -> str:
        return f"-m {self.protocol} -p {self.protocol} -d {address} --dport {port}"

    # What is written at each sync.

    def write_entrances(self) -> None:
        """The rules that lead to the port's chains, and those that say that nobody is there."""
        port, nat = self.port, self.text.nat_rules
        own = self._to(port.cluster_ip, port.port)
        if self.internal:
            nat.append(f'-A KUBE-SERVICES -m comment --comment "{self.name} cluster IP" {own} -j {self.internal_chain}')
        else:
            self._refuse("KUBE-SERVICES", own)
        for address in port.external_ips:
            if self.chosen.any:
                nat.append(
                    f'-A KUBE-SERVICES -m comment --comment "{self.name} external IP" '
                    f"{self._to(address, port.port)} -j {self.ext}"
                )
            if not self.outside:
                self._refuse("KUBE-EXTERNAL-SERVICES", self._to(address, port.port))
        self._write_load_balancer()
        if port.node_port:
            self._write_node_port()
        if port.health_check_node_port:
            self.text.filter_rules.append(
                f'-A KUBE-NODEPORTS -m comment --comment "{self.name} health check node port" '
                f"-m tcp -p tcp --dport {port.health_check_node_port} -j ACCEPT"
            )

    def _refuse(self, chain: str, tests: str) -> None:
        verdict, why = ("DROP", "no local endpoints") if self.chosen.any else ("REJECT", "no endpoints")
        self.text.filter_rules.append(f'-A {chain} -m comment --comment "{self.name} has {why}" {tests} -j {verdict}')

    def _write_load_balancer(self) -> None:
        for address in self.port.load_balancer_ips:
            tests = self._to(address, self.port.port)
            if self.chosen.any:
                self.text.nat_rules.append(
                    f'-A KUBE-SERVICES -m comment --comment "{self.name} loadbalancer IP" '
                    f"{tests} -j {self.fw if self.firewall else self.ext}"
                )
            if self.firewall:
                self.text.filter_rules.append(
                    f'-A KUBE-PROXY-FIREWALL -m comment --comment "{self.name} traffic not accepted by {self.fw}" '
                    f"{tests} -j DROP"
                )
        if not self.outside:
            for address in self.port.load_balancer_ips:
                self._refuse("KUBE-EXTERNAL-SERVICES", self._to(address, self.port.port))

    def _write_node_port(self) -> None:
        head, tests = f"-A KUBE-NODEPORTS -m comment --comment {self.name}", f"-m {self.protocol} -p {self.protocol}"
        number = f"--dport {self.port.node_port}"
        if self.chosen.any:
            if self.config.serves_localhost and self.config.nfacct:
                self.text.nat_rules.append(
                    f"{head} {tests} -d 127.0.0.0/8 {number} "
                    f"-m nfacct --nfacct-name localhost_nps_accepted_pkts -j {self.ext}"
                )
            self.text.nat_rules.append(f"{head} {tests} {number} -j {self.ext}")
        if not self.outside:
            self._refuse("KUBE-EXTERNAL-SERVICES", f"-m addrtype --dst-type LOCAL {tests} {number}")

    # What is written when the Service or its endpoints have changed.

    def write_chains(self) -> None:
        """The port's own chains, each with its rules."""
        if self.internal:
            self._write_masquerade()
        if self.chosen.any and self.port.external:
            self._write_external()
        if self.firewall:
            self._write_firewall()
        for endpoints, chain in ((self.chosen.cluster, self.svc), (self.chosen.local, self.svl)):
            if endpoints:
                self.text.nat_chains.append(f":{chain} - [0:0]")
                self._write_balance(chain, endpoints)
        for endpoint in self.chosen.reachable:
            self._write_endpoint(endpoint)

    def _write_masquerade(self, chain: str = "") -> None:
        detector = self.config.detector
        if not (self.config.masquerade_all or detector):
            return
        remote = "" if self.config.masquerade_all else f"{detector.remote} "
        self.text.nat_rules.append(
            f'-A {chain or self.internal_chain} -m comment --comment "{self.name} cluster IP" '
            f"{self._to(self.port.cluster_ip, self.port.port)} {remote}-j {MASQ}"
        )

    def _write_external(self) -> None:
        self.text.nat_chains.append(f":{self.ext} - [0:0]")
        write, head = self.text.nat_rules.append, f"-A {self.ext} -m comment --comment"
        if not self.port.external_local:
            write(f'{head} "masquerade traffic for {self.name} external destinations" -j {MASQ}')
        else:
            if self.config.detector:
                write(
                    f'{head} "pod traffic for {self.name} external destinations" {self.config.detector.local} -j '
                    f"{self.svc}"
                )
            local = "-m addrtype --src-type LOCAL"
            write(f'{head} "masquerade LOCAL traffic for {self.name} external destinations" {local} -j {MASQ}')
            write(f'{head} "route LOCAL traffic for {self.name} external destinations" {local} -j {self.svc}')
        if self.outside:
            write(f"-A {self.ext} -j {self.svl if self.port.external_local else self.svc}")

    def _write_firewall(self) -> None:
        self.text.nat_chains.append(f":{self.fw} - [0:0]")
        write, head = self.text.nat_rules.append, f'-A {self.fw} -m comment --comment "{self.name} loadbalancer IP"'
        for one in self.port.source_ranges:
            write(f"{head} -s {one} -j {self.ext}")
        ranges = [ipaddress.ip_network(one) for one in self.port.source_ranges]
        if any(ipaddress.ip_address(address) in one for address in self.config.node.addresses for one in ranges):
            for address in self.port.load_balancer_ips:  # the node reaches itself by the load balancer's address
                write(f"{head} -s {address} -j {self.ext}")
        write(
            f'-A {self.fw} -m comment --comment "other traffic to {self.name} will be dropped by KUBE-PROXY-FIREWALL"'
        )

    def _comment(self, words: str) -> str:
        return f" -m comment --comment {words}" if self.comments else ""

    def _arrow(self, endpoint: Endpoint) -> str:
        return self._comment(f'"{self.name} -> {endpoint.text}"')

    def _source(self, endpoint: Endpoint) -> str:
        return endpoint.address

    def _write_balance(self, chain: str, endpoints: Sequence[Endpoint]) -> None:
        self.text.nat_rules += self._balance_lines(chain, endpoints)

    def _balance_lines(self, chain: str, endpoints: Sequence[Endpoint]) -> Iterator[str]:
        """The rules that share out; those of session affinity, for clients that are known, come first."""
        last = len(endpoints) - 1
        if self.port.affinity:
            for one in endpoints:
                sep = self.seps[one.text]
                yield (
                    f"-A {chain}{self._arrow(one)} -m recent --name {sep} --rcheck --seconds {self.port.affinity} "
                    f"--reap -j {sep}"
                )
        for at, one in enumerate(endpoints):
            # Of those that are left, each has the same chance: 1/n, 1/(n-1), ..., and the last takes the rest.
            chance = f" -m statistic --mode random --probability {1 / (last + 1 - at):.10f}" if at < last else ""
            yield f"-A {chain}{self._arrow(one)}{chance} -j {self.seps[one.text]}"

    def _write_endpoint(self, endpoint: Endpoint) -> None:
        sep, comment = self.seps[endpoint.text], self._comment(self.name)
        self.text.nat_chains.append(f":{sep} - [0:0]")
        remember = f" -m recent --name {sep} --set" if self.port.affinity else ""
        self.text.nat_rules += (
            f"-A {sep}{comment} -s {self._source(endpoint)} -j {MASQ}",
            f"-A {sep}{comment}{remember} -m {self.protocol} -p {self.protocol} -j DNAT --to-destination "
            f"{endpoint.text}",
        )

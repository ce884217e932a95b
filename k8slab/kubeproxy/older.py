"""The layouts of older kube-proxies, for ClusterIP Services: 1.21 and 1.23 beside today's.

What differs (proxier.go of these releases): until 1.21 the rule that marks for masquerading stands in
KUBE-SERVICES, before the jump, and addresses carry /32; until 1.23 the rules of KUBE-SVC have the Service's name
alone as their comment, and KUBE-PROXY-FIREWALL (1.25) and kube-proxy's own KUBE-FIREWALL (1.27) are not there yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from k8slab.errors import Told
from k8slab.kubeproxy.objects import Endpoint
from k8slab.kubeproxy.service import Writer

POD_RULES = tuple(f"kubernetes forwarding conntrack pod {side} rule" for side in ("source", "destination"))


class TooOld(Told, ValueError):
    """An older layout that is not known, or a Service that it is not known for."""


class Until123(Writer):
    """1.22 and 1.23: today's order of rules, with the older comments; endpoints' chains come first."""

    size = ""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        port = self.port
        if port.external or port.internal_local:
            raise TooOld(
                f"Service {port.namespace}/{port.service}: only ClusterIP Services with "
                f"internalTrafficPolicy Cluster "
                "are known as older versions wrote them"
            )

    def _to(self, address: str, port: int) -> str:
        return super()._to(f"{address}{self.size}", port)

    def write_chains(self) -> None:
        """The port's own chains."""
        if not self.internal:
            return
        self.text.nat_chains.append(f":{self.svc} - [0:0]")
        self._write_masquerade()
        for endpoint in self.chosen.cluster:
            self._write_endpoint(endpoint)
        self._write_balance(self.svc, self.chosen.cluster)

    def _arrow(self, endpoint: Endpoint) -> str:
        return self._comment(self.name)

    def _source(self, endpoint: Endpoint) -> str:
        return f"{endpoint.address}{self.size}"


class Until121(Until123):
    """1.18 to 1.21: the masquerade rule in KUBE-SERVICES; an endpoint's rules right after the one that leads to it."""

    size = "/32"

    def write_entrances(self) -> None:
        """The rules that lead to the port's chain."""
        if self.internal:
            self._write_masquerade("KUBE-SERVICES")
        super().write_entrances()

    def write_chains(self) -> None:
        """The port's own chains."""
        if not self.internal:
            return
        self.text.nat_chains.append(f":{self.svc} - [0:0]")
        for line in self._balance_lines(self.svc, self.chosen.cluster):
            self.text.nat_rules.append(line)
            sep = line.rpartition(" ")[2]
            if "--rcheck" not in line:
                self._write_endpoint(next(one for one in self.chosen.cluster if self.seps[one.text] == sep))


@dataclass(frozen=True, slots=True)
class Layout:
    """How one release writes: its writer of a port's rules; `forwards`: the comments of KUBE-FORWARD's last rules;
    `firewall`: whether it has KUBE-PROXY-FIREWALL and KUBE-FIREWALL.
    """

    writer: type[Writer]
    forwards: Sequence[str] = ("kubernetes forwarding conntrack rule",)
    firewall: bool = True


LAYOUTS = {
    "1.21": Layout(Until121, POD_RULES, firewall=False),
    "1.23": Layout(Until123, firewall=False),
    "1.36": Layout(Writer),
}


def layout(version: str) -> Layout:
    """The layout of a release; raises TooOld for one that is not known.

    >>> layout("1.36").writer.__name__
    'Writer'
    """
    if version not in LAYOUTS:
        raise TooOld(f"the layout of {version} is not known; there are {', '.join(LAYOUTS)}")
    return LAYOUTS[version]

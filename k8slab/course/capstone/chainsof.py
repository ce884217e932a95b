"""The chains of a Service, where rules lead to them and where none does."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from k8slab.course.capstone.answer import paragraphs
from k8slab.course.widgets import Panel
from k8slab.iptables import Ruleset
from k8slab.kubeproxy.names import service_chain
from k8slab.kubeproxy.objects import ServicePort
from k8slab.show.chainmap import ChainMap, chain_map

ENTRANCE = "KUBE-SERVICES"


def chains_of(rules: Ruleset, name: str, ports: Sequence[ServicePort]) -> ChainMap | Panel:
    """The chain map of a Service's ports; for those to which nothing in KUBE-SERVICES leads, that, and their chains."""
    parts: list[str | ChainMap] = []
    try:
        found = chain_map(rules, service=name)
    except ValueError:
        found = None
    lost = [port for port in ports if not found or f": {_chain(port)}" not in str(found)]
    if found and (not lost or len(lost) == len(ports)):
        return found
    parts = [found] if found else []
    for port in lost:
        chain = _chain(port)
        if "nat" in rules and chain in rules["nat"]:
            parts += [f"The chains of {port.name} exist, and nothing in {ENTRANCE} leads there:",
                      chain_map(rules, service=port.name, chain=chain)]
        else:
            parts.append(f"No rule of nat is for {port.name}: nothing for it is in {ENTRANCE}, and there is no chain "
                         f"{chain}.")
    if all(isinstance(part, str) for part in parts):
        return paragraphs(parts)
    html = (part._repr_mimebundle_()["text/html"] if isinstance(part, ChainMap) else
            f'<p style="margin-top: 1em">{escape(part, quote=False)}</p>' for part in parts)
    return Panel("\n".join(map(str, parts)), "".join(html))


def _chain(port: ServicePort) -> str:
    return service_chain(port.name, port.protocol)

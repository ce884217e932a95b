"""What the cluster's DNS answers (kubernetes/dns, docs/specification.md): made from Services and slices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from k8slab.cluster.control import SERVICE_NAME
from k8slab.cluster.plain import dig, name_of, namespace_of

DOMAIN = "cluster.local"
TTL = 30  # seconds: CoreDNS's default for its kubernetes plugin in kubeadm's Corefile


class Record(NamedTuple):
    """One resource record; `value` of an SRV record is `priority weight port target`."""

    name: str
    type: str
    value: str
    ttl: int = TTL

    def __str__(self) -> str:
        return f"{self.name}. {self.ttl} IN {self.type} {self.value}"


def answer(services: Iterable[Mapping], slices: Iterable[Mapping], name: str, kind: str = "A",
           domain: str = DOMAIN) -> tuple[Record, ...] | None:
    """The records for a full name: a tuple, empty when the name has none of that kind; None when there is no name.

    >>> service = {"metadata": {"name": "kubernetes", "namespace": "default"}, "spec": {"clusterIP": "10.96.0.1"}}
    >>> print(*answer([service], [], "kubernetes.default.svc.cluster.local"))
    kubernetes.default.svc.cluster.local. 30 IN A 10.96.0.1
    """
    name = name.rstrip(".").lower()
    slices = list(slices)
    found = [one for service in services for one in _records(service, slices, domain)]
    if kind == "PTR":
        return tuple(one for one in _reverse(found) if one.name == name) or None
    exact = tuple(one for one in found if one.name == name and one.type == kind)
    there = exact or any(one.name == name or one.name.endswith(f".{name}") for one in found)
    return exact if there else None


def _records(service: Mapping, slices: list[Mapping], domain: str) -> Iterator[Record]:
    whole = f"{name_of(service)}.{namespace_of(service)}.svc.{domain}"
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        yield Record(whole, "CNAME", spec["externalName"].rstrip(".") + ".")
    elif spec.get("clusterIP") == "None":
        yield from _headless(service, slices, whole)
    else:
        yield Record(whole, "A", spec["clusterIP"])
        for port in spec.get("ports") or []:
            if port.get("name"):
                yield Record(_port_name(port, whole), "SRV", f"0 100 {port['port']} {whole}.")


def _headless(service: Mapping, slices: list[Mapping], whole: str) -> Iterator[Record]:
    for one in slices:
        if namespace_of(one) != namespace_of(service) or \
                dig(one, "metadata", "labels", SERVICE_NAME) != name_of(service):
            continue
        for endpoint in one.get("endpoints") or []:
            if not dig(endpoint, "conditions", "ready", default=True):
                continue
            address = endpoint["addresses"][0]
            host = f"{endpoint.get('hostname') or address.replace('.', '-')}.{whole}"
            yield Record(whole, "A", address)
            yield Record(host, "A", address)
            for port in one.get("ports") or []:
                if port.get("name"):
                    yield Record(_port_name(port, whole), "SRV", f"0 100 {port['port']} {host}.")


def _port_name(port: Mapping, whole: str) -> str:
    return f"_{port['name']}._{port.get('protocol', 'TCP').lower()}.{whole}"


def _reverse(records: Iterable[Record]) -> Iterator[Record]:
    for one in records:
        if one.type == "A":
            yield Record(".".join(reversed(one.value.split("."))) + ".in-addr.arpa", "PTR", f"{one.name}.")

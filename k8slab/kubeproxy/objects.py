"""Services, EndpointSlices and Nodes as the API's own JSON → the values that rules are written from.

An object that the API server would refuse is refused here, with its name, the field and what would be right. Fields
that kube-proxy does not read are not looked at. Only IPv4: of a dual-stack Service its IPv4 address is taken, and
Services and slices of IPv6 alone are left to the other kube-proxy proxier, which this is not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from k8slab.errors import Told
from k8slab.kubeproxy.check import Field
from k8slab.kubeproxy.names import port_name

ZONE_LABEL = "topology.kubernetes.io/zone"
SERVICE_LABEL = "kubernetes.io/service-name"
PROTOCOLS = ("TCP", "UDP", "SCTP")
TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
POLICIES = ("Cluster", "Local")
AFFINITY_SECONDS = 10800  # the API's default for ClientIP
# A Service with one of these labels is another proxy's, or nobody's (cmd/kube-proxy/app/server.go).
OTHERS = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")
CHOSEN = "the API server chooses it, so give the Service as the API server returns it"


class ObjectError(Told, ValueError):
    """An object that the API server would refuse; the message names it and the field."""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service. `protocol` in small letters; `affinity`: seconds for which ClientIP holds, or 0.

    `load_balancer_ips`: those with ipMode VIP. `source_ranges`: none means that everybody may come.
    """

    namespace: str
    service: str
    port_name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_check_node_port: int = 0

    @property
    def name(self) -> str:
        """`default/kubernetes:https`."""
        return port_name(self.namespace, self.service, self.port_name)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What an endpoint's port is matched by."""
        return self.namespace, self.service, self.port_name, self.protocol

    @property
    def external(self) -> bool:
        """Whether it can be reached at an address beside its ClusterIP."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a Service's port. `node`: the node's name, "" where the slice does not tell."""

    address: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str = ""
    zone_hints: frozenset[str] = frozenset()
    node_hints: frozenset[str] = frozenset()
    text: str = field(init=False, compare=False, repr=False)  # `address:port`, by which it is sorted and named

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.address}:{self.port}")


@dataclass(frozen=True, slots=True)
class Node:
    """A node as far as kube-proxy asks."""

    name: str
    addresses: tuple[str, ...] = ()
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Objects:
    """What is in the cluster. `endpoints`: by the key of a ServicePort, in the order of the slices."""

    ports: tuple[ServicePort, ...]
    endpoints: Mapping[tuple[str, str, str, str], tuple[Endpoint, ...]]
    nodes: tuple[Node, ...] = ()


def read_objects(items: Iterable[object]) -> Objects:
    """Read API objects; kinds beside Service, EndpointSlice and Node are passed over.

    >>> read_objects([]).ports
    ()

    Raises ObjectError for an object that the API server would refuse.
    """
    ports: list[ServicePort] = []
    found: dict[tuple[str, str, str, str], dict[str, Endpoint]] = {}
    nodes, names = [], set()
    for number, item in enumerate(items):
        whole = Field(item, f"item {number}", "", ObjectError)
        kind = whole.at("kind").text()
        if kind not in ("Service", "EndpointSlice", "Node"):
            continue
        meta = whole.at("metadata")
        namespace = "" if kind == "Node" else meta.at("namespace").text(default="default")
        name = meta.at("name").text()
        called = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
        if called in names:
            raise ObjectError(f"{called} is there twice")
        names.add(called)
        whole = Field(item, called, "", ObjectError)
        if kind == "Service":
            ports += _service(whole, namespace, name)
        elif kind == "EndpointSlice":
            _slice(whole, namespace, found)
        else:
            nodes.append(_node(whole, name))
    endpoints = {key: tuple(one.values()) for key, one in found.items()}
    return Objects(tuple(ports), endpoints, tuple(nodes))


def _service(whole: Field, namespace: str, name: str) -> list[ServicePort]:
    spec = whole.at("spec")
    kind = spec.at("type").one_of(TYPES, "ClusterIP")
    address = _cluster_ip(spec)
    if kind != "ExternalName" and spec.at("clusterIP").value in (None, "") and not spec.at("clusterIPs").items():
        raise spec.at("clusterIP").wrong(f"it is missing: {CHOSEN}")
    ports = [_port(field, kind) for field in spec.at("ports").items()]
    if not ports and kind != "ExternalName" and address:
        raise spec.at("ports").wrong("at least one port is wanted")
    _no_twins(spec, ports)
    labels = whole.at("metadata").at("labels")
    if kind == "ExternalName" or not address or any(labels.at(one).value is not None for one in OTHERS):
        return []
    affinity = spec.at("sessionAffinity").one_of(("None", "ClientIP"), "None")
    timeout = spec.at("sessionAffinityConfig").at("clientIP").at("timeoutSeconds").number(1, 86400, AFFINITY_SECONDS)
    common = {
        "external_ips": tuple(filter(None, (one.address() for one in spec.at("externalIPs").items()))),
        "load_balancer_ips": _ingress(whole) if kind == "LoadBalancer" else (),
        "source_ranges": _source_ranges(spec) if kind == "LoadBalancer" else (),
        "affinity": timeout if affinity == "ClientIP" else 0,
        "internal_local": spec.at("internalTrafficPolicy").one_of(POLICIES, "Cluster") == "Local",
        "external_local": spec.at("externalTrafficPolicy").one_of(POLICIES, "Cluster") == "Local",
        "health_check_node_port": spec.at("healthCheckNodePort").number(0, 65535, 0),
    }
    return [ServicePort(namespace, name, cluster_ip=address, **port, **common) for port in ports]


def _cluster_ip(spec: Field) -> str:
    """The IPv4 ClusterIP, or "" for a headless Service and for one of IPv6 alone."""
    several = [one.address("None") for one in spec.at("clusterIPs").items()]
    return next(filter(None, several), "") if several else spec.at("clusterIP").address("None")


def _port(field: Field, kind: str) -> dict:
    node_port = field.at("nodePort").number(0, 65535, 0)
    if node_port and kind not in ("NodePort", "LoadBalancer"):
        raise field.at("nodePort").wrong(f"may not be used when type is {kind}")
    if kind == "NodePort" and not node_port:
        raise field.at("nodePort").wrong(f"it is missing: {CHOSEN}")
    return {
        "port_name": field.at("name").text(default=""),
        "protocol": field.at("protocol").one_of(PROTOCOLS, "TCP").lower(),
        "port": field.at("port").number(1, 65535),
        "node_port": node_port,
    }


def _no_twins(spec: Field, ports: list[dict]) -> None:
    for at, port in enumerate(spec.at("ports").items()):
        if len(ports) > 1 and not ports[at]["port_name"]:
            raise port.at("name").wrong("a name is wanted, since there are several ports")
        for other in ports[:at]:
            if other["port_name"] == ports[at]["port_name"]:
                raise port.at("name").wrong(f"{other['port_name']!r} is the name of another port, too")
            if (other["port"], other["protocol"]) == (ports[at]["port"], ports[at]["protocol"]):
                raise port.at("port").wrong(f"{other['port']}/{other['protocol']} is another port's, too")


def _ingress(whole: Field) -> tuple[str, ...]:
    """The load balancer's addresses to which packets keep their destination on the way to a node (ipMode VIP)."""
    given = whole.at("status").at("loadBalancer").at("ingress").items()
    return tuple(
        address
        for one in given
        if (address := one.at("ip").address("")) and one.at("ipMode").one_of(("VIP", "Proxy"), "VIP") == "VIP"
    )


def _source_ranges(spec: Field) -> tuple[str, ...]:
    ranges = tuple(filter(None, (one.network() for one in spec.at("loadBalancerSourceRanges").items())))
    return () if any(one.endswith("/0") for one in ranges) else ranges


def _slice(whole: Field, namespace: str, found: dict) -> None:
    family = whole.at("addressType").one_of(("IPv4", "IPv6", "FQDN"))
    service = whole.at("metadata").at("labels").at(SERVICE_LABEL).text(default="")
    if family != "IPv4" or not service:
        return
    ports = [
        (
            field.at("name").text(default=""),
            field.at("protocol").one_of(PROTOCOLS, "TCP").lower(),
            field.at("port").number(1, 65535, 0),
        )
        for field in whole.at("ports").items()
    ]
    for endpoint in whole.at("endpoints").items():
        condition, hints = endpoint.at("conditions"), endpoint.at("hints")
        addresses = [one.address() for one in endpoint.at("addresses").items()]
        if not addresses or not addresses[0]:
            raise endpoint.at("addresses").wrong("an IPv4 address is wanted")
        common = {
            "ready": condition.at("ready").truth(True),
            "serving": condition.at("serving").truth(True),
            "terminating": condition.at("terminating").truth(False),
            "node": endpoint.at("nodeName").text(default=""),
            "zone_hints": _names(hints.at("forZones")),
            "node_hints": _names(hints.at("forNodes")),
        }
        for name, protocol, port in ports:
            if port:
                _add(found.setdefault((namespace, service, name, protocol), {}), Endpoint(addresses[0], port, **common))


def _add(known: dict[str, Endpoint], endpoint: Endpoint) -> None:
    """Of two with the same address and port the later one counts, unless it is terminating (endpointslicecache.go)."""
    if endpoint.text not in known or not endpoint.terminating:
        known[endpoint.text] = endpoint


def _names(hints: Field) -> frozenset[str]:
    return frozenset(one.at("name").text() for one in hints.items())


def _node(whole: Field, name: str) -> Node:
    addresses = [
        one.at("address").text()
        for one in whole.at("status").at("addresses").items()
        if one.at("type").text() == "InternalIP"
    ]
    ipv4 = tuple(address for address in addresses if ":" not in address)
    for address in ipv4:
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            raise ObjectError(f"Node {name}: status.addresses: {address!r} is no IPv4 address") from None
    return Node(name, ipv4, whole.at("metadata").at("labels").at(ZONE_LABEL).text(default=""))

"""`kubectl describe` (k8s.io/kubectl, pkg/describe/describe.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from k8slab.cluster.client import Client
from k8slab.cluster.control import SERVICE_NAME
from k8slab.cluster.kinds import ENDPOINT_SLICE, EVENT
from k8slab.cluster.kubectl.answer import Printed
from k8slab.cluster.kubectl.columns import listed
from k8slab.cluster.kubectl.described import NONE, UNSET, Rows, mapping, node, pod
from k8slab.cluster.kubectl.flags import Line
from k8slab.cluster.kubectl.get import fetched, nothing_in
from k8slab.cluster.kubectl.output import as_yaml
from k8slab.cluster.kubectl.tabs import DESCRIBE, age, aligned
from k8slab.cluster.kubectl.targets import targets
from k8slab.cluster.plain import dig, hosts_of, name_of, namespace_of, without


def describe(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> None:
    """Print what `kubectl describe` prints."""
    wanted = targets(line)
    found = []
    for kind in dict.fromkeys(one.kind for one in wanted):
        found += fetched(client, line, kind, [one for one in wanted if one.kind is kind], printed)
    printed.out("\n\n".join(aligned(list(_rows(one, client)), **DESCRIBE) for one in found))
    if not found and not printed.status:
        printed.err(nothing_in(line, wanted))


def _rows(obj: Mapping, client: Client) -> Rows:
    body = DESCRIBERS.get(obj["kind"])
    if body is None:
        yield from ([text] for text in as_yaml(without(obj, "status")).splitlines())
        return
    yield ["Name:", name_of(obj)]
    yield from body(obj, client)
    yield from _events(obj, client)


def _head(obj: Mapping) -> Rows:
    yield ["Namespace:", namespace_of(obj)]
    yield from mapping("Labels", obj["metadata"].get("labels"), "=")
    yield from mapping("Annotations", obj["metadata"].get("annotations"), ": ")


def _events(obj: Mapping, client: Client) -> Rows:
    namespace = namespace_of(obj) or "default"
    found = [one for one in client.list(EVENT, namespace)[0]
             if dig(one, "involvedObject", "uid") == obj["metadata"]["uid"]]
    if not found:
        yield ["Events:", NONE]
        return
    yield ["Events:"]
    yield ["  Type", "Reason", "Age", "From", "Message"]
    yield ["  ----", "------", "----", "----", "-------"]
    for one in sorted(found, key=lambda event: event.get("lastTimestamp", "")):
        yield [f"  {one.get('type', '')}", one.get("reason", ""), age(client.clock.since(one.get("lastTimestamp"))),
               dig(one, "source", "component", default=""), one.get("message", "")]


def _service(obj: Mapping, client: Client) -> Rows:
    spec = obj["spec"]
    yield from _head(obj)
    yield from mapping("Selector", spec.get("selector"), "=") if not spec.get("selector") else [
        ["Selector:", ",".join(f"{key}={value}" for key, value in sorted(spec["selector"].items()))]]
    yield ["Type:", spec["type"]]
    if "ipFamilyPolicy" in spec:
        yield ["IP Family Policy:", spec["ipFamilyPolicy"]]
    if spec.get("ipFamilies"):
        yield ["IP Families:", ",".join(spec["ipFamilies"])]
    yield ["IP:", spec.get("clusterIP", "")]
    if spec.get("clusterIPs"):
        yield ["IPs:", ",".join(spec["clusterIPs"])]
    for title, key in (("External IPs", "externalIPs"), ("External Name", "externalName")):
        if spec.get(key):
            yield [f"{title}:", ",".join(spec[key]) if isinstance(spec[key], list) else spec[key]]
    slices = [one for one in client.list(ENDPOINT_SLICE, namespace_of(obj))[0]
              if dig(one, "metadata", "labels", SERVICE_NAME) == name_of(obj)]
    for port in spec.get("ports") or []:
        name = port.get("name") or UNSET
        yield ["Port:", name, f"{port['port']}/{port['protocol']}"]
        yield ["TargetPort:", f"{port['targetPort']}/{port['protocol']}"]
        if port.get("nodePort"):
            yield ["NodePort:", name, f"{port['nodePort']}/{port['protocol']}"]
        yield ["Endpoints:", _ready(slices, port.get("name", ""))]
    yield ["Session Affinity:", spec["sessionAffinity"]]
    for title, key in (("External Traffic Policy", "externalTrafficPolicy"),
                       ("Internal Traffic Policy", "internalTrafficPolicy")):
        if key in spec:
            yield [f"{title}:", spec[key]]


def _ready(slices: list[Mapping], port_name: str) -> str:
    """The ready endpoints of one port, from all slices."""
    return listed((f"{endpoint['addresses'][0]}:{port['port']}" for one in slices for port in one.get("ports") or []
                   if (port.get("name") or "") == port_name and "port" in port
                   for endpoint in one.get("endpoints") or []
                   if dig(endpoint, "conditions", "ready", default=True)), "" if slices else NONE)


def _endpoints(obj: Mapping, client: Client) -> Rows:
    yield from _head(obj)
    yield ["Subsets:"]
    for subset in obj.get("subsets") or []:
        yield ["  Addresses:", ",".join(hosts_of(subset.get("addresses") or [])) or NONE]
        yield ["  NotReadyAddresses:", ",".join(hosts_of(subset.get("notReadyAddresses") or [])) or NONE]
        if subset.get("ports"):
            yield ["  Ports:"]
            yield from _ports(subset["ports"], "    ")
        yield []


def _ports(ports: list[Mapping], indent: str) -> Rows:
    yield [f"{indent}Name", "Port", "Protocol"]
    yield [f"{indent}----", "----", "--------"]
    for one in ports:
        yield [indent + (one.get("name") or UNSET), str(one.get("port", UNSET)), one["protocol"]]


def _slice(obj: Mapping, client: Client) -> Rows:
    yield from _head(obj)
    yield ["AddressType:", obj["addressType"]]
    if obj.get("ports"):
        yield ["Ports:"]
        yield from _ports(obj["ports"], "  ")
    else:
        yield ["Ports: <unset>"]
    yield ["Endpoints:" if obj.get("endpoints") else "Endpoints: <none>"]
    for one in obj.get("endpoints") or []:
        yield ["  - Addresses:", ", ".join(one["addresses"])]
        yield ["    Conditions:"]
        yield ["      Ready:", str(dig(one, "conditions", "ready", default=UNSET)).lower()]
        yield ["    Hostname:", one.get("hostname", UNSET)]
        if "targetRef" in one:
            yield ["    TargetRef:", f"{one['targetRef']['kind']}/{one['targetRef']['name']}"]
        yield ["    NodeName:", one.get("nodeName", UNSET)]
        yield ["    Zone:", one.get("zone", UNSET)]


def _namespace(obj: Mapping, client: Client) -> Rows:
    yield from mapping("Labels", obj["metadata"].get("labels"), "=")
    yield from mapping("Annotations", obj["metadata"].get("annotations"), ": ")
    yield ["Status:", obj["status"]["phase"]]


DESCRIBERS: dict[str, Callable[[Mapping, Client], Rows]] = {
    "Service": _service, "Endpoints": _endpoints, "EndpointSlice": _slice, "Pod": pod, "Node": node,
    "Namespace": _namespace}

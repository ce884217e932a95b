"""`kubectl describe` (k8s.io/kubectl, pkg/describe/describe.go). Of a Node, the resources that Pods ask for are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from k8slab.cluster.client import Client
from k8slab.cluster.control import SERVICE_NAME
from k8slab.cluster.kinds import ENDPOINT_SLICE, EVENT, LEASE, POD
from k8slab.cluster.kubectl.answer import Printed
from k8slab.cluster.kubectl.columns import ROLE, age_of, listed
from k8slab.cluster.kubectl.change import APPLIED
from k8slab.cluster.kubectl.flags import Line
from k8slab.cluster.kubectl.get import fetched, nothing_in
from k8slab.cluster.kubectl.output import as_yaml
from k8slab.cluster.kubectl.tabs import DESCRIBE, age, aligned
from k8slab.cluster.kubectl.targets import targets
from k8slab.cluster.plain import dig, hosts_of, name_of, namespace_of, without

NONE, UNSET = "<none>", "<unset>"
Rows = Iterator[list[str]]


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


def _mapping(title: str, mapping: Mapping | None, between: str) -> Rows:
    lines = [f"{key}{between}{value}" for key, value in sorted((mapping or {}).items()) if key != APPLIED]
    for number, text in enumerate(lines or [NONE]):
        yield [f"{title}:" if not number else "", text]


def _head(obj: Mapping) -> Rows:
    yield ["Namespace:", namespace_of(obj)]
    yield from _mapping("Labels", obj["metadata"].get("labels"), "=")
    yield from _mapping("Annotations", obj["metadata"].get("annotations"), ": ")


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
    for one in sorted(found, key=lambda event: event["lastTimestamp"]):
        yield [f"  {one['type']}", one["reason"], age(client.clock.since(one["lastTimestamp"])),
               dig(one, "source", "component", default=""), one["message"]]


def _service(obj: Mapping, client: Client) -> Rows:
    spec = obj["spec"]
    yield from _head(obj)
    yield from _mapping("Selector", spec.get("selector"), "=") if not spec.get("selector") else [
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
                   if (port.get("name") or "") == port_name for endpoint in one.get("endpoints") or []
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


def moment(stamp: str | None) -> str:
    """A moment of the API as describe writes it.

    >>> moment("2026-01-01T00:00:15Z")
    'Thu, 01 Jan 2026 00:00:15 +0000'
    """
    return datetime.fromisoformat(stamp).strftime("%a, %d %b %Y %H:%M:%S %z") if stamp else NONE


def _pod(obj: Mapping, client: Client) -> Rows:
    spec, status, meta = obj["spec"], obj.get("status") or {}, obj["metadata"]
    yield ["Namespace:", namespace_of(obj)]
    yield ["Priority:", str(spec.get("priority", 0))]
    if spec.get("priorityClassName"):
        yield ["Priority Class Name:", spec["priorityClassName"]]
    yield ["Service Account:", spec["serviceAccountName"]]
    yield ["Node:", f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else NONE]
    if status.get("startTime"):
        yield ["Start Time:", moment(status["startTime"])]
    yield from _mapping("Labels", meta.get("labels"), "=")
    yield from _mapping("Annotations", meta.get("annotations"), ": ")
    if meta.get("deletionTimestamp"):
        yield ["Status:", f"Terminating (lasts {age(client.clock.since(meta['deletionTimestamp']))})"]
        yield ["Termination Grace Period:", f"{meta.get('deletionGracePeriodSeconds', 0)}s"]
    else:
        yield ["Status:", status.get("phase", "")]
    yield ["IP:", status.get("podIP", "")]
    if status.get("podIPs"):
        yield ["IPs:"]
        yield from (["  IP:", one["ip"]] for one in status["podIPs"])
    else:
        yield ["IPs:", NONE]
    yield ["Containers:"]
    states = {one["name"]: one for one in status.get("containerStatuses") or []}
    for one in spec["containers"]:
        yield from _container(one, states.get(one["name"], {}))
    if status.get("conditions"):
        yield ["Conditions:"]
        yield ["  Type", "Status"]
        yield from ([f"  {one['type']}", f"{one['status']} "] for one in status["conditions"])
    yield ["Volumes:" if spec.get("volumes") else "Volumes:", *([] if spec.get("volumes") else [NONE])]
    yield from _volumes(spec.get("volumes") or [])
    yield ["QoS Class:", status.get("qosClass", "BestEffort")]
    yield from _mapping("Node-Selectors", spec.get("nodeSelector"), "=")
    for number, one in enumerate(spec.get("tolerations") or [{}]):
        text = f"{one['key']}:{one['effect']} op={one['operator']} for {one['tolerationSeconds']}s" if one else NONE
        yield ["Tolerations:" if not number else "", text]


def _container(spec: Mapping, status: Mapping) -> Rows:
    yield [f"  {spec['name']}:"]
    yield ["    Container ID:", status.get("containerID", "")]
    yield ["    Image:", spec["image"]]
    yield ["    Image ID:", status.get("imageID", "")]
    ports = spec.get("ports") or []
    title = "Ports" if len(ports) > 1 else "Port"
    yield [f"    {title}:", ", ".join(f"{one['containerPort']}/{one['protocol']}" for one in ports) or NONE]
    yield [f"    Host {title}:", ", ".join(f"{one.get('hostPort', 0)}/{one['protocol']}" for one in ports) or NONE]
    if spec.get("command"):
        yield ["    Command:"]
        yield from ([f"      {one}"] for one in spec["command"])
    for what, state in status.get("state", {}).items():
        yield ["    State:", what.capitalize()]
        if what == "running":
            yield ["      Started:", moment(state["startedAt"])]
        else:
            yield ["      Reason:", state.get("reason", "")]
            yield ["      Exit Code:", str(state.get("exitCode", ""))]
    yield ["    Ready:", str(status.get("ready", False))]
    yield ["    Restart Count:", str(status.get("restartCount", 0))]
    if spec.get("env"):
        yield ["    Environment:"]
        yield from ([f"      {one['name']}:", one.get("value", "")] for one in spec["env"])
    else:
        yield ["    Environment:", NONE]
    mounts = spec.get("volumeMounts") or []
    yield ["    Mounts:", *([] if mounts else [NONE])]
    yield from ([f"      {one['mountPath']} from {one['name']} ({'ro' if one.get('readOnly') else 'rw'})"]
                for one in mounts)


def _volumes(volumes: list[Mapping]) -> Rows:
    for one in volumes:
        yield [f"  {one['name']}:"]
        if "projected" not in one:
            yield ["    Type:", next((key for key in one if key != "name"), NONE)]
            continue
        yield ["    Type:", "Projected (a volume that contains injected data from multiple sources)"]
        for source in one["projected"]["sources"]:
            if "serviceAccountToken" in source:
                yield ["    TokenExpirationSeconds:", str(source["serviceAccountToken"]["expirationSeconds"])]
            if "configMap" in source:
                yield ["    ConfigMapName:", source["configMap"]["name"]]
                yield ["    Optional:", "false"]
            if "downwardAPI" in source:
                yield ["    DownwardAPI:", "true"]


def _node(obj: Mapping, client: Client) -> Rows:
    status, labels = obj.get("status") or {}, obj["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(ROLE) for key in labels if key.startswith(ROLE))
    yield ["Roles:", ",".join(roles) or NONE]
    yield from _mapping("Labels", labels, "=")
    yield from _mapping("Annotations", obj["metadata"].get("annotations"), ": ")
    yield ["CreationTimestamp:", moment(obj["metadata"]["creationTimestamp"])]
    taints = [f"{one['key']}:{one['effect']}" for one in dig(obj, "spec", "taints", default=[])]
    yield ["Taints:", ",".join(taints) or NONE]
    yield ["Unschedulable:", str(bool(dig(obj, "spec", "unschedulable"))).lower()]
    lease = client.find(LEASE, "kube-node-lease", name_of(obj))
    yield ["Lease:"] if lease else ["Lease:", "Failed to get lease: leases.coordination.k8s.io "
                                    f'"{name_of(obj)}" not found']
    if lease:
        yield ["  HolderIdentity:", lease["spec"]["holderIdentity"]]
        yield ["  AcquireTime:", UNSET]
        yield ["  RenewTime:", moment(lease["spec"]["renewTime"])]
    if status.get("conditions"):
        yield ["Conditions:"]
        yield ["  Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"]
        yield ["  ----", "------", "-----------------", "------------------", "------", "-------"]
        yield from ([f"  {one['type']}", one["status"], moment(one["lastHeartbeatTime"]),
                     moment(one["lastTransitionTime"]), one["reason"], one["message"]] for one in status["conditions"])
    yield ["Addresses:"]
    yield from ([f"  {one['type']}:", one["address"]] for one in status.get("addresses") or [])
    for title in ("capacity", "allocatable"):
        if status.get(title):
            yield [f"{title.capitalize()}:"]
            yield from ([f"  {key}:", value] for key, value in sorted(status[title].items()))
    info = status.get("nodeInfo") or {}
    yield ["System Info:"]
    yield from ([f"  {title}:", info.get(key, "")] for title, key in SYSTEM)
    for key in ("podCIDR", "podCIDRs"):
        if value := dig(obj, "spec", key):
            yield [f"{key[0].upper()}{key[1:]}:", value if isinstance(value, str) else ",".join(value)]
    pods = [one for one in client.list(POD)[0] if dig(one, "spec", "nodeName") == name_of(obj)]
    yield ["Non-terminated Pods:", f"({len(pods)} in total)"]
    yield ["  Namespace", "Name", "Age"]
    yield ["  ---------", "----", "---"]
    yield from ([f"  {namespace_of(one)}", name_of(one), age_of(one, client.clock)] for one in pods)


SYSTEM = (("Machine ID", "machineID"), ("System UUID", "systemUUID"), ("Boot ID", "bootID"),
          ("Kernel Version", "kernelVersion"), ("OS Image", "osImage"), ("Operating System", "operatingSystem"),
          ("Architecture", "architecture"), ("Container Runtime Version", "containerRuntimeVersion"),
          ("Kubelet Version", "kubeletVersion"), ("Kube-Proxy Version", "kubeProxyVersion"))


def _namespace(obj: Mapping, client: Client) -> Rows:
    yield from _mapping("Labels", obj["metadata"].get("labels"), "=")
    yield from _mapping("Annotations", obj["metadata"].get("annotations"), ": ")
    yield ["Status:", obj["status"]["phase"]]


DESCRIBERS: dict[str, Callable[[Mapping, Client], Rows]] = {
    "Service": _service, "Endpoints": _endpoints, "EndpointSlice": _slice, "Pod": _pod, "Node": _node,
    "Namespace": _namespace}

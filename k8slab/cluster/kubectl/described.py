"""`kubectl describe` of Pods and Nodes. Of a Node, the resources that its Pods ask for are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from k8slab.cluster.client import Client
from k8slab.cluster.kinds import LEASE, POD
from k8slab.cluster.kubectl.change import APPLIED
from k8slab.cluster.kubectl.columns import ROLE, age_of
from k8slab.cluster.kubectl.tabs import age
from k8slab.cluster.plain import dig, name_of, namespace_of

NONE, UNSET = "<none>", "<unset>"
Rows = Iterator[list[str]]


def mapping(title: str, given: Mapping | None, between: str) -> Rows:
    """Labels and the like, one a line; what kubectl itself noted in an annotation is not shown.

    >>> list(mapping("Labels", {"app": "web"}, "="))
    [['Labels:', 'app=web']]
    """
    lines = [f"{key}{between}{value}" for key, value in sorted((given or {}).items()) if key != APPLIED]
    for number, text in enumerate(lines or [NONE]):
        yield [f"{title}:" if not number else "", text]


def moment(stamp: str | None) -> str:
    """A moment of the API as describe writes it.

    >>> moment("2026-01-01T00:00:15Z")
    'Thu, 01 Jan 2026 00:00:15 +0000'
    """
    return datetime.fromisoformat(stamp).strftime("%a, %d %b %Y %H:%M:%S %z") if stamp else NONE


def pod(obj: Mapping, client: Client) -> Rows:
    """What is said of a Pod, as lines of cells."""
    spec, status, meta = obj["spec"], obj.get("status") or {}, obj["metadata"]
    yield ["Namespace:", namespace_of(obj)]
    yield ["Priority:", str(spec.get("priority", 0))]
    if spec.get("priorityClassName"):
        yield ["Priority Class Name:", spec["priorityClassName"]]
    yield ["Service Account:", spec["serviceAccountName"]]
    yield ["Node:", f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else NONE]
    if status.get("startTime"):
        yield ["Start Time:", moment(status["startTime"])]
    yield from mapping("Labels", meta.get("labels"), "=")
    yield from mapping("Annotations", meta.get("annotations"), ": ")
    if meta.get("deletionTimestamp"):
        yield ["Status:", f"Terminating (lasts {age(client.clock.since(meta['deletionTimestamp']))})"]
        yield ["Termination Grace Period:", f"{meta.get('deletionGracePeriodSeconds', 0)}s"]
    else:
        yield ["Status:", status.get("phase", "")]
    yield ["IP:", status.get("podIP", "")]
    if status.get("podIPs"):
        yield ["IPs:"]
        yield from (["  IP:", one.get("ip", "")] for one in status["podIPs"])
    else:
        yield ["IPs:", NONE]
    yield ["Containers:"]
    states = {one.get("name"): one for one in status.get("containerStatuses") or []}
    for one in spec["containers"]:
        yield from _container(one, states.get(one["name"], {}))
    if status.get("conditions"):
        yield ["Conditions:"]
        yield ["  Type", "Status"]
        yield from ([f"  {one.get('type', '')}", f"{one.get('status', '')} "] for one in status["conditions"])
    yield ["Volumes:" if spec.get("volumes") else "Volumes:", *([] if spec.get("volumes") else [NONE])]
    yield from _volumes(spec.get("volumes") or [])
    yield ["QoS Class:", status.get("qosClass", "BestEffort")]
    yield from mapping("Node-Selectors", spec.get("nodeSelector"), "=")
    for number, one in enumerate(spec.get("tolerations") or [{}]):
        text = NONE if not one else (f"{one.get('key', '')}:{one.get('effect', '')} op={one.get('operator', 'Equal')} "
                                     f"for {one.get('tolerationSeconds', 0)}s")
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
            yield ["      Started:", moment(state.get("startedAt"))]
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


def node(obj: Mapping, client: Client) -> Rows:
    """What is said of a Node, as lines of cells."""
    status, labels = obj.get("status") or {}, obj["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(ROLE) for key in labels if key.startswith(ROLE))
    yield ["Roles:", ",".join(roles) or NONE]
    yield from mapping("Labels", labels, "=")
    yield from mapping("Annotations", obj["metadata"].get("annotations"), ": ")
    yield ["CreationTimestamp:", moment(obj["metadata"]["creationTimestamp"])]
    taints = [f"{one.get('key', '')}:{one.get('effect', '')}" for one in dig(obj, "spec", "taints", default=[])]
    yield ["Taints:", ",".join(taints) or NONE]
    yield ["Unschedulable:", str(bool(dig(obj, "spec", "unschedulable"))).lower()]
    lease = client.find(LEASE, "kube-node-lease", name_of(obj))
    yield ["Lease:"] if lease else ["Lease:", "Failed to get lease: leases.coordination.k8s.io "
                                    f'"{name_of(obj)}" not found']
    if lease:
        yield ["  HolderIdentity:", dig(lease, "spec", "holderIdentity", default=UNSET)]
        yield ["  AcquireTime:", UNSET]
        yield ["  RenewTime:", moment(dig(lease, "spec", "renewTime"))]
    if status.get("conditions"):
        yield ["Conditions:"]
        yield ["  Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"]
        yield ["  ----", "------", "-----------------", "------------------", "------", "-------"]
        yield from map(_condition, status["conditions"])
    yield ["Addresses:"]
    yield from ([f"  {one.get('type', '')}:", one.get("address", "")] for one in status.get("addresses") or [])
    for title in ("capacity", "allocatable"):
        if status.get(title):
            yield [f"{title.capitalize()}:"]
            yield from ([f"  {key}:", str(value)] for key, value in sorted(status[title].items()))
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


def _condition(one: Mapping) -> list[str]:
    """One of a Node's conditions, as cells."""
    return [f"  {one.get('type', '')}", one.get("status", ""), moment(one.get("lastHeartbeatTime")),
            moment(one.get("lastTransitionTime")), one.get("reason", ""), one.get("message", "")]


SYSTEM = (("Machine ID", "machineID"), ("System UUID", "systemUUID"), ("Boot ID", "bootID"),
          ("Kernel Version", "kernelVersion"), ("OS Image", "osImage"), ("Operating System", "operatingSystem"),
          ("Architecture", "architecture"), ("Container Runtime Version", "containerRuntimeVersion"),
          ("Kubelet Version", "kubeletVersion"), ("Kube-Proxy Version", "kubeProxyVersion"))

"""Which fields objects have and of what type: what the API server's strict decoding refuses, in its own words.

A struct is its Go name and its fields, and "open" where others are let through; a list is a list of one type; `map` is
map[string]string, and `any` is not looked into. From kubernetes, staging/src/k8s.io/api.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from k8slab.cluster.errors import bad_request
from k8slab.cluster.kinds import Kind

S, I, L, B, M, ANY, TIME = "string", "int32", "int64", "bool", "map", "any", "time"
OWNER = ("OwnerReference", {"apiVersion": S, "kind": S, "name": S, "uid": S, "controller": B, "blockOwnerDeletion": B})
META = ("ObjectMeta", {
    "name": S, "generateName": S, "namespace": S, "labels": M, "annotations": M, "finalizers": [S], "uid": S,
    "resourceVersion": S, "creationTimestamp": TIME, "deletionTimestamp": TIME, "deletionGracePeriodSeconds": L,
    "generation": L, "ownerReferences": [OWNER], "managedFields": [ANY], "selfLink": S})
REFERENCE = ("ObjectReference", {"kind": S, "namespace": S, "name": S, "uid": S, "apiVersion": S, "resourceVersion": S,
                                 "fieldPath": S})
SERVICE_PORT = ("ServicePort", {"name": S, "protocol": S, "appProtocol": S, "port": I, "targetPort": "intstr",
                                "nodePort": I})
SERVICE_SPEC = ("ServiceSpec", {
    "ports": [SERVICE_PORT], "selector": M, "clusterIP": S, "clusterIPs": [S], "type": S, "externalIPs": [S],
    "sessionAffinity": S, "loadBalancerIP": S, "loadBalancerSourceRanges": [S], "externalName": S,
    "externalTrafficPolicy": S, "healthCheckNodePort": I, "publishNotReadyAddresses": B, "ipFamilies": [S],
    "sessionAffinityConfig": ("SessionAffinityConfig", {"clientIP": ("ClientIPConfig", {"timeoutSeconds": I})}),
    "ipFamilyPolicy": S, "allocateLoadBalancerNodePorts": B, "loadBalancerClass": S, "internalTrafficPolicy": S,
    "trafficDistribution": S})
ADDRESS = ("EndpointAddress", {"ip": S, "hostname": S, "nodeName": S, "targetRef": REFERENCE})
PORT = ("EndpointPort", {"name": S, "port": I, "protocol": S, "appProtocol": S})
SUBSET = ("EndpointSubset", {"addresses": [ADDRESS], "notReadyAddresses": [ADDRESS], "ports": [PORT]})
ENDPOINT = ("Endpoint", {
    "addresses": [S], "conditions": ("EndpointConditions", {"ready": B, "serving": B, "terminating": B}), "hostname": S,
    "targetRef": REFERENCE, "deprecatedTopology": M, "nodeName": S, "zone": S,
    "hints": ("EndpointHints", {"forZones": [("ForZone", {"name": S})], "forNodes": [("ForNode", {"name": S})]})})
ENV = ("EnvVar", {"name": S, "value": S, "valueFrom": ANY})
CONTAINER_PORT = ("ContainerPort", {"name": S, "hostPort": I, "containerPort": I, "protocol": S, "hostIP": S})
# Of these not every field is listed: an unknown one is let through.
CONTAINER = ("Container", {"name": S, "image": S, "command": [S], "args": [S], "ports": [CONTAINER_PORT], "env": [ENV],
                           "volumeMounts": [("VolumeMount", {"name": S, "mountPath": S, "readOnly": B}, "open")]},
             "open")
POD_SPEC = ("PodSpec", {"containers": [CONTAINER], "nodeName": S, "hostNetwork": B, "serviceAccountName": S,
                        "automountServiceAccountToken": B, "enableServiceLinks": B, "terminationGracePeriodSeconds": L,
                        "nodeSelector": M, "restartPolicy": S, "priority": I, "priorityClassName": S,
                        "volumes": [("Volume", {"name": S}, "open")], "tolerations": [("Toleration", {
                            "key": S, "operator": S, "value": S, "effect": S, "tolerationSeconds": L})]}, "open")
TAINT = ("Taint", {"key": S, "value": S, "effect": S, "timeAdded": TIME})
NODE_SPEC = ("NodeSpec", {"podCIDR": S, "podCIDRs": [S], "unschedulable": B, "taints": [TAINT], "providerID": S})
EVENT = {"involvedObject": REFERENCE, "reason": S, "message": S, "type": S, "count": I, "firstTimestamp": TIME,
         "lastTimestamp": TIME, "eventTime": ANY, "action": S, "reportingComponent": S, "reportingInstance": S,
         "source": ("EventSource", {"component": S, "host": S}), "related": REFERENCE, "series": ANY}
LEASE_SPEC = ("LeaseSpec", {"holderIdentity": S, "leaseDurationSeconds": I, "acquireTime": TIME, "renewTime": TIME,
                            "leaseTransitions": I, "strategy": S, "preferredHolder": S})
PARENT = ("ParentReference", {"group": S, "resource": S, "namespace": S, "name": S})
# Of a status, too, fields that are not listed are let through; those that are read here have their types.
CONDITION = ("Condition", {"type": S, "status": S, "reason": S, "message": S, "lastTransitionTime": TIME,
                           "lastProbeTime": TIME, "lastHeartbeatTime": TIME, "observedGeneration": L}, "open")
INGRESS = ("LoadBalancerIngress", {"ip": S, "hostname": S, "ipMode": S, "ports": [ANY]})
SERVICE_STATUS = ("ServiceStatus", {"loadBalancer": ("LoadBalancerStatus", {"ingress": [INGRESS]}),
                                    "conditions": [CONDITION]})
STATE = ("ContainerState", {
    "running": ("ContainerStateRunning", {"startedAt": TIME}),
    "waiting": ("ContainerStateWaiting", {"reason": S, "message": S}),
    "terminated": ("ContainerStateTerminated", {"exitCode": I, "signal": I, "reason": S, "message": S,
                                                "startedAt": TIME, "finishedAt": TIME, "containerID": S})})
CONTAINER_STATUS = ("ContainerStatus", {"name": S, "ready": B, "started": B, "restartCount": I, "image": S,
                                        "imageID": S, "containerID": S, "state": STATE, "lastState": STATE}, "open")
POD_STATUS = ("PodStatus", {"phase": S, "reason": S, "message": S, "podIP": S, "podIPs": [("PodIP", {"ip": S})],
                            "hostIP": S, "hostIPs": [("HostIP", {"ip": S})], "startTime": TIME, "qosClass": S,
                            "nominatedNodeName": S, "conditions": [CONDITION],
                            "containerStatuses": [CONTAINER_STATUS]}, "open")
SYSTEM = ("NodeSystemInfo", {one: S for one in (
    "architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion",
    "machineID", "operatingSystem", "osImage", "systemUUID")}, "open")
NODE_STATUS = ("NodeStatus", {"addresses": [("NodeAddress", {"type": S, "address": S})], "conditions": [CONDITION],
                              "nodeInfo": SYSTEM, "phase": S, "capacity": "quantities",
                              "allocatable": "quantities"}, "open")
NAMESPACE_STATUS = ("NamespaceStatus", {"phase": S, "conditions": [CONDITION]})
SERVICE_CIDR_STATUS = ("ServiceCIDRStatus", {"conditions": [CONDITION]})
SCHEMAS: dict[str, tuple[str, dict]] = {kind: (kind, {"kind": S, "apiVersion": S, "metadata": META, **fields})
                                        for kind, fields in {
    "Service": {"spec": SERVICE_SPEC, "status": SERVICE_STATUS}, "Endpoints": {"subsets": [SUBSET]},
    "EndpointSlice": {"addressType": S, "endpoints": [ENDPOINT], "ports": [PORT]}, "Lease": {"spec": LEASE_SPEC},
    "Namespace": {"spec": ("NamespaceSpec", {"finalizers": [S]}), "status": NAMESPACE_STATUS},
    "ServiceCIDR": {"spec": ("ServiceCIDRSpec", {"cidrs": [S]}), "status": SERVICE_CIDR_STATUS},
    "IPAddress": {"spec": ("IPAddressSpec", {"parentRef": PARENT})},
    "Pod": {"spec": POD_SPEC, "status": POD_STATUS}, "Node": {"spec": NODE_SPEC, "status": NODE_STATUS}, "Event": EVENT,
    "ConfigMap": {"data": M, "binaryData": M, "immutable": B},
    "ServiceAccount": {"secrets": [REFERENCE], "imagePullSecrets": [ANY], "automountServiceAccountToken": B},
}.items()}
_JSON = ((bool, "bool"), (str, "string"), ((int, float), "number"), (Mapping, "object"), (list, "array"))
_PYTHON = {S: str, B: bool, I: int, L: int}
_BITS = {I: 31, L: 63}


def decode(obj: Mapping, kind: Kind) -> None:
    """Raise ApiError (400) where an object has a field of a wrong type, or one that there is not.

    >>> from k8slab.cluster.kinds import SERVICE
    >>> decode({"kind": "Service", "spec": {"port": []}}, SERVICE)
    Traceback (most recent call last):
    k8slab.cluster.errors.ApiError: Service in version "v1" cannot be handled as a Service: strict decoding error: \
unknown field "spec.port"
    """
    schema = SCHEMAS.get(kind.kind)
    if schema is None:
        return
    start = f'{kind.kind} in version "{kind.api_version.rpartition("/")[2]}" cannot be handled as a {kind.kind}: '
    unknown, wrong = [], []
    for what, said in _look(obj, schema, ""):
        (unknown if what == "unknown" else wrong).append(said)
    if wrong:
        raise bad_request(f"{start}json: cannot unmarshal {wrong[0]}")
    if unknown:
        raise bad_request(start + "strict decoding error: " + ", ".join(f'unknown field "{one}"' for one in unknown))


def without_unknown(obj: Mapping, kind: Kind) -> tuple[dict, list[str]]:
    """A copy without the fields that there are not, and their names: what the API makes of a patch.

    >>> from k8slab.cluster.kinds import SERVICE
    >>> without_unknown({"kind": "Service", "speck": 1}, SERVICE)
    ({'kind': 'Service'}, ['speck'])
    """
    schema = SCHEMAS.get(kind.kind)
    unknown = [said for what, said in _look(obj, schema, "") if what == "unknown"] if schema else []
    return (_kept(obj, schema) if unknown else dict(obj)), unknown


def _kept(value: object, schema: object) -> object:
    if isinstance(schema, tuple) and isinstance(value, Mapping):
        return {key: _kept(one, schema[1].get(key, ANY)) for key, one in value.items()
                if key in schema[1] or len(schema) > 2}
    if isinstance(schema, list) and isinstance(value, list):
        return [_kept(one, schema[0]) for one in value]
    return value


def _look(value: object, schema: object, path: str, struct: str = "", field: str = "") -> Iterator[tuple[str, str]]:
    """`path`: with the places in lists, as unknown fields are named; `field`: without, as Go names types."""
    where = f"Go struct field {struct}.{field}"
    if value is None or schema == ANY:
        return
    if isinstance(schema, tuple):
        if not isinstance(value, Mapping):
            yield "wrong", f"{_json(value)} into {where} of type v1.{schema[0]}"
            return
        for key, one in value.items():
            if key not in schema[1]:
                yield from [] if len(schema) > 2 else [("unknown", f"{path}{key}")]
            else:
                yield from _look(one, schema[1][key], f"{path}{key}.", schema[0], f"{field}.{key}".lstrip("."))
    elif isinstance(schema, list):
        if not isinstance(value, list):
            yield "wrong", f"{_json(value)} into {where} of type []{_go(schema[0])}"
            return
        for number, one in enumerate(value):
            yield from _look(one, schema[0], f"{path[:-1]}[{number}].", struct, field)
    elif schema == M:
        if not isinstance(value, Mapping):
            yield "wrong", f"{_json(value)} into {where} of type map[string]string"
            return
        for one in value.values():
            yield from _look(one, S, path, struct, field)
    elif schema == "quantities":
        if not isinstance(value, Mapping) or any(isinstance(one, (bool, Mapping, list)) for one in value.values()):
            yield "wrong", f"{_json(value)} into {where} of type v1.ResourceList"
    elif schema == "intstr":
        if isinstance(value, (bool, float, Mapping, list)) or isinstance(value, int) and abs(value) >> 31:
            yield "wrong", f"{_json(value)} into {where} of type intstr.IntOrString"
    elif schema == TIME:
        if not isinstance(value, str) or not _is_moment(value):
            yield "wrong", f"{_json(value)} into {where} of type v1.Time"
    elif not isinstance(value, _PYTHON[schema]) or (schema != B and isinstance(value, bool)):
        number = f" {value}" if isinstance(value, float) else ""
        yield "wrong", f"{_json(value)}{number} into {where} of type {schema}"
    elif schema in _BITS and not -1 << _BITS[schema] <= value < 1 << _BITS[schema]:
        yield "wrong", f"number {value} into {where} of type {schema}"


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _json(value: object) -> str:
    return next(name for types, name in _JSON if isinstance(value, types))


def _go(schema: object) -> str:
    return f"v1.{schema[0]}" if isinstance(schema, tuple) else str(schema)

"""What the API adds to an object before it is checked and stored (kubernetes, pkg/apis/*/v1/defaults.go)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from k8slab.cluster.plain import dig, suffix

AFFINITY_SECONDS = 10800
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
OUTSIDE = ("NodePort", "LoadBalancer")
PORTLESS = "ExternalName"


def set_defaults(obj: dict) -> None:
    """Add what is missing, in place; of kinds without defaults nothing is touched.

    >>> service = {"kind": "Service", "spec": {"ports": [{"port": 80}]}}
    >>> set_defaults(service); service["spec"]["ports"]
    [{'port': 80, 'protocol': 'TCP', 'targetPort': 80}]
    """
    if one := DEFAULTS.get(obj["kind"]):
        one(obj)


def _service(obj: dict) -> None:
    spec = obj.setdefault("spec", {})
    kind = spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, "", 0):
            port["targetPort"] = port.get("port")
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {}).setdefault(
            "timeoutSeconds", AFFINITY_SECONDS)
    if kind in OUTSIDE or spec.get("externalIPs"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if kind != PORTLESS:
        spec.setdefault("internalTrafficPolicy", "Cluster")
        _families(spec)
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def _families(spec: dict) -> None:
    """ClusterIP and clusterIPs follow each other; a headless Service without selector is of both families."""
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]
    both = spec.get("clusterIP") == "None" and not spec.get("selector")
    spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if both else ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "RequireDualStack" if both else "SingleStack")


def _endpoints(obj: dict) -> None:
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            port.setdefault("protocol", "TCP")


def _slice(obj: dict) -> None:
    obj.setdefault("endpoints", None)
    obj.setdefault("ports", None)
    for port in obj["ports"] or []:
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


POD_SPEC = {"dnsPolicy": "ClusterFirst", "enableServiceLinks": True, "restartPolicy": "Always",
            "schedulerName": "default-scheduler", "securityContext": {}, "serviceAccount": "default",
            "serviceAccountName": "default", "terminationGracePeriodSeconds": 30}
CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}


def _pod(obj: dict) -> None:
    spec = obj.setdefault("spec", {})
    for key, value in POD_SPEC.items():
        spec.setdefault(key, dict(value) if isinstance(value, dict) else value)
    for container in spec.get("containers") or []:
        image = str(container.get("image", ""))
        latest = ":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest")
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        container.setdefault("resources", {})
        for key, value in CONTAINER.items():
            container.setdefault(key, value)
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def admit(obj: dict, rng: Random) -> None:
    """What admission adds to a new Pod: its priority, tolerations, and the mount of its service account's files.

    A mirror of a static Pod gets no such mount: kubelet has started it already, without having asked.
    """
    if obj["kind"] != "Pod":
        return
    spec = obj.setdefault("spec", {})
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        spec.setdefault("tolerations", []).append(
            {"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})
    mirror = "kubernetes.io/config.mirror" in (obj["metadata"].get("annotations") or {})
    if mirror or spec.get("automountServiceAccountToken") is False:
        return
    name = f"kube-api-access-{suffix(rng)}"
    files = [{"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
             {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
             {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                         "path": "namespace"}]}}]
    spec.setdefault("volumes", []).append({"name": name, "projected": {"defaultMode": 420, "sources": files}})
    for container in spec.get("containers") or []:
        container.setdefault("volumeMounts", []).append({"mountPath": MOUNT, "name": name, "readOnly": True})


def _namespace(obj: dict) -> None:
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = dig(obj, "metadata", "name")
    obj["spec"] = {"finalizers": ["kubernetes"]}
    obj.setdefault("status", {}).setdefault("phase", "Active")


def _node(obj: dict) -> None:
    obj.setdefault("spec", {})
    obj.setdefault("status", {})


DEFAULTS: dict[str, Callable[[dict], None]] = {
    "Service": _service, "Endpoints": _endpoints, "EndpointSlice": _slice, "Pod": _pod, "Namespace": _namespace,
    "Node": _node,
}

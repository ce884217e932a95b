"""The columns of `kubectl get` for each kind (kubernetes, pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from k8slab.cluster.clock import Clock
from k8slab.cluster.kubectl.tabs import age
from k8slab.cluster.plain import dig, name_of

NONE, UNKNOWN = "<none>", "<unknown>"
ROLE = "node-role.kubernetes.io/"
MOST = 3          # endpoints and ports that fit into a cell
SHORTEST = 16     # letters of a load balancer's addresses without -o wide
Cells = Callable[[Mapping, Clock], list[str]]


@dataclass(frozen=True, slots=True)
class Columns:
    """Headings, and what makes an object's cells; the last `wide` of both are for `-o wide`."""

    headings: tuple[str, ...]
    cells: Cells
    wide: int = 0


def listed(items: Iterable[str], empty: str) -> str:
    """At most three, then how many more.

    >>> listed(["a", "b", "c", "d", "e"], "<unset>"), listed([], "<unset>")
    ('a,b,c + 2 more...', '<unset>')
    """
    items = list(items)
    more = f" + {len(items) - MOST} more..." if len(items) > MOST else ""
    return ",".join(items[:MOST]) + more or empty


def labels_text(labels: Mapping[str, str] | None) -> str:
    """`app=web,tier=front`, in the order of keys; `<none>` without any."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def endpoints_text(endpoints: Mapping, port_name: str | None = None) -> str:
    """`10.106.175.128:6443` and so on, of one port or all."""
    subsets = endpoints.get("subsets") or []
    return listed((f"{address['ip']}:{port['port']}" for subset in subsets for port in subset.get("ports") or []
                   if port_name is None or port.get("name", "") == port_name
                   for address in subset.get("addresses") or []), "" if subsets else NONE)


def age_of(obj: Mapping, clock: Clock) -> str:
    """How old an object is."""
    stamp = dig(obj, "metadata", "creationTimestamp")
    return age(clock.since(stamp)) if stamp else UNKNOWN


def _ports(spec: Mapping) -> str:
    return ",".join(f"{one['port']}{':' + str(one['nodePort']) if one.get('nodePort') else ''}/{one['protocol']}"
                    for one in spec.get("ports") or []) or NONE


def external_ip(service: Mapping, wide: bool = True) -> str:
    """What EXTERNAL-IP says of a Service."""
    spec = service["spec"]
    ingress = dig(service, "status", "loadBalancer", "ingress", default=[])
    addresses = sorted({one.get("ip") or one.get("hostname", "") for one in ingress})
    if spec.get("type") == "ExternalName":
        return spec.get("externalName", NONE)
    if spec.get("type") != "LoadBalancer":
        return ",".join(spec.get("externalIPs") or []) or NONE
    text = ",".join([*addresses, *(spec.get("externalIPs") or [])])
    if not addresses and not text:
        return "<pending>"
    return text if wide or len(text) <= SHORTEST else text[: SHORTEST - 3] + "..."


def _service(obj: Mapping, clock: Clock) -> list[str]:
    spec = obj["spec"]
    return [name_of(obj), spec.get("type", ""), spec.get("clusterIP") or NONE, external_ip(obj, False), _ports(spec),
            age_of(obj, clock), labels_text(spec.get("selector"))]


def _slice(obj: Mapping, clock: Clock) -> list[str]:
    ports = ("*" if one.get("port") is None else str(one["port"]) for one in obj.get("ports") or [])
    addresses = (address for one in obj.get("endpoints") or [] for address in one["addresses"])
    return [name_of(obj), obj["addressType"], listed(ports, "<unset>"), listed(addresses, "<unset>"),
            age_of(obj, clock)]


def pod_status(pod: Mapping) -> str:
    """What STATUS says of a Pod: its phase, or why a container does not run, or Terminating."""
    reason = dig(pod, "status", "reason") or dig(pod, "status", "phase", default=UNKNOWN)
    for one in dig(pod, "status", "containerStatuses", default=[]):
        state = one.get("state") or {}
        reason = dig(state, "waiting", "reason") or dig(state, "terminated", "reason") or reason
    return "Terminating" if dig(pod, "metadata", "deletionTimestamp") else reason


def _pod(obj: Mapping, clock: Clock) -> list[str]:
    statuses = dig(obj, "status", "containerStatuses", default=[])
    ready, restarts = (sum(int(one.get(key, 0)) for one in statuses) for key in ("ready", "restartCount"))
    last = max((dig(one, "lastState", "terminated", "finishedAt", default="") for one in statuses), default="")
    ago = f" ({age(clock.since(last))} ago)" if restarts and last else ""
    return [name_of(obj), f"{ready}/{len(dig(obj, 'spec', 'containers', default=[]))}", pod_status(obj),
            f"{restarts}{ago}", age_of(obj, clock), dig(obj, "status", "podIP", default=NONE),
            dig(obj, "spec", "nodeName", default=NONE), dig(obj, "status", "nominatedNodeName", default=NONE), NONE]


def node_ready(node: Mapping) -> str:
    """`Ready`, `NotReady`, or `Unknown` where no kubelet has said anything."""
    found = [one["status"] for one in dig(node, "status", "conditions", default=[]) if one["type"] == "Ready"]
    text = {"True": "Ready"}.get(found[0], "NotReady") if found else "Unknown"
    return text + (",SchedulingDisabled" if dig(node, "spec", "unschedulable") else "")


def _node_address(node: Mapping, kind: str) -> str:
    found = [one["address"] for one in dig(node, "status", "addresses", default=[]) if one["type"] == kind]
    return found[0] if found else NONE


def _node(obj: Mapping, clock: Clock) -> list[str]:
    roles = sorted(key.removeprefix(ROLE) for key in dig(obj, "metadata", "labels", default={}) if key.startswith(ROLE))
    info = dig(obj, "status", "nodeInfo", default={})
    return [name_of(obj), node_ready(obj), ",".join(roles) or NONE, age_of(obj, clock), info.get("kubeletVersion", ""),
            _node_address(obj, "InternalIP"), _node_address(obj, "ExternalIP"), info.get("osImage") or UNKNOWN,
            info.get("kernelVersion") or UNKNOWN, info.get("containerRuntimeVersion") or UNKNOWN]


def _event(obj: Mapping, clock: Clock) -> list[str]:
    about = obj.get("involvedObject", {})
    last = age(clock.since(obj.get("lastTimestamp")))
    if obj.get("count", 1) > 1:
        last += f" (x{obj['count']} over {age(clock.since(obj.get('firstTimestamp')))})"
    name = f"{about.get('kind', '').lower()}/{about.get('name', '')}"
    return [last, obj.get("type", ""), obj.get("reason", ""), name, obj.get("message", "").strip()]


def _parent(obj: Mapping, clock: Clock) -> list[str]:
    ref = dig(obj, "spec", "parentRef", default={})
    parts = [ref.get("group"), ref.get("resource"), ref.get("namespace"), ref.get("name")]
    return [name_of(obj), "/".join(filter(None, parts))]


def _plain(*paths: tuple[str, ...]) -> Cells:
    """Name, what lies at some paths, age."""
    return lambda obj, clock: [name_of(obj), *(str(dig(obj, *path, default="")) for path in paths), age_of(obj, clock)]


COLUMNS = {
    "Service": Columns(("NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"), _service, 1),
    "Endpoints": Columns(("NAME", "ENDPOINTS", "AGE"),
                         lambda obj, clock: [name_of(obj), endpoints_text(obj), age_of(obj, clock)]),
    "EndpointSlice": Columns(("NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"), _slice),
    "Pod": Columns(("NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"),
                   _pod, 4),
    "Node": Columns(("NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE",
                     "KERNEL-VERSION", "CONTAINER-RUNTIME"), _node, 5),
    "Namespace": Columns(("NAME", "STATUS", "AGE"), _plain(("status", "phase"))),
    "Lease": Columns(("NAME", "HOLDER", "AGE"), _plain(("spec", "holderIdentity"))),
    "Event": Columns(("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"), _event),
    "ServiceCIDR": Columns(("NAME", "CIDRS", "AGE"), lambda obj, clock: [
        name_of(obj), ",".join(dig(obj, "spec", "cidrs", default=[])), age_of(obj, clock)]),
    "IPAddress": Columns(("NAME", "PARENTREF"), _parent),
    "ConfigMap": Columns(("NAME", "DATA", "AGE"), lambda obj, clock: [
        name_of(obj), str(len(obj.get("data") or {})), age_of(obj, clock)]),
    "ServiceAccount": Columns(("NAME", "SECRETS", "AGE"), lambda obj, clock: [
        name_of(obj), str(len(obj.get("secrets") or [])), age_of(obj, clock)]),
}
OTHER = Columns(("NAME", "AGE"), _plain())

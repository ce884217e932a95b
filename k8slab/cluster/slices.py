"""kube-controller-manager's part: Endpoints and EndpointSlices of Services with a selector, and mirrored slices.

From kubernetes, pkg/controller/endpoint, pkg/controller/endpointslice and pkg/controller/endpointslicemirroring.
The `kubernetes` Service has no selector and its Endpoints say that they are not to be mirrored: none of the three
touches it, until somebody gives it a selector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from k8slab.cluster.client import Client
from k8slab.cluster.control import SERVICE_NAME, SKIP_MIRROR
from k8slab.cluster.errors import ApiError, Refused
from k8slab.cluster.kinds import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE
from k8slab.cluster.plain import copied, dig, name_of, namespace_of, pruned, without
from k8slab.cluster.registry import Event
from k8slab.cluster.selectors import matches

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SLICER, MIRROR = "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
ENDPOINTS_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
MOST = 100  # endpoints in a slice (--max-endpoints-per-slice)
RETRY = 1.0  # seconds until a Service is tried again when no API server answers
Key = tuple[str, str]
Group = tuple[list[dict], list[dict]]  # ports, and the endpoints that have them


def is_ready(pod: Mapping) -> bool:
    """Whether a Pod's condition Ready is True."""
    return any(one["type"] == "Ready" and one["status"] == "True"
               for one in dig(pod, "status", "conditions", default=[]))


def target_port(port: Mapping, pod: Mapping) -> int | None:
    """The number of a Service's target port in a Pod, which may be named there; None where no container has it.

    >>> target_port({"targetPort": "web"}, {"spec": {"containers": [{"ports": [{"name": "web",
    ...     "containerPort": 80, "protocol": "TCP"}]}]}})
    80
    """
    wanted = port["targetPort"]
    if isinstance(wanted, int):
        return wanted
    return next((one["containerPort"] for container in dig(pod, "spec", "containers", default=[])
                 for one in container.get("ports") or []
                 if one.get("name") == wanted and one["protocol"] == port.get("protocol", "TCP")), None)


def slice_ports(service: Mapping, pod: Mapping) -> list[dict]:
    """A slice's ports for one Pod of a Service."""
    numbers = [(port, target_port(port, pod)) for port in service["spec"].get("ports") or []]
    return [pruned({"port": number, "protocol": port["protocol"], "appProtocol": port.get("appProtocol")})
            | {"name": port.get("name", "")} for port, number in numbers if number is not None]


def endpoint_of(pod: Mapping, service: Mapping, zone: str = "") -> dict:
    """A Pod as a slice's endpoint: ready, serving and terminating are three questions."""
    going, ready = bool(dig(pod, "metadata", "deletionTimestamp")), is_ready(pod)
    every = bool(service["spec"].get("publishNotReadyAddresses"))
    return pruned({
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": every or (ready and not going), "serving": ready, "terminating": going},
        "nodeName": dig(pod, "spec", "nodeName"), "targetRef": _reference(pod), "zone": zone})


def _reference(pod: Mapping) -> dict:
    return {"kind": "Pod", "name": name_of(pod), "namespace": namespace_of(pod), "uid": pod["metadata"]["uid"]}


def _owner(obj: Mapping) -> dict:
    return {"apiVersion": obj["apiVersion"], "blockOwnerDeletion": True, "controller": True, "kind": obj["kind"],
            "name": name_of(obj), "uid": obj["metadata"]["uid"]}


class Controllers:
    """The three controllers. `client`: kube-controller-manager's; each follows what it needs and acts on a change."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._due: set[tuple[str, Key]] = set()
        self._services = client.follow(SERVICE, self._service_changed)
        self._pods = client.follow(POD, self._pod_changed)
        self._endpoints = client.follow(ENDPOINTS, self._endpoints_changed)
        self._slices = client.follow(ENDPOINT_SLICE, self._slice_changed)

    def _queue(self, what: str, key: Key) -> None:
        """Look at one Service, later in this moment: by then the copies hold all that has been told."""
        if (what, key) not in self._due:
            self._due.add((what, key))
            self._client.clock.after(0, lambda: self._sync(what, key))

    def _sync(self, what: str, key: Key) -> None:
        self._due.discard((what, key))
        try:
            {"endpoints": self._sync_endpoints, "slices": self._sync_slices, "mirror": self._sync_mirror}[what](key)
        except Refused:
            self._client.clock.after(RETRY, lambda: self._queue(what, key))
        except ApiError as error:
            if error.code == 409:  # somebody was quicker
                self._client.clock.after(RETRY, lambda: self._queue(what, key))
            elif error.code not in (403, 404, 422):  # it went, its namespace goes, or somebody has written nonsense
                raise

    def _service_changed(self, event: Event) -> None:
        key = namespace_of(event.obj), name_of(event.obj)
        if event.type == "DELETED":
            self._collect(event.obj)
        for what in ("endpoints", "slices", "mirror"):
            self._queue(what, key)

    def _pod_changed(self, event: Event) -> None:
        for (namespace, name), service in list(self._services.items.items()):
            if namespace == namespace_of(event.obj) and matches(
                    service["spec"].get("selector") or {}, event.obj["metadata"].get("labels")):
                self._queue("endpoints", (namespace, name))
                self._queue("slices", (namespace, name))

    def _endpoints_changed(self, event: Event) -> None:
        key = namespace_of(event.obj), name_of(event.obj)
        self._queue("mirror", key)
        if event.type == "DELETED":
            self._collect(event.obj)
            self._queue("endpoints", key)

    def _slice_changed(self, event: Event) -> None:
        labels = event.obj["metadata"].get("labels") or {}
        what = {SLICER: "slices", MIRROR: "mirror"}.get(labels.get(MANAGED_BY, ""))
        if what and SERVICE_NAME in labels:
            self._queue(what, (namespace_of(event.obj), labels[SERVICE_NAME]))

    def _collect(self, owner: Mapping) -> None:
        """The garbage collector's part: what the deleted object owned goes with it."""
        for (namespace, name), one in list(self._slices.items.items()):
            owners = dig(one, "metadata", "ownerReferences", default=[])
            if any(ref["uid"] == owner["metadata"]["uid"] for ref in owners):
                self._client.clock.after(0, lambda at=(namespace, name): self._drop(*at))

    def _drop(self, namespace: str, name: str) -> None:
        try:
            self._client.delete(ENDPOINT_SLICE, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise

    def _chosen(self, service: Mapping) -> list[dict]:
        """The Pods that a Service selects, as far as they have an address and have not ended."""
        return [pod for (namespace, _), pod in sorted(self._pods.items.items()) if namespace == namespace_of(service)
                and matches(service["spec"]["selector"], pod["metadata"].get("labels"))
                and dig(pod, "status", "podIP") and dig(pod, "status", "phase") not in ("Succeeded", "Failed")]

    def _sync_endpoints(self, key: Key) -> None:
        service, old = self._services.items.get(key), self._endpoints.items.get(key)
        if service is None or not service["spec"].get("selector"):
            return
        groups: dict[str, dict] = {}
        for pod in self._chosen(service):
            if dig(pod, "metadata", "deletionTimestamp"):
                continue
            ports = [without(one, "name") | ({"name": one["name"]} if one["name"] else {})
                     for one in slice_ports(service, pod)]
            where = "addresses" if is_ready(pod) else "notReadyAddresses"
            group = groups.setdefault(repr(ports), {"ports": ports})
            group.setdefault(where, []).append({"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"],
                                                "targetRef": _reference(pod)})
        labels = (service["metadata"].get("labels") or {}) | ENDPOINTS_BY
        labels |= {HEADLESS: ""} if service["spec"].get("clusterIP") == "None" else {}
        new = copied(old) or {"kind": "Endpoints", "metadata": {"name": key[1], "namespace": key[0]}}
        new["metadata"]["labels"] = labels
        new["subsets"] = list(groups.values())
        if old is None:
            self._client.create(new, ENDPOINTS, key[0])
        elif old["metadata"].get("labels") != labels or (old.get("subsets") or []) != new["subsets"]:
            self._client.update(new, ENDPOINTS, key[0])

    def _sync_slices(self, key: Key) -> None:
        service = self._services.items.get(key)
        if service is None or not service["spec"].get("selector"):
            return
        groups: dict[str, Group] = {}
        for pod in self._chosen(service):
            ports = slice_ports(service, pod)
            groups.setdefault(repr(ports), (ports, []))[1].append(endpoint_of(pod, service))
        labels = dict(service["metadata"].get("labels") or {})
        labels |= {HEADLESS: ""} if service["spec"].get("clusterIP") == "None" else {}
        self._write(service, SLICER, labels, groups.values(), placeholder=True)

    def _sync_mirror(self, key: Key) -> None:
        endpoints, service = self._endpoints.items.get(key), self._services.items.get(key)
        if endpoints is None:
            return  # the garbage collector sees to its slices
        labels = endpoints["metadata"].get("labels") or {}
        wanted = (service is not None and not service["spec"].get("selector") and labels.get(SKIP_MIRROR) != "true"
                  and not labels.keys() & ENDPOINTS_BY.keys())
        groups = [(_mirrored_ports(subset), _mirrored(subset)) for subset in endpoints.get("subsets") or []]
        self._write(endpoints, MIRROR, labels, groups if wanted else [], placeholder=False)

    def _write(self, owner: Mapping, manager: str, labels: Mapping, groups: Iterable[Group],
               placeholder: bool) -> None:
        """Make the manager's slices of one Service say what they should, changing as few as possible."""
        namespace, name = namespace_of(owner), name_of(owner)
        labels = {**labels, SERVICE_NAME: name, MANAGED_BY: manager}
        old = [one for (where, _), one in sorted(self._slices.items.items()) if where == namespace
               and {SERVICE_NAME: name, MANAGED_BY: manager}.items() <= (one["metadata"].get("labels") or {}).items()]
        parts = [(ports, some[at:at + MOST]) for ports, some in groups for at in range(0, len(some), MOST)]
        if not parts and placeholder:
            parts = [([], [])]
        for ports, endpoints in parts:
            found = next((one for one in old if (one.get("ports") or []) == ports), old[0] if old else None)
            old = [one for one in old if one is not found]
            self._write_one(found, owner, labels, ports, endpoints)
        for one in old:
            self._client.delete(ENDPOINT_SLICE, namespace, name_of(one))

    def _write_one(self, found: Mapping | None, owner: Mapping, labels: dict, ports: list, endpoints: list) -> None:
        namespace = namespace_of(owner)
        if found is None:
            metadata = {"generateName": f"{name_of(owner)}-", "namespace": namespace, "labels": labels,
                        "ownerReferences": [_owner(owner)]}
            self._client.create({"kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4",
                                 "endpoints": endpoints or None, "ports": ports or None}, ENDPOINT_SLICE, namespace)
            return
        endpoints = _in_place(found.get("endpoints") or [], endpoints)
        new = copied(found) | {"endpoints": endpoints or None, "ports": ports or None}
        new["metadata"]["labels"] = labels
        if new != found:
            self._client.update(new, ENDPOINT_SLICE, namespace)


def _in_place(old: Sequence[Mapping], new: list[dict]) -> list[dict]:
    """The new endpoints, those that were there before in their old order."""
    places = {one["addresses"][0]: place for place, one in enumerate(old)}
    return sorted(new, key=lambda one: places.get(one["addresses"][0], len(places)))


def _mirrored_ports(subset: Mapping) -> list[dict]:
    return [{"name": one.get("name", ""), "port": one["port"], "protocol": one["protocol"]}
            for one in subset.get("ports") or []]


def _mirrored(subset: Mapping) -> list[dict]:
    return [pruned({"addresses": [one["ip"]], "conditions": {"ready": where == "addresses"},
                    "nodeName": one.get("nodeName"), "targetRef": one.get("targetRef")})
            for where in ("addresses", "notReadyAddresses") for one in subset.get(where) or []]

"""What the API refuses, in its own words (kubernetes, pkg/apis/core/validation and pkg/apis/discovery/validation)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from k8slab.cluster import words as w
from k8slab.cluster.errors import Problem
from k8slab.cluster.plain import dig

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
POLICIES = ("Cluster", "Local")
FORMS = {"Service": "label-1035", "Namespace": "label"}  # what names look like; the others are subdomains
MOST = {"endpoints": 1000, "ports": 20000}  # of an EndpointSlice (discovery/validation/validation.go)


def problems_of(obj: Mapping, old: Mapping | None = None) -> list[Problem]:
    """What is wrong with an object, with defaults already set; `old`: what it would replace.

    >>> print(*problems_of({"kind": "ServiceCIDR", "metadata": {"name": "more"}}))
    spec.cidrs: Required value: at least one CIDR required
    """
    found = _metadata(obj) + _status(obj)
    if check := CHECKS.get(obj["kind"]):
        found += check(obj)
    if old is not None and (compare := CHANGES.get(obj["kind"])):
        found += compare(obj, old)
    return found


def _metadata(obj: Mapping) -> list[Problem]:
    name, labels = dig(obj, "metadata", "name"), dig(obj, "metadata", "labels", default={})
    found = [] if name else [w.required("metadata.name", "name or generateName is required")]
    if name and obj["kind"] != "IPAddress":
        found += w.name_problems("metadata.name", name, FORMS.get(obj["kind"], "subdomain"))
    for key, value in labels.items():
        prefix, slash, last = key.rpartition("/")
        found += w.name_problems("metadata.labels", last, "key") if last else [w.required("metadata.labels")]
        found += w.name_problems("metadata.labels", prefix, "subdomain") if slash else []
        found += w.name_problems("metadata.labels", value, "value")
    for owner in dig(obj, "metadata", "ownerReferences", default=[]):
        found += [w.required(f"metadata.ownerReferences.{one}", "must not be empty")
                  for one in ("apiVersion", "kind", "name", "uid") if not owner.get(one)]
    return found


# What the items of a status's lists must have: others read them by it.
CONDITIONS = {"conditions": ("type", "status")}
ITEMS = {"Node": CONDITIONS | {"addresses": ("type", "address")}, "Service": CONDITIONS, "Namespace": CONDITIONS,
         "ServiceCIDR": CONDITIONS, "Pod": CONDITIONS | {"containerStatuses": ("name",), "podIPs": ("ip",)}}


def _status(obj: Mapping) -> list[Problem]:
    return [w.required(f"status.{name}[{number}].{key}") for name, keys in ITEMS.get(obj["kind"], {}).items()
            for number, one in enumerate(dig(obj, "status", name, default=[])) for key in keys if not one.get(key)]


def _service(obj: Mapping) -> list[Problem]:
    spec = obj.get("spec") or {}
    kind, headless = spec.get("type"), spec.get("clusterIP") == "None"
    ports = spec.get("ports") or []
    found = []
    if not ports and not headless and kind != "ExternalName":
        found.append(w.required("spec.ports"))
    if headless and kind in ("NodePort", "LoadBalancer"):
        found.append(w.wrong("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services"
                             if kind == "LoadBalancer" else "may not be set to 'None' for NodePort services"))
    for number, port in enumerate(ports):
        found += _service_port(f"spec.ports[{number}]", port, len(ports), kind)
    found += _port_twins(ports)
    for key, value in (spec.get("selector") or {}).items():
        found += w.name_problems("spec.selector", key.rpartition("/")[2], "key")
        found += w.name_problems("spec.selector", value, "value")
    found += w.one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    seconds = dig(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds", default=1)
    if not 1 <= seconds <= 86400:
        found.append(w.wrong("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds,
                             "must be greater than 0 and less than 86400"))
    found += _cluster_ips(spec)
    for number, one in enumerate(spec.get("externalIPs") or []):
        found += w.endpoint_problems(f"spec.externalIPs[{number}]", one)
    found += w.one_of("spec.type", kind, TYPES)
    if kind == "ExternalName":
        return found + w.name_problems("spec.externalName", spec.get("externalName", "").rstrip("."), "subdomain")
    found += w.one_of("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), POLICIES)
    if "externalTrafficPolicy" in spec:
        found += w.one_of("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], POLICIES)
    return found


def _service_port(at: str, port: Mapping, several: int, kind: str) -> list[Problem]:
    name = port.get("name", "")
    found = [w.required(f"{at}.name")] if several > 1 and not name else []
    found += w.name_problems(f"{at}.name", name, "label") if name else []
    found += w.port_problems(f"{at}.port", port.get("port"))
    found += w.one_of(f"{at}.protocol", port.get("protocol"), PROTOCOLS)
    if port.get("port") or port.get("targetPort"):
        found += w.target_problems(f"{at}.targetPort", port.get("targetPort"))
    if port.get("nodePort") and kind == "ClusterIP":
        found.append(w.not_allowed(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'"))
    return found


def _port_twins(ports: list[Mapping]) -> list[Problem]:
    found, names, pairs = [], set(), set()
    for number, port in enumerate(ports):
        name, pair = port.get("name", ""), (port.get("protocol"), port.get("port"))
        if name and name in names:
            found.append(w.duplicate(f"spec.ports[{number}].name", name))
        if pair in pairs:
            found.append(w.duplicate(f"spec.ports[{number}]", {
                "Name": "", "Protocol": pair[0], "AppProtocol": None, "Port": pair[1], "TargetPort": 0, "NodePort": 0}))
        names.add(name)
        pairs.add(pair)
    return found


def _cluster_ips(spec: Mapping) -> list[Problem]:
    several = spec.get("clusterIPs") or []
    if several and spec.get("clusterIP") != several[0]:
        return [w.wrong("spec.clusterIP", spec.get("clusterIP", ""),
                        "first value of `clusterIPs` must match `clusterIP`")]
    return [one for number, address in enumerate(several) if address != "None"
            for one in w.ip_problems(f"spec.clusterIPs[{number}]", address)]


def _service_change(obj: Mapping, old: Mapping) -> list[Problem]:
    """A ClusterIP stays as long as the Service lives, unless its type leaves or enters ExternalName."""
    new, was = obj["spec"], old["spec"]
    if "ExternalName" in (new.get("type"), was.get("type")) or not was.get("clusterIPs"):
        return []
    if not new.get("clusterIPs"):
        return [w.wrong("spec.clusterIPs[0]", [], "primary clusterIP can not be unset")]
    return [] if new["clusterIPs"][0] == was["clusterIPs"][0] else [
        w.wrong("spec.clusterIPs[0]", new["clusterIPs"], w.CHANGED)]


def _endpoints(obj: Mapping) -> list[Problem]:
    found = []
    for number, subset in enumerate(obj.get("subsets") or []):
        at = f"subsets[{number}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.append(w.required(at, "must specify `addresses` or `notReadyAddresses`"))
        for where in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(where) or []):
                found += w.endpoint_problems(f"{at}.{where}[{place}].ip", address.get("ip", ""))
        ports = subset.get("ports") or []
        for place, port in enumerate(ports):
            if len(ports) > 1 and not port.get("name"):
                found.append(w.required(f"{at}.ports[{place}].name"))
            found += w.port_problems(f"{at}.ports[{place}].port", port.get("port"))
            found += w.one_of(f"{at}.ports[{place}].protocol", port.get("protocol"), PROTOCOLS)
    return found


def _slice(obj: Mapping) -> list[Problem]:
    family = obj.get("addressType")
    if not family:
        return [w.required("addressType")]
    found = w.one_of("addressType", family, ("FQDN", "IPv4", "IPv6"))
    lists = {name: obj.get(name) or [] for name in MOST}
    for name, items in lists.items():
        if len(items) > MOST[name]:      # nobody looks into a list that is too long
            found.append(Problem(name, f"Too many: {len(items)}: must have at most {MOST[name]} items"))
            lists[name] = []
    for number, endpoint in enumerate(lists["endpoints"]):
        addresses = endpoint.get("addresses") or []
        if not addresses:
            found.append(w.required(f"endpoints[{number}].addresses", "must contain at least 1 address"))
        for place, address in enumerate(addresses):
            found += _slice_address(f"endpoints[{number}].addresses[{place}]", address, family)
    names: set[str] = set()
    for number, port in enumerate(lists["ports"]):
        name = port.get("name") or ""
        found += [w.duplicate(f"ports[{number}].name", name)] if name in names else []
        found += w.name_problems(f"ports[{number}].name", name, "label") if name else []
        found += w.one_of(f"ports[{number}].protocol", port.get("protocol"), PROTOCOLS)
        found += w.port_problems(f"ports[{number}].port", port["port"]) if port.get("port") is not None else []
        names.add(name)
    return found


def _slice_address(at: str, address: str, family: str) -> list[Problem]:
    if family not in ("IPv4", "IPv6"):
        return w.name_problems(at, address, "subdomain")
    try:
        right = ipaddress.ip_address(address).version == int(family[-1])
    except ValueError:
        right = False
    return w.endpoint_problems(at, address) if right else [w.wrong(at, address, f"must be a valid {family} address")]


def _slice_change(obj: Mapping, old: Mapping) -> list[Problem]:
    same = obj.get("addressType") == old.get("addressType")
    return [] if same else [w.wrong("addressType", obj.get("addressType"), w.IMMUTABLE)]


def _pod(obj: Mapping) -> list[Problem]:
    containers = dig(obj, "spec", "containers", default=[])
    found = [] if containers else [w.required("spec.containers")]
    for number, one in enumerate(containers):
        at = f"spec.containers[{number}]"
        name = one.get("name")
        found += w.name_problems(f"{at}.name", name, "label") if name else [w.required(f"{at}.name")]
        found += [] if one.get("image") else [w.required(f"{at}.image")]
        for place, port in enumerate(one.get("ports") or []):
            found += w.port_problems(f"{at}.ports[{place}].containerPort", port.get("containerPort"))
            found += w.one_of(f"{at}.ports[{place}].protocol", port.get("protocol"), PROTOCOLS)
    addresses = [one.get("ip") for one in dig(obj, "status", "podIPs", default=[])]
    for number, one in enumerate(addresses or [dig(obj, "status", "podIP", default="")]):
        found += w.endpoint_problems(f"status.podIPs[{number}]", one) if one else []
    return found


def _service_cidr(obj: Mapping) -> list[Problem]:
    cidrs = dig(obj, "spec", "cidrs", default=[])
    found = [] if cidrs else [w.required("spec.cidrs", "at least one CIDR required")]
    for number, one in enumerate(cidrs):
        try:
            right = "/" in one and bool(ipaddress.ip_network(one))
        except ValueError:
            right = False
        if not right:
            found.append(w.wrong(f"spec.cidrs[{number}]", one,
                                 "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"))
    return found


def _service_cidr_change(obj: Mapping, old: Mapping) -> list[Problem]:
    new, was = dig(obj, "spec", "cidrs", default=[]), dig(old, "spec", "cidrs", default=[])
    return [] if new[:1] == was[:1] else [w.wrong("spec.cidrs[0]", new[0] if new else "", w.IMMUTABLE)]


def _ip_address(obj: Mapping) -> list[Problem]:
    found = w.ip_problems("metadata.name", dig(obj, "metadata", "name", default=""))
    reference = dig(obj, "spec", "parentRef", default={})
    if not reference:
        return [*found, w.required("spec.parentRef")]
    return found + [w.required(f"spec.parentRef.{one}") for one in ("resource", "name") if not reference.get(one)]


def _ip_address_change(obj: Mapping, old: Mapping) -> list[Problem]:
    new, was = (dig(one, "spec", "parentRef", default={}) for one in (obj, old))
    return [] if new == was else [w.wrong("spec.parentRef", new, w.IMMUTABLE)]


Check = Callable[[Mapping], list[Problem]]
CHECKS: dict[str, Check] = {"Service": _service, "Endpoints": _endpoints, "EndpointSlice": _slice, "Pod": _pod,
                            "ServiceCIDR": _service_cidr, "IPAddress": _ip_address}
CHANGES: dict[str, Callable[[Mapping, Mapping], list[Problem]]] = {
    "Service": _service_change, "EndpointSlice": _slice_change, "ServiceCIDR": _service_cidr_change,
    "IPAddress": _ip_address_change}

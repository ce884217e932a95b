"""What the server has: groups, versions, resources and their verbs, by which a client finds where to ask for what.

Newer clients ask for all at once (aggregated discovery, two documents); older ones group by group.
"""

from __future__ import annotations

from k8slab.cluster.http.messages import JSON, Accepted, Response, line, written
from k8slab.cluster.http.paths import OF_STATUS, verbs_of
from k8slab.cluster.kinds import KINDS, POD, SERVICE, Kind
from k8slab.cluster.node import VERSION

GROUPS = tuple(dict.fromkeys(one.group for one in KINDS if one.group))
ALL = {POD.kind, SERVICE.kind}                  # what `kubectl get all` means
AGGREGATED = "apidiscovery.k8s.io"
BUILT = "2026-06-10T00:00:00Z"


def _kinds(group: str) -> list[Kind]:
    return sorted((one for one in KINDS if one.group == group), key=lambda one: one.plural)


def version() -> dict:
    """What `kubectl version` asks for: the release that is behaved like."""
    major, minor, _ = VERSION.lstrip("v").split(".")
    return {"major": major, "minor": minor, "gitVersion": f"{VERSION}+k8slab", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": BUILT, "goVersion": "", "compiler": "", "platform": "linux/amd64"}


def _group(name: str) -> dict:
    one = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [one], "preferredVersion": one}


def _resource(kind: Kind) -> dict:
    found = {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
             "verbs": list(verbs_of(kind))}
    found |= {"shortNames": list(kind.short)} if kind.short else {}
    return found | ({"categories": ["all"]} if kind.kind in ALL else {})


def resources(group: str) -> dict:
    """The resources of a group, as older clients ask for them.

    >>> [one["name"] for one in resources("coordination.k8s.io")["resources"]]
    ['leases']
    """
    found = []
    for kind in _kinds(group):
        found.append(_resource(kind))
        if kind.status:
            found.append({"name": f"{kind.plural}/status", "singularName": "", "namespaced": kind.namespaced,
                          "kind": kind.kind, "verbs": list(OF_STATUS)})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/v1" if group else "v1",
            "resources": found}


def _discovered(kind: Kind) -> dict:
    """One resource, as aggregated discovery tells it."""
    meant = {"group": kind.group, "version": "v1", "kind": kind.kind}
    found = {"resource": kind.plural, "responseKind": meant, "scope": "Namespaced" if kind.namespaced else "Cluster",
             "singularResource": kind.singular, "verbs": list(verbs_of(kind))}
    found |= {"shortNames": list(kind.short)} if kind.short else {}
    found |= {"categories": ["all"]} if kind.kind in ALL else {}
    return found | ({"subresources": [{"subresource": "status", "responseKind": meant, "verbs": list(OF_STATUS)}]}
                    if kind.status else {})


def aggregated(groups: tuple[str, ...], form: Accepted) -> Response:
    """All resources of some groups in one document."""
    items = [{"metadata": {"name": one} if one else {}, "versions": [{
        "version": "v1", "freshness": "Current", "resources": [_discovered(kind) for kind in _kinds(one)]}]}
        for one in groups]
    whole = {"kind": "APIGroupDiscoveryList", "apiVersion": f"{AGGREGATED}/{form.version}", "metadata": {},
             "items": items}
    return Response(200, line(whole), f"{JSON};g={AGGREGATED};v={form.version};as=APIGroupDiscoveryList")


def discovered(path: str, form: Accepted, address: str) -> Response | None:
    """The answer at a path of discovery, None where the path is none of it. `address`: the server's own."""
    words = path.strip("/").split("/")
    if path.rstrip("/") == "/version":
        return written(version(), form)
    if words == ["api"]:
        return aggregated(("",), form) if form.kind else written({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]}, form)
    if words == ["apis"]:
        return aggregated(GROUPS, form) if form.kind else written({
            "kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(one) for one in GROUPS]}, form)
    if words == ["api", "v1"]:
        return written(resources(""), form)
    if words[0] == "apis" and len(words) > 1 and words[1] in GROUPS:
        if len(words) == 2:
            return written({"kind": "APIGroup", "apiVersion": "v1"} | _group(words[1]), form)
        if words[2:] == ["v1"]:
            return written(resources(words[1]), form)
    return None

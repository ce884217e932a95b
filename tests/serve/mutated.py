"""Requests that are nearly right: each begins as one that a client would send, and then a part of it is another."""

from __future__ import annotations

import json
import string
from urllib.parse import quote

from hypothesis import strategies as st

from k8slab.cluster.http import Request
from k8slab.cluster.kinds import KINDS, Kind
from tests.cluster.test_anything import ANYTHING, LEAVES, VALID, damaged, objects

NAMES = ["web", "kubernetes", "10.96.0.9", "10.96.0.1", "worker1", "default", "kube-system", "new", "", "..", "a/b",
         "status", "A b", "é", "x" * 300]
NAMESPACES = ["default", "default", "kube-system", "nosuch", ""]
METHODS = ["GET", "GET", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"]
TYPES = ["application/json", "application/yaml", "application/json-patch+json", "application/merge-patch+json",
         "application/strategic-merge-patch+json", "application/apply-patch+yaml", "text/html", "",
         "application/vnd.kubernetes.protobuf", "application/json; charset=utf-8"]
ACCEPTS = ["application/json", "*/*", "", "application/yaml", "application/json;as=Table;v=v1;g=meta.k8s.io",
           "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json", "text/html",
           "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "application/json;as=Table;v=v9,*/*", ";;,"]
QUERY = {
    "watch": ["true", "1", "0", "", "x"], "limit": ["1", "0", "-1", "x", "99999999999999999999"],
    "continue": ["x", "eyJydiI6MX0", "é"], "resourceVersion": ["0", "1", "5", "x", "-1", "999999", "9" * 40, "²"],
    "resourceVersionMatch": ["Exact", "NotOlderThan", "x"], "labelSelector": ["app=web", "app in (a", "!a", "a=b,,"],
    "fieldSelector": ["metadata.name=web", "spec.nodeName=worker1", "x=y", "metadata.name"],
    "dryRun": ["All", "x", ""], "fieldValidation": ["Strict", "Warn", "Ignore", "x"], "timeoutSeconds": ["1", "0", "x"],
    "gracePeriodSeconds": ["0", "-5", "x", "30"], "propagationPolicy": ["Background", "Orphan", "x"],
    "allowWatchBookmarks": ["true"], "sendInitialEvents": ["true", "false"], "includeObject": ["Object", "None", "x"],
    "fieldManager": ["x"], "pretty": ["true"],
}
OPTIONS = [{"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"},
           {"gracePeriodSeconds": 0}, {"preconditions": {"uid": "x"}}, {"dryRun": ["All"]}, {"preconditions": []}]
STEPS = st.lists(st.fixed_dictionaries({
    "op": st.sampled_from(["add", "remove", "replace", "test", "move", "copy", "x"]),
    "path": st.sampled_from(["/spec", "/spec/ports/0/port", "/spec/ports/-", "/metadata/labels/a~1b", "", "x", "/",
                             "/spec/ports/01", "/metadata/name", "/kind", "/status", "/spec/ports/-1"]),
    "value": ANYTHING}, optional={"from": st.sampled_from(["/spec", "/metadata/labels", "", "/spec/ports/0"])}),
    max_size=3)
FIXED = ["/", "/api", "/apis", "/api/v1", "/apis/discovery.k8s.io", "/apis/discovery.k8s.io/v1", "/apis/nosuch/v1",
         "/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1", "/openapi/v3/x", "/version", "/healthz", "/livez/x",
         "/api/v1/namespaces/default/pods/web/log", "/api/v1/watch/pods", "//", "/api//v1", "/%00"]


STORED = [one for one in KINDS if one.prefix]
FREE = "free"                                   # the name of objects that are not there yet
# What a client would send: method, whether it names an object, below it, Content-Type.
VERBS = [("GET", True, "", ""), ("GET", False, "", ""), ("POST", False, "", "application/json"),
         ("PUT", True, "", "application/json"), ("PUT", True, "/status", "application/json"),
         ("PATCH", True, "", "application/json-patch+json"), ("PATCH", True, "", "application/merge-patch+json"),
         ("PATCH", True, "", "application/strategic-merge-patch+json"),
         ("PATCH", True, "/status", "application/merge-patch+json"), ("DELETE", True, "", "application/json"),
         ("DELETE", False, "", "application/json")]
OF_KIND = {"Node": "worker1", "Namespace": "default", "ServiceCIDR": "web", "IPAddress": "10.96.0.9",
           "Lease": "worker1"}
PARTS = ["method", "path", "query", "accept", "type", "token", "bytes"]
STATUSES = st.fixed_dictionaries({"status": ANYTHING | st.fixed_dictionaries({}, optional={
    "conditions": st.lists(ANYTHING, max_size=2) | st.just([{"type": "Ready", "status": "True"}]),
    "containerStatuses": st.lists(ANYTHING, max_size=2), "podIP": LEAVES, "phase": LEAVES, "loadBalancer": ANYTHING,
    "addresses": ANYTHING, "nodeInfo": ANYTHING})})


@st.composite
def bodies(draw: st.DrawFn, kind: Kind, method: str, name: str, media: str, sub: str) -> object:
    """A body for a request, right or with a part that is another."""
    right = [json.loads(json.dumps(one)) for one in VALID if one["kind"] == kind.kind]
    if method == "DELETE":
        return draw(st.sampled_from(OPTIONS))
    if media == "application/json-patch+json":
        return draw(STEPS)
    value = draw(objects(kind) if not right else st.sampled_from(right) if draw(st.booleans()) else damaged(right))
    if sub:
        value |= draw(STATUSES)
    if isinstance(value.get("metadata"), dict) and draw(st.integers(0, 9)):
        value["metadata"]["name"] = name
    if method != "PATCH" or not draw(st.integers(0, 4)):
        return value
    return {key: value[key] for key in draw(st.lists(st.sampled_from(sorted(value)), max_size=3, unique=True))}


@st.composite
def requests(draw: st.DrawFn, token: str = "") -> Request:
    """A request that is right, or of which a part or two are others."""
    method, named, sub, media = draw(st.sampled_from(VERBS))
    kind = draw(st.sampled_from([one for one in STORED if one.status or not sub]))
    name = OF_KIND.get(kind.kind, "web") if named else FREE
    path = kind.path("default" if kind.namespaced else "", name if named else "") + sub
    body = json.dumps(draw(bodies(kind, method, name, media, sub))).encode() if media else b""
    accept, query, word = "application/json", "", token
    for part in draw(st.lists(st.sampled_from(PARTS), max_size=2)):
        if part == "method":
            method = draw(st.sampled_from(METHODS))
        elif part == "path":
            path = draw(st.sampled_from(FIXED) | st.sampled_from(NAMES).map(lambda one: f"{path}/{quote(one)}")
                        | st.sampled_from(NAMESPACES).map(lambda one: path.replace("/default/", f"/{one}/")))
        elif part == "query":
            one = draw(st.sampled_from(sorted(QUERY)))
            query += f"&{one}={quote(draw(st.sampled_from(QUERY[one])))}"
        elif part == "accept":
            accept = draw(st.sampled_from(ACCEPTS))
        elif part == "type":
            media = draw(st.sampled_from(TYPES))
        elif part == "token":
            word = draw(st.text(string.printable, max_size=9)) if draw(st.booleans()) else token
        else:
            body = draw(broken(body))
    headers = {"accept": accept, "content-type": media, "authorization": f"Bearer {word}"}
    return Request.to(method, f"{path}?{query}", headers, body)


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes of which a few are others, or none that could be read."""
    at = draw(st.integers(0, len(data)))
    damaged_bytes = data[:at] + draw(st.binary(max_size=4)) + data[at + draw(st.integers(0, 4)):]
    return draw(st.sampled_from([damaged_bytes, damaged_bytes, b"", b"[" * 5000, b'{"a":NaN}', b"k8s\0" + data, b"[]",
                                 b'{"metadata":{"name":"\\ud800"}}', b"null", b'{"spec":{"ports":[{"port":1e99}]}}',
                                 b"a: &a [*a]"]))

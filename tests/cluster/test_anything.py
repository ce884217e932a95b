"""Whatever is typed or given: an answer, never a traceback, and a cluster that works on."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8slab.cluster import Cluster
from k8slab.cluster.kinds import Kind
from k8slab.kubeproxy import read_objects

WORDS = st.sampled_from([
    "get", "describe", "delete", "create", "apply", "patch", "events", "api-resources", "svc", "pods", "po", "ep",
    "endpointslices", "nodes", "ns", "leases", "ip", "servicecidr", "all", "kubernetes", "web", "svc/web", "pod/web",
    "svc,ep", "-A", "-n", "kube-system", "default", "-l", "app=web", "app in (a,b)", "!a", "a b", "-o", "wide", "yaml",
    "json", "name", "jsonpath={.items[*].metadata.name}", "jsonpath={.a[?(@.b==1)]}", "jsonpath={.items[9]}",
    "/", "jsonpath={",
    "custom-columns=A:.metadata.name", "custom-columns=A", "--show-labels", "--sort-by", ".metadata.name", "-L", "tier",
    "--no-headers", "-f", "-", "nosuch", "-p", '{"spec":{"type":"NodePort"}}', '{"spec":null}', "[]", "{", "--type",
    "json", "merge", "service", "clusterip", "--tcp=80", "--tcp=x", "--clusterip=None", "--all", "--force",
    "--grace-period=0", "--wait=false", "--field-selector", "metadata.name=web", "--for", "pod/web", "--api-group=",
    "--show-kind", "--ignore-not-found", "--", "-z", "--frob", "--dry-run=client", "-h", ""])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-1, 70000), st.sampled_from(
    ["web", "TCP", "10.96.0.7", "None", "ClusterIP", "NodePort", "ExternalName", "Local", "http", "", "A b", "IPv4"]))
KEYS = st.sampled_from(["ports", "port", "targetPort", "name", "selector", "clusterIP", "clusterIPs", "type",
                        "protocol",
                        "nodePort", "externalName", "externalIPs", "sessionAffinity", "sessionAffinityConfig",
                        "clientIP",
                        "timeoutSeconds", "addresses", "ip", "conditions", "ready", "app", "containers", "image",
                        "cidrs",
                        "parentRef", "internalTrafficPolicy", "env", "value", "nodeName", "labels", "podIP"])
ANYTHING = st.recursive(LEAVES, lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)), max_leaves=12)
KINDS = st.sampled_from([("v1", "Service"), ("v1", "Endpoints"), ("v1", "Pod"), ("v1", "Node"), ("v1", "Namespace"),
                         ("discovery.k8s.io/v1", "EndpointSlice"), ("coordination.k8s.io/v1", "Lease"), ("v1", "Event"),
                         ("networking.k8s.io/v1", "ServiceCIDR"), ("networking.k8s.io/v1", "IPAddress"),
                         ("v1", "ConfigMap"), ("v1", "List")])
FIELDS = ("spec", "subsets", "endpoints", "ports", "addressType", "status", "items")
PATCHES = st.tuples(st.sampled_from(["strategic", "merge", "json"]), ANYTHING)


VALID = [
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"a": "b"},
                                                             "annotations": {"a": "b"}}, "spec": {
        "selector": {"app": "web"}, "type": "NodePort", "sessionAffinity": "ClientIP", "externalIPs": ["192.0.2.1"],
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}}, "clusterIP": "10.96.0.9",
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "nodePort": 30080, "protocol": "TCP"}]}},
    {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}, "subsets": [
        {"addresses": [{"ip": "10.0.0.1", "nodeName": "worker1"}], "ports": [{"name": "http", "port": 80}]}]},
    {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {
        "name": "web", "labels": {"kubernetes.io/service-name": "web"}, "finalizers": ["example.com/kept"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "u"}]},
     "addressType": "IPv4", "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "nodeName": "worker1",
             "targetRef": {"kind": "Pod", "name": "a"}}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {
        "containers": [{"name": "web", "image": "web:1", "env": [{"name": "A", "value": "b"}],
                        "ports": [{"name": "http", "containerPort": 80}]}], "nodeName": "worker1"}},
    {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "web"},
     "spec": {"cidrs": ["10.97.0.0/24"]}},
    {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "10.96.0.9"},
     "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "web"}}},
]


@st.composite
def damaged(draw: st.DrawFn, valid: list[dict] = VALID) -> dict:
    """A valid object, of which one value is another or missing."""
    obj = json.loads(json.dumps(draw(st.sampled_from(valid))))
    place, key = obj, draw(st.sampled_from([one for one in obj if one not in ("apiVersion", "kind")]))
    while isinstance(place[key], (dict, list)) and place[key] and draw(st.booleans()):
        place = place[key]
        key = draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else 0
    if draw(st.booleans()):
        place[key] = draw(ANYTHING)
    else:
        del place[key]
    return obj


@st.composite
def objects(draw: st.DrawFn, of: Kind | None = None) -> dict:
    version, kind = (of.api_version, of.kind) if of else draw(KINDS)
    metadata = draw(st.one_of(st.just({"name": "web"}), st.just({"name": "web", "labels": {"app": "web"}}), ANYTHING))
    return {"apiVersion": version, "kind": kind, "metadata": metadata,
            **draw(st.fixed_dictionaries({}, optional={field: ANYTHING for field in FIELDS}))}


def works_on(cluster: Cluster) -> None:
    cluster.advance(15)
    read_objects(cluster.objects())
    for command in ("get all,ep,endpointslices,nodes,ns,ip,servicecidr,leases,events -A -o wide",
                    "describe all,nodes -A", "get all,ep,endpointslices,nodes,ns -A -o yaml"):
        assert cluster.kubectl(command).status == 0
    assert "10.96.0.1 " in str(cluster.kubectl("get svc kubernetes"))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(WORDS, max_size=7), ANYTHING)
def test_any_command(words: list[str], given_text: object) -> None:
    cluster = Cluster(dns=False)
    answer = cluster.kubectl(words, json.dumps(given_text))
    assert answer.status in (0, 1)
    assert bool(answer.status) <= bool(answer.err)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(objects() | damaged() | damaged() | st.sampled_from(VALID), max_size=3),
       st.sampled_from(["create", "apply"]), st.lists(PATCHES, max_size=2))
def test_any_object(given_objects: list[dict], verb: str, patches: list) -> None:
    cluster = Cluster(dns=False)
    for one in given_objects:
        answer = cluster.kubectl(f"{verb} -f -", json.dumps(one))
        for kind in ("svc", "pod", "endpointslice"):
            for how, patch in patches:
                cluster.kubectl(["patch", kind, "web", "--type", how, "-p", json.dumps(patch)])
        assert bool(answer.status) <= bool(answer.err)
    works_on(cluster)

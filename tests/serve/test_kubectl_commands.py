"""A real kubectl changes what the lab stores, and sees it change."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time

import pytest

from k8slab.cluster.certificates import Authority
from k8slab.cluster.clock import EPOCH
from k8slab.serving import kubeconfig
from tests.cluster.test_kubectl import LABELS
from tests.serve.served import Served

pytestmark = pytest.mark.kubectl
WEB = """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.1.7]}]
"""


def done(process: subprocess.CompletedProcess[str]) -> str:
    """What a command printed that went well."""
    assert process.returncode == 0, process.stderr
    return process.stdout


def stored(served: Served, name: str) -> dict:
    return served.cluster.store.get(f"/registry/services/specs/default/{name}").value


def until(found: object, seconds: float = 10) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_apply_twice_and_once_more_with_a_change(served: Served) -> None:
    said = [done(served.kubectl("apply", "-f", "-", given=text)).splitlines()
            for text in (WEB, WEB, WEB.replace("targetPort: 8080", "targetPort: 9090"))]
    slice_ = "endpointslice.discovery.k8s.io/web-1 "
    assert said == [["service/web created", slice_ + "created"], ["service/web unchanged", slice_ + "unchanged"],
                    ["service/web configured", slice_ + "unchanged"]]
    assert stored(served, "web")["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": 9090, "protocol": "TCP"}]


@pytest.mark.parametrize(("how", "patch", "ports"), [
    ("strategic", {"spec": {"ports": [{"port": 81, "name": "more"}]}}, [80, 81]),
    ("merge", {"spec": {"ports": [{"port": 81, "name": "more"}]}}, [81]),
    ("json", [{"op": "replace", "path": "/spec/ports/0/port", "value": 82}], [82]),
])
def test_the_three_patches(served: Served, how: str, patch: object, ports: list[int]) -> None:
    done(served.kubectl("apply", "-f", "-", given=WEB))
    done(served.kubectl("patch", "svc", "web", "--type", how, "-p", json.dumps(patch)))
    assert sorted(one["port"] for one in stored(served, "web")["spec"]["ports"]) == ports


def test_server_side_apply_is_refused_in_words(served: Served) -> None:
    refused = served.kubectl("apply", "--server-side", "-f", "-", given=WEB)
    assert refused.returncode == 1 and "server-side apply is not supported here" in refused.stderr
    assert served.cluster.store.get("/registry/services/specs/default/web") is None


@pytest.mark.parametrize(("words", "key"), [
    (["service", "nodeport", "new", "--tcp=80:http", "--node-port=30080"], "services/specs/default/new"),
    (["namespace", "new"], "namespaces/new"),
    (["configmap", "new", "--from-literal=a=b"], "configmaps/default/new"),
    (["serviceaccount", "new"], "serviceaccounts/default/new"),
])
def test_create_and_delete(served: Served, words: list[str], key: str) -> None:
    """Newer clients send these as protobuf."""
    assert done(served.kubectl("create", *words)) == f"{words[0]}/new created\n"
    made = served.cluster.store.get(f"/registry/{key}").value
    if words[0] == "service":
        assert made["spec"]["ports"] == [{"name": "80-http", "protocol": "TCP", "port": 80, "targetPort": "http",
                                          "nodePort": 30080}]
        assert made["spec"]["type"] == "NodePort" and made["spec"]["selector"] == {"app": "new"}
    assert f'"{made["metadata"]["name"]}" deleted' in done(served.kubectl("delete", words[0], "new"))
    assert served.cluster.store.get(f"/registry/{key}") is None


def test_an_unknown_field_and_a_wrong_value_are_refused_and_nothing_is_stored(served: Served) -> None:
    for right, said in (("selector:", "selectr:"), ("port: 80,", "port: 70000,")):
        refused = served.kubectl("create", "-f", "-", given=WEB.partition("---")[0].replace(right, said))
        assert refused.returncode == 1 and said.strip("port:, ") in refused.stderr
    assert served.cluster.store.get("/registry/services/specs/default/web") is None


def test_dry_run_keeps_nothing(served: Served) -> None:
    before = served.cluster.store.revision
    assert "created (server dry run)" in done(served.kubectl("apply", "--dry-run=server", "-f", "-", given=WEB))
    assert served.cluster.store.revision == before


def test_diff_tells_what_apply_would_change(served: Served) -> None:
    done(served.kubectl("apply", "-f", "-", given=WEB))
    found = served.kubectl("diff", "-f", "-", given=WEB.replace("targetPort: 8080", "targetPort: 9090"))
    changed = [line.split()[-1] for line in found.stdout.splitlines() if line[:1] in "+-" and "targetPort:" in line]
    assert found.returncode == 1 and changed == ["8080", "9090"]
    assert not [line for line in found.stdout.splitlines() if line[:1] in "+-" and "resourceVersion" in line]


def test_get_w_prints_what_happens(served: Served) -> None:
    watching = served.start("get", "svc", "-w", "--output-watch-events", "--request-timeout=40s")
    try:
        assert watching.stdout.readline().split()[:2] == ["EVENT", "NAME"]
        assert watching.stdout.readline().split()[:2] == ["ADDED", "kubernetes"]
        done(served.kubectl("create", "service", "clusterip", "web", "--tcp=80"))
        assert watching.stdout.readline().split()[:2] == ["ADDED", "web"]
        done(served.kubectl("patch", "svc", "web", "-p", '{"spec":{"type":"NodePort"}}'))
        assert watching.stdout.readline().split()[:3] == ["MODIFIED", "web", "NodePort"]
        done(served.kubectl("delete", "svc", "web"))
        assert watching.stdout.readline().split()[:2] == ["DELETED", "web"]
    finally:
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=10)


def test_wait_waits_for_a_pod(served: Served) -> None:
    done(served.kubectl("run", "web", "--image=nginx"))
    waiting = served.start("wait", "--for=condition=Ready", "pod/web", "--timeout=20s")
    until(lambda: "WATCH" in [one.verb for one in served.cluster.log.between(0, who="kubernetes-admin")])
    with served.lock:
        served.cluster.advance(5)
    assert waiting.communicate(timeout=20)[0] == "pod/web condition met\n"


@pytest.mark.parametrize(("what", "words"), [
    ("service.spec.clusterIP", ["Service", "clusterIP", "string", "headless"]),
    ("endpointslices.endpoints.conditions", ["EndpointSlice", "ready", "boolean"]),
    ("nodes.spec.taints", ["Node", "effect", "string"]),
    ("lease", ["Lease", "coordination.k8s.io", "spec"]),
])
def test_explain(served: Served, what: str, words: list[str]) -> None:
    told = done(served.kubectl("explain", what))
    assert all(word in told for word in words)


def test_describe_tells_of_pods_nodes_and_services(served: Served) -> None:
    served.cluster.add_pod("web", node="worker1", ports=[("tcp", 80)])
    served.cluster.advance(3)
    assert "10.244.1.2" in done(served.kubectl("describe", "pod", "web"))
    assert "web" in done(served.kubectl("describe", "node", "worker1"))
    assert "10.106.175.128:6443" in done(served.kubectl("describe", "svc", "kubernetes"))


def test_sorting_selecting_and_formats_are_the_clients_and_the_servers(served: Served) -> None:
    done(served.kubectl("apply", "-f", "-", given=WEB))
    for words, out in [
        (["-l", "app=web", "-o", "name"], "service/web\n"),
        (["--field-selector", "metadata.name=web", "--no-headers", "-o", "custom-columns=N:.metadata.name"], "web\n"),
        (["--sort-by", ".metadata.name", "-o", "jsonpath={.items[*].metadata.name}"], "kubernetes web"),
        (["--chunk-size=1", "-o", "jsonpath={.items[*].metadata.name}"], "kubernetes web"),
    ]:
        assert done(served.kubectl("get", "svc", *words)) == out
    assert "app=web" in done(served.kubectl("get", "svc", "--show-labels", "-L", "app"))


def test_a_server_of_another_ca_or_a_wrong_token_is_refused(served: Served) -> None:
    for authority, token, said in ((Authority(EPOCH).pem, served.tokens.owner, "certificate"),
                                   (served.cluster.authority.pem, "wrong", "logged in")):
        served.config.write_text(kubeconfig(served.server, authority, token))
        refused = served.kubectl("get", "svc")
        assert refused.returncode == 1 and said in refused.stderr


def test_label_says_what_ours_says(served: Served) -> None:
    with served.lock:
        served.cluster.add_pod("web", ports=[("tcp", 8080)], node="worker1", address="10.244.1.7")
        served.cluster.advance(2)
    said = {words: served.kubectl("label", *shlex.split(words)) for words in LABELS}
    assert {words: sorted((one.stdout + one.stderr).splitlines()) for words, one in said.items()} == {
        words: sorted(text.splitlines()) for words, text in LABELS.items()}      # two errors come in no order

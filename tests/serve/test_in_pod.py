"""Programs in a Pod ask the API server through 10.96.0.1: on the model, and on the kernel a client of others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import pytest

from k8slab.application import Application, NotAnswered
from k8slab.cluster.certificates import Authority
from k8slab.cluster.clock import EPOCH
from k8slab.cluster.http.background import THREAD
from k8slab.cluster.kubelet import FOLDER
from k8slab.lab import Lab
from tests.serve.program import kubectl_program
from tests.serve.served import listening

SCRIPT = Path(__file__).with_name("in_pod.py")
PATH = "/api/v1/namespaces/default/services/kubernetes"
CHAINS = ("KUBE-SERVICES", "KUBE-SVC-NPX46M4PTMTKRN6Y", "KUBE-SEP-VDNPK4CXOQDGPWFC")


@pytest.fixture(scope="module", params=["model", pytest.param("kernel", marks=pytest.mark.kernel)])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(request.param, cluster=True) as one:
        yield one


def without(app: Application, name: str, instead: str | None = None) -> Application:
    """An application like this one, with another file, or without it."""
    files = {path: text for path, text in app.files.items() if not path.endswith(name)}
    files |= {f"{FOLDER}/{name}": instead} if instead is not None else {}
    return Application(app._dataplane, app.pod, app.environment, files)


def test_it_asks_for_the_service_that_carries_the_question(lab: Lab) -> None:
    answer = lab.application("client").get(PATH)
    assert (answer.status, answer.called, answer.obj["spec"]["clusterIP"]) == (200, "10.96.0.1:443", "10.96.0.1")
    assert answer.trace.received.destination == "10.106.175.128:6443"
    assert answer.trace.chains[:3] == CHAINS
    assert {"10.96.0.1", "10.106.175.128"} <= set(answer.names)


def test_the_labs_plain_question_is_answered_as_before(lab: Lab) -> None:
    lab.application("client").get(PATH)
    assert lab.connect("client", "10.96.0.1", 443).summary().endswith(
        "10.106.175.128:6443 answered, and the answer came back as 10.96.0.1:443.")


def test_a_wrong_token_a_wrong_ca_and_no_token(lab: Lab) -> None:
    app = lab.application("client")
    assert without(app, "token", "wrong").get(PATH).status == 401
    with pytest.raises(NotAnswered, match="self-signed certificate in certificate chain|unable to get local issuer|"
                                          "signature"):
        without(app, "ca.crt", Authority(EPOCH).pem).get(PATH)
    with pytest.raises(NotAnswered, match="are what an application needs"):
        without(app, "token").get(PATH)


def test_another_name_than_the_certificates_is_refused(lab: Lab) -> None:
    lab.kubectl("create -f -", given="""
kind: Service
apiVersion: v1
metadata: {name: door}
spec: {clusterIP: 10.96.0.77, ports: [{name: https, port: 443}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: door-1, labels: {kubernetes.io/service-name: door}}
addressType: IPv4
ports: [{name: https, port: 6443}]
endpoints: [{addresses: [10.106.175.128]}]
""")
    lab.advance(2)
    app = lab.application("client")
    app.environment["KUBERNETES_SERVICE_HOST"] = "10.96.0.77"
    with pytest.raises(NotAnswered, match="IP address mismatch, certificate is not valid for '10.96.0.77'"):
        app.get(PATH)
    lab.kubectl("delete svc door")
    lab.advance(2)


def test_what_no_rule_leads_anywhere_is_told(lab: Lab) -> None:
    app = lab.application("client")
    app.environment["KUBERNETES_SERVICE_HOST"] = "10.244.1.7"
    with pytest.raises(NotAnswered, match="client: 10.244.1.7:443: "):
        app.get(PATH)


def test_a_lab_without_a_cluster_has_none_to_ask() -> None:
    with Lab("model") as bare, pytest.raises(Exception, match="no cluster behind its rules"):
        bare.application("client")


def test_tls_travels_in_the_models_segments() -> None:
    """What is on the wire is no plain text, and no segment is larger than a link carries."""
    with Lab("model", cluster=True) as lab, lab.capture("client", "eth0") as frames:
        answer = lab.application("client").get(f"/openapi/v3/api/v1?long={'x' * 3000}")
        assert (answer.status, answer.obj["openapi"]) == (200, "3.0.0")
    segments = [frame["TCP"] for frame in frames if "TCP" in frame and frame["TCP"].payload]
    payloads = [bytes(one.payload) for one in segments]
    for port in (443, segments[0].sport):               # each byte has its place, in both directions
        own = [one for one in segments if one.sport == port]
        ends = [one.seq + len(bytes(one.payload)) for one in own]
        assert [one.seq for one in own][1:] == ends[:-1]
    assert payloads[0][:2] == b"\x16\x03" and max(map(len, payloads)) == 1460 < sum(map(len, payloads))
    assert not [one for one in payloads if b"GET " in one or b"kubernetes-admin" in one or b"openapi" in one]


def test_each_of_several_api_servers_answers_with_its_own_certificate() -> None:
    from k8slab.cluster import Cluster
    with Lab("model", cluster=lambda: Cluster(api_servers=3)) as lab:
        found = {}
        for _ in range(12):
            answer = lab.application("client").get("/version")
            found[answer.trace.received.dst] = answer.names[0]
        assert found == {"10.106.175.128": "k8smaster", "10.106.175.129": "k8smaster2", "10.106.175.130": "k8smaster3"}


def test_the_model_runs_no_program() -> None:
    with Lab("model", cluster=True) as lab, pytest.raises(NotAnswered, match="the model runs no real program"):
        lab.application("client").run(["python", "-c", ""])


@pytest.mark.kernel
@pytest.mark.parametrize("how", ["fixed", "told"])
def test_the_kubernetes_client_in_a_pod(how: str) -> None:
    assert util.find_spec("kubernetes"), "the Python client is not here: pip install k8slab[test]"
    with Lab("kernel", cluster=True) as lab:
        printed, trace = lab.application("client").run(["python", str(SCRIPT), how], mount=how == "fixed")
        assert printed.splitlines() == [
            "host https://10.96.0.1:443", f"token {FOLDER}/token" if how == "fixed" else "token /proc/self/fd/5",
            "services kubernetes", "patched a made", "dropped ProtocolError",
            "watched MODIFIED first, ADDED second, DELETED first", "gone 404"]
        assert trace.chains[:3] == CHAINS and trace.received.destination == "10.106.175.128:6443"
        assert trace.sent.destination == "10.96.0.1:443"


@pytest.mark.kernel
def test_the_accounts_files_are_that_pods_alone() -> None:
    with Lab("kernel", cluster=True) as lab:
        app = lab.application("client")
        look = ["python", "-c", f"import os; print(sorted(os.listdir('{FOLDER}')), os.listdir('/var/run'))"]
        assert app.run(look)[0] == "['ca.crt', 'namespace', 'token'] ['secrets']\n"
        assert not Path(FOLDER).exists()
        assert "secrets" not in lab.run("client", "ls /var/run/")


@pytest.mark.kernel
def test_outside_the_lab_nothing_is_listened_on() -> None:
    before = listening()
    with Lab("kernel", cluster=True) as lab:
        assert lab.application("client").get(PATH).status == 200
        assert listening() == before


@pytest.mark.kernel
def test_the_thread_ends_with_the_lab() -> None:
    def threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == THREAD]
    before = len(threads())
    with Lab("kernel", cluster=True) as lab:
        lab.application("client").get(PATH)
        assert len(threads()) == before + 1
    for one in threads()[before:]:
        one.join(10)
    assert len(threads()) == before


@pytest.mark.kernel
@pytest.mark.kubectl
def test_a_real_kubectl_in_a_pod_finds_the_api_server_by_what_kubelet_gave_it() -> None:
    with Lab("kernel", cluster=True) as lab:
        app = lab.application("client")
        printed, trace = app.run([kubectl_program(), "get", "svc", "-o", "name", "--cache-dir=/var/run/cache"])
        assert printed == "service/kubernetes\n"
        assert trace.chains[:3] == CHAINS and trace.sent.destination == "10.96.0.1:443"
        app.run([kubectl_program(), "create", "service", "clusterip", "web", "--tcp=80", "--clusterip=10.96.0.7"])
        lab.advance(2)
        assert "10.96.0.7" in lab.run("worker1", "iptables-save")

"""kubectl's outputs beside the recorded ones: formats, watches, changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from k8slab.cli import main
from k8slab.cluster import Cluster
from k8slab.cluster.kubectl.jsonpath import rendered
from k8slab.cluster.kubectl.output import as_yaml
from k8slab.cluster.kubectl.tabs import GET, aligned

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: more, port: 81}]
"""
NESTED = {"items": [{"n": 1, "t": "a", "s": {"x": [1, 2, 3]}}, {"n": 2, "t": "b", "s": {"x": []}}], "a.b": "dots"}
PATHS = [
    ("{.items[*].t}", "a b"), ("{.items[0].t}{.items[-1].t}", "ab"), ("{.items[0:1].n}", "1"),
    ("{.items[0].s.x[0,2]}", "1 3"), ('{.items[?(@.t=="b")].n}', "2"), ("{.items[?(@.n<2)].t}", "a"),
    ("{.items[?(@.nothing)].t}", ""), ("{..n}", "1 2"), (r"{.a\.b}", "dots"), ("{['a.b']}", "dots"), ("{.nothing}", ""),
    ('{range .items[*]}{.t}{"\\t"}{.s.x}{"\\n"}{end}', "a\t[1,2,3]\nb\t[]\n"), ("no braces", "no braces"),
    ("{.items[0].s}", '{"x":[1,2,3]}'), ("{$.items[0].n}", "1"),
]


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster(dns=False)
    cluster.add_pod("web", ports=[("tcp", 8080)], node="worker1", address="10.244.1.7")
    cluster.advance(2)
    return cluster


@pytest.mark.parametrize(("template", "text"), PATHS, ids=[template for template, _ in PATHS])
def test_a_jsonpath_template(template: str, text: str) -> None:
    assert rendered(template, NESTED) == text


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(st.characters(
    codec="ascii", exclude_categories=["Cc"])), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1), inner, max_size=3))


@given(JSON)
def test_yaml_comes_back_as_it_was(value: object) -> None:
    assert yaml.safe_load(as_yaml(value)) == value


@given(st.lists(st.lists(st.text("ab", max_size=9), min_size=3, max_size=3), min_size=1, max_size=5))
def test_columns_begin_below_each_other(rows: list[list[str]]) -> None:
    lines = aligned(rows, **GET).splitlines()
    widths = [max(6, max(len(row[column]) for row in rows) + 3) for column in range(2)]
    for row, line in zip(rows, lines, strict=True):
        assert line == row[0].ljust(widths[0]) + row[1].ljust(widths[1]) + row[2]


def test_every_format_tells_the_same(cluster: Cluster) -> None:
    as_json = json.loads(cluster.kubectl("get svc,pods -A -o json").out)
    assert as_json == yaml.safe_load(cluster.kubectl("get svc,pods -A -o yaml").out)
    names = cluster.kubectl("get svc,pods -A -o name").out.splitlines()
    assert names == [f"{one['kind'].lower()}/{one['metadata']['name']}" for one in as_json["items"]]
    custom = cluster.kubectl("get svc,pods -A -o custom-columns=NAME:.metadata.name --no-headers").out
    assert custom.split() == [one["metadata"]["name"] for one in as_json["items"]]


def test_selectors_sort_and_labels(cluster: Cluster) -> None:
    cluster.kubectl("apply -f -", stdin=WEB)
    assert cluster.kubectl("get svc -l app=web -o name").out == "service/web\n"
    assert cluster.kubectl("get svc -l app!=web -o name").out == "service/kubernetes\n"
    assert cluster.kubectl("get svc --field-selector metadata.name=web -o name").out == "service/web\n"
    assert cluster.kubectl("get svc --sort-by=.spec.ports[0].port -o name").out == "service/web\nservice/kubernetes\n"
    assert "app=web" in cluster.kubectl("get svc web --show-labels").out
    assert cluster.kubectl("get pods -A -L tier").out.splitlines()[0].endswith("TIER")


def test_flags_may_come_first_and_the_word_kubectl_too(cluster: Cluster) -> None:
    assert str(cluster.kubectl("-n kube-system get pods")) == str(cluster.kubectl("kubectl get po -nkube-system"))


def test_grep_filters_what_is_printed_and_not_the_warnings(cluster: Cluster) -> None:
    answer = cluster.kubectl("get endpoints -A | grep -v NAME")
    assert answer.out.startswith("default")
    assert answer.err.startswith("Warning")
    assert cluster.kubectl("get svc | grep nosuch").status == 1


def test_a_watch_shows_the_service_die_and_return(cluster: Cluster) -> None:
    watch = cluster.watch("get svc kubernetes -w --output-watch-events")
    cluster.kubectl("delete svc kubernetes")
    cluster.advance(11)
    watch.close()
    cluster.kubectl("delete svc kubernetes")
    assert [line.split()[:2] for line in watch.text.splitlines()] == [
        ["EVENT", "NAME"], ["ADDED", "kubernetes"], ["DELETED", "kubernetes"], ["ADDED", "kubernetes"]]


def test_a_watch_for_some_seconds(cluster: Cluster) -> None:
    before = cluster.clock.now
    cluster.kubectl("delete endpoints kubernetes")
    lines = str(cluster.kubectl("get endpoints -w", seconds=11)).splitlines()
    assert cluster.clock.now == before + 11
    assert [line.split()[:2] for line in lines] == [["Warning:", "v1"], ["NAME", "ENDPOINTS"],
                                                    ["kubernetes", "10.106.175.128:6443"]]


def test_apply_creates_changes_takes_away_and_leaves_alone(cluster: Cluster) -> None:
    said = [str(cluster.kubectl("apply -f -", stdin=text)) for text in (
        WEB, WEB, WEB.replace(", {name: more, port: 81}", "").replace("8080", "8081")
        .replace(", labels: {app: web}", ""))]
    assert said == ["service/web created", "service/web unchanged", "service/web configured"]
    ports = cluster.kubectl("get svc web -o jsonpath={.spec.ports}").out
    assert json.loads(ports) == [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8081}]
    assert cluster.kubectl("get svc -l app").out == ""
    assert "last-applied" not in str(cluster.kubectl("describe svc web"))


def test_apply_warns_where_something_was_not_applied_before(cluster: Cluster) -> None:
    cluster.kubectl("create -f -", stdin=WEB)
    answer = cluster.kubectl("apply -f -", stdin=WEB)
    assert answer.err.startswith("Warning: resource services/web is missing the kubectl.kubernetes.io/last-applied")
    assert answer.out == "service/web configured\n"


def test_patches_of_three_kinds(cluster: Cluster) -> None:
    cluster.kubectl("create -f -", stdin=WEB)
    for how, text in (("strategic", '{"spec": {"ports": [{"port": 80, "targetPort": 1}]}}'),
                      ("json", '[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 2}]'),
                      ("merge", '{"spec": {"ports": [{"port": 80, "targetPort": 3}]}}')):
        assert str(cluster.kubectl(["patch", "svc", "web", "--type", how, "-p", text])) == "service/web patched"
        left = cluster.kubectl("get svc web -o jsonpath={.spec.ports[*].targetPort}").out
        assert left == {"strategic": "1 81", "json": "2 81", "merge": "3"}[how]
    assert str(cluster.kubectl(["patch", "svc", "web", "-p", "{}"])) == "service/web patched (no change)"
    assert str(cluster.kubectl(["patch", "svc", "web", "-p", '{"spec": {"frob": 1}}'])) == (
        'Warning: unknown field "spec.frob"\nservice/web patched (no change)')


def test_delete_waits_until_the_pod_is_gone(cluster: Cluster) -> None:
    before = cluster.clock.now
    assert str(cluster.kubectl("delete pod web")) == 'pod "web" deleted from default namespace'
    assert cluster.clock.now > before
    assert cluster.kubectl("get pod web").status == 1
    assert str(cluster.kubectl("create ns a")) == "namespace/a created"
    assert str(cluster.kubectl("delete ns a")) == 'namespace "a" deleted'


def test_describe_says_what_happened_to_a_pod(cluster: Cluster) -> None:
    cluster.add_pod("api")
    cluster.advance(3)
    text = str(cluster.kubectl("describe pod api"))
    assert "Node:             worker1/10.106.175.131" in text
    assert "Successfully assigned default/api to worker1" in text
    assert text.index("Scheduled") < text.index("Started  ")
    assert "kube-apiserver" in str(cluster.kubectl("describe node k8smaster"))


def test_in_a_shell(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Whatever follows `k8slab kubectl` is kubectl's, flags first or last; files are the shell's."""
    assert main(["kubectl", "-n", "default", "get", "svc", "kubernetes", "-o", "name"]) == 0
    assert capsys.readouterr() == ("service/kubernetes\n", "")
    assert main(["kubectl", "get", "svc", "nosuch"]) == 1
    assert capsys.readouterr() == ("", 'Error from server (NotFound): services "nosuch" not found\n')
    file = tmp_path / "web.yaml"
    file.write_text(WEB)
    assert main(["kubectl", "apply", "-f", str(file)]) == 0
    assert capsys.readouterr().out == "service/web created\n"


def test_yaml_moments_stay_text(cluster: Cluster) -> None:
    text = ("{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: a}, spec: {holderIdentity: b, "
            "renewTime: 2026-01-01T00:00:00.000000Z}}")
    assert str(cluster.kubectl("create -f -", stdin=text)) == "lease.coordination.k8s.io/a created"


# kubectl 1.32 says the same of each, word by word (tests/serve/test_kubectl_commands.py).
LABELS = {
    "pods web tier=front": "pod/web labeled\n", "pods web tier=front --overwrite": "pod/web not labeled\n",
    "pods web tier=back": "error: 'tier' already has a value (front), and --overwrite is false\n",
    "pods web tier=back app=other": "'tier' already has a value (front), and --overwrite is false\n"
                                    "'app' already has a value (web), and --overwrite is false\n",
    "--overwrite pods web tier=back": "pod/web labeled\n", "pod/web tier-": "pod/web unlabeled\n",
    "pods web nosuch-": 'label "nosuch" not found.\npod/web not labeled\n',
    "pods nosuch a=b": 'Error from server (NotFound): pods "nosuch" not found\n',
    "pods a=b": "error: resource(s) were provided, but no name was specified\n",
    "pods web": "error: at least one label update is required\n",
    "a=b": "error: one or more resources must be specified as <resource> <name> or <resource>/<name>\n",
    "pods web a=b=c": "error: invalid label spec: a=b=c\n",
    "pods web x=1 x-": "error: can not both modify and remove a label in the same command\n",
    "pods web a=b wrong": "error: all resources must be specified before label changes: wrong\n",
    "pods -l app=web all=1": "pod/web labeled\n", "svc kubernetes a=b": "service/kubernetes labeled\n",
    "node/worker1 node/k8smaster c=d": "node/worker1 labeled\nnode/k8smaster labeled\n",
    "pods,svc web q=1": 'pod/web labeled\nError from server (NotFound): services "web" not found\n',
    "pods web dry=1 --dry-run=client": "pod/web labeled (dry run)\n", "pods web -o name z=1": "pod/web\n",
}


def test_label_sets_and_takes_away_in_the_real_ones_words(cluster: Cluster) -> None:
    for words, says in LABELS.items():
        answer = cluster.kubectl(f"label {words}")
        assert ("".join(text for _, text in answer.parts), answer.status) == (says, int("error" in says.lower()
                                                                                        or "already" in says)), words
    labels = {"all": "1", "app": "web", "q": "1", "z": "1"}
    assert cluster.pod("web")["metadata"]["labels"] == labels
    assert "invalid label value: \"a=-b\": a valid label must be" in str(cluster.kubectl("label pods web a=-b"))


def test_a_label_brings_a_pod_to_a_service(cluster: Cluster) -> None:
    cluster.kubectl("create service clusterip shop --tcp=80:8080")
    cluster.advance(2)
    assert "<unset>" in cluster.kubectl("get endpointslices | grep shop").out
    cluster.kubectl("label pods web app=shop --overwrite")
    cluster.advance(2)
    assert "10.244.1.7" in cluster.kubectl("get endpointslices | grep shop").out

"""The API over HTTPS: who may ask, tables, changes, deletions, discovery."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest

from k8slab.cluster.http import protobuf
from k8slab.cluster.kinds import KINDS, POD, SERVICE
from k8slab.cluster.node import new_pod
from tests.serve.served import Served, listening

SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def service(name: str, **labels: str) -> dict:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels},
            "spec": {"ports": [{"port": 80}]}}


def make(served: Served, *names: str) -> list[dict]:
    """Services of these names, as they were stored."""
    return [served.ask("POST", SERVICES, service(name, app=name))[1] for name in names]


@pytest.mark.parametrize("header", [{}, {"Authorization": ""}, {"Authorization": "Bearer"},
                                    {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"},
                                    {"Authorization": "Bearer a.b.c"}, {"Authorization": "Bearer \u00e9"}])
@pytest.mark.parametrize("path", [SERVICES, "/api", "/version", "/openapi/v2", "/healthz", "/nosuch"])
def test_no_token_and_a_wrong_one_are_401(served: Served, header: dict[str, str], path: str) -> None:
    status, body = served.raw("GET", path, b"", header)
    assert status == 401
    assert json.loads(body) == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                "message": "Unauthorized", "reason": "Unauthorized", "code": 401}


def test_a_pods_token_is_good_while_it_holds_and_the_pod_lives(served: Served) -> None:
    cluster = served.cluster
    cluster.add_pod("web", node="worker1")
    cluster.advance(3)
    token = next(text for path, text in cluster.account_files("web").items() if path.endswith("/token"))
    bearer = {"Authorization": f"Bearer {token}"}
    assert served.raw("GET", SERVICES, b"", bearer)[0] == 200
    start, _, signature = token.rpartition(".")
    assert served.raw("GET", SERVICES, b"", {"Authorization": f"Bearer {start}.{signature[::-1]}"})[0] == 401
    with served.lock:
        cluster.advance(3600)
    assert served.raw("GET", SERVICES, b"", bearer)[0] == 200
    with served.lock:
        cluster.advance(10)
    assert served.raw("GET", SERVICES, b"", bearer)[0] == 401


def test_the_token_of_a_pod_that_is_gone_is_no_good(served: Served) -> None:
    served.cluster.add_pod("web", node="worker1")
    served.cluster.advance(3)
    token = next(text for path, text in served.cluster.account_files("web").items() if path.endswith("/token"))
    assert served.raw("GET", SERVICES, b"", {"Authorization": f"Bearer {token}"})[0] == 200
    served.ask("DELETE", f"{PODS}/web?gracePeriodSeconds=0")
    assert served.raw("GET", SERVICES, b"", {"Authorization": f"Bearer {token}"})[0] == 401


def test_two_labs_have_no_token_in_common(served: Served, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Served(served.cluster.again(), tmp_path / "other")
    try:
        for one in (served, other):
            one.cluster.add_pod("web", node="worker1")
            one.cluster.advance(3)
        token = next(text for path, text in other.cluster.account_files("web").items() if path.endswith("/token"))
        assert other.tokens.owner != served.tokens.owner
        for word in (token, other.tokens.owner):
            assert served.raw("GET", SERVICES, b"", {"Authorization": f"Bearer {word}"})[0] == 401
    finally:
        other.close()


def test_without_the_labs_ca_nothing_is_trusted(served: Served) -> None:
    with pytest.raises(ssl.SSLCertVerificationError), \
            socket.create_connection(("127.0.0.1", served.port)) as door:
        ssl.create_default_context().wrap_socket(door, server_hostname="127.0.0.1")


def test_a_table_has_the_kinds_columns_and_the_objects_metadata(served: Served) -> None:
    make(served, "a")
    status, found = served.ask("GET", SERVICES, Accept=TABLE)
    names = [one["name"] for one in found["columnDefinitions"] if one["priority"] == 0]
    assert (found["kind"], names) == ("Table", ["Name", "Type", "Cluster-Ip", "External-Ip", "Port(s)", "Age"])
    row = found["rows"][0]
    assert row["cells"][0] == "a" and row["object"]["kind"] == "PartialObjectMetadata"
    status, whole = served.ask("GET", f"{SERVICES}/a?includeObject=Object", Accept=TABLE)
    assert whole["rows"][0]["object"]["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_a_change_that_came_too_late_is_a_conflict(served: Served) -> None:
    made = make(served, "a")[0]
    late = {**made, "metadata": {**made["metadata"], "labels": {"late": "yes"}}}
    assert served.ask("PATCH", f"{SERVICES}/a", {"metadata": {"labels": {"x": "y"}}},
                      Content_Type="application/merge-patch+json")[0] == 200
    status, said = served.ask("PUT", f"{SERVICES}/a", late)
    assert (status, said["reason"], said["details"]["name"]) == (409, "Conflict", "a")
    stored = served.ask("GET", f"{SERVICES}/a")[1]
    assert stored["metadata"]["labels"] == {"app": "a", "x": "y"}


def test_delete_asks_for_what_its_preconditions_say(served: Served) -> None:
    uid = make(served, "a")[0]["metadata"]["uid"]
    status, said = served.ask("DELETE", f"{SERVICES}/a", {"preconditions": {"uid": "another"}})
    assert (status, said["reason"]) == (409, "Conflict") and "Precondition failed: uid" in said["message"]
    status, said = served.ask("DELETE", f"{SERVICES}/a", {"preconditions": {"uid": uid}})
    assert (status, said["kind"], said["metadata"]["name"]) == (200, "Service", "a")
    assert served.ask("GET", f"{SERVICES}/a")[0] == 404


def test_delete_gives_a_pod_its_time_and_takes_a_collection_by_its_labels(served: Served) -> None:
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "x"}), ("c", {"app": "y"})):
        served.ask("POST", PODS, new_pod(name, "default", labels, "web:1", nodeName="worker1"))
    with served.lock:
        served.cluster.advance(3)
    status, said = served.ask("DELETE", f"{PODS}/a", {"gracePeriodSeconds": 5})
    assert said["metadata"]["deletionGracePeriodSeconds"] == 5
    assert served.ask("DELETE", f"{PODS}?labelSelector=app%3Dx&gracePeriodSeconds=0")[0] == 200
    assert [one["metadata"]["name"] for one in served.ask("GET", PODS)[1]["items"]] == ["c"]


def test_dry_run_of_every_verb_changes_nothing(served: Served) -> None:
    made = make(served, "a")[0]
    before = served.cluster.store.revision
    tried = [("POST", SERVICES, service("b"), {}), ("PUT", f"{SERVICES}/a", made, {}),
             ("PATCH", f"{SERVICES}/a", {"spec": {"type": "NodePort"}},
              {"Content_Type": "application/merge-patch+json"}),
             ("DELETE", f"{SERVICES}/a", None, {}), ("DELETE", SERVICES, None, {})]
    for method, path, body, headers in tried:
        assert served.ask(method, f"{path}?dryRun=All", body, **headers)[0] in (200, 201)
    assert served.cluster.store.revision == before


@pytest.mark.parametrize(("how", "status", "warned"), [("Strict", 400, False), ("Warn", 201, True),
                                                       ("Ignore", 201, False), ("", 201, True)])
def test_field_validation(served: Served, how: str, status: int, warned: bool) -> None:
    obj = service("a")
    obj["spec"]["prts"] = []
    with served.connection() as connection:
        connection.request("POST", f"{SERVICES}?fieldValidation={how}", json.dumps(obj).encode(),
                           {"Authorization": f"Bearer {served.tokens.owner}", "Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, "spec.prts" in answer.headers.get("Warning", "")) == (status, warned)
        answer.read()
    if status == 201:
        assert "prts" not in served.ask("GET", f"{SERVICES}/a")[1]["spec"]


def fields(data: bytes, number: int) -> list[bytes]:
    """The values of a field of a protobuf message."""
    return [value for found, value in protobuf._fields(data) if found == number]


def test_older_clients_read_the_same_as_protobuf(served: Served) -> None:
    wanted = served.ask("GET", "/openapi/v2")[1]
    form = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    data = served.ask("GET", "/openapi/v2", Accept=form)[1]
    paths = {fields(one, 1)[0].decode() for one in fields(fields(data, 8)[0], 2)}
    assert paths == set(wanted["paths"])
    definitions = {fields(one, 1)[0].decode(): fields(one, 2)[0] for one in fields(fields(data, 9)[0], 1)}
    assert set(definitions) == set(wanted["definitions"])
    for name, schema in definitions.items():
        told = {fields(one, 1)[0].decode(): fields(one, 2)[0] for one in (
            fields(fields(schema, 25)[0], 1) if fields(schema, 25) else [])}
        properties = wanted["definitions"][name].get("properties", {})
        assert set(told) == set(properties)
        assert {one: [text.decode() for text in fields(value, 1)] for one, value in told.items()} == {
            one: [value["$ref"]] if "$ref" in value else [] for one, value in properties.items()}


@pytest.mark.parametrize(("method", "path", "status"), [
    ("HEAD", f"{SERVICES}?watch=true", 405), ("HEAD", "/version", 200), ("POST", "/version", 405),
    ("OPTIONS", SERVICES, 405), ("PATCH", SERVICES, 405), ("POST", "/api/v1/services", 405),
    ("PUT", "/openapi/v2", 405),
    ("POST", "/api/v1/namespaces/default/secrets", 405), ("GET", "/api/v1/namespaces/default/nodes", 404),
    ("GET", f"{SERVICES}/kubernetes/scale", 404), ("GET", "/api/v2/pods", 404)])
def test_what_cannot_be_done_there(served: Served, method: str, path: str, status: int) -> None:
    bearer = {"Authorization": f"Bearer {served.tokens.owner}"}
    assert served.raw(method, path, b"", bearer)[0] == status
    assert served.raw("GET", SERVICES, b"", bearer)[0] == 200


def test_yaml_is_read_and_written(served: Served) -> None:
    body = b"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80}]}}"
    bearer = {"Authorization": f"Bearer {served.tokens.owner}", "Content-Type": "application/yaml",
              "Accept": "application/yaml"}
    status, text = served.raw("POST", SERVICES, body, bearer)
    assert status == 201 and b"\n  name: a\n" in text


def test_discovery_tells_the_same_to_old_and_new_clients(served: Served) -> None:
    wanted = {(one.group, one.plural) for one in KINDS}
    form = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found = set()
    for path in ("/api", "/apis"):
        for group in served.ask("GET", path, Accept=form)[1]["items"]:
            found |= {(group["metadata"].get("name", ""), one["resource"]) for one in group["versions"][0]["resources"]}
    assert found == wanted
    old = {("", one["name"]) for one in served.ask("GET", "/api/v1")[1]["resources"]}
    for group in served.ask("GET", "/apis")[1]["groups"]:
        listed = served.ask("GET", f"/apis/{group['preferredVersion']['groupVersion']}")[1]["resources"]
        old |= {(group["name"], one["name"]) for one in listed}
    assert {one for one in old if "/" not in one[1]} == wanted


def test_every_path_of_openapi_can_be_asked(served: Served) -> None:
    paths = served.ask("GET", "/openapi/v2")[1]["paths"]
    for kind in (SERVICE, POD):
        assert {"get", "put", "patch", "delete"} == set(paths[kind.path("{namespace}", "{name}")])
    for where in served.ask("GET", "/openapi/v3")[1]["paths"].values():
        document = served.ask("GET", where["serverRelativeURL"])[1]
        names = set(document["components"]["schemas"])
        text = json.dumps(document)
        assert all(one.partition('"')[0] in names for one in text.split("#/components/schemas/")[1:])


def test_the_listener_is_on_loopback_alone(served: Served) -> None:
    assert all(one.startswith("0100007F:") for one in listening())
    assert f"0100007F:{served.port:04X}" in listening()

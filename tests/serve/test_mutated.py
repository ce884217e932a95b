"""Requests that nobody would send: no 500, nothing lost, nothing half written, and the server goes on."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8slab.cluster import Cluster
from k8slab.cluster.http import Api, Request, Response, Tokens
from k8slab.cluster.kinds import IP_ADDRESS, KINDS, SERVICE
from tests.cluster.test_anything import VALID, works_on
from tests.serve.mutated import STATUSES, requests
from tests.serve.served import Served

TOKEN = "a token that the requests know"
ANY = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def api_with_objects() -> Api:
    """A cluster in which what the requests name is there."""
    cluster = Cluster(dns=False)
    tokens = Tokens(cluster)
    tokens.owner = TOKEN
    api = Api(cluster, tokens)
    client = cluster.client("test")
    for obj in VALID:
        kind = next(one for one in KINDS if one.kind == obj["kind"])
        if kind is not IP_ADDRESS:
            client.create(obj, kind, "default" if kind.namespaced else "")
    cluster.clock.run()
    return api


def whole(cluster: Cluster) -> None:
    """Every Service has the address that it says, and every address the Service that it names."""
    registry = cluster.choose()
    services = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in registry.list(SERVICE)[0]}
    owners = {one["metadata"]["name"]: one["spec"]["parentRef"] for one in registry.list(IP_ADDRESS)[0]}
    for (namespace, name), service in services.items():
        if service["spec"].get("clusterIP", "None") != "None":
            owner = owners[service["spec"]["clusterIP"]]
            assert (owner.get("namespace"), owner["name"]) == (namespace, name)


def ask(api: Api, request: Request) -> None:
    """Ask, and look at what came of it."""
    store, before = api.cluster.store, api.cluster.store.revision
    answer = api.answer(request)
    if not isinstance(answer, Response):
        for event in answer.watch.take():
            json.loads(answer.line(event))
        answer.watch.close()
        return
    assert answer.status < 500 or answer.status == 504 and b"Too large resource version" in answer.body
    if answer.status >= 400:
        assert store.revision == before, "what was refused has changed something"
        if answer.type == "application/json":
            said = json.loads(answer.body)
            assert (said["kind"], said["code"]) == ("Status", answer.status)
    elif request.method in ("GET", "HEAD") or request.query.get("dryRun") == "All":
        assert store.revision == before
    elif request.method in ("POST", "PUT", "PATCH") and answer.type == "application/json":
        kept(api, request, json.loads(answer.body))
    api.cluster.clock.run()


def kept(api: Api, request: Request, said: dict) -> None:
    """What the answer says was stored is what the store has."""
    if "metadata" not in said or said["kind"] in ("Table", "PartialObjectMetadata") or b"dryRun" in request.body:
        return
    kind = next(one for one in KINDS if one.kind == said["kind"])
    there = api.cluster.choose().find(kind, said["metadata"].get("namespace", ""), said["metadata"]["name"])
    gone = said["metadata"].get("deletionTimestamp") and there is None
    assert gone or there == said


@settings(max_examples=60, **ANY)
@given(st.lists(requests(TOKEN), min_size=1, max_size=8))
def test_any_requests(asked: list[Request]) -> None:
    api = api_with_objects()
    for request in asked:
        ask(api, request)
    whole(api.cluster)


@settings(max_examples=25, **ANY)
@given(st.lists(st.tuples(st.sampled_from(["nodes/worker1", "namespaces/default/pods/web", "namespaces/default",
                                           "namespaces/default/services/web"]), STATUSES), min_size=1, max_size=4))
def test_any_status(asked: list[tuple[str, dict]]) -> None:
    api = api_with_objects()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    for where, status in asked:
        body = {"metadata": {"name": where.rpartition("/")[2]}, **status}
        ask(api, Request("PUT", f"/api/v1/{where}/status", {}, headers, json.dumps(body).encode()))
    works_on(api.cluster)


@pytest.mark.slow
@settings(max_examples=1500, **ANY)
@given(st.lists(requests(TOKEN), min_size=7, max_size=10))
def test_ten_thousand_requests(asked: list[Request]) -> None:
    api = api_with_objects()
    for request in asked:
        ask(api, request)
    whole(api.cluster)
    works_on(api.cluster)


@settings(max_examples=150, **ANY)
@given(request=requests(TOKEN))
def test_the_same_over_tls(shared: Served, request: Request) -> None:
    path = request.path.encode("utf-8", "replace").decode("latin-1")
    target = "".join(one if "!" <= one <= "~" and one not in "?#%" else f"%{ord(one):02x}" for one in path)
    headers = {name: value.encode("ascii", "ignore").decode().translate({code: None for code in range(32)})
               for name, value in request.headers.items()}
    with shared.connection() as connection:
        connection.request(request.method, target, request.body, headers)
        answer = connection.getresponse()
        assert answer.status < 500 or answer.status == 504
        answer.read()
        connection.request("GET", "/api/v1/namespaces/default", headers={"Authorization": f"Bearer {TOKEN}"})
        assert connection.getresponse().status == 200


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Served:
    one = Served(Cluster(dns=False), tmp_path_factory.mktemp("served"))
    one.tokens.owner = TOKEN
    yield one
    one.close()

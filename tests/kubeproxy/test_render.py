"""`k8slab render`: files and pipes, JSON and YAML, what is missing, and what the API would refuse."""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path

import pytest
import yaml

from k8slab.cli import main
from k8slab.kubeproxy import ObjectError, read_objects
from k8slab.lab import kube_proxy_rules
from tests.kubeproxy.clusters import cluster
from tests.kubeproxy.golden import FOLDER, NAMES, in_order, objects, recorded

FLAGS = ["--node", "k8smaster", "--node-ip", "10.106.175.128", "--zone", "zone-a", "--pod-cidr", "10.244.0.0/16"]
NODE = {
    "kind": "Node",
    "metadata": {"name": "worker1", "labels": {"topology.kubernetes.io/zone": "zone-a"}},
    "status": {
        "addresses": [{"type": "Hostname", "address": "worker1"}, {"type": "InternalIP", "address": "10.106.175.131"}]
    },
}


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        status = main(["render", *words])
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr()
    return status, said.out, said.err


def written(tmp_path: Path, *items: dict) -> str:
    file = tmp_path / "objects.json"
    file.write_text(json.dumps({"kind": "List", "items": list(items)}))
    return str(file)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_cluster(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, str(FOLDER / f"{name}.objects.json"), *FLAGS, "--nfacct")
    assert status == 0 and in_order(out) == in_order(recorded(name))


def test_yaml_a_pipe_and_lists_of_one_kind_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = objects("02-dns")
    wanted = run(capsys, str(FOLDER / "02-dns.objects.json"), *FLAGS)
    (tmp_path / "all.yaml").write_text(yaml.safe_dump({"kind": "List", "items": items}))
    (tmp_path / "each.yaml").write_text(yaml.safe_dump_all(items))
    services = [
        {key: value for key, value in one.items() if key != "kind"} for one in items if one["kind"] == "Service"
    ]
    rest = [one for one in items if one["kind"] != "Service"]
    (tmp_path / "kinds.yaml").write_text(yaml.safe_dump_all([{"kind": "ServiceList", "items": services}, *rest]))
    for name in ("all.yaml", "each.yaml", "kinds.yaml"):
        assert run(capsys, str(tmp_path / name), *FLAGS) == wanted
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps({"kind": "List", "items": items}).encode()))
    )
    assert run(capsys, "-", *FLAGS) == wanted


def test_the_one_node_of_the_objects_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, NODE, *objects("01-kubernetes"))
    assert run(capsys, file, "--pod-cidr", "10.244.0.0/16") == (0, kube_proxy_rules(), "")
    hints = written(tmp_path, NODE, *objects("20-hints"))
    assert "10.244.1.8" not in run(capsys, hints)[1]  # its zone is known from its label


@pytest.mark.parametrize(
    ("nodes", "words", "says"),
    [
        ((), (), "the node's name is missing: OBJECTS has no Node; say --node NAME"),
        (
            (NODE, NODE | {"metadata": {"name": "worker2"}}),
            (),
            "the node's name is missing: OBJECTS has worker1, worker2; say --node NAME",
        ),
        ((NODE,), ("--node", "other"), "there is no Node other in OBJECTS, which has worker1"),
        ((), ("--node", "other"), "the address of other is missing"),
        (({"kind": "Node", "metadata": {"name": "bare"}},), (), "the address of bare is missing"),
    ],
)
def test_what_is_missing_is_said(
    nodes: tuple, words: tuple, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, written(tmp_path, *nodes), *words)
    assert (status, out) == (1, "") and says in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "an empty file"),
        (b"\xff\xfe\x00", "a binary file"),
        (b"{", ":1:2: no JSON"),
        (b"a: [", "no YAML"),
        (b"hello", "an object with a kind"),
        (b"[1, 2]", "an object with a kind"),
        (b'{"kind": "List"}', "items: a list is wanted"),
        (b"- a\n- b", "an object with a kind"),
    ],
)
def test_a_file_that_holds_no_objects(
    text: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(text)
    status, out, err = run(capsys, str(tmp_path / "file"), *FLAGS)
    assert (status, out) == (1, "") and says in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--pod-cidr", "10"),
        ("--masquerade-bit", "32"),
        ("--form", "x"),
        ("--node-ip", "::1"),
        ("--as-of", "1.30"),
        ("--mode", "ipvs"),
        ("--bridge", "a", "--pod-cidr", "10.0.0.0/8"),
        ("--nodeport-addresses", "x"),
    ],
)
def test_a_wrong_command_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "x.json", *words)[:2] == (2, "")


def test_forms(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(FOLDER / "01-kubernetes.objects.json")
    restore, setup = (run(capsys, file, *FLAGS, "--form", form)[1] for form in ("restore", "setup"))
    assert (
        restore.startswith("*filter\n:KUBE-SERVICES - [0:0]\n") and "-m tcp -p tcp -d 10.96.0.1 --dport 443" in restore
    )
    assert "-I PREROUTING -m comment" in setup and "KUBE-PROXY-CANARY" in setup
    assert "0x00000001/0x00000001" in run(capsys, file, *FLAGS, "--form", "restore", "--masquerade-bit", "0")[1]
    assert "-i cni0" in run(capsys, file, *FLAGS[:4], "--bridge", "cni0")[1]
    assert "! -i veth+" in run(capsys, file, *FLAGS[:4], "--interface-prefix", "veth")[1]


SERVICE = {
    "kind": "Service",
    "metadata": {"namespace": "shop", "name": "web"},
    "spec": {"clusterIP": "10.96.1.1", "type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]},
}
SLICE = {
    "kind": "EndpointSlice",
    "metadata": {"namespace": "shop", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8080}],
    "endpoints": [{"addresses": ["10.244.1.7"]}],
}


def changed(item: dict, path: str, value: object) -> dict:
    """The object with one field changed; `path` as in a message: `spec.ports[0].port`."""
    copy = json.loads(json.dumps(item))
    *parents, last = path.replace("[", ".").replace("]", "").split(".")
    place = copy
    for name in parents:
        place = place[int(name)] if name.isdigit() else place.setdefault(name, {})
    place[int(last) if last.isdigit() else last] = value
    return copy


@pytest.mark.parametrize(
    ("item", "path", "value"),
    [
        (SERVICE, "spec.ports[0].port", 0),
        (SERVICE, "spec.ports[0].port", 65536),
        (SERVICE, "spec.ports[0].port", "80"),
        (SERVICE, "spec.ports[0].port", True),
        (SERVICE, "spec.ports[0].protocol", "tcp"),
        (SERVICE, "spec.ports[0].nodePort", -1),
        (SERVICE, "spec.type", "Nodeport"),
        (SERVICE, "spec.clusterIP", "10.96.1"),
        (SERVICE, "spec.ports", []),
        (SERVICE, "spec.ports", {}),
        (SERVICE, "spec.externalTrafficPolicy", "local"),
        (SERVICE, "spec.internalTrafficPolicy", 1),
        (SERVICE, "spec.sessionAffinity", "Client"),
        (SERVICE, "spec.externalIPs", "1.2.3.4"),
        (SERVICE, "spec.externalIPs", ["x"]),
        (SERVICE, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", 0),
        (SERVICE, "metadata.name", None),
        (SERVICE, "spec", 3),
        (SLICE, "addressType", "ipv4"),
        (SLICE, "endpoints[0].addresses", []),
        (SLICE, "endpoints[0].addresses", ["fe80::1"]),
        (SLICE, "endpoints[0].conditions", {"ready": "yes"}),
        (SLICE, "ports[0].port", 70000),
        (SLICE, "endpoints[0].hints", {"forZones": "a"}),
    ],
)
def test_what_the_api_would_refuse_is_refused_with_name_and_field(item: dict, path: str, value: object) -> None:
    with pytest.raises(ObjectError) as caught:
        read_objects([changed(item, path, value)])
    field = path.split("[")[0].split(".")[-1]
    assert field in str(caught.value)
    assert f"{item['kind']} shop/" in str(caught.value) or path == "metadata.name"


@pytest.mark.parametrize(
    ("ports", "says"),
    [
        ([{"name": "a", "port": 80}, {"port": 81}], "a name is wanted"),
        ([{"name": "a", "port": 80}, {"name": "a", "port": 81}], "another port, too"),
        ([{"name": "a", "port": 80}, {"name": "b", "port": 80}], "80/tcp is another port's"),
    ],
)
def test_ports_that_cannot_be_told_apart(ports: list[dict], says: str) -> None:
    with pytest.raises(ObjectError, match=says):
        read_objects([changed(changed(SERVICE, "spec.type", "ClusterIP"), "spec.ports", ports)])


def test_a_node_port_of_a_cluster_ip_service_and_an_object_given_twice() -> None:
    with pytest.raises(ObjectError, match="nodePort: may not be used when type is ClusterIP"):
        read_objects([changed(changed(SERVICE, "spec.type", "ClusterIP"), "spec.ports[0].nodePort", 30000)])
    with pytest.raises(ObjectError, match="Service shop/web is there twice"):
        read_objects([SERVICE, SERVICE])


@pytest.mark.parametrize("path", ["spec.clusterIP", "spec.ports[0].nodePort"])
def test_what_the_api_server_would_choose_is_asked_for(path: str) -> None:
    with pytest.raises(ObjectError, match=r"it is missing: the API server chooses it"):
        read_objects([changed(SERVICE, path, None)])


def test_damaged_objects_raise_nothing_else() -> None:
    chance = random.Random(3)
    wrong: list[object] = [None, 3, "x", [], {}, True, -1, ["x"], {"a": 1}]
    for _ in range(2000):
        items = json.loads(json.dumps(cluster(chance)))
        place: object = items
        while isinstance(place, (dict, list)) and place and chance.random() < 0.8:
            key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
            holder, place = place, place[key]
        holder[key] = chance.choice(wrong)
        try:
            read_objects(items)
        except ObjectError as error:
            assert len(str(error).splitlines()) == 1

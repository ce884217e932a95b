"""A control plane of other programs in the lab: how it is started, spoken to, and ended. See fake_apiserver.py."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from k8slab import realplane
from k8slab.cli import main
from k8slab.cluster.errors import ClusterError
from k8slab.dataplanes import LabError
from k8slab.lab import Lab

FAKE = Path(__file__).with_name("fake_apiserver.py")
ROOT = Path(__file__).parents[2]
# Where there is no etcd, this keeps its door open in its place.
DOOR = "import socket, time; door = socket.create_server(('127.0.0.1', 2379)); time.sleep(600)"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with a stand-in for kube-apiserver, and etcd, a real one where the machine has it."""
    words = f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} "
    texts = {"kube-apiserver": f'{words}{FAKE} "$@"\n'}
    if not shutil.which("etcd"):
        texts["etcd"] = f'{words}-c "{DOOR}"\n'
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def folders(where: Path) -> list[Path]:
    return list(where.glob("k8slab-control-plane-*"))


@pytest.mark.kernel
def test_it_is_started_spoken_to_and_gone_with_the_lab(programs: Path) -> None:
    with Lab(control_plane="real") as lab:
        (folder,) = folders(programs)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {one.stat().st_mode & 0o777 for one in folder.iterdir() if one.suffix in (".key", ".csv")} == {0o600}
        assert lab.kubectl("get svc kubernetes -o name") == "service/kubernetes\n"
        answer = lab.application("client").get("/api/v1/namespaces/default/services/kubernetes")
        assert (answer.status, answer.trace.received.destination) == (200, "10.106.175.128:6443")
        lab.kubectl("create service clusterip web --tcp=80 --clusterip=10.96.0.7")
        assert "10.96.0.7" in lab.run("worker1", "iptables-save")
    assert folders(programs) == []


@pytest.mark.kernel
def test_a_server_that_ends_is_told_with_its_last_words(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda size: "broken")
    with pytest.raises(ClusterError, match="kube-apiserver has ended: the token file is broken"):
        Lab(control_plane="real")
    assert folders(programs) == []


def test_without_the_programs_it_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(realplane, "missing", lambda: ("etcd",))
    assert main(["doctor"]) == 0
    assert "not on the PATH: etcd" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["control_plane"] == {"able": False, "missing": ["etcd"]}


def test_a_real_control_plane_goes_with_nothing_else() -> None:
    with pytest.raises(ClusterError, match="needs the real kernel"):
        Lab("model", control_plane="real")
    for words in ({"cluster": True, "control_plane": "real"}, {"control_plane": "toy"}):
        with pytest.raises(LabError, match="control_plane is one of lab, real"):
            Lab("model", **words)


def test_every_flag_is_one_that_is_documented_and_none_is_given_twice() -> None:
    words = realplane.apiserver_words("/f", "10.106.175.128")[1:]
    names = [one.partition("=")[0] for one in words]
    assert len(set(names)) == len(names) and all(one.startswith("--") and "=" in one for one in words)
    assert [one for one in words if "/f/" in one] == [one for one in words if one.partition("=")[2].startswith("/f/")]

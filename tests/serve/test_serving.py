"""`k8slab serve` as a process: where it listens, what it leaves, and who finds it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.serve.program import kubectl_program

WORDS = [sys.executable, "-m", "k8slab"]


class Process:
    """A running `k8slab serve`; `config` is the kubeconfig that it names."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.environment = os.environ | {"TMPDIR": str(folder)}
        self.process = subprocess.Popen([*WORDS, "serve", *words], env=self.environment, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.said = self.process.stdout.readline()
        self.config = Path(self.process.stdout.readline().partition("=")[2].strip())

    def k8slab(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run([*WORDS, *words], env=self.environment, input=given, text=True, capture_output=True,
                              timeout=60)

    def end(self, how: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(how)
        return self.process.wait(20), self.process.communicate()[1]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Process]:
    one = Process(tmp_path)
    yield one
    one.process.kill()
    one.process.communicate()


def test_the_kubeconfig_is_its_owners_alone(serving: Process, tmp_path: Path) -> None:
    assert stat.S_IMODE(serving.config.stat().st_mode) == 0o600
    assert stat.S_IMODE(serving.config.parent.stat().st_mode) == 0o700
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == ["kubeconfig"]      # and no key beside it
    told = yaml.safe_load(serving.config.read_text())
    assert told["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")
    assert set(told["clusters"][0]["cluster"]) == {"server", "certificate-authority-data"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_however_it_is_told_to_end(tmp_path: Path, how: signal.Signals) -> None:
    chosen = tmp_path / "chosen"
    one = Process(tmp_path, "--kubeconfig", str(chosen))
    assert one.config == chosen and stat.S_IMODE(chosen.stat().st_mode) == 0o600
    port = int(one.said.split("127.0.0.1:")[1].partition(";")[0])
    socket.create_connection(("127.0.0.1", port)).close()
    assert one.end(how) == (0, "")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_what_a_killed_one_left_the_next_sweeps_away(tmp_path: Path) -> None:
    first = Process(tmp_path)
    first.end(signal.SIGKILL)
    assert first.config.exists()
    second = Process(tmp_path)
    assert not first.config.exists() and second.config.exists()
    assert second.end(signal.SIGTERM) == (0, "")


def test_a_port_that_is_taken_and_a_file_that_is_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one = Process(tmp_path, "--port", str(taken.getsockname()[1]))
        status, said = one.process.wait(20), one.process.communicate()[1]
    assert status == 1 and said.startswith("k8slab: 127.0.0.1:") and "--port 0" in said
    (tmp_path / "there").write_text("mine")
    one = Process(tmp_path, "--kubeconfig", str(tmp_path / "there"))
    assert one.process.wait(20) == 1 and "there is a file already" in one.process.communicate()[1]
    assert (tmp_path / "there").read_text() == "mine" and [p.name for p in tmp_path.iterdir()] == ["there"]


def test_the_labs_own_kubectl_speaks_to_the_one_that_runs(serving: Process) -> None:
    web = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}"
    for words, out in [(["create", "-f", "-"], "service/web created\n"),
                       (["apply", "-f", "-"], "service/web configured\n"),
                       (["get", "svc", "-o", "name"], "service/kubernetes\nservice/web\n"),
                       (["patch", "svc", "web", "-p", '{"spec":{"type":"NodePort"}}'], "service/web patched\n"),
                       (["delete", "svc", "web"], 'service "web" deleted from default namespace\n')]:
        done = serving.k8slab("kubectl", *words, given=web if "-" in words else "")
        assert (done.returncode, done.stdout) == (0, out), done.stderr
    refused = serving.k8slab("kubectl", "get", "svc", "web")
    assert refused.stderr == 'Error from server (NotFound): services "web" not found\n' and refused.returncode == 1


def test_the_labs_own_kubectl_watches(serving: Process) -> None:
    watching = subprocess.Popen([*WORDS, "kubectl", "get", "svc", "-w"], env=serving.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = [watching.stdout.readline() for _ in range(2)]
    assert lines[1].startswith("kubernetes")
    serving.k8slab("kubectl", "create", "service", "clusterip", "web", "--tcp=80")
    assert watching.stdout.readline().startswith("web ")
    watching.send_signal(signal.SIGINT)
    assert watching.wait(10) == 0 and watching.communicate()[1] == ""


@pytest.mark.kubectl
def test_time_goes_on_and_controllers_work(serving: Process, tmp_path: Path) -> None:
    environment = serving.environment | {"KUBECONFIG": str(serving.config), "HOME": str(tmp_path)}

    def kubectl(*words: str) -> str:
        return subprocess.run([kubectl_program(), *words], env=environment, text=True, capture_output=True, timeout=60,
                              check=True).stdout
    kubectl("run", "web", "--image=nginx", "--port=80")
    kubectl("expose", "pod", "web", "--port=80")
    assert kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=20s") == "pod/web condition met\n"
    end = time.monotonic() + 10
    while "10.244.1.2" not in (found := kubectl("get", "endpointslices", "-l", "kubernetes.io/service-name=web")):
        assert time.monotonic() < end, found

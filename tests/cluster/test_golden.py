"""kubectl against this cluster prints what the real one printed against a real control plane, and in the article."""

from __future__ import annotations

import pytest

from k8slab.cluster import Cluster
from tests.cluster.fixtures import GOLDEN, bare_cluster, masked

ARTICLE = [
    ("get svc kubernetes -n default", "kubernetes ClusterIP 10.96.0.1 <none> 443/TCP AGE"),
    ("get endpoints kubernetes -n default", "kubernetes 10.106.175.128:6443 AGE"),
    ("get pods -n kube-system -o wide | grep apiser",
     "kube-apiserver-k8smaster 1/1 Running 0 AGE 10.106.175.128 k8smaster <none> <none>"),
]


def session() -> list[tuple[str, str]]:
    """The recorded commands and what each printed."""
    blocks = (GOLDEN / "kubectl-session.txt").read_text().removeprefix("$ ").rstrip("\n").split("\n\n$ ")
    return [tuple(block.split("\n", 1)) for block in blocks]


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return bare_cluster()


@pytest.mark.parametrize(("command", "text"), session(), ids=[command for command, _ in session()])
def test_a_recorded_command_prints_its_text(cluster: Cluster, command: str, text: str) -> None:
    answer = cluster.kubectl(command.split()[1:])
    assert masked(str(answer)) == masked(text.rstrip("\n"))
    assert answer.status == ("Error" in text)


def test_the_session_was_read_whole() -> None:
    assert len(session()) == (GOLDEN / "kubectl-session.txt").read_text().count("$ kubectl ") == 18


def test_errors_and_warnings_are_not_standard_output(cluster: Cluster) -> None:
    assert cluster.kubectl("get svc nosuch").out == ""
    answer = cluster.kubectl("get endpoints kubernetes")
    assert answer.err.startswith("Warning: ")
    assert answer.out.startswith("NAME")


@pytest.mark.parametrize(("command", "line"), ARTICLE)
def test_the_articles_commands_print_its_lines(command: str, line: str) -> None:
    lab = Cluster()
    lab.advance(161 * 60)
    words = str(lab.kubectl(command)).splitlines()[-1].split()
    words[line.split().index("AGE")] = "AGE"
    assert words == line.split()


def test_ages_are_the_articles() -> None:
    lab = Cluster()
    lab.advance(161 * 60 - 12)
    assert "161m" in str(lab.kubectl("get svc kubernetes -n default"))

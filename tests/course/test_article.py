"""The article's statements on the Service `kubernetes`, each with the cell that shows it and what breaks the claim.

A claim is what the cell prints. The cell is run after those that it stands on, first as it is, and then with the
mechanism behind it broken: the claim must be there, and must not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from k8slab import lab
from k8slab.cluster import control, kubelet
from k8slab.cluster.client import Client
from k8slab.cluster.control import MasterLeases
from k8slab.cluster.node import Kubelet
from k8slab.cluster.proxy import Follower
from k8slab.cluster.store import Store
from k8slab.errors import Told
from k8slab.kubeproxy import service
from k8slab.machines import Machines

FOLDER = Path(__file__).parents[2] / "notebooks"
Break = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: the article's words, the unit, words of its cell, and what this prints.

    `before`: words of the cells that it stands on, in order. `breaks`: what to break, `broken` saying what that is;
    `at_once`: before those cells are run, where the mechanism works while the cluster is made.
    """

    says: str
    unit: str
    cell: str
    claim: tuple[str, ...]
    broken: str
    breaks: Break
    before: tuple[str, ...] = ()
    at_once: bool = False


def instead(place: object, name: str, make: Callable[[Callable], Callable]) -> Break:
    """Put a function in another one's place; `make` gets the real one."""
    return lambda patch: patch.setattr(place, name, make(getattr(place, name)))


def _with_selector(create: Callable) -> Callable:
    def created(self: Client, obj: dict, *words: object) -> dict:
        if obj.get("kind") == "Service" and obj["metadata"]["name"] == "kubernetes":
            obj["spec"]["selector"] = {"component": "kube-apiserver"}
        return create(self, obj, *words)

    return created


def _past_the_server(ask: Callable) -> Callable:
    """kubelet and kube-proxy read and write in etcd themselves."""

    def asked(self: Client, verb: str, path: str, call: Callable, good: str = "200") -> object:
        if not self.name.startswith(("kubelet", "kube-proxy")):
            return ask(self, verb, path, call, good)
        self.log.add(self.clock.now, self.name, "etcd", "range", path)
        return call(self._choose())

    return asked


def _any_address(ensure: Callable) -> Callable:
    return lambda client, present, address, target: ensure(client, present, "", target)


def _first_address_for_good(refresh: Callable) -> Callable:
    return lambda self, address: refresh(self, "10.106.175.129" if address == "10.106.175.132" else address)


MADE, KEPT = "lab = Lab(cluster=True)", 'rules = lab.run("worker1"'
DELETED, THREE = "%kubectl get svc,endpoints,endpointslices -n default", "lab = Lab(cluster=lambda: several(3))"
CRASHED, LEASES = 'lab.cluster.api_servers["k8smaster3"].crash()', '"get leases -n kube-system -o name"'
SECONDS = 'tries.append(Connection("new each second"'
VIP = "kubernetes   ClusterIP   10.96.0.1    <none>        443/TCP"

RULES_2021 = (
    '-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp '
    "--dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y\n",
    '-A KUBE-SVC-NPX46M4PTMTKRN6Y -m comment --comment "default/kubernetes:https" -j KUBE-SEP-VDNPK4CXOQDGPWFC\n',
    '-A KUBE-SEP-VDNPK4CXOQDGPWFC -p tcp -m comment --comment "default/kubernetes:https" -m tcp -j DNAT '
    "--to-destination 10.106.175.128:6443\n")

ARTICLE = (
    Statement("Every Kubernetes cluster is provisioned with a special service", "02",
              "%kubectl get svc kubernetes -n default", (VIP,), "no API server makes it",
              instead(control, "ensure_service", lambda real: lambda *words: None), (MADE,), at_once=True),
    Statement("Kubernetes master runs its pods etc in its own namespace", "02",
              "%kubectl get pods -n kube-system -o wide | grep apiser", ("kube-apiserver-k8smaster   1/1     Running",),
              "kubelet tells nobody of its static Pods", instead(Kubelet, "_mirror", lambda real: lambda self: None),
              (MADE,), at_once=True),
    Statement("iptables mapping used to map cluster ip in endpoint IP: the three rules", "06",
              'for version in ("1.21", "1.36")', RULES_2021, "the hash is another",
              lambda patch: patch.setattr(service, "digest", lambda *words: "A" * 16), ("def objects(",)),
    Statement("iptables mapping …: as `iptables -t nat --list-rules` prints it", "06", "iptables -t nat --list-rules",
              (RULES_2021[0],), "kube-proxy heard of another address",
              instead(lab, "node_rules", lambda real: lambda *words: real(*words).replace("10.96.0.1/", "10.96.0.9/")),
              ("lab = Lab(seed=1)",), at_once=True),
    Statement("Kubernetes API service also runs in default namespace", "02", "%kubectl get svc kubernetes -n default",
              (VIP,), "the controller writes in another namespace",
              lambda patch: patch.setattr(control, "NAMESPACE", "kube-public"), (MADE,), at_once=True),
    Statement("a way for internal applications to talk to the API server", "02", "Lab(cluster=True, first_sync=30)",
              ("after the sync:  answered by 10.106.175.128:6443",), "kube-proxy never writes",
              instead(Follower, "_run", lambda real: lambda self: None)),
    Statement("All Pods in Kubernetes cluster uses above cluster-IP for accessing Kubernetes API service", "02",
              'lab.cluster.environment("client")', ("KUBERNETES_SERVICE_HOST=10.96.0.1", "→ https://10.96.0.1:443"),
              "kubelet writes the environment before it knows any Service",
              instead(kubelet, "environment", lambda real: lambda pod, services: real(pod, [])), (MADE,), at_once=True),
    Statement("Kubernetes-proxy and kubelet interacting etcd via Kubernetes API server", "02",
              "who_asks(lab.cluster.log, pods=", ("  kubelet-worker1: ", " requests, ", "  kube-proxy-worker1: "),
              "they go to etcd themselves", instead(Client, "_ask", _past_the_server), (MADE,), at_once=True),
    Statement("It maps to endpoint IP of Kubernetes-api-service PODs running in the kube-system namespace", "02",
              "%kubectl get pods -n kube-system -o wide | grep apiser",
              ("kubernetes   10.106.175.128:6443", "10.106.175.128   k8smaster"),
              "the reconciler reads other leases",
              instead(MasterLeases, "addresses", lambda real: lambda self: ["10.106.175.199"]), (MADE,), at_once=True),
    Statement("It maps to endpoint IP …: without a selector", "02", 'unit.fact("selector"', ("It was: <none>",),
              "the Service is made with a selector", instead(Client, "create", _with_selector), (MADE,), at_once=True),
    Statement("It maps to endpoint IP …: whatever becomes of the Pod object", "02", 'unit.fact("mirror"',
              ("answered by 10.106.175.128:6443", "It was: 1"), "the API server stops when its Pod is deleted",
              instead(Kubelet, "_mirror", lambda real: lambda self: self.server.stop()), (MADE,)),
    Statement("It will always get re-created, even when it's manually removed", "09", 'unit.fact("back"',
              ("It was: 10.96.0.1, another uid",), "no API server makes it again",
              instead(control, "ensure_service", lambda real: lambda *words: None), (KEPT, DELETED)),
    Statement("When this service is re-created, it automatically comes up with same cluster IP", "09",
              'unit.fact("back"', (VIP, "rules as before: True"), "the API server takes any address",
              instead(control, "ensure_service", _any_address), (KEPT, DELETED)),
    Statement("It comes up with the same ClusterIP, regardless of how many services may already exist", "09",
              "create service clusterip s{number}", (f"ADDED     {VIP}",), "the API server takes any address",
              instead(control, "ensure_service", _any_address), (KEPT,)),
    Statement("It provides unique mapping from single IP to multiple POD of k8s api server", "09", THREE,
              ("10.106.175.128,10.106.175.129,10.106.175.130",), "each API server knows of one lease only",
              instead(MasterLeases, "addresses", lambda real: lambda self: real(self)[:1])),
    Statement("It maps to endpoint IP …: of those that live", "09", CRASHED, ("15 seconds: 10.106.175.128\n",),
              "leases do not run out", instead(Store, "_expire", lambda real: lambda *words: None), (THREE,)),
    Statement("Kubernetes POD IP can change, but this cluster IP is always same", "09", '.move("10.106.175.132")',
              ("12 seconds: 10.106.175.128 10.106.175.130 10.106.175.132", VIP),
              "an API server goes by its first address for good",
              instead(MasterLeases, "refresh", _first_address_for_good), (THREE, CRASHED, LEASES)),
    Statement("It will always get re-created …: and open connections live on", "09", "timeline(events, [stays",
              ("open since before     0        still open", "9 of 23 connections broke"),
              "kube-proxy lets the node forget every connection when it writes",
              instead(Machines, "_forget_stale", lambda real: lambda self, node, objects: self.dataplane.run(
                  node, "conntrack -F")), (KEPT, SECONDS), at_once=True),
)
statements = pytest.mark.parametrize("statement", ARTICLE, ids=lambda one: f"{one.unit}: {one.says}")


def sources(unit: str) -> dict[str, str]:
    """The code cells of a unit: source to what the saved notebook has of its output."""
    notebook = json.loads(next(FOLDER.glob(f"{unit}-*.ipynb")).read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return {"".join(cell["source"]): "".join(map(_text, cell["outputs"])) for cell in cells}


def _text(output: dict) -> str:
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", []))


def cell_with(unit: str, words: str) -> str:
    """The one cell that is, or else has, these words."""
    found = [one for one in sources(unit) if one == words] or [one for one in sources(unit) if words in one]
    assert len(found) == 1, (unit, words, len(found))
    return found[0]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], str]]:
    """Run a cell as Jupyter would; what it prints and shows."""
    monkeypatch.setenv("K8SLAB_PROGRESS", str(tmp_path / "progress"))
    shell = InteractiveShell.instance()

    def run_cell(source: str) -> str:
        capsys.readouterr()
        result = shell.run_cell(source)
        result.raise_error()
        return capsys.readouterr().out + str(result.result)

    yield run_cell
    shell.reset()
    InteractiveShell.clear_instance()


def prepared(run: Callable[[str], str], statement: Statement) -> None:
    """Run what the claim's cell stands on."""
    for words in ("from k8slab import course", f'unit = course.unit("{statement.unit}")', *statement.before):
        run(cell_with(statement.unit, words))


@statements
def test_the_saved_cell_says_so(statement: Statement) -> None:
    said = sources(statement.unit)[cell_with(statement.unit, statement.cell)]
    assert all(claim in said for claim in statement.claim), said


@statements
def test_the_cell_says_so_when_it_is_run(statement: Statement, run: Callable[[str], str]) -> None:
    prepared(run, statement)
    said = run(cell_with(statement.unit, statement.cell))
    assert all(claim in said for claim in statement.claim), said


@statements
def test_the_claim_fails_when_the_mechanism_is_broken(
    statement: Statement, run: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if statement.at_once:
        statement.breaks(monkeypatch)
    try:
        prepared(run, statement)
        if not statement.at_once:
            statement.breaks(monkeypatch)
        said = run(cell_with(statement.unit, statement.cell))
    except Told as error:  # what is broken may be told to the reader instead
        said = str(error)
    assert not all(claim in said for claim in statement.claim), f"{statement.broken}, and the cell says: {said}"

"""`%on` and `%%on` in an IPython shell, and the masks."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from k8slab.lab import Lab
from k8slab.magic import masked, on


@pytest.fixture
def cell(capsys):
    """A shell with a lab; calling it runs a cell and returns what it prints."""
    shell = InteractiveShell.instance()
    shell.run_cell("from k8slab.lab import Lab\nlab = Lab('model', seed=1)")

    def run(text: str) -> str:
        capsys.readouterr()
        result = shell.run_cell(text)
        printed = capsys.readouterr().out
        return printed if result.success else f"{type(result.error_in_exec).__name__}: {printed}"

    yield run
    shell.reset()
    InteractiveShell.clear_instance()


def test_a_line_prints_what_the_command_prints(cell):
    printed = cell("%on worker1 iptables -t nat -S PREROUTING")
    assert printed == Lab("model").run("worker1", "iptables -t nat -S PREROUTING")


def test_quotes_pipes_and_braces_survive(cell):
    assert cell("""%on worker1 iptables -A FORWARD -m comment --comment "a | b" -j ACCEPT""") == ""
    assert cell("""%on worker1 iptables -S FORWARD | grep "a | b" | wc -l""") == "1\n"
    assert cell("chain = 'KUBE-SERVICES'\n%on worker1 iptables -t nat -S {chain} | head -n 1") == "-N KUBE-SERVICES\n"


def test_a_cell_has_a_command_a_line(cell):
    printed = cell("%%on worker1\n# a comment\niptables -N MINE\n\niptables -S \\\n  MINE\nlabel\nip netns list")
    assert printed.splitlines()[0] == "-N MINE" and "label is not one of the model's" in printed.splitlines()[1]
    assert printed.splitlines()[2:] == ["client", "web"]


def test_a_refusal_is_printed_in_the_programs_words_and_a_wrong_host_is_an_error(cell):
    assert cell("%on client ip link set nope up | grep x") == 'Cannot find device "nope"\n'
    assert cell("%on nowhere ip address").startswith("NetworkError: ")
    assert cell("%on worker1").startswith("CommandError: ")


def test_the_variable_lab_comes_before_the_newest(cell):
    cell("other = Lab('model')\n%on worker1 iptables -A FORWARD -j DROP")
    assert cell("print(lab.run('worker1', 'iptables -S FORWARD'), end='')").endswith("-j DROP\n")
    assert "-j DROP" not in cell("print(other.run('worker1', 'iptables -S FORWARD').splitlines()[-1])")
    assert cell("del lab\n%on worker1 iptables -S FORWARD | grep -c DROP") == "0\n"


def test_load_ext_makes_it_known():
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "k8slab")
    assert {"on", "kubectl"} <= set(shell.magics_manager.magics["cell"]) & set(shell.magics_manager.magics["line"])
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(("command", "one", "other"), [
    ("conntrack -L", "tcp      6 118 SYN_SENT src=1 use=1\nudp      17 9 src=2 use=2\n",
     "udp      17 30 src=2 use=1\ntcp      6 12 SYN_SENT src=1 use=2\nconntrack v1.4.7 (conntrack-tools): 2 flow "
     "entries have been shown.\n"),
    ("ip neigh", "10.0.0.1 dev a lladdr 02:00:00:00:00:01 DELAY \n10.0.0.9 dev a FAILED \n",
     "10.0.0.9 dev a INCOMPLETE \n10.0.0.1 dev a lladdr 02:00:00:00:00:01 REACHABLE \n"),
    ("ip netns exec a ping -c 1 x", "time=0.045 ms\n", "time=11 ms\n"),
    ("ip link", "    link/ether 3e:aa:00:00:00:01 brd ff:ff:ff:ff:ff:ff link-netns a\n",
     "    link/ether ae:bb:00:00:00:01 brd ff:ff:ff:ff:ff:ff link-netnsid 4\n"),
    ("ip netns", "b (id: 3)\na\n", "a (id: 0)\nb\n"),
    ("nc -zv x 80", "port [tcp/http] succeeded!", "port [tcp/*] succeeded!"),
])
def test_what_may_differ_is_masked_alike(command, one, other):
    assert masked(command, one) == masked(command, other)


def test_what_may_not_differ_is_not_masked():
    text = "    link/ether 02:0a:f4:01:05:8d brd ff:ff:ff:ff:ff:ff\n"
    assert masked("ip link", text) == text
    assert masked("iptables-save", "time=1 ms") == "time=1 ms"
    assert "02:0a:f4" in on(Lab("model"), "client", "ip link")


def test_kubectl_in_a_cell_prints_what_it_prints_and_braces_are_jsonpaths(cell):
    cell("lab = Lab('model', cluster=True)")
    assert cell("%kubectl get svc kubernetes -o jsonpath='{.spec.clusterIP}:{.spec.ports[0].port}'") == "10.96.0.1:443"
    assert cell("%kubectl get pods -n kube-system -o wide | grep apiser").startswith("kube-apiserver-k8smaster   1/1 ")
    assert cell("%%kubectl apply -f -\n{kind: Namespace, apiVersion: v1, metadata: {name: shop}}") == (
        "namespace/shop created\n")
    assert cell("%kubectl get svc nosuch | grep x") == 'Error from server (NotFound): services "nosuch" not found\n'
    assert cell("%kubectl get cm kube-root-ca.crt -o yaml | grep -c …") == "0\n"
    assert "BEGIN CERTIFICATE-----\n    …\n" in cell("%kubectl get cm kube-root-ca.crt -o yaml")


def test_where_there_is_no_entry_conntrack_says_so(cell):
    assert cell("%on worker1 conntrack -L") == "conntrack (conntrack-tools): 0 flow entries have been shown.\n"
    cell("_ = lab.connect('client', '10.96.0.1', 443)")
    assert "flow entries" not in cell("%on worker1 conntrack -L")


def test_kubectl_alone_is_told_what_it_may_be_asked(cell):
    cell("lab = Lab('model', cluster=True)")
    for line in ("%kubectl", "%kubectl kubectl"):
        assert cell(line).startswith("error: no command was given; this kubectl knows get, describe, ")
    assert cell("%kubectl get svc |").startswith("CommandError: ")

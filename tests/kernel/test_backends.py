"""iptables on nf_tables, iptables-legacy and the model tell the same journey in the same words."""

from __future__ import annotations

import functools
import re
import shutil

import pytest

from k8slab.kernel import legacy
from k8slab.kernel.dataplane import Kernel
from k8slab.model.dataplane import Model
from k8slab.trace import Trace, compare
from tests.iptables.real import why_no_legacy
from tests.kernel.journeys import JOURNEYS, WORKER, network, rules
from tests.model.labs import TRACKED

pytestmark = pytest.mark.kernel

TIMEOUT = re.compile(r"\b((?:tcp|udp|icmp) +\d+) \d+\b")
# Chance chooses one of two endpoints in `dns`: see test_recorded.py.
NAMES = [name for name in JOURNEYS if name != "dns"]


def told(trace: Trace) -> str:
    """The whole text, without what may differ: timeouts, and source ports that MASQUERADE chose."""
    text = TIMEOUT.sub(r"\1 TIME", str(trace))
    for _, entry in trace.entries:
        if entry.reply.dport != entry.original.sport:
            text = re.sub(rf"\b{entry.reply.dport}\b", "PORT", text)
    return text


@pytest.fixture(scope="module")
def traces():
    """Backend and journey → its trace, each in a lab of its own."""
    @functools.cache
    def trace(backend: str, name: str) -> Trace:
        if backend == "legacy" and (why := why_no_legacy()):
            pytest.skip(f"no iptables-legacy here: {why}")
        made = Model(network(), rules()) if backend == "model" else Kernel(network(), rules(), backend=backend)
        with made as lab:
            return JOURNEYS[name].on(lab)
    return trace


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", ["legacy", "model"])
def test_a_journey_is_told_in_the_same_words(traces, name, other):
    one, two = traces("nft", name), traces(other, name)
    assert told(one) == told(two)
    assert compare(one, two) is None or told(one) != str(one)      # a port that MASQUERADE chose is a difference


def test_the_commands_of_a_legacy_lab_are_legacy():
    if why := why_no_legacy():
        pytest.skip(f"no iptables-legacy here: {why}")
    with Kernel(network(), rules(), backend="legacy") as lab:
        assert lab.run("worker1", "iptables -V").endswith("(legacy)\n")
        lab.run("worker1", "iptables -t raw -A PREROUTING -s 192.0.2.1 -j DROP")
        assert "-A PREROUTING -s 192.0.2.1/32 -j DROP" in lab.run("worker1", "iptables-save -t raw")
        assert lab.connect("client", "10.96.0.1", 443).verdict == "DELIVERED"
        assert "TRACE" not in lab.run("worker1", "iptables-save")
        assert "k8slab" not in lab.run("worker1", "iptables-save")
        if shutil.which("iptables-nft-save"):
            assert "KUBE" not in lab.run("worker1", "iptables-nft-save")


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_looking_moves_no_counter(backend):
    """Each packet is counted once by the rules that it meets, and by no others."""
    if backend == "legacy" and (why := why_no_legacy()):
        pytest.skip(f"no iptables-legacy here: {why}")
    nat = "*nat\n-A PREROUTING -d 10.96.0.9 -p udp -j DNAT --to-destination 10.244.1.7:99\nCOMMIT\n"
    with Kernel(network(), {"worker1": nat}, backend=backend) as lab:
        lab.connect("client", "10.96.0.9", 1, proto="udp")
        lab.connect("client", "10.96.0.9", 2, proto="udp")
        assert "[2:80] -A PREROUTING" in lab.run("worker1", "iptables-save -c -t nat")


@pytest.mark.parametrize(("backend", "order"), [("nft", ["nat", "security"]), ("legacy", ["security", "nat"])])
def test_at_input_legacy_asks_security_first(backend, order):
    """NF_IP_PRI_SECURITY is 50 and nat's 100; iptables-nft gives security 150."""
    if backend == "legacy" and (why := why_no_legacy()):
        pytest.skip(f"no iptables-legacy here: {why}")
    own = "".join(f"*{table}\n-A INPUT -p icmp -m comment --comment seen\nCOMMIT\n" for table in ("nat", "security"))
    own += f"*nat\n{TRACKED}\nCOMMIT\n"
    with Kernel(network(), {"worker1": own}, backend=backend) as lab:
        trace = lab.ping("client", WORKER)
    assert trace.verdict == "DELIVERED" and trace.reply
    assert [step.table for step in trace.steps if step.kind == "RULE" and step.hook == "INPUT"] == order


def test_which_iptables_is_here_is_asked_once():
    legacy.installed.cache_clear()
    assert legacy.installed() in ("nft", "legacy")
    with Kernel(network(), rules()) as lab:
        said = lab.run("worker1", "iptables -V")
        assert lab.backend == legacy.installed() == ("legacy" if "legacy" in said else "nft")

"""The faults of capstones on the real kernel: each shows as the dump says, and is gone when it is mended."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from k8slab.course.capstone import Capstone, capstone
from k8slab.course.capstone.asking import Asked
from k8slab.course.capstone.faulty import chains
from k8slab.course.capstone.going import Fate
from k8slab.course.capstone.grade import proof_of
from k8slab.course.capstone.mending import commands
from k8slab.course.capstone.survey import fates
from k8slab.iptables import parse
from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.trace import Trace
from tests.course.test_capstone import pairs

pytestmark = pytest.mark.kernel
# A port that was used before would be a packet of a connection that the node remembers.
PORTS = itertools.count(20000)
ENOUGH = 60             # packets after which chance has shown all that it has
QUICK = (("marked-dropped", "no-hairpin"), ("last-by-chance", "foreign-dnat"))


@pytest.fixture(autouse=True)
def on_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_DATAPLANE", "kernel")


def what_the_kernel_did(trace: Trace, node: str) -> Fate:
    """The packet as it left the node, or how a rule ended it there; that no route led on is not the rules' doing."""
    last = [step for step in trace.steps if step.leg == 1 and step.node == node][-1]
    packet = last.after or last.before
    if not last.chain:
        return Fate("FORWARDED", packet.destination, packet.src)
    return Fate(trace.verdict, packet.destination, trace.sent.src)


def sent(lab: Lab, cluster: Capstone, asked: Asked) -> Iterator[Fate]:
    """What becomes of the question, again and again, each time from another port."""
    node = cluster.drawn.node.name
    source = asked.source(cluster.drawn)
    at = node if asked.who == "node" else next(host.name for host in lab.network.hosts if host.address == source)
    for port in PORTS:
        packet = Packet(asked.proto, source, asked.address, port, asked.port)
        yield what_the_kernel_did(lab.send(packet, at), node)


def holds(lab: Lab, cluster: Capstone, asked: Asked, by: dict[Fate, object], other: dict[Fate, object]) -> None:
    """What the kernel does is what the one table of fates has, and it shows one that the other has not, if there is."""
    telling = set(by) - set(other)
    for number, one in enumerate(sent(lab, cluster, asked), 1):
        assert one in by, (asked, one, by)
        if one in telling or not telling and number == 8:
            return
        assert number < ENOUGH, (asked, telling)


def show_and_mend(kinds: tuple[str, str]) -> None:
    cluster = capstone("each 5", services=12, kinds=kinds)
    services = [fault.place.service for fault in cluster.faults]
    remedy = "\n".join(commands(cluster.ruleset, cluster.true))
    asks = [proof_of(cluster, number) for number in (0, 1)]
    tables = [[fates(one, cluster.drawn, rules, answers=False) for rules in (cluster.ruleset, cluster.true)]
              for one in asks]
    with cluster.lab(*services) as lab:
        for asked, (wrong, right) in zip(asks, tables):
            holds(lab, cluster, asked, wrong, right)
        for line in remedy.splitlines():
            lab.run(cluster.drawn.node.name, line)
        assert chains(parse(lab.run(cluster.drawn.node.name, "iptables-save"))) == chains(cluster.true)
        for asked, (wrong, right) in zip(asks, tables):
            holds(lab, cluster, asked, right, wrong)


@pytest.mark.parametrize("kinds", QUICK, ids="+".join)
def test_some_kinds_show_on_the_kernel_and_are_mended(kinds: tuple[str, str]) -> None:
    show_and_mend(kinds)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", pairs(), ids="+".join)
def test_each_kind_shows_on_the_kernel_and_is_mended(kinds: tuple[str, str]) -> None:
    show_and_mend(kinds)


def test_the_real_iptables_restore_takes_the_rules_of_a_whole_node_and_gives_them_back() -> None:
    cluster = capstone(2026)
    with cluster.lab() as lab:
        for rules in (cluster.ruleset, cluster.true):
            lab.restore(cluster.drawn.node.name, str(rules))
            assert chains(parse(lab.run(cluster.drawn.node.name, "iptables-save"))) == chains(rules)


def home(lab: Lab, cluster: Capstone, who: str, to: str) -> bool:
    """Whether a connection gets its answer, on the kernel; the course says the same."""
    at = cluster.drawn.node.name if who == "node" else who
    address, _, port = to.partition(":")
    answered = lab.dial(at, address, int(port)).startswith("answered")
    now = cluster.after(f"*filter\n{filter_of(lab, cluster)}\nCOMMIT")
    assert answered == all(one.verdict == "FORWARDED" and not one.answer for one in now.ask(who, to).fates), (who, to)
    return answered


def filter_of(lab: Lab, cluster: Capstone) -> str:
    """The table filter of the lab's node, as lines for iptables-restore --noflush."""
    text = lab.run(cluster.drawn.node.name, "iptables-save -t filter")
    return "\n".join(line for line in text.splitlines() if line[0] in ":-")


def test_answers_and_node_ports_fare_on_the_kernel_as_the_course_says() -> None:
    cluster = capstone("each 5", services=12, kinds=("marked-dropped", "no-nodeport-mark"))
    cluster = cluster.after("\n".join(commands(cluster.ruleset, cluster.true)) + "\niptables -P FORWARD DROP")
    place, node = cluster.faults[1].place, cluster.drawn.node
    api, own = f"{cluster.faults[0].place.ip}:443", f"{node.addresses[0]}:{place.node_port}"
    asks = [("pod", own), ("node", own), ("outside", own), ("pod", api), ("node", api), ("outside", api)]
    with cluster.lab("kubernetes", place.service) as lab:
        assert all(home(lab, cluster, *one) for one in asks)
        for command, lost in (("-D KUBE-FORWARD 3", {("outside", api)}), ("-A INPUT -j DROP", {
                ("outside", api), ("node", api), ("node", own)})):
            lab.run(node.name, f"iptables {command}")
            assert {one for one in asks if not home(lab, cluster, *one)} == lost

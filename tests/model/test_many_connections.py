"""`connections(n)`: what is counted is what as many connections come to, each made and walked."""

from __future__ import annotations

from collections import Counter

import pytest

from k8slab.model import many
from k8slab.model.dataplane import Model
from tests.model.labs import CLIENT, MASTER, VIP, VIP_PORT, WEB, model

POSTROUTING = "-A POSTROUTING -j MASQUERADE --random-fully"
FEW = 12
# For each: rules of nat on worker1, and whether chance decides who answers. In the second part, of which no connection
# but the first few may be left out, something else than chance tells connections apart.
SERVICE = f"-d {VIP}/32 -p tcp -m tcp --dport {VIP_PORT}"
TO_MASTER, TO_WEB = f"-j DNAT --to-destination {MASTER}:6443", f"-j DNAT --to-destination {WEB}:8080"
ALIKE = {
    "one server": (f"-A PREROUTING {SERVICE} {TO_MASTER}", False),
    "nobody": (f"-A PREROUTING {SERVICE} -j DNAT --to-destination 10.244.1.200:1", False),
    "no such port": (f"-A PREROUTING {SERVICE} -j DNAT --to-destination {WEB}:1", False),
    "two servers": (f"-A PREROUTING {SERVICE} -m statistic --mode random --probability 0.3 {TO_WEB}\n"
                    f"-A PREROUTING {SERVICE} {TO_MASTER}", True),
    "seldom": (f"-A PREROUTING {SERVICE} -m statistic --mode random --probability 0.01 {TO_WEB}\n"
               f"-A PREROUTING {SERVICE} -m statistic --mode random ! --probability 0.01 {TO_MASTER}", True),
    "a port drawn": (f"-A PREROUTING {SERVICE} -m statistic --mode random --probability 0.5 {TO_WEB}\n"
                     f"-A PREROUTING {SERVICE} {TO_MASTER}\n{POSTROUTING}", True),
}
APART = {
    "affinity": f"-A PREROUTING {SERVICE} -m recent --name A --rcheck --seconds 60 {TO_WEB}\n-A PREROUTING {SERVICE} "
                f"-m recent --name A --set\n-A PREROUTING {SERVICE} {TO_MASTER}",
    "in turn": f"-A PREROUTING {SERVICE} -m statistic --mode nth --every 3 --packet 0 {TO_WEB}\n"
               f"-A PREROUTING {SERVICE} {TO_MASTER}",
    "at most": f"-A PREROUTING {SERVICE} -m limit --limit 1/hour --limit-burst 20 {TO_WEB}\n"
               f"-A PREROUTING {SERVICE} {TO_MASTER}",
    "by its port": f"-A PREROUTING {SERVICE} -m tcp --sport 40000:40030 {TO_WEB}\n-A PREROUTING {SERVICE} {TO_MASTER}",
    "any port": f"-A PREROUTING {SERVICE} -j DNAT --to-destination {WEB}:8080-8089 --random\n",
    "seldom any port": f"-A PREROUTING {SERVICE} -m statistic --mode random --probability 0.1 -j DNAT --to-destination "
                       f"{WEB}:8080-8089 --random\n-A PREROUTING {SERVICE} {TO_MASTER}",
    "seldom in turn": f"-A PREROUTING {SERVICE} -m statistic --mode random --probability 0.05 -m statistic --mode nth "
                      f"--every 2 --packet 0 {TO_WEB}\n-A PREROUTING {SERVICE} {TO_MASTER}",
}


def each_made(lab: Model, n: int) -> Counter[str]:
    """The reference: n connections, one after the other."""
    traces = (lab.connect("client", VIP, VIP_PORT) for _ in range(n))
    return Counter(trace.received.destination if trace.received else trace.verdict for trace in traces)


def compared(nat: str, n: int) -> tuple[many.Counts, Model]:
    """Count in both ways, with the same dice; both must come to the same, and leave the same behind."""
    lab, other = (model(seed=5, nat=nat) for _ in range(2))
    counts, wanted = lab.connections(n, "client", VIP, VIP_PORT), each_made(other, n)
    assert counts == wanted and sum(counts.values()) == n
    assert lab.chance.draw(1) == other.chance.draw(1)              # the dice were thrown as often
    for name, stack in lab.stacks.items():
        assert stack.netfilter.counts == other.stacks[name].netfilter.counts, name
    return counts, lab


@pytest.mark.parametrize("case", ALIKE)
def test_what_is_counted_is_what_as_many_connections_come_to(monkeypatch, case):
    monkeypatch.setattr(many, "FOLLOWED", FEW)
    nat, chance = ALIKE[case]
    counts, lab = compared(nat, 120)
    asked = "statistic" in nat or "random" in nat
    assert (len(counts) > 1) == chance and counts.how.startswith("chance had a say" if asked else "the rules decide")
    made = int(counts.how.split(";")[1].split()[0])
    assert FEW <= made <= FEW + 2
    assert len(lab.entries("worker1")) == (0 if case == "no such port" else made)      # a RST ends those at once


@pytest.mark.parametrize("case", APART)
def test_where_more_than_chance_tells_connections_apart_each_is_made(monkeypatch, case):
    monkeypatch.setattr(many, "FOLLOWED", FEW)
    counts, _ = compared(APART[case], 90)
    assert len(counts) > 1
    made = int(counts.how.split(";")[1].split()[0])
    assert made == 90 or case == "seldom in turn" and FEW < made


def test_while_a_capture_watches_each_connection_is_made(monkeypatch):
    monkeypatch.setattr(many, "FOLLOWED", FEW)
    lab = model(nat=ALIKE["one server"][0])
    with lab.wire.tap("client", "eth0") as frames:
        assert lab.connections(30, "client", VIP, VIP_PORT).how.endswith("30 of 30 connections were made")
    assert len({frame.carries.sport for frame in frames if getattr(frame.carries, "src", "") == CLIENT}) == 30


def test_thousands_of_connections_spread_as_their_rules_say():
    nat = "\n".join([*(f"-A PREROUTING {SERVICE} -m statistic --mode random --probability {1 / (5 - n):.10f} "
                       f"-j DNAT --to-destination {WEB}:{8080 + n}" for n in range(4)),
                     f"-A PREROUTING {SERVICE} -j DNAT --to-destination {WEB}:8084"])
    counts = model(seed=1, nat=nat).connections(20_000, "client", VIP, VIP_PORT)
    assert len(counts) == 5 and all(3800 < count < 4200 for count in counts.values())
    assert counts.how.startswith("chance had a say")


@pytest.mark.slow
@pytest.mark.parametrize("case", [*ALIKE, *APART])
def test_a_thousand_connections_are_counted_as_a_thousand_made(case):
    compared(ALIKE[case][0] if case in ALIKE else APART[case], 1000)

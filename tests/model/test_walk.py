"""How chains are walked: hook order, jumps, returns, gotos, policies, marks, passed-over rules."""

from __future__ import annotations

import pytest

from k8slab.model.chance import Seeded, every_way
from tests.model.labs import CLIENT, DNAT, MASTER, VIP, WEB, WORKER, model, steps, syn

LOGS = {
    table: "\n".join(f'-A {hook} -j LOG --log-prefix "{table} {hook}"' for hook in hooks)
    for table, hooks in {
        "raw": ("PREROUTING", "OUTPUT"),
        "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
        "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
        "filter": ("INPUT", "FORWARD", "OUTPUT"),
    }.items()
}


LOGS["filter"] += "\n-A FORWARD -m conntrack --ctstate INVALID -j DROP"      # what switches conntrack on


def order(trace, leg=1):
    return [
        s.table + " " + s.hook if s.table else "conntrack " + s.hook
        for s in trace.steps
        if s.node == "worker1" and s.leg == leg and s.kind in ("RULE", "CONNTRACK")
    ]


def test_forwarded_packet_meets_the_hooks_in_the_kernels_order():
    trace = model(**LOGS).send(syn(WEB, 8080), "client")
    assert order(trace) == [
        "raw PREROUTING",
        "conntrack PREROUTING",
        "mangle PREROUTING",
        "nat PREROUTING",
        "mangle FORWARD",
        "filter FORWARD",
        "mangle POSTROUTING",
        "nat POSTROUTING",
        "conntrack POSTROUTING",
    ]


def test_delivered_packet_meets_nat_at_input_after_filter():
    trace = model(**LOGS).send(syn(WORKER, 22), "client")
    assert order(trace) == [
        "raw PREROUTING",
        "conntrack PREROUTING",
        "mangle PREROUTING",
        "nat PREROUTING",
        "mangle INPUT",
        "filter INPUT",
        "nat INPUT",
        "conntrack INPUT",
    ]


def test_local_packet_meets_nat_at_output_before_filter():
    trace = model(**LOGS).send(syn(MASTER, 6443, src=WORKER), "worker1")
    assert order(trace) == [
        "raw OUTPUT",
        "conntrack OUTPUT",
        "mangle OUTPUT",
        "nat OUTPUT",
        "filter OUTPUT",
        "mangle POSTROUTING",
        "nat POSTROUTING",
        "conntrack POSTROUTING",
    ]


def test_reply_meets_every_table_but_nat():
    trace = model(**LOGS).send(syn(WEB, 8080), "client")
    assert order(trace, leg=2) == [
        "raw PREROUTING",
        "conntrack PREROUTING",
        "mangle PREROUTING",
        "mangle FORWARD",
        "filter FORWARD",
        "mangle POSTROUTING",
    ]


def test_return_in_a_built_in_chain_means_its_policy():
    lab = model(filter=":FORWARD DROP [0:0]\n-A FORWARD -j RETURN\n-A FORWARD -j ACCEPT")
    trace = lab.send(syn(WEB, 8080), "client")
    assert trace.verdict == "DROPPED"
    assert [s.kind for s in trace.steps[-2:]] == ["RETURN", "POLICY"]


def test_goto_does_not_come_back_but_jump_does():
    chains = ":A - [0:0]\n:B - [0:0]\n-A FORWARD -j A\n-A FORWARD -j DROP\n-A A {} B\n-A A -j ACCEPT\n-A B -j RETURN"
    came_back = model(filter=chains.format("-j")).send(syn(WEB, 8080), "client")
    went_on = model(filter=chains.format("-g")).send(syn(WEB, 8080), "client")
    assert came_back.verdict == "DELIVERED"  # B returns to A, whose next rule accepts
    assert went_on.verdict == "DROPPED"  # B returns to FORWARD, whose next rule drops


def test_goto_from_a_built_in_chain_ends_in_its_policy():
    lab = model(filter=":FORWARD DROP [0:0]\n:A - [0:0]\n-A FORWARD -g A\n-A FORWARD -j ACCEPT\n-A A -p udp")
    trace = lab.send(syn(WEB, 8080), "client")
    assert trace.verdict == "DROPPED" and trace.steps[-1].kind == "POLICY"


def test_the_end_of_a_user_chain_leads_back_in_silence():
    lab = model(filter=":A - [0:0]\n-A FORWARD -j A\n-A FORWARD -j ACCEPT")
    trace = lab.send(syn(WEB, 8080), "client")
    assert [s.kind for s in trace.steps if s.chain in ("A", "FORWARD") and s.leg == 1] == ["JUMP", "END", "RULE"]


def test_accept_ends_only_this_tables_walk():
    lab = model(mangle="-A FORWARD -j ACCEPT\n-A FORWARD -j DROP", filter="-A FORWARD -j DROP")
    trace = lab.send(syn(WEB, 8080), "client")
    assert trace.verdict == "DROPPED" and steps(trace, "DROP")[0].table == "filter"


def test_only_built_in_chains_have_a_policy():
    trace = model(filter=":FORWARD DROP [0:0]").send(syn(WEB, 8080), "client")
    assert trace.verdict == "DROPPED" and steps(trace, "POLICY")[0].chain == "FORWARD"


@pytest.mark.parametrize(
    ("target", "before", "after"),
    [
        ("--set-xmark 0x4000/0x4000", 0x1, 0x4001),
        ("--set-xmark 0x4000/0x0", 0x4001, 0x1),
        ("--set-xmark 0x0/0xffffffff", 0x4001, 0x0),
        ("--set-mark 0x5/0xf", 0x4A, 0x45),
        ("--and-mark 0xff", 0x4001, 0x1),
        ("--or-mark 0x10", 0x1, 0x11),
        ("--xor-mark 0x3", 0x1, 0x2),
    ],
)
def test_mark_arithmetic(target, before, after):
    lab = model(mangle=f"-A PREROUTING -j MARK --set-mark {before:#x}\n-A PREROUTING -j MARK {target}")
    trace = lab.send(syn(WEB, 8080), "client")
    assert [s.mark for s in steps(trace, "RULE", leg=1)] == [before, after]


def test_a_mark_stays_behind_when_the_packet_leaves_the_node():
    text = "-A FORWARD -j MARK --set-mark 0x4000"
    lab = model(mangle=text)
    lab.restore("k8smaster", "*filter\n-A INPUT -m mark --mark 0x4000 -j DROP\nCOMMIT\n")
    trace = lab.send(syn(MASTER, 6443), "client")
    assert trace.verdict == "DELIVERED"
    assert [s.mark for s in steps(trace, "LEAVE", "worker1", leg=1)] == [0x4000]
    assert steps(trace, "ARRIVE", "k8smaster", leg=1)[0].mark == 0


def test_a_negation_is_of_one_test_not_of_the_rule():
    lab = model(filter=f"-A FORWARD ! -s 10.244.2.0/24 -d {WEB} -j DROP")
    assert lab.send(syn(WEB, 8080), "client").verdict == "DROPPED"
    assert lab.send(syn(MASTER, 6443), "client").verdict == "DELIVERED"


def test_addrtype_local_asks_this_nodes_own_table():
    text = "-A PREROUTING -m addrtype --dst-type LOCAL -j DROP"
    assert model(mangle=text).send(syn(MASTER, 6443), "client").verdict == "DELIVERED"
    assert model(mangle=text).send(syn(WORKER, 22), "client").verdict == "DROPPED"


def test_every_rule_passed_over_says_which_test_missed_with_both_values():
    lab = model(
        nat=f"-A PREROUTING -d 10.96.0.10/32 -p udp -j ACCEPT\n-A PREROUTING -p tcp --dport 80\n-A PREROUTING {DNAT}"
    )
    trace = lab.send(syn(), "client")
    passed = steps(trace, "NAT", leg=1)[0].passed
    assert [(p.position, p.wanted, p.found) for p in passed] == [(1, "10.96.0.10", VIP), (2, "80", "443")]
    assert CLIENT not in str(passed[0]) and "10.96.0.10" in str(passed[0])


def test_what_cannot_be_told_stops_the_walk_and_names_the_rule():
    lab = model(filter="-A FORWARD -m string --algo bm --string GET -j DROP\n-A FORWARD -j ACCEPT")
    trace = lab.send(syn(WEB, 8080), "client")
    assert trace.verdict == "UNKNOWN" and "string" in trace.reason and "FORWARD rule 1" in trace.reason


def test_what_cannot_be_told_stops_only_the_packet_that_meets_it():
    lab = model(
        filter="-A FORWARD -p udp -m string --algo bm --string GET -j DROP\n-A FORWARD -j TEE --gateway 10.0.0.1"
    )
    assert lab.send(syn(WORKER, 22), "client").verdict == "DELIVERED"  # never forwarded
    trace = lab.send(syn(WEB, 8080), "client")
    assert trace.verdict == "UNKNOWN" and "TEE" in trace.reason and "FORWARD rule 2" in trace.reason


def test_statistic_random_takes_its_chance_from_the_argument():
    class Dice(Seeded):
        def draw(self, threshold):
            return self.next

    dice = Dice(0)
    lab = model(seed=dice, filter="-A FORWARD -m statistic --mode random --probability 0.5 -j DROP")
    dice.next = (1 << 30) - 1
    assert lab.send(syn(WEB, 8080), "client").verdict == "DROPPED"
    dice.next = 1 << 30
    assert lab.send(syn(WEB, 8080), "client").verdict == "DELIVERED"


def test_statistic_nth_counts_the_packets_that_reach_it():
    lab = model(filter="-A FORWARD -m statistic --mode nth --every 3 --packet 1 -j DROP")
    verdicts = [lab.send(syn(WEB, 8080, sport=41000 + i), "client").verdict for i in range(1)]
    # the reply passes FORWARD, too: packets 0 and 1 are the first SYN and its answer
    trace = lab.send(syn(WEB, 8080, sport=42000), "client")
    assert verdicts == ["DELIVERED"] and trace.verdict == "DELIVERED"
    counted = lab.stacks["worker1"].netfilter.counts["filter", "FORWARD", 1][0]
    assert counted == 1


def test_recent_remembers_for_its_seconds_and_a_hundred_addresses():
    lab = model(
        filter="-A FORWARD -m recent --name L --rcheck --seconds 60 -j DROP\n-A FORWARD -m recent --name L --set"
    )
    assert lab.send(syn(WEB, 8080), "client").verdict == "DELIVERED"
    assert lab.send(syn(WEB, 8080, sport=40001), "client").verdict == "DROPPED"
    lab.clock.advance(61)
    assert lab.send(syn(WEB, 8080, sport=40002), "client").verdict == "DELIVERED"
    for i in range(100):  # a hundred others push the first address out
        lab.send(syn(WEB, 8080, src=f"10.244.2.{i}"), "client")
    assert lab.send(syn(WEB, 8080, sport=40003), "client").verdict == "DELIVERED"


def test_every_way_chance_can_fall_adds_up_to_one():
    text = (
        "-A FORWARD -m statistic --mode random --probability 0.33333333349 -j ACCEPT\n"
        "-A FORWARD -m statistic --mode random --probability 0.5 -j ACCEPT\n-A FORWARD -j DROP"
    )
    ways = list(every_way(lambda chance: model(seed=chance, filter=text).send(syn(WEB, 8080, ttl=2), "client").verdict))
    first_leg = {verdict: sum(float(p) for p, v in ways if v == verdict) for verdict in ("DELIVERED", "DROPPED")}
    assert sum(p for p, _ in ways) == 1
    assert first_leg["DROPPED"] == pytest.approx(1 / 3, abs=1e-8)

"""Translation: who is asked, when, what is rewritten for the first packet, the later ones and the replies."""

from __future__ import annotations

import dataclasses

from k8slab.model.chance import Seeded
from k8slab.network import Interface, Route, cluster_network
from k8slab.packet import Packet
from tests.model.labs import CLIENT, DNAT, MASTER, TRACKED, VIP, WEB, WORKER, changed, model, rules, steps, syn

LOG_POST = "-A POSTROUTING -s 10.106.175.128 -j LOG"
MASQUERADE = "-A POSTROUTING -s 10.244.1.0/24 -o eth0 -j MASQUERADE"


def test_nat_chains_see_the_first_packet_only_and_count_connections():
    lab = model(nat=f"-A PREROUTING {DNAT}")
    for port in range(5):
        trace = lab.connect("client", VIP, 443, sport=41000 + port)
        assert [s.leg for s in trace.steps if s.table == "nat" and s.node == "worker1" and s.rule] == [1]
        assert max(s.leg for s in trace.steps) == 8
    assert lab.stacks["worker1"].netfilter.counts["nat", "PREROUTING", 1][0] == 5


def test_a_connection_without_a_rule_keeps_itself_when_a_rule_appears():
    lab = model(nat=TRACKED)
    lab.send(syn(MASTER, 6443), "client")
    lab.restore(
        "worker1", rules(nat=f"-A PREROUTING -p tcp -d {MASTER} --dport 6443 -j DNAT --to-destination {WEB}:8080")
    )
    old = lab.send(syn(MASTER, 6443, flags="A"), "client")
    new = lab.send(syn(MASTER, 6443, sport=40001), "client")
    assert (old.received.destination, new.received.destination) == (f"{MASTER}:6443", f"{WEB}:8080")


def test_an_open_connection_stays_on_its_endpoint_when_the_rule_changes():
    lab = model(nat=f"-A PREROUTING {DNAT}")
    lab.send(syn(), "client")
    lab.restore("worker1", rules(nat=f"-A PREROUTING -p tcp -d {VIP} --dport 443 -j DNAT --to-destination {WEB}:8080"))
    assert lab.send(syn(flags="A"), "client").received.destination == f"{MASTER}:6443"
    assert lab.send(syn(sport=40001), "client").received.destination == f"{WEB}:8080"


def test_later_packets_are_rewritten_by_the_entry_not_by_a_rule():
    lab = model(nat=f"-A PREROUTING {DNAT}")
    trace = lab.connect("client", VIP, 443)
    third = steps(trace, "NAT", "worker1", leg=3)
    assert [(s.rule, s.after.destination) for s in third] == [("", f"{MASTER}:6443")]


def test_a_reply_is_un_dnated_after_the_rules_of_postrouting_have_read_it():
    lab = model(nat=f"-A PREROUTING {DNAT}", mangle=LOG_POST, filter="-A FORWARD -s 10.106.175.128 -j LOG")
    trace = lab.send(syn(), "client")
    reply = [s for s in trace.steps if s.leg == 2 and s.node == "worker1" and s.kind in ("RULE", "NAT")]
    assert [(s.kind, s.hook, s.before.source) for s in reply] == [
        ("RULE", "FORWARD", f"{MASTER}:6443"),
        ("RULE", "POSTROUTING", f"{MASTER}:6443"),
        ("NAT", "POSTROUTING", f"{MASTER}:6443"),
    ]
    assert reply[-1].rule == "" and reply[-1].after.source == f"{VIP}:443"
    assert trace.reply.source == f"{VIP}:443"


def test_a_reply_is_un_snated_before_any_rule_after_conntrack_but_mangle_prerouting():
    lab = model(
        nat=MASQUERADE, mangle="-A PREROUTING -s 10.106.175.128 -j LOG", filter="-A FORWARD -s 10.106.175.128 -j LOG"
    )
    trace = lab.send(syn(MASTER, 6443), "client")
    assert trace.received.src == WORKER and trace.masqueraded
    reply = [
        (s.kind, s.hook, s.before.dst)
        for s in trace.steps
        if s.leg == 2 and s.node == "worker1" and s.kind in ("RULE", "NAT")
    ]
    assert reply == [("RULE", "PREROUTING", WORKER), ("NAT", "PREROUTING", WORKER), ("RULE", "FORWARD", CLIENT)]


def test_dnat_at_output_comes_after_a_first_route_and_is_followed_by_a_second():
    lab = model(nat=f"-A OUTPUT -p tcp -d {VIP} --dport 443 -j DNAT --to-destination {WEB}:8080")
    trace = lab.send(syn(src=WORKER), "worker1")
    assert [(s.oif) for s in steps(trace, "ROUTE", "worker1", leg=1)] == ["eth0", "veth-web"]
    assert trace.received.destination == f"{WEB}:8080" and trace.reply.source == f"{VIP}:443"


def test_without_any_route_a_dnat_at_output_is_never_asked():
    network = changed(cluster_network(), "worker1", drop="default")
    lab = model(network, nat=f"-A OUTPUT {DNAT}")
    trace = lab.send(syn(src=WORKER), "worker1")
    assert trace.verdict == "REJECTED" and "ENETUNREACH" in trace.reason and not steps(trace, "NAT")
    cured = changed(network, "worker1", add=(Route("default", "10.106.175.1", "eth0"),))
    assert model(cured, nat=f"-A OUTPUT {DNAT}").send(syn(src=WORKER), "worker1").verdict == "DELIVERED"


def test_masquerade_takes_the_out_interfaces_address_nearest_to_the_next_hop():
    network = cluster_network()
    host = network.host("worker1")
    eth0 = Interface("eth0", ("192.0.2.9/24", "10.106.175.131/24"), host.interfaces[0].mac)
    network = network.replace(dataclasses.replace(host, interfaces=(eth0, *host.interfaces[1:])))
    lab = model(network, nat=MASQUERADE)
    assert lab.send(syn(MASTER, 6443), "client").received.src == "10.106.175.131"


def test_masquerade_does_not_ask_the_route_for_its_source_address():
    network = changed(cluster_network(), "worker1", add=(Route(f"{MASTER}/32", dev="eth0", src="10.244.1.1"),))
    lab = model(network, nat=MASQUERADE)
    assert lab.send(syn(MASTER, 6443), "client").received.src == WORKER
    assert lab.connect("worker1", MASTER, 6443).sent.src == "10.244.1.1"


def test_masquerade_towards_a_pod_takes_the_nodes_pod_side_address():
    lab = model(nat="-A POSTROUTING -o veth-web -j MASQUERADE")
    assert lab.send(syn(WEB, 8080), "client").received.src == "10.244.1.1"


def test_masquerade_keeps_the_source_port_when_it_is_free():
    lab = model(nat=MASQUERADE)
    assert lab.send(syn(MASTER, 6443), "client").received.sport == 40000


def test_two_connections_never_share_a_reply_tuple():
    lab = model(nat=MASQUERADE)
    received = [lab.send(syn(MASTER, 6443, src=src), host).received for src, host in ((CLIENT, "client"), (WEB, "web"))]
    assert received[0].src == received[1].src == WORKER
    assert received[0].sport == 40000 != received[1].sport
    first, second = lab.entries("worker1")
    assert first.reply != second.reply


def test_random_fully_changes_the_port_even_when_it_is_free():
    lab = model(nat=MASQUERADE + " --random-fully", seed=3)
    assert lab.send(syn(MASTER, 6443), "client").received.sport == Seeded(3).port(1024, 65535) != 40000


def test_a_dnat_that_would_clash_gets_another_source_port_at_postrouting():
    both = (
        f"-A PREROUTING -p tcp -d 10.96.0.1 -j DNAT --to-destination {MASTER}:6443\n"
        f"-A PREROUTING -p tcp -d 10.96.0.2 -j DNAT --to-destination {MASTER}:6443"
    )
    lab = model(nat=both)
    one, other = lab.send(syn("10.96.0.1"), "client"), lab.send(syn("10.96.0.2"), "client")
    assert one.received.sport == 40000 != other.received.sport
    assert "no rule does this" in steps(other, "NAT", "worker1", leg=1)[-1].why
    assert other.reply.dport == 40000 and other.reply.source == "10.96.0.2:443"


def test_pings_with_one_id_are_kept_apart_by_a_new_id():
    lab = model(nat=MASQUERADE)
    traces = [
        lab.send(Packet("icmp", src, MASTER, icmp_id=9), host) for src, host in ((CLIENT, "client"), (WEB, "web"))
    ]
    assert traces[0].received.icmp_id == 9 != traces[1].received.icmp_id
    assert [t.reply.icmp_id for t in traces] == [9, 9]


def test_hairpin_a_pod_that_reaches_itself_needs_its_source_rewritten():
    to_itself = f"-A PREROUTING -p tcp -d 10.96.0.9 --dport 80 -j DNAT --to-destination {WEB}:8080"
    plain = model(nat=to_itself).send(syn("10.96.0.9", 80, src=WEB), "web")
    assert plain.verdict == "DROPPED" and "own address" in plain.reason
    lab = model(nat=to_itself + "\n-A POSTROUTING -s 10.244.1.7 -d 10.244.1.7 -j MASQUERADE")
    cured = lab.send(syn("10.96.0.9", 80, src=WEB), "web")
    assert cured.received.source == "10.244.1.1:40000" and cured.reply.source == "10.96.0.9:80"


def test_an_endpoint_that_is_itself_a_service_address_is_not_translated_again():
    twice = (
        "-A PREROUTING -p tcp -d 10.96.0.2 --dport 443 -j DNAT --to-destination 10.96.0.1:443\n"
        + f"-A PREROUTING {DNAT}"
    )
    trace = model(nat=twice).send(syn("10.96.0.2"), "client")
    assert trace.verdict == "DROPPED" and "router" in trace.reason and "blackhole" in trace.reason


def test_icmp_errors_are_related_and_their_quoted_packet_is_translated_back():
    lab = model(nat="-A PREROUTING -d 10.96.0.10 -p udp -j DNAT --to-destination 10.244.0.2:9")
    trace = lab.send(Packet("udp", CLIENT, "10.96.0.10", 40000, 53), "client")
    assert trace.received.destination == "10.244.0.2:9"
    assert trace.reply.is_icmp_error and trace.reply.quoted.destination == "10.96.0.10:53"
    assert trace.reply.src == "10.96.0.10"
    assert "RELATED" in steps(trace, "CONNTRACK", "worker1", leg=2)[0].why
    assert steps(trace, "NAT", "worker1", leg=2)[0].rule == ""


def test_redirect_takes_the_address_of_the_interface_it_came_in_on():
    lab = model(nat="-A PREROUTING -p tcp --dport 443 -j REDIRECT --to-ports 22")
    assert lab.send(syn(), "client").received.destination == "10.244.1.1:22"


def test_snat_to_one_address_and_port_range():
    lab = model(nat="-A POSTROUTING -p tcp -j SNAT --to-source 10.106.175.131:50000-50001")
    ports = {lab.send(syn(MASTER, 6443, sport=40000 + i), "client").received.sport for i in range(2)}
    assert ports == {50000, 50001}


def test_the_same_source_keeps_the_port_that_it_was_given_before():
    lab = model(nat=MASQUERADE)
    for source, host in ((WEB, "web"), (CLIENT, "client")):
        clashed = lab.send(syn(MASTER, 6443, src=source), host).received
    elsewhere = lab.send(syn("10.106.175.1", 80), "client").received  # 40000 would be free towards the router
    assert elsewhere.sport == clashed.sport != 40000


def test_when_no_tuple_is_free_the_packet_is_dropped_as_it_is_confirmed():
    lab = model(nat=f"-A POSTROUTING -p tcp -j SNAT --to-source {WORKER}:50000")
    assert lab.send(syn(MASTER, 6443), "client").verdict == "DELIVERED"
    second = lab.send(syn(MASTER, 6443, sport=40001), "client")
    assert second.verdict == "DROPPED" and "no tuple is left" in second.reason
    assert lab.send(syn("10.106.175.1", 80, sport=40001), "client").verdict == "DELIVERED"

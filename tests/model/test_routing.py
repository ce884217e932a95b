"""Routes, neighbours, TTL, and what a host refuses to let in."""

from __future__ import annotations

import dataclasses

import pytest

from k8slab.stack.routing import HostRoutes, OpenRoutes
from k8slab.network import Host, Interface, Route, cluster_network
from k8slab.packet import Packet
from tests.model.labs import CLIENT, MASTER, VIP, WEB, WORKER, changed, model, steps, syn


def test_the_longest_prefix_wins():
    host = Host(
        "h",
        "node",
        (Interface("a", ("10.0.0.1/24",)), Interface("b", ("10.1.0.1/24",))),
        (
            Route("default", "10.0.0.254", "a"),
            Route("10.2.0.0/16", "10.1.0.9", "b"),
            Route("10.2.3.0/24", "10.0.0.9", "a"),
        ),
    )
    routes = HostRoutes(host)
    assert [
        (routes.look_up(a).oif, routes.look_up(a).next_hop) for a in ("10.2.3.4", "10.2.4.4", "10.9.9.9", "10.0.0.7")
    ] == [("a", "10.0.0.9"), ("b", "10.1.0.9"), ("a", "10.0.0.254"), ("a", "10.0.0.7")]


def test_the_local_table_comes_first():
    routes = HostRoutes(cluster_network().host("worker1"))
    assert [
        routes.address_type(a) for a in (WORKER, "127.0.0.5", "10.244.1.1", "10.106.175.255", MASTER, "224.0.0.1")
    ] == ["LOCAL", "LOCAL", "LOCAL", "BROADCAST", "UNICAST", "MULTICAST"]
    assert routes.address_type(WORKER, "veth-web") == "UNICAST" and routes.address_type(WORKER, "eth0") == "LOCAL"


def test_an_untranslated_service_address_is_dropped_by_the_router_in_silence():
    trace = model().send(syn(), "client")
    assert trace.verdict == "DROPPED" and trace.reply is None and "blackhole 10.96.0.0/16" in trace.reason


@pytest.mark.parametrize(("kind", "code"), [("unreachable", 1), ("prohibit", 13)])
def test_a_dead_end_tells_the_sender(kind, code):
    network = changed(cluster_network(), "worker1", add=(Route("10.99.0.0/16", kind=kind),))
    trace = model(network).send(syn("10.99.0.1"), "client")
    assert trace.verdict == "REJECTED" and (trace.reply.icmp_type, trace.reply.icmp_code) == (3, code)


def test_no_route_on_the_way_tells_the_sender_network_unreachable():
    trace = model(changed(cluster_network(), "worker1", drop="default")).send(syn("192.0.2.1"), "client")
    assert trace.verdict == "REJECTED" and (trace.reply.icmp_type, trace.reply.icmp_code) == (3, 0)
    assert trace.reply.src == "10.244.1.1" and trace.reply.quoted.destination == "192.0.2.1:443"


def test_ttl_falls_by_one_on_every_router_and_its_end_is_told():
    assert model().send(syn(MASTER, 6443), "client").received.ttl == 63
    trace = model().send(syn(MASTER, 6443, ttl=1), "client")
    assert trace.verdict == "REJECTED" and (trace.reply.icmp_type, trace.reply.icmp_code) == (11, 0)
    assert trace.reply.src == "10.244.1.1"


def test_ttl_ends_before_the_forward_chain_reads_the_packet():
    trace = model(filter="-A FORWARD -j LOG").send(syn(MASTER, 6443, ttl=1), "client")
    assert not steps(trace, "RULE", leg=1)


@pytest.mark.parametrize(("mode", "verdict"), [(0, "DELIVERED"), (1, "DROPPED"), (2, "DELIVERED")])
def test_rp_filter(mode, verdict):
    # web's address from client's veth: strict mode wants it from veth-web
    lab = model(changed(cluster_network(), "worker1", rp_filter=mode))
    assert lab.send(syn(MASTER, 6443, src=WEB), "client").verdict == verdict


def test_rp_filter_loose_refuses_a_source_without_any_route():
    network = changed(changed(cluster_network(), "worker1", drop="default"), "worker1", rp_filter=2)
    trace = model(network).send(syn(MASTER, 6443, src="192.0.2.5"), "client")
    assert trace.verdict == "DROPPED" and "rp_filter is 2" in trace.reason


def test_a_source_that_is_the_nodes_own_is_refused():
    assert "own address" in model().send(syn(MASTER, 6443, src="10.244.1.1"), "client").reason


def test_route_localnet_lets_a_nodeport_on_loopback_be_translated():
    nat = (
        f"-A OUTPUT -p tcp -d 127.0.0.1 --dport 30080 -j DNAT --to-destination {WEB}:8080\n"
        "-A POSTROUTING -o veth-web -j MASQUERADE"
    )
    asks = Packet("tcp", "127.0.0.1", "127.0.0.1", 40000, 30080)
    off = model(nat=nat)
    on = model(changed(cluster_network(), "worker1", route_localnet=1), nat=nat)
    assert on.send(asks, "worker1").reply.source == "127.0.0.1:30080"
    assert off.send(asks, "worker1").reply is None  # the answer may not go to 127.0.0.1 from a wire


def test_a_loopback_address_may_not_come_from_a_wire():
    trace = model().send(Packet("tcp", CLIENT, "127.0.0.1", 40000, 22), "client")
    assert trace.received.destination == "127.0.0.1:22"  # on the Pod itself
    lab = model(nat="-A PREROUTING -p tcp --dport 443 -j DNAT --to-destination 127.0.0.1:22")
    assert "route_localnet is 0" in lab.send(syn(), "client").reason


def test_a_neighbour_that_does_not_answer():
    trace = model().send(syn("10.106.175.200"), "client")
    assert trace.verdict == "REJECTED" and (trace.reply.icmp_type, trace.reply.icmp_code) == (3, 1)
    assert "ARP" in trace.reason


def test_a_host_that_does_not_forward_drops_in_silence():
    trace = model(changed(cluster_network(), "worker1", ip_forward=0)).send(syn(MASTER, 6443), "client")
    assert trace.verdict == "DROPPED" and "ip_forward is 0" in trace.reason and trace.reply is None


def test_a_local_program_without_a_route_is_told_at_once():
    network = changed(cluster_network(), "client", drop="default")
    trace = model(network).send(syn(), "client")
    assert "ENETUNREACH" in trace.reason and len({s.leg for s in trace.steps}) == 1


def test_a_packet_to_oneself_turns_round_on_lo_with_one_entry():
    lab = model(
        nat="-A OUTPUT -p tcp --dport 80 -j DNAT --to-destination 10.106.175.131:22\n"
        "-A PREROUTING -p tcp --dport 22 -j DNAT --to-destination 10.244.1.7"
    )
    trace = lab.send(Packet("tcp", WORKER, WORKER, 40000, 80), "worker1")
    assert trace.received.destination == f"{WORKER}:22"
    assert [s.iif for s in steps(trace, "ARRIVE")][0] == "lo"
    assert len(steps(trace, "CONNTRACK", leg=1)) == 2  # found once, confirmed once


def test_the_source_address_is_the_routes_or_the_interfaces_nearest():
    host = cluster_network().host("worker1")
    routes = HostRoutes(
        dataclasses.replace(
            host, routes=(*host.routes, Route("192.0.2.0/24", "10.106.175.1", "eth0", src="10.244.1.1"))
        )
    )
    assert [routes.source(routes.look_up(a)) for a in ("192.0.2.1", "203.0.113.10", CLIENT, "127.0.0.1")] == [
        "10.244.1.1",
        WORKER,
        "10.244.1.1",
        "127.0.0.1",
    ]


def test_of_a_node_known_by_its_rules_alone_only_what_was_said_is_local():
    routes = OpenRoutes(("10.106.175.128",))
    assert [routes.address_type(a) for a in ("10.106.175.128", "127.0.0.1", VIP)] == ["LOCAL", "LOCAL", "UNICAST"]
    assert routes.address_type("10.106.175.128", "eth0") is None  # which interface has it was not said

"""Cases in which the model once differed from the kernel, as Linux 6.18 with iptables 1.8.9 was seen to do them."""

from __future__ import annotations

import dataclasses

import pytest

from k8slab.model.jhash import address_of_range
from k8slab.stack.skb import Skb
from k8slab.network import Interface, NetworkError, Route, cluster_network
from k8slab.packet import Packet
from tests.model.labs import CLIENT, DNAT, MASTER, TRACKED, VIP, WEB, WORKER, changed, model, rules, steps, syn


def test_a_nodeport_on_loopback_is_refused_at_once_while_route_localnet_is_0():
    lab = model(
        nat=f"-A OUTPUT -d 127.0.0.1 -p tcp --dport 30080 -j DNAT --to-destination {MASTER}:6443\n"
        "-A POSTROUTING -s 127.0.0.1 -j MASQUERADE"
    )
    trace = lab.send(Packet("tcp", "127.0.0.1", "127.0.0.1", 40000, 30080), "worker1")
    assert trace.verdict == "REJECTED" and "EINVAL" in trace.reason and lab.entries("worker1") == ()
    assert not steps(trace, "LEAVE")


@pytest.mark.parametrize(
    ("kind", "error"), [("blackhole", "EINVAL"), ("unreachable", "EHOSTUNREACH"), ("prohibit", "EACCES")]
)
def test_a_dnat_at_output_to_a_dead_end_is_told_before_filter_reads_the_packet(kind, error):
    network = changed(cluster_network(), "worker1", add=(Route("10.99.0.0/16", kind=kind),))
    lab = model(
        network, nat="-A OUTPUT -p tcp -d 10.96.0.1 -j DNAT --to-destination 10.99.0.1", filter="-A OUTPUT -j ACCEPT"
    )
    trace = lab.send(syn(src=WORKER), "worker1")
    assert trace.verdict == "REJECTED" and error in trace.reason
    assert ("filter", "OUTPUT", 1) not in lab.stacks["worker1"].netfilter.counts


def test_filter_output_still_reads_the_interface_of_the_first_route():
    lab = model(nat=f"-A OUTPUT -d {VIP} -p tcp -j DNAT --to-destination {WEB}:8080", filter="-A OUTPUT -o eth0 -j LOG")
    trace = lab.send(syn(src=WORKER), "worker1")
    assert [s.oif for s in steps(trace, "RULE", "worker1", leg=1)] == ["eth0"]
    assert [s.oif for s in steps(trace, "LEAVE", "worker1", leg=1)] == ["veth-web"]


@pytest.mark.parametrize(
    ("flags", "answer"),
    [
        ("S", "SA"),
        ("SP", "SA"),
        ("SU", "SA"),
        ("A", "R"),
        ("PA", "R"),
        ("FA", "R"),
        ("SA", "R"),
        ("R", None),
        ("F", None),
        ("SF", None),
        ("FPU", None),
    ],
)
def test_what_a_listening_port_answers_to_the_first_packet_of_nobody(flags, answer):
    reply = model().send(syn(WEB, 8080, flags=flags), "client").reply
    assert (reply.flags if reply else None) == answer


def test_data_on_a_connection_that_conntrack_forgot_is_reset():
    lab = model(nat=f"-A PREROUTING {DNAT}")
    lab.send(syn(), "client")
    lab.run("worker1", "conntrack -F")
    trace = lab.send(syn(flags="PA", payload=b"hello"), "client")
    assert trace.reply.flags == "R" and lab.entries("worker1") == ()


@pytest.mark.parametrize(
    ("address", "kind"),
    [("10.99.0.1", "UNICAST"), ("224.0.0.1", "MULTICAST"), ("255.255.255.255", "BROADCAST"), ("0.1.2.3", "BROADCAST")],
)
def test_addrtype_asks_the_local_table_alone(address, kind):
    network = changed(cluster_network(), "worker1", add=(Route("10.99.0.0/16", kind="blackhole"),))
    assert model(network).stacks["worker1"].routes.address_type(address) == kind


def test_an_address_on_two_interfaces_is_local_on_the_first():
    routes = model().stacks["worker1"].routes
    assert [routes.address_type("10.244.1.1", i) for i in ("veth-client", "veth-web")] == ["LOCAL", "UNICAST"]
    assert routes.address_type("10.106.175.255", "veth-web") == "UNICAST"


@pytest.mark.parametrize(
    ("text", "tracks"),
    [("-A PREROUTING -j ACCEPT", False), ("-A PREROUTING -j RETURN", False), ("", False), (TRACKED, True)],
)
def test_a_nat_table_without_a_translation_does_not_switch_conntrack_on(text, tracks):
    lab = model(nat=text)
    lab.connect("client", WEB, 8080)
    assert bool(lab.entries("worker1")) is tracks
    assert tracks or lab.stacks["worker1"].netfilter.counts == {}


def test_notrack_alone_does_not_switch_conntrack_on():
    lab = model(raw="-A OUTPUT -j CT --notrack")
    lab.connect("client", WEB, 8080)
    assert lab.entries("worker1") == ()


@pytest.mark.parametrize("test", ["--mark 0", "! --mark 1", "--mark 0x0/0xff"])
def test_without_an_entry_no_connmark_is_compared(test):
    trace = model(raw=f"-A PREROUTING -m connmark {test} -j DROP").send(syn(WEB, 8080), "client")
    assert trace.verdict == "DELIVERED"


@pytest.mark.parametrize("match", ["-m conntrack --ctstate INVALID", "-m state --state INVALID"])
def test_before_conntrack_has_looked_a_packet_is_invalid(match):
    assert model(raw=f"-A PREROUTING {match} -j DROP").send(syn(WEB, 8080), "client").verdict == "DROPPED"


@pytest.mark.parametrize(("test", "verdict"), [("--ctstatus NONE", "DELIVERED"), ("! --ctstatus NONE", "DROPPED")])
def test_ctstatus_none_never_hits(test, verdict):
    assert model(filter=f"-A FORWARD -m conntrack {test} -j DROP").send(syn(WEB, 8080), "client").verdict == verdict


def test_a_reject_with_tcp_reset_closes_the_entry():
    lab = model(nat=TRACKED)
    lab.send(syn(WEB, 8080), "client")
    lab.run("worker1", "iptables -A FORWARD -p tcp -j REJECT --reject-with tcp-reset")
    lab.send(syn(WEB, 8080, flags="A"), "client")
    assert [e.state for e in lab.entries("worker1")] == ["CLOSE"]


def test_no_packet_leaves_for_a_neighbour_that_does_not_answer():
    trace = model().send(syn("10.106.175.200"), "client")
    assert steps(trace, "LEAVE", "worker1", leg=1) == [] and trace.reply.is_icmp_error


@pytest.mark.parametrize("address", ["224.0.0.1", "255.255.255.255", "10.106.175.255"])
def test_a_packet_for_many_hosts_is_not_followed(address):
    trace = model().send(syn(address, src=WORKER), "worker1")
    assert trace.verdict == "UNKNOWN" and "many hosts" in trace.reason


def test_forwarded_multicast_ends_on_the_router_in_silence():
    trace = model().send(syn("224.0.0.1", src=CLIENT), "client")
    assert trace.verdict == "UNKNOWN"  # a Pod's own send is for many hosts
    lab = model(nat="-A PREROUTING -p tcp --dport 443 -j DNAT --to-destination 224.0.0.1")
    assert lab.send(syn(), "client").verdict == "DROPPED"


@pytest.mark.parametrize(
    ("source", "target", "low", "high", "chosen"),
    [
        (CLIENT, "10.96.0.1", "10.106.175.128", "10.106.175.131", "10.106.175.130"),
        (CLIENT, "10.106.175.128", "10.106.175.140", "10.106.175.147", "10.106.175.146"),
        *(
            (CLIENT, f"10.96.0.{i}", "10.106.175.128", "10.106.175.129", f"10.106.175.12{d}")
            for i, d in enumerate("99989888")
        ),
    ],
)
def test_a_range_of_addresses_is_spread_by_a_hash_without_a_secret(source, target, low, high, chosen):
    assert address_of_range(source, target, low, high) == chosen


def test_a_persistent_range_does_not_look_at_the_destination():
    chosen = {address_of_range(CLIENT, f"10.96.0.{i}", MASTER, "10.106.175.129", persistent=True) for i in range(8)}
    assert chosen == {"10.106.175.129"}


def test_one_client_always_gets_the_same_address_of_a_range():
    lab = model(nat=f"-A PREROUTING -d {VIP} -p tcp -j DNAT --to-destination 10.106.175.128-10.106.175.131")
    hit = {steps(lab.send(syn(sport=41000 + i), "client"), "NAT")[0].after.dst for i in range(8)}
    assert hit == {"10.106.175.130"}


def test_the_first_answer_of_a_udp_exchange_does_not_make_a_stream_however_late():
    lab = model(nat=TRACKED, raw="-A PREROUTING -s 10.244.0.2 -j LOG")
    lab.send(Packet("udp", CLIENT, "10.106.175.1", 40000, 9), "client")
    stack = lab.stacks["worker1"]
    entry = lab.entries("worker1")[0]
    lab.clock.advance(5)
    answer = Packet("udp", "10.106.175.1", CLIENT, 9, 40000)
    stack.netfilter.conntrack.look_up(answer, lab.clock())
    after = lab.entries("worker1")[0]
    assert (entry.timeout, after.timeout, after.assured) == (30, 30, False)


def test_where_no_route_leads_nobody_asks_for_the_source():
    network = changed(changed(cluster_network(), "worker1", drop="default"), "worker1", rp_filter=1)
    trace = model(network).send(syn("192.0.2.1", src=WEB), "client")
    assert trace.verdict == "REJECTED"  # told, and not dropped for its strange source


def test_a_multicast_source_is_a_martian():
    assert "cannot be the source" in model().send(syn(MASTER, 6443, src="224.0.0.9"), "client").reason


def test_rp_filter_loose_is_strict_on_an_interface_without_an_address():
    network = changed(cluster_network(), "worker1", rp_filter=2)
    host = network.host("worker1")
    bare = tuple(dataclasses.replace(i, addresses=()) if i.name == "veth-client" else i for i in host.interfaces)
    network = network.replace(dataclasses.replace(host, interfaces=bare))
    network = network.replace(
        dataclasses.replace(network.host("client"), routes=(Route("default", "10.244.1.1", "eth0"),))
    )
    assert model(network).send(syn(MASTER, 6443, src=WEB), "client").verdict == "DROPPED"


def test_recent_keeps_its_lists_when_rules_change_and_nth_begins_anew_on_restore():
    text = "-A FORWARD -m recent --name L --rcheck -j DROP\n-A FORWARD -m recent --name L --set"
    lab = model(filter=text)
    lab.send(syn(WEB, 8080), "client")
    lab.run("worker1", "iptables -A FORWARD -p udp")
    assert lab.send(syn(WEB, 8080, sport=40001), "client").verdict == "DROPPED"
    lab.restore("worker1", rules(filter=text))
    assert lab.send(syn(WEB, 8080, sport=40002), "client").verdict == "DROPPED"


def test_redirect_on_an_interface_without_an_address_drops():
    network = cluster_network()
    host = network.host("worker1")
    bare = tuple(dataclasses.replace(i, addresses=()) if i.name == "veth-client" else i for i in host.interfaces)
    lab = model(
        network.replace(dataclasses.replace(host, interfaces=bare)),
        nat="-A PREROUTING -p tcp -j REDIRECT --to-ports 22",
    )
    trace = lab.send(syn(src=CLIENT), "worker1")  # from the node: its OUTPUT has no such rule
    assert trace.verdict == "DROPPED" and "router" in trace.reason
    stack = lab.stacks["worker1"]
    fate = stack.receive(Skb(syn(sport=40001), 1), "veth-client")
    assert fate.kind == "drop" and "no address" in fate.reason


def test_a_moved_port_range_wraps_round():
    lab = model(nat=f"-A PREROUTING -d {VIP} -p tcp -j DNAT --to-destination {MASTER}:6440-6445/440")
    ports = {dport: steps(lab.send(syn(dport=dport), "client"), "NAT")[0].after.dport for dport in (440, 443, 436)}
    assert ports == {440: 6440, 443: 6443, 436: 6440}


def test_recent_rttl_adds_back_what_forwarding_took():
    text = "-A PREROUTING -m recent --name L --set"
    lab = model(mangle=text, filter="-A FORWARD -m recent --name L --rcheck --rttl -j DROP")
    assert lab.send(syn(WEB, 8080), "client").verdict == "DROPPED"


@pytest.mark.parametrize(("proto", "code"), [("47", 2), ("253", 2), ("sctp", 2)])
def test_a_protocol_that_nobody_speaks_is_answered_by_an_icmp_error(proto, code):
    ports = (40000, 9) if proto == "sctp" else ()
    reply = model().send(Packet(proto, CLIENT, WEB, *ports), "client").reply
    assert (reply.icmp_type, reply.icmp_code) == (3, code)


def test_an_icmp_message_of_an_unknown_type_is_rejected_in_silence():
    trace = model(filter="-A FORWARD -j REJECT").send(Packet("icmp", CLIENT, WEB, icmp_type=42), "client")
    assert trace.verdict == "REJECTED" and trace.reply is None


def test_a_redirect_about_a_translated_connection_is_dropped():
    lab = model(nat=f"-A PREROUTING {DNAT}")
    lab.send(syn(), "client")
    redirect = Packet("icmp", MASTER, CLIENT, icmp_type=5, icmp_code=1, quoted=syn(MASTER, 6443))
    trace = lab.send(redirect, "k8smaster")
    assert trace.verdict == "DROPPED" and "redirect" in trace.reason


def test_an_unknown_protocol_is_called_unknown_in_conntrack_l():
    lab = model(nat=TRACKED)
    lab.send(Packet("253", CLIENT, WEB), "client")
    assert lab.run("worker1", "conntrack -L").startswith("unknown  253 600 src=10.244.1.5 dst=10.244.1.7")


# What is wrong is said in a sentence.


def test_a_route_by_way_of_a_next_hop_that_no_link_has_goes_nowhere():
    network = changed(
        cluster_network(),
        "client",
        drop="default",
        add=(Route("default", via="198.18.0.1"), Route("198.18.0.0/15", via="198.18.0.2")),
    )
    trace = model(network).send(syn(), "client")
    assert trace.verdict == "REJECTED"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda lab: lab.connect("client", "kubernetes", 443), "names are not looked up"),
        (lambda lab: lab.connect("client", VIP, 443, proto="sctp"), "tcp and udp"),
        (lambda lab: lab.connect("nobody", VIP, 443), "there is no host nobody"),
    ],
)
def test_wrong_calls_are_told_in_a_sentence(call, says):
    with pytest.raises(NetworkError, match=says):
        call(model())


def test_an_interface_with_two_addresses_still_has_one_that_is_first():
    eth = Interface("eth0", ("10.0.0.1/24", "10.0.0.2/24"))
    assert eth.ips == ("10.0.0.1", "10.0.0.2")

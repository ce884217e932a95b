"""What the kernel's dataplane works out without a kernel: messages, events, entries at each moment, legacy's log."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.entry import Entry
from k8slab.kernel import events, legacy, links, namespaces, netlink
from k8slab.kernel.events import TABLE, Change, Hit
from k8slab.kernel.stays import print_of
from k8slab.kernel.known import Table, sign
from k8slab.kernel.passages import passages
from k8slab.packet import Flow, Packet
from k8slab.wire import to_scapy
from tests.kernel.journeys import JOURNEYS
from tests.kernel.record import load

SYN = Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)
TRANSLATED = Flow("tcp", "10.106.175.128", "10.244.1.5", 6443, 40000)


def attribute(kind: int, *values: bytes) -> bytes:
    return netlink.attribute(kind, b"".join(values))


# netlink

def test_an_entry_that_expires_while_entries_are_made_older_is_passed_over(monkeypatch):
    entries = [(0, b"\0" * 4 + attribute(netlink.CTA_TUPLE | netlink.NESTED, bytes([number]))
                + attribute(netlink.CTA_TIMEOUT, struct.pack(">I", 60))) for number in (1, 2)]
    asked = []

    def ask(_, question):
        asked.append(question)
        if len(asked) == 2:
            raise FileNotFoundError(errno.ENOENT, "netlink refuses")
        return entries if len(asked) == 1 else []

    monkeypatch.setattr(netlink, "ask", ask)
    host = namespaces.Host.__new__(namespaces.Host)
    host.talk = None
    host.age(10)
    assert len(asked) == 3 and struct.pack(">I", 50) in asked[2]


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40))))
def test_attributes_are_read_as_they_were_written(pairs):
    data = b"".join(netlink.attribute(kind, value) for kind, value in pairs)
    assert netlink.attributes(data) == dict(pairs) and len(data) % 4 == 0


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40))))
def test_messages_are_read_as_they_were_written(pairs):
    data = b"".join(netlink.request(kind, 0, body) + b"\0" * (-len(body) % 4) for kind, body in pairs)
    assert [(kind, body) for kind, _, body in netlink.messages(data)] == pairs


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_without_an_error(data):
    netlink.attributes(data)


def test_a_refusal_of_the_kernels_is_an_error():
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        there.send(netlink.request(netlink.ERROR, 0, struct.pack("=i", -1)))
        with pytest.raises(PermissionError):
            netlink.ask(here, b"?")


def test_a_list_of_many_messages_is_read_to_its_end():
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        there.send(netlink.request(16, 2, b"1234") + netlink.request(16, 2, b"5678"))
        there.send(netlink.request(netlink.DONE, 2, b""))
        assert netlink.ask(here, b"?") == [(16, b"1234"), (16, b"5678")]


# events

def test_a_rule_that_was_hit_is_read_with_its_place_verdict_mark_and_headers():
    verdict = attribute(1, struct.pack(">i", events.JUMP)) + attribute(2, b"KUBE-SERVICES\0")
    body = bytes(4) + b"".join([
        attribute(1, b"nat\0"), attribute(2, b"PREROUTING\0"), attribute(3, struct.pack(">Q", 7)),
        attribute(4, struct.pack(">I", 3)), attribute(5 | netlink.NESTED, verdict), attribute(6, struct.pack(">I", 99)),
        attribute(8, b"network"), attribute(9, b"transport"), attribute(10, struct.pack(">I", 2)),
        attribute(14, struct.pack(">I", 0x4000))])
    places = {("nat", "PREROUTING", 7): 1}
    hit = events.read_hit("worker1", body, lambda *place: places[place], {2: "veth-client"}.get)
    assert hit == Hit("worker1", 99, "nat", "PREROUTING", 1, "rule", events.JUMP, "KUBE-SERVICES", 0x4000,
                      "veth-client", "", b"network", b"transport")


def test_a_policy_has_no_place():
    body = bytes(4) + attribute(1, b"filter\0") + attribute(2, b"FORWARD\0") + attribute(4, struct.pack(">I", 1)) + (
        attribute(16, struct.pack(">i", events.DROP)))
    hit = events.read_hit("worker1", body, lambda *_: 5, str)
    assert (hit.position, hit.kind, hit.verdict) == (0, "policy", events.DROP)


def test_rules_are_counted_chain_by_chain():
    def rule(table: bytes, chain: bytes, handle: int) -> tuple[int, bytes]:
        return 6, bytes(4) + attribute(1, table) + attribute(2, chain) + attribute(3, struct.pack(">Q", handle))

    read = events.read_rules([rule(b"nat", b"A", 4), rule(b"nat", b"A", 9), rule(b"nat", b"B", 5),
                              rule(b"raw", b"A", 4)])
    assert read == {("nat", "A", 4): 1, ("nat", "A", 9): 2, ("nat", "B", 5): 1, ("raw", "A", 4): 1}


def flow_bytes(kind: int, flow: Flow) -> bytes:
    addresses = attribute(1, socket.inet_aton(flow.src)) + attribute(2, socket.inet_aton(flow.dst))
    upper = attribute(1, bytes([6])) + attribute(2, struct.pack(">H", flow.sport)) + attribute(
        3, struct.pack(">H", flow.dport))
    return attribute(kind, attribute(1, addresses), attribute(2, upper))


def entry_body(family: int = socket.AF_INET, state: int = 3) -> bytes:
    status = events.SEEN_REPLY | events.ASSURED | events.CONFIRMED
    return bytes([family, 0, 0, 0]) + flow_bytes(1, SYN.flow) + flow_bytes(2, TRANSLATED) + b"".join([
        attribute(3, struct.pack(">I", status)), attribute(4, attribute(1, attribute(1, bytes([state])))),
        attribute(7, struct.pack(">I", 431999)), attribute(8, struct.pack(">I", 5))])


ENTRY = Entry(SYN.flow, TRANSLATED, "ESTABLISHED", True, True, True, 5, 431999)


def test_an_entry_is_read_with_both_tuples_and_its_state():
    assert events.read_entry(entry_body()) == ENTRY
    assert events.read_entry(entry_body(socket.AF_INET6)) is None


@pytest.mark.parametrize(("message", "flags", "what"), [
    (netlink.CT_NEW, netlink.CREATE, "new"), (netlink.CT_NEW, 0, "update"), (netlink.CT_DELETE, 0, "destroy")])
def test_what_happened_to_an_entry_is_told_by_the_message(message, flags, what):
    data = netlink.request(netlink.SUBSYSTEM_CONNTRACK << 8 | message, flags, entry_body())
    assert list(events.read_changes("worker1", data)) == [Change("worker1", what, ENTRY)]


@pytest.mark.parametrize("packet", [
    SYN, Packet("udp", "10.0.0.1", "10.0.0.2", 53, 54),
    Packet("icmp", "10.0.0.1", "10.0.0.2", icmp_type=8, icmp_id=77)])
def test_the_tuple_is_read_from_the_first_bytes(packet):
    data = bytes(to_scapy(packet))
    assert events.inner_flow(data[:20], data[20:40]) == packet.flow
    assert events.inner_flow(data[:19], data[20:40]) is None


# known

def test_nat_changes_nothing_of_a_packets_print():
    """Of each packet's way through a host in the recorded journeys, some of whose rules give it other addresses."""
    for name in JOURNEYS:
        for passage in passages(load(name).seen.hits):
            walked = {print_of(walk[0].network, walk[0].transport) for walk in passage.walks}
            assert walked <= {print_of(passage.network, passage.transport)}


def test_segments_with_the_same_ip_id_are_told_apart():
    """Linux gives a SYN-ACK and a RST the id 0."""
    prints = [print_of(data[:20], data[20:40]) for data in (bytes(to_scapy(SYN.replace(seq=seq))) for seq in (1, 2))]
    assert prints[0][1] == prints[1][1] and prints[0] != prints[1]


def test_an_answer_without_an_event_has_been_seen():
    question = Flow("udp", "10.0.0.1", "10.0.0.2", 40000, 53)
    table = Table([Entry(question, question.reply)], [])
    state, known, direction, _ = table.find(Packet("udp", "10.0.0.2", "10.0.0.1", 53, 40000))
    assert (state, direction, known.now.seen_reply) == ("ESTABLISHED", "REPLY", True)


@pytest.mark.parametrize(("flags", "key"), [("S", "S"), ("SA", "SA"), ("A", "A"), ("PA", "A"), ("FA", "F"), ("RA", "R"),
                                            ("", "")])
def test_flags_choose_what_a_packet_brings_about(flags, key):
    assert sign(flags) == key


def change(what: str, state: str, **fields: object) -> Change:
    return Change("worker1", what, Entry(SYN.flow, TRANSLATED, state, **fields))


def test_the_events_of_a_connection_are_dealt_to_its_packets_in_order():
    table = Table([], [change("new", "SYN_SENT"), change("update", "SYN_RECV", seen_reply=True),
                       change("update", "ESTABLISHED", seen_reply=True, assured=True)])
    state, known, direction, new = table.find(SYN)
    assert (state, direction, new) == ("NEW", "ORIGINAL", True) and known.reply == SYN.flow.reply
    table.confirm(known)
    assert known.reply == TRANSLATED and known.status == {"DNAT"} and known.confirmed
    answer = Packet("tcp", TRANSLATED.src, TRANSLATED.dst, TRANSLATED.sport, TRANSLATED.dport, flags="SA")
    assert table.find(answer) == ("ESTABLISHED", known, "REPLY", False) and known.now.state == "SYN_RECV"
    assert table.find(SYN.replace(flags="A")) == ("ESTABLISHED", known, "ORIGINAL", False)
    assert known.now.state == "ESTABLISHED" and known.now.assured


def test_a_packet_that_cannot_begin_a_connection_is_invalid():
    table = Table([], [])
    assert table.find(SYN.replace(flags="SA"))[0] == "INVALID"
    assert table.find(Packet("icmp", "10.0.0.1", "10.0.0.2", icmp_type=0, icmp_id=1))[0] == "INVALID"


def test_an_error_about_a_known_connection_is_related():
    table = Table([Entry(SYN.flow, TRANSLATED, "SYN_SENT")], [])
    quoted = Packet("tcp", "10.244.1.5", "10.106.175.128", 40000, 6443)
    error = Packet("icmp", "10.106.175.128", "10.244.1.5", icmp_type=3, icmp_code=3, quoted=quoted)
    state, known, direction, new = table.find(error)
    assert (state, direction, new) == ("RELATED", "REPLY", False) and known.original == SYN.flow


def test_a_connection_makes_way_for_a_new_one_with_the_same_tuple():
    table = Table([Entry(SYN.flow, TRANSLATED, "TIME_WAIT", True)], [change("destroy", "TIME_WAIT"),
                                                                     change("new", "SYN_SENT")])
    assert table.find(SYN)[0] == "NEW"


# links

def link(index: int, flags: int, carrier: int, state: int, *more: bytes) -> tuple[int, bytes]:
    return 16, struct.pack("=BxHiII", 0, 0, index, flags, 0) + attribute(links.CARRIER, bytes([carrier])) + attribute(
        links.OPERSTATE, bytes([state])) + b"".join(more)


def port(state: int) -> bytes:
    return attribute(links.MASTER, struct.pack("=I", 1)) + attribute(
        links.PROTINFO | netlink.NESTED, attribute(links.BRPORT_STATE, bytes([state])))


@pytest.mark.parametrize(("plain", "ports", "ready"), [
    ([link(1, 1, 1, 6)], [], True),
    ([link(1, 1, 1, 2)], [], False),                 # it has a carrier, and does not know
    ([link(1, 1, 0, 2)], [], True),                  # its far end is down: it will not come up by waiting
    ([link(1, 0, 1, 2)], [], True),                  # it is down itself
    ([link(1, 1, 1, 0)], [], True),                  # lo has no state
    ([], [link(1, 1, 1, 6), link(2, 1, 1, 6, port(0))], False),
    ([], [link(1, 1, 1, 6), link(2, 1, 1, 6, port(3))], True),
    ([], [link(1, 1, 1, 6), link(2, 0, 1, 6, port(0))], True),        # the port is
    ([], [link(1, 0, 1, 6), link(2, 1, 1, 6, port(0))], True)])       # the bridge is down
def test_a_link_is_ready_when_it_carries_packets(monkeypatch, plain, ports, ready):
    answers: Callable = {socket.AF_UNSPEC: plain, socket.AF_BRIDGE: ports}.get
    monkeypatch.setattr(netlink, "ask", lambda talk, question: answers(question[16]))
    assert links.ready(None) is ready


# legacy

def line(prefix: str, packet: Packet, hook: str, **numbers: int) -> bytes:
    body = bytes(4) + attribute(legacy.HEADER, b"\x08\0", bytes([legacy.HOOKS.index(hook), 0])) + attribute(
        legacy.PREFIX, f"{prefix}\0".encode()) + attribute(legacy.PAYLOAD, bytes(to_scapy(packet)))
    body += b"".join(attribute(getattr(legacy, name), struct.pack(">I", value)) for name, value in numbers.items())
    return netlink.request(legacy.SUBSYSTEM_LOG << 8 | legacy.PACKET, 0, body)


def start(chain: str, packet: Packet, name: int) -> Hit:
    data = bytes(to_scapy(packet))
    return Hit("worker1", name, TABLE, chain, 0, "rule", -1, "", 0, "", "", data[:20], data[20:40])


def test_a_line_of_the_log_is_read_and_other_logs_are_not():
    data = line("TRACE: nat:KUBE-SERVICES:rule:3 ", SYN, "PREROUTING", MARK=0x4000, INDEV=2)
    read = list(legacy.read_lines("worker1", data + line("mine: ", SYN, "INPUT"), {2: "veth-client"}.get))
    assert read == [legacy.Line("worker1", "PREROUTING", "nat", "KUBE-SERVICES", 3, 0x4000, "veth-client", "",
                                bytes(to_scapy(SYN)))]


def test_lines_are_dealt_to_the_packets_that_they_are_about():
    """Two packets on their way at once, one of which goes round by lo; the log tells one after the other."""
    other = Packet("udp", "10.244.1.5", "10.96.0.10", 40000, 53, payload=b"1234")
    told = [("mangle:OUTPUT:policy:1", SYN, "OUTPUT"), ("nat:PREROUTING:rule:1", other, "PREROUTING"),
            ("nat:KUBE-SERVICES:rule:1", other, "PREROUTING"), ("nat:KUBE-SERVICES:return:2", other, "PREROUTING"),
            ("nat:PREROUTING:policy:2", other, "PREROUTING"), ("filter:FORWARD:policy:1", other, "FORWARD"),
            ("nat:POSTROUTING:policy:1", SYN, "POSTROUTING"), ("filter:INPUT:policy:2", SYN, "INPUT")]
    lines = [one for words, packet, hook in told
             for one in legacy.read_lines("worker1", line(f"TRACE: {words} ", packet, hook), str)]
    starts = [start("out", SYN, 1), start("pre", other, 2), start("pre", SYN, 1)]
    sizes = {("worker1", "nat", "PREROUTING"): 1, ("worker1", "nat", "KUBE-SERVICES"): 2,
             ("worker1", "filter", "INPUT"): 2}
    hits = legacy.merged(starts, lines, sizes, print_of)
    assert [(hit.table, hit.chain, hit.position, hit.kind, bool(hit.network)) for hit in hits] == [
        (TABLE, "out", 0, "rule", True), ("mangle", "OUTPUT", 0, "policy", True),
        ("nat", "POSTROUTING", 0, "policy", True),
        (TABLE, "pre", 0, "rule", True), ("nat", "PREROUTING", 1, "rule", True),
        ("nat", "KUBE-SERVICES", 1, "rule", False),
        ("nat", "KUBE-SERVICES", 2, "rule", False),         # the last rule, without a test: RETURN
        ("nat", "PREROUTING", 0, "policy", False), ("filter", "FORWARD", 0, "policy", True),
        (TABLE, "pre", 0, "rule", True), ("filter", "INPUT", 2, "rule", True)]


def test_nat_at_input_comes_after_filter():
    lines = [one for words in ("filter:INPUT:policy:1", "nat:INPUT:policy:1")
             for one in legacy.read_lines("worker1", line(f"TRACE: {words} ", SYN, "INPUT"), str)]
    hits = legacy.merged([start("pre", SYN, 1), start("pre", SYN, 2)], lines, {}, print_of)
    assert [(hit.packet, hit.table) for hit in hits] == [(1, TABLE), (1, "filter"), (1, "nat"), (2, TABLE)]


def test_the_same_packet_seen_again_begins_anew():
    lines = [one for words in ("filter:INPUT:rule:1", "filter:INPUT:policy:2") * 2
             for one in legacy.read_lines("worker1", line(f"TRACE: {words} ", SYN, "INPUT"), str)]
    starts, sizes = [start("pre", SYN, 1), start("pre", SYN, 1)], {("worker1", "filter", "INPUT"): 1}
    hits = legacy.merged(starts, lines, sizes, print_of)
    assert [hit.table == TABLE for hit in hits] == [True, False, False] * 2


@pytest.mark.parametrize(("words", "backend", "here", "named"), [
    ("iptables -t nat -L", "legacy", "nft", "iptables-legacy -t nat -L"),
    ("/usr/sbin/iptables-restore -n", "nft", "legacy", "iptables-nft-restore -n"),
    ("iptables-save", "legacy", "legacy", "iptables-save"),
    ("iptables-legacy-save", "nft", "legacy", "iptables-legacy-save"),
    ("iptables-xml", "legacy", "nft", "iptables-xml")])
def test_programs_are_named_for_the_labs_backend(words, backend, here, named):
    assert " ".join(legacy.named(words.split(), backend, here)) == named

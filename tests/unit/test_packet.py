"""Packets and flows as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.packet import Flow, Packet, dotted, number

ADDRESSES = st.integers(0, 2**32 - 1).map(dotted)
PORTS = st.integers(0, 65535)
TCP_FLAGS = st.sampled_from(["S", "SA", "A", "PA", "FA", "R", "RA"])


def packets() -> st.SearchStrategy[Packet]:
    """Packets of every protocol that is modelled."""
    common = {"src": ADDRESSES, "dst": ADDRESSES, "ttl": st.integers(1, 255), "payload": st.binary(max_size=40)}
    word = st.integers(0, 2**32 - 1)
    ported = st.builds(
        Packet, proto=st.sampled_from(["udp", "sctp"]), sport=PORTS, dport=PORTS, **common | {"payload": st.just(b"")}
    )
    tcp = st.builds(
        Packet, proto=st.just("tcp"), sport=PORTS, dport=PORTS, flags=TCP_FLAGS, seq=word, ack=word, **common
    )
    ping = st.builds(Packet, proto=st.just("icmp"), icmp_type=st.sampled_from([0, 8]), icmp_id=PORTS, **common)
    about = st.one_of(tcp, ping)
    error = st.builds(
        Packet,
        proto=st.just("icmp"),
        icmp_type=st.sampled_from([3, 11]),
        icmp_code=st.integers(0, 13),
        quoted=about,
        **common | {"payload": st.just(b"")},
    )
    return st.one_of(tcp, ported, ping, error)


@given(packets())
def test_a_replys_reply_is_the_original(packet):
    assert packet.flow.reply.reply == packet.flow


@given(ADDRESSES)
def test_an_address_is_its_number(address):
    assert dotted(number(address)) == address


def test_replace_changes_a_copy_and_changes_names_the_fields():
    packet = Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)
    other = packet.replace(dst="10.106.175.128", dport=6443)
    assert packet.dst == "10.96.0.1" and packet.changes(other) == ("dst", "dport")


@pytest.mark.parametrize(
    "fields", [{"src": "10.96.0.256"}, {"dst": "here"}, {"sport": 65536}, {"dport": None}, {"sport": -1}]
)
def test_a_field_out_of_its_range_is_refused(fields):
    with pytest.raises(ValueError):
        Packet(**{"proto": "tcp", "src": "10.244.1.5", "dst": "10.96.0.1", "sport": 1, "dport": 2} | fields)


def test_words():
    assert (
        str(Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)) == "tcp 10.244.1.5:40000 > 10.96.0.1:443 [S] ttl 64"
    )
    assert str(Packet("icmp", "10.244.1.5", "10.96.0.1")) == "icmp 10.244.1.5 > 10.96.0.1 type 8 code 0 ttl 64"
    assert str(Flow("udp", "10.244.1.5", "10.96.0.10", 1, 53)) == "udp 10.244.1.5:1 > 10.96.0.10:53"

"""Packets as bytes without scapy: the same bytes as scapy's, and read as it reads them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.sctp import SCTP

from k8slab.headers import _plain, _read, checksum, from_bytes, to_bytes
from k8slab.packet import UNKNOWN, Packet, dotted
from k8slab.wire import from_scapy, to_scapy

ADDRESSES, PORTS, WORDS = st.integers(0, 2**32 - 1).map(dotted), st.integers(0, 65535), st.integers(0, 2**32 - 1)
PAYLOADS, TTLS = st.binary(max_size=60), st.integers(0, 255)
FLAGS = st.sets(st.sampled_from("FSRPU"), max_size=4).map(lambda some: "".join(sorted(some, key="FSRPU".index)))
PACKETS = st.one_of(
    st.builds(Packet, st.just("tcp"), ADDRESSES, ADDRESSES, PORTS, PORTS,
              st.tuples(FLAGS, st.sampled_from(("", "A"))).map("".join), TTLS, PAYLOADS, WORDS, WORDS),
    st.builds(Packet, st.just("udp"), ADDRESSES, ADDRESSES, PORTS, PORTS, ttl=TTLS, payload=PAYLOADS),
    st.builds(Packet, st.just("icmp"), ADDRESSES, ADDRESSES, ttl=TTLS, payload=PAYLOADS,
              icmp_type=st.sampled_from((0, 8)), icmp_code=st.integers(0, 255), icmp_id=PORTS))


@settings(deadline=None, max_examples=300)
@given(PACKETS)
def test_the_bytes_are_scapys(packet):
    data = to_bytes(packet)
    assert _plain(packet) and data == bytes(to_scapy(packet))
    assert _read(data) == from_scapy(IP(data)) == packet


@settings(deadline=None, max_examples=300)
@given(PACKETS, st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3), st.integers(0, 90))
def test_what_is_read_from_other_bytes_is_what_scapy_reads(packet, changes, length):
    data = bytearray(to_bytes(packet))
    for at, byte in changes:
        if at < len(data):
            data[at] = byte
    found = _read(bytes(data[:length or None]))
    if found is not None:
        assert found == from_scapy(IP(bytes(data[:length or None])))


OTHERS = [Packet("sctp", "10.0.0.1", "10.0.0.2", 1, 2), Packet("47", "10.0.0.1", "10.0.0.2"),
          Packet("icmp", "10.0.0.1", "10.0.0.2", icmp_type=3, quoted=Packet("udp", "10.0.0.2", "10.0.0.1", 1, 2)),
          Packet("icmp", "10.0.0.1", "10.0.0.2", icmp_type=13)]


@pytest.mark.parametrize("packet", OTHERS, ids=str)
def test_other_packets_are_left_to_scapy(packet):
    data = to_bytes(packet)
    assert _read(data) is None and from_bytes(data) == from_scapy(IP(data))
    assert data[:12] == bytes(to_scapy(packet))[:12]        # after them stands the time, in some


@pytest.mark.parametrize("layers", [
    TCP(options=[("MSS", 1460), ("SAckOK", b"")]) / b"x", TCP(flags="SEC"), TCP(flags=0), TCP(flags="FPU"),
    UDP() / b"abc", UDP(len=9) / b"abc", ICMP() / b"abc", ICMP(type=0), ICMP(type=11) / IP() / UDP(), SCTP(), b""])
@pytest.mark.parametrize("ip", [IP(), IP(options=[b"\x01" * 4]), IP(flags="DF"), IP(flags="MF"), IP(ttl=1)])
def test_what_others_write_is_read_as_scapy_reads_it(ip, layers):
    data = bytes(ip / layers)
    assert from_bytes(data) == from_scapy(IP(data))


def test_an_address_that_is_not_known_has_no_bytes():
    with pytest.raises(ValueError, match="one of its addresses is not known"):
        to_bytes(Packet("tcp", UNKNOWN, "10.0.0.2", 1, 2))


def test_the_checksum_is_that_of_rfc_1071():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D and checksum(b"\x01") == 0xFEFF


def test_nothing_of_it_brings_scapy():
    code = ("import sys; from k8slab.headers import *; packet = Packet('tcp', '10.0.0.1', '10.0.0.2', 1, 2); "
            "assert from_bytes(to_bytes(packet)) == packet; print('scapy' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"

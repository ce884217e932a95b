"""Packets as bytes: what scapy builds, what tshark reads back, what a capture holds."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings

from k8slab.lab import Lab
from k8slab.packet import UNKNOWN, Packet
from k8slab.wire import frames, from_scapy, seen_on, to_scapy, write_pcap
from tests.unit.test_packet import packets


@settings(deadline=None, max_examples=200)
@given(packets())
def test_a_packet_made_into_bytes_and_read_again_is_the_same(packet):
    from scapy.layers.inet import IP

    assert from_scapy(IP(bytes(to_scapy(packet)))) == packet


def test_a_packet_with_an_unknown_address_has_no_bytes():
    with pytest.raises(ValueError, match="not known"):
        to_scapy(Packet("tcp", UNKNOWN, "10.96.0.1", 1, 2))


def test_a_packet_without_ip_is_refused():
    from scapy.layers.l2 import ARP

    with pytest.raises(ValueError, match="no IPv4 layer"):
        from_scapy(ARP())


def test_a_capture_on_each_side_of_the_node_shows_the_two_destinations():
    lab = Lab(seed=1)
    trace = lab.send(Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443))
    near, far = (frames(trace, lab.network, "worker1", name) for name in ("veth-client", "eth0"))
    assert [f.sprintf("%IP.src% > %IP.dst%") for f in near] == ["10.244.1.5 > 10.96.0.1", "10.96.0.1 > 10.244.1.5"]
    assert [f.sprintf("%IP.src% > %IP.dst%") for f in far] == [
        "10.244.1.5 > 10.106.175.128",
        "10.106.175.128 > 10.244.1.5",
    ]
    assert near[0].src == lab.network.host("client").interfaces[0].mac and near[0].dst == near[1].src
    assert far[0].dst == lab.network.host("k8smaster").interfaces[0].mac
    assert [s.kind for s in seen_on(trace, "worker1", "eth0")] == ["LEAVE", "ARRIVE"]


def test_a_capture_file_is_read_by_wireshark(tmp_path):
    lab = Lab(seed=1)
    trace = lab.connect("client", "10.96.0.1", 443, question=b"hello")
    path = write_pcap(tmp_path / "veth.pcap", frames(trace, lab.network, "worker1", "veth-client"))
    assert path.read_bytes()[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4")
    from scapy.utils import rdpcap

    assert len(rdpcap(str(path))) == 8


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_finds_nothing_wrong_with_a_capture(tmp_path):
    lab = Lab(seed=1)
    trace = lab.connect("client", "10.96.0.1", 443, question=b"hello")
    path = write_pcap(tmp_path / "veth.pcap", frames(trace, lab.network, "worker1", "veth-client"))
    fields = [word for name in ("ip.dst", "tcp.analysis.flags", "_ws.malformed") for word in ("-e", name)]
    shown = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", *fields], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    rows = [line.split("\t") for line in shown.splitlines()]
    assert [row[0] for row in rows] == [
        "10.96.0.1",
        "10.244.1.5",
        "10.96.0.1",
        "10.96.0.1",
        "10.244.1.5",
        "10.96.0.1",
        "10.244.1.5",
        "10.96.0.1",
    ]
    assert all(row[1:] == ["", ""] for row in rows)

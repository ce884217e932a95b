"""Packets sent by hand, one after the other, are one connection on the real kernel as on the model."""

from __future__ import annotations

import re
import socket
import struct
import time

import pytest

from k8slab.kernel.events import Wire
from k8slab.kernel.journey import Seen, stays
from k8slab.lab import Lab
from k8slab.packet import Flow, Packet
from k8slab.trace import Trace

SYN = Packet("tcp", "10.244.1.5", "10.96.0.1", 50000, 443)
POLICY = re.compile(r":(\w+) \w+ \[(\d+):\d+\]")


def conversation(lab: Lab) -> list[Trace]:
    """A SYN, its ACK and three questions, between which other connections come and go."""
    opened = lab.send(SYN, "client")
    ack = SYN.replace(flags="A", seq=opened.reply.ack, ack=opened.reply.seq + 1)
    question = ack.replace(flags="PA", payload=b"who answers?")
    traces = [opened, lab.send(ack, "client"), lab.send(question, "client")]
    lab.connect("client", "10.96.0.1", 443)
    lab.connections(3, "client", "10.96.0.1", 443)
    for _ in range(2):
        question = question.replace(seq=question.end)
        traces.append(lab.send(question, "client"))
    return traces


def told(trace: Trace) -> list[tuple]:
    return [(step.node, step.kind, step.place, step.rule, step.verdict, step.leg) for step in trace.steps]


@pytest.mark.kernel
def test_a_connection_by_hand_outlives_other_journeys_as_on_the_model() -> None:
    with Lab("kernel") as real, Lab("model") as model:
        ours, theirs = conversation(model), conversation(real)
        assert [told(trace) for trace in theirs] == [told(trace) for trace in ours]
        states = [[(entry.original, entry.state) for entry in lab.entries("worker1") if entry.original.sport == 50000]
                  for lab in (real, model)]
        assert states[0] == states[1] and states[0][0][1] == "ESTABLISHED"


@pytest.mark.kernel
def test_a_syn_ack_that_is_sent_again_is_no_part_of_a_later_journey() -> None:
    with Lab("kernel") as lab:
        lab.send(SYN, "client")
        steps, end = set(), time.monotonic() + 3.5      # the SYN-ACK is sent again after one second and after three
        while time.monotonic() < end:
            steps.add(len(lab.ping("client", "10.96.0.1").steps))
        assert len(steps) == 1


def wire(time_: int, host: str, outgoing: bool, flow: Flow, identity: int) -> Wire:
    addresses = socket.inet_aton(flow.src) + socket.inet_aton(flow.dst)
    data = struct.pack(">BBHHHBBH", 0x45, 0, 40, identity, 0, 64, 6, 0) + addresses + struct.pack(
        ">HHIIBBHHH", flow.sport, flow.dport, identity, 0, 0x50, 0x12, 0, 0, 0)
    return Wire(time_, host, "eth0", outgoing, data)


def test_stays_leave_out_what_no_packet_of_the_journey_has_caused() -> None:
    asked = Flow("tcp", "10.0.0.1", "10.0.0.2", 40000, 80)
    stray = Flow("tcp", "10.0.0.2", "10.0.0.1", 80, 50000)
    seen = [wire(1, "b", True, stray, 1), wire(2, "a", True, asked, 2), wire(3, "a", False, stray, 1),
            wire(4, "b", False, asked, 2), wire(5, "b", True, asked.reply, 3), wire(6, "a", False, asked.reply, 3)]
    found = stays("a", asked, Seen(seen, [], []))
    assert [(stay.host, stay.leg) for stay in found] == [("a", 1), ("b", 1), ("b", 2), ("a", 2)]


@pytest.mark.kernel
def test_policies_count_the_same_packets_on_both() -> None:
    counted = []
    for dataplane in ("kernel", "model"):
        with Lab(dataplane) as lab:
            for port in (5000, 5001, 5002):
                lab.send(Packet("udp", "10.244.1.5", "10.244.1.7", port, 9000, payload=b"xx"), "client")
            lab.send(SYN, "client")
            lab.ping("worker1", "10.244.1.7")
            tables = lab.run("worker1", "iptables-save").split("COMMIT")
            counted.append(sorted((name, tuple(POLICY.findall(text)))
                                  for text in tables for name in re.findall(r"(?m)^\*(\w+)", text)))
    assert counted[0] == counted[1] and "[0:0]" not in str(counted[1])
    assert any(int(count) > 3 for _, chains in counted[1] for _, count in chains)

"""05 Bring the reply home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from k8slab.course.exercise import Exercise, Fault, mended
from k8slab.course.outcome import CANNOT_CHECK, NOT_YET, Unfit
from k8slab.course.probe import Probe, Sent
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import API, DNS_QUESTION, silent_server, stale_entry
from k8slab.course.units.unit01 import stations
from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.trace import Step

if TYPE_CHECKING:
    from k8slab.course.exercise import Attempt

FORGED = {"sent from": API, "flags": "SA", "source at the far end": "10.96.0.1:443"}


def forged(_: Lab, answer: object) -> Sequence[Probe]:
    """The answer is a scapy packet, which k8smaster sends."""
    from scapy.packet import Packet as ScapyPacket

    from k8slab.wire import from_scapy  # scapy is slow to import

    if not isinstance(answer, ScapyPacket):
        raise Unfit(CANNOT_CHECK, "A scapy packet is wanted, such as IP(...) / TCP(...).")
    try:
        packet = from_scapy(answer)
    except ValueError as error:
        raise Unfit(NOT_YET, f"That is no whole packet yet: {error}") from None
    return (Probe("the answer that you made, sent by k8smaster", "k8smaster", FORGED, packet=packet),)


def reply(node: str, kind: str, hook: str = "") -> Callable[[Step], bool]:
    """Tell the step of the second packet on a node."""
    return lambda step: step.leg == 2 and step.node == node and step.kind == kind and hook in (step.hook, "")


STATIONS = {
    "worker1 looks up the route": reply("worker1", "ROUTE"),
    "worker1, FORWARD: the rules of filter read it": reply("worker1", "JUMP", "FORWARD"),
    "k8smaster sends it from 10.106.175.128:6443": reply("k8smaster", "LEAVE"),
    "worker1, POSTROUTING: the source is put back": reply("worker1", "NAT"),
    "worker1, PREROUTING: conntrack finds the entry": reply("worker1", "CONNTRACK", "PREROUTING"),
    "the Pod reads it": reply("client", "DELIVER"),
}


def _from(source: str) -> Callable[[Sequence[Sent]], bool]:
    return lambda sent: sent[0].trace.sent.source == source


def _to_the_wrong_place(sent: Sequence[Sent]) -> bool:
    return sent[0].trace.sent.destination != "10.244.1.5:50000"


ORDER: Attempt = stations(
    Probe(
        "a SYN from the Pod client to 10.96.0.1:443",
        "client",
        {"comes back": "an answer from 10.96.0.1:443"},
        packet=Packet("tcp", "10.244.1.5", "10.96.0.1", 50000, 443),
    ),
    STATIONS,
)

UNIT = Content(
    "05",
    "Bring the reply home",
    warm_up=(("04", "own-hook"), ("01", "who")),
    predictions=(
        Prediction(
            "hook",
            "At which hook of worker1 is the source of the answer put back to 10.96.0.1:443?",
            ("PREROUTING", "FORWARD", "POSTROUTING"),
        ),
        Prediction(
            "moves",
            "The rule now leads to 10.244.1.7:8080. Where does the next packet of the open connection go?",
            ("10.106.175.128:6443", "10.244.1.7:8080", "10.96.0.1:443"),
        ),
    ),
    exercises=(
        Exercise(
            "way-home",
            "Put the stations of the answer into the order in which it comes to them.",
            list(STATIONS),
            ORDER,
            hints=(
                "The answer begins where the request ended.",
                "It comes to worker1 by an interface: which hook is the first?",
                "The route is looked up for the destination, the Pod, which nobody has to change.",
            ),
            solution=[
                "k8smaster sends it from 10.106.175.128:6443",
                "worker1, PREROUTING: conntrack finds the entry",
                "worker1 looks up the route",
                "worker1, FORWARD: the rules of filter read it",
                "worker1, POSTROUTING: the source is put back",
                "the Pod reads it",
            ],
            why="The entry is found at PREROUTING and the source is put back at POSTROUTING: a DNAT that PREROUTING "
            "did is undone where "
            "packets go out. Meanwhile filter still reads the endpoint's address.",
            items=tuple(STATIONS),
        ),
        Exercise(
            "forge",
            "The API server has heard a SYN and is silent. Make the SYN-ACK that it should send, as "
            "k8smaster would send it.",
            None,
            forged,
            hints=(
                "Read the entry on worker1: which tuple must an answer have that is to be found?",
                "The reply tuple's source is the API server's own address and port, its destination the Pod's.",
                '`IP(src=…, dst=…) / TCP(sport=…, dport=…, flags="SA")`',
            ),
            solution='IP(src="10.106.175.128", dst="10.244.1.5") / TCP(sport=6443, dport=50000, flags="SA")',
            why="That is the reply tuple of the entry. conntrack on worker1 finds the entry by it and puts the "
            "source back to 10.96.0.1:443, "
            "which is the address that the Pod has asked.",
            faults=(
                Fault(
                    "The API server does not know of 10.96.0.1: it answers from the address to which the request came.",
                    _from("10.96.0.1:443"),
                ),
                Fault(
                    "The answer comes from the port to which the request came, and that is the one after DNAT.",
                    _from("10.106.175.128:443"),
                ),
                Fault(
                    "The answer goes to where the request came from: the Pod's address and its port, 10.244.1.5:50000.",
                    _to_the_wrong_place,
                ),
                Fault(
                    "The packet would get home, but it is no answer to a SYN: which two flags has that?",
                    lambda sent: sent[0].trace.sent.flags != "SA",
                ),
            ),
            make=silent_server,
        ),
        Exercise(
            "stale",
            "kube-dns has moved to 10.244.0.3, and each rule says so; yet the Pod client, whose program "
            "always asks from port 50053, "
            "hears nothing. Mend it without touching a rule.",
            None,
            mended(
                Probe(
                    "a UDP question from the Pod client, port 50053, to 10.96.0.10:53",
                    "client",
                    {"destination": "10.244.0.3:53", "comes back": "an answer from 10.96.0.10:53"},
                    packet=DNS_QUESTION,
                )
            ),
            hints=(
                "Is this packet the first of its connection?",
                "Look at `conntrack -L` on worker1: to which endpoint does the entry lead?",
                "`conntrack -D -p udp -d 10.96.0.10` deletes the entries of connections to that address.",
            ),
            solution='broken.run("worker1", "conntrack -D -p udp -d 10.96.0.10")',
            why="nat's rules are read by the first packet alone. As long as the entry lives, and each question makes "
            "it live longer, the "
            "packets follow it to the Pod that is gone. When it has been deleted, the next packet is a first one "
            "again.",
            faults=(
                Fault(
                    "The entry is still there, and the packet follows it. Rules are read by first packets only.",
                    lambda sent: (
                        bool(sent[0].wrong)
                        and not any(s.table == "nat" for s in sent[0].trace.steps if s.node == "worker1" and s.leg == 1)
                    ),
                ),
            ),
            make=stale_entry,
        ),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "counter",
                "The DNAT rule's counter says 5 packets. What does that count?",
                "5 connections",
                {
                    "5 packets to the Service": "Only the first packet of each connection meets the rule.",
                    "5 connections": "The first packet of each was read by the rule, all others by nobody in nat. (A "
                                     "first "
                    "packet that is lost on the node and sent again counts again.)",
                    "5 answers": "Answers do not come to nat's chains at all.",
                },
            ),
            Question(
                "changed",
                "kube-proxy writes another endpoint into the rule. What about connections that are open?",
                "They stay with the old endpoint.",
                {
                    "They move to the new endpoint.": "Nothing reads the rule for them any more.",
                    "They are reset.": "Nobody tells them. They live as long as the old endpoint answers.",
                    "They stay with the old endpoint.": "Their entry leads there. New connections go to the new one.",
                },
            ),
            Question(
                "tables",
                "How many conntrack entries has a connection from a Pod of worker1 to the API server on k8smaster?",
                "One on each of the two nodes.",
                {
                    "One, on the node of the Pod.": "k8smaster runs netfilter, too, and remembers what it sees: "
                                                    "without a "
                    "translation.",
                    "One on each of the two nodes.": "Each node remembers the packets as they come to it. Only "
                                                     "worker1's "
                    "entry translates.",
                    "Two on the same node, for the two directions.": "One entry holds both tuples.",
                },
            ),
            Question(
                "gone",
                "The entry of an open TCP connection is deleted. What is its next packet to the node?",
                "The first of a new connection.",
                {
                    "It is dropped at once, always.": "Linux takes up a connection in the middle, unless "
                    "nf_conntrack_tcp_loose is 0.",
                    "The first of a new connection.": "If the client speaks first, its packet meets nat again and "
                                                      "goes where "
                    "the rules lead today: another server answers with RST.",
                    "It is translated as before.": "What was remembered is gone; only the rules are left.",
                },
            ),
        ),
    ),
)

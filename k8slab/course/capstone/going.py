"""A packet's way through the node, and that of the answer to it.

The rules are those of one node, so nobody is there who would answer. What would come is known all the same: the packet
that left, with source and destination exchanged. The node remembers the connection: of the answer nat is asked no more,
but filter is, for every packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from k8slab.model.chance import Chance
from k8slab.model.dump import NODE, Question
from k8slab.model.netfilter import Netfilter
from k8slab.packet import Packet
from k8slab.stack.routing import OpenRoutes
from k8slab.stack.skb import Skb
from k8slab.stack.stack import VERDICT, Stack
from k8slab.stack.stack import Fate as End
from k8slab.trace import Trace

GOOD = ("transmit", "deliver")
ENDS = {"DROPPED": "dropped", "REJECTED": "refused", "UNKNOWN": "cannot be told"}
ANSWERS = {"drop": "the answer is dropped", "reject": "the answer is refused", "error": "the answer is refused",
           "unknown": "the way of the answer cannot be told"}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a packet: its verdict, its destination in the end, and its source in the end.

    `answer`: what is wrong with the answer to it, "" for nothing.

    >>> str(Fate("FORWARDED", "10.42.7.9:80", "10.42.3.3"))
    'goes on to 10.42.7.9:80, from 10.42.3.3'
    """

    verdict: str
    destination: str
    source: str
    answer: str = ""

    def __str__(self) -> str:
        if self.verdict in ENDS:
            return f"{ENDS[self.verdict]}, when its destination was {self.destination}"
        return f"goes on to {self.destination}, from {self.source}{', and ' * bool(self.answer)}{self.answer}"


Fates = Mapping[Fate, Fraction]


class Ported:
    """Chance as it is given, with some port where chance may take any: the answer must be sent to one."""

    def __init__(self, chance: Chance) -> None:
        self.draw = chance.draw

    def port(self, low: int, high: int) -> int:
        """The port in the middle."""
        return (low + high) // 2


def go(question: Question, chance: Chance, answered: bool, noted: bool = True) -> tuple[Fate, Trace]:
    """What becomes of a packet, and its way.

    `answered`: the answer to it goes its way, too. `noted`: False is quicker, and leaves the trace without steps.
    """
    routes, clock = OpenRoutes(question.local, question.oif), lambda: 0.0
    netfilter = Netfilter(question.rules, routes, Ported(chance), clock)
    stack = Stack(NODE, routes, netfilter, clock)
    if not noted:
        stack.note = netfilter.note = _nothing
    end = _first(stack, question)
    received = end.skb.packet if end.kind in GOOD else None
    wrong, reply = _answer(stack, question, received) if received and answered else ("", None)
    verdict = VERDICT[end.kind]
    trace = Trace(tuple(stack.journal.steps), question.packet, received, reply, (), verdict, end.reason, answers=False)
    return _fate(end.skb.packet, verdict, question.packet, wrong), trace


def _nothing(*_: object, **__: object) -> None:
    """Note nothing."""


def _fate(packet: Packet, verdict: str, sent: Packet, wrong: str) -> Fate:
    # A packet that goes nowhere has no source that anybody reads; and a delivered one has left no node.
    verdict = "FORWARDED" if verdict == "DELIVERED" else verdict
    return Fate(verdict, packet.destination, sent.src if verdict in ENDS else packet.src, wrong)


def _first(stack: Stack, question: Question) -> End:
    """The packet's own way."""
    leg = stack.journal.next_leg()
    if not question.from_node:
        return _left(stack, stack.receive(Skb(question.packet, leg), question.iif))
    stack.note("SEND", Skb(question.packet, leg), "a program on the node sends it")
    return _out(stack, lambda: stack.send(question.packet, leg))


def _out(stack: Stack, send: Callable[[], End]) -> End:
    """The way of a packet of the node's own, which comes in again where it turns round on lo."""
    end = send()
    if end.kind == "transmit" and end.skb.oif == "lo":
        stack.leave(end)
        end = stack.receive(end.skb, "lo")
    return _left(stack, end)


def _left(stack: Stack, end: End) -> End:
    if end.kind == "transmit":
        stack.leave(end)
    elif end.kind == "deliver":
        stack.note("DELIVER", end.skb, f"goes up to whatever listens on {end.skb.packet.destination} here")
    return end


def _answer(stack: Stack, question: Question, received: Packet) -> tuple[str, Packet | None]:
    """What is wrong with the answer, "" for nothing, and the packet that comes home."""
    tcp = received.proto == "tcp"
    back = Packet(received.proto, received.dst, received.src, received.dport, received.sport, "SA" if tcp else "",
                  ack=received.end if tcp else 0)
    leg = stack.journal.next_leg()
    if received.dst in question.local or received.dst.startswith("127."):
        end = _out(stack, lambda: stack.send(back, leg, answers=True))
    else:
        end = _left(stack, stack.receive(Skb(back, leg), None))
    if end.kind not in GOOD:
        return ANSWERS[end.kind], None
    home, sent = end.skb.packet, question.packet
    if (home.source, home.destination) != (sent.destination, sent.source):
        return f"the answer comes from {home.source} to {home.destination}", home
    return "", home

"""Probe: a packet that is sent to see what an answer does to it, and what should become of it.

Exercises are graded by what the learner's work does to packets, not by its text, so that every right answer
passes. Where a packet goes wrong, its trace says why: the rule that it met, or the tests that it failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.trace import Trace

# A person reads three reasons, not thirty.
MOST = 3


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that is asked of the lab.

    `says`: who asks what, to go on after "Packet 2, ". `at`: the host that sends. `to`: `address:port`, to which a
    connection is opened; or `packet`, which is sent as it is. `wanted`: names of FACTS, and what each
    should be.
    """

    says: str
    at: str
    wanted: Mapping[str, str]
    to: str = ""
    proto: str = "tcp"
    packet: Packet | None = None

    def send(self, lab: Lab) -> Sent:
        """Ask the lab."""
        if self.packet is not None:
            return Sent(self, lab.send(self.packet, self.at))
        address, _, port = self.to.rpartition(":")
        return Sent(self, lab.connect(self.at, address, int(port), proto=self.proto))


@dataclass(frozen=True, slots=True)
class Sent:
    """A probe, and the trace of its packet.

    Of a probe that was sent several times, this is one that went wrong, or the last: `tried`: how many there were,
    `failed`: how many went wrong. `waited`: the seconds that this one took. `unseen`: who answers, where the packet
    cannot be followed and it was only asked whether it is answered; a word without a colon is nobody.
    """

    probe: Probe
    trace: Trace
    failed: int = 0
    tried: int = 1
    waited: float = 0.0
    unseen: str = ""

    @property
    def wrong(self) -> tuple[str, ...]:
        """A clause for each fact that is not as it should be."""
        found = {name: FACTS[name](self.trace) for name in self.probe.wanted}
        if self.unseen:
            answered = ":" in self.unseen
            found |= {"comes back": f"an answer from {self.probe.to}" if answered else "nothing"}
            found |= {"destination": self.unseen} if answered else {}
        return tuple(
            f"{SAYS[name]} {found[name]}, and should be {wanted}"
            for name, wanted in self.probe.wanted.items()
            if found[name] != wanted
        )


def _last(trace: Trace) -> Packet:
    """The packet that was sent, as it last was."""
    step = [step for step in trace.steps if step.leg == 1][-1]
    return step.after or step.before


def _answer(trace: Trace) -> str:
    reply = trace.reply
    if reply is None:
        return "nothing"
    return f"{'a refusal' if 'R' in reply.flags or reply.is_icmp_error else 'an answer'} from {reply.source}"


FACTS: dict[str, Callable[[Trace], str]] = {
    "destination": lambda trace: _last(trace).destination,
    "source": lambda trace: _last(trace).src,
    "comes back": _answer,
    "answered": lambda trace: "yes" if _answer(trace).startswith("an answer") else "no",
    "flags": lambda trace: trace.sent.flags,
    "sent from": lambda trace: trace.sent.source,
    "source at the far end": lambda trace: trace.received.source if trace.received else "nobody's: it did not arrive",
}
# How each fact is told, with what was found after it.
SAYS = {
    "destination": "its destination in the end was",
    "source": "its source in the end was",
    "comes back": "what came back was",
    "answered": "answered:",
    "flags": "its flags were",
    "sent from": "it was sent from",
    "source at the far end": "the source that was read at the far end was",
}


def explain(number: int, sent: Sent, mine: Iterable[str]) -> tuple[str, ...]:
    """Sentences on a packet that went wrong: what it was, what it became, and the rules that made it so.

    `mine`: the rules that the learner's answer added, as `iptables-save` prints them.
    """
    head = f"Packet {number}, {sent.probe.says}: {'; '.join(sent.wrong)}."
    met = [step for step in sent.trace.steps if step.leg == 1 and step.rule and step.kind in ("NAT", "DROP", "REJECT")]
    reason, arrived = sent.trace.reason, sent.trace.received is not None
    ended = (f"It arrived, but {reason}." if arrived else f"It came no further: {reason}.",) if reason else ()
    return (head, *([f"It met {step.place}: `{step.rule}`" for step in met[:MOST]] or _missed(sent, set(mine))), *ended)


def _missed(sent: Sent, mine: set[str]) -> list[str]:
    """Why no rule took the packet: the tests of the learner's own that it failed, or that none of them read it."""
    steps = [step for step in sent.trace.steps if step.leg == 1]
    missed = dict.fromkeys(str(over) for step in steps for over in step.passed if over.rule in mine)
    if missed:
        return [f"It was passed over by {line}." for line in list(missed)[:MOST]]
    took = [step for step in steps if step.rule and step.hook in ("PREROUTING", "OUTPUT") and step.kind != "JUMP"]
    if took:
        return [f"It met {took[0].place}: `{took[0].rule}`"]
    if not mine and not any(step.rule for step in steps):
        return []                               # nobody has written a rule: it is not a matter of rules
    ways = dict.fromkeys(f"{step.hook} of {step.node}" for step in steps if step.hook in ("PREROUTING", "OUTPUT"))
    none = "No rule of yours read it" if mine else "No rule took it"
    return [f"{none}; it came by {', then '.join(ways)}." if ways else f"{none}."]

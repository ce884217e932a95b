"""01 Follow one packet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from k8slab.course.exercise import Attempt, Exercise, Fault, commands
from k8slab.course.outcome import CANNOT_CHECK, NOT_YET, Unfit
from k8slab.course.probe import Probe, Sent
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import API
from k8slab.lab import Lab
from k8slab.trace import Step

FROM_SERVICE = "an answer from 10.96.0.1:443"


def stations(probe: Probe, where: Mapping[str, Callable[[Step], bool]]) -> Attempt:
    """The answer is a list of the names in `where` in the order in which the probe's packet comes to them."""

    def attempt(lab: Lab, answer: object) -> Sequence[Probe]:
        if not isinstance(answer, (list, tuple)) or sorted(map(str, answer)) != sorted(where):
            raise Unfit(CANNOT_CHECK, "The list must hold each of the stations once, and nothing else.")
        steps = probe.send(lab).trace.steps
        met = {name: next(step for step in steps if is_it(step)) for name, is_it in where.items()}
        order = sorted(where, key=lambda name: met[name].number)
        for number, (said, real) in enumerate(zip(answer, order), 1):
            if said != real:
                raise Unfit(
                    NOT_YET,
                    f"The first {number - 1} of {len(order)} stand where the packet met them.",
                    f"Station {number} is `{said}`; but the packet came first to step {met[real].number}, "
                    f"{met[real].place}: {met[real].why}.",
                )
        return (probe,)

    return attempt


def at_worker1(kind: str, hook: str = "", table: str = "") -> Callable[[Step], bool]:
    """Tell the step of the first packet on worker1 that has this kind, hook and table."""
    return lambda step: (
        step.leg == 1
        and step.node == "worker1"
        and step.kind == kind
        and hook in (step.hook, "")
        and table in (step.table, "")
    )


STATIONS = {
    "the packet leaves by eth0": at_worker1("LEAVE"),
    "table filter, chain FORWARD": at_worker1("JUMP", "FORWARD", "filter"),
    "table nat, chain PREROUTING": at_worker1("JUMP", "PREROUTING", "nat"),
    "the route to the destination is looked up": at_worker1("ROUTE"),
    "conntrack looks for an entry": at_worker1("CONNTRACK", "PREROUTING"),
    "table nat, chain POSTROUTING": at_worker1("JUMP", "POSTROUTING", "nat"),
}


def _too_late(sent: Sequence[Sent]) -> bool:
    """A rule of filter that names 10.96.0.1 was passed over: the destination had changed before."""
    return any(
        "10.96.0." in over.rule for step in sent[0].trace.steps if step.table == "filter" for over in step.passed
    )


CUT = (
    Probe("a connection from the Pod client to 10.96.0.1:443", "client", {"answered": "no"}, to="10.96.0.1:443"),
    Probe(
        "a connection from a program on worker1 itself to 10.96.0.1:443",
        "worker1",
        {"answered": "no"},
        to="10.96.0.1:443",
    ),
    Probe(
        "a connection from the Pod client to the Pod web, 10.244.1.7:8080",
        "client",
        {"comes back": "an answer from 10.244.1.7:8080"},
        to="10.244.1.7:8080",
    ),
    Probe(
        f"a connection from the Pod client to the API server's own address, {API}",
        "client",
        {"comes back": f"an answer from {API}"},
        to=API,
    ),
    Probe(
        "a connection from the Pod coredns-1, on the other node, to 10.96.0.1:443",
        "coredns-1",
        {"comes back": FROM_SERVICE},
        to="10.96.0.1:443",
    ),
)

UNIT = Content(
    "01",
    "Follow one packet",
    warm_up=(("00", "env"), ("00", "idle")),
    predictions=(
        Prediction(
            "destination",
            "Which destination will the API server read in the packet?",
            ("10.96.0.1:443", "10.106.175.128:443", "10.106.175.128:6443"),
        ),
        Prediction(
            "home",
            "Which source will the answer have when it is back in the Pod?",
            ("10.106.175.128:6443", "10.96.0.1:443", "10.106.175.131:443"),
        ),
    ),
    exercises=(
        Exercise(
            "stations",
            "Put the stations on `worker1` into the order in which the first packet comes to them.",
            list(STATIONS),
            stations(
                Probe(
                    "a connection from the Pod client to 10.96.0.1:443",
                    "client",
                    {"comes back": FROM_SERVICE},
                    to="10.96.0.1:443",
                ),
                STATIONS,
            ),
            hints=(
                "Open *Every step* in the stepper and read the lines of worker1.",
                "The route is looked up for the destination that the packet has by then: so the DNAT must come "
                "before it.",
                "conntrack decides whether nat is asked at all, so it comes before nat.",
            ),
            solution=[
                "conntrack looks for an entry",
                "table nat, chain PREROUTING",
                "the route to the destination is looked up",
                "table filter, chain FORWARD",
                "table nat, chain POSTROUTING",
                "the packet leaves by eth0",
            ],
            why="PREROUTING comes before the route, so that the packet is routed to its new destination; FORWARD "
            "reads it only "
            "because that destination is another machine; POSTROUTING is the last before the wire.",
            items=tuple(STATIONS),
        ),
        Exercise(
            "cut",
            "With one command on worker1, cut that node and its Pods off from 10.96.0.1:443, and leave all "
            "else as it is.",
            "",
            commands("worker1", *CUT),
            hints=(
                "Look for the rule in the stepper without which the packet keeps its first destination.",
                "A packet that no rule translates goes to the router and is lost there: that is all you need.",
                "`iptables -t nat -F CHAIN` empties a chain, `-D CHAIN NUMBER` deletes one rule.",
            ),
            solution="iptables -t nat -F KUBE-SVC-NPX46M4PTMTKRN6Y",
            why="Without a rule in the Service's chain the packet comes back from it as it was, and nothing else "
            "goes through that chain. "
            "A rule in filter FORWARD that names 10.96.0.1 would never match: by then the destination is "
            "10.106.175.128.",
            faults=(
                Fault(
                    "By the time that filter reads the packet, its destination is no longer 10.96.0.1: DNAT came "
                    "before. "
                    "A rule there that names 10.96.0.1 never matches.",
                    _too_late,
                ),
                Fault(
                    "That cuts off more than the Service: other connections of the Pods are lost, too.",
                    lambda sent: bool(sent[2].wrong),
                ),
                Fault(
                    "The Service is cut off, and with it the way to the API server's own address.",
                    lambda sent: bool(sent[3].wrong),
                ),
            ),
        ),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "who",
                "Which machine has the address 10.96.0.1?",
                "None.",
                {
                    "The node that runs the API server.": "Its address is 10.106.175.128; you saw the list of all "
                                                          "hosts.",
                    "None.": "It exists only in rules, which replace it by the address of an endpoint.",
                    "Each node, on a hidden interface.": "In iptables mode no interface has it. (In IPVS mode one "
                                                         "has, on "
                    "each node: kube-ipvs0.)",
                },
            ),
            Question(
                "where",
                "A Pod of worker1 calls 10.96.0.1. On which machine does the destination change?",
                "On the caller's node, worker1.",
                {
                    "In the Pod.": "The packet left the Pod with 10.96.0.1: see what tcpdump shows on veth-client.",
                    "On the caller's node, worker1.": "Each node has the rules, and the first that the packet comes to "
                    "applies them.",
                    "On the API server's node.": "It arrived there as 10.106.175.128:6443; without that it would not "
                                                 "have "
                    "found the way.",
                },
            ),
            Question(
                "reverse",
                "Which rule puts the source of the answer back to 10.96.0.1:443?",
                "None: the conntrack entry does.",
                {
                    "A rule in POSTROUTING that kube-proxy wrote.": "You can read all of nat and will not find one.",
                    "None: the conntrack entry does.": "Its two tuples differ, and the difference says what to put "
                                                       "back.",
                    "The last rule of KUBE-SEP-VDNPK4CXOQDGPWFC.": "That is the DNAT rule, which was read once, by "
                                                                   "the first "
                    "packet.",
                },
            ),
            Question(
                "ping",
                "`ping 10.96.0.1` is not answered. What does that say about the Service?",
                "Nothing.",
                {
                    "It has no endpoints.": "A connection to port 443 would be refused at once then; a ping asks for "
                                            "no port.",
                    "kube-proxy does not run.": "Its rules were there, and they match tcp and port 443 alone.",
                    "Nothing.": "The rules of a Service match its protocol and port; a ping has neither.",
                },
            ),
        ),
    ),
)

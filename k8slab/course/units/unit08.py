"""08 One address, many API servers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from k8slab.course.exercise import Exercise
from k8slab.course.outcome import CANNOT_CHECK, NOT_YET, Unfit
from k8slab.course.probe import Probe
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import MASTERS, NO_RULES, three_servers
from k8slab.iptables import parse
from k8slab.lab import Lab
from k8slab.model.dump import Question as Walk
from k8slab.packet import Packet

FOUR = tuple(f"10.106.175.{n}" for n in (128, 129, 130, 132))
ASK = Probe(
    "a connection from the Pod client to 10.96.0.1:443",
    "client",
    {"comes back": "an answer from 10.96.0.1:443"},
    to="10.96.0.1:443",
)
# Of the last rule nothing is asked: it takes the rest.
CLOSE = Fraction(1, 10**6)


def shares(rules: str) -> dict[str, Fraction]:
    """The destination that a connection to the Service gets, and its exact share, over every way chance can fall."""
    walk, found = Walk(parse(rules), Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443), (), None, None, False), {}
    for chance, trace in walk.outcomes():
        to = trace.received.dst if trace.received else trace.verdict
        found[to] = found.get(to, Fraction(0)) + chance
    return found


def equal(found: dict[str, Fraction], servers: Sequence[str], why: str = "") -> None:
    """Raise Unfit unless these servers, and no others, have equal shares."""
    fine = [one for one in servers if abs(found.get(one, 0) - Fraction(1, len(servers))) <= CLOSE]
    if len(fine) < len(servers):
        wrong = {share for to, share in found.items() if to not in fine}
        fair = Fraction(1, len(servers))
        # As many digits as it takes to see that a share is not the fair one; kube-proxy itself writes ten.
        digits = next((n for n in range(3, 10) if f"{float(fair):.{n}f}" not in {f"{float(one):.{n}f}" for one in wrong}),
                      10)
        told = ", ".join(f"{to} gets {float(share):.{digits}f}" for to, share in found.items())
        raise Unfit(
            NOT_YET,
            f"{len(fine)} of {len(servers)} servers get 1/{len(servers)} of the connections.",
            *filter(None, (why,)),
            f"Of all connections, {told}.",
        )


def two_left(lab: Lab, answer: object) -> Sequence[Probe]:
    """The answer is the lab, repaired: the two servers that live get halves."""
    if not isinstance(answer, Lab):
        raise Unfit(CANNOT_CHECK, "The lab is wanted.")
    found = shares(lab.run("worker1", "iptables-save"))
    lost = [to for to in found if to not in MASTERS]
    equal(
        found,
        MASTERS[:2],
        "Some connections find no rule any more: the last rule must take all that is left, without a probability."
        if lost
        else f"{MASTERS[2]} does not answer, and connections still go there."
        if MASTERS[2] in found
        else "",
    )
    return (ASK,) * 4


def fair(_: Lab, answer: object) -> Sequence[Probe]:
    """The answer are the probabilities of the first three of four rules; every way that chance can fall is walked."""
    if not isinstance(answer, (list, tuple)) or not all(
        isinstance(one, (int, float, Fraction)) and not isinstance(one, bool) for one in answer
    ):
        raise Unfit(CANNOT_CHECK, "A list of numbers is wanted, as in [0.5, 0.5, 0.5].")
    if len(answer) != 3 or not all(0 <= one <= 1 for one in answer):
        raise Unfit(NOT_YET, f"Three probabilities from 0 to 1 are wanted; found {list(answer)}.")
    rules = [
        f"-A PREROUTING -p tcp -m statistic --mode random --probability {float(p):.10f} -j DNAT "
        f"--to-destination {address}:6443"
        for p, address in zip(answer, FOUR)
    ]
    rules.append(f"-A PREROUTING -p tcp -j DNAT --to-destination {FOUR[3]}:6443")
    text = NO_RULES.rstrip().removesuffix("COMMIT") + "\n".join((*rules, "COMMIT", ""))
    first = tuple(map(float, answer))
    why = {
        (0.25, 0.25, 0.25): "The second rule is read only by the three quarters that the first has left: what is "
        "a quarter of all to them?",
        (0.5, 0.5, 0.5): "Each of the rules takes half of what has come as far as it.",
    }.get(first, "")
    equal(shares(text), FOUR, why)
    return (ASK,)


UNIT = Content(
    "08",
    "One address, many API servers",
    warm_up=(("07", "cni"), ("05", "changed")),
    predictions=(
        Prediction(
            "first-chance",
            "Three rules lead to three endpoints. With which probability does the first one match?",
            ("0.33333333349", "0.50000000000", "1.00000000000"),
        ),
        Prediction(
            "requests",
            "A client opens one connection and sends ten requests over it. How many of the three servers answer?",
            ("1", "3", "10"),
        ),
    ),
    exercises=(
        Exercise(
            "fair",
            "Four servers, four rules: give the probabilities of the first three, so that each server gets a "
            "quarter. The last rule takes the rest.",
            [0, 0, 0],
            fair,
            hints=(
                "The first takes a quarter of all.",
                "Three quarters are left for the second, and it shall take one of these three parts.",
                "1/4, then 1/3, then 1/2.",
            ),
            solution=[0.25, 1 / 3, 0.5],
            why="A rule is read by those alone that no rule before it has taken. With n endpoints left, each has the "
            "same chance if the first of them takes 1/n: 1/4, 1/3, 1/2, and all.",
            make=three_servers,
        ),
        Exercise(
            "dead",
            "One of three API servers has gone without a word and is still listed: a third of all "
            "connections fails. Mend worker1's rules, so that the other two "
            "get equal shares.",
            None,
            two_left,
            hints=(
                "Look at `iptables -t nat -S KUBE-SVC-NPX46M4PTMTKRN6Y`: which rule leads to the server that does "
                "not answer?",
                "To delete that rule alone leaves connections without any: what must the rule before it say then, "
                "and the first?",
                "With two endpoints left: one rule with 0.5, and one that takes the rest. `-R CHAIN NUMBER RULE` "
                "replaces a rule.",
            ),
            solution='broken.run("worker1", "iptables -t nat -D KUBE-SVC-NPX46M4PTMTKRN6Y 4")\n'
            'broken.run("worker1", "iptables -t nat -R KUBE-SVC-NPX46M4PTMTKRN6Y 3 -j '
            'KUBE-SEP-WH6WG5QKJ22KECSU")\n'
            'broken.run("worker1", "iptables -t nat -R KUBE-SVC-NPX46M4PTMTKRN6Y 2 -m statistic --mode '
            "random --probability 0.5 "
            '-j KUBE-SEP-VDNPK4CXOQDGPWFC")',
            why="The last rule led to the server that is gone. Without it the second must take all that the first "
            "has left, so it loses its test; and the first must take half of all, not a third.",
            make=lambda: three_servers(dead=MASTERS[2]),
        ),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "per",
                "The Service kubernetes has three API servers. What does chance decide?",
                "to which server a new connection goes",
                {
                    "to which server each request goes": "Requests go over a connection that is open, and its entry "
                                                         "leads to "
                    "one server.",
                    "to which server a new connection goes": "Once for each connection, by its first packet.",
                    "to which server each packet goes": "Only the first packet of a connection meets these rules.",
                },
            ),
            Question(
                "uneven",
                "Of 30 connections, three servers got 14, 9 and 7. Is something wrong?",
                "No: chance often makes such counts.",
                {
                    "Yes: each should have had 10.": "That is what one expects on average; exact thirds would be rare.",
                    "No: chance often makes such counts.": "For 30 connections and a fair third, 95 of 100 counts lie "
                    "between 5 and 15.",
                    "Yes: the first server gets more, since its rule is read first.": "Its probability makes up for "
                                                                                      "that: "
                    "1/3, then 1/2 of the rest, then the "
                    "rest.",
                },
            ),
            Question(
                "restarted",
                "An API server was restarted an hour ago and has hardly any connections. Why?",
                "Connections that are open stay where they are.",
                {
                    "kube-proxy gives it fewer.": "New connections are shared out evenly again.",
                    "Connections that are open stay where they are.": "Watches live long, and new connections are "
                                                                      "few: it "
                    "takes long to become even.",
                    "Its rule was lost.": "Then it would have none.",
                },
            ),
            Question(
                "dead-listed",
                "How long may an API server that has crashed stay in the endpoints of the Service kubernetes?",
                "Some 25 seconds, as a rule, if another one lives.",
                {
                    "Until somebody deletes it.": "The others look for leases that have run out.",
                    "Some 25 seconds, as a rule, if another one lives.": "Its lease lasts 15 seconds, and the others "
                                                                      "look every "
                    "10.",
                    "Not at all.": "It cannot take itself out when it has crashed: only an orderly end does that.",
                },
            ),
        ),
    ),
)

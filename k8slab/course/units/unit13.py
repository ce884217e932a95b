"""13 Capstone: a cluster that you have never seen."""

from __future__ import annotations

from collections.abc import Callable

from k8slab.course.capstone import grade
from k8slab.course.capstone.cluster import Capstone, Work, capstone
from k8slab.course.capstone.mending import commands
from k8slab.course.exercise import Attempt, Exercise, Help
from k8slab.course.outcome import NOT_ATTEMPTED, Outcome, Unfit
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.lab import Lab

ASKS = {
    "places": "Name the Service and the chain of each of the two faults.",
    "proofs": "For each of the two faults give a packet that shows it: who asks, and whom. It shows a fault if it "
    "would fare otherwise were that one fault mended; one that shows both may stand for both.",
    "mended": "Mend the node: afterwards everything goes where the objects say, whoever asks.",
}


def on_paper() -> Lab:
    """What an exercise starts from: here the answer brings its own cluster, which is looked at as a dump."""
    return Lab("model")


def attempt(about: str, judge: Callable[[Capstone, object], Outcome]) -> Attempt:
    """The answer is a Work about a cluster, which is judged on packets."""

    def tried(_: Lab, answer: object) -> Outcome:
        work = grade.work_of(answer, about)
        try:
            return judge(work.cluster, work.answer)
        except Unfit as unfit:
            if unfit.outcome.kind == NOT_ATTEMPTED:
                raise Unfit(NOT_ATTEMPTED, ASKS[about]) from None
            raise

    return tried


# Help for the cluster of the one who asks: it was made from a seed, and no text could be written before.


def help_places(cluster: Capstone) -> Help:
    """Where the faults are."""
    faults = cluster.faults
    found = " ".join(f"For {fault.place.service}: {fault.incident.found}" for fault in faults)
    pairs = [(fault.place.service, fault.incident.chain.format_map(fault.place.words())) for fault in faults]
    return Help((*HINTS["places"], found), f"cluster.claim({pairs})",
                " ".join(fault.incident.symptom for fault in faults))


def help_proofs(cluster: Capstone) -> Help:
    """Which packets show them."""
    asks = [grade.proof_of(cluster, number) for number in (0, 1)]
    pairs = [(one.who, f"{'' if one.proto == 'tcp' else one.proto + ' '}{one.address}:{one.port}") for one in asks]
    who = " ".join(f"{fault.place.service} is asked by {pair[0]!r}." for fault, pair in zip(cluster.faults, pairs))
    return Help((*HINTS["proofs"], who), f"cluster.prove({pairs})",
                " ".join(fault.incident.symptom for fault in cluster.faults))


def help_mended(cluster: Capstone) -> Help:
    """What mends them."""
    remedies = " ".join(f"For {fault.place.service}: {fault.incident.remedy}" for fault in cluster.faults)
    lines = "\n".join(commands(cluster.ruleset, cluster.true))
    return Help((*HINTS["mended"], remedies), f"cluster.mend(r'''\n{lines}\n''')", remedies)


HINTS = {
    "places": (
        "Ask as the one who complains, and whom he complains of: `cluster.ask(who, to)`. Is what becomes of the packet "
        "what the objects say, its destination, its source, and each endpoint's share?",
        "Where it is not, look at the way: `show(cluster.ask(who, to).trace)` and `cluster.chains(service)`. Either a "
        "rule took the packet that should not, or one is missing that should.",
    ),
    "proofs": (
        "A fault does not show to everybody. Who complains, and who does not?",
        "A fault that chance hides shows in the shares: `cluster.ask` gives all of them.",
    ),
    "mended": (
        "Mend one fault at a time, and ask again: `cluster.after(commands).ask(who, to)`.",
        "A rule that is too much: `-D`. One that is wrong: `-R CHAIN NUMBER`. One that is missing: `-I CHAIN NUMBER`, "
        "for a chain that shares out is read from above. `cluster.run(\"iptables -t nat -S CHAIN\")` shows a chain.",
    ),
}
OF_2026 = "This is of the cluster of the seed 2026; check an answer of your own, even a blank one, for that of yours."
HELPS = {"places": help_places, "proofs": help_proofs, "mended": help_mended}
JUDGES = {"places": grade.places, "proofs": grade.proofs, "mended": grade.mended}


def exercise(key: str) -> Exercise:
    """One of the three tasks; help is for the cluster of the one who asks, and for that of 2026 before there is one."""

    def own(answer: object) -> Help:
        if isinstance(answer, Work):
            return HELPS[key](answer.cluster)
        told = HELPS[key](capstone())
        return Help((*told.hints[:-1], f"{OF_2026} {told.hints[-1]}"), told.solution, f"{OF_2026} {told.why}")

    return Exercise(key, ASKS[key], None, attempt(key, JUDGES[key]), (*HINTS[key], "The third hint is your cluster's."),
                    "", "", make=on_paper, own=own)


UNIT = Content(
    "13",
    "Capstone: a cluster that you have never seen",
    warm_up=(("08", "per"), ("07", "why-mark")),
    predictions=(
        Prediction(
            "gone-wrong",
            "Two faults, hundreds of Services, and everybody asks for each of them. How much of it goes wrong?",
            ("less than 1 in 20", "from 1 in 20 to a half", "more than a half"),
        ),
        Prediction(
            "rewritten",
            "kube-proxy is restarted on this node and writes all its chains anew. What goes wrong afterwards?",
            ("nothing any more", "less than before", "as much as before"),
        ),
    ),
    exercises=(exercise("places"), exercise("proofs"), exercise("mended")),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "wire-only",
                "Pods of a node get no answer from a Service; a program on the node itself does. Where is the cause?",
                "in PREROUTING or FORWARD, or in a test for who asks",
                {
                    "in the DNAT rule of an endpoint": "Both would meet it: a Pod's packet and the node's own come to "
                    "the same chains.",
                    "in PREROUTING or FORWARD, or in a test for who asks": "The node's own packets come to "
                    "KUBE-SERVICES from OUTPUT: what stands in PREROUTING, or FORWARD, they never meet.",
                    "in the endpoint": "It answers the node.",
                },
            ),
            Question(
                "same-letters",
                "The chains of a Service are, letter by letter, what kube-proxy should have written. Is all in order?",
                "Not yet known: other rules read the packet, too.",
                {
                    "Yes: nothing else is asked for this Service.": "PREROUTING, POSTROUTING and the table filter read "
                    "its packets, and other programs write there.",
                    "Not yet known: other rules read the packet, too.": "Only a packet that is followed to its end "
                    "tells.",
                    "No: a restart would still change them.": "A restart would write the same text again.",
                },
            ),
            Question(
                "tried-once",
                "Some connections to a Service hang, people say. You try once, and it works. What have you shown?",
                "that one way works; chance may have others",
                {
                    "that the rules are right": "Chance decides by which rule a connection goes; you have seen one of "
                    "its ways.",
                    "that people were wrong": "Who has one bad endpoint among three sees it every third time.",
                    "that one way works; chance may have others": "So follow every way: `--all` does, with the "
                    "probability of each.",
                },
            ),
            Question(
                "not-its-own",
                "Which of these does a restart of kube-proxy leave as it is?",
                "a rule that somebody put before its jump in PREROUTING",
                {
                    "a probability that somebody changed in a KUBE-SVC chain": "Its first sync writes all its "
                    "Services' chains anew.",
                    "a rule that somebody put before its jump in PREROUTING": "It sees to it that its jumps are there, "
                    "and looks at no other rule of the built-in chains.",
                    "a rule that is missing in KUBE-SERVICES": "That chain is written anew in every sync.",
                },
            ),
        ),
    ),
)

"""09 The Service that will not die."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from k8slab.course.exercise import Exercise, Fault
from k8slab.course.outcome import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, RIGHT, Outcome, Unfit
from k8slab.course.probe import Probe
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.servers import just_after_a_round, listed, rounds, taken
from k8slab.lab import Lab

ASK = Probe(
    "a connection from the Pod client to 10.96.0.1:443",
    "client",
    {"destination": "10.106.175.128:6443", "comes back": "an answer from 10.96.0.1:443"},
    to="10.96.0.1:443",
)
MOMENTS = (1, 16, 20)  # seconds after the end of two servers at which the list is asked for
PATIENCE = 15.0  # seconds that a repaired cluster is given: a round, and more
ALIVE = (
    "Write `alive(renewed, now)`: the addresses whose lease is valid. `renewed` says for each address the second at "
    "which its lease was last renewed."
)


def foretold(lab: Lab, answer: object) -> Outcome:
    """The answer is a list for each of three moments after k8smaster2 was stopped and k8smaster3 crashed."""
    if not isinstance(answer, dict) or set(answer) != set(MOMENTS) or not all(
        isinstance(one, (list, tuple, set)) for one in answer.values()
    ):
        raise Unfit(CANNOT_CHECK, "A list for each moment is wanted, as in {1: [128], 16: [128], 20: [128]}.")
    cluster, since, wrong = lab.cluster, 0, []
    cluster.api_servers["k8smaster2"].stop()
    cluster.api_servers["k8smaster3"].crash()
    for moment in MOMENTS:
        lab.advance(moment - since)
        since, found = moment, listed(cluster)
        said = sorted({str(one).rpartition(".")[2] for one in answer[moment]})
        if said != sorted(one.rpartition(".")[2] for one in found):
            after = f"After {moment} second{'s' * (moment != 1)}"
            wrong.append((f"{after} you expect {', '.join(said) or 'nobody'}; the slice says {', '.join(found)}.",
                          WHY[moment]))
    right = len(MOMENTS) - len(wrong)
    if wrong:
        raise Unfit(NOT_YET, f"{right} of {len(MOMENTS)} moments are right.", *wrong[0])
    return Outcome(RIGHT, "The slice says the same at all three moments.")


WHY = {
    1: "Who is stopped takes its own address out; who crashes cannot.",
    16: "The lease of k8smaster3 has run out a second ago: who has looked since?",
    20: "k8smaster has made a round since that lease ran out.",
}


def judged(_: Lab, answer: object) -> Outcome:
    """The answer is a function, which is asked what the servers of a cluster wrote in each of their rounds."""
    if not callable(answer):
        raise Unfit(CANNOT_CHECK, "A function is wanted, with two arguments.")
    cases, wrong = rounds(), []
    for renewed, now, wrote in cases:
        said = _said(answer, renewed, now)
        if sorted(map(str, said)) != sorted(wrote):
            told = f"alive({renewed}, {now}) gave {sorted(map(str, said))}; in that round the server wrote {wrote}."
            wrong.append((told, *_differ(said, wrote, renewed, now)))
    if wrong:
        raise Unfit(NOT_YET, f"{len(cases) - len(wrong)} of {len(cases)} rounds are right.", *wrong[0])
    return Outcome(RIGHT, f"Yours says what the servers wrote in all of {len(cases)} rounds.")


def _said(answer: Callable, renewed: dict[str, float], now: float) -> Sequence[str]:
    """What the learner's function gives; raises Unfit where that is no list."""
    call = f"alive({renewed}, {now})"
    try:
        said = answer(dict(renewed), now)
    except Exception as error:  # noqa: BLE001 - the learner's own code may raise anything
        raise Unfit(NOT_YET, f"{call} raised {type(error).__name__}: {error}") from None
    if said is None or said is Ellipsis:
        raise Unfit(NOT_ATTEMPTED, ALIVE)
    if not isinstance(said, (list, tuple, set)):
        raise Unfit(NOT_YET, f"{call} gave {said!r}; a list of addresses is wanted.")
    return said


def _differ(said: Sequence[str], wrote: Sequence[str], renewed: dict[str, float], now: float) -> list[str]:
    return [f"{one} renewed its lease {now - renewed[one]:g} seconds before." for one in renewed
            if (one in said) != (one in wrote)]


def returned(lab: Lab, answer: object) -> Sequence[Probe]:
    """The answer is the lab, repaired: the API server has made its Service again, and connections reach it."""
    if not isinstance(answer, Lab):
        raise Unfit(CANNOT_CHECK, "The lab is wanted.")
    lab.advance(PATIENCE)
    services = [one["metadata"] for one in lab.cluster.objects() if one["kind"] == "Service"]
    found = next((one for one in services if (one["namespace"], one["name"]) == ("default", "kubernetes")), None)
    if found and (found.get("labels") or {}).get("component") != "apiserver":
        raise Unfit(
            NOT_YET,
            "There is a Service kubernetes, but not the API server's.",
            "An API server makes the Service where it is missing, and corrects none that is there. Leave the making "
            "to it.",
        )
    sent = ASK.send(lab)
    if not found and not sent.wrong:
        raise Unfit(NOT_YET, "The packet goes where it should, and still there is no Service kubernetes.")
    return (ASK,)


def _reached(destination: str) -> Callable[[Sequence], bool]:
    return lambda sent: bool(sent[0].trace.received) and sent[0].trace.received.destination == destination


UNIT = Content(
    "09",
    "The Service that will not die",
    warm_up=(("08", "dead-listed"), ("06", "every-cluster")),
    predictions=(
        Prediction(
            "gap",
            "The Service is gone. A program asks once more over a connection that it opened before. What becomes of "
            "it?",
            ("it is answered", "it is refused", "nothing comes back"),
        ),
        Prediction(
            "back",
            "Ten seconds later, which Service kubernetes is there?",
            ("none", "10.96.0.1, uid as before", "10.96.0.1, another uid", "another address, another uid"),
        ),
    ),
    exercises=(
        Exercise(
            "listed",
            "k8smaster2 is stopped and k8smaster3 crashes, right after its round. k8smaster makes its rounds 7.5, "
            "17.5 and 27.5 seconds later. Whom does the slice list after 1, 16 and 20 seconds? Give the last numbers "
            "of their addresses.",
            {moment: [] for moment in MOMENTS},
            foretold,
            hints=(
                "Which of the two ends can do something about its own address?",
                "The lease of k8smaster3 was renewed in the second in which it crashed: until when is it valid?",
                "A lease that runs out changes nothing by itself: the list is written in a round.",
            ),
            solution={1: [128, 130], 16: [128, 130], 20: [128]},
            why="k8smaster2 took itself out as it stopped. The lease of k8smaster3 ran out after 15 seconds, and the "
            "next round, which is k8smaster's, came after 17.5.",
            make=just_after_a_round,
        ),
        Exercise(
            "alive",
            ALIVE,
            None,
            judged,
            hints=(
                "How long is a lease valid after it was renewed?",
                "`now - renewed[address]` is the age of a lease.",
                "`[address for address in renewed if ...]`",
            ),
            solution="def alive(renewed, now):\n"
            "    return [address for address, at in renewed.items() if now - at < 15]",
            why="A lease lasts 15 seconds and is renewed every ten, so that one round may be late. Who stops takes its "
            "lease away and is not in `renewed` any more; who crashes is, until nobody counts it.",
        ),
        Exercise(
            "taken",
            "The Service kubernetes was deleted, and does not come back. Find out why, and see to it that it does.",
            None,
            returned,
            hints=(
                'Who has the address? `print(broken.kubectl("get svc -A"))`',
                "Each address of a Service is given once. What did the API server write about it, in "
                '`broken.cluster.api_servers["k8smaster"].said`?',
                "The other Service can have any address. When 10.96.0.1 is free, who will take it, and when?",
            ),
            solution='broken.kubectl("delete svc web")\nbroken.advance(10)',
            why="An API server tries to make the Service in every round, and could not as long as another had its "
            "address. That one can be made again without asking for an address. The few seconds of the gap are when "
            "10.96.0.1 can be lost.",
            faults=(
                Fault(
                    "The address still belongs to the other Service, and connections go where that one leads.",
                    _reached("10.244.1.7:8080"),
                ),
            ),
            make=taken,
        ),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "same",
                "The Service kubernetes was deleted and has come back. What is not as it was?",
                "its uid",
                {
                    "its address": "It is the first of the Service range, and API servers ask for just that one.",
                    "its uid": "It is another object; programs that compare uids see it.",
                    "the names of its chains": "They are made of its name, its port's name and the protocol.",
                },
            ),
            Question(
                "who-back",
                "Who makes the Service again?",
                "each API server, in its rounds",
                {
                    "kube-controller-manager": "It runs many controllers, and not this one.",
                    "kube-proxy on each node": "It reads Services and writes rules, never the other way.",
                    "each API server, in its rounds": "Every ten seconds it looks whether the Service is there. The "
                    "first that looks makes it.",
                },
            ),
            Question(
                "which-lease",
                "Which lease decides whether an API server is an endpoint of kubernetes?",
                "its key in etcd, which kubectl does not show",
                {
                    "its Lease apiserver-… in kube-system": "By that one it is known to others; no endpoint depends "
                    "on it.",
                    "its node's Lease in kube-node-lease": "That is kubelet's sign of life, for the node.",
                    "its key in etcd, which kubectl does not show": "/registry/masterleases/ADDRESS, valid for 15 "
                    "seconds.",
                },
            ),
            Question(
                "edited",
                "Somebody edits the Endpoints of kubernetes: another address, and another port. What is put right?",
                "the address, within ten seconds",
                {
                    "both, within ten seconds": "In its rounds an API server compares addresses only.",
                    "the address, within ten seconds": "It is compared with the leases. The port stays as it was "
                    "edited.",
                    "nothing": "That is so for the Service; its endpoints are compared with the leases in each round.",
                },
            ),
        ),
    ),
)

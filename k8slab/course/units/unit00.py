"""00 Check your bench."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from k8slab.course.exercise import Exercise, Fault
from k8slab.course.outcome import CANNOT_CHECK, NOT_YET, Unfit
from k8slab.course.probe import Probe
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import other_range
from k8slab.lab import Lab

K3S_RANGE = "10.43.0.0/16"


def service_address(_: Lab, answer: object) -> Sequence[Probe]:
    """The answer is the address of the Service in a cluster with K3S_RANGE: open a connection to it."""
    if not isinstance(answer, str):
        raise Unfit(CANNOT_CHECK, f"The answer is {answer!r}; an address between quotation marks is wanted.")
    try:
        ipaddress.IPv4Address(answer.strip())
    except ValueError:
        raise Unfit(
            NOT_YET, f"`{answer}` is no IPv4 address; it has four numbers from 0 to 255, as in 10.96.0.1."
        ) from None
    return (
        Probe(
            f"a connection from the Pod client to {answer.strip()}:443",
            "client",
            {"comes back": f"an answer from {answer.strip()}:443"},
            to=f"{answer.strip()}:443",
        ),
    )


UNIT = Content(
    "00",
    "Check your bench",
    predictions=(
        Prediction(
            "owner",
            "Which hosts of the lab have the address `10.96.0.1`?",
            ("no host", "k8smaster", "k8smaster and worker1"),
        ),
    ),
    exercises=(
        Exercise(
            "range",
            "A k3s cluster has the Service range 10.43.0.0/16. Put into `answer` the address at which its Pods find "
            "the API server.",
            "",
            service_address,
            hints=(
                "Compare the lab's own range, 10.96.0.0/16, with its address, 10.96.0.1.",
                "The range begins at 10.43.0.0, which is the name of the range itself and is given to nobody.",
                "It is the first address after the beginning of the range.",
            ),
            solution="10.43.0.1",
            why="The API server gives the Service `kubernetes` the first usable address of the Service range. With "
            "kubeadm's "
            "10.96.0.0/12 and with our lab's 10.96.0.0/16 that is 10.96.0.1, with 10.43.0.0/16 it is 10.43.0.1.",
            faults=(
                Fault(
                    "10.96.0.1 is the first address of another range: of the one that kubeadm takes when it is "
                    "told nothing.",
                    lambda sent: sent[0].probe.to == "10.96.0.1:443",
                ),
                Fault(
                    "10.43.0.0 is where the range begins. That address stands for the range and is given to no "
                    "Service.",
                    lambda sent: sent[0].probe.to == "10.43.0.0:443",
                ),
            ),
            make=lambda: other_range("10.43.0.1"),
        ),
    ),
    quiz=Quiz(
        "Three questions",
        (
            Question(
                "env",
                "A Pod reads `KUBERNETES_SERVICE_HOST=10.43.0.1`. Why is it not `10.96.0.1`?",
                "Its cluster has another Service range, and kubernetes has the first address in it.",
                {
                    "Its API server has the address 10.43.0.1.": "The variable holds the ClusterIP of the Service, "
                                                                 "an address that no machine has. The API "
                    "server's own is another.",
                    "Its cluster has another Service range, and kubernetes has the first address in "
                    "it.": "k3s takes 10.43.0.0/16 when it is told nothing, kubeadm 10.96.0.0/12.",
                    "The Service kubernetes was deleted and came back with a new address.": "It comes back at the "
                                                                                            "same address, each "
                                                                                            "time: the first of the "
                                                                                            "range.",
                },
            ),
            Question(
                "model",
                "What does the lab need to run on the model?",
                "Python and its packages.",
                {
                    "A cluster to connect to.": "Nothing here talks to a cluster, not even the two variables that "
                    "you read.",
                    "The rights of root.": "The model is plain Python: it has no need of the machine's own network.",
                    "Python and its packages.": "So it runs on Binder, on Windows and on macOS, too.",
                },
            ),
            Question(
                "idle",
                "Binder stops a kernel after ten minutes without work. How do you come back to your cell?",
                "Run All Above: the lab is made again in seconds.",
                {
                    "Run All Above: the lab is made again in seconds.": "Variables and the lab are gone, and each "
                                                                        "cell makes its part again. Your answers are "
                                                                        "in "
                    "the progress file.",
                    "Only by starting the course again.": "As long as the page stays open, the session is still "
                                                          "there with the notebook and the "
                    "progress file. Only the kernel is new.",
                    "Nothing needs to be done.": "A stopped kernel has lost its variables: the next cell would say "
                                                 "that `lab` is not "
                    "defined.",
                },
            ),
        ),
    ),
)

"""02 Meet the address that nobody owns."""

from __future__ import annotations

from collections.abc import Sequence

from k8slab.course.exercise import BLANK, Exercise, Fault
from k8slab.course.outcome import CANNOT_CHECK, NOT_YET, Unfit
from k8slab.course.probe import Probe, Sent
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import API, local_only, with_cluster
from k8slab.lab import Lab

DONE = ("created", "configured", "unchanged")      # what kubectl says of an object that it has applied
ROUND = 12.0                                       # seconds: a round of the API server's controller, and kube-proxy's
KUBERNETES = {"destination": API, "comes back": "an answer from 10.96.0.1:443"}
POD = Probe("a connection from the Pod client to 10.96.0.1:443", "client", KUBERNETES, to="10.96.0.1:443")
NODE = Probe("a connection from worker1 itself to 10.96.0.1:443", "worker1", KUBERNETES, to="10.96.0.1:443")
DOOR = {"destination": API, "comes back": "an answer from 10.96.0.77:443"}
DOORS = tuple(Probe(f"a connection from the Pod {pod} to 10.96.0.77:443", pod, DOOR, to="10.96.0.77:443")
              for pod in ("client", "web"))

SKELETON = """kind: Service
apiVersion: v1
metadata: {name: door}
spec: {clusterIP: 10.96.0.77, ports: [{name: https, port: 443}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: door-1, labels: {kubernetes.io/service-name: ____}}
addressType: IPv4
ports: [{name: ____, port: ____}]
endpoints: [{addresses: [____]}]
"""


def filled(*words: str) -> str:
    """The skeleton with these words for its blanks: the Service, the port's name and number, the endpoint.

    >>> filled("a", "b", "1", "c").splitlines()[-1]
    'endpoints: [{addresses: [c]}]'
    """
    text = SKELETON
    for word in words:
        text = text.replace(BLANK, word, 1)
    return text


def applied(lab: Lab, answer: object) -> Sequence[Probe]:
    """The answer is a text for `kubectl apply -f -`."""
    if not isinstance(answer, str):
        raise Unfit(CANNOT_CHECK, f"A text for kubectl apply is wanted, not {type(answer).__name__}.")
    if BLANK in answer:
        raise Unfit(NOT_YET, f"There is still a blank, {BLANK}, in the answer.")
    said = lab.kubectl("apply -f -", answer).splitlines()
    if wrong := [line for line in said if not line.endswith(DONE)]:
        raise Unfit(NOT_YET, f"kubectl refuses it: {wrong[0]}")
    lab.advance(ROUND)
    return (*DOORS, POD)


def repaired(_: Lab, answer: object) -> Sequence[Probe]:
    """The answer is the lab, repaired by whatever means; a round of all controllers goes by before it is tried."""
    if not isinstance(answer, Lab):
        raise Unfit(CANNOT_CHECK, "The lab is wanted.")
    answer.advance(ROUND)
    return POD, NODE


def _met(sent: Sequence[Sent], words: str) -> bool:
    return any(words in step.rule for one in sent for step in one.trace.steps)


def _went_to(sent: Sequence[Sent], start: str, end: str = "") -> bool:
    """Whether a rule sent the first packet to a destination that begins, and ends, so."""
    return any(step.kind == "NAT" and step.leg == 1 and step.after.destination.startswith(start)
               and step.after.destination.endswith(end) for step in sent[0].trace.steps)


UNIT = Content(
    "02",
    "Meet the address that nobody owns",
    warm_up=(("01", "who"), ("00", "env")),
    predictions=(
        Prediction(
            "selector",
            "A Service finds its Pods by labels. Which selector does the Service `kubernetes` have?",
            ("component=kube-apiserver", "component=apiserver,provider=kubernetes", "<none>"),
        ),
        Prediction(
            "mirror",
            "You delete the Pod kube-apiserver-k8smaster. How many endpoints does the Service have right after?",
            ("0", "1"),
        ),
        Prediction(
            "fight",
            "You give the Service the selector that one would expect, `component=kube-apiserver`. What do its "
            "Endpoints hold a second later?",
            ("10.106.175.128:6443", "10.106.175.128:443", "<none>"),
        ),
    ),
    exercises=(
        Exercise(
            "door",
            "Make a second door to the API server: a Service without a selector, `10.96.0.77:443`, and the "
            "EndpointSlice that says where it leads. Fill in the blanks.",
            SKELETON,
            applied,
            hints=(
                "Look at the slice of `kubernetes`: `%kubectl get endpointslice kubernetes -o yaml`. Which label says "
                "whose it is?",
                "The port of a slice has the name of the Service's port, and the endpoint's own number.",
                "The API server listens at 10.106.175.128:6443.",
            ),
            solution=filled("door", "https", "6443", "10.106.175.128"),
            why="A slice belongs to the Service that its label names. Nobody looks whether a Pod has the address: "
            "this is how a Service leads out of the cluster, too.",
            faults=(
                Fault(
                    "kube-proxy knows no endpoint of door: the label must name the Service, and the port of the slice "
                    "must have the name of the Service's port.",
                    lambda sent: _met(sent, "default/door:https has no endpoints"),
                ),
                Fault(
                    "An endpoint that is a ClusterIP itself leads nowhere: nat is asked once for a connection, so the "
                    "second translation never comes.",
                    lambda sent: _went_to(sent, "10.96."),
                ),
                Fault(
                    "The packet comes to the API server's machine at a port where nobody listens: 443 is the "
                    "Service's port, and not the endpoint's.",
                    lambda sent: _went_to(sent, "10.106.175.128:", ":443"),
                ),
            ),
            make=with_cluster,
        ),
        Exercise(
            "local",
            "No Pod of worker1 reaches the API server at 10.96.0.1, though the Service, its slice and the server are "
            "there. Find out what is wrong with the Service, and mend it.",
            None,
            repaired,
            hints=(
                "The endpoint is listed, and kube-proxy does not use it: what does its rule in filter say? `iptables "
                "-S KUBE-SERVICES`",
                "Compare `broken.kubectl(\"get svc kubernetes -o yaml\")` with your own lab's: one field differs.",
                "The API server does not correct a Service that is there. What does it do with one that is missing?",
            ),
            solution='broken.kubectl("""patch svc kubernetes -p \'{"spec": {"internalTrafficPolicy": "Cluster"}}\'""")',
            why="With internalTrafficPolicy Local, kube-proxy takes endpoints of its own node alone, and those of this "
            "Service name no node: none is ever local. To delete the Service mends it, too: within ten seconds it is "
            "there again, as it was born.",
            make=local_only,
        ),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "writer",
                "Who writes the endpoints of the Service kubernetes?",
                "The API servers themselves.",
                {
                    "The endpoint controller, by the Service's selector.":
                        "It passes over a Service without a selector.",
                    "The API servers themselves.": "Each says by a lease in etcd that it lives, and writes the "
                    "addresses of all that do.",
                    "kubeadm, once, when the cluster is made.": "Then an address could never change.",
                },
            ),
            Question(
                "etcd",
                "Who reads the EndpointSlices from etcd for kube-proxy?",
                "The API server.",
                {
                    "kube-proxy, with a certificate of its own.": "Nobody but the API servers speaks to etcd.",
                    "The API server.": "kube-proxy lists once, and then a watch tells it each change.",
                    "kubelet, which hands them on.": "kubelet follows Pods, and kube-proxy asks for itself.",
                },
            ),
            Question(
                "verified",
                "A client calls https://10.96.0.1 and its connection ends at 10.106.175.128:6443. Which address must "
                "the certificate name?",
                "10.96.0.1",
                {
                    "10.96.0.1": "The client verifies the name by which it called; of the translation it knows "
                    "nothing.",
                    "10.106.175.128": "That one is in it for those who call the server directly, as kubelet does.",
                    "None: addresses are not verified.": "They are, like names; they stand in the certificate as IP "
                    "addresses.",
                },
            ),
            Question(
                "egg",
                "Why does kube-proxy not use 10.96.0.1 to reach the API server?",
                "It writes the rules that make this address work.",
                {
                    "It has no certificate for it.": "The certificate names 10.96.0.1; that is not it.",
                    "It writes the rules that make this address work.": "Before its first sync the address leads "
                    "nowhere, so that it would wait for itself.",
                    "It runs on the control plane's node.": "It runs on every node.",
                },
            ),
        ),
    ),
)

"""06 Name the chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from k8slab.course.exercise import Exercise
from k8slab.course.outcome import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, Unfit
from k8slab.course.probe import Probe
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import with_dns
from k8slab.course.units.unit01 import stations
from k8slab.kubeproxy.names import service_chain
from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.trace import Step

# The ways in of the cluster with kube-dns: namespace, Service, port's name, protocol, ClusterIP, port.
PORTS = (
    ("default", "kubernetes", "https", "tcp", "10.96.0.1", 443),
    ("kube-system", "kube-dns", "dns", "udp", "10.96.0.10", 53),
    ("kube-system", "kube-dns", "dns-tcp", "tcp", "10.96.0.10", 53),
)
ASKS = (
    "Write `chain(namespace, service, port, protocol)`: the name of the KUBE-SVC chain of a Service's port. The "
    "ways into the Services are built "
    "anew with the names that it gives, and packets are sent."
)
# What goes into the hash, in forms that people take it for: what is wrong, and how it is made.
MISTAKES: tuple[tuple[str, Callable[[str, str, str, str], str]], ...] = (
    ("the protocol goes in with small letters", lambda n, s, p, proto: service_chain(f"{n}/{s}:{p}", proto.upper())),
    (
        "the port's name is missing: `:https` after the Service's",
        lambda n, s, p, proto: service_chain(f"{n}/{s}", proto),
    ),
    ("the protocol is missing at the end", lambda n, s, p, proto: service_chain(f"{n}/{s}:{p}", "")),
    (
        "nothing stands between the port's name and the protocol",
        lambda n, s, p, proto: service_chain(f"{n}/{s}:{p}", f"/{proto}"),
    ),
    ("the prefix `KUBE-SVC-` is missing", lambda n, s, p, proto: service_chain(f"{n}/{s}:{p}", proto, "")),
)


def named(lab: Lab, answer: object) -> Sequence[Probe]:
    """The answer is a function that names chains; the jumps of KUBE-SERVICES on worker1 are made with its names."""
    if not callable(answer):
        raise Unfit(CANNOT_CHECK, "A function is wanted, with four arguments.")
    lab.run("worker1", "iptables -t nat -F KUBE-SERVICES")
    for *words, address, port in PORTS:
        try:
            name = answer(*words)
        except Exception as error:  # noqa: BLE001 - the learner's own code may raise anything
            raise Unfit(NOT_YET, f"chain{tuple(words)} raised {type(error).__name__}: {error}") from None
        if name is None or name is Ellipsis:
            raise Unfit(NOT_ATTEMPTED, ASKS)
        if not isinstance(name, str) or " " in name:
            raise Unfit(NOT_YET, f"chain{tuple(words)} gave {name!r}; the name of a chain is wanted.")
        if name != (right := service_chain(f"{words[0]}/{words[1]}:{words[2]}", words[3])):
            why = next(
                (says for says, make in MISTAKES if make(*words) == name),
                f"it has {len(name)} characters"
                if len(name) != len(right)
                else "its first characters are right"
                if name[:9] == right[:9]
                else "it begins with another prefix",
            )
            raise Unfit(NOT_YET, f"worker1 has no chain `{name}`, which chain{tuple(words)} gave: {why}.")
        lab.run("worker1", f"iptables -t nat -A KUBE-SERVICES -d {address} -p {words[3]} --dport {port} -j {name}")
    return tuple(
        Probe(
            f"a {proto} question from the Pod client to {address}:{port}",
            "client",
            {"comes back": f"an answer from {address}:{port}"},
            to=f"{address}:{port}",
            proto=proto,
        )
        for _, _, _, proto, address, port in PORTS
    )


def jump(chain: str) -> Callable[[Step], bool]:
    """Tell the step at which the first packet goes into a chain whose name begins so."""
    return lambda step: (
        step.leg == 1 and step.node == "worker1" and step.kind == "JUMP" and step.verdict.startswith(chain)
    )


STATIONS = {
    "KUBE-SEP-..., the endpoint that chance took": jump("KUBE-SEP-"),
    "KUBE-POSTROUTING": jump("KUBE-POSTROUTING"),
    "KUBE-SERVICES": lambda step: (
        step.leg == 1 and step.node == "worker1" and step.verdict == "KUBE-SERVICES" and step.table == "nat"
    ),
    "KUBE-SVC-TCOU7JCQXEZGVUNU, kube-system/kube-dns:dns": jump("KUBE-SVC-TCOU7JCQXEZGVUNU"),
}
QUESTION = Probe(
    "a UDP question from the Pod client to 10.96.0.10:53",
    "client",
    {"comes back": "an answer from 10.96.0.10:53"},
    packet=Packet("udp", "10.244.1.5", "10.96.0.10", 50053, 53),
)

UNIT = Content(
    "06",
    "Name the chains",
    warm_up=(("05", "counter"), ("04", "accept")),
    predictions=(
        Prediction(
            "another-ip",
            "The Service gets another ClusterIP. Which of its chains get another name?",
            ("none", "KUBE-SVC", "KUBE-SEP", "KUBE-SVC and KUBE-SEP"),
        ),
        Prediction(
            "another-end",
            "Its endpoint moves to another address. Which of its chains get another name?",
            ("none", "KUBE-SVC", "KUBE-SEP", "KUBE-SVC and KUBE-SEP"),
        ),
    ),
    exercises=(
        Exercise(
            "names",
            ASKS,
            None,
            named,
            hints=(
                "The text that is hashed is `default/kubernetes:httpstcp` for our Service: what are its parts?",
                "`hashlib.sha256(text.encode()).digest()` gives bytes, `base64.b32encode(...)` makes letters and "
                "digits of them, `.decode()` a text.",
                "Take the first 16 characters and put `KUBE-SVC-` before them.",
            ),
            solution="def chain(namespace, service, port, protocol):\n    text = "
            'f"{namespace}/{service}:{port}{protocol}"\n'
            "    digest = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()\n    return "
            '"KUBE-SVC-" + digest[:16]',
            why="That is all that kube-proxy puts in. So the chain of default/kubernetes:https has one name on every "
            "node of every cluster in iptables mode.",
            make=with_dns,
        ),
        Exercise(
            "dns-way",
            "Put the chains into the order in which a UDP question to kube-dns comes to them.",
            list(STATIONS),
            stations(QUESTION, STATIONS),
            hints=(
                "It is the way of the packet to the API server, with other names.",
                "The Service's chain chooses the endpoint's.",
                "POSTROUTING is the last hook before the wire.",
            ),
            solution=[
                "KUBE-SERVICES",
                "KUBE-SVC-TCOU7JCQXEZGVUNU, kube-system/kube-dns:dns",
                "KUBE-SEP-..., the endpoint that chance took",
                "KUBE-POSTROUTING",
            ],
            why="UDP or TCP, one endpoint or many: from KUBE-SERVICES to the Service's chain, to an endpoint's "
            "chain, to DNAT; and KUBE-POSTROUTING, whoever comes.",
            make=with_dns,
            items=tuple(STATIONS),
        ),
    ),
    quiz=Quiz(
        "Three questions",
        (
            Question(
                "hash",
                "Which of these goes into the name of a KUBE-SVC chain?",
                "the name of the Service's port",
                {
                    "the ClusterIP": "The Service could get another address and keep the chain's name.",
                    "the number of the port": "443 may become 8443, and the name stays: the port's name goes in, not "
                                              "its "
                    "number.",
                    "the name of the Service's port": "With namespace, Service and protocol: "
                                                      "default/kubernetes:https and "
                    "tcp.",
                },
            ),
            Question(
                "every-cluster",
                "You have never seen a cluster. What can you say of its chain for default/kubernetes:https?",
                "its whole name, if kube-proxy runs in iptables mode",
                {
                    "nothing": "All that goes into the name is the same in each cluster.",
                    "its prefix alone": "The hash can be worked out, too: you have written the function.",
                    "its whole name, if kube-proxy runs in iptables mode": "KUBE-SVC-NPX46M4PTMTKRN6Y. In other "
                                                                           "modes there "
                    "is no such chain.",
                },
            ),
            Question(
                "two-ports",
                "How many KUBE-SVC chains has kube-dns, with dns (UDP), dns-tcp and metrics, each with endpoints?",
                "three",
                {
                    "one": "A chain belongs to one port of a Service, not to the Service.",
                    "three": "One for each port. Two of them have the same number, 53, and differ by protocol and "
                             "name.",
                    "six": "Its two endpoints have KUBE-SEP chains of their own, for each port one; a KUBE-SVC chain "
                           "is one "
                    "for the port.",
                },
            ),
        ),
    ),
)

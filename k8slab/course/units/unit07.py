"""07 Know when to masquerade."""

from __future__ import annotations

from k8slab.course.exercise import Exercise, Fault, commands, mended
from k8slab.course.probe import Probe
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import API, no_hairpin
from k8slab.lab import Lab

HOME = "an answer from 10.96.0.1:443"
SHOP = "an answer from 10.96.12.34:80"
WEB = Probe(
    "a connection from the Pod web to 10.96.0.1:443",
    "web",
    {"source": "10.106.175.131", "comes back": HOME},
    to="10.96.0.1:443",
)
CLIENT = Probe(
    "a connection from the Pod client to 10.96.0.1:443",
    "client",
    {"source": "10.244.1.5", "comes back": HOME},
    to="10.96.0.1:443",
)
PODS = Probe(
    "a connection from the Pod web to the Pod coredns-1, 10.244.0.2:53",
    "web",
    {"source": "10.244.1.7", "comes back": "an answer from 10.244.0.2:53"},
    to="10.244.0.2:53",
)
DIRECT = Probe(
    f"a connection from the Pod web to {API} itself",
    "web",
    {"source": "10.244.1.7", "comes back": f"an answer from {API}"},
    to=API,
)

UNIT = Content(
    "07",
    "Know when to masquerade",
    warm_up=(("06", "hash"), ("05", "tables")),
    predictions=(
        Prediction(
            "seen-pod",
            "Which source does the API server see when the Pod client, 10.244.1.5, asks 10.96.0.1:443?",
            ("10.244.1.5", "10.106.175.131", "10.96.0.1"),
        ),
        Prediction(
            "seen-outside",
            "A client outside, 203.0.113.10, asks k8smaster's NodePort, and the Pod web on "
            "worker1 answers. Which source does the Pod see?",
            ("203.0.113.10", "10.106.175.128", "10.106.175.131"),
        ),
        Prediction(
            "seen-self",
            "The Pod web, 10.244.1.7, reaches itself by its Service. Which source does it see?",
            ("10.244.1.7", "10.106.175.131", "10.244.1.1"),
        ),
    ),
    exercises=(
        Exercise(
            "mask",
            "On worker1, let connections of the Pod web to 10.96.0.1:443 leave with the node's address, and "
            "all others as they are.",
            "",
            commands("worker1", WEB, CLIENT, PODS, DIRECT),
            hints=(
                "The source is changed in POSTROUTING; by then the destination is 10.106.175.128:6443, for the "
                "Service and for those who ask it directly.",
                "A mark can tell the two apart: set it where the destination is still 10.96.0.1.",
                "`iptables -t nat -I KUBE-SVC-NPX46M4PTMTKRN6Y -s 10.244.1.7 -j KUBE-MARK-MASQ` marks.",
            ),
            solution="iptables -t nat -I KUBE-SVC-NPX46M4PTMTKRN6Y -s 10.244.1.7 -j KUBE-MARK-MASQ",
            why="Whoever goes through the Service's chain still has the destination 10.96.0.1. The mark takes the "
            "decision along to POSTROUTING, where KUBE-POSTROUTING "
            "masquerades every marked packet.",
            faults=(
                Fault(
                    "The Pod's own connections to the API server's address are masqueraded, too: in POSTROUTING "
                    "their headers look alike. What tells them apart earlier?",
                    lambda sent: not sent[0].wrong and bool(sent[3].wrong),
                ),
                Fault(
                    "Connections of other Pods are masqueraded as well: the rule needs a test for the source.",
                    lambda sent: bool(sent[1].wrong),
                ),
                Fault(
                    "A rule in POSTROUTING that names 10.96.0.1 never matches: by then DNAT has been done.",
                    lambda sent: any(
                        "10.96.0.1" in over.rule
                        for step in sent[0].trace.steps
                        if step.hook == "POSTROUTING"
                        for over in step.passed
                    ),
                ),
            ),
            make=Lab,
        ),
        Exercise(
            "hairpin",
            "The Pod web cannot reach itself by its own Service, 10.96.12.34:80, while all others can. "
            "Mend it, so that no other source is changed.",
            None,
            mended(
                Probe(
                    "a connection from the Pod web to 10.96.12.34:80, whose endpoint it is",
                    "web",
                    {"comes back": SHOP},
                    to="10.96.12.34:80",
                ),
                Probe(
                    "a connection from the Pod client to 10.96.12.34:80",
                    "client",
                    {"source": "10.244.1.5", "comes back": SHOP},
                    to="10.96.12.34:80",
                ),
            ),
            hints=(
                "Walk the packet: with which source does it come back to its own Pod?",
                "The Pod sees a packet that comes in with its own address as the source, and throws it away.",
                "In each KUBE-SEP chain kube-proxy has a rule before the DNAT: `-s 10.244.1.7 -j KUBE-MARK-MASQ`.",
            ),
            solution='broken.run("worker1", "iptables -t nat -I KUBE-SEP-UGQTAJUJOQJVZIEC -s 10.244.1.7 -j '
            'KUBE-MARK-MASQ")',
            why="With the source rewritten to the node's address on the Pod's cable, 10.244.1.1, the Pod answers to "
            "the node, which puts everything back.",
            faults=(
                Fault(
                    "web reaches itself now, and other Pods are masqueraded, too: mark only the Pod that calls itself.",
                    lambda sent: not sent[0].wrong and bool(sent[1].wrong),
                ),
                Fault(
                    "The packet still comes back to web with its own source: it must be marked before it is "
                    "translated, since DNAT ends the walk.",
                    lambda sent: bool(sent[0].wrong) and not sent[1].wrong,
                ),
            ),
            make=no_hairpin,
        ),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "mark-where",
                "Who can see the mark 0x4000 of a packet?",
                "Rules in this network namespace, until the packet leaves it.",
                {
                    "Rules in this network namespace, until the packet leaves it.": "It belongs to the kernel's note "
                    "on the packet (fwmark), and is in no header.",
                    "The next node, too.": "Nothing of it is on the wire, and the next node begins with 0.",
                    "tcpdump.": "tcpdump shows what is on the wire. The mark is not.",
                },
            ),
            Question(
                "why-mark",
                "Why does kube-proxy mark the packet and change its source later, in POSTROUTING?",
                "In PREROUTING the source cannot be changed.",
                {
                    "In PREROUTING the source cannot be changed.": "MASQUERADE belongs to POSTROUTING, when the way "
                    "out is known; the reason to do it shows in the packet only before DNAT.",
                    "A mark is faster than a rule.": "It needs rules itself: one to set it, three to act on it.",
                    "conntrack needs the mark.": "conntrack has a mark of its own, which these rules do not use.",
                },
            ),
            Question(
                "pod-cidr",
                "kube-proxy has no --cluster-cidr and no other way to tell Pods. Which traffic to "
                "ClusterIPs is masqueraded?",
                "Only that of endpoints that call themselves.",
                {
                    "All of it.": "For that there is a flag of its own, --masquerade-all.",
                    "Only that of endpoints that call themselves.": "Without a test for local traffic the first rule "
                                                                    "of "
                    "KUBE-SVC is not written; those of KUBE-SEP are.",
                    "That of nodes.": "Their rule is the one that is missing.",
                },
            ),
            Question(
                "cni",
                "The API server sees a node's address for each Pod of that node. Who has changed the source?",
                "Probably the network plugin.",
                {
                    "kube-proxy, always.": "It leaves a Pod's source alone when the Pod is in the range it knows.",
                    "Probably the network plugin.": "Most have a rule of their own for packets that leave the Pod "
                                                    "range.",
                    "The API server.": "It sees what is in the packet.",
                },
            ),
        ),
    ),
)

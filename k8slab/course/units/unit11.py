"""11 Mend the broken clusters."""

from __future__ import annotations

from k8slab.course.exercise import Fault
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.drills import FLUSHED, untranslated
from k8slab.course.units.mending import cluster

UNIT = Content(
    "11",
    "Mend the broken clusters",
    warm_up=(("09", "edited"), ("08", "per")),
    predictions=(
        Prediction(
            "said-refused",
            "A program prints: connection refused, at once. Which of these can have made it say so?",
            ("a Service without endpoints", "a node that does not forward", "a node without a default route"),
        ),
        Prediction(
            "three-seconds",
            "Another prints: no route to host, after 3 seconds. What was waited for?",
            ("an answer to an ARP question", "an answer to a SYN", "an ICMP error"),
        ),
    ),
    exercises=(
        cluster(
            "1", "target-port",
            "Refused at once, although there is an endpoint. Who refuses: the node, or the Pod?",
            "On which port does a program listen in the Pod? Call 10.244.1.7:8080 and :80 themselves, with `nc -zv`.",
            "The Service's `targetPort` is the Pod's port: it must be 8080. `kubectl patch svc web --type=json -p "
            "'[{\"op\": \"replace\", \"path\": \"/spec/ports/0/targetPort\", \"value\": …}]'`",
            faults=(Fault("Nobody translates port 80 of the Service any more. `port` is what callers ask for, and "
                          "stays; `targetPort` is the Pod's.", untranslated),),
        ),
        cluster(
            "2", "rule-before",
            "\"no route to host\", and at once. Is there no route? Ask `ip route get` on worker1, then the rules.",
            "REJECT can say many things: look for `--reject-with` in `iptables -S FORWARD` on worker1.",
            "Rules are read in order, and a REJECT stands before those that accept the Pods' packets: take it away "
            "with `-D`, or have them accepted just before it, with `-I FORWARD` and its number.",
            faults=(
                FLUSHED,
                Fault("Nobody translates any more: the nat rules that you took away were kube-proxy's.", untranslated),
            ),
        ),
        cluster(
            "3", "rp-filter",
            "Three seconds: somebody asks for a neighbour, and nobody answers. Who asks? Look at `ip neigh` in the "
            "Pod.",
            "The Pod has two interfaces. By which one does it send (`ip route` in the Pod), and by which one would "
            "worker1 answer? Ask `ip route get 10.106.175.128 from 10.244.1.5 iif …` on worker1, with each.",
            "worker1 refuses what comes by another interface than its own way back: `sysctl "
            "net.ipv4.conf.all.rp_filter` is 1, strict. Make it 2 or 0, or let the Pod send by eth0.",
        ),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "rules-out",
                "A connection to a ClusterIP is refused at once. What is ruled out?",
                "that the packet was dropped on its way",
                {
                    "that the Service has no endpoints": "kube-proxy writes a REJECT for just that.",
                    "that the packet was dropped on its way": "Somebody has answered it, with a RST or an ICMP error.",
                    "that the program in the Pod has ended": "Then the Pod's own TCP refuses, by a RST.",
                },
            ),
            Question(
                "objects-first",
                "Why look at the endpoints before the rules?",
                "The rules are made of them.",
                {
                    "They are broken more often.": "That may be, and is no reason by itself: they are also quicker to "
                    "read.",
                    "The rules are made of them.": "kube-proxy translates what is there, be it right or wrong; rules "
                    "that are written for wrong endpoints look well.",
                    "Packets meet them first.": "Packets never meet an object: they meet rules.",
                },
            ),
            Question(
                "flush-all",
                "After `iptables -F` the program is answered. Is the node mended?",
                "No: rules that others rely on are gone, too.",
                {
                    "Yes: what counts is that it works.": "It works for this program, and for how long? Policies and "
                    "REJECTs are gone, and kube-proxy may write its part again.",
                    "No: rules that others rely on are gone, too.": "And nobody knows which one it was. Take away one "
                    "rule, and know which.",
                    "Yes, since kube-proxy writes all of it again.": "It writes its own rules alone, and not at once.",
                },
            ),
            Question(
                "one-pod",
                "One Pod fails, and all others of its node are answered. Where will you look first?",
                "at what is the Pod's own: its routes, policies and entries",
                {
                    "at the Service and its endpoints": "They are the same for all Pods.",
                    "at net.ipv4.ip_forward": "It counts for all Pods of the node.",
                    "at what is the Pod's own: its routes, policies and entries": "What is common to all is well, "
                    "since the others are answered.",
                },
            ),
        ),
    ),
)

"""The drills: thirteen broken clusters of ten minutes each, in no order and independent of each other."""

from __future__ import annotations

from collections.abc import Sequence

from k8slab.course.exercise import Fault
from k8slab.course.faults import GONE, TO_IDLE
from k8slab.course.probe import Sent
from k8slab.course.question import Quiz
from k8slab.course.unit import Content
from k8slab.course.units.mending import cluster

KUBERNETES = "KUBE-SVC-NPX46M4PTMTKRN6Y"


def silent(sent: Sequence[Sent]) -> bool:
    """Whether the program that failed hears nothing now."""
    return bool(sent[0].wrong) and sent[0].trace.reply is None


def untranslated(sent: Sequence[Sent]) -> bool:
    """Whether of all who ask what the program asks nobody hears anything, and no rule gives another destination."""
    alike = [one for one in sent if one.probe.to == sent[0].probe.to]
    return all(silent([one]) and one.failed == one.tried and not any(
        step.kind == "NAT" and step.leg == 1 and "dst" in step.changed for step in one.trace.steps) for one in alike)


def missed(table: str, words: str, sent: Sequence[Sent]) -> bool:
    """Whether the packet passed over a rule of the table that holds these words."""
    return any(words in over.rule for step in sent[0].trace.steps for over in step.passed if over.table == table)


def others_wrong(sent: Sequence[Sent]) -> bool:
    """Whether the program is answered, and something else is not as it should be."""
    return not sent[0].wrong and any(one.wrong for one in sent[1:])


def idle_is_lost(sent: Sequence[Sent]) -> bool:
    """Whether what goes wrong first is the refusal of a Service without endpoints."""
    return next((one.probe for one in sent if one.wrong), None) is TO_IDLE


FLUSHED = Fault(
    "The program is answered, but something else is lost: a Service without endpoints should go on to refuse at once. "
    "kube-proxy's rule for that is gone with what you took away, or stands behind what you wrote and is not read.",
    idle_is_lost)

DRILLS = Content(
    "drills",
    "Thirteen more broken clusters",
    quiz=Quiz("", ()),
    exercises=(
        cluster(
            "4", "no-default-route",
            "At once, and not refused: who says such a thing before a packet has left?",
            "The Pods of the same node are well. What does the node's own program need that they do not? Look at "
            "`ip route` on worker1 and on k8smaster.",
            "A program's packet is routed before OUTPUT's rules can translate it: worker1 needs a route that fits "
            "10.96.0.1, as k8smaster has by its default route, via 10.106.175.1.",
            faults=(Fault("Without any route there is no packet that a rule of OUTPUT could read: the first look-up "
                          "comes before.", lambda sent: silent(sent) and "unreachable" in sent[0].trace.reason),),
        ),
        cluster(
            "5", "no-endpoints",
            "Refused at once: by whom? Begin with the object and its endpoints.",
            "`kubectl get endpointslices` shows which Pods the Service found. How does it look for them?",
            "Compare `kubectl get svc web -o wide`, column SELECTOR, with `kubectl get pods --show-labels`.",
            faults=(Fault("Nobody translates the Service's address any more: the program goes on to ask for "
                          "10.96.12.34:80, so a Service must have it.", untranslated),),
        ),
        cluster(
            "6", "not-yet-synced",
            "The object and its endpoints are well. What does the node know of them?",
            "Compare the numbers: `iptables -t nat -S | grep -c KUBE-SVC` on this node and on a cluster that works.",
            "Nobody has written rules: kube-proxy is still starting. How long does it take? `lab.advance(60)`.",
        ),
        cluster(
            "7", "ping",
            "Is that what the Service is for?",
            "Which rules of `iptables -t nat -S KUBE-SERVICES` could fit a ping, whose protocol is ICMP?",
            "Try a connection, `nc -zv 10.96.0.1 443`, and ping the ClusterIP of a cluster that works.",
            faults=(Fault("It was well before, and now the Service's own connections fail.", silent),),
        ),
        cluster(
            "8", "forwarding-off",
            "Object, endpoints and rules are well, and other Pods of the node fail as well. The node's own programs do "
            "not.",
            "Ask worker1 for the way of the Pod's packet, `ip route get 10.106.175.128 from 10.244.1.5 iif "
            "veth-client`, or send one and read how far it comes.",
            "A node is a router for its Pods only where `sysctl net.ipv4.ip_forward` is 1.",
            faults=(Fault("No rule of FORWARD is even read: the node does not forward at all.",
                          lambda sent: silent(sent) and "ip_forward is 0" in sent[0].trace.reason),),
        ),
        cluster(
            "9", "stale-entry",
            "A new question, from another port, is answered: what is kept for the old port?",
            "`conntrack -L -p udp` on worker1: to whom does the entry of port 50053 lead? Is that an endpoint?",
            "Delete that entry with `conntrack -D` and filters, and let the program ask again.",
            faults=(Fault("New rules are not asked by a conversation that has an entry; each question makes the entry "
                          "live longer.", lambda sent: silent(sent) and any(
                              step.after and step.after.dst == GONE for step in sent[0].trace.steps)),),
        ),
        cluster(
            "10", "policy-before-dnat",
            "Another Pod of the same node is answered. What is different for this one?",
            "Follow FORWARD: `iptables -S FORWARD` on worker1, and the chain to which it leads. Which destination has "
            "the packet there?",
            "FORWARD is read after DNAT: 10.106.175.128, port 6443, must be allowed, and no more than that.",
            faults=(
                Fault("The connection is answered, and so is one that the policy forbids: allow what is missing, "
                      "instead of all.", others_wrong),
            ),
        ),
        cluster(
            "11", "name-without-san",
            "The connection is there: all five stations are well. Who refuses, and what does it compare?",
            "Print `lab.certificate.names` and `lab.calls`, letter by letter.",
            "Either the program calls a name that is there, `lab.calls = \"…\"`, or the certificate gets the name: "
            "`lab.certificate = lab.cluster.authority.issue([…])`.",
        ),
        cluster(
            "12", "no-masquerade",
            "What stays within the cluster is well. What is different about a packet that leaves it?",
            "Which source does the packet have outside? `print(lab.connect(\"client\", \"203.0.113.10\", 443))`; and "
            "who there knows a way back to it?",
            "What leaves the Pod range needs the node's address: MASQUERADE in nat POSTROUTING, for `-s "
            "10.244.0.0/16 ! -d 10.244.0.0/16`.",
            faults=(Fault("Now the source is changed between Pods, too: they should see each other's own address.",
                          lambda sent: others_wrong(sent) and "its source" in "".join(sent[-1].wrong)),),
        ),
        cluster(
            "13", "dead-but-listed",
            "Some, not all: where in the path does chance decide, and between what?",
            "Call each endpoint itself, by its own address and port 6443. Which one does not answer, and is it listed?",
            "Take it out of the list, with `kubectl patch endpoints kubernetes`, or see to it that it "
            "runs: `lab.cluster.api_servers[\"…\"].start()`; give kube-proxy some seconds.",
            faults=(Fault("None of worker1's connections is translated any more: there the way to the Service's rules "
                          "is gone.", lambda sent: untranslated(sent[:2])),),
        ),
        cluster(
            "14", "forward-drop",
            "Object, endpoints and nat rules are well. How far does the packet come?",
            "`iptables -S FORWARD` on worker1: which rule accepts the packet, and what if none does?",
            "Accept what comes from and goes to the Pods, 10.244.0.0/16, in FORWARD; or give the chain its policy "
            "back.",
            faults=(
                FLUSHED,
                Fault("Your rule wants 10.96.0.1, and FORWARD reads the packet after DNAT: there it is for "
                      "10.106.175.128, port 6443.",
                      lambda sent: silent(sent) and missed("filter", "-d 10.96.0.1", sent)),
            ),
        ),
        cluster(
            "15", "bridge",
            "The Pod's own address is answered, and the Service is not; the rules translate. What about the answer?",
            "By which way does it come home? Both Pods are ports of cni0: `ip link` on worker1. Capture on client's "
            "eth0.",
            "Let the answer pass the node: masquerade what stays in 10.244.1.0/24, or give the Pods /32 addresses and "
            "routes; on a kernel with br_netfilter, net.bridge.bridge-nf-call-iptables=1.",
        ),
        cluster(
            "16", "affinity-to-the-dead",
            "One client fails each time, another never. What does the node remember of a client?",
            f"`iptables -t nat -S {KUBERNETES}` has a list for each endpoint (unit 08). Which server would this client "
            "get, and does it live?",
            "As long as the dead one is listed, no setting of affinity helps all: take it out of the Endpoints, or "
            "start it again, and give kube-proxy some seconds.",
            faults=(Fault("Affinity is off, and now every client loses some of its connections: the dead server is "
                          "still listed.", lambda sent: bool(sent[0].wrong) and any(
                              step.kind == "NAT" and step.chain.startswith("KUBE-SEP-") and "recent" not in step.rule
                              for step in sent[0].trace.steps)),),
        ),
    ),
)

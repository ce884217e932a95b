"""03 Wire two Pods and a node."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from k8slab.course.exercise import Exercise, Fault, commands, mended
from k8slab.course.probe import Probe, Sent
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import API, ROUTED, two_faults, two_pods
from k8slab.lab import Lab

PORT = 8080
RED, BLUE, GREEN = (f"10.244.{address}:{PORT}" for address in ("1.2", "1.3", "0.4"))


def asks(pod: str, name: str, address: str) -> Probe:
    """A connection from a Pod that is to be answered by the address that it asks."""
    return Probe(f"a connection from {pod} to {name}, {address}", pod, {"comes back": f"an answer from {address}"},
                 to=address)


PAIRS = (asks("red", "blue", BLUE), asks("blue", "red", RED), asks("red", "the API server", API),
         asks("blue", "the API server", API))
THIRD = (asks("green", "blue", BLUE), asks("blue", "green", GREEN), asks("green", "the API server", API),
         asks("red", "blue", BLUE))


def third(lab: Lab, answer: object) -> Sequence[Probe]:
    """The answer is a text of commands, run on k8smaster, after which a program listens in the Pod green."""
    probes = commands("k8smaster", *THIRD)(lab, answer)
    lab.serve("green", PORT)
    return probes


def _lost(words: str, *numbers: int) -> Callable[[Sequence[Sent]], bool]:
    """One of these probes went wrong, and the reason holds these words."""
    return lambda sent: any(sent[at].wrong and words in sent[at].trace.reason for at in numbers)


NEIGHBOURS = Fault(
    "A route without `via`, or an address with `/24`, says that others are on the Pod's own cable: the Pod asks there, "
    "by ARP, for an address that nobody on it has.",
    _lost("answers the ARP question", 0, 2),
)

UNIT = Content(
    "03",
    "Wire two Pods and a node",
    warm_up=(("00", "env"), ("01", "reverse")),
    predictions=(
        Prediction(
            "fresh",
            "What is in a network namespace that has just been made?",
            ("lo, switched off", "eth0, without an address", "a copy of the node's interfaces"),
        ),
        Prediction(
            "bridged",
            "red asks the Service at 10.96.12.34:80, whose endpoint is blue, on the same bridge. From which address "
            "does the first answer come to red?",
            ("10.96.12.34:80", "10.244.1.3:8080", "none: nothing comes"),
        ),
        Prediction(
            "whose",
            "red asks blue again, each on a cable of its own now. For whose MAC address does red's ARP question ask?",
            ("10.244.1.1", "10.244.1.3"),
        ),
        Prediction(
            "edge",
            "red connects to 10.96.0.1:443, and no node has a rule for it. What does the program in red hear?",
            ("an answer", "an error, at once", "nothing, until it gives up"),
        ),
    ),
    exercises=(
        Exercise(
            "two-faults",
            "Pod red hears “Network is unreachable” from all but its gateway, and Pod blue hears nothing from "
            "anybody: mend both.",
            None,
            mended(*PAIRS),
            hints=(
                "Two symptoms, two causes. An error at once comes from the Pod's own routes; silence comes from "
                "somewhere on the way, there or back.",
                "`ip netns exec red ip route` against the same of blue: which line has red not?",
                "Where does worker1 send a packet for blue? `ip route get 10.244.1.3` says it.",
            ),
            solution='broken.run("worker1", "ip -n red route add default via 10.244.1.1")\n'
            'broken.run("worker1", "ip route add 10.244.1.3 dev veth-blue")',
            why="red had no default route, so that no packet was made. blue's packets left, and the answers came as "
            "far as worker1, which had no route to blue and sent them where it sends all that it does not know: to the "
            "router, which drops them.",
            faults=(
                NEIGHBOURS,
                Fault(
                    "red gets out now. What worker1 has for blue does not come to blue yet.",
                    lambda sent: _lost("blackhole", 3)(sent) and not sent[2].wrong,
                ),
                Fault(
                    "blue is reached now. red has no way out yet.",
                    lambda sent: bool(sent[2].wrong) and not sent[3].wrong,
                ),
            ),
            make=two_faults,
        ),
        Exercise(
            "third",
            "Wire a third Pod, on the other node: a namespace called green on k8smaster, with the address 10.244.0.4. "
            "It reaches blue and the API server, and blue reaches it.",
            "",
            third,
            hints=(
                "What did red need? A namespace, a cable with two ends, both switched on, an address.",
                "Two sides need routes: green for everything else, k8smaster for green.",
                "The gateway is an address of the node's end, 10.244.0.1 on this node. `ip -n green route add default "
                "via 10.244.0.1` is taken once green knows where that is: `ip -n green route add 10.244.0.1 dev eth0`.",
            ),
            solution=ROUTED.format(pod="green", n=4).replace("10.244.1.", "10.244.0."),
            why="The recipe that wired red and blue, with this node's range. worker1 needs nothing new: it had a route "
            "to the whole range of k8smaster, as each node has to each other.",
            faults=(
                NEIGHBOURS,
                Fault(
                    "green has no way out: its own routes lead nowhere but along its cable.",
                    _lost("green: no packet is made", 0, 2),
                ),
                Fault(
                    "green's packets get out, and the answers do not come back: k8smaster does not know that "
                    "10.244.0.4 is behind its end of the cable, and sends what is for green to the router.",
                    _lost("blackhole", 0, 2),
                ),
            ),
            make=two_pods,
        ),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "cable",
                "On the node, somebody deletes veth-red. What is left of the cable?",
                "Nothing: the Pod's eth0 is gone, too.",
                {
                    "The Pod's eth0, without a link.": "A veth pair is one thing with two ends: neither can be without "
                    "the other.",
                    "Nothing: the Pod's eth0 is gone, too.": "And when the namespace is deleted, its end goes, and the "
                    "node's with it.",
                    "Nothing, and the namespace is gone with it.": "The namespace stays, with lo alone.",
                },
            ),
            Question(
                "same-bridge",
                "Two Pods on one bridge, br_netfilter off: a connection through a ClusterIP fails. Why?",
                "The answer does not come by the node's hooks.",
                {
                    "A bridge does not carry packets for a ClusterIP.": "The request goes to the gateway's MAC "
                    "address: the bridge hands it to the node, which translates and routes it.",
                    "The answer does not come by the node's hooks.": "It goes from port to port by MAC addresses, so "
                    "that conntrack cannot put the source back, and the caller refuses it.",
                    "DNAT cannot lead to the interface that a packet came by.": "It can, and the request did arrive.",
                },
            ),
            Question(
                "frame",
                "Pods are wired as red and blue were in the end. To whose MAC address does red send a packet for a "
                "Pod on another node?",
                "To that of veth-red, its node's end of the cable.",
                {
                    "To that of the other Pod.": "It is on another link; a MAC address matters on one link only.",
                    "To that of the other node.": "red does not even know that there are nodes.",
                    "To that of veth-red, its node's end of the cable.": "It is the only neighbour that red has, and "
                    "every packet of red's goes there.",
                },
            ),
            Question(
                "silence",
                "A program that connects to 10.96.0.1:443 waits until it gives up. What can you rule out?",
                "That its Pod has no default route.",
                {
                    "That kube-proxy's rules are missing.": "That is the first suspect: untranslated, the packet goes "
                    "to the router, and most drop it.",
                    "That its Pod has no default route.": "That would be told at once: Network is unreachable.",
                    "That a firewall stands before the API server.": "Translated, the packet would go there, and many "
                    "firewalls drop in silence.",
                },
            ),
        ),
    ),
)

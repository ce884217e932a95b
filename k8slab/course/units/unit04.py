"""04 Write one DNAT rule."""

from __future__ import annotations

from collections.abc import Sequence

from k8slab.course.exercise import Exercise, Fault, commands, in_order, mended
from k8slab.course.probe import Probe, Sent
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import API, TRANSLATE, earlier_rule, no_rules

HOME = {"destination": API, "comes back": "an answer from 10.96.0.1:443"}
POD = Probe("a connection from the Pod client to 10.96.0.1:443", "client", HOME, to="10.96.0.1:443")
OTHER_POD = Probe("a connection from the Pod web to 10.96.0.1:443", "web", HOME, to="10.96.0.1:443")
NODE = Probe("a connection from a program on worker1 itself to 10.96.0.1:443", "worker1", HOME, to="10.96.0.1:443")
NODE_AGAIN = Probe("another connection from worker1 itself to 10.96.0.1:443", "worker1", HOME, to="10.96.0.1:443")
OTHER_PORT = Probe(
    "a connection from the Pod client to 10.96.0.1:80, which is no Service's",
    "client",
    {"destination": "10.96.0.1:80"},
    to="10.96.0.1:80",
)
UDP = Probe(
    "a UDP packet from the Pod client to 10.96.0.1:443",
    "client",
    {"destination": "10.96.0.1:443"},
    to="10.96.0.1:443",
    proto="udp",
)
NEIGHBOUR = Probe(
    "a connection from the Pod client to the Pod web, 10.244.1.7:8080",
    "client",
    {"destination": "10.244.1.7:8080", "comes back": "an answer from 10.244.1.7:8080"},
    to="10.244.1.7:8080",
)

FIRST = """# on worker1; replace the blanks
iptables -t ____ -A PREROUTING -d ____ -p tcp --dport ____ -j DNAT --to-destination ____"""

ORDER = {
    "-t nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j SVC": "on to the chain of the Service",
    "-t nat -A PREROUTING -s 10.244.1.7 -j RETURN": "leave the Pod web alone",
    "-t nat -A SVC -p tcp -j DNAT --to-destination 10.106.175.128:6443": "the translation",
    "-t nat -N SVC": "make the chain",
}


def _no_hook(number: int) -> Fault:
    return Fault(
        "A program's own packets on a node do not come by PREROUTING: there they are not coming in. They "
        "come by OUTPUT.",
        lambda sent: sent[number].trace.sent.dst == "10.96.0.1" and bool(sent[number].wrong) and not sent[0].wrong,
    )


def _nobody(sent: Sequence[Sent]) -> bool:
    """No packet met a DNAT rule, be it to be passed over."""
    return not any(
        step.kind == "NAT" or any("DNAT" in over.rule for over in step.passed)
        for one in sent
        for step in one.trace.steps
    )


TOO_WIDE = Fault(
    "The rule takes more packets than it should: narrow it by protocol and port.",
    lambda sent: any(
        step.kind == "NAT" and step.leg == 1
        for one in sent
        if one.probe in (OTHER_PORT, UDP, NEIGHBOUR)
        for step in one.trace.steps
    ),
)
NO_PORT = Fault(
    "The packet goes to the right machine and to its port 443, where nobody listens: DNAT keeps the port "
    "unless `--to-destination` names one.",
    lambda sent: any(
        step.kind == "NAT" and step.leg == 1 and step.after.destination == "10.106.175.128:443"
        for one in sent
        for step in one.trace.steps
    ),
)
NOT_HERE = Fault(
    "No packet was translated at all. Which rules do packets from a Pod meet on worker1, and in which table?", _nobody
)

UNIT = Content(
    "04",
    "Write one DNAT rule",
    warm_up=(("01", "where"), ("01", "ping")),
    predictions=(
        Prediction("missing", "At which of these hooks has the table nat no chain?", ("INPUT", "FORWARD", "OUTPUT")),
        Prediction(
            "own",
            "The rule stands in PREROUTING of worker1. Does it translate the packets of a program on worker1 itself?",
            ("yes", "no"),
        ),
    ),
    exercises=(
        Exercise(
            "first",
            "Fill in the blanks so that the Pods of worker1 reach the API server at 10.96.0.1:443.",
            FIRST,
            commands("worker1", POD, OTHER_POD, OTHER_PORT),
            hints=(
                "The table that may change addresses is the one that unit 01 named.",
                "`-d` and `--dport` say what the packet has now; `--to-destination` what it gets.",
                "The API server listens at 10.106.175.128:6443.",
            ),
            solution=f"iptables -t nat -A PREROUTING {TRANSLATE}",
            why="The tests are read against the packet as it came; the target gives it a new destination, address "
            "and port.",
            faults=(NO_PORT, TOO_WIDE, NOT_HERE),
            make=no_rules,
        ),
        Exercise(
            "six",
            "Write the rules for worker1: Pods and the node's own programs reach the API server at "
            "10.96.0.1:443. "
            "Of six packets, two must stay as they are.",
            "",
            commands("worker1", POD, OTHER_POD, NODE, NODE_AGAIN, OTHER_PORT, UDP),
            hints=(
                "How many ways lead a packet into the stack of a node, and which hook is on each?",
                "One rule in PREROUTING and the same in OUTPUT.",
                "A test for the port needs the protocol before it: `-p tcp --dport 443`.",
            ),
            solution=f"iptables -t nat -A PREROUTING {TRANSLATE}\niptables -t nat -A OUTPUT {TRANSLATE}",
            why="A packet from a Pod comes in by PREROUTING, one of the node's own begins at OUTPUT; nat reads no "
            "packet at both. kube-proxy puts "
            "the jump to KUBE-SERVICES into both for the same reason.",
            faults=(
                NO_PORT,
                TOO_WIDE,
                _no_hook(2),
                Fault(
                    "The node's own packets are translated and those of the Pods are not: where do packets "
                    "from a Pod come in?",
                    lambda sent: bool(sent[0].wrong) and not sent[2].wrong,
                ),
                NOT_HERE,
            ),
            make=no_rules,
        ),
        Exercise(
            "order",
            "Put four commands into an order in which they can be run, so that every Pod but web reaches the Service.",
            list(ORDER),
            in_order(
                "worker1",
                tuple(ORDER),
                POD,
                Probe(
                    "a connection from the Pod web to 10.96.0.1:443",
                    "web",
                    {"destination": "10.96.0.1:443"},
                    to="10.96.0.1:443",
                ),
                NEIGHBOUR,
            ),
            hints=(
                "A chain must be there before a rule leads to it.",
                "Rules of a chain are read from the first to the last, and the first that ends the walk wins.",
                "So the rule that leaves web alone stands before the one that leads to SVC.",
            ),
            solution=[
                "-t nat -N SVC",
                "-t nat -A PREROUTING -s 10.244.1.7 -j RETURN",
                "-t nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j SVC",
                "-t nat -A SVC -p tcp -j DNAT --to-destination 10.106.175.128:6443",
            ],
            why="RETURN in a built-in chain ends the walk with its policy, ACCEPT: the packet stays as it is. The "
            "chain SVC may be filled "
            "at any time after it was made: four orders are right.",
            faults=(
                Fault(
                    "The Pod web is translated, too: the rule that should leave it alone is read after the one "
                    "that leads to SVC.",
                    lambda sent: bool(sent[1].wrong),
                ),
            ),
            make=no_rules,
            items=tuple(ORDER),
        ),
        Exercise(
            "mend",
            "The Pods of worker1 time out at 10.96.0.1:443, and the rule is there. Find out why, and mend it.",
            None,
            mended(POD, OTHER_POD, NEIGHBOUR),
            hints=(
                "Walk the packet: which rule of nat did it meet first, and what did that do?",
                "ACCEPT in nat does not mean translated: it ends the walk through this hook's chain, and the "
                "destination stays as it is.",
                "`iptables -t nat -L PREROUTING --line-numbers` or `-S` shows the rules in order; `-D CHAIN "
                "NUMBER` deletes one.",
            ),
            solution='broken.run("worker1", "iptables -t nat -D PREROUTING 1")',
            why="A rule before it accepts all of 10.96.0.0/16, so the DNAT rule is never read. To delete the first, "
            "or to insert the DNAT "
            "rule before it with `-I`, mends it equally.",
            faults=(
                Fault(
                    "The packets are translated now, and too many of them: the Pod web is not reached any more.",
                    lambda sent: bool(sent[2].wrong),
                ),
                Fault(
                    "The packet still meets ACCEPT before it comes to a DNAT rule: a rule that is appended "
                    "goes to the end.",
                    lambda sent: any(
                        step.table == "nat" and step.rule.endswith("-j ACCEPT") for step in sent[0].trace.steps
                    ),
                ),
            ),
            make=earlier_rule,
        ),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "own-hook",
                "By which hook does a packet of a program on the node itself come to the table nat first?",
                "OUTPUT",
                {
                    "PREROUTING": "That hook is for packets that come in by an interface.",
                    "OUTPUT": "And after its rules the route is looked up once more, for the new destination.",
                    "FORWARD": "FORWARD is for packets that come from one host or Pod and go to another, and nat has "
                               "no "
                    "chain there.",
                },
            ),
            Question(
                "accept",
                "A packet meets `-j ACCEPT` in a chain of nat. What happens?",
                "It leaves this hook's chain with its destination as it was.",
                {
                    "It leaves this hook's chain with its destination as it was.": "The walk ends, and later rules "
                                                                                   "of the "
                    "chain are not read. nat at POSTROUTING "
                    "may still change the source.",
                    "It is delivered at once.": "ACCEPT ends only the walk through this table at this hook; others "
                                                "follow.",
                    "It goes on to the next rule.": "ACCEPT and DNAT end the walk here; a target such as MARK lets "
                                                    "it go on.",
                },
            ),
            Question(
                "port",
                "`-j DNAT --to-destination 10.106.175.128` without a port: to which port does 10.96.0.1:443 go?",
                "443",
                {
                    "443": "An address alone changes the address alone. The API server listens on 6443, so the "
                           "answer is a "
                    "RST.",
                    "6443": "iptables knows nothing of the API server's port.",
                    "The rule is refused.": "It is a good rule: it keeps the port.",
                },
            ),
            Question(
                "filter-first",
                "Which destination does a rule in filter FORWARD read in a packet to the Service?",
                "10.106.175.128:6443",
                {
                    "10.96.0.1:443": "PREROUTING comes before FORWARD, and DNAT has been done there.",
                    "10.106.175.128:6443": "So a NetworkPolicy, which most plugins on iptables enforce after DNAT, "
                                           "must name "
                    "the endpoints.",
                    "Either, as chance has it.": "The order of the hooks is fixed.",
                },
            ),
        ),
    ),
)

"""10 Write your own kube-proxy."""

from __future__ import annotations

from collections.abc import Callable

from k8slab.course.exercise import Attempt, Exercise, Fault
from k8slab.course.functions import called
from k8slab.course.outcome import NOT_YET, Unfit
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.unit import Content
from k8slab.course.units.labs import MASTERS
from k8slab.course.units.owncheck import moved_on, nodes, tried
from k8slab.course.units.ownclusters import busy, changed
from k8slab.course.units.ownparts import PARTS
from k8slab.course.units.ownproxy import guarded, restored, written
from k8slab.course.units.unit08 import equal, shares

ASKS = {
    "chain": "Fill the blank in `chain(prefix, text)`: how many characters of the hash are kept?",
    "endpoint_rules": "Fill the blank in `endpoint_rules(name, protocol, end)`: what does the second rule do with a "
    "packet? `end` is `address:port`.",
    "balance_rules": "Fill the blank in `balance_rules(name, protocol, ends)`: with which probability does the rule of "
    "endpoint number `at` match? The first has number 0.",
    "served": "Write `served(service)`: True for a Service that has a ClusterIP to write rules for, False for one that "
    "has none.",
    "endpoints": "Write `endpoints(service, port, slices)`: the endpoints of one port of a Service that may get "
    "connections, each `address:port`, in the order of kube-proxy.",
    "kube_proxy": "Write the middle of `kube_proxy(objects)`: what one port of a Service adds to `chains` and `rules`, "
    "or to `refused` where it has no endpoints.",
    "sync": "Write `sync(objects, there)`: the text of `kube_proxy(objects)`, which also deletes those of the chains "
    "`there` that nobody has any more.",
}
HINTS = {
    "chain": (
        "Look at `KUBE-SVC-NPX46M4PTMTKRN6Y`: what comes after the prefix?",
        "Base32 of 32 bytes has 56 characters; iptables allows 28 for a name, and the prefix has nine.",
        "`[:16]`",
    ),
    "endpoint_rules": (
        "The endpoint's own chain is where the destination changes. Which target does that (unit 04)?",
        "`-j DNAT` wants to be told where to; address and port are in `end`.",
        "`-j DNAT --to-destination {end}`, inside the text.",
    ),
    "balance_rules": (
        "How many endpoints are left when the rule of number `at` is read?",
        "The first of those that are left takes its share: one of `len(ends) - at`.",
        "`{1 / (len(ends) - at):.10f}`",
    ),
    "served": (
        "What do `clusterIP` of a headless Service, and of one of type ExternalName, hold?",
        'The word "None" in the first, and nothing in the second: `.get("clusterIP")` gives None where a field is '
        "missing.",
        '`return service["spec"].get("clusterIP") not in (None, "", "None")`',
    ),
    "endpoints": (
        "Which slices are the Service's? Their label `kubernetes.io/service-name`, their namespace and their "
        "`addressType` say so.",
        "In each slice, the port with the same name (it may have none) has the number. Leave out endpoints whose "
        "`conditions` say `ready: false`, and only those.",
        "Collect `f\"{end['addresses'][0]}:{own['port']}\"` in a set, for each `own` of `one[\"ports\"]` that has the "
        "port's name, and give `sorted(...)` of it.",
    ),
    "kube_proxy": (
        "Two cases: `if ends:`, and else. In which of them is there a chain?",
        "With endpoints: the names of the Service's chain and of each endpoint's chain into `chains`; `way_in`, "
        "`balance_rules` and, for each end, `endpoint_rules` into `rules`.",
        "Without: `refused.append(...)` of the one rule that you have seen, with `name`, `protocol`, `address` and "
        "`number` in it and `-j REJECT` at the end.",
    ),
    "sync": (
        "Which names in `there` are not in the new text at all?",
        "For each of them a line `:NAME - [0:0]`, then for each a line `-X NAME`, before the last COMMIT.",
        '`text.removesuffix("COMMIT\\n")` takes the last line away; put the lines and `COMMIT\\n` after it.',
    ),
}
WHY = {
    "chain": "Sixteen characters of five bits are 80 bits of the hash. With the prefix the name has 25 characters, and "
    "fits.",
    "endpoint_rules": "The first rule is for an endpoint that calls itself (unit 07), the second for everybody. `-m "
    "tcp` adds nothing to `-p tcp` here; kube-proxy writes it, and so do we.",
    "balance_rules": "Each rule is read only by what the rules before it have left, so each takes one part of what is "
    "left: 1/n, 1/(n-1), and the last takes all.",
    "served": "A headless Service is for DNS alone, and ExternalName is a name for a name. What the type is called "
    "does not matter: NodePort and LoadBalancer have a ClusterIP, too.",
    "endpoints": "A label joins slice and Service, a name joins their ports, and the order is that of texts. "
    "kube-proxy asks more: look for `CategorizeEndpoints` in pkg/proxy/topology.go.",
    "kube_proxy": "That is the loop in `syncProxyRules`. A port with endpoints gets chains and a way in; a port "
    "without gets the refusal, and nothing in nat.",
    "sync": "First every chain that goes is emptied, then each is deleted: as long as a rule leads to a chain, "
    "iptables does not delete it, and the whole text is refused.",
}


def fair(part: Callable) -> None:
    """Raise Unfit unless three API servers get equal shares over every way that chance can fall."""

    def change(named: dict, _: list) -> None:
        named["EndpointSlice kubernetes"]["endpoints"] = [{"addresses": [one]} for one in MASTERS]

    text = written("balance_rules", part, changed("01-kubernetes", change))
    found = shares(str(restored(text).normal()))
    first, second = (abs(float(found.get(one, 0)) - 1 / 3) for one in MASTERS[:2])
    equal(
        found,
        MASTERS,
        "The first rule is read by all: which part of them is the first server's?" if first > 0.01
        else "The second rule is read only by what the first has left: what is a third of all to it?" if second > 0.01
        else "kube-proxy writes ten digits, and `.10f` is what makes them.",
    )


def only_ready(part: Callable) -> None:
    """Raise Unfit when a connection can go to an API server that is not ready; every way of chance is walked."""

    def change(named: dict, _: list) -> None:
        named["EndpointSlice kubernetes"]["endpoints"] = [
            {"addresses": [one], "conditions": {"ready": one == MASTERS[0]}} for one in MASTERS]

    found = shares(str(restored(written("endpoints", part, changed("01-kubernetes", change))).normal()))
    lost = [one for one in MASTERS[1:] if one in found]
    if lost:
        raise Unfit(NOT_YET, f"Of all connections to 10.96.0.1, {float(found[lost[0]]):.3f} go to {lost[0]}, which is "
                             "not ready.", "Look at `conditions` of an endpoint.")


def without_address(part: Callable) -> None:
    """Raise Unfit where the part wants rules for a Service of type ExternalName, which nobody can write."""
    outside = next(one for one in busy() if one.get("spec", {}).get("type") == "ExternalName")
    if called(guarded("served", part), outside, name="served"):
        raise Unfit(NOT_YET, "`served` gives True for the Service shop/outside of type ExternalName.",
                    "It has no field `clusterIP`, and so nothing that a rule could say.")


def _exercise(key: str, name: str, attempt: Attempt, faults: tuple[Fault, ...] = ()) -> Exercise:
    part = PARTS[name]
    return Exercise(key, ASKS[name], part.blank, attempt, HINTS[name], part.solution, WHY[name], faults, nodes)


def _part(key: str, name: str, *faults: Fault, first: Callable[[Callable], None] | None = None) -> Exercise:
    return _exercise(key, name, tried(name, ASKS[name], faults, first), faults)


UNIT = Content(
    "10",
    "Write your own kube-proxy",
    warm_up=(("09", "same"), ("06", "two-ports")),
    predictions=(
        Prediction(
            "read-first",
            "A Service has the endpoints 10.244.1.7, .3, .11, .5 and .20, in this order in its slice. The rule of "
            "which one does kube-proxy write first?",
            ("10.244.1.3:8080", "10.244.1.7:8080", "10.244.1.11:8080"),
        ),
        Prediction(
            "nobody-there",
            "A Service has no endpoints. What does a client get that connects to its ClusterIP?",
            ("nothing, until it times out", "a refusal from its own node", "an answer from another Service"),
        ),
        Prediction(
            "first-goes",
            "The endpoint whose rule is the first of five goes. How many of the other four balancing rules change?",
            ("0", "1", "4"),
        ),
    ),
    exercises=(
        _part("digest", "chain"),
        _part(
            "endpoint",
            "endpoint_rules",
            Fault(
                "DNAT that is told an address alone leaves the port as it was.",
                lambda sent: any("was 10.106.175.128:443," in line for line in sent[0].wrong),
            ),
        ),
        _part("balance", "balance_rules", first=fair),
        _part(
            "headless",
            "served",
            Fault(
                "A Service of type NodePort has a ClusterIP as well, and its rules are missing.",
                lambda sent: not sent[0].wrong and bool(sent[2].wrong),
            ),
            first=without_address,
        ),
        _part(
            "ready",
            "endpoints",
            first=only_ready,
        ),
        _part(
            "whole",
            "kube_proxy",
            Fault(
                "DROP says nothing to the client, which waits and tries again until its time is up.",
                lambda sent: sent[4].trace.steps[-1].kind == "DROP" and "-j DROP" in sent[4].trace.steps[-1].rule,
            ),
            Fault(
                "Where nobody is behind a Service, nothing refuses: the packet leaves the node untranslated, and is "
                "lost.",
                lambda sent: [bool(one.wrong) for one in sent] == [False] * 4 + [True],
            ),
        ),
        _exercise("leftover", "sync", moved_on(ASKS["sync"])),
    ),
    quiz=Quiz(
        "Four questions",
        (
            Question(
                "why-two",
                "A chain is deleted in two lines, `:NAME - [0:0]` and `-X NAME`. Why is the first one needed?",
                "A chain must be empty, and no rule may lead to it.",
                {
                    "It makes the chain, in case that it is not there.": "It would, but then nothing needs deleting.",
                    "A chain must be empty, and no rule may lead to it.": "The line empties it, and so takes away the "
                    "rules that led to other chains that go.",
                    "It sets its counters to 0.": "It does, and nobody reads them any more.",
                },
            ),
            Question(
                "other-chains",
                "On the node, another program has chains of its own in nat. What does kube-proxy's text do to them?",
                "Nothing: it names only its own.",
                {
                    "It deletes them, since no Service has them.": "Only chains with its own five prefixes go.",
                    "Nothing: it names only its own.": "With --noflush, what is not named stays as it is.",
                    "It empties them.": "Without --noflush it would: the whole table would go.",
                },
            ),
            Question(
                "not-ready",
                "A Pod behind a Service fails its readiness probe. Who takes its rule away?",
                "kube-proxy, when the EndpointSlice says that it is not ready",
                {
                    "kubelet, which makes the probe": "kubelet writes the Pod's status, and no rules for Services.",
                    "kube-proxy, when the EndpointSlice says that it is not ready": "kubelet reports, the controller "
                    "writes the slice, and each kube-proxy writes its rules anew.",
                    "nobody, until the Pod is deleted": "It stays in the slice, as not ready; kube-proxy leaves it "
                    "out.",
                },
            ),
            Question(
                "one-of-thousand",
                "One endpoint of one Service of 5,000 changes. What does the real kube-proxy, version 1.36, write?",
                "The chains of that Service, and what stands in the top-level chains for all",
                {
                    "Everything": "So it was by default up to 1.26, and so does yours. It still does at the first "
                    "sync, after a failure or when somebody has flushed its chains, and, in a cluster of at most "
                    "1,000 endpoints, once an hour.",
                    "The chains of that Service, and what stands in the top-level chains for all": "The top-level "
                    "chains have a rule for each port of each Service, and are written at each sync.",
                    "One rule, by iptables -R": "It never changes a rule in place: a chain is emptied and filled, in "
                    "one transaction.",
                },
            ),
        ),
    ),
)

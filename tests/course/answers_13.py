"""Answers to the tasks of unit 13, for a small cluster with two faults that are known."""

from __future__ import annotations

from k8slab.course.capstone import capstone
from k8slab.course.capstone.mending import commands
from k8slab.kubeproxy import Config, Proxier, pod_cidr
from tests.course.answers_form import Answers

CLUSTER = capstone("each 5", services=12, kinds=("stale-endpoint", "no-hairpin"))
FIRST, SECOND = (fault.place for fault in CLUSTER.faults)
SVC, OLD = "KUBE-SVC-NPX46M4PTMTKRN6Y", FIRST.sep(f"{FIRST.stranger}:{FIRST.chosen.partition(':')[2]}")
OWN, MARK = SECOND.sep(SECOND.own), "KUBE-MARK-MASQ"
TO, ITSELF, TO_SECOND = f"{FIRST.ip}:443", SECOND.own.partition(":")[0], f"{SECOND.ip}:{SECOND.port}"
MENDS = commands(CLUSTER.ruleset, CLUSTER.true)
ANEW = Proxier(Config(CLUSTER.drawn.node, pod_cidr(CLUSTER.drawn.pod_range))).sync(CLUSTER.drawn.objects).text

ANSWERS = {
    ("13", "places"): Answers(
        right=(
            CLUSTER.claim([("default/kubernetes", SVC), (SECOND.service, OWN)]),
            CLUSTER.claim(((SECOND.name, f"-A {OWN} -s {ITSELF} … -j {MARK}"), (FIRST.ip, f"nat {OLD} rule 2"))),
            CLUSTER.claim(((SECOND.name, f"-t nat -I {OWN} 1"), (FIRST.ip, f"iptables -tnat -S {OLD}"))),
            CLUSTER.claim([["kubernetes", FIRST.sep(FIRST.chosen)], [TO_SECOND, OWN]]),
        ),
        others=(
            (CLUSTER.claim([("kubernetes", "KUBE-SERVICES"), (SECOND.service, OWN)]), "but not in KUBE-SERVICES"),
            (CLUSTER.claim([("default/kubernetes", SVC), ("kube-system/kube-dns", OWN)]), "does no harm to"),
            (CLUSTER.claim([("kube-system/kube-dns", "FORWARD"), ("____", "____")]), "neither is anything wrong"),
            (CLUSTER.claim([("default/kubernetes", SVC), ("default/kubernetes", OLD)]), "named already"),
            (CLUSTER.claim([("default/kubernetes", SVC), (SECOND.service, "____")]), "still a blank"),
            (CLUSTER.claim([("default/kubernetes", "the last rule"), ("shop", OWN)]), "names no chain of this node"),
            (CLUSTER.claim([("default/kubernetes", SVC)]), "Two pairs of texts"),
            (CLUSTER.claim([("kubernetes", SVC), (SECOND.service, f"-A {OWN} -p tcp -j DNAT")]),
             "is not what does harm"),
            (CLUSTER.claim([("kubernetes", SVC), (SECOND.service, f"{OWN} rule 2")]), "is not what does harm"),
            (CLUSTER.claim([("kubernetes", f"{SVC} {OLD}"), (SECOND.service, OWN)]), "are 2 chains"),
            (CLUSTER.claim([("kubernetes", f"filter {SVC}"), (SECOND.service, OWN)]), "SVC-NPX46M4PTMTKRN6Y of filter"),
            (CLUSTER.prove([("pod", TO), (ITSELF, TO_SECOND)]), "cluster.claim(places)"),
        ),
    ),
    ("13", "proofs"): Answers(
        right=(
            CLUSTER.prove([("pod", TO), (ITSELF, TO_SECOND)]),
            CLUSTER.prove([(ITSELF, f"tcp {TO_SECOND}"), ("node", f" {TO} ")]),
        ),
        others=(
            (CLUSTER.prove([("pod", TO), ("outside", TO)]), "Both packets show the same fault"),
            (CLUSTER.prove([("pod", TO), ("pod", TO_SECOND)]), "with either fault mended it fares the same"),
            (CLUSTER.prove([("pod", FIRST.ip), ("me", TO_SECOND)]), "an address and a port are wanted"),
            (CLUSTER.prove([("pod", TO), ("127.0.0.1", TO_SECOND)]), "or the address of a Pod (those of this node"),
            (CLUSTER.prove([("pod", TO), ("pod", "____")]), "still a blank"),
            (CLUSTER.prove("pod"), "Two pairs of texts"),
        ),
    ),
    ("13", "mended"): Answers(
        right=(CLUSTER.mend("\n".join(MENDS)), CLUSTER.mend(ANEW)),
        others=(
            (CLUSTER.mend("\n".join(line for line in MENDS if OWN in line)), "goes on to"),
            (CLUSTER.mend("iptables -t nat -F KUBE-SERVICES"), "packets go where the objects say"),
            (CLUSTER.mend(f"iptables -I FORWARD -d {SECOND.own.partition(':')[0]} -j DROP"), "-j DROP"),
            (CLUSTER.mend("iptables -t nat -D KUBE-SERVICES 1000"), "The node refuses command 1"),
            (CLUSTER.mend("rm -rf /"), "a command of iptables is wanted"),
            (CLUSTER.mend("*nat\n-A NONE -j ACCEPT\nCOMMIT"), "The node refuses"),
            (CLUSTER.mend(42), "A text of commands is wanted"),
        ),
    ),
}

# The cells as a learner changes them, wrong and then right; the cluster there is that of the seed 2026.
_WHOLE = capstone()
_PLACES = [(fault.place.service, fault.incident.chain.format_map(fault.place.words())) for fault in _WHOLE.faults]
_PROOFS = [("pod", f"{fault.place.ip}:{fault.place.port}") for fault in _WHOLE.faults]
_MENDS = commands(_WHOLE.ruleset, _WHOLE.true)
EDITS = {
    "places": (f"places = {[_PLACES[0], _PLACES[0]]}", f"places = {_PLACES}"),
    "proofs": (f"proofs = {[_PROOFS[0], _PROOFS[0]]}", f"proofs = {_PROOFS}"),
    "mended": (f"remedy = {_MENDS[0]!r}", f"remedy = {chr(10).join(_MENDS)!r}"),
}

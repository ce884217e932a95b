"""Each fault: it shows on the model as on the real kernel, its remedy mends it, and nothing gives it away."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from k8slab.course.catalogue import CONTENTS
from k8slab.course.causes import CAUSES
from k8slab.course.faults import FAULTS, do
from k8slab.course.incident import AT_ONCE, NEVER, Incident, Symptom
from k8slab.course.note import written
from k8slab.course.units.drills import DRILLS
from k8slab.course.units.unit11 import UNIT
from k8slab.lab import Lab
from k8slab.magic import on

FOLDER = Path(__file__).parents[2] / "notebooks"
API, WEB, THREE = "dial tcp 10.96.0.1:443: ", "dial tcp 10.96.12.34:80: ", "after 3 seconds"
REFUSED, NO_ROUTE, SILENCE = "connect: connection refused", "connect: no route to host", "i/o timeout"
# What the program says, and when.
SYMPTOMS = {
    "no-endpoints": (WEB + REFUSED, AT_ONCE),
    "target-port": (WEB + REFUSED, AT_ONCE),
    "rule-before": (API + NO_ROUTE, AT_ONCE),
    "no-masquerade": ("dial tcp 203.0.113.10:443: " + SILENCE, NEVER),
    "no-default-route": (API + "connect: network is unreachable", AT_ONCE),
    "stale-entry": ("lookup kubernetes.default.svc.cluster.local on 10.96.0.10:53: read udp "
                    "10.244.1.5:50053->10.96.0.10:53: " + SILENCE, NEVER),
    "name-without-san": (
        'Get "https://kubernetes.default.svc.cluster.local/version": tls: failed to verify certificate: x509: '
        "certificate is valid for k8smaster, kubernetes, kubernetes.default, kubernetes.default.svc, "
        "kubernetes.default.svc.cluster, kubernetes.svc.cluster.local, not kubernetes.default.svc.cluster.local",
        AT_ONCE),
    "forwarding-off": (API + SILENCE, NEVER),
    "ping": ("1 packets transmitted, 0 received, 100% packet loss, time …ms", NEVER),
    "dead-but-listed": ("some of 30 connections: " + API + REFUSED, AT_ONCE),
    "affinity-to-the-dead": ("each of 30 connections: " + API + REFUSED, AT_ONCE),
    "forward-drop": (API + SILENCE, NEVER),
    "policy-before-dnat": (API + SILENCE, NEVER),
    "rp-filter": (API + NO_ROUTE, THREE),
    "not-yet-synced": (API + SILENCE, NEVER),
    "bridge": (WEB + SILENCE, NEVER),
}
SLOW_ON_KERNEL = set(FAULTS) - {"rule-before", "no-default-route", "rp-filter", "bridge", "stale-entry"}


def shown_and_mended(name: str, dataplane: str) -> None:
    fault = FAULTS[name]
    with Incident(fault, dataplane) as lab:
        assert (lab.before.says, lab.before.delay, lab.before.works) == (*SYMPTOMS[name], False)
        for step in fault.mends:
            do(lab, step)
        assert lab.report().works == fault.broken and lab.touched
        assert [probe.send(lab).wrong for probe in fault.also] == [()] * len(fault.also)


@pytest.mark.parametrize("name", FAULTS)
def test_shows_and_is_mended_on_the_model(name: str) -> None:
    shown_and_mended(name, "model")


@pytest.mark.kernel
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW_ON_KERNEL)) for name in FAULTS])
def test_shows_the_same_and_is_mended_on_the_kernel(name: str) -> None:
    shown_and_mended(name, "kernel")


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "veth"), [("forwarding-off", "client"), ("rp-filter", "net1"), ("ping", "client")])
def test_the_command_of_the_last_station_says_the_same_on_both(name: str, veth: str) -> None:
    asks = f"ip route get 10.106.175.128 from 10.244.1.5 iif veth-{veth}"
    model, kernel = (on(Incident(FAULTS[name], plane), "worker1", asks) for plane in ("model", "kernel"))
    assert kernel.replace("Invalid cross-device link", "Invalid argument") == model     # the words of older kernels


def test_on_a_kernel_with_br_netfilter_its_switch_mends_the_bridge() -> None:
    """The model is a kernel without that module, and says so in the kernel's words."""
    with Incident(FAULTS["bridge"], "model") as lab, pytest.raises(Exception, match="cannot stat /proc/sys/net/bridge"):
        lab.run("worker1", "sysctl -w net.bridge.bridge-nf-call-iptables=1")


@pytest.mark.kernel
def test_the_switch_of_br_netfilter_is_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_DATAPLANE", "kernel")
    exercise = next(one for one in DRILLS.exercises if one.key == "cluster-15")
    with exercise.make() as lab:
        if "cannot stat" in lab.run("worker1", "sh -c 'sysctl net.bridge.bridge-nf-call-iptables 2>&1 || true'"):
            pytest.skip("this kernel has no br_netfilter loaded")
        lab.run("worker1", "sysctl -w net.bridge.bridge-nf-call-iptables=1")
        assert str(exercise.grade(lab)).startswith("Right")


def test_a_lab_that_never_failed_is_not_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    exercise = next(one for one in DRILLS.exercises if one.key == "cluster-8")
    with Lab("model") as whole, exercise.make() as lab, Incident(FAULTS["ping"], "model") as other:
        assert str(exercise.grade(whole)).startswith("Cannot check")
        assert str(exercise.grade(other)).startswith("Cannot check")
        monkeypatch.setattr(lab, "before", Symptom("answered", AT_ONCE, True))
        assert "does not show the fault" in str(exercise.grade(lab))


def test_a_reset_breaks_it_anew() -> None:
    with Incident(FAULTS["forwarding-off"], "model") as lab:
        do(lab, FAULTS["forwarding-off"].mends[0])
        assert lab.report().works
        lab.reset()
        assert not lab.report().works and not lab.touched and lab.done == []


def test_an_answer_from_another_address_is_none_to_the_program() -> None:
    with Incident(FAULTS["bridge"], "model") as lab:
        reply = lab.connect("client", "10.96.12.34", 80).reply
        assert (reply.source, reply.flags) == ("10.244.1.7:8080", "SA")
        assert lab.dial("client", "10.96.12.34", 80).endswith(SILENCE)


# What is written of them.


def clusters() -> dict[str, str]:
    """The key of each cluster, and its fault."""
    return {one.key: one.make().fault.name for content in (UNIT, DRILLS) for one in content.exercises}


def test_each_fault_is_one_cluster_and_has_a_cause_and_a_thread() -> None:
    assert sorted(clusters().values()) == sorted(FAULTS) == sorted(CAUSES) == sorted(SYMPTOMS)
    assert list(clusters()) == [f"cluster-{number}" for number in range(1, 1 + len(FAULTS))]
    assert all(re.fullmatch(r"https://github\.com/[\w-]+/[\w-]+/(issues|pull)/\d+", one.url) for one in CAUSES.values())


def test_nothing_that_a_learner_meets_tells_the_fault() -> None:
    drills, unit = ((FOLDER / name).read_text() for name in ("drills.ipynb", "11-mend-the-broken-clusters.ipynb"))
    names = [name for name in FAULTS if "-" in name]         # the others are words of the language
    told = [*names, *(one.thread for one in CAUSES.values()), *(one.url for one in CAUSES.values())]
    assert [word for word in told if word in drills] == []
    assert [cause.label for cause in CAUSES.values() if cause.label in drills] == []
    assert [word for word in told if word in unit] == []
    for content in (UNIT, DRILLS):
        for exercise in content.exercises:
            with exercise.make() as lab:
                shown = f"{exercise.asks} {lab!r} {exercise.grade(lab)}"
                assert not any(name in shown for name in names), shown


def test_the_drills_stand_each_for_itself() -> None:
    cells = json.loads((FOLDER / "drills.ipynb").read_text())["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    sections = re.split(r"(?m)^## Cluster (\d+)$", text.partition("## Afterwards")[0])[1:]
    assert sections[::2] == [one.key.removeprefix("cluster-") for one in DRILLS.exercises]
    for number, section in zip(sections[::2], sections[1::2]):
        key = f'"cluster-{number}"'
        assert next(line for line in section.splitlines() if " = " in line) == f"lab = drills.broken({key})"
        for words in ("lab.report()", "%kubectl get", f"drills.check({key}, lab)", f"drills.note({key}, lab"):
            assert words in section, (number, words)


def test_every_exercise_of_the_drills_has_hints_in_three_steps() -> None:
    assert all(len(one.hints) == 3 for one in DRILLS.exercises) and CONTENTS["drills"] is DRILLS


# The note.


def test_the_note_says_what_was_seen_and_done_and_leaves_the_rest_to_the_writer() -> None:
    from k8slab import course

    drills = course.drills()
    with drills.broken("cluster-8") as lab:
        assert "when the check says Right" in drills.note("cluster-8", lab).text
        lab.kubectl("get svc kubernetes")
        lab.run("worker1", "iptables -t nat -S KUBE-SERVICES")
        lab.run("worker1", "sysctl net.ipv4.ip_forward")
        lab.run("worker1", "sysctl -w net.ipv4.ip_forward=1")
        assert "when the check says Right" in drills.note("cluster-8", lab).text
        assert DRILLS.exercises[4].grade(lab).kind == "Right"
        note = drills.note("cluster-8", lab, prevent="Read it in monitoring.").text
    for words in ("Incident: cluster 8", "Symptom: " + API + SILENCE, "object: kubectl get svc kubernetes",
                  "endpoints: not looked at", "rules: worker1: iptables -t nat -S KUBE-SERVICES", "lines more",
                  "routes: worker1: sysctl net.ipv4.ip_forward", "net.ipv4.ip_forward = 0", "Cause: ____",
                  "Remedy:\n  worker1: sysctl -w net.ipv4.ip_forward=1", "Then: answered by 10.106.175.128:6443",
                  "How to prevent it: Read it in monitoring.", CAUSES["forwarding-off"].url):
        assert words in note, words


def test_the_note_of_one_in_which_nothing_was_broken() -> None:
    with Incident(FAULTS["ping"], "model") as lab:
        lab.nothing_is_broken()
        assert "Remedy:\n  lab.nothing_is_broken()" in written("7", lab)

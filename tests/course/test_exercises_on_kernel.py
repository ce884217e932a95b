"""Every exercise on the real kernel: untouched, its solution, and a mistake that was foreseen; no lab stays behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from k8slab.course.outcome import NOT_ATTEMPTED, NOT_YET, RIGHT
from tests.course.answers import ANSWERS
from tests.course.test_exercises import EXERCISES, graded, solved

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def on_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_DATAPLANE", "kernel")


def children() -> set[str]:
    """The process ids of the labs that this process holds."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split())


# Of the clusters a few here; their notebooks are run on the kernel, too, and there each shows its symptom.
QUICK = ("cluster-1", "cluster-2", "cluster-4", "cluster-10", "cluster-15")
# In these the kernel waits for a neighbour again and again.
LONG = (("03", "two-faults"), ("03", "third"))


@pytest.mark.parametrize("place", [
    pytest.param(place, id="-".join(place), marks=[pytest.mark.slow] * (
        place in LONG or place[1].startswith("cluster-") and place[1] not in QUICK))
    for place in EXERCISES
])
def test_graded_on_the_kernel_as_on_the_model(place: tuple[str, str]) -> None:
    exercise, foreseen, before = EXERCISES[place], ANSWERS[place].foreseen, children()
    assert exercise.grade(exercise.blank).kind == NOT_ATTEMPTED
    if exercise.blank is None and place not in (("05", "forge"), ("06", "names")):
        assert exercise.grade(exercise.make()).kind == NOT_ATTEMPTED
    assert solved(exercise).kind == RIGHT
    if foreseen:
        outcome = graded(exercise, foreseen[0])
        assert (outcome.kind, outcome.lines[0]) == (NOT_YET, exercise.faults[0].says), outcome
    assert children() <= before


def test_the_learners_own_lab_is_not_closed() -> None:
    exercise = EXERCISES["04", "mend"]
    with exercise.make() as lab:
        before = children()
        exercise.grade(lab)
        assert type(lab.dataplane).__name__ == "Kernel" and children() == before
        assert lab.connect("client", "10.244.1.7", 8080).verdict == "DELIVERED"


def test_a_lab_that_the_learner_has_closed_is_told_in_words() -> None:
    lab = EXERCISES["04", "mend"].make()
    lab.close()
    outcome = EXERCISES["04", "mend"].grade(lab)
    assert outcome.kind == NOT_YET and "make a new Lab()" in str(outcome)

"""Every exercise: untouched, its solution, each mistake that was foreseen with its own hint, and two that were not."""

from __future__ import annotations

import pytest

from k8slab.course.capstone import capstone
from k8slab.course.catalogue import CONTENTS
from k8slab.course.exercise import Exercise
from k8slab.course.faults import do
from k8slab.course.outcome import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, RIGHT, Outcome
from tests.course.answers import ANSWERS

EXERCISES = {(number, exercise.key): exercise for number, content in CONTENTS.items() for exercise in content.exercises}
exercises = pytest.mark.parametrize("place", EXERCISES, ids="-".join)
# Exercises whose answer is a lab, repaired: here its commands stand for it.
LABS = ("mend", "stale", "hairpin", "dead", "two-faults", "taken", "local")


def is_a_lab(exercise: Exercise) -> bool:
    return exercise.key in LABS or exercise.key.startswith("cluster-")


def graded(exercise: Exercise, answer: object) -> Outcome:
    """Grade an answer as it stands in the tables: commands for a lab, fields for a packet."""
    if exercise.blank is None and isinstance(answer, dict):
        from scapy.layers.inet import IP, TCP

        header = {name: answer[name] for name in ("src", "dst", "ttl") if name in answer}
        answer = IP(**header) / TCP(**{name: value for name, value in answer.items() if name not in header})
    elif exercise.blank is None and isinstance(answer, str) and is_a_lab(exercise):
        lab = exercise.make()
        for line in answer.splitlines():
            if line.startswith(("%", "lab.")):
                do(lab, line)
            elif line.startswith("serve "):
                lab.serve(line.split()[1], 8080)
            elif line.startswith("kubectl "):
                lab.kubectl(line.removeprefix("kubectl "))
            else:
                lab.run("worker1", line)
        answer = lab
    return exercise.grade(answer)


def solved(exercise: Exercise) -> Outcome:
    """Grade the exercise's own solution, as it is shown to the learner."""
    if exercise.blank is not None:
        return exercise.grade(exercise.solution)
    if exercise.own:
        return exercise.grade(eval(exercise.help().solution, {"cluster": capstone()}))
    import base64
    import hashlib

    from scapy.layers.inet import IP, TCP

    if exercise.solution.startswith("def "):
        scope = {"base64": base64, "hashlib": hashlib}
        exec(exercise.solution, scope)
        return exercise.grade(scope[exercise.solution.split()[1].partition("(")[0]])
    lab = exercise.make()
    if exercise.key.startswith("cluster-"):
        return graded(exercise, exercise.solution)
    *lines, last = exercise.solution.splitlines()
    for line in lines:
        eval(line, {"broken": lab})
    value = eval(last, {"broken": lab, "IP": IP, "TCP": TCP})
    return exercise.grade(lab if value is None or isinstance(value, str) else value)


def test_every_exercise_has_its_answers() -> None:
    assert set(ANSWERS) == set(EXERCISES)
    for place, exercise in EXERCISES.items():
        assert len(ANSWERS[place].foreseen) == len(exercise.faults) and len(ANSWERS[place].others) >= 2


@exercises
def test_untouched_is_not_attempted(place: tuple[str, str]) -> None:
    exercise = EXERCISES[place]
    for blank in (
        exercise.blank,
        None,
        ...,
        *([f"\n{exercise.blank}\n  # a note"] if isinstance(exercise.blank, str) else []),
    ):
        assert exercise.grade(blank) == Outcome(NOT_ATTEMPTED, exercise.asks)


@exercises
def test_a_broken_lab_that_nobody_touched_is_not_attempted(place: tuple[str, str]) -> None:
    exercise = EXERCISES[place]
    if exercise.blank is None and place not in (("05", "forge"), ("06", "names"), ("09", "alive")):
        assert exercise.grade(exercise.make()).kind == NOT_ATTEMPTED


@exercises
def test_the_solution_is_right(place: tuple[str, str]) -> None:
    assert solved(EXERCISES[place]).kind == RIGHT


@pytest.mark.parametrize(("place", "answer"), [(place, answer) for place in ANSWERS for answer in ANSWERS[place].right])
def test_other_right_answers_pass(place: tuple[str, str], answer: object) -> None:
    assert graded(EXERCISES[place], answer).kind == RIGHT, graded(EXERCISES[place], answer)


@pytest.mark.parametrize(
    ("place", "number"), [(place, number) for place in ANSWERS for number in range(len(ANSWERS[place].foreseen))]
)
def test_a_mistake_that_was_foreseen_has_its_own_hint(place: tuple[str, str], number: int) -> None:
    exercise = EXERCISES[place]
    outcome = graded(exercise, ANSWERS[place].foreseen[number])
    assert outcome.kind == NOT_YET and outcome.lines[0] == exercise.faults[number].says, outcome


@pytest.mark.parametrize(
    ("place", "answer", "words"), [(place, *other) for place in ANSWERS for other in ANSWERS[place].others]
)
def test_a_mistake_that_was_not_foreseen_is_told_from_the_packet(
    place: tuple[str, str], answer: object, words: str
) -> None:
    outcome = graded(EXERCISES[place], answer)
    assert outcome.kind in (NOT_YET, CANNOT_CHECK) and words in str(outcome), outcome
    assert not any(fault.says in outcome.lines for fault in EXERCISES[place].faults)


# All clusters are asked by one function: one of the drills stands for the others.
@pytest.mark.parametrize(
    "place", [place for place in EXERCISES if place[0] != "drills" or place[1] == "cluster-8"], ids="-".join)
@pytest.mark.parametrize(
    "answer",
    [42, {"a": 1}, object(), b"x", 1.5, [1], ("x",), "iptables", "rm -rf /", "\x00", "____"],
    ids=lambda answer: type(answer).__name__ if type(answer) is object else repr(answer),
)
def test_no_answer_raises(place: tuple[str, str], answer: object) -> None:
    assert EXERCISES[place].grade(answer).kind in (NOT_YET, CANNOT_CHECK)

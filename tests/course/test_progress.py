"""Progress: kept, forgotten, damaged and copied by hand; and nothing that a cell prints depends on it."""

from __future__ import annotations

import itertools
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab import course
from k8slab.course.catalogue import ticked
from k8slab.course.outcome import RIGHT
from k8slab.course.progress import Progress, ProgressError, ticks_code, ticks_of
from k8slab.course.unit import CourseError, Unit


@pytest.fixture
def store(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "progress.json")


def unit(store: Progress, number: str = "00") -> Unit:
    return course.unit(number, store)


def test_untouched_leaves_no_file(store: Progress) -> None:
    unit(store).check("range", "")
    unit(store).quiz()
    unit(store).predict("owner")
    course.progress(store)
    assert not store.path.exists()


def test_an_answer_is_kept_with_its_outcome_and_tries(store: Progress) -> None:
    unit(store).check("range", "10.96.0.1")
    unit(store).check("range", "10.43.0.1")
    assert store.get("00", "range") == {"outcome": RIGHT, "tries": 2, "answer": "10.43.0.1"}


def test_outputs_do_not_depend_on_it(store: Progress) -> None:
    def printed() -> list[str]:
        one = unit(store)
        shown = [
            one.check("range", ""),
            one.check("range", "10.96.0.1"),
            one.quiz(),
            one.predict("owner"),
            one.fact("owner", "no host"),
            one.after("owner", 42),
            course.progress(store),
        ]
        return [panel.text + panel.html for panel in shown]

    before = printed()
    unit(store).check("range", "10.43.0.1")
    store.record("00", "owner", guess="k8smaster")
    store.record("00", "env", choice="x", outcome="Not so")
    assert printed() == before


def test_reset_forgets_one_unit_and_keeps_the_file_as_it_was(store: Progress) -> None:
    unit(store).check("range", "10.43.0.1")
    store.record("04", "six", outcome=RIGHT)
    old = store.path.read_bytes()
    unit(store).reset()
    assert store.read() == {"04": {"six": {"outcome": RIGHT}}}
    assert store.path.with_name("progress.json.bak").read_bytes() == old
    assert "progress.json.bak" not in unit(store).reset().text          # nothing was there to be kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 1}',
        '{"version": 2, "units": {}}',
        '{"version": 1, "units": 3}',
        '{"version": 1, "units": {"00": 3}}',
        "\x00\x01",
    ],
)
def test_a_file_that_is_none_of_ours_is_told_and_left_alone(store: Progress, text: str) -> None:
    store.path.write_text(text)
    with pytest.raises(ProgressError, match="progress.json is not a progress file"):
        store.read()
    unit(store).check("range", "10.43.0.1")
    assert store.path.read_text() == text


def test_a_file_that_cannot_be_written_is_not_in_the_way(tmp_path: Path) -> None:
    store = Progress(tmp_path / "missing" / "progress.json")
    assert unit(store).check("range", "10.43.0.1").text.startswith(RIGHT)


@given(st.lists(st.booleans(), min_size=1, max_size=120))
def test_a_code_gives_back_its_ticks(ticks: list[bool]) -> None:
    assert ticks_of(ticks_code(ticks), len(ticks)) == ticks
    assert ticks_of(ticks_code(ticks).lower().replace("-", " "), len(ticks)) == ticks


def test_a_letter_copied_wrongly_is_noticed_nearly_always() -> None:
    ticks = [i % 3 == 0 for i in range(25)]
    code = ticks_code(ticks)
    letters = string.ascii_uppercase + "234567"
    wrong = [
        code[:at] + letter + code[at + 1 :]
        for at, letter in itertools.product(range(len(code)), letters)
        if code[at] not in (letter, "-")
    ]
    passed = 0
    for one in wrong:
        try:
            passed += ticks_of(one, 25) != ticks
        except ProgressError:
            pass
    assert passed / len(wrong) < 0.02


@pytest.mark.parametrize("code", ["", "A", "AAAA-AAAA", "10.96.0.1", "é", "UCWA" * 9])
def test_a_code_that_is_none_is_told(store: Progress, code: str) -> None:
    with pytest.raises(ProgressError, match="no code of this course"):
        course.enter_code(code, store)
    assert not store.path.exists()


def test_a_code_puts_back_ticks_and_takes_none_away(store: Progress, tmp_path: Path) -> None:
    store.record("00", "range", outcome=RIGHT)
    code = ticks_code(ticked(store))
    other = Progress(tmp_path / "other.json")
    other.record("04", "six", outcome=RIGHT)
    course.enter_code(code, other)
    assert other.get("00", "range") == {"outcome": RIGHT} and other.get("04", "six") == {"outcome": RIGHT}
    assert sum(ticked(other)) == 2


@pytest.mark.parametrize(
    "ask",
    [
        lambda: course.unit("99"),
        lambda: course.unit("00").check("no", ""),
        lambda: course.unit("04").order("six"),
        lambda: course.unit("04").predict("own", "x"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(ask) -> None:
    with pytest.raises(CourseError) as caught:
        ask()
    assert "there are" in str(caught.value) and caught.value._render_traceback_() == [f"CourseError: {caught.value}"]


def test_hints_come_one_after_the_other_and_solutions_are_explained(store: Progress) -> None:
    one = unit(store)
    said = [one.hint("range").text for _ in range(4)]
    assert said[0].startswith("Hint 1 of 3") and said[2].startswith("Hint 3 of 3") and said[3] == said[0]
    assert "10.43.0.1" in one.solution("range").text and "first usable address" in one.solution("range").text

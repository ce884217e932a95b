"""The units' form: what can be held of a unit by a rule, held."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from k8slab.course.catalogue import UNITS, unit
from k8slab.course.outcome import RIGHT

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = {path.name[:2]: path for path in sorted(FOLDER.glob("[0-9][0-9]-*.ipynb"))}
# Cells whose output is not compared, at most one in twenty: unit → words of the cell, and the reason.
NOT_COMPARED = {
    "00": {"os.environ": "what the reader's own container says of the cluster that it runs in",
           "type(lab.dataplane)": "which dataplane the reader's machine allows"},
    "06": {"show(answer": "a journey by the way that chance chose"},
    "08": {"spread(few)": "counts that chance made", 'unit.after("requests"': "a journey by the way that chance chose",
           "again[server]": "counts that chance made, beside others"},
}
units = pytest.mark.parametrize("number", NOTEBOOKS)


def cells(number: str, kind: str) -> list[dict]:
    return [cell for cell in json.loads(NOTEBOOKS[number].read_text())["cells"] if cell["cell_type"] == kind]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def prose(number: str) -> str:
    """The unit's text without code blocks and addresses of links."""
    text = "\n\n".join(map(source, cells(number, "markdown")))
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"(?ms)^```.*?^```", "", text))


def test_every_notebook_is_a_unit_of_the_course() -> None:
    assert set(NOTEBOOKS) == set(UNITS)


@units
def test_opens_with_what_you_will_do_learn_and_need_and_the_minutes(number: str) -> None:
    first = source(cells(number, "markdown")[0])
    assert first.startswith(f"# {UNITS[number].title}\n")
    places = [first.index(f"* **What you will {word}:**") for word in ("do", "learn", "need")]
    assert places == sorted(places)
    assert 10 <= int(re.search(r"About (\d+) minutes", first)[1]) <= 45


@units
def test_has_its_parts_in_order(number: str) -> None:
    headings = re.findall(r"^## (.*)$", prose(number), re.M)
    wanted = [
        "Predict",
        "Run",
        "Investigate",
        "Change",
        "Build",
        "Three experiments",
        "Check",
        "In practice",
        "Further reading",
    ]
    places = [next((i for i, heading in enumerate(headings) if heading.startswith(part)), None) for part in wanted]
    assert None not in places, dict(zip(wanted, places))
    assert [
        places[wanted.index(part)] for part in ("Three experiments", "Check", "In practice", "Further reading")
    ] == sorted(places[5:]) and places[0] < places[1] < places[5]
    assert ("Warm-up" in headings) == bool(UNITS[number].warm_up)


@units
def test_headings_go_down_one_level_at_a_time(number: str) -> None:
    levels = [len(marks) for marks in re.findall(r"^(#+) ", prose(number), re.M)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))


@units
def test_is_of_a_size_that_can_be_read(number: str) -> None:
    code = [source(cell) for cell in cells(number, "code")]
    assert 15 <= len(code) <= 25
    assert max(len(cell.splitlines()) for cell in code) <= 15
    assert 800 <= len(prose(number).split()) <= 1500


@units
def test_begins_with_imports_and_nothing_else(number: str) -> None:
    assert all(re.match(r"(import|from) |$", line) for line in source(cells(number, "code")[0]).splitlines())


@units
def test_links_say_where_they_lead_and_pictures_what_they_show(number: str) -> None:
    text = "\n".join(map(source, cells(number, "markdown")))
    words = re.findall(r"\[([^\]]*)\]\(", text)
    assert not {word.lower() for word in words} & {"here", "link", "this", ""}
    assert "<img" not in text or all("alt=" in tag for tag in re.findall(r"<img[^>]*>", text))


@units
def test_the_experiment_that_breaks_things_has_the_way_back_in_sight(number: str) -> None:
    after = NOTEBOOKS[number].read_text().partition("## Three experiments")[2]
    assert "lab.reset()" in after


@units
def test_few_outputs_are_not_compared_and_each_has_a_reason(number: str) -> None:
    tagged = [cell for cell in cells(number, "code") if cell["metadata"].get("tags")]
    reasons = NOT_COMPARED.get(number, {})
    assert all(any(words in source(cell) for words in reasons) for cell in tagged) and len(tagged) == len(reasons)
    everything = sum(len(cells(one, "code")) for one in NOTEBOOKS)
    assert sum(map(len, NOT_COMPARED.values())) * 20 <= everything


@units
def test_asks_for_all_that_the_unit_has(number: str) -> None:
    code = "\n".join(source(cell) for cell in cells(number, "code"))
    for exercise in UNITS[number].exercises:
        assert f'unit.{"order" if exercise.items else "check"}("{exercise.key}"' in code
    for prediction in UNITS[number].predictions:
        assert re.search(rf'unit\.predict\(.*"{prediction.key}"', code) and f'unit.fact("{prediction.key}"' in code
    assert "unit.quiz()" in code and ("unit.warm_up()" in code) == bool(UNITS[number].warm_up)


@pytest.mark.parametrize("number", UNITS)
def test_questions_are_whole(number: str) -> None:
    content = UNITS[number]
    assert 3 <= len(content.quiz.questions) <= 5 and len(set(content.ticks)) == len(content.ticks)
    for question in content.quiz.questions:
        assert not any("`" in choice for choice in question.choices)  # a radio button's label is plain text
        assert question.right in question.choices and len(question.choices) >= 3 and all(question.choices.values())
        assert [choice for choice in question.choices if question.verdict(choice).startswith("Right")] == [
            question.right
        ]
    assert not content.warm_up or len(content.warm_up) == 2 and all(other < number for other, _ in content.warm_up)
    assert len(unit(number).warm.questions) == len(content.warm_up)


@pytest.mark.parametrize("number", UNITS)
def test_a_question_of_a_warm_up_stands_alone_in_any_unit(number: str) -> None:
    for other, key in UNITS[number].warm_up:
        question = next(one for one in UNITS[other].quiz.questions if one.key == key)
        assert not re.search(r"\b(here|above|below)\b", question.asks, re.I), question.asks
        text = " ".join((question.asks, *question.choices, *question.choices.values()))
        assert not re.search(r"\b(this (cell|unit|lab)|just (now|written|seen))\b", text, re.I), text


@units
def test_the_lab_says_one_of_the_options_that_were_offered(number: str) -> None:
    saved = "\n".join(
        "".join(output.get("data", {}).get("text/plain", []))
        for cell in cells(number, "code")
        for output in cell["outputs"]
    )
    facts = re.findall(r"It was: (.*)", saved)
    assert len(facts) == len(UNITS[number].predictions)
    assert all(fact in option for fact, option in zip(facts, (p.options for p in UNITS[number].predictions)))


def test_keys_are_the_courses_own() -> None:
    keys = [key for content in UNITS.values() for key in (*content.ticks, *(p.key for p in content.predictions))]
    assert len(set(keys)) == len(keys)
    assert RIGHT == "Right"

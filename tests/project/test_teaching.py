"""The instructors' pages: one for each unit, all in one form, and what they say of a notebook is so."""

import ast
import json
import re
from pathlib import Path

import pytest

from k8slab.course.catalogue import UNITS
from tests.project.copies import ROOT

PAGES = ROOT / "docs" / "teaching"
FORM = ["Minutes", "Before", "Stop and ask", "What goes wrong", "If time is short / if there is time"]
# Parts of a notebook that nobody goes through in a room: they are for the learner's own cluster, and to be read.
AT_HOME = ["In practice", "Further reading"]

every_unit = pytest.mark.parametrize("number", UNITS)
pages = pytest.mark.parametrize("number", [one for one in UNITS if (PAGES / f"{one}.md").exists()])


def page(number: str) -> str:
    return (PAGES / f"{number}.md").read_text(encoding="utf-8")


def by_heading(text: str) -> dict[str, str]:
    """What stands below each `## ` heading of a text; below "", what stands before the first."""
    first, *parts = re.split(r"(?m)^## (.*)\n", text)
    return {"": first} | dict(zip(parts[::2], parts[1::2]))


def squeezed(text: str) -> str:
    """A text with one space wherever there was white space: a page breaks its lines elsewhere than a cell."""
    return " ".join(text.split())


def items(text: str, mark: str) -> list[str]:
    """The items of a list, each on one line; `mark` matches what an item begins with."""
    return [squeezed(item) for item in re.split(rf"(?m)^{mark} ", text)[1:]]


def stops(number: str) -> list[str]:
    """The places to stop at, each on one line."""
    return items(by_heading(page(number))["Stop and ask"], r"\d\.")


def spans(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", squeezed(text))


def cells(number: str) -> list[dict]:
    (path,) = (ROOT / "notebooks").glob(f"{number}-*.ipynb")
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def code_by_heading(number: str) -> dict[str, list[str]]:
    """The code cells below each `## ` heading of a notebook."""
    found, heading = {"": []}, ""
    for cell in cells(number):
        if cell["cell_type"] == "code":
            found[heading].append(source(cell))
        else:
            for heading in re.findall(r"(?m)^## (.*)$", source(cell)):
                found[heading] = []
    return found


def outputs(number: str) -> str:
    """All that the saved notebook shows, as text."""
    shown = [output.get("text") or output.get("data", {}).get("text/plain", "")
             for cell in cells(number) if cell["cell_type"] == "code" for output in cell["outputs"]]
    return squeezed("\n".join("".join(text) for text in shown))


def imported(number: str) -> set[Path]:
    """Of `units` and `capstone`: a unit's module, what it and its notebook import from, what those do, and so on."""
    folder, found = ROOT / "k8slab", set()
    left = [*map(source, cells(number)), f"from k8slab.course.units.unit{number} import UNIT"]
    while left:
        for name in re.findall(r"(?m)^from k8slab\.(course\.(?:units|capstone)\S*) import ", left.pop()):
            place = folder.joinpath(*name.split("."))
            files = {place.with_suffix(".py"), *place.glob("*.py")} - found
            found |= (new := {one for one in files if one.exists()})
            left += [one.read_text(encoding="utf-8") for one in new]
    return found


def words_of_the_course(number: str) -> str:
    """What a learner can read: the notebook, and every text of the unit's modules and of the course's machinery."""
    folder = ROOT / "k8slab" / "course"
    files = {*folder.glob("*.py"), *imported(number)}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(files)]
    texts = [node.value for tree in trees for node in ast.walk(tree)
             if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return squeezed("\n".join((*map(source, cells(number)), *texts))) + outputs(number)


@every_unit
def test_every_unit_has_a_page(number: str) -> None:
    assert (PAGES / f"{number}.md").exists()


@pages
def test_has_the_form_of_all_the_others(number: str) -> None:
    text = page(number)
    assert text.startswith(f"# {number} {UNITS[number].title}\n\nAfterwards learners can ")
    assert re.findall(r"(?m)^#+ .*$", text)[1:] == [f"## {heading}" for heading in FORM]
    lines, words = text.splitlines(), [word for word in text.split() if re.search(r"\w", word)]
    assert 60 <= len(lines) <= 90 and 350 <= len(words) <= 600, (len(lines), len(words))
    assert [line for line in lines if len(line) > 110] == []


@pages
def test_the_minutes_add_up_to_those_of_the_notebook(number: str) -> None:
    rows = re.findall(r"(?m)^\| (.+) \| (\d+) \|$", by_heading(page(number))["Minutes"])
    *parts, (last, together) = rows
    named = [name for part, _ in parts for name in part.split("; ")]
    assert last == "together" and named == [one for one in code_by_heading(number) if one and one not in AT_HOME]
    assert sum(int(minutes) for _, minutes in parts) == int(together)
    assert re.search(r"About (\d+) minutes", source(cells(number)[0]))[1] == together


@pages
def test_a_cell_to_stop_at_is_found_by_its_heading_and_its_line(number: str) -> None:
    code = code_by_heading(number)
    assert 3 <= len(stops(number)) <= 5
    for stop in stops(number):
        form = r"\*([^*]+)\*, `([^`]+)` - Ask: .*\?.* - You will hear: .+ - The lab says: .+"
        heading, line = re.fullmatch(form, stop).groups()
        assert sum(line in cell for cell in code[heading]) == 1, (heading, line)


@pages
def test_what_looks_like_a_line_of_a_cell_is_one(number: str) -> None:
    code = "\n".join(cell for below in code_by_heading(number).values() for cell in below)
    lines = [span for span in spans(by_heading(page(number))["Stop and ask"])
             if any(mark in span for mark in ("unit.", "lab.", "show("))]
    assert lines
    assert [line for line in lines if line not in code] == []


@pages
def test_what_the_lab_says_is_what_the_saved_notebook_shows(number: str) -> None:
    said = [spans(stop.partition(" - The lab says: ")[2]) for stop in stops(number)]
    shown = outputs(number)
    assert all(said)
    assert [span for found in said for span in found if span not in shown] == []


@pages
def test_exercises_and_questions_are_named_by_their_keys(number: str) -> None:
    text, unit = squeezed(page(number)), UNITS[number]
    assert set(re.findall(r"[Ee]xercise `([^`]+)`", text)) == {one.key for one in unit.exercises}
    assert set(re.findall(r"question `([^`]+)`", text)) <= {one.key for one in unit.quiz.questions}


@pages
def test_words_between_curly_quotes_are_those_of_the_course(number: str) -> None:
    quoted = re.findall("“([^”]+)”", squeezed(page(number)))
    assert quoted
    course = words_of_the_course(number)
    assert [words for words in quoted if words not in course] == []


@pages
def test_what_goes_wrong_is_met_with_a_question(number: str) -> None:
    wrong = items(by_heading(page(number))["What goes wrong"], "-")
    assert 4 <= len(wrong) <= 6
    assert [one for one in wrong if not re.search(r'Say: "[^"]+\?"', one)] == []

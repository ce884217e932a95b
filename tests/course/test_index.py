"""The map of the course, its ways and its glossary: what they say of the units is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from k8slab.course.catalogue import UNITS, progress, ticked_by_unit
from k8slab.course.contents import DOES, WAYS, contents, file_of, ways
from k8slab.course.glossary import TERMS, glossary
from k8slab.course.outcome import RIGHT
from k8slab.course.progress import Progress

FOLDER = Path(__file__).parents[2] / "notebooks"


def text_of(number: str) -> str:
    return (FOLDER / file_of(number)).read_text(encoding="utf-8")


@pytest.mark.parametrize("number", UNITS)
def test_every_unit_has_its_file_its_minutes_and_a_link(number: str) -> None:
    assert DOES[number][0] == int(re.search(r"About (\d+) minutes", text_of(number))[1])
    assert f'<a href="{file_of(number)}">{number} ' in contents().html
    assert f"{number} {UNITS[number].title}" in str(contents())


def test_there_is_a_line_for_every_unit() -> None:
    assert set(DOES) == set(UNITS)


def test_ways_are_of_units_in_their_order_and_as_long_as_they_say() -> None:
    for way in WAYS:
        assert way.units == tuple(sorted(set(way.units) & set(UNITS)))
    whole, short, _ = WAYS
    assert whole.units == tuple(UNITS) and 120 <= short.minutes <= 180
    assert f"{short.minutes // 60} h {short.minutes % 60} min" in str(ways())


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_met_in_its_unit(term: str) -> None:
    unit, meaning = TERMS[term]
    assert term.lower() in text_of(unit).lower() and meaning.endswith(".")
    assert f"{term} " in str(glossary())


def test_progress_says_which_unit_comes_next(tmp_path: Path) -> None:
    store = Progress(tmp_path / "progress.json")
    first, second, *rest = UNITS
    said = lambda: "".join(child.value for child in progress(store).live().children)  # noqa: E731
    assert f"Go on with {first} " in said()
    for key in UNITS[first].ticks:
        store.record(first, key, outcome=RIGHT)
    assert f"Go on with {second} " in said() and ticked_by_unit(store)[first][0] == len(UNITS[first].ticks)
    for number in (second, *rest):
        for key in UNITS[number].ticks:
            store.record(number, key, outcome=RIGHT)
    assert "You have done all units." in said()


def test_the_index_leads_to_every_notebook_that_it_names() -> None:
    source = "".join("".join(cell["source"]) for cell in json.loads((FOLDER / "index.ipynb").read_text())["cells"])
    links = re.findall(r"\]\(([^)]+\.ipynb)\)", source)
    assert links and all((FOLDER / link).is_file() for link in links)

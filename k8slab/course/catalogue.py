"""The units that there are, and how far a learner has come in them."""

from __future__ import annotations

from collections.abc import Callable

from k8slab.course import widgets
from k8slab.course.outcome import RIGHT, code
from k8slab.course.progress import Progress, ProgressError, ticks_code, ticks_of
from k8slab.course.question import Quiz
from k8slab.course.unit import Content, CourseError, Unit
from k8slab.course.units import (
    unit00, unit01, unit02, unit03, unit04, unit05, unit06, unit07, unit08, unit09,
    unit10, unit11, unit12, unit13)
from k8slab.course.units.drills import DRILLS
from k8slab.course.widgets import Panel

_MODULES = (unit00, unit01, unit02, unit03, unit04, unit05, unit06, unit07, unit08, unit09,
            unit10, unit11, unit12, unit13)
UNITS: dict[str, Content] = {module.UNIT.number: module.UNIT for module in _MODULES}
# What has a notebook of its own, and is no unit: the drills.
CONTENTS: dict[str, Content] = {**UNITS, DRILLS.number: DRILLS}


def unit(number: str, store: Progress | None = None) -> Unit:
    """One unit by its number: `unit("04")`; raises CourseError for a number that is not there."""
    if number not in UNITS:
        raise CourseError(f"there is no unit {number!r}; there are {', '.join(UNITS)}")
    content = UNITS[number]
    asked = [next(q for q in UNITS[other].quiz.questions if q.key == key) for other, key in content.warm_up]
    return Unit(content, Quiz("Warm-up: what stayed from earlier units?", tuple(asked)), store or Progress())


def drills(store: Progress | None = None) -> Unit:
    """The drills, which are used as a unit is: `course.drills().broken("cluster-4")`."""
    return Unit(DRILLS, DRILLS.quiz, store or Progress())


def _ticks() -> list[tuple[str, str]]:
    return [(number, key) for number, content in CONTENTS.items() for key in content.ticks]


def ticked(store: Progress) -> list[bool]:
    """For each exercise and question of the course, in order, whether it was answered right."""
    units = store.read()
    return [units.get(number, {}).get(key, {}).get("outcome") == RIGHT for number, key in _ticks()]


def ticked_by_unit(store: Progress) -> dict[str, tuple[int, int]]:
    """For each unit, how many of its exercises and questions were answered right, and how many it has."""
    right = {key for key, tick in zip(_ticks(), ticked(store)) if tick}
    return {number: (sum((number, key) in right for key in content.ticks), len(content.ticks))
            for number, content in CONTENTS.items()}


def progress(store: Progress | None = None) -> Panel:
    """How far you have come: shown while a kernel runs, not saved with the notebook."""
    store = store or Progress()
    lines = [
        f"{number} {content.title}: {len(content.ticks)} exercises and questions"
        for number, content in CONTENTS.items()
    ]
    text = "\n".join(("Your progress is shown here when you run the cell.", *lines))
    return Panel(text, "".join(f"<p>{code(line)}</p>" for line in text.splitlines()), _live(store))


def _live(store: Progress) -> Callable[[], widgets.Widget]:
    def live() -> widgets.Widget:
        try:
            ticks, done = ticked(store), ticked_by_unit(store)
        except (ProgressError, OSError) as error:
            return widgets.frame(widgets.say(f"<p>{code(str(error))}</p>"))
        after = next((number for number in UNITS if done[number][0] < done[number][1]), "")
        on = f"<p>Go on with {after} {UNITS[after].title}.</p>" if after else "<p>You have done all units.</p>"
        rows = "".join(f"<li>{number} {CONTENTS[number].title}: {right} of {of} right</li>"
                       for number, (right, of) in done.items())
        return widgets.frame(widgets.say(
            f"<ul>{rows}</ul>{on}<p>Code for these ticks: <code>{ticks_code(ticks)}</code></p><p>All your answers "
            f"are in <code>{store.path.name}</code>, in the list of files on the left: right-click, Download, keeps "
            "them; drop the file there again to put them back.</p>"))

    return live


def enter_code(text: str, store: Progress | None = None) -> Panel:
    """Put back the ticks of a code that `progress` showed; raises ProgressError for a code that is none."""
    store = store or Progress()
    have = ticked(store)
    for (number, key), tick, had in zip(_ticks(), ticks_of(text, len(have)), have):
        if tick and not had:
            store.record(number, key, outcome=RIGHT)
    return progress(store)

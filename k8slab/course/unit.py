"""Unit: what a notebook holds in its hand of the course: its questions, its exercises, and the learner's progress.

unit = course.unit("04")
unit.predict("hook")                       # a guess, kept
unit.after("hook", show(journey))          # what it is about, closed until then
unit.fact("hook", journey.chains[0])       # the fact, beside the guess
unit.check("pods", answer)                 # an exercise, tried on packets
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

from k8slab.course import widgets
from k8slab.course.exercise import OTHER_LAB, Exercise, Help
from k8slab.course.functions import source
from k8slab.course.note import written
from k8slab.course.outcome import NOT_ATTEMPTED, RIGHT, Outcome, code
from k8slab.course.progress import Progress, ProgressError
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.course.widgets import Panel
from k8slab.errors import Told
from k8slab.lab import Lab

# After so many tries the outcome itself offers the solution.
TRIES = 2


@dataclass(frozen=True, slots=True)
class Content:
    """All that one unit asks. `warm_up`: pairs of an earlier unit's number and a key of its quiz."""

    number: str
    title: str
    quiz: Quiz
    predictions: tuple[Prediction, ...] = ()
    exercises: tuple[Exercise, ...] = ()
    warm_up: tuple[tuple[str, str], ...] = ()

    @property
    def ticks(self) -> tuple[str, ...]:
        """The keys that can be ticked: exercises and questions."""
        return (*(e.key for e in self.exercises), *(q.key for q in self.quiz.questions))


class CourseError(Told, ValueError):
    """A unit, exercise or question that is not there; the message says which there are."""


@dataclass(slots=True)
class Unit:
    """A unit as a notebook uses it. `warm`: the questions of its warm-up. Keys that are not there raise CourseError."""

    content: Content
    warm: Quiz
    store: Progress = field(default_factory=Progress)
    _waiting: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    _hints: dict[str, int] = field(default_factory=dict)
    _answers: dict[str, object] = field(default_factory=dict)    # the last, where help depends on it

    # Questions.

    def warm_up(self) -> Panel:
        """Two questions from earlier units."""
        return self._quiz(self.warm)

    def quiz(self) -> Panel:
        """The unit's own questions."""
        return self._quiz(self.content.quiz)

    def _quiz(self, quiz: Quiz) -> Panel:
        def keep(question: Question, choice: str) -> None:
            self._keep(question.key, choice=choice, outcome=RIGHT if choice == question.right else "Not so")

        def live() -> widgets.Widget:
            return widgets.quiz(quiz, lambda key: self._kept(key).get("choice"), keep)

        return Panel(str(quiz), quiz.html, live)

    def predict(self, *keys: str) -> Panel:
        """Ask for a guess, or several, before the cell that shows."""
        predictions = [self._find("prediction", self.content.predictions, key) for key in keys]

        def live() -> widgets.Widget:
            return widgets.column(
                [widgets.prediction(one, self._kept(one.key).get("guess"), self._guess(one.key)) for one in predictions]
            )

        return Panel("\n\n".join(map(str, predictions)), "".join(one.html for one in predictions), live)

    def _guess(self, key: str) -> Callable[[str], None]:
        """Keep a guess, and open what waits for it."""

        def keep(guess: str) -> None:
            self._keep(key, guess=guess)
            for open_ in self._waiting.pop(key, []):
                open_()

        return keep

    def after(self, key: str, shown: object) -> Panel:
        """Show something, a stepper for one, when the guess of that prediction is kept or on "show me"."""
        self._find("prediction", self.content.predictions, key)
        still = widgets.formatted(shown).get("text/html") or f"<pre>{escape(str(shown))}</pre>"
        html = f"<details><summary>Make your guess, then open</summary>{still}</details>"
        return Panel(str(shown), html, lambda: self._gate(key, lambda place: widgets.display(place, shown)))

    def fact(self, key: str, found: object) -> Panel:
        """Set what was found beside the guess; `found` is what the lab showed."""
        self._find("prediction", self.content.predictions, key)
        text = f"It was: {found}"

        def fill(place: widgets.Output) -> None:
            guess = self._kept(key).get("guess")
            beside = (
                "You made no guess."
                if guess is None
                else f"You expected just that: {code(guess)}."
                if guess == str(found)
                else f"You expected: {code(guess)}. What made the difference?"
            )
            html = f"<p>{code(text)}</p><p>{beside}</p>"
            widgets.display(place, Panel(text, html, lambda: widgets.frame(widgets.say(html))))

        return Panel(text, f"<p>{code(text)}</p>", lambda: self._gate(key, fill))

    def _gate(self, key: str, fill: Callable[[widgets.Output], None]) -> widgets.Widget:
        return widgets.gate(fill, "guess" in self._kept(key), self._waiting.setdefault(key, []).append)

    # Exercises.

    def check(self, key: str, answer: object) -> Panel:
        """Try an answer on packets and say what became of it."""
        exercise, outcome = self._grade(key, answer)

        def live() -> widgets.Widget:
            return widgets.checked(
                outcome.html + self._offer(key, outcome),
                lambda: self.hint(exercise.key).html,
                lambda: self.solution(exercise.key).html,
                self._last(key) if outcome.kind == NOT_ATTEMPTED else "",
            )

        return Panel(str(outcome), outcome.html, live)

    def order(self, key: str) -> Panel:
        """An ordering task, done by keyboard."""
        exercise = self._find("ordering task", [e for e in self.content.exercises if e.items], key)

        def check(items: list[str]) -> str:
            return self._grade(key, items)[1].html

        def live() -> widgets.Widget:
            kept = self._kept(key).get("answer")
            fits = isinstance(kept, list) and sorted(kept) == sorted(exercise.items)
            return widgets.ordering(exercise.asks, exercise.items, kept if fits else (), check)

        lines = "\n".join((exercise.asks, *(f"  {item}" for item in exercise.items)))
        rows = "".join(f"<li><code>{escape(item)}</code></li>" for item in exercise.items)
        return Panel(lines, f"<p>{code(exercise.asks)}</p><ul>{rows}</ul>", live)

    def broken(self, key: str) -> Lab:
        """A new lab in which something is broken, for the exercise of that key."""
        return self._find("exercise", self.content.exercises, key).make()

    def note(self, key: str, lab: object, cause: str = "", prevent: str = "") -> Panel:
        """The note after an incident, as text to be copied, once the check says Right; `cause`, `prevent`: your own.

        Raises CourseError for another lab than the one of that key.
        """
        exercise = self._find("exercise", self.content.exercises, key)
        if getattr(lab, "fault", None) is not exercise.fault:
            raise CourseError(OTHER_LAB.format(key))
        if not getattr(lab, "mended", False):
            text = "The note is made when the check says Right."
            return Panel(text, f"<p>{text}</p>")
        text = written(key.partition("-")[2], lab, cause, prevent)
        looks = "white-space: pre-wrap; margin: 0; font-size: var(--jp-code-font-size)"
        return Panel(text, f'<pre style="{looks}">{escape(text)}</pre>')

    def hint(self, key: str) -> Panel:
        """The next hint; after the last, the first again."""
        hints = self._help(key).hints
        at = self._hints.get(key, 0)
        self._hints[key] = (at + 1) % len(hints)
        text = f"Hint {at + 1} of {len(hints)}. {hints[at]}"
        return Panel(text, f"<p>{code(text)}</p>")

    def solution(self, key: str) -> Panel:
        """An answer that passes, and why it does."""
        told = self._help(key)
        answer = told.solution
        if isinstance(answer, dict):
            answer = "\n".join(f"{key!r}: {value!r}" for key, value in answer.items())
        elif not isinstance(answer, str):
            answer = "\n".join(map(str, answer))
        html = f"<p>One that works:</p><pre>{escape(answer.strip())}</pre><p>{code(told.why)}</p>"
        return Panel(f"One that works:\n\n{answer.strip()}\n\n{told.why}", html)

    def _help(self, key: str) -> Help:
        return self._find("exercise", self.content.exercises, key).help(self._answers.get(key))

    def reset(self) -> Panel:
        """Forget the answers to this unit; the file as it was is kept beside it."""
        forgot = self.store.forget(self.content.number)
        old = f" What you had answered is in {self.store.path.name}.bak." if forgot else ""
        text = (f"Unit {self.content.number} is as new.{old} The text of the notebook itself comes back with "
                "`git checkout notebooks` in a terminal.")
        return Panel(text, f"<p>{code(text)}</p>")

    def _grade(self, key: str, answer: object) -> tuple[Exercise, Outcome]:
        exercise = self._find("exercise", self.content.exercises, key)
        outcome = exercise.grade(answer)
        if exercise.own:
            self._answers[key] = answer
        if outcome.kind != NOT_ATTEMPTED:
            tries = self._kept(key).get("tries", 0) + 1
            text = answer if isinstance(answer, (str, list, tuple)) else source(answer)
            self._keep(key, outcome=outcome.kind, tries=tries, **({"answer": text} if text else {}))
        return exercise, outcome

    def _last(self, key: str) -> str:
        """The answer that was checked last, as HTML to be copied from; "" where there is none."""
        answer = self._kept(key).get("answer")
        text = answer.strip() if isinstance(answer, str) else "\n".join(map(str, answer or ()))
        return f"<p>You last gave:</p><pre>{escape(text)}</pre>" if text else ""

    def _offer(self, key: str, outcome: Outcome) -> str:
        tries = self._kept(key).get("tries", 0)
        if outcome.kind in (RIGHT, NOT_ATTEMPTED) or tries < TRIES:
            return ""
        return "<p>You have tried more than once: a solution, explained, is one button away.</p>"

    # Progress must never be in the way of the course.

    def _kept(self, key: str) -> dict:
        try:
            return self.store.get(self.content.number, key)
        except (ProgressError, OSError):
            return {}

    def _keep(self, key: str, **fields: object) -> None:
        try:
            self.store.record(self.content.number, key, **fields)
        except (ProgressError, OSError):
            pass  # a folder that cannot be written, or a file that is not ours: `course.progress()` says so

    def _find(self, what: str, among: object, key: str) -> object:
        found = {one.key: one for one in among}
        if key not in found:
            raise CourseError(
                f"unit {self.content.number} has no {what} {key!r}; there are {', '.join(found) or 'none'}"
            )
        return found[key]

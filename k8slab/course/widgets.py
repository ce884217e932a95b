"""The course's widgets: a quiz, a prediction, a gate before what it is about, an ordering task, a checked answer.

Each is a Panel: a text twin, static HTML that is saved with the notebook, and a live widget while a kernel runs. The
twin and the HTML never depend on what a learner has answered: so a notebook prints the same for everybody, and its
outputs can be compared. All are worked by keyboard: radio buttons and buttons, each with a name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8slab.course.outcome import code
from k8slab.course.question import Prediction, Question, Quiz
from k8slab.show.style import style_tag

if TYPE_CHECKING:
    from ipywidgets import HTML, Output, VBox, Widget

CLASS = "k8slab-course"
STYLE = style_tag(
    CLASS,
    """
.k8slab-course.k8slab-course { --c-here: #0072B2; max-width: 860px; overflow: visible; margin: 2px 0;
  padding: 2px 2px 2px 14px;
  border-left: 3px solid var(--c-here); color: var(--jp-ui-font-color1); font: 14px/1.5 var(--jp-ui-font-family) }
[data-jp-theme-light=false] .k8slab-course.k8slab-course { --c-here: #56B4E9 }
.k8slab-course :is(.widget-html, .widget-html-content) { width: auto; height: auto; margin: 0; overflow: visible;
  font: inherit; line-height: 1.5 }
.k8slab-course .widget-html { margin: 3px 0 }
.k8slab-course p, .k8slab-course ul { margin: 2px 0 4px }
.k8slab-course code { padding: 0 2px; background: none; color: inherit; font-size: 12.5px;
  font-family: var(--jp-code-font-family);  overflow-wrap: anywhere }
.k8slab-course .widget-radio, .k8slab-course .widget-radio-box { width: auto; height: auto; max-height: none;
  overflow: visible }
.k8slab-course .widget-radio-box label { display: flex; gap: 8px; align-items: flex-start; height: auto;
  max-width: none; padding: 2px 0; font: 14px/1.45 var(--jp-ui-font-family); white-space: normal; overflow: visible }
.k8slab-course .widget-radio-box input { flex: none; float: none; order: -1; width: auto; margin: 2px 0 0 }
.k8slab-course .widget-hbox { flex-wrap: wrap; height: auto; overflow: visible }
.k8slab-course .jupyter-button { align-self: flex-start; width: auto; height: auto; min-height: 30px;
  padding: 3px 14px; border: 1px solid var(--c-here);  border-radius: 6px; background: var(--jp-layout-color1); 
  color: var(--jp-ui-font-color1);
  font: 14px/1.5 var(--jp-ui-font-family) }
.k8slab-course :is(button, input):focus-visible { outline: 2px solid var(--c-here); outline-offset: 1px }
.k8slab-course .k8slab-item { align-self: stretch; max-width: 640px; text-align: left;
  border-color: var(--jp-border-color1);  white-space: normal; overflow: visible; overflow-wrap: anywhere }
""",
)


@dataclass(frozen=True, slots=True, repr=False)
class Panel:
    """Something to be displayed: `text` and `html`, which are saved, and what makes the live widget, if any."""

    text: str
    html: str
    live: Callable[[], Widget] | None = None

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        live = self.live()._repr_mimebundle_() if self.live else {}
        return live | {"text/plain": self.text, "text/html": self.html}


def frame(*parts: Widget) -> VBox:
    """Parts one below the other, with the course's looks."""
    from ipywidgets import HTML, VBox

    box = VBox([HTML(STYLE), *parts])
    box.add_class(CLASS)
    return box


def column(parts: Sequence[Widget]) -> VBox:
    """Parts one below the other, each with its own looks."""
    from ipywidgets import VBox

    return VBox(list(parts))


def say(html: str = "") -> HTML:
    """A piece of HTML whose value may change."""
    from ipywidgets import HTML

    return HTML(html)


def button(words: str, then: Callable[[], None]) -> Widget:
    """A button and what it does."""
    from ipywidgets import Button

    made = Button(description=words)
    made.on_click(lambda _: then())
    return made


def quiz(of: Quiz, said: Callable[[str], str | None], keep: Callable[[Question, str], None]) -> VBox:
    """A quiz; `said` gives the choice of old to a question's key, `keep` is told each new one."""
    parts = [say(f"<p><strong>{code(of.title)}</strong></p>")]
    for number, question in enumerate(of.questions, 1):
        parts += _question(number, question, said(question.key), keep)
    return frame(*parts)


def _question(
    number: int, question: Question, old: str | None, keep: Callable[[Question, str], None]
) -> Sequence[Widget]:
    from ipywidgets import RadioButtons

    radio = RadioButtons(options=tuple(question.choices), value=old if old in question.choices else None)
    answer = say(code(question.verdict(radio.value)) if radio.value else "")

    def chosen(change: dict) -> None:
        answer.value = code(question.verdict(change["new"]))
        keep(question, change["new"])

    radio.observe(chosen, "value")
    return say(f"<p>{number}. {code(question.asks)}</p>"), radio, answer


def prediction(of: Prediction, old: str | None, keep: Callable[[str], None]) -> VBox:
    """A prediction, which is kept when the learner says so; `keep` is told."""
    from ipywidgets import RadioButtons

    radio = RadioButtons(options=of.options, value=old if old in of.options else None)
    note = say(_kept(old) if old else "")

    def press() -> None:
        if radio.value is None:
            note.value = "Choose one first; a wrong guess helps you remember, too."
            return
        keep(radio.value)
        note.value = _kept(radio.value)

    return frame(say(f"<p><strong>Predict.</strong> {code(of.asks)}</p>"), radio, button("Keep my guess", press), note)


def _kept(guess: str) -> str:
    return f"Kept: {code(guess)}. Go on to the next cell."


def gate(fill: Callable[[Output], None], opened: bool, when_kept: Callable[[Callable[[], None]], None]) -> VBox:
    """What a prediction is about, behind a button until the guess is kept; `when_kept` is told what to call then.

    `fill` puts it into its place: not before it is opened, since a stepper of a hundred steps is not small.
    """
    from ipywidgets import Output, VBox

    place, closed = Output(), VBox()

    def open_() -> None:
        if closed.children:
            closed.children = ()
            fill(place)

    closed.children = (
        frame(
            say("<p>Make your guess above first: what is here opens when it is kept.</p>"),
            button("Show me without a guess", open_),
        ),
    )
    if opened:
        open_()
    else:
        when_kept(open_)
    return VBox([closed, place])


def display(place: Output, shown: object) -> None:
    """Put something into a place, as a notebook would display it."""
    place.outputs = ({"output_type": "display_data", "data": formatted(shown), "metadata": {}},)


def formatted(shown: object) -> dict[str, object]:
    """What a notebook's kernel would display, by MIME type."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell:
        return shell.display_formatter.format(shown)[0]
    return shown._repr_mimebundle_() if hasattr(shown, "_repr_mimebundle_") else {"text/plain": str(shown)}


def ordering(title: str, items: Sequence[str], old: Sequence[str], check: Callable[[list[str]], str]) -> VBox:
    """An ordering task: a button for each item, pressed in the order in which they come; `check` returns HTML.

    `old`: an order of old, or none. Nothing depends on what is chosen in the browser, whose messages may come late.
    """
    from ipywidgets import HBox

    order, answer, buttons = list(old), say(), {}

    def number() -> None:
        for item, made in buttons.items():
            made.description = f"{order.index(item) + 1}. {item}" if item in order else item

    def press(item: str) -> None:
        order.remove(item) if item in order else order.append(item)
        answer.value = ""
        number()

    def again() -> None:
        order.clear()
        answer.value = ""
        number()

    def done() -> None:
        missing = len(items) - len(order)
        answer.value = check(list(order)) if not missing else f"{missing} of {len(items)} have no number yet."

    for item in items:
        buttons[item] = button(item, lambda item=item: press(item))
        buttons[item].add_class("k8slab-item")
    number()
    about = (
        f"<p>{code(title)}</p><p>Press them in their order; each gets its number, and a second press takes it away.</p>"
    )
    row = HBox([button("Check the order", done), button("Start again", again)])
    return frame(say(about), *buttons.values(), row, answer)


def checked(html: str, hint: Callable[[], str], solution: Callable[[], str], last: str = "") -> VBox:
    """What became of an answer, with a button for the next hint, one for the solution, and one for the last answer.

    `last`: the answer of another day as HTML, or "" for no such button.
    """
    from ipywidgets import HBox

    more = say()
    shown = {"Hint": hint, "Show a solution": solution} | ({"Show my last answer": lambda: last} if last else {})
    buttons = HBox([button(words, lambda of=of: setattr(more, "value", of())) for words, of in shown.items()])
    return frame(say(html), buttons, more)

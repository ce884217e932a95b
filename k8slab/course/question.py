"""Questions: a prediction to be made before a cell runs, and a quiz whose wrong choices say why they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from k8slab.course.outcome import code

LETTERS = "abcdefgh"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the learner expects. `options`: what may be chosen; the lab, not this table, says which one comes true."""

    key: str
    asks: str
    options: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((self.asks, *(f"  {letter}) {option}" for letter, option in zip(LETTERS, self.options))))

    @property
    def html(self) -> str:
        """The question and its options, as a list."""
        return f"<p>{code(self.asks)}</p><ul>{''.join(f'<li>{code(option)}</li>' for option in self.options)}</ul>"


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a quiz. `right`: the right choice; `choices`: each choice, and why it is right or wrong."""

    key: str
    asks: str
    right: str
    choices: Mapping[str, str]

    def verdict(self, choice: str) -> str:
        """What is said to a choice."""
        return f"{'Right' if choice == self.right else 'Not so'}. {self.choices[choice]}"


@dataclass(frozen=True, slots=True)
class Quiz:
    """Questions under one heading."""

    title: str
    questions: tuple[Question, ...]

    def __str__(self) -> str:
        lines = [self.title]
        for number, question in enumerate(self.questions, 1):
            lines += ["", f"{number}. {question.asks}"]
            lines += [f"   {letter}) {choice}" for letter, choice in zip(LETTERS, question.choices)]
        return "\n".join(lines)

    @property
    def html(self) -> str:
        """The quiz as it is saved: each choice opens what is said to it."""
        parts = [f"<p><strong>{escape(self.title)}</strong>: open the choice that you take.</p>"]
        for number, question in enumerate(self.questions, 1):
            parts.append(f"<p>{number}. {code(question.asks)}</p>")
            parts += [
                f"<details><summary>{code(choice)}</summary>{code(question.verdict(choice))}</details>"
                for choice in question.choices
            ]
        return "".join(parts)

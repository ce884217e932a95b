"""The form of the answers that are tried on an exercise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answers:
    """What is tried on one exercise."""

    right: tuple = ()
    foreseen: tuple = ()
    others: tuple[tuple[object, str], ...] = ()

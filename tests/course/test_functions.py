"""A learner's function is called with a limit of time, and whatever it does becomes a sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from k8slab.course import functions
from k8slab.course.functions import called, defined, has_blank, moved, same_code, shown, source
from k8slab.course.outcome import Unfit

SHORT = 0.3      # seconds; a test waits for it, and never fails by it


def written(body: str) -> Callable:
    """A function as a learner would write it in a cell; its body begins in line 2."""
    return defined("def mine(n=1):\n" + "".join(f"    {line}\n" for line in body.splitlines()), "mine", {})


def said(function: object, *arguments: object) -> str:
    with pytest.raises(Unfit) as caught:
        called(function, *arguments, limit=SHORT)
    assert caught.value.__cause__ is None and "k8slab" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return {}[n]", "`mine` raised KeyError: 1, in line 2 of the cell of `mine`: `return {}[n]`."),
        ("x = 1\nreturn x / 0", "ZeroDivisionError: division by zero, in line 3 of the cell of `mine`"),
        ("raise SystemExit", "raised SystemExit, in line 2"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt, in line 2"),
        ("def deep(): return deep()\nreturn deep()", "raised RecursionError: maximum recursion depth"),
        ("class Bad(Exception):\n    def __str__(self): 1 / 0\nraise Bad", "raised Bad, in line 4"),
        ("import json\nreturn json.loads('{')", "in line 3 of the cell of `mine`: `return json.loads('{')`"),
        ("yield 1\nyield 1 / 0", "raised ZeroDivisionError: division by zero, in line 3"),
    ],
)
def test_what_it_raises_is_told_with_its_own_line(body: str, words: str) -> None:
    assert words in said(written(body))


def test_arguments_that_it_does_not_take_are_told_with_its_first_line() -> None:
    assert "in line 1 of the cell of `mine`: `def mine(n=1):`" in said(written("return n"), 1, 2)


@pytest.mark.parametrize(
    "body",
    [
        "while True:\n    pass",
        "while True:\n    try:\n        time()\n    except Exception:\n        pass",
        "while True:\n    yield n",
        "while True:\n    for k in range(1000):\n        n += k",
    ],
)
def test_one_that_does_not_end_is_ended_and_its_line_is_told(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "MOST_ITEMS", 10**12)
    before = threading.active_count()
    told = said(written(body))
    assert told.startswith("`mine` was still at work after 0.3 seconds, in line ") and "of the cell of `mine`" in told
    for _ in range(200):                     # a thread of a busy machine takes its time
        if threading.active_count() <= before:
            break
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_one_that_catches_even_that_keeps_nobody_from_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "STOPS", 3)
    enough: list[int] = []
    held = defined(
        "def mine():\n    while not enough:\n        try:\n            while not enough:\n                pass\n"
        "        except BaseException:\n            pass\n", "mine", {"enough": enough})
    try:
        assert "was still at work" in said(held)
    finally:
        enough.append(1)


def test_one_that_sleeps_is_left_to_sleep() -> None:
    event = threading.Event()
    try:
        assert "was still at work" in said(lambda: event.wait(60))
    finally:
        event.set()


def test_what_comes_by_yield_is_a_list_and_has_an_end() -> None:
    assert called(written("yield n\nyield 2")) == [1, 2]
    assert len(called(written("while True:\n    yield n"))) == functions.MOST_ITEMS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def mine(:", "`mine` cannot be read: "),
        ("mine = 3", "The answer defines no function `mine`."),
        ("\x00", "`mine` "),
        ("1 / 0", "`mine` raised ZeroDivisionError: division by zero, in line 1"),
        ("", "defines no function"),
    ],
)
def test_a_text_that_defines_no_function_is_told(text: str, words: str) -> None:
    with pytest.raises(Unfit) as caught:
        defined(text, "mine", {})
    assert words in str(caught.value)


def test_a_function_is_untouched_when_its_words_are_those_of_the_blank() -> None:
    blank = "return [n for n in range(____)]"
    assert same_code(written(blank), written("# nothing yet\n\n" + blank)) and has_blank(written(blank))
    assert not same_code(written(blank), written(blank.replace("____", "3")))
    assert not has_blank(written(blank.replace("____", "3")))
    assert not same_code(written("..."), written("n + 1")) and same_code(written("..."), written("pass"))
    assert has_blank(written("return f'{n} ____'")) and not has_blank(len) and not same_code(len, len)


def test_moved_finds_other_names_and_keeps_its_own() -> None:
    one = defined("def mine(n=2, *, k=1):\n    return other(n) + k + own", "mine", {"other": None, "own": 10})
    assert moved(one, {"other": lambda n: n * 100})() == 211
    assert moved(len, {"other": 1}) is len


class Silent:
    def __repr__(self) -> str:
        raise ValueError


def test_no_value_is_too_strange_or_too_long_to_be_shown() -> None:
    assert "Silent" in shown(Silent()) and len(shown(list(range(10**5)))) < 200


def test_the_text_of_a_function_is_what_was_typed() -> None:
    text = "def mine():\n    return 1\n"
    assert source(defined(text, "mine", {})) == text
    assert source(len) == source(3) == source(None) == ""

"""A learner's own functions: called with a limit of time, told apart from a blank, and never trusted.

Theory of operation
-------------------
A notebook's kernel is one process, and a function of the learner's runs in it like any other cell. So it is called
on a thread of its own. What it raises is kept there, and told as a sentence with its own line. When it is not back
after LIMIT seconds, its line is read from its frame, and Stop is raised in it from outside
(`PyThreadState_SetAsyncExc`), which needs no signal and so works on Windows, too. A function that catches even that
is left behind on its thread, which ends with the kernel and keeps nobody from going on.

What no thread can interrupt is one single call that neither ends nor lets another thread run, as `10**10**9` is:
then the kernel itself must be restarted, as after such a line in any cell.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
import linecache
import reprlib
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from types import CodeType, FrameType, FunctionType

from k8slab.course.outcome import NOT_YET, Unfit

LIMIT = 5.0        # seconds for all that one check asks of a function; a right one needs some thousandths
BLANK = "____"
LONGEST = 160      # characters of a message or a line that are told
MOST_ITEMS = 10_000
# Stop is raised this often, in case that the function catches it.
STOPS, BETWEEN = 50, 0.02


class Stop(SystemExit):
    """Raised in a function that takes too long; a thread that ends by SystemExit says nothing of it."""


def called(function: Callable, *arguments: object, name: str = "", limit: float | None = None) -> object:
    """What a function gives for these arguments; an iterator's items as a list.

    `name`: the learner's function that is told of, where `function` only calls it. `limit`: seconds. Raises Unfit,
    with a sentence, when it raises anything or is not back in time.

    >>> called(lambda n: n + 1, 2)
    3
    """
    end, name = {}, name or getattr(function, "__name__", "it")

    def work() -> None:
        try:
            value = function(*arguments)
            end["value"] = list(islice(value, MOST_ITEMS)) if isinstance(value, Iterator) else value
        except BaseException as error:  # noqa: BLE001 - the learner's own code may raise anything, SystemExit too
            end["error"] = error

    thread = threading.Thread(target=work, name=f"k8slab {name}", daemon=True)
    limit = LIMIT if limit is None else limit
    try:
        thread.start()
        thread.join(limit)
        frame = sys._current_frames().get(thread.ident) if thread.is_alive() else None
        if frame is not None:
            raise Unfit(NOT_YET, f"`{name}` was still at work after {limit:g} seconds{_where(_outward(frame))}.")
    finally:
        _stop(thread)      # also where the learner has interrupted the kernel meanwhile
    if isinstance(end.get("error"), Unfit):
        raise end["error"]
    if "error" in end:
        raise Unfit(NOT_YET, _raised(name, function, end["error"])) from None
    return end["value"]


def _stop(thread: threading.Thread) -> None:
    for _ in range(STOPS):
        if not thread.is_alive():
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stop))
        thread.join(BETWEEN)


def _outward(frame: FrameType | None) -> Iterator[tuple[CodeType, int]]:
    """Code and line of a frame and of those that called it, the innermost first."""
    while frame is not None:
        yield frame.f_code, frame.f_lineno
        frame = frame.f_back


def _raised(name: str, function: Callable, error: BaseException) -> str:
    """What is said of an error: its kind, its message, and the learner's own line."""
    try:
        message = str(error)[:LONGEST]
    except Exception:  # noqa: BLE001 - an error of the learner's own making
        message = ""
    if isinstance(error, SyntaxError):
        return f"`{name}` cannot be read: {error.msg}, in line {error.lineno}: `{(error.text or '').strip()}`."
    frames, step = [], error.__traceback__
    while step is not None:
        frames.append((step.tb_frame.f_code, step.tb_lineno))
        step = step.tb_next
    where = _where(iter(frames[::-1]))
    code = getattr(function, "__code__", None)
    if not where and code is not None and _own(code):
        where = _where(iter([(code, code.co_firstlineno)]))    # it was never entered: its arguments are others
    said = (f"{type(error).__name__}: {message}" if message else type(error).__name__).replace("`", "'")
    return f"`{name}` raised {said}{where}." if where else f"With `{name}` it came to {said}."


def _where(lines: Iterator[tuple[CodeType, int]]) -> str:
    """The innermost line that is the learner's own, in words; "" where there is none."""
    for code, line in lines:
        if _own(code):
            text = linecache.getline(code.co_filename, line).strip()[:LONGEST].replace("`", "'")
            return f", in line {line} of the cell of `{code.co_name}`" + (f": `{text}`" if text else "")
    return ""


def _own(code: CodeType) -> bool:
    """Whether code is the learner's: of a notebook's cell or of an answer given as text, not of a library's file."""
    name = code.co_filename.replace("\\", "/")
    return ANSWER in name or "ipykernel_" in name or name.startswith("<ipython-input") or name.startswith("<stdin")


# Answers that are given as text have a file's name, too, by which their lines are found.
ANSWER = "<answer"
_answers = iter(range(sys.maxsize))


def defined(text: str, name: str, scope: dict[str, object]) -> Callable:
    """The function of that name which a text defines; `scope`: the names that it may use.

    >>> defined("def double(n):\\n    return 2 * n", "double", {})(4)
    8

    Raises Unfit for a text that cannot be read or run, or defines no such function.
    """
    file = f"{ANSWER} {next(_answers)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)

    def run() -> None:
        exec(compile(text, file, "exec", dont_inherit=True), scope)  # noqa: S102 - the learner's own, in his own kernel

    called(run, name=name)
    if not callable(scope.get(name)):
        raise Unfit(NOT_YET, f"The answer defines no function `{name}`.")
    return scope[name]


def source(function: object) -> str:
    """The text of a function as it was typed, "" where nobody kept it."""
    try:
        return inspect.getsource(function) if callable(function) else ""
    except (OSError, TypeError, IndentationError, SyntaxError):
        return ""


def has_return(function: object) -> bool:
    """Whether a `return` with a value stands in a function's text; a lambda has one. False where nobody kept the text.

    >>> has_return(lambda: None), has_return(len)
    (True, False)
    """
    if getattr(function, "__name__", "") == "<lambda>":
        return True
    try:
        nodes = ast.walk(ast.parse(textwrap.dedent(source(function))))
    except SyntaxError:
        return False
    return any(isinstance(node, ast.Return) and node.value is not None for node in nodes)


def same_code(one: object, other: object) -> bool:
    """Whether two functions do the same, word for word; comments, blank lines and places count for nothing.

    >>> same_code(lambda n: n + 1, lambda n: n + 1), same_code(lambda n: n + 1, lambda n: n + 2)
    (True, False)
    """
    codes = getattr(one, "__code__", None), getattr(other, "__code__", None)
    return None not in codes and _shape(codes[0]) == _shape(codes[1])


def _shape(code: CodeType) -> tuple:
    constants = tuple(_shape(one) if isinstance(one, CodeType) else (type(one), one) for one in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, constants


def has_blank(function: object) -> bool:
    """Whether a blank, `____`, is left in a function, as a name or in a text."""
    return BLANK in repr(_shape(function.__code__)[1:]) if hasattr(function, "__code__") else False


def moved(function: Callable, scope: dict[str, object]) -> Callable:
    """The function with other names around it: what it finds in `scope` comes before what its notebook has."""
    if not isinstance(function, FunctionType):
        return function
    made = FunctionType(function.__code__, {**function.__globals__, **scope}, function.__name__,
                        function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def shown(value: object) -> str:
    """A value of the learner's in a few words, even where its own `repr` raises.

    >>> shown([1, 2]), shown("x" * 200)[:5]
    ('[1, 2]', "'xxxx")
    """
    short = reprlib.Repr()
    short.maxstring, short.maxother, short.maxlist, short.maxtuple, short.maxdict, short.maxlevel = 70, 70, 3, 3, 3, 2
    return short.repr(value).replace("`", "'")

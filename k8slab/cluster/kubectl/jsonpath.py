"""kubectl's JSONPath templates: `{.spec.clusterIP}{"\\n"}`, `{range .items[*]}…{end}` (client-go, util/jsonpath)."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Sequence

from k8slab.errors import Told



class PathError(Told):
    """The template cannot be read, or does not fit what it is given; the message is kubectl's."""


_OPERATORS = {"==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "<": operator.lt,
              ">": operator.gt}
_FILTER = re.compile(r"^\s*(?P<left>.+?)\s*(?:(?P<how>==|!=|<=|>=|<|>)\s*(?P<right>.+?)\s*)?$")
_STEP = re.compile(r"\.\.(?P<deep>\*|[\w-]+)|\.(?P<key>\*|(?:[^.\[\]{}\s\\]|\\.)+)|\[(?P<inside>(?:[^\[\]'\"]|'[^']*'|"
                   r"\"[^\"]*\"|\[[^\]]*\])*)\]|(?P<dot>\.)(?=$|\[)")
_ACTION = re.compile(r"""\{((?:[^{}"']|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*)\}""")


def rendered(template: str, value: object) -> str:
    """A template with the values from an object; what is missing is empty.

    >>> rendered('{.spec.clusterIP}:{.spec.ports[0].port}{"\\\\n"}',
    ...          {"spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}})
    '10.96.0.1:443\\n'
    >>> rendered('{range .a[?(@.n>1)]}{.n} {end}', {"a": [{"n": 1}, {"n": 2}, {"n": 3}]})
    '2 3 '

    Raises PathError for a template that cannot be read.
    """
    parts = _split(template)
    text, at = _render(parts, 0, [value], value)
    if at < len(parts):
        raise PathError(f"error parsing jsonpath {template}, not in range, nothing to end")
    return text


def found(path: str, value: object) -> list:
    """All values at one path: `found(".spec.ports[*].port", service)`; raises PathError."""
    return _walk(_steps(path), [value], value)


def _split(template: str) -> list[tuple[str, str]]:
    """The template as (`text` or `action`, what it says)."""
    parts, at = [], 0
    for match in _ACTION.finditer(template):
        parts += [("text", template[at:match.start()]), ("action", match[1].strip())]
        at = match.end()
    if "{" in template[at:]:
        raise PathError(f"error parsing jsonpath {template}, unclosed action")
    return [*parts, ("text", template[at:])]


def _render(parts: Sequence[tuple[str, str]], at: int, values: list, root: object) -> tuple[str, int]:
    """The text of parts from `at` to the end, or to the `end` of a range; and the place behind."""
    text = ""
    while at < len(parts):
        kind, said = parts[at]
        if kind == "text":
            text += said
        elif said == "end":
            return text, at
        elif said.startswith("range"):
            start = at + 1
            items = _walk(_steps(said[5:].strip()), values, root)
            at = _end(parts, start)
            text += "".join(_render(parts[start:at], 0, [one], root)[0] for one in items)
        elif said[:1] in "\"'" and said:
            text += _unquoted(said)
        else:
            text += " ".join(map(shown, _walk(_steps(said), values, root)))
        at += 1
    return text, at


def _end(parts: Sequence[tuple[str, str]], at: int) -> int:
    depth = 1
    for place in range(at, len(parts)):
        kind, said = parts[place]
        depth += (kind == "action") * (said.startswith("range") - (said == "end"))
        if not depth:
            return place
    raise PathError("error parsing jsonpath: unterminated range, there is no {end}")


def _unquoted(text: str) -> str:
    return text[1:-1].replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"').replace("\\'", "'")


def shown(value: object) -> str:
    """A value as a template prints it: strings bare, objects as JSON.

    >>> shown("a"), shown(1), shown(True), shown({"a": [1]})
    ('a', '1', 'true', '{"a":[1]}')
    """
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _steps(path: str) -> list[tuple[str, str]]:
    """A path as steps, (kind, what it says)."""
    rest = path.removeprefix("$").removeprefix("@")
    if rest and rest[0] not in ".[":
        raise PathError(f"error parsing jsonpath {{{path}}}, unrecognized identifier {path}")
    steps, at = [], 0
    while at < len(rest):
        match = _STEP.match(rest, at)
        if not match:
            raise PathError(f"error parsing jsonpath {{{path}}}, invalid path at {rest[at:]!r}")
        if match.lastgroup != "dot":
            steps.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return steps


def _walk(steps: Sequence[tuple[str, str]], values: list, root: object) -> list:
    for kind, said in steps:
        values = [found for value in values for found in _STEPS[kind](said, value)]
    return values


def _key(said: str, value: object) -> list:
    if said == "*":
        return _members(value)
    name = re.sub(r"\\(.)", r"\1", said)
    return [value[name]] if isinstance(value, dict) and value.get(name) is not None else []


def _members(value: object) -> list:
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    return list(value) if isinstance(value, list) else []


def _deep(said: str, value: object) -> list:
    below = [one for member in _members(value) for one in _deep(said, member)]
    return (_key(said, value) if said != "*" else _members(value)) + below


def _inside(said: str, value: object) -> list:
    said = said.strip()
    if said == "*":
        return _members(value)
    if said.startswith("?(") and said.endswith(")"):
        return [one for one in _members(value) if _passes(said[2:-1], one)]
    if said[:1] in ("'", '"'):
        return [one for name in said.split(",") for one in _key(name.strip()[1:-1].replace(".", "\\."), value)]
    if not isinstance(value, list):
        return []
    if ":" in said:
        return value[slice(*(int(one) if one.strip() else None for one in said.split(":")))]
    return [_at(int(one), value) for one in said.split(",") if re.fullmatch(r"\s*-?\d+\s*", one)] or _bad(said)


def _at(index: int, value: list) -> object:
    if not -len(value) <= index < len(value):
        raise PathError(f"array index out of bounds: index {index}, length {len(value)}")
    return value[index]


def _bad(said: str) -> list:
    raise PathError(f"error parsing jsonpath, invalid array index {said}")


def _passes(test: str, value: object) -> bool:
    match = _FILTER.match(test)
    left = _walk(_steps(match["left"]), [value], value)
    if not match["how"]:
        return bool(left)
    right = match["right"]
    wanted = _walk(_steps(right), [value], value) if right[0] in "@$" else [_literal(right)]
    try:
        return bool(left and wanted) and _OPERATORS[match["how"]](left[0], wanted[0])
    except TypeError:
        return False


def _literal(text: str) -> object:
    if text[0] in "\"'":
        return _unquoted(text)
    try:
        return json.loads(text)
    except ValueError:
        raise PathError(f"error parsing jsonpath, unrecognized identifier {text}") from None


_STEPS: dict[str, Callable[[str, object], list]] = {"key": _key, "deep": _deep, "inside": _inside}

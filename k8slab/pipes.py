"""Pipes as a shell has them, worked in Python, because Windows has neither shell nor grep: `… | grep KUBE | head -n 3`.

The programs are `grep`, `head`, `tail`, `wc -l` and `sort`, with the options that one uses by hand.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence

from k8slab.errors import CommandError

SUPPORTED = ("grep [-viEFwcno] [-A N] [-B N] [-C N] PATTERN, head [-n N], tail [-n N], wc -l, sort [-u] [-r] [-n]")
# What a shell reads outside quotes and what the lab's lines do not know.
SHELL = {">": "to write a file, use Python", "<": "to give a command a text, use lab.run(…, given=text)",
         ";": "write one command a line", "&": "write one command a line"}
QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)      # what a shell takes as it is
# POSIX character classes that Python spells otherwise.
CLASSES = {"[:space:]": r"\s", "[:digit:]": r"\d", "[:alpha:]": "a-zA-Z", "[:alnum:]": "a-zA-Z0-9",
           "[:upper:]": "A-Z", "[:lower:]": "a-z", "[:blank:]": r" \t"}


def split(line: str) -> list[str]:
    """The stages of a line: what stands between the pipes that are outside quotes; "" alone for an empty line.

    >>> split('iptables-save | grep "a | b" | head')
    ['iptables-save', 'grep "a | b"', 'head']

    Raises CommandError for an empty stage and for what only a shell could do.
    """
    stages, quote, skip = [""], "", False
    for character in line:
        if skip or (character == "\\" and quote != "'"):
            skip = not skip
        elif quote or character in "'\"":
            quote = "" if character == quote else quote or character
        elif character == "|":
            stages.append("")
            continue
        elif character in SHELL:
            raise CommandError(f"{line}: {character} is a shell's; {SHELL[character]}")
        stages[-1] += character
    if quote:
        raise CommandError(f"{line}: the quote {quote} is not closed")
    if len(stages) > 1 and not all(stage.strip() for stage in stages):
        raise CommandError(f"{line}: there is nothing on one side of a |")
    return [stage.strip() for stage in stages]


def alone(line: str) -> None:
    """See to it that a line is one program and its words: `run` has no shell that would read more.

    >>> alone("iptables -A FORWARD -m comment --comment 'a > b' -j ACCEPT")

    Raises CommandError for what only a shell could do.
    """
    found = next((one for one in QUOTED.sub("", line) if one in (*SHELL, "|")), "")
    if found:
        raise CommandError(f"{line}: {found} is a shell's, and run starts one program, without a shell; %on knows "
                           "pipes, and a real kernel has sh -c '…'")


def through(text: str, stages: Iterable[str | Sequence[str]]) -> str:
    """The text after it has gone through each stage, a command or its words.

    >>> through("b\\na\\nb\\n", ["sort -u", "head -n 1"])
    'a\\n'

    Raises CommandError for a program or an option that is not known.
    """
    for stage in stages:
        words = shlex.split(stage) if isinstance(stage, str) else list(stage)
        if not words or words[0] not in _FILTERS:
            raise CommandError(f"{' '.join(words) or 'nothing'} is not one of the lab's pipes; there are: {SUPPORTED}")
        text = "".join(f"{line}\n" for line in _FILTERS[words[0]](text.splitlines(), words[1:]))
    return text


def _options(program: str, words: list[str], flags: str, valued: str) -> tuple[dict[str, str], list[str]]:
    """Letters → values, and the words that are no options; `-A2`, `-A 2`, `-iv` and head's `-3` are read alike."""
    found: dict[str, str] = {}
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return found, rest + left
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        letters = f"-n{word[1:]}" if word[1:].isdigit() and "n" in valued else word
        letters = letters[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in valued and (letters or left):
                found[letter], letters = letters or left.pop(0), ""
            elif letter in flags:
                found[letter] = ""
            else:
                raise CommandError(f"{program} {word}: the lab's pipes know {SUPPORTED}")
    return found, rest


def _number(program: str, text: str) -> int:
    if not text.isdecimal():
        raise CommandError(f"{program}: {text} is not a number of lines")
    return int(text)


def _grep(lines: list[str], words: list[str]) -> Iterator[str]:
    said, rest = _options("grep", words, "viEFwcno", "ABCe")
    pattern = said.get("e", rest[0] if rest else None)
    if pattern is None or len(rest) > ("e" not in said):
        raise CommandError(f"grep {' '.join(words)}: one pattern is wanted; the lab's pipes know {SUPPORTED}")
    test = _pattern(pattern, said)
    hits = [i for i, line in enumerate(lines) if bool(test.search(line)) != ("v" in said)]
    if "c" in said:
        return iter([str(len(hits))])
    if "o" in said:
        return (f"{f'{i + 1}:' * ('n' in said)}{m.group()}" for i in hits if "v" not in said
                for m in test.finditer(lines[i]) if m.group())
    before, after = (_number("grep", said.get(side, said.get("C", "0"))) for side in "BA")
    return _with_context(lines, hits, before, after, "n" in said)


def _with_context(lines: list[str], hits: list[int], before: int, after: int, numbered: bool) -> Iterator[str]:
    """The lines that hit and those around them; `--` stands between groups that do not touch."""
    last = -1
    chosen = set(hits)
    around = sorted({j for i in hits for j in range(max(0, i - before), min(len(lines), i + after + 1))})
    for i in around:
        if last >= 0 and i > last + 1 and (before or after):
            yield "--"
        yield f"{i + 1}{':' if i in chosen else '-'}{lines[i]}" if numbered else lines[i]
        last = i


def _pattern(pattern: str, said: dict[str, str]) -> re.Pattern[str]:
    """A pattern of grep's, basic unless -E or -F say otherwise, as Python's (POSIX.1-2017, 9.3 and 9.4)."""
    if "F" in said:
        text = re.escape(pattern)
    else:
        for name, its in CLASSES.items():
            pattern = pattern.replace(name, its)
        text = pattern if "E" in said else _basic(pattern)
    text = rf"(?<!\w)(?:{text})(?!\w)" if "w" in said else text
    try:
        return re.compile(text, re.IGNORECASE if "i" in said else 0)
    except re.error as error:
        raise CommandError(f"grep {pattern}: {error}") from None


def _basic(pattern: str) -> str:
    """In a basic pattern `+?|(){}` are themselves, and special after a backslash; a `*` at the start is itself."""
    pieces = re.findall(r"\[\^?\]?[^]]*\]|\\.|.", pattern, re.DOTALL)
    turned = [piece[1] if len(piece) == 2 and piece[0] == "\\" and piece[1] in "+?|(){}" else
              f"\\{piece}" if piece in tuple("+?|(){}") else piece for piece in pieces]
    if turned[:1] == ["*"]:
        turned[0] = r"\*"
    return "".join(turned)


def _head(lines: list[str], words: list[str]) -> list[str]:
    return lines[:_count("head", words)]


def _tail(lines: list[str], words: list[str]) -> list[str]:
    count = _count("tail", words)
    return lines[-count:] if count else []


def _count(program: str, words: list[str]) -> int:
    said, rest = _options(program, words, "", "n")
    if rest:
        raise CommandError(f"{program} {rest[0]}: it reads what comes through the pipe, and no file")
    return _number(program, said.get("n", "10"))


def _wc(lines: list[str], words: list[str]) -> list[str]:
    if words != ["-l"]:
        raise CommandError(f"wc {' '.join(words)}: the lab's pipes know {SUPPORTED}")
    return [str(len(lines))]


def _sort(lines: list[str], words: list[str]) -> list[str]:
    said, rest = _options("sort", words, "urn", "")
    if rest:
        raise CommandError(f"sort {rest[0]}: it reads what comes through the pipe, and no file")
    number = re.compile(r"\s*(-?\d*\.?\d+)")
    keys: Callable[[str], tuple] = lambda line: (line,)
    if "n" in said:
        keys = lambda line: (float(m[1]) if (m := number.match(line)) else 0.0, line)
    return sorted(dict.fromkeys(lines) if "u" in said else lines, key=keys, reverse="r" in said)


_FILTERS: dict[str, Callable[[list[str], list[str]], Iterable[str]]] = {
    "grep": _grep, "head": _head, "tail": _tail, "wc": _wc, "sort": _sort}

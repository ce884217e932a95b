"""Lines into words and back, with the quotes of iptables-restore.

Words are split at blanks. A double quote opens a part in which blanks are kept and a backslash takes the next
character as it is; the quote that closes it ends the word (xshared.c, add_param_to_argv). A single quote is a
character like any other, unlike in a shell.
"""

from __future__ import annotations

import re

from k8slab.iptables.errors import RulesError

BARE = re.compile(r"[^ \t]+")
WORD = re.compile(r'([^ \t"]*)"([^"\\]*(?:\\.[^"\\]*)*)("?)|[^ \t"]+', re.DOTALL)
# What iptables-restore can hold (xshared.h: MAX_ARGC, of which its own words take four, and the buffer of a word).
MOST_WORDS, LONGEST_WORD = 251, 1023
PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def split(line: str) -> list[str]:
    r"""The words of a line.

    >>> split('-A X -m comment --comment "a \\"b\\""')
    ['-A', 'X', '-m', 'comment', '--comment', 'a "b"']

    Raises RulesError for a quote that is not closed.

    """
    if '"' not in line:
        return BARE.findall(line)
    parts = line.split('"')
    if "\\" not in line and len(parts) % 2 and all(part[-1:] == " " for part in parts[:-1:2]):
        words = BARE.findall(parts[0])                   # the usual case, three times as fast
        for quoted, bare in zip(parts[1::2], parts[2::2]):
            words.append(quoted)
            words += BARE.findall(bare)
        return words
    words = []
    for match in WORD.finditer(line):
        before, quoted, closed = match.groups()
        if quoted is None:
            words.append(match[0])
        elif not closed:
            raise RulesError("is not closed", 'a quoted word ends with "', match[0], column=match.start() + 1)
        else:
            words.append(before + (re.sub(r"\\(.)", r"\1", quoted,
                                          flags=re.DOTALL) if "\\" in quoted else quoted))
    return words


def words_of(line: str) -> list[str]:
    """The words of a line of restore input. Raises RulesError as `split` does, and for more than the program can hold.

    """
    words = split(line)
    if len(words) > MOST_WORDS:
        raise RulesError("begins a line of too many words", f"iptables-restore takes {MOST_WORDS}", words[0], index=0)
    for index, word in enumerate(words if len(line) > LONGEST_WORD else ()):
        if len(word.encode()) > LONGEST_WORD:
            raise RulesError("is too long", f"iptables-restore takes words of {LONGEST_WORD} bytes", word, index=index)
    return words


def columns(line: str) -> list[int]:
    """The column, from 1, at which each word of the line begins."""
    return [match.start() + 1 for match in (WORD if '"' in line else BARE).finditer(line)]


def quote(word: str) -> str:
    """A text as iptables-save prints it: quoted unless it is letters, digits, _ and - only."""
    if PLAIN.fullmatch(word):
        return word
    return '"' + re.sub(r"([\"\\'])", r"\\\1", word) + '"'


def requote(word: str) -> str:
    """A word of an option that is not known here: quoted only where it would not be read back as one word."""
    return quote(word) if not word or any(c in word for c in ' \t"') else word

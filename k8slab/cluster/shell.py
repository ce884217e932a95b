"""A shell's pipe behind a kubectl command: `kubectl get svc -A | grep kube`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from k8slab.cluster.errors import ClusterError
from k8slab.cluster.kubectl import Answer


def piped(command: str | Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """A command line as kubectl's words and those of the programs that it is piped into."""
    if not isinstance(command, str):
        return list(command), []
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts[0][parts[0][:1] == ["kubectl"]:], parts[1:]


def filtered(answer: Answer, pipes: Sequence[Sequence[str]]) -> Answer:
    """What `| grep …` leaves of standard output; standard error goes to the terminal."""
    for words in pipes:
        flags = "".join(one[1:] for one in words[1:] if one.startswith("-"))
        patterns = [one for one in words[1:] if not one.startswith("-")]
        if words[:1] != ["grep"] or len(patterns) != 1 or set(flags) - set("ivE"):
            raise ClusterError(f"after a pipe there may be grep, with -i, -v and one pattern, not {shlex.join(words)}")
        pattern = re.compile(patterns[0], re.IGNORECASE if "i" in flags else 0)
        lines = [one for one in answer.out.splitlines(keepends=True) if bool(pattern.search(one)) != ("v" in flags)]
        errors = tuple(part for part in answer.parts if part[0] == "err")
        answer = Answer((*errors, ("out", "".join(lines))), 0 if lines else 1)
    return answer

"""`k8slab kubectl …`: one command against a fresh cluster, from a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

FILE_FLAGS = ("-f", "--filename")


def add_kubectl(parser: argparse.ArgumentParser) -> None:
    """Let a parser, made with a `prefix_chars` that nobody types, take all words as they come."""
    parser.add_argument("words", nargs="*")
    parser.set_defaults(run=run_kubectl)


def run_kubectl(options: argparse.Namespace) -> int:
    """Run the words of `options` and print the answer; kubectl's status. Files are read as it would read them."""
    from k8slab.cluster.cluster import Cluster  # it brings cryptography, which the other commands can do without
    cluster = Cluster()
    for name in named_files(options.words):
        if name != "-" and Path(name).is_file():
            cluster.give(name, Path(name).read_text(encoding="utf-8"))
    stdin = sys.stdin.read() if "-" in named_files(options.words) else ""
    answer = cluster.kubectl(options.words, stdin)
    for stream, text in answer.parts:
        print(text, end="", file=sys.stdout if stream == "out" else sys.stderr)
    return answer.status


def named_files(words: Sequence[str]) -> list[str]:
    """The files that a command line names with -f.

    >>> named_files(["apply", "-f", "a.yaml", "--filename=b.yaml", "-f-"])
    ['a.yaml', 'b.yaml', '-']
    """
    found = [after for word, after in zip(words, words[1:], strict=False) if word in FILE_FLAGS]
    found += [word.partition("=")[2] for word in words if word.startswith("--filename=")]
    return found + [word[2:].removeprefix("=") for word in words if word.startswith("-f") and word != "-f"]

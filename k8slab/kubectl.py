"""`k8slab kubectl …`: one command from a shell, against what `k8slab serve` runs, else a fresh cluster."""

from __future__ import annotations

import argparse
import sys
from base64 import b64decode
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from k8slab.serving import running

if TYPE_CHECKING:
    from k8slab.cluster.kubectl import Watching

FILE_FLAGS = ("-f", "--filename")


def add_kubectl(parser: argparse.ArgumentParser) -> None:
    """Let a parser, made with a `prefix_chars` that nobody types, take all words as they come."""
    parser.add_argument("words", nargs="*")
    parser.set_defaults(run=run_kubectl)


def run_kubectl(options: argparse.Namespace) -> int:
    """Run the words of `options` and print the answer; kubectl's status. Files are read as it would read them."""
    files = {name: Path(name).read_text(encoding="utf-8") for name in named_files(options.words)
             if name != "-" and Path(name).is_file()}
    stdin = sys.stdin.read() if "-" in named_files(options.words) else ""
    served = running()
    return _ask_served(served[-1], options.words, files | {"-": stdin}) if served else _ask_fresh(
        options.words, files, stdin)


def _ask_fresh(words: Sequence[str], files: dict[str, str], stdin: str) -> int:
    from k8slab.cluster.cluster import Cluster  # it brings cryptography, which the other commands can do without
    cluster = Cluster()
    for name, text in files.items():
        cluster.give(name, text)
    answer = cluster.kubectl(words, stdin)
    _print(answer.parts)
    return answer.status


def _ask_served(config: Path, words: Sequence[str], given: dict[str, str]) -> int:
    from k8slab.cluster.http.remote import Remote
    from k8slab.cluster.kubectl import kubectl

    told = yaml.safe_load(config.read_text(encoding="utf-8"))
    server, user = told["clusters"][0]["cluster"], told["users"][0]["user"]
    remote = Remote(server["server"], b64decode(server["certificate-authority-data"]).decode(), user["token"])
    shown = 0

    def follow(watch: Watching) -> None:
        nonlocal shown
        with suppress(KeyboardInterrupt):
            for _ in chain([None], remote.events()):
                shown = _print(watch.parts, shown)
        watch.close()

    watches = {"-w", "--watch", "--watch-only"} & set(words) and "get" in words
    answer = kubectl(remote, words, given, follow if watches else None)
    _print(answer.parts, shown)
    return answer.status


def _print(parts: Sequence[tuple[str, str]], shown: int = 0) -> int:
    """Print parts of an answer but for the first `shown`; how many have been printed then."""
    for stream, text in parts[shown:]:
        print(text, end="", file=sys.stdout if stream == "out" else sys.stderr, flush=True)
    return len(parts)


def named_files(words: Sequence[str]) -> list[str]:
    """The files that a command line names with -f.

    >>> named_files(["apply", "-f", "a.yaml", "--filename=b.yaml", "-f-"])
    ['a.yaml', 'b.yaml', '-']
    """
    found = [after for word, after in zip(words, words[1:], strict=False) if word in FILE_FLAGS]
    found += [word.partition("=")[2] for word in words if word.startswith("--filename=")]
    return found + [word[2:].removeprefix("=") for word in words if word.startswith("-f") and word != "-f"]

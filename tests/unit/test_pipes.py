"""Pipes: each filter against the real program where there is one, and what is refused."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from k8slab.errors import CommandError
from k8slab.pipes import split, through

TEXT = "".join(f"{line}\n" for line in (
    "-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-NPX", "-N KUBE-SEP-A", "Chain (2 references)", "kube-svc", "",
    "-N KUBE-SEP-B", "a+b|c", "10 x", "9 y", "-N KUBE-SEP-A", "last one", "*"))


@pytest.mark.parametrize("stage", [
    "grep KUBE", "grep -i kube", "grep -v KUBE", "grep -c KUBE", "grep -n SEP", "grep -w svc", "grep -iw SVC",
    "grep -E 'KUBE-(SVC|SEP)'", r"grep 'KUBE-\(SVC\|SEP\)'", "grep '(2'", "grep -F a+b", "grep a+b", "grep 'b|c'",
    r"grep '10\.96'", "grep -o 'KUBE-[A-Z]*'", "grep -on SEP", "grep -A 1 SEP", "grep -B1 SEP", "grep -nA1 SEP",
    "grep -C 1 kube", "grep -e -N", "grep -- -N", "grep '^-N'", "grep 'A$'", "grep '[[:digit:]] x'", "grep '*'",
    "grep -E '^[0-9]+ '", "grep nothing", "grep -c nothing", "head", "head -n 2", "head -2", "head -n 0", "tail -n 2",
    "tail -1", "tail -n 0", "wc -l", "sort", "sort -u", "sort -r", "sort -n", "sort -nr", "sort -u -r",
])
def test_a_filter_does_what_the_real_program_does(stage):
    program = stage.split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    real = subprocess.run(["sh", "-c", stage], input=TEXT, capture_output=True, text=True, env={"LC_ALL": "C"},
                          check=False)
    assert through(TEXT, [stage]) == real.stdout and not real.stderr


def test_stages_follow_one_another():
    assert through(TEXT, ["grep SEP", "sort -u", "wc -l"]) == "2\n"
    assert through("", ["grep x"]) == "" and through("no newline", ["head"]) == "no newline\n"


def test_a_pipe_in_quotes_is_a_letter():
    assert split("""iptables -m comment --comment "a | b" | grep 'x|y' | head""") == [
        'iptables -m comment --comment "a | b"', "grep 'x|y'", "head"]
    assert split(r"echo a\|b") == [r"echo a\|b"]


@pytest.mark.parametrize(("line", "says"), [
    ("a | ", "nothing on one side"), ("a > file", "to write a file, use Python"), ("a; b", "one command a line"),
    ("a && b", "one command a line"), ("a 'b", "quote ' is not closed"),
])
def test_what_only_a_shell_could_do_is_refused(line, says):
    with pytest.raises(CommandError, match=says):
        split(line)


@pytest.mark.parametrize(("stage", "says"), [
    ("awk x", "awk x is not one of the lab's pipes"), ("grep", "one pattern is wanted"), ("grep a file", "one pattern"),
    ("grep -z a", "grep -z: the lab's pipes know"), ("head -n x", "x is not a number"), ("head file", "no file"),
    ("wc", "know"), ("grep -E '('", "grep"), ("sort file", "no file"),
])
def test_what_is_not_known_is_told(stage, says):
    with pytest.raises(CommandError, match=says):
        through(TEXT, [stage])

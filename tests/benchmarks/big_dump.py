"""How long 10,000 Services of 5 endpoints take, beside iptables' own programs, and beside a hundred Services.

    python -m tests.benchmarks.big_dump

Measured are: reading the text and checking every rule, as a whole process; `k8slab trace`, from the start of its
process to its answer, as it reads such a dump and with every rule checked; and beside them, on the same text in
namespaces of their own, `iptables-restore --test` and its legacy twin. Then, in one process and with the rules read: a
trace to the last of 10,000 Services beside one to the last of 100, and beside the walk that tries every rule. All are
done in turn, several times; memory is the most that the process had at once. Python's collector is off, as it is in
`k8slab trace`.
"""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from k8slab.iptables import Ruleset, parse
from k8slab.model.chance import Seeded
from k8slab.model.dump import Question
from k8slab.packet import Packet
from tests.model.services import cluster_text

SERVICES, FEW, ENDPOINTS = 10_000, 100, 5
ROUNDS, TRACES = 5, 50
READ = "import gc, sys; gc.disable(); from k8slab.iptables import parse; rules = parse(open(sys.argv[1], 'rb').read())"
MADE = "; sum(len(rule.tests) for table in rules.tables for chain in table.chains for rule in chain.rules)"
# A process's memory is counted from its parent's on, so that its parent is a small one.
LAUNCH = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[2:], stdin=open(sys.argv[1]), stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(time.perf_counter() - start, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))
process.returncode = 0
"""
PROGRAMS = ("iptables-restore", "iptables-legacy-restore")


def run(words: list[str], given: Path | None = None) -> tuple[float, float]:
    """Seconds, and megabytes at most, of a process that must succeed."""
    launch = [sys.executable, "-c", LAUNCH, str(given or os.devnull), *words]
    seconds, megabytes, status = subprocess.run(launch, capture_output=True, text=True, check=True).stdout.split()
    assert status == "0", words
    return float(seconds), float(megabytes)


def last_of(rules: Ruleset) -> str:
    """The address of the Service that stands last in KUBE-SERVICES."""
    rule = [rule for rule in rules["nat"]["KUBE-SERVICES"].rules if rule.target.name.startswith("KUBE-SVC")][-1]
    words = rule.text.split()
    return words[words.index("-d") + 1].removesuffix("/32")


def processes(path: Path, address: str) -> dict[str, list[str]]:
    """What is measured as processes, by its name; the first two are what the others stand beside."""
    trace = [sys.executable, "-m", "k8slab", "trace", str(path), "--from", "10.244.1.5", "--to", f"{address}:80"]
    found = {name: ["unshare", "-rn", name, "--test"] for name in PROGRAMS if shutil.which(name)}
    return found | {
        "read and check every rule": [sys.executable, "-c", READ, str(path)],
        "the same, and make values of them all": [sys.executable, "-c", READ + MADE, str(path)],
        "k8slab trace": trace, "k8slab trace --check": [*trace, "--check"],
    }


def whole(kind: str, text: str) -> None:
    """Measure the processes, and print a table."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "big.iptables-save")
        path.write_text(text, encoding="ascii")
        asked = processes(path, last_of(parse(text)))
        taken: dict[str, list[float]] = {name: [] for name in asked}
        most = dict.fromkeys(asked, 0.0)
        for _ in range(ROUNDS):
            for name, words in asked.items():
                seconds, megabytes = run(words, path if name in PROGRAMS else None)
                taken[name].append(seconds)
                most[name] = max(most[name], megabytes)
    beside = [name for name in PROGRAMS if name in taken]
    print(f"\n{kind}: {text.count(chr(10) + '-A '):,} rules, {len(text) / 1e6:.1f} MB; {ROUNDS} rounds in turn")
    print(f"{'':40}{'seconds':>9}{'MB':>6}   " + "   ".join(f"beside {name:26}" for name in beside))
    for name in asked:
        print(f"{name:40}{median(taken[name]):9.2f}{most[name]:6.0f}   "
              + "   ".join(f"{ratios(taken[name], taken[other]):33}" for other in beside))


def ratios(ours: list[float], theirs: list[float]) -> str:
    """The median of the ratios of rounds, and their range."""
    found = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    return f"{median(found):.2f} (from {found[0]:.2f} to {found[-1]:.2f})"


def timed(work: Callable[[], object], times: int) -> float:
    gc.collect()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def walks() -> None:
    """Measure traces of rules that were read, and print the ratios."""
    questions = {}
    for size in (FEW, SERVICES):
        rules = parse(cluster_text(size, ENDPOINTS))
        packet = Packet("tcp", "10.244.1.5", last_of(rules), 40000, 80)
        for plain in (False, True):
            questions[size, plain] = Question(rules, packet, plain=plain)
            questions[size, plain].trace(Seeded(1))
    taken: dict[tuple[int, bool], list[float]] = {key: [] for key in questions}
    for _ in range(ROUNDS):
        for key, question in questions.items():
            taken[key].append(timed(lambda: question.trace(Seeded(1)), 3 if key == (SERVICES, True) else TRACES))
    few, many, plain = taken[FEW, False], taken[SERVICES, False], taken[SERVICES, True]
    print(f"\nrules read, reasons worked out when asked for; the first trace, which makes the index, left out\n"
          f"a trace to the last of {SERVICES:,} Services takes {1e3 * median(many):.2f} ms: {ratios(many, few)} times "
          f"the one to the last of {FEW}\n"
          f"the walk that tries every rule takes {ratios(plain, many)} times as long")


def main() -> None:
    """Measure all of it, with and without the comments that kube-proxy leaves out of a large cluster."""
    whole("as kube-proxy writes it", cluster_text(SERVICES, ENDPOINTS))
    whole("with the comments that it leaves out there", cluster_text(SERVICES, ENDPOINTS, True))
    walks()


if __name__ == "__main__":
    main()

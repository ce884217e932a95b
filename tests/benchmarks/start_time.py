"""How long it takes to begin: imports, a lab to its first trace, and `k8slab demo`, beside an empty Python and scapy.

    python -m tests.benchmarks.start_time

Each is a process of its own, from its start to its end, all in turn; "net" is without the empty Python. The last lines
are measured inside one process: what is imported already is not imported again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

EMPTY, SCAPY = "python -c pass", "import scapy.all"
LAB = "from k8slab.lab import Lab; "
TRACE = "Lab(dataplane='model').connect('client', '10.96.0.1', 443)"
ROUNDS = 9
INSIDE = f"import time; {LAB}start = time.perf_counter(); {TRACE}; print(time.perf_counter() - start)"


def code(text: str) -> list[str]:
    return [sys.executable, "-c", text]


PROCESSES = {
    EMPTY: code("pass"), SCAPY: code("import scapy.all"), "import k8slab": code("import k8slab"),
    "from k8slab.lab import Lab": code(LAB), "a lab on the model, to its first trace": code(LAB + TRACE),
    "k8slab demo --dataplane model": [sys.executable, "-m", "k8slab", "demo", "--dataplane", "model"],
    "k8slab demo": [sys.executable, "-m", "k8slab", "demo"],
}


def run(words: list[str]) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ)
    return time.perf_counter() - start, done.stdout


def main() -> None:
    """Measure all, and print a table of medians with their ratios."""
    taken: dict[str, list[float]] = {name: [] for name in PROCESSES}
    inside = []
    for _ in range(ROUNDS):
        for name, words in PROCESSES.items():
            taken[name].append(run(words)[0])
        inside.append(float(run(code(INSIDE))[1]))
    print(f"{ROUNDS} rounds in turn\n{'':42}{'ms':>6}{'net':>6}   beside {EMPTY:24}   beside {SCAPY}")
    for name, times in taken.items():
        net = median(one - other for one, other in zip(times, taken[EMPTY], strict=True))
        print(f"{name:42}{1e3 * median(times):6.0f}{1e3 * net:6.0f}   {ratios(times, taken[EMPTY]):31}   "
              f"{ratios(times, taken[SCAPY])}")
    print(f"inside a process, Lab(dataplane='model') to its first trace takes {1e3 * median(inside):.1f} ms: "
          f"{ratios(inside, taken[EMPTY])} times {EMPTY}, {ratios(inside, taken[SCAPY])} times {SCAPY}")


def ratios(ours: list[float], theirs: list[float]) -> str:
    found = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    return f"{median(found):.2f} (from {found[0]:.2f} to {found[-1]:.2f})"


if __name__ == "__main__":
    main()

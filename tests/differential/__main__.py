"""`python -m tests.differential --cases 20000 [--seed N]`: the model against the kernel."""

from __future__ import annotations

import argparse
import os
import sys

from tests.differential.counts import table
from tests.differential.many import Found, many

WIDTH = 40


def main() -> int:
    """Try the cases and print what came of them; exit status 1 where the two differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--seed", type=int, default=1, help="what they are drawn from (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    options = parser.parse_args()
    found = many(options.seed, options.cases, options.jobs,
                 lambda so_far, seconds: _bar(so_far, seconds, options.cases))
    print(file=sys.stderr)
    print(table(found.counts))
    print(f"\n{found.cases} cases, {found.packets} packets and connections; seed {options.seed}")
    print(f"refused by iptables-restore: {found.refused}; of which the model cannot tell the end: {found.unknown}")
    print(f"differed once, and not again in a new lab: {found.again}")
    print(f"differences: {len(found.differences)}")
    for text in found.differences:
        print(f"\n{text}")
    return bool(found.differences)


def _bar(found: Found, seconds: float, cases: int) -> None:
    done = found.cases * WIDTH // cases
    print(f"\r[{'#' * done}{'.' * (WIDTH - done)}] {found.cases}/{cases}, {seconds:.0f} s, "
          f"{len(found.differences)} differ", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

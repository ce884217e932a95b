"""How long `connections(n)` takes, beside as many connections that are made one after the other.

    python -m tests.benchmarks.many_time

Both count the same, which is looked at here, too: the dice are the same.
"""

from __future__ import annotations

import time
from collections import Counter
from statistics import median

from k8slab.model.dataplane import Model
from tests.model.labs import VIP, VIP_PORT, WEB, model

ROUNDS, SOME, MANY = 5, 1_000, 100_000
SERVICE = f"-d {VIP}/32 -p tcp -m tcp --dport {VIP_PORT}"
NAT = "\n".join(f"-A PREROUTING {SERVICE} -m statistic --mode random --probability {1 / (5 - n):.10f} "
                f"-j DNAT --to-destination {WEB}:{8080 + n}" for n in range(5))


def one_by_one(lab: Model, n: int) -> Counter[str]:
    traces = (lab.connect("client", VIP, VIP_PORT) for _ in range(n))
    return Counter(trace.received.destination if trace.received else trace.verdict for trace in traces)


def main() -> None:
    """Measure, compare, and print."""
    pairs, more = [], []
    for seed in range(ROUNDS):
        start = time.perf_counter()
        made = one_by_one(model(seed=seed, nat=NAT), SOME)
        middle = time.perf_counter()
        counted = model(seed=seed, nat=NAT).connections(SOME, "client", VIP, VIP_PORT)
        end = time.perf_counter()
        assert made == counted and len(made) == 5
        model(seed=seed, nat=NAT).connections(MANY, "client", VIP, VIP_PORT)
        more.append(time.perf_counter() - end)
        pairs.append(((middle - start) / SOME, (end - middle) / SOME))
    ratios = sorted(made / counted for made, counted in pairs)
    each = sorted(made / (taken / MANY) for (made, _), taken in zip(pairs, more, strict=True))
    print(f"{SOME:,} connections: {median(ratios):.1f} times as fast as made one by one, with equal counts "
          f"(from {ratios[0]:.1f} to {ratios[-1]:.1f} in {ROUNDS} rounds)\n"
          f"{MANY:,} connections: {median(each):.0f} times as fast for each (from {each[0]:.0f} to {each[-1]:.0f}; "
          f"{median(more):.2f} s in all)")


if __name__ == "__main__":
    main()

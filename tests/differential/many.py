"""Many cases, in several processes: each works through its share, and says what it found as it goes."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from random import Random

from k8slab.model.dataplane import Model
from tests.differential import networks
from tests.differential.cases import Case, Lab, case, shrink
from tests.differential.counts import count

PER_NETWORK = 25              # cases on one network, before another is made


@dataclass
class Found:
    """What came of some cases. `differences`: texts; `again`: how many did not differ a second time, in a new lab."""

    cases: int = 0
    packets: int = 0
    counts: Counter = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    refused: int = 0
    unknown: int = 0
    again: int = 0

    def add(self, other: Found) -> None:
        self.cases += other.cases
        self.packets += other.packets
        self.counts += other.counts
        self.differences += other.differences
        self.refused += other.refused
        self.unknown += other.unknown
        self.again += other.again


def numbered(seed: int, number: int) -> tuple[Random, Random]:
    """The dice of a case's network and of the case itself: the same for the same seed and number."""
    return Random(f"{seed}-{number // PER_NETWORK}"), Random(f"{seed}/{number}")


def some(seed: int, numbers: range, model: type[Model] = Model, *, small: bool = True) -> Iterator[Found]:
    """Try these cases, a network's worth at a time. With `small`, each difference is shrunk before it is told."""
    for start in range(numbers.start, numbers.stop, PER_NETWORK):
        made = networks.network(numbered(seed, start)[0])
        found = Found()
        with closing(Lab(made)) as lab:
            for number in range(start, min(start + PER_NETWORK, numbers.stop)):
                _one(found, lab, seed, number, model, small)
        yield found


def _one(found: Found, lab: Lab, seed: int, number: int, model: type[Model], small: bool) -> None:
    one = case(numbered(seed, number)[1], lab.network, number)
    difference, traces = lab.attempt(one, model)
    found.cases += 1
    found.packets += len(traces)
    found.unknown += sum(any(s.verdict == "UNKNOWN" for s in trace.steps) for trace in traces)
    found.counts += count(traces)
    if difference.startswith("refused"):
        found.refused += 1
    elif difference:
        with closing(Lab(lab.network)) as anew:        # Linux sends few errors about routes: a new lab has its share
            difference, _ = anew.attempt(one, model)
            if not difference:
                found.again += 1
            else:
                found.differences.append(_told(anew, one, seed, number, model, small) if small else difference)


def _told(lab: Lab, one: Case, seed: int, number: int, model: type[Model], small: bool) -> str:
    least = shrink(lab.network, one, model)
    with closing(Lab(lab.network)) as anew:
        difference, _ = anew.attempt(least, model)
    lines = [f"case {number} of seed {seed}: {difference}", *(
        f"  {host.name}: {host.sysctls}" for host in lab.network.hosts if host.sysctls)]
    for node, text in least.rules.items():
        lines += [f"  rules of {node}:", *(f"    {line}" for line in text.splitlines() if line[:1] in "*:-" and (
            line[:1] != ":" or " ACCEPT" not in line))]
    return "\n".join([*lines, *(f"  {a.what} at {a.host}: {a.packet or ''} {a.text}" for a in least.actions)])


def _share(seed: int, numbers: range, results: multiprocessing.Queue) -> None:
    try:
        for found in some(seed, numbers):
            results.put(found)
    except Exception as error:
        results.put(Found(differences=[f"{type(error).__name__}: {error}"]))
        raise
    finally:
        results.put(None)


def many(seed: int, cases: int, processes: int, progress: Callable[[Found, float], None]) -> Found:
    """Try that many cases in some processes; `progress` is told the sum so far and the seconds."""
    results: multiprocessing.Queue = multiprocessing.Queue()
    step = -(-cases // processes // PER_NETWORK) * PER_NETWORK
    shares = [range(start, min(start + step, cases)) for start in range(0, cases, step)]
    workers = [multiprocessing.Process(target=_share, args=(seed, share, results)) for share in shares]
    for worker in workers:
        worker.start()
    total, begun, working = Found(), time.monotonic(), len(workers)
    while working:
        found = results.get()
        if found is None:
            working -= 1
        else:
            total.add(found)
            progress(total, time.monotonic() - begun)
    for worker in workers:
        worker.join()
    return total

"""Labs made and closed in a row: nothing grows.

Python asks the system for memory by the mebibyte (an arena of `obmalloc.c`), so that a single small object may cost
one: the process's memory shows what is large, and what lies outside Python's own; its count of allocated blocks shows
the rest, one by one. A few remain from ports that no lab had before, in caches that have an end.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.kernel.users import USERS, start

pytestmark = pytest.mark.kernel

MANY = """
import gc, json, os, sys, threading, time
from pathlib import Path
from k8slab.errors import Told
from k8slab.kernel.dataplane import Kernel
from k8slab.lab import node_rules
from k8slab.network import cluster_network
from tests.kernel.moments import limit, processes

limit()                    # the namespaces of one lab, and not one more
network, warm, count = cluster_network(), int(sys.argv[1]), int(sys.argv[2])
rules = {host.name: node_rules(host.name, host.address) for host in network.hosts if host.kind == "node"}

def kernel():
    end = time.monotonic() + 15
    while True:
        try:
            return Kernel(network, rules)
        except Told as error:          # the kernel takes the lab before away a little later
            if "No space left" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)

def measured():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"objects": sys.getallocatedblocks(), "memory": pages * os.sysconf("SC_PAGE_SIZE"),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "threads": threading.active_count() + len(os.listdir("/proc/self/task")),
            "processes": sum(parent == os.getpid() for parent in processes().values())}

for number in range(count):
    if number == warm:
        print(json.dumps(measured()))
    with kernel() as lab:
        assert lab.connect("client", "10.96.0.1", 443).verdict == "DELIVERED"
print(json.dumps(measured()))
"""


def grows(user: str, warm: int, count: int) -> dict[str, int]:
    """By how much each has grown from the lab `warm` to the last one, in bytes for memory."""
    done = start(user, ["-c", MANY, str(warm), str(count)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = done.communicate(timeout=60 + 5 * count)[0]
    assert done.returncode == 0, said
    before, after = (json.loads(line) for line in said.splitlines())
    return {name: after[name] - before[name] for name in before}


def test_twenty_labs_in_a_row_leave_nothing_behind():
    found = grows("user", warm=5, count=20)
    assert found.pop("objects") < 15 * 14
    assert found.pop("memory") < 3 << 20
    assert set(found.values()) == {0}, found


@pytest.mark.slow
@pytest.mark.parametrize("user", USERS)
def test_two_hundred_labs_in_a_row_leave_nothing_behind(user):
    found = grows(user, warm=50, count=200)
    assert found.pop("objects") < 150 * 3
    assert found.pop("memory") < 2 << 20         # that is 14 kB for each lab
    assert set(found.values()) == {0}, found

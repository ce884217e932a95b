"""Kill what a lab is made of at random moments of its life, and see that nothing is left.

    python -m tests.kernel.moments SEED COUNT [--limit]

The lab is made, used and closed by a process of its own, "the notebook", which says in which phase it is. One, two or
three of the notebook, the outer and the inner child are then killed, some time into a phase. Whoever loses its parent
becomes a child of this process (PR_SET_CHILD_SUBREAPER), so that no process can get out of sight.

With --limit all happens in a user namespace that allows the namespaces of one lab and not one more: a namespace that
stayed would keep the next lab from being made.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from k8slab.kernel import build, linux
from k8slab.network import cluster_network
from tests.kernel.host import differences, host_state

PATIENCE = 15.0                      # seconds in which all must be gone
PHASES = {"building": 0.4, "sending": 0.2, "idle": 0.1, "closing": 0.05}      # about as long as each lasts, in seconds
PARTIES = ("notebook", "outer", "inner")
FIRST = (("idle", ["outer"]), ("building", ["notebook"]), ("sending", ["inner"]), ("closing", ["notebook"]))
CHILD = b"k8slab.kernel.child"        # in the command line of the outer and the inner process
SUBREAPER = 36                       # prctl(2), PR_SET_CHILD_SUBREAPER
LIFE = """
import sys, time
from k8slab.errors import Told
from k8slab.kernel.dataplane import Kernel
from k8slab.lab import node_rules
from k8slab.network import cluster_network
from k8slab.packet import Packet

network, end = cluster_network(), time.monotonic() + 15
rules = {host.name: node_rules(host.name, host.address) for host in network.hosts if host.kind == "node"}
try:
    while True:
        print("building", flush=True)
        try:
            lab = Kernel(network, rules)
            break
        except Told as error:        # the kernel takes the namespaces of the lab before away a little later
            if "No space left" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.02)
    print("sending", flush=True)
    for port in range(40000, 40003):
        lab.connect("client", "10.96.0.1", 443)
        lab.send(Packet("udp", "10.244.1.5", "10.244.1.7", port, 53), "client")
    print("idle", flush=True)
    sys.stdin.readline()
    print("closing", flush=True)
    lab.close()
    print("closed", flush=True)
except Told as error:
    print("told", error, flush=True)
sys.stdin.read()
"""


def main() -> None:
    """Go through the moments; ends with status 1 and a sentence at the first that leaves something."""
    reads = argparse.ArgumentParser()
    reads.add_argument("seed", type=int)
    reads.add_argument("count", type=int)
    reads.add_argument("--limit", action="store_true")
    options = reads.parse_args()
    if ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0):
        sys.exit("this kernel has no PR_SET_CHILD_SUBREAPER")
    if options.limit:
        limit()
    before, chance = host_state(), random.Random(options.seed)
    for number in range(options.count):
        phase = list(PHASES)[number % len(PHASES)]
        victims = chance.sample(PARTIES, chance.randint(1, 3))
        if number < len(FIRST):
            phase, victims = FIRST[number]
        with tempfile.TemporaryDirectory() as folder:
            wrong = one(phase, chance.random() * PHASES[phase], victims, Path(folder))
        if changed := differences(before, host_state()):
            wrong = f"the host has changed: {changed}"
        print(f"{number + 1} {phase} {' '.join(victims)}: {wrong or 'nothing left'}", flush=True)
        if wrong:
            sys.exit(1)


def limit() -> None:
    """From now on this process and all below it may have the namespaces of one lab and no more."""
    user, group, network = os.geteuid(), os.getegid(), cluster_network()
    linux.unshare(linux.NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    nets = 1 + len(network.hosts) + len(build.switches(network))
    for kind, most in {"net": nets, "user": 1, "pid": 1, "mnt": 0, "uts": 0, "ipc": 0}.items():
        Path(f"/proc/sys/user/max_{kind}_namespaces").write_text(str(most), encoding="ascii")


def one(phase: str, wait: float, victims: list[str], folder: Path) -> str:
    """One life and what ends it; what was left, in words, "" for nothing."""
    notebook = subprocess.Popen([sys.executable, "-c", LIFE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                cwd=folder, env=os.environ | {"TMPDIR": str(folder)})
    said = [""]
    while said[-1] not in (phase, "closed") and not said[-1].startswith("told"):
        said.append(notebook.stdout.readline().strip())
        if said[-1] == "idle" and phase != "idle":
            print(file=notebook.stdin, flush=True)
    time.sleep(wait)
    pids = parties(notebook.pid)
    for pid in [pids[name] for name in victims if name in pids] or [notebook.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass                         # it went with one that was killed before
    left = outlive({notebook.pid})
    said += notebook.communicate("")[0].splitlines()
    if left or outlive(set()):
        return f"processes are left: {left}"
    if notebook.returncode == 0 and not (said[-1] == "closed" or "has ended" in said[-1]):
        return f"the notebook was not told: {said}"
    return f"files are left: {os.listdir(folder)}" if os.listdir(folder) else ""


def parties(notebook: int) -> dict[str, int]:
    """Name → process id of those of the three that there are now."""
    found = {"notebook": notebook}
    for parent, child in (("notebook", "outer"), ("outer", "inner")):
        below = [pid for pid, above in processes().items()
                 if above == found.get(parent) and CHILD in command_line(pid)]      # the notebook asks iptables, too
        if below:
            found[child] = below[0]
    return found


def processes(zombies: bool = True) -> dict[int, int]:
    """The process id of each process → its parent's. A zombie has ended, and waits to be noticed."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue                     # it has just ended
        if zombies or state != "Z":
            found[int(stat.parent.name)] = int(parent)
    return found


def command_line(pid: int) -> bytes:
    """What a process was started with; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def outlive(but: set[int]) -> list[str]:
    """Wait until no process is below this one but those, and their zombies; the command lines of those that stay."""
    end = time.monotonic() + PATIENCE
    while True:
        parents, below = processes(zombies=not but), [os.getpid()]
        for pid in below:
            below += [child for child, parent in parents.items() if parent == pid]
        left = [pid for pid in below[1:] if pid not in but]
        if not left or time.monotonic() > end:
            return [f"{pid} {command_line(pid)!r}" for pid in left]
        for pid in left:
            if parents[pid] == os.getpid():
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)


if __name__ == "__main__":
    main()

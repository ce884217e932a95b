"""How long the real kernel's lab takes to be made, beside the same made by one process for each command.

    python -m tests.benchmarks.lab_time

The other way is a shell script in namespaces of its own, as lab builders write it: `ip netns add`, one `ip` for each
link, address and route, one `iptables` for each chain and rule, one `sysctl` for all settings of a host. It starts
no servers, watches nothing, and has nothing to take down. Ours is `Kernel(…)`, from the start of its process to the
last rule. Both are done in turn, in one run.
"""

from __future__ import annotations

import gc
import shlex
import subprocess
import time
from collections.abc import Iterator

from k8slab.kernel import build
from k8slab.kernel.dataplane import Kernel
from k8slab.lab import node_rules
from k8slab.network import PODS, Network, cluster_network

ROUNDS = 5
HOME = ["unshare", "-r", "unshare", "-n", "-m", "sh", "-e"]
READY = "mount -t tmpfs tmpfs /run\nmkdir /run/netns\nexport XTABLES_LOCKFILE=/dev/null\n"


def network_of(pods: int) -> Network:
    """Two nodes and this many Pods: the lab's own four, and others on both nodes."""
    more = {f"pod-{n}": f"10.244.{n % 2}.{10 + n // 2}" for n in range(pods - len(PODS))}
    return cluster_network(pods=PODS | more)


def rules_of(network: Network) -> dict[str, str]:
    """kube-proxy's rules for each node."""
    return {host.name: node_rules(host.name, host.address) for host in network.hosts if host.kind == "node"}


def one_by_one(network: Network, rules: dict[str, str]) -> str:
    """The shell script, with one program for each command."""
    names = {name: name.replace(" ", "-") for name in [*(h.name for h in network.hosts), *build.switches(network)]}
    lines = [f"ip netns add {name}" for name in names.values()]
    lines += [f"ip {line}" for line in build.links(network, names).replace("/proc/self/fd/", "").splitlines()]
    lines += [f"ip -n {names[name]} {line}" for name in build.switches(network)
              for line in build.switch(network, name).splitlines()]
    for host in network.hosts:
        lines += [f"ip -n {host.name} {line}" for line in build.addresses(host).splitlines()]
        words = [f"net/{path.lstrip('?')}={value}" for name, path, value in
                 build.settings((host,)) + build.patience((host,)) if not path.startswith("?")]
        lines.append(f"ip netns exec {host.name} sysctl -q -w {' '.join(words)}")
    lines += [f"ip netns exec {node} iptables -w {words}" for node, text in rules.items() for words in commands(text)]
    return READY + "\n".join(lines) + "\n"


def commands(text: str) -> Iterator[str]:
    """The words for `iptables`, of each line of restore text."""
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            chain, policy, _ = line[1:].split()
            yield f"-t {table} -N {chain}" if policy == "-" else f"-t {table} -P {chain} {policy}"
        elif line.startswith("-A"):
            yield f"-t {table} {shlex.join(shlex.split(line))}"


def timed_ours(network: Network, rules: dict[str, str]) -> float:
    gc.collect()
    start = time.perf_counter()
    lab = Kernel(network, rules)
    taken = time.perf_counter() - start
    lab.close()
    return taken


def timed_theirs(script: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(HOME, input=script, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    return taken


def main() -> None:
    """Measure both sizes."""
    for pods in (8, 64):
        network = network_of(pods)
        rules = rules_of(network)
        script = one_by_one(network, rules)
        pairs = [(timed_ours(network, rules), timed_theirs(script)) for _ in range(ROUNDS)]
        ratios = sorted(theirs / ours for ours, theirs in pairs)
        print(f"a lab of 2 nodes and {pods} Pods, with its rules: {ratios[ROUNDS // 2]:.1f} times as fast as "
              f"{len(script.splitlines()) - 3} commands one by one (from {ratios[0]:.1f} to {ratios[-1]:.1f} "
              f"in {ROUNDS} rounds; at best {min(ours for ours, _ in pairs):.2f} s and "
              f"{min(theirs for _, theirs in pairs):.2f} s)")


if __name__ == "__main__":
    main()

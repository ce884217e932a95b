"""Tries: a probe that is sent once, or many times where chance decides, and what it is that nodes remember meanwhile.

    tries(lab, probe, 30, fresh=True)  ──>  one that went wrong, else the last; how many did; how long it waited

Where a Service has affinity, a node remembers by which endpoint a client was answered (`-m recent`), so that thirty
tries of one client are one try. A fresh try is one of a client that is new to the node. Afterwards the node remembers
what it remembered before: what somebody has asked to see must not depend on how often he asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

from k8slab.course.probe import Probe, Sent
from k8slab.lab import Lab
from k8slab.model.dataplane import Model
from k8slab.model.wire import GIVEN_UP
from k8slab.stack.says import NO_NEIGHBOUR

if TYPE_CHECKING:
    from k8slab.kernel.dataplane import Kernel

LISTS = re.compile(r"-m recent .*?--name (\S+)")
NO_ANSWER_TO_ARP = NO_NEIGHBOUR.rpartition("; ")[2]
DISCARD = 9         # a port at which nobody listens


def tries(lab: Lab, probe: Probe, times: int = 1, *, fresh: bool = False) -> Sent:
    """Send a probe: one that went wrong, else the last, with how many went wrong.

    `fresh`: the first as the node remembers the client, the others as if it were new; no more are sent than it takes
    to know whether all are answered, some or none.
    """
    if times == 1:
        return _one(lab, probe)
    sent: list[Sent] = []
    with remembered(lab, probe.at) as forget:
        for number in range(times):
            if fresh and number:
                forget()
            sent.append(_one(lab, probe))
            if fresh and len({one.failed for one in sent}) > 1:
                break
    wrong = [one for one in sent if one.wrong]
    return replace((wrong or sent)[-1], failed=len(wrong), tried=len(sent))


def _one(lab: Lab, probe: Probe) -> Sent:
    """One try, and the seconds that it waited: the lab's kernel is quick to give a neighbour up, a real one is not."""
    start = lab.clock()
    sent = probe.send(lab)
    waited = lab.clock() - start + lab.dataplane.waited
    if NO_ANSWER_TO_ARP in sent.trace.reason:
        waited = max(waited, GIVEN_UP)
    sent = replace(sent, waited=waited, unseen=_unseen(lab, sent))
    return replace(sent, failed=int(bool(sent.wrong)))


def _unseen(lab: Lab, sent: Sent) -> str:
    """Who answers a connection that cannot be followed, as over a bridge with hooks; "" for one that was."""
    address, _, port = sent.probe.to.rpartition(":")
    if sent.trace.verdict != "UNKNOWN" or not port or sent.probe.proto != "tcp":
        return ""
    return next(iter(lab.connections(1, sent.probe.at, address, int(port))))


@contextmanager
def remembered(lab: Lab, at: str) -> Iterator[Callable[[], None]]:
    """What the nodes remember of the client `at` is afterwards what it was; what is given lets them forget it."""
    plane = lab.dataplane
    with _on_model(plane) if isinstance(plane, Model) else _on_kernel(plane, at) as forget:
        yield forget


@contextmanager
def _on_model(model: Model) -> Iterator[Callable[[], None]]:
    kept = {name: deepcopy(stack.netfilter.memory) for name, stack in model.stacks.items()}

    def forget() -> None:
        for stack in model.stacks.values():
            memory = stack.netfilter.memory
            for key in [key for key in memory if key[0] == "recent"]:
                del memory[key]

    try:
        yield forget
    finally:
        for name, memory in kept.items():
            model.stacks[name].netfilter.memory = memory


@contextmanager
def _on_kernel(kernel: Kernel, at: str) -> Iterator[Callable[[], None]]:
    """The lists are the kernel's, and only rules can write them: there are some in mangle as long as it is needed."""
    host = kernel.network.host(at)
    node, hook = host.node or at, "PREROUTING" if host.node else "OUTPUT"
    names = sorted(set(LISTS.findall(str(kernel.rules(node)))))
    before, placed = _listed(kernel, node, names, host.address), []

    def place(how: str, name: str) -> None:
        rule = f"{hook} -s {host.address} -m recent --name {name} --rsource --{how}"
        kernel.run(node, f"iptables -t mangle -I {rule}")
        placed.append(rule)

    def forget() -> None:
        for name in names if not placed else ():
            place("remove", name)

    def clear() -> None:
        while placed:
            kernel.run(node, f"iptables -t mangle -D {placed.pop()}")

    try:
        yield forget
    finally:
        clear()
        if _listed(kernel, node, names, host.address) != before:
            try:
                for name in names:
                    place("set" if name in before else "remove", name)
                kernel.connect(at, kernel.network.host(node).address, DISCARD, proto="udp")
            finally:
                clear()


def _listed(kernel: Kernel, node: str, names: list[str], address: str) -> set[str]:
    """The lists that this address is in."""
    return {name for name in names
            if f"src={address} " in kernel.run(node, f"sh -c 'cat /proc/net/xt_recent/{name} 2>/dev/null || true'")}

"""Machines that come and go while the lab runs: what is new in the drawing is made, what is gone is let go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8slab.kernel import build
from k8slab.network import Host, Network, NetworkError

if TYPE_CHECKING:
    from k8slab.kernel.dataplane import Kernel


def follow(kernel: Kernel, network: Network) -> None:
    """Make the namespaces that this network has more, let go of those that it has no longer."""
    ask, old, new = kernel.holder.ask, *([host.name for host in one.hosts] for one in (kernel.network, network))
    for name in set(old) - set(new):
        for interface in kernel.network.host(name).interfaces:
            for far, peer in kernel.network.ends(name, interface.name):     # at once, and not when the kernel has time
                kernel.command(far, ["ip", "link", "delete", peer])
        ask("drop", name)
    if made := [name for name in new if name not in old]:
        kernel.descriptors |= ask("make", made, [])
        ask("write", build.settings(tuple(network.host(name) for name in made)))
    kernel.network = network


def join(kernel: Kernel, host: Host, lan: str) -> None:
    """Put a machine that is new on the LAN of that name, by its eth0. Raises NetworkError for a name that is taken."""
    network, ask = kernel.network.joined(host, lan), kernel.holder.ask
    at = [link.name for link in network.links].index(lan)
    ends = network.links[at].ends
    if len(ends) == 3:
        raise NetworkError(f"{lan} joins two interfaces by a veth pair, and a third cannot be put there")
    follow(kernel, network)
    for where, text in build.plug(host, f"switch {at}", len(ends) - 1, kernel.descriptors):
        ask("batch", [(where, [(["ip", "-batch", "-"], text)])])
    ask("write", build.patience((host,)))
    if host.listens:
        ask("start", host.name, list(host.listens))

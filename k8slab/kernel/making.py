"""Make the lab's network on the kernel: what `build.py` has written, in the order that is fastest."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from k8slab.kernel import build
from k8slab.kernel.jobs import Job
from k8slab.network import Network


def make(ask: Callable[..., object], network: Network, rules: Mapping[str, str], restore: list[str]) -> dict[str, int]:
    """Make everything; the descriptors of the namespaces by name. `ask`: the child's; `restore`: iptables-restore.

    Raises KernelError for what is refused.
    """
    joints = build.switches(network)
    descriptors = ask("make", [host.name for host in network.hosts], joints)
    # The rules ask for no link, and nf_tables mostly sleeps: they are read while all the rest is made.
    ask("batch", [(name, [(["nft", "-f", "-"], build.trace_switch()),
                          ([*restore, "--noflush"], "".join(build.slices(text)))])
                  for name, text in rules.items()], "none")
    ask("write", build.settings(network.hosts))
    ask("batch", [("", _ip("link set lo up\n" + build.links(network, descriptors)))], "these")
    ask("write", build.patience(network.hosts))
    ask("batch", [*((name, _ip(build.switch(network, name))) for name in joints),
                  *((host.name, _ip(build.addresses(host))) for host in network.hosts)])
    for host in network.hosts:
        if host.listens:
            ask("start", host.name, list(host.listens))
    ask("ready")
    return descriptors


def _ip(batch: str) -> list[Job]:
    return [(["ip", "-batch", "-"], batch)]

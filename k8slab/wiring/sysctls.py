"""`sysctl [-w] [-n] [-q] NAME[=VALUE]…`, for what the lab's networks hang on."""

from __future__ import annotations

import re
from dataclasses import replace

from k8slab.errors import CommandError
from k8slab.network import SYSCTLS, Host, Network
from k8slab.wiring.words import Said

CONF = re.compile(r"net\.ipv4\.conf\.(?P<interface>.+)\.(?P<name>[a-z_]+)")
# One switch by two names: the second is where the first keeps its value (ipv4_devconf in devinet.c).
FORWARDS = ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding")
KNOWN = (f"{' or '.join(FORWARDS)}, net.ipv4.conf.all.NAME or .conf.INTERFACE.NAME: rp_filter, route_localnet, "
         "send_redirects")


def run(network: Network, host: str, words: list[str]) -> tuple[Network, str]:
    """The network afterwards and what the program prints.

    >>> from k8slab.network import cluster_network
    >>> run(cluster_network(), "client", ["-w", "net.ipv4.ip_forward=1"])[1]
    'net.ipv4.ip_forward = 1\\n'

    Raises Said where the program would refuse, CommandError for an option that is not modelled.
    """
    printed = ""
    options = [word for word in words if word.startswith("-")]
    if unknown := [word for word in options if word not in ("-w", "-n", "-q")]:
        raise CommandError(f"sysctl {unknown[0]}: of the options there are -w, -n and -q")
    for word in (word for word in words if not word.startswith("-")):
        name, sets, value = (part.strip() for part in word.partition("="))
        name = name.replace("/", ".")
        key = _key(network.host(host), name)
        if sets:
            if not re.fullmatch(r"-?\d+", value):
                raise Said(f'sysctl: setting key "{name}": Invalid argument', 255)
            its = network.host(host)
            network = network.replace(replace(its, sysctls=its.sysctls | {key: int(value)}))
        value = str(network.host(host).sysctls.get(key, SYSCTLS.get(key, 0)))
        if not (sets and "-q" in options):
            printed += f"{value}\n" if "-n" in options else f"{name} = {value}\n"
    return network, printed


def _key(host: Host, name: str) -> str:
    """The key in `Host.sysctls`. Raises Said for a name that the kernel does not have, CommandError for others."""
    if name in FORWARDS:
        return "ip_forward"
    missing = Said(f"sysctl: cannot stat /proc/sys/{name.replace('.', '/')}: No such file or directory", 255)
    found = CONF.fullmatch(name)
    if name.startswith("net.bridge."):        # a kernel without br_netfilter
        raise missing
    if not found:
        raise CommandError(f"sysctl {name}: the model knows {KNOWN}") if name.startswith("net.") else missing
    interface, key = found.groups()
    if key == "ip_forward" or key not in SYSCTLS:
        raise CommandError(f"sysctl {name}: the model knows {KNOWN}")
    if interface != "all" and not any(i.name == interface for i in host.interfaces):
        raise missing
    return key if interface == "all" else f"{interface}/{key}"

"""`ip netns add|delete`: a named network namespace on a node is a Pod of that node."""

from __future__ import annotations

from dataclasses import replace

from k8slab.errors import CommandError
from k8slab.network import LOOPBACK, Host, Network
from k8slab.wiring.links import remove
from k8slab.wiring.words import Call, Said, namespaces


def add(call: Call) -> Network:
    """`ip netns add NAME`: a host with nothing but a loopback interface, which is down."""
    name = _name(call)
    if name in namespaces(call.network, call.view):
        raise Said(f'Cannot create namespace file "/run/netns/{name}": File exists', 1)
    if any(h.name == name for h in call.network.hosts):
        raise CommandError(f"ip netns add {name}: the lab has a host of this name already, elsewhere")
    lo = replace(LOOPBACK, addresses=(), up=False, fresh=True)
    return call.network.replace(Host(name, "pod", (lo,), node=call.view))


def delete(call: Call) -> Network:
    """`ip netns delete NAME`: its interfaces go with it, and the peers of its veths."""
    name = _name(call)
    if name not in namespaces(call.network, call.view):
        raise Said(f'Cannot remove namespace file "/run/netns/{name}": No such file or directory', 1)
    network = call.network
    for interface in network.host(name).interfaces:
        if interface.name != "lo" and any(i.name == interface.name for i in network.host(name).interfaces):
            network = remove(network, name, interface.name)
    return replace(network, hosts=tuple(h for h in network.hosts if h.name != name))


def _name(call: Call) -> str:
    if not call.words:
        raise Said("No netns name specified", 255)
    return call.words[0]

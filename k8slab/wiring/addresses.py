"""`ip address add|delete|flush`."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from k8slab.network import Interface, Network
from k8slab.wiring.words import Call, Said, address, find, keywords, put

WORDS = {"dev": "dev", "local": "local"}


def _read(call: Call) -> tuple[ipaddress.IPv4Interface, Interface]:
    said = keywords(call.words, WORDS, "local")
    if "dev" not in said:
        raise Said("Not enough information: \"dev\" argument is required.", 255)
    if "local" not in said:
        raise Said("RTNETLINK answers: Operation not supported")
    found = address(said["local"])
    return found, find(call.own, said["dev"])


def add(call: Call) -> Network:
    """`ip address add A/N dev X`."""
    new, own = _read(call)
    if str(new) in own.addresses:
        raise Said("Error: ipv4: Address already assigned.")
    return put(call.network, call.host, own.name, replace(own, addresses=(*own.addresses, str(new))))


def delete(call: Call) -> Network:
    """`ip address delete A/N dev X`: what has the address for its source goes too."""
    old, own = _read(call)
    words = call.words[1] if call.words[0] == "local" else call.words[0]
    gone = [a for a in own.addresses if a == str(old) or "/" not in words and a.partition("/")[0] == str(old.ip)]
    if not gone:
        raise Said("Error: ipv4: Address not found.")
    return _drop(call, own, gone)


def flush(call: Call) -> Network:
    """`ip address flush dev X`."""
    said = keywords(call.words, WORDS, "dev")
    if "dev" not in said:
        raise Said("Flush requires arguments.", 1)
    own = find(call.own, said["dev"])
    return _drop(call, own, list(own.addresses))


def _drop(call: Call, own: Interface, gone: list[str]) -> Network:
    """Without these addresses: with the first of a subnet go the others (promote_secondaries is 0).

    With the last address of an interface go all its routes.
    """
    subnets = [a.network for a in map(ipaddress.IPv4Interface, gone) if primary(own, str(a)) == str(a)]
    left = tuple(a for a in own.addresses if a not in gone and ipaddress.IPv4Interface(a).network not in subnets)
    network = put(call.network, call.host, own.name, replace(own, addresses=left))
    host = network.host(call.host)
    lost = {a.partition("/")[0] for a in own.addresses} - {a.partition("/")[0] for a in left}
    return network.replace(replace(host, routes=tuple(
        r for r in host.routes if r.src not in lost and (left or r.dev != own.name))))


def primary(own: Interface, text: str) -> str:
    """The first address of an interface in the same subnet: that one has the route, the others are secondary."""
    subnet = ipaddress.IPv4Interface(text).network
    return next(a for a in own.addresses if ipaddress.IPv4Interface(a).network == subnet)

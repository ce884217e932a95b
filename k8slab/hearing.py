"""Who hears whom: frames on links and through bridges, as far as the drawing of the network tells.

A *port* is an interface whose `master` is a bridge: it hears for the bridge alone, and what the bridge hears it
sends out of its other ports. An interface that is down neither sends nor hears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8slab.network import Network

End = tuple[str, str]          # the names of a host and of its interface


def neighbours(network: Network, host: str, interface: str) -> tuple[End, ...]:
    """Who hears what this interface sends: the ends in the order in which a frame comes to them.

    Raises NetworkError when there is no such interface.
    """
    return tuple(end for end in paths(network, host, interface) if not network.host(end[0]).interface(end[1]).master)


def paths(network: Network, host: str, interface: str) -> dict[End, End]:
    """Every interface that a frame sent here comes by, to the one before it on its way; ports of bridges included.

    Raises NetworkError when there is no such interface.
    """
    origin = (host, interface)
    before: dict[End, End] = {}
    sending = [origin]
    while sending:
        at, name = sending.pop(0)
        sender = network.host(at).interface(name)
        if not sender.up:
            continue
        if sender.kind == "bridge":
            reached = ports(network, at, name)
        else:
            reached = network.ends(at, name)
        for end in reached:
            near = network.host(end[0]).interface(end[1])
            if end in before or end == origin or not near.up:
                continue
            before[end] = (at, name)
            if sender.kind == "bridge":
                sending.append(end)                       # its port sends it on
            elif near.master and network.host(end[0]).interface(near.master).up:
                bridge = (end[0], near.master)
                before.setdefault(bridge, end)
                sending.append(bridge)
    return before


def ports(network: Network, host: str, bridge: str) -> tuple[End, ...]:
    """The ports of a bridge, in the order of the host's interfaces."""
    return tuple((host, i.name) for i in network.host(host).interfaces if i.master == bridge)


def carrier(network: Network, host: str, interface: str) -> bool:
    """Whether an interface is up and has something at its other end: a veth's peer, one of a bridge's ports.

    A bridge that has not looked at its ports yet has nothing to say against it, and counts as connected.
    Raises NetworkError when there is no such interface.
    """
    if interface == "lo":
        return network.host(host).lo.up
    own = network.host(host).interface(interface)
    if own.kind != "bridge":
        return own.up and any(network.host(name).interface(far).up for name, far in network.ends(host, interface))
    return own.up and (not own.looked or any(carrier(network, *port) for port in ports(network, host, interface)))

"""Wiring by hand: what `ip` and `sysctl` change in the drawing of a network, as pure functions.

`change` takes a Network and a command's words and returns the Network as it is afterwards; `show` prints what
`ip address`, `ip link`, `ip route` and `ip netns` print of it. Both speak and refuse in the words of iproute2 6.1
and procps on Linux 6; `tests/model/test_commands_real.py` holds them to the real programs. Nothing of `model/`
is known here.

Theory of operation
-------------------
What a Linux network namespace does by itself is kept: the subnet of an address is a route as long as its
interface is up, a gateway must be on a link, an interface that goes down takes its routes with it, a veth dies
with its peer, a bridge takes the lowest MAC of its ports, and an interface that moves to another namespace
arrives switched off and without addresses.
"""

from __future__ import annotations

from k8slab.network import Network
from k8slab.wiring import addresses, links, listing, netns, routes, sysctls
from k8slab.wiring.words import Call, Said, find, keywords, namespace, namespaces, read_ip, unsupported

# Object and subcommand → what changes the network. The order is iproute2's: a word may be cut to its first letters,
# and the first that begins so is meant.
CHANGES = {
    ("address", "add"): addresses.add, ("address", "delete"): addresses.delete, ("address", "flush"): addresses.flush,
    ("route", "add"): routes.add, ("route", "delete"): routes.delete, ("route", "replace"): routes.replace_in_place,
    ("link", "add"): links.add, ("link", "set"): links.set_, ("link", "delete"): links.delete,
    ("netns", "add"): netns.add, ("netns", "delete"): netns.delete,
}
SHOWS = {"address": listing.addresses, "link": listing.links, "route": listing.routes, "netns": listing.netns}
SUPPORTED = ("ip [-br] address|link [show [dev X]], ip address add|del A/N dev X, ip link add|set|del …, "
             "ip route [show], ip route get A [from B iif X], ip route add|replace|del …, ip neigh [show|flush], "
             "ip netns add|del|list|exec, ip -n NAME …, sysctl [-w] NAME[=VALUE]")


def change(network: Network, host: str, words: list[str], view: str = "") -> Network:
    """The network after `ip …` or `sysctl …`, split into words, on a host.

    `view`: the host whose `ip netns` names are meant, where a command runs in another one's namespace.

    >>> from k8slab.network import cluster_network
    >>> change(cluster_network(), "client", "ip link set eth0 down".split()).host("client").routes
    ()

    Raises CommandError in the program's words where it would refuse, and for what is not supported.
    """
    if words[:1] == ["sysctl"]:
        return sysctls.run(network, host, words[1:])[0]
    call = read_ip(network, host, words[1:], view or host)
    do = CHANGES.get((call.what, call.how))
    if do is None:
        raise unsupported(words, SUPPORTED)
    return do(call)


def show(network: Network, host: str, words: list[str], view: str = "") -> str:
    """What `ip address|link|route|netns [show]`, split into words, prints on a host.

    >>> from k8slab.network import cluster_network
    >>> print(show(cluster_network(), "client", "ip -br address".split()), end="")
    lo               UNKNOWN        127.0.0.1/8 
    eth0@if3         UP             10.244.1.5/32 

    Raises CommandError in the program's words where it would refuse, and for what is not supported.
    """
    call = read_ip(network, host, words[1:], view or host)
    if call.how != "show" or call.what not in SHOWS:
        raise unsupported(words, SUPPORTED)
    return SHOWS[call.what](call)


__all__ = ["SUPPORTED", "Call", "Said", "change", "find", "keywords", "namespace", "namespaces", "read_ip", "show",
           "sysctls", "unsupported"]

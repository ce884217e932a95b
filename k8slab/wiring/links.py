"""`ip link add|set|delete`: veths and bridges."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from k8slab.errors import CommandError
from k8slab.hearing import carrier, ports
from k8slab.network import LOOPBACK, Host, Interface, Link, Network
from k8slab.wiring.words import Call, Said, find, keywords, mac, namespaces, put

NO_MAC = "00:00:00:00:00:00"
LONGEST = 15                    # IFNAMSIZ counts the zero byte
EXISTS = "RTNETLINK answers: File exists"
ADD = {"name": "name", "dev": "name", "address": "address", "netns": "netns"}
SET = {"dev": "dev", "master": "master", "netns": "netns", "address": "address", "name": "name"}


def add(call: Call) -> Network:
    """`ip link add NAME [address MAC] type bridge`, or `type veth peer name NAME2 [address MAC] [netns NS]`."""
    words = call.words
    at = words.index("type") if "type" in words else len(words)
    said, kind, rest = keywords(words[:at], ADD, "name", ("up",)), words[at + 1:at + 2], words[at + 2:]
    if not kind:
        raise Said("Not enough information: \"type\" argument is required", 255)
    if kind[0] not in ("veth", "bridge"):
        raise CommandError(f"ip link add … type {kind[0]}: the model knows veth and bridge")
    if "name" not in said:
        raise CommandError(f"ip link add type {kind[0]}: say a name, as in ip link add NAME type {kind[0]}")
    if kind[0] == "bridge":
        network, _ = _new(call, call.network, said, "bridge")
        return network
    if rest[:1] != ["peer"]:
        raise CommandError("ip link add NAME type veth: say also peer name NAME2")
    peer = keywords(rest[1:], ADD, "name")
    if "name" not in peer:
        raise CommandError("ip link add NAME type veth peer: say also name NAME2")
    network, far = _new(call, call.network, peer, "veth")      # the peer is made first (veth.c)
    network, near = _new(call, network, said, "veth")
    link = Link(f"veth {near[1]}", (near, far))
    return replace(network, links=(*network.links, link))


def _new(call: Call, network: Network, said: dict[str, str], kind: str) -> tuple[Network, tuple[str, str]]:
    """The network with one interface more, and where it is."""
    name = said["name"]
    at = _target(call, said["netns"]) if "netns" in said else call.host
    host = network.host(at)
    if len(name) > LONGEST or not name or "/" in name:
        raise Said("Error: Attribute failed policy validation.")
    if name == "lo" or any(i.name == name for i in host.interfaces):
        raise Said(EXISTS)
    number = _next_index(host)
    own = mac(said["address"]) if "address" in said else _mac(at, name, number)
    new = Interface(name, (), own, kind, "up" in said, index=number, fresh="up" not in said,
                    own_mac="address" in said)
    return network.replace(replace(host, interfaces=(*host.interfaces, new), last_index=number)), (at, name)


def _next_index(host: Host) -> int:
    """The kernel gives the number after the last that it gave, if that is free."""
    return max([1, host.last_index, *(host.index(i.name) for i in host.interfaces)]) + 1


def _mac(*place: object) -> str:
    """A MAC for an interface made by hand, the same in every run: 06 marks it as given out locally."""
    digest = hashlib.blake2s("/".join(map(str, place)).encode(), digest_size=5).digest()
    return ":".join(f"{byte:02x}" for byte in (6, *digest))


def _target(call: Call, name: str) -> str:
    if name not in namespaces(call.network, call.view):
        raise Said(f'Error: argument "{name}" is wrong: Invalid "netns" value\n', 255)
    return name


def set_(call: Call) -> Network:
    """`ip link set X` with any of up, down, master B, nomaster, netns NS, address MAC and name NEW."""
    said = keywords(call.words, SET, "dev", ("up", "down", "nomaster"))
    if "dev" not in said:
        raise Said("Not enough information: \"dev\" argument is required.", 255)
    network, name = call.network, said["dev"]
    own = find(call.own, name)
    if "netns" in said:
        return _move(call, own, _target(call, said["netns"]))
    if "address" in said:
        network = put(network, call.host, name, replace(own, mac=mac(said["address"]), own_mac=True))
        network = _bridges(network, call.host)
    if "master" in said or "nomaster" in said:
        network = _enslave(network, call.host, name, said.get("master", ""))
    if "down" in said:
        network = switch_off(network, call.host, name)
    if "up" in said:
        network = _switch_on(network, call.host, name)
    network = _looked(network)
    return _rename(network, call.host, name, said["name"]) if "name" in said else network


def _enslave(network: Network, host: str, name: str, bridge: str) -> Network:
    own = find(network.host(host), name)
    if bridge:
        master = next((i for i in network.host(host).interfaces if i.name == bridge), None)
        if master is None:
            raise Said(f'Error: argument "{bridge}" is wrong: Device does not exist\n', 255)
        if master.kind != "bridge":
            raise Said("RTNETLINK answers: Operation not supported")
        if own.kind != "veth":
            raise Said("Error: Can not enslave a bridge to a bridge." if own.kind == "bridge" else
                       "RTNETLINK answers: Invalid argument")
    return _bridges(put(network, host, name, replace(own, master=bridge)), host, own.master)


def _bridges(network: Network, host: str, left: str = "") -> Network:
    """Give each bridge the lowest MAC of its ports (br_stp_recalculate_bridge_id); `left`: one that lost a port."""
    for bridge in network.host(host).interfaces:
        its = [network.host(host).interface(name).mac for _, name in ports(network, host, bridge.name)]
        if bridge.kind == "bridge" and not bridge.own_mac and (its or bridge.name == left):
            lowest = min(its, default=NO_MAC)
            looked = bridge.looked or lowest != bridge.mac
            network = put(network, host, bridge.name, replace(bridge, mac=lowest, looked=looked))
    return network


def switch_off(network: Network, host: str, name: str) -> Network:
    """The network with an interface down: the routes that lead out of it are gone."""
    network = put(network, host, name, replace(find(network.host(host), name), up=False))
    its = network.host(host)
    return network.replace(replace(its, routes=tuple(r for r in its.routes if r.dev != name)))


def _switch_on(network: Network, host: str, name: str) -> Network:
    """The network with an interface up; lo is given 127.0.0.1 then (inetdev_event)."""
    own = find(network.host(host), name)
    missing = tuple(a for a in LOOPBACK.addresses if own.name == "lo" and a not in own.addresses)
    return put(network, host, name, replace(own, up=True, fresh=False, addresses=(*missing, *own.addresses)))


def _looked(network: Network) -> Network:
    """Note which bridges have looked at their ports: those with one that is connected (br_port_state_selection)."""
    for host in network.hosts:
        for bridge in host.interfaces:
            if bridge.kind == "bridge" and not bridge.looked and bridge.up and any(
                    carrier(network, *port) for port in ports(network, host.name, bridge.name)):
                network = put(network, host.name, bridge.name, replace(bridge, looked=True))
    return network


def _move(call: Call, own: Interface, target: str) -> Network:
    """To another namespace: the interface arrives down and without addresses, with its number if that is free."""
    if own.kind != "veth":
        raise Said("Error: The interface netns is immutable.")
    if target == call.host:
        return call.network
    far = call.network.host(target)
    if any(i.name == own.name for i in far.interfaces):
        raise Said("Error: An interface with the same name exists in the target netns.")
    number = call.own.index(own.name)
    if number in {far.index(i.name) for i in far.interfaces}:
        number = _next_index(far)
    network = _frozen_indices(replace(call.network, links=()), call.host)
    network = switch_off(network, call.host, own.name)
    network = _bridges(put(network, call.host, own.name, None), call.host, own.master)
    moved = replace(own, addresses=(), up=False, master="", index=number, fresh=True)
    network = network.replace(replace(far, interfaces=(*far.interfaces, moved)))
    ends = {(call.host, own.name): (target, own.name)}
    return replace(network, links=tuple(Link(link.name, tuple(ends.get(end, end) for end in link.ends))
                                        for link in call.network.links))


def _frozen_indices(network: Network, host: str) -> Network:
    """Write down the numbers that followed from the interfaces' places, before one of them leaves."""
    its = network.host(host)
    return network.replace(replace(its, interfaces=tuple(replace(i, index=its.index(i.name)) for i in its.interfaces),
                                   last_index=_next_index(its) - 1))


def _rename(network: Network, host: str, old: str, new: str) -> Network:
    its = network.host(host)
    if any(i.name == new for i in its.interfaces):
        raise Said(EXISTS)
    interfaces = tuple(replace(i, name=new if i.name == old else i.name, master=new if i.master == old else i.master)
                       for i in its.interfaces)
    routes = tuple(replace(r, dev=new) if r.dev == old else r for r in its.routes)
    ends = {(host, old): (host, new)}
    links = tuple(Link(link.name, tuple(ends.get(end, end) for end in link.ends)) for link in network.links)
    bare = replace(network, links=()).replace(replace(its, interfaces=interfaces, routes=routes))
    return replace(bare, links=links)


def delete(call: Call) -> Network:
    """`ip link delete X`: a veth takes its peer with it, a bridge lets its ports go."""
    said = keywords(call.words, {"dev": "dev"}, "dev")
    own = find(call.own, said.get("dev", ""))
    if own.name == "lo":
        raise Said("RTNETLINK answers: Operation not supported")
    return remove(call.network, call.host, own.name)


def remove(network: Network, host: str, name: str) -> Network:
    """The network without an interface, and without the peer of a veth."""
    link = next((k for k in network.links if (host, name) in k.ends), None)
    gone = [(host, name)] if link is None or len(link.ends) > 2 else list(link.ends)
    kept = tuple(k if k is not link else Link(k.name, tuple(end for end in k.ends if end not in gone))
                 for k in network.links if k is not link or len(k.ends) > 2)
    network = replace(network, links=kept)
    for at, its in gone:
        own = network.host(at).interface(its)
        network = switch_off(_frozen_indices(network, at), at, its)
        host_ = network.host(at)
        rest = tuple(replace(i, master="" if i.master == its else i.master) for i in host_.interfaces if i.name != its)
        network = _bridges(network.replace(replace(host_, interfaces=rest)), at, own.master)
    return network

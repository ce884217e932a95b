"""kube-proxy's other mode: objects in, the text out that `nft list table ip kube-proxy` prints afterwards.

Theory of operation
-------------------
The rules are the same few whatever the number of Services (CHAINS). What grows are sets and maps, in which a packet's
address, protocol and port are looked up at once:

    service-ips            10.96.0.1 . tcp . 443 : goto service-2QRHZV4L-default/kubernetes/tcp/https
    no-endpoint-services   10.96.12.40 . tcp . 80 : goto reject-chain      (or drop: there are some, but none here)
    cluster-ips            10.96.0.1                                       (with and without endpoints)
    hairpin-connections    10.244.0.9 . 10.244.0.9 . tcp . 8080            (an endpoint of this node that calls itself)

A port of a Service has one chain with one rule, which draws a number and looks the endpoint up by it. With session
affinity each endpoint has a chain of its own, and a set of the clients that it has served.

What a real kube-proxy 1.36.2 wrote for nine clusters, as nft 1.0.6 listed it, is what this is held to, to the byte.
kube-proxy adds elements in the order of a Go map, and nft lists them in an order of its own: `_place`. Chains are
listed in the order in which they were made; here that is the order of the Services' names. Only ClusterIP Services.
"""

from __future__ import annotations

import hashlib
import ipaddress
from base64 import b32encode
from collections.abc import Iterable, Iterator, Sequence

from k8slab.errors import Told
from k8slab.kubeproxy.config import Config, Detector
from k8slab.kubeproxy.endpoints import Chosen, choose
from k8slab.kubeproxy.objects import Endpoint, Objects, ServicePort

NAME_LIMIT = 240
ADDRESS, TARGET = "ipv4_addr", "ipv4_addr . inet_proto . inet_service : verdict"
NODE_PORT = "inet_proto . inet_service : verdict"
# Each set and map: its kind and name, its type, its comment.
SETS = (
    ("set hairpin-connections", "ipv4_addr . ipv4_addr . inet_proto . inet_service", "service hairpin connections"),
    ("set cluster-ips", ADDRESS, "Active ClusterIPs"),
    ("set nodeport-ips", ADDRESS, "IPs that accept NodePort traffic"),
    ("map no-endpoint-services", TARGET, "vmap to drop or reject packets to services with no endpoints"),
    ("map no-endpoint-nodeports", NODE_PORT, "vmap to drop or reject packets to service nodeports with no endpoints"),
    ("map firewall-ips", TARGET, "destinations that are subject to LoadBalancerSourceRanges"),
    ("map service-ips", TARGET, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
    ("map service-nodeports", NODE_PORT, "NodePort traffic"),
)
NEW, FULL = "ct state new jump ", "ip daddr . meta l4proto . th dport vmap @"
AT_NODE = "ip daddr @nodeport-ips meta l4proto . th dport vmap @"
# Each chain that hangs on a hook: its name, its place, its rules.
BASES = (
    ("filter-prerouting-pre-dnat", "filter hook prerouting priority dstnat - 10", (NEW + "firewall-check",)),
    ("filter-output-pre-dnat", "filter hook output priority -110", (NEW + "firewall-check",)),
    ("filter-input", "filter hook input priority filter",
     (NEW + "nodeport-endpoints-check", NEW + "service-endpoints-check")),
    ("filter-forward", "filter hook forward priority filter",
     (NEW + "service-endpoints-check", NEW + "cluster-ips-check")),
    ("filter-output", "filter hook output priority filter",
     (NEW + "service-endpoints-check", NEW + "cluster-ips-check")),
    ("nat-prerouting", "nat hook prerouting priority dstnat", ("jump services",)),
    ("nat-output", "nat hook output priority -100", ("jump services",)),
    ("nat-postrouting", "nat hook postrouting priority srcnat", ("jump masquerading",)),
)
# A detector's option, and the words that say that the traffic is not local.
REMOTE = {"-s": "ip saddr != {}", "-i": 'iifname != "{}"'}


class NotInNftables(Told, ValueError):
    """What cannot be written as nftables mode writes it, a Service or a Service range; the message names it."""


def readable(port: ServicePort) -> str:
    """A port of a Service as chains are called: `default/kubernetes/tcp/https`; nothing stands for no name."""
    return f"{port.namespace}/{port.service}/{port.protocol}/{port.port_name}"


def hashed(text: str) -> str:
    """A readable name, with the first 8 characters of the base32 of its SHA-256 before it.

    >>> hashed("default/kubernetes/tcp/https")
    '2QRHZV4L-default/kubernetes/tcp/https'
    """
    name = f"{b32encode(hashlib.sha256(text.encode()).digest()).decode()[:8]}-{text}"
    return name if len(name) <= NAME_LIMIT else name[: NAME_LIMIT - 3] + "..."


def nft_table(config: Config, objects: Objects, service_ranges: Sequence[str] = ()) -> str:
    """The table of one node, as `nft list table ip kube-proxy` prints it.

    `service_ranges`: the cluster's Service ranges, as `10.96.0.0/16`; where none is known there is no rule for
    addresses that no Service has.

    >>> from k8slab.kubeproxy.objects import Node, read_objects
    >>> print(nft_table(Config(Node("worker1")), read_objects([])).splitlines()[0])
    table ip kube-proxy {

    Raises NotInNftables for a Service that can be reached at more than its ClusterIP, and for what is no range.
    """
    elements: dict[str, list[str]] = {name.split()[1]: [] for name, _, _ in SETS}
    elements["nodeport-ips"] += config.node.addresses[:1]      # --nodeport-addresses primary: one of each family
    sets, chains = [], []
    for port in sorted(objects.ports, key=lambda one: one.key):
        if port.external:
            raise NotInNftables(
                f"Service {port.namespace}/{port.service}: NodePorts, external IPs and load balancers are not known "
                "as nftables mode writes them, only ClusterIPs are"
            )
        chosen = choose(port, objects.endpoints.get(port.key, ()), config.node)
        _add_elements(elements, config, port, chosen)
        if port.affinity:
            sets += [_affinity_set(port, one) for one in chosen.reachable]
            chains += [_endpoint_chain(port, one) for one in chosen.reachable]
        for prefix, endpoints in (("service", chosen.cluster), ("local", chosen.local)):
            if endpoints:
                chains.append(_chain(f"{prefix}-{hashed(readable(port))}", *_balance(port, endpoints)))
    blocks = [
        *(_set(name, kind, note, elements[name.split()[1]]) for name, kind, note in SETS),
        *sets,
        *(_chain(name, f"type {where}; policy accept;", *rules) for name, where, rules in BASES),
        *(_chain(*one) for one in _checks(config, service_ranges)),
        *chains,
    ]
    return 'table ip kube-proxy {\n\tcomment "rules for kube-proxy"\n' + "\n\n".join(blocks) + "\n}\n"


def _add_elements(elements: dict[str, list[str]], config: Config, port: ServicePort, chosen: Chosen) -> None:
    """What a port adds to the sets and maps."""
    if port.cluster_ip not in elements["cluster-ips"]:
        elements["cluster-ips"].append(port.cluster_ip)
    key = f"{port.cluster_ip} . {port.protocol} . {port.port}"
    if chosen.any and (chosen.local or not port.internal_local):
        prefix = "local" if port.internal_local else "service"
        elements["service-ips"].append(f"{key} : goto {prefix}-{hashed(readable(port))}")
    else:
        verdict = "drop" if chosen.any else "goto reject-chain"
        elements["no-endpoint-services"].append(f'{key} comment "{port.name}" : {verdict}')
    for one in chosen.reachable:
        hairpin = f"{one.address} . {one.address} . {port.protocol} . {one.port}"
        if one.node == config.node.name and one.node and hairpin not in elements["hairpin-connections"]:
            elements["hairpin-connections"].append(hairpin)


def _checks(config: Config, service_ranges: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The chains that the hooks jump to: name, then rules."""
    yield "nodeport-endpoints-check", AT_NODE + "no-endpoint-nodeports"
    yield "service-endpoints-check", FULL + "no-endpoint-services"
    yield "firewall-check", FULL + "firewall-ips"
    yield "services", *_masquerade(config), FULL + "service-ips", AT_NODE + "service-nodeports"
    mark = config.mark
    # nft takes a mask of the highest bit alone for a prefix.
    marked = "!= 0x00000000/1" if config.masquerade_bit == 31 else f"& {mark} != 0x00000000"
    yield (
        "masquerading",
        f"meta mark {marked} meta mark set meta mark ^ {mark} masquerade fully-random",
        "ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random",
    )
    yield (
        "cluster-ips-check",
        'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
        *(f'ip daddr {inside} drop comment "Drop traffic to unallocated ClusterIPs"'
          for inside in _inside(service_ranges)),
    )
    yield "reject-chain", 'comment "helper for @no-endpoint-services / @no-endpoint-nodeports"', "reject"


def _inside(service_ranges: Sequence[str]) -> Iterator[str]:
    """The Service ranges as nft lists them, where there are any: of several, those that meet are one."""
    try:
        ranges = sorted(map(ipaddress.IPv4Network, service_ranges))
    except ValueError as error:
        raise NotInNftables(f"the Service ranges are wanted as `10.96.0.0/16`: {error}") from None
    spans: list[list[ipaddress.IPv4Address]] = []
    for one in ranges:
        if spans and int(one[0]) <= int(spans[-1][1]) + 1:
            spans[-1][1] = max(spans[-1][1], one[-1])
        else:
            spans.append([one[0], one[-1]])
    whole = [[str(one).removesuffix("/32") for one in ipaddress.summarize_address_range(*span)] for span in spans]
    words = [one[0] if len(one) == 1 else f"{span[0]}-{span[1]}" for one, span in zip(whole, spans)]
    if words:
        yield words[0] if len(ranges) == 1 else "{ " + ", ".join(words) + " }"


def _masquerade(config: Config) -> list[str]:
    """The rule that marks what shall get the node's source, where there is one."""
    detector: Detector | None = config.detector
    if config.masquerade_all:
        test, note = "", "masquerade all clusterIP traffic"
    elif detector:
        value = f"{detector.value.removesuffix('+')}*" if detector.value.endswith("+") else detector.value
        test, note = REMOTE[detector.option].format(value) + " ", "masquerade clusterIP traffic from outside cluster"
    else:
        return []
    return [f'ip daddr @cluster-ips {test}meta mark set meta mark | {config.mark} comment "{note}"']


def _balance(port: ServicePort, endpoints: Sequence[Endpoint]) -> Iterator[str]:
    """The rules of a port's chain: one, or with affinity one more for each endpoint."""
    if not port.affinity:
        choices = ", ".join(f"{at} : {one.address} . {one.port}" for at, one in enumerate(endpoints))
        yield f"meta l4proto {port.protocol} dnat ip to numgen random mod {len(endpoints)} map {{ {choices} }}"
        return
    names = [_endpoint(port, one) for one in endpoints]
    yield from (f"ip saddr @affinity-{name} goto endpoint-{name}" for name in names)
    choices = ", ".join(f"{at} : goto endpoint-{name}" for at, name in enumerate(names))
    yield f"numgen random mod {len(endpoints)} vmap {{ {choices} }}"


def _endpoint(port: ServicePort, one: Endpoint) -> str:
    return hashed(f"{readable(port)}__{one.address}/{one.port}")


def _endpoint_chain(port: ServicePort, one: Endpoint) -> str:
    name = _endpoint(port, one)
    return _chain(
        f"endpoint-{name}",
        f"update @affinity-{name} {{ ip saddr }}",
        f"meta l4proto {port.protocol} dnat to {one.text}",
    )


def _affinity_set(port: ServicePort, one: Endpoint) -> str:
    lines = f"type {ADDRESS}", "size 65535", "flags dynamic,timeout", f"timeout {_duration(port.affinity)}"
    return _block(f"set affinity-{_endpoint(port, one)}", lines)


def _duration(seconds: int) -> str:
    """Seconds as nft prints them: `3h`, `1m30s`."""
    parts = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60
    return "".join(f"{number}{unit}" for number, unit in zip(parts, "dhms") if number)


def _set(name: str, kind: str, note: str, elements: Iterable[str]) -> str:
    """A set or a map; addresses alone stand two in a line, other elements each in its own."""
    lines = [f"type {kind}", f'comment "{note}"']
    if ordered := sorted(elements, key=_place):
        together = 2 if kind == ADDRESS else 1
        rows = [", ".join(ordered[at : at + together]) for at in range(0, len(ordered), together)]
        lines.append("elements = { " + ",\n\t\t\t     ".join(rows) + " }")
    return _block(name, lines)


def _place(element: str) -> bytes:
    """Where nft lists an element: it sorts keys as numbers, and the keys of several parts from their last byte on."""
    words = element.split(" : ")[0].split(" comment ")[0].split(" . ")
    numbers = {"tcp": b"\6", "udp": b"\x11", "sctp": b"\x84"}
    parts = [
        ipaddress.ip_address(word).packed if "." in word else numbers.get(word) or int(word).to_bytes(2, "big")
        for word in words
    ]
    return parts[0] if len(parts) == 1 else b"".join(part.ljust(4, b"\0") for part in parts)[::-1]


def _chain(name: str, *lines: str) -> str:
    return _block(f"chain {name}", lines)


def _block(head: str, lines: Iterable[str]) -> str:
    return f"\t{head} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}"

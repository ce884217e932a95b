"""`k8slab render`: what kube-proxy writes for the objects of a cluster, from a file or a pipe.

kubectl get svc,endpointslices,nodes -A -o json | k8slab render - --node worker1
kubectl get svc,endpointslices,nodes -A -o json | k8slab render - --node worker1 --mode nftables
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
import sys
from pathlib import Path

from k8slab.iptables.encoding import unicode
from k8slab.kubeproxy import (
    LAYOUTS,
    Config,
    Detector,
    Node,
    ObjectError,
    Objects,
    Proxier,
    bridge,
    interface_prefix,
    nft_table,
    pod_cidr,
    read_objects,
    saved,
    setup,
)

FORMS = ("save", "restore", "setup")
# What one mode knows and the other does not: mode → option, and its value where it is not given.
FOREIGN = {
    "nftables": {"form": "save", "as_of": "1.36", "nfacct": False, "nodeport_addresses": [],
                 "no_localhost_nodeports": False},
    "iptables": {"service_cidr": []},
}


def add_render(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("objects", metavar="OBJECTS",
                        help="a List of Services, EndpointSlices and Nodes, JSON or YAML; - reads standard input")
    add_node(parser)
    add_settings(parser)
    add = parser.add_argument
    add("--mode", choices=tuple(reversed(FOREIGN)), default="iptables", help="the proxy mode (default: iptables); "
        "nftables writes what nft list table ip kube-proxy prints, for ClusterIP Services")
    add("--form", choices=FORMS, default="save", help="what iptables-save prints afterwards (default), what is fed to "
        "iptables-restore, or what is set up beside it")
    add("--service-cidr", metavar="CIDR", action="append", default=[], type=_network, help="the cluster's Service "
        "range, of which nftables mode drops the addresses that no Service has; may be given again")
    parser.set_defaults(run=run_render, refuse=parser.error)


def add_node(parser: argparse.ArgumentParser) -> None:
    """Whose rules, and how its own traffic is told."""
    add = parser.add_argument
    add("--node", metavar="NAME", help="the node whose rules are wanted; may be left out where OBJECTS has one Node")
    add("--node-ip", metavar="ADDR", action="append", default=[], type=ipv4_address,
        help="an address of the node; may be given again")
    add("--zone", metavar="ZONE", help="the node's zone")
    add = parser.add_mutually_exclusive_group().add_argument
    add("--pod-cidr", dest="detector", metavar="CIDR", type=lambda word: pod_cidr(_network(word)),
        help="traffic from this range is local (kube-proxy's --cluster-cidr)")
    add("--bridge", dest="detector", metavar="IFACE", type=bridge,
        help="traffic that comes in by this bridge is local")
    add("--interface-prefix", dest="detector", metavar="PREFIX", type=interface_prefix,
        help="traffic that comes in by an interface of this prefix is local")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """kube-proxy's own flags."""
    add = parser.add_argument
    add("--nfacct", action="store_true", help="with the matches that count in the kernel's accounting objects")
    add("--masquerade-all", action="store_true", help="masquerade all traffic to ClusterIPs")
    add("--nodeport-addresses", metavar="CIDR", action="append", default=[], type=_network,
        help="serve NodePorts at the node's addresses in this range alone; may be given again")
    add("--no-localhost-nodeports", action="store_true", help="serve no NodePorts at 127.0.0.1")
    add("--as-of", choices=tuple(LAYOUTS), default="1.36",
        help="the layout of this release; the older ones for ClusterIP Services")
    add("--masquerade-bit", metavar="N", type=_bit, default=14, help="the bit of the mark (default: 14)")


def ipv4_address(word: str) -> str:
    """An IPv4 address of a command line, in its usual form; raises ArgumentTypeError for another word.

    >>> ipv4_address("10.96.0.1")
    '10.96.0.1'
    """
    if re.fullmatch(r"\[?[0-9A-Fa-f]*(:[0-9A-Fa-f.]*){2,}(%\w+)?(/\d+|\](:\d*)?)?", word):
        raise argparse.ArgumentTypeError(f"{word!r} is an IPv6 address; only IPv4 is followed")
    try:
        return str(ipaddress.IPv4Address(word))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is not an IPv4 address such as 10.96.0.1") from None


def _network(word: str) -> str:
    try:
        return str(ipaddress.IPv4Network(word, strict=False))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is not a range of IPv4 addresses such as 10.244.0.0/16") from None


def _bit(word: str) -> int:
    if not (word.isascii() and word.isdigit() and int(word) <= 31):
        raise argparse.ArgumentTypeError(f"{word!r} is not the number of a bit, from 0 to 31")
    return int(word)


def run_render(options: argparse.Namespace) -> None:
    """Print the rules of one node."""
    for name, absent in FOREIGN[options.mode].items():
        if getattr(options, name) != absent:
            options.refuse(f"--{name.replace('_', '-')}: --mode {options.mode} has no such thing")
    objects = read_objects(read_items(options.objects))
    detector: Detector | None = options.detector
    config = Config(
        chosen_node(options, objects),
        detector,
        options.masquerade_all,
        tuple(options.nodeport_addresses),
        not options.no_localhost_nodeports,
        options.nfacct,
        options.masquerade_bit,
        as_of=options.as_of,
    )
    if options.mode == "nftables":
        print(nft_table(config, objects, options.service_cidr), end="")
        return
    if options.form == "setup":
        print(setup(config), end="")
        return
    text = Proxier(config).sync(objects).text
    print(text if options.form == "restore" else saved(config, text), end="")


def read_items(name: str) -> list[object]:
    """The objects of a file: a List, one object, or several YAML documents of either.

    Raises ObjectError for a text that holds none.
    """
    called = "standard input" if name == "-" else name
    try:
        text = unicode(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
    except UnicodeDecodeError:
        raise ObjectError(f"{called}: a binary file; a List of objects in JSON or YAML is wanted") from None
    found = [document for document in _documents(called, text) if document is not None]
    if not found:
        raise ObjectError(f"{called}: an empty file; a List of objects in JSON or YAML is wanted")
    items: list[object] = []
    for document in found:
        if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
            raise ObjectError(
                f"{called}: an object with a kind is wanted, such as a List; found {str(document)[:40]!r}"
            )
        if document["kind"].endswith("List"):
            inside = document.get("items")
            if not isinstance(inside, list):
                raise ObjectError(f"{called}: {document['kind']}: items: a list is wanted, not {inside!r}")
            # Lists of one kind leave the kind of their items out.
            kind = document["kind"].removesuffix("List")
            items += [{"kind": kind, **one} if isinstance(one, dict) and kind else one for one in inside]
        else:
            items.append(document)
    return items


def _documents(called: str, text: str) -> list[object]:
    try:
        return [json.loads(text)]
    except json.JSONDecodeError as error:
        if text.lstrip().startswith(("{", "[")):
            raise ObjectError(f"{called}:{error.lineno}:{error.colno}: no JSON: {error.msg}") from None
    if re.match(r"\s*(# Generated by ip6?tables-save|\*[a-z]+\s*$)", text, re.MULTILINE):
        raise ObjectError(f"{called}: this is iptables-save text; OBJECTS, a List in JSON or YAML, comes first")
    import yaml  # only for those who write it

    try:
        return list(yaml.load_all(text, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ObjectError(
            f"{called}{where}: no YAML: {getattr(error, 'problem', None) or 'it cannot be read'}"
        ) from None


def chosen_node(options: argparse.Namespace, objects: Objects) -> Node:
    """The node: by its name, or the only one; what flags say goes before what the object says. Raises ObjectError."""
    names = ", ".join(node.name for node in objects.nodes)
    if options.node is None and len(objects.nodes) != 1:
        there = f"OBJECTS has {names}" if names else "OBJECTS has no Node"
        raise ObjectError(f"the node's name is missing: {there}; say --node NAME")
    name = options.node or objects.nodes[0].name
    known = next((node for node in objects.nodes if node.name == name), Node(name))
    if objects.nodes and known not in objects.nodes and not options.node_ip:
        raise ObjectError(
            f"there is no Node {name} in OBJECTS, which has {names}; say --node-ip for one that is not there"
        )
    addresses = tuple(options.node_ip) or known.addresses
    if not addresses:
        raise ObjectError(
            f"the address of {name} is missing: OBJECTS has no Node of that name with an InternalIP; say --node-ip ADDR"
        )
    return Node(name, addresses, known.zone if options.zone is None else options.zone)

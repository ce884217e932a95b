"""`k8slab drift`: what kube-proxy should have written on a node beside what is there.

    kubectl get svc,endpointslices,nodes -A -o json > OBJECTS
    ssh worker1 iptables-save | k8slab drift OBJECTS - --node worker1
    ssh worker1 iptables-save | k8slab drift --kubeconfig ~/.kube/config - --node worker1

kube-proxy's settings are taken from the rules where no flag gives them, and the answer says so. Exit status 0: no
difference; 3: there is one.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter

from k8slab.errors import Wrong
from k8slab.iptables import Ruleset
from k8slab.kubeproxy import Config, Node, ObjectError, Objects, Proxier, made, read_objects
from k8slab.oncall.drift import KINDS, Finding, drift, others
from k8slab.oncall.fetching import fetch
from k8slab.oncall.files import read_rules
from k8slab.oncall.settings import read_settings, said
from k8slab.render import add_node, add_settings, chosen_node, read_items
from k8slab.show.grid import Column, Folded, Table

ALL = "kubectl get svc,endpointslices,nodes -A -o json"
DIFFERS = 3
SHOWN = 60


def add_drift(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    add = parser.add_argument
    add("files", metavar="OBJECTS RULES", nargs="+",
        help="a List of Services, EndpointSlices and Nodes, which --kubeconfig replaces; and the node's iptables-save "
        "text; - reads standard input")
    add("--kubeconfig", metavar="FILE", help="fetch the objects from the cluster that this names (needs the Python "
        "client: pip install 'k8slab[kubernetes]')")
    add("--context", metavar="NAME", help="with --kubeconfig: the context to use")
    add("--json", action="store_true", help="the answer as JSON")
    add_node(parser)
    add_settings(parser)
    # What nobody says is taken from the rules, so that a default may not look as if somebody had said it.
    parser.set_defaults(run=run_drift, as_of=None, masquerade_bit=None)
    parser.usage = "%(prog)s [options] OBJECTS RULES\n       %(prog)s [options] --kubeconfig FILE RULES"


def run_drift(options: argparse.Namespace) -> int:
    """Print the differences; the exit status says whether there is one."""
    wanted = ("RULES",) if options.kubeconfig else ("OBJECTS", "RULES")
    if len(options.files) != len(wanted):
        raise Wrong(f"{' and '.join(wanted)} {'is' if len(wanted) == 1 else 'are'} wanted, not {len(options.files)} "
                    f"file{'s' * (len(options.files) != 1)}")
    if options.files == ["-", "-"]:
        raise Wrong("OBJECTS and RULES cannot both be standard input")
    if options.context and not options.kubeconfig:
        raise Wrong("--context goes with --kubeconfig")
    items = fetch(options.kubeconfig, options.context) if options.kubeconfig else read_items(options.files[0])
    objects = read_objects(items)
    check_whole(items, "standard input" if options.files[0] == "-" else options.kubeconfig or options.files[0])
    rules = read_rules(options.files[-1])
    config, taken = settings(options, chosen_node(options, objects), rules)
    found, beside = drift(rendered(config, objects), rules, config.node.addresses), others(rules)
    if options.json:
        print(json.dumps({"same": not found, "node": config.node.name, "taken": taken,
                          "found": [one.to_dict() for one in found], "others": list(beside)}, indent=2))
    else:
        print("\n".join(_lines(config, found, taken, beside)))
    return DIFFERS if found else 0


def check_whole(items: list[object], name: str) -> None:
    """Raise ObjectError where the objects cannot be all: for a Service that is left out, every rule would be stale."""
    kinds = {item["kind"] for item in items if isinstance(item, dict)}
    lacking = [kind for kind in ("Service", "EndpointSlice") if kind not in kinds]
    if lacking:
        raise ObjectError(f"{name}: there is no {' and no '.join(lacking)} among the objects; `{ALL}` gives all that "
                          "kube-proxy reads")
    first = ("Service", "default", "kubernetes")
    if all((item["kind"], item["metadata"].get("namespace", "default"), item["metadata"]["name"]) != first
           for item in items if isinstance(item, dict) and item["kind"] == "Service"):
        raise ObjectError(f"{name}: there is no Service default/kubernetes among the objects, which every cluster has, "
                          f"so that they cannot be all; `{ALL}` gives all that kube-proxy reads")


def settings(options: argparse.Namespace, node: Node, rules: Ruleset) -> tuple[Config, list[str]]:
    """kube-proxy's settings: what flags say, then what the rules tell; and the words for what was taken from these."""
    given = {"detector": options.detector, "masquerade_all": options.masquerade_all or None,
             "node_port_addresses": tuple(options.nodeport_addresses) or None, "as_of": options.as_of,
             "localhost_node_ports": False if options.no_localhost_nodeports else None,
             "nfacct": options.nfacct or None, "masquerade_bit": options.masquerade_bit}
    given = {name: value for name, value in given.items() if value is not None}
    read = {name: value for name, value in read_settings(rules).items() if name not in given}
    if "masquerade_all" in given:
        read.pop("detector", None)
    return Config(node, **given | read), said(read)


def rendered(config: Config, objects: Objects) -> Ruleset:
    """The rules that kube-proxy would have made. Raises TooOld for a Service that an older layout is not known for."""
    return made(config, Proxier(config).sync(objects).text)


def _lines(config: Config, found: tuple[Finding, ...], taken: list[str], beside: tuple[str, ...]) -> list[str]:
    lines = []
    if found:
        count = Counter(one.kind for one in found)
        caption = (f"{config.node.name}: the rules differ from what kube-proxy writes: "
                   + ", ".join(f"{count[kind]} {kind}" for kind in KINDS if count[kind]))
        columns = (Column("Difference"), Column("Where", code=True), Column("Why"))
        rows = tuple((one.kind, one.place, Folded(one.why, one.rule)) for one in found[:SHOWN])
        lines.append(str(Table(caption, columns, rows)))
        lines += [f"… and {len(found) - SHOWN} more; --json has all"] if len(found) > SHOWN else []
    else:
        lines.append(f"{config.node.name}: the rules are what kube-proxy writes.")
    if taken:
        lines += ["", "kube-proxy's settings, taken from the rules:", *(f"  {words}" for words in taken)]
    if beside:
        more = f" and {len(beside) - 6} more" if len(beside) > 6 else ""
        lines += ["", f"Other programs' chains, which were not compared: {', '.join(beside[:6])}{more}"]
    return lines

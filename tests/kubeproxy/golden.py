"""What a real kube-proxy wrote, beside what ours writes.

python -m tests.kubeproxy.golden        prints how many of the recorded clusters are equal
"""

from __future__ import annotations

import difflib
import json
import sys
from importlib import resources

from k8slab.kubeproxy import Config, Node, Proxier, pod_cidr, read_objects, saved

FOLDER = resources.files("k8slab") / "data" / "golden"
NAMES = sorted(one.name.removesuffix(".objects.json") for one in FOLDER.iterdir() if one.name.endswith(".objects.json"))
# The node on which they were recorded.
CONFIG = Config(Node("k8smaster", ("10.106.175.128",), "zone-a"), pod_cidr("10.244.0.0/16"), nfacct=True)
# Their rules come in the order of a Go map, which no two syncs share.
UNORDERED = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL", "KUBE-NODEPORTS")


def objects(name: str) -> list[dict]:
    return json.loads((FOLDER / f"{name}.objects.json").read_text())["items"]


def recorded(name: str) -> str:
    return (FOLDER / f"{name}.iptables-save").read_text()


def ours(name: str) -> str:
    return saved(CONFIG, Proxier(CONFIG).sync(read_objects(objects(name))).text)


def in_order(dump: str) -> str:
    """The dump with the rules of UNORDERED sorted within their chains, and no other line moved."""
    lines, chain = [], []
    for line in dump.splitlines():
        if chain and line.split()[:2] != chain[0].split()[:2]:
            lines += sorted(chain)
            chain = []
        if line.startswith(tuple(f"-A {name} " for name in UNORDERED)):
            chain.append(line)
        else:
            lines.append(line)
    return "\n".join((*lines, *sorted(chain), ""))


def main() -> int:
    different = [name for name in NAMES if in_order(ours(name)) != in_order(recorded(name))]
    for name in different:
        pair = in_order(recorded(name)).splitlines(), in_order(ours(name)).splitlines()
        print(*difflib.unified_diff(*pair, "recorded", f"ours: {name}", lineterm="", n=0), sep="\n")
    print(f"{len(NAMES) - len(different)} of {len(NAMES)} recorded clusters: equal to the byte")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())

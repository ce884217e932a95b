"""kube-proxy's rules, to the byte: Services and EndpointSlices in, text for iptables-restore out, or nftables' table.

Nothing here knows of dataplanes. What a real kube-proxy 1.36.2 wrote for fifteen clusters is what this is held to.
"""

from k8slab.kubeproxy.config import Config, Detector, bridge, interface_prefix, pod_cidr
from k8slab.kubeproxy.nftables import NotInNftables, nft_table
from k8slab.kubeproxy.objects import Node, ObjectError, Objects, read_objects
from k8slab.kubeproxy.older import LAYOUTS, TooOld
from k8slab.kubeproxy.proxier import Proxier, Sync
from k8slab.kubeproxy.setup import made, saved, setup

__all__ = [
    "LAYOUTS",
    "Config",
    "Detector",
    "Node",
    "NotInNftables",
    "ObjectError",
    "Objects",
    "Proxier",
    "Sync",
    "TooOld",
    "bridge",
    "interface_prefix",
    "made",
    "nft_table",
    "pod_cidr",
    "read_objects",
    "saved",
    "setup",
]

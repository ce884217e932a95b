"""The names of kube-proxy's chains: a prefix, and 16 characters that come from the Service alone.

The same Service has the same chain on every node of every cluster: neither its ClusterIP nor the number of its port
goes into the name (pkg/proxy/iptables/proxier.go, `portProtoHash` and `servicePortEndpointChainName`).
"""

from __future__ import annotations

import hashlib
from base64 import b32encode

SVC, SVL, EXT, FW, SEP = "KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-"
# A chain of nat with one of these prefixes is a Service's: kube-proxy deletes it when no Service has it any more.
PREFIXES = (SVC, SVL, EXT, FW, SEP)


def port_name(namespace: str, service: str, port: str = "") -> str:
    """A port of a Service as comments and logs call it: `default/kubernetes:https`, or `shop/plain` without a name."""
    return f"{namespace}/{service}:{port}" if port else f"{namespace}/{service}"


def digest(text: str) -> str:
    """The first 16 characters of the base32 of the SHA-256 of a text: ten bytes of it, for base32 takes five to eight.

    >>> digest("default/kubernetes:httpstcp")
    'NPX46M4PTMTKRN6Y'
    """
    return b32encode(hashlib.sha256(text.encode()).digest()[:10]).decode()


def service_chain(name: str, protocol: str, prefix: str = SVC) -> str:
    """The chain of a Service's port; `name` as `port_name` gives it, `protocol` in small letters.

    >>> service_chain("default/kubernetes:https", "tcp")
    'KUBE-SVC-NPX46M4PTMTKRN6Y'
    """
    return prefix + digest(name + protocol)


def endpoint_chain(name: str, protocol: str, endpoint: str) -> str:
    """The chain of one endpoint, `address:port`, of a Service's port.

    >>> endpoint_chain("default/kubernetes:https", "tcp", "10.106.175.128:6443")
    'KUBE-SEP-VDNPK4CXOQDGPWFC'
    """
    return SEP + digest(name + protocol + endpoint)

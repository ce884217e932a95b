"""Config: how a node's kube-proxy is set up, in the words of its own flags."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from k8slab.kubeproxy.objects import Node


LOOPBACK = ipaddress.ip_address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class Detector:
    """How local traffic is told (pkg/proxy/util/localdetector.go): an option of iptables, and its value.

    >>> Detector("-s", "10.244.0.0/16").remote
    '! -s 10.244.0.0/16'
    """

    option: str
    value: str

    @property
    def local(self) -> str:
        """The test for traffic that begins on this node's Pods (or in the Pod range, where that is all one knows)."""
        return f"{self.option} {self.value}"

    @property
    def remote(self) -> str:
        """The test for all other traffic."""
        return f"! {self.local}"


def pod_cidr(cidr: str) -> Detector:
    """`--cluster-cidr`, as kubeadm sets it: local is what comes from this range."""
    return Detector("-s", cidr)


def bridge(interface: str) -> Detector:
    """`--pod-bridge-interface`: local is what comes in by this bridge."""
    return Detector("-i", interface)


def interface_prefix(prefix: str) -> Detector:
    """`--pod-interface-name-prefix`: local is what comes in by an interface whose name begins so."""
    return Detector("-i", f"{prefix}+")


@dataclass(frozen=True, slots=True)
class Config:
    """One node's kube-proxy.

    `node_port_addresses`: ranges in which an address of the node must lie for NodePorts to be served there; none, or
    one of /0, is every local address. `nfacct`: whether the kernel's accounting objects could be made. `mark`: the
    masquerade mark's bit, from 0 to 31. `random_fully`: whether iptables knows that word (1.6.2 and newer).
    `as_of`: the release whose layout is written (`older.LAYOUTS`).
    """

    node: Node
    detector: Detector | None = None
    masquerade_all: bool = False
    node_port_addresses: tuple[str, ...] = ()
    localhost_node_ports: bool = True
    nfacct: bool = False
    masquerade_bit: int = 14
    random_fully: bool = True
    as_of: str = "1.36"

    @property
    def serves_localhost(self) -> bool:
        """Whether NodePorts are served at 127.0.0.1: not where `node_port_addresses` leave it out (NewProxier)."""
        ranges = [ipaddress.ip_network(one) for one in self.node_port_addresses]
        inside = not ranges or any(LOOPBACK in one or one.is_loopback for one in ranges)
        return self.localhost_node_ports and inside

    @property
    def mark(self) -> str:
        """The mark as kube-proxy prints it: `0x00004000`."""
        return f"{1 << self.masquerade_bit:#010x}"

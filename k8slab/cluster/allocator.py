"""Which ClusterIP a Service gets (kubernetes, pkg/registry/core/service/ipallocator).

Every address in use has an IPAddress object of its name; a ServiceCIDR says from which range addresses are given.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from random import Random

from k8slab.errors import Told

Address = ipaddress.IPv4Address
FULL = "range is full"
TAKEN = "provided IP is already allocated"
ELSEWHERE = "the provided network does not match the current range"
NODE_PORTS = range(30000, 32768)
NODE_PORT_BAND = 86  # of the 2768 ports, those that chance takes last: min(max(16, size/32), 128)


class Unallocated(Told):
    """No address could be given; the message has Kubernetes' own words."""


class ClusterIPs:
    """One Service range: `10.96.0.0/16`. `taken` tells of an address whether an IPAddress object has it.

    >>> ClusterIPs("10.96.0.0/16", lambda address: False).first
    IPv4Address('10.96.0.1')
    """

    def __init__(self, cidr: str, taken: Callable[[Address], bool]) -> None:
        self.network = ipaddress.IPv4Network(cidr)
        self._taken = taken
        self.first = self.network[min(1, self.network.num_addresses - 1)]
        self.size = max(0, self.network.num_addresses - 2)  # without the network's and the broadcast address
        self.band = _band(self.network.num_addresses)

    def check(self, address: Address) -> None:
        """Raise Unallocated unless a hand-picked address may be had.

        >>> ClusterIPs("10.96.0.0/16", lambda address: True).check(Address("10.96.0.1"))
        Traceback (most recent call last):
        k8slab.cluster.allocator.Unallocated: provided IP is already allocated
        """
        if address not in self.network or address in (self.network[0], self.network[-1]):
            raise Unallocated(f"the provided IP ({address}) is not in the valid range. "
                              f"The range of valid IPs is {self.network}")
        if self._taken(address):
            raise Unallocated(TAKEN)

    def next(self, rng: Random) -> Address:
        """A free address, from above the low band as long as there is one; raises Unallocated when all are taken.

        >>> ClusterIPs("10.96.0.0/29", lambda address: False).next(Random(1)) in ipaddress.ip_network("10.96.0.0/29")
        True
        """
        for low, high in ((min(self.band, self.size), self.size), (0, min(self.band, self.size))):
            start = rng.randrange(high - low) if high > low else 0
            for step in range(high - low):
                address = self.network[1 + low + (start + step) % (high - low)]
                if not self._taken(address):
                    return address
        raise Unallocated(FULL)


def _band(size: int) -> int:
    """How many addresses at the beginning are kept for hand-picked ones: min(max(16, size/16), 256)."""
    return 0 if size <= 16 else min(max(16, size // 16), 256)


def next_node_port(taken: set[int], rng: Random) -> int:
    """A free NodePort, from above the low band first; raises Unallocated when all 2768 are taken.

    >>> next_node_port(set(), Random(1)) >= 30086
    True
    """
    for ports in (NODE_PORTS[NODE_PORT_BAND:], NODE_PORTS[:NODE_PORT_BAND]):
        if free := [port for port in ports if port not in taken]:
            return rng.choice(free)
    raise Unallocated(FULL)

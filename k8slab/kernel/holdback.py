"""The trace's own table on each host, and the RSTs that it holds back.

A packet that is sent by hand is known to no socket, so that the host's TCP would refuse the answer with a RST. It is
held back, as if a program waited for the answer. A RST that is sent by hand has an IP id, the host's own has none.
"""

from __future__ import annotations

from k8slab.kernel import build
from k8slab.kernel.holder import Holder
from k8slab.packet import Flow, Packet

MOST = 64              # connections by hand of one host whose RST is held back, the latest
OWN_RST = "tcp flags & rst == rst ip id 0"


class HeldBack:
    """What each host holds back: by connection, or for good by a test of `nft`."""

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        self.by_flow: dict[str, dict[Flow, str]] = {}
        self.for_good: dict[str, str] = {}

    def answer_to(self, at: str, packet: Packet) -> None:
        """Let the TCP of the host `at` not refuse the answer to this packet."""
        held = self.by_flow.setdefault(at, {})
        if packet.proto != "tcp" or at in self.for_good or packet.flow in held:
            return
        if len(held) == MOST:
            del held[next(iter(held))]
        held[packet.flow] = (f"ip saddr {packet.src} ip daddr {packet.dst} tcp sport {packet.sport} "
                             f"tcp dport {packet.dport} {OWN_RST}")
        self.tell(at)

    def no_longer(self, at: str, proto: str, source: str) -> None:
        """A program has taken this source, `address:port`: what it refuses is refused."""
        held = self.by_flow.get(at, {})
        taken = [flow for flow in held if (flow.proto, flow.source) == (proto, source)]
        for flow in taken:
            del held[flow]
        if taken:
            self.tell(at)

    def tell(self, node: str) -> None:
        """Give the host the table that switches its trace on, with what it holds back."""
        tests = [*self.by_flow.get(node, {}).values(), *filter(None, [self.for_good.get(node)])]
        self.holder.ask("batch", [(node, [(["nft", "-f", "-"], build.trace_switch(tests))])])

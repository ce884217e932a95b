"""The reports of rules put together, packet by packet and hook by hook."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from k8slab.kernel import events
from k8slab.kernel.events import Hit


@dataclass(slots=True)
class Passage:
    """What was reported of one packet on one host: the walks through its chains, in order.

    `start` is "pre" for a packet that came in and "out" for one made here; `network`, `transport` its headers then.
    """

    host: str
    start: str
    network: bytes
    transport: bytes
    walks: deque[list[Hit]] = field(default_factory=deque)


def passages(hits: list[Hit]) -> list[Passage]:
    """The reports of a journey put together, packet by packet. The kernel uses a packet's name again for later ones."""
    found: list[Passage] = []
    current: dict[tuple[str, int], Passage] = {}
    for hit in hits:
        key = hit.host, hit.packet
        if hit.table == events.TABLE:
            if hit.network:
                current[key] = Passage(hit.host, hit.chain, hit.network, hit.transport)
                found.append(current[key])
        elif key in current:
            walks = current[key].walks
            if hit.network or not walks:         # the headers stand in the first report of each walk
                walks.append([])
            walks[-1].append(hit)
    return found

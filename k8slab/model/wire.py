"""The model's links: who gets a frame, the table of neighbours of each host, and captures.

Theory of operation
-------------------
A host that sends to a next hop looks into its table of neighbours. Without an entry it asks by broadcast, three
times a second apart (mcast_solicit, retrans_time); who has the address, on whichever interface, answers
(arp_ignore 0) and notes the asker. What is noted is used for as long as it is fresh, even where the wiring has
changed behind it: then the frames go to a MAC that nobody has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from k8slab.frame import EVERYBODY, NOBODY, Arp, Frame
from k8slab.hearing import End, carrier, neighbours, paths
from k8slab.stack.stack import Stack
from k8slab.packet import Packet

if TYPE_CHECKING:
    from k8slab.model.dataplane import Model

QUESTIONS, APART = 3, 1.0
NOWHERE: End = ("", "")
GIVEN_UP = QUESTIONS * APART              # seconds until an unanswered question is given up
REACHABLE_FOR, DELAY_FOR = 30.0, 5.0      # base_reachable_time, delay_first_probe_time
BETWEEN_FRAMES = 0.001                    # the model's wires take no time; a capture needs an order to be read in


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What a host knows of a neighbour: `mac`, "" when nobody answered; `state` and `since` when, in seconds."""

    mac: str
    state: str
    since: float

    def now(self, seconds: float) -> str:
        """The state as `ip neigh` shows it (NUD_* in neighbour.c): time makes what was reachable stale."""
        age = seconds - self.since
        if self.state == "DELAY" and age >= DELAY_FOR:
            return "REACHABLE" if age < REACHABLE_FOR + DELAY_FOR else "STALE"
        return "STALE" if self.state == "REACHABLE" and age >= REACHABLE_FOR else self.state


    def trusted(self, seconds: float) -> bool:
        """Whether a MAC is used without a question, though nobody answers by it: until it has been asked after."""
        return seconds - self.since < (DELAY_FOR + GIVEN_UP if self.state == "DELAY" else REACHABLE_FOR)


class Wire:
    """All links of the model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.known: dict[str, dict[tuple[str, str], Neighbour]] = {}     # host → (interface, address) → neighbour
        self._owners: dict[tuple[str, str, str, str], End | None] = {}   # who answers whom, until the wiring changes
        self._taps: list[tuple[End, list[Frame]]] = []
        self._seen = 0

    @property
    def watched(self) -> bool:
        """Whether a capture is running."""
        return bool(self._taps)

    def resolve(self, stack: Stack, interface: str, address: str, packet: Packet) -> End | None:
        """The interface that takes a frame for the next hop `address`, after asking where need be.

        None if nobody answers; NOWHERE if what is noted is a MAC that nobody on the link has any more.
        """
        if not any(i.name == interface for i in self.model.network.host(stack.name).interfaces):
            return None                                     # a route by way of a next hop that is on no link
        table, key, now = self.known.setdefault(stack.name, {}), (interface, address), self.model.clock()
        local = stack.routes.address_type(packet.src) == "LOCAL"
        asker = packet.src if local else stack.routes.nearest(interface, address)
        place = (stack.name, interface, address, asker)
        if place not in self._owners:
            self._owners[place] = self._owner(*place)
        found = self._owners[place]
        mac = self._mac(found) if found else ""
        entry = table.get(key)
        if entry and entry.mac and (entry.mac == mac or entry.trusted(now)):
            used = {"STALE": "DELAY"}.get(entry.now(now))
            table[key] = replace(entry, state=used, since=now) if used else entry
            return found if entry.mac == mac else self._holder(stack.name, interface, entry.mac)
        self._ask((stack.name, interface), found, asker, address)
        table[key] = Neighbour(mac, "REACHABLE" if found else "FAILED", now)
        return found

    def _owner(self, host: str, interface: str, address: str, asker: str) -> End | None:
        """Who answers a question for `address`: any host that has it, on any interface, and may believe the asker."""
        for name, far in neighbours(self.model.network, host, interface):
            routes = self.model.stacks[name].routes
            if routes.look_up(address).kind == "local" and not routes.bad_source(asker, far):
                return name, far
        return None

    def _holder(self, host: str, interface: str, mac: str) -> End:
        """Who takes a frame for this MAC, whatever its addresses; one for a port's own MAC its bridge takes."""
        network = self.model.network
        heard = paths(network, host, interface)
        end = next((end for end in heard if self._mac(end) == mac), NOWHERE)
        master = network.host(end[0]).interface(end[1]).master if end in heard else ""
        return (end[0], master) if master and (end[0], master) in heard else NOWHERE if master else end

    def _ask(self, origin: End, found: End | None, asker: str, address: str) -> None:
        mac = self._mac(origin)
        way = paths(self.model.network, *origin)
        for i in range(1 if found else QUESTIONS):
            self._pass((origin, *way), Frame(mac, EVERYBODY, Arp(True, mac, asker, NOBODY, address)), i * APART)
        if found:
            far = self._mac(found)
            self._pass(self._between(origin, found), Frame(far, mac, Arp(False, far, address, mac, asker)))
            its = self.known.setdefault(found[0], {})
            if its.get((found[1], asker), Neighbour("", "", 0)).mac != mac:
                its[found[1], asker] = Neighbour(mac, "STALE", self.model.clock())

    def carry(self, origin: End, found: End, packet: Packet) -> None:
        """Show a packet to the captures that it comes by."""
        if self._taps:
            self._pass(self._between(origin, found), Frame(self._mac(origin), self._mac(found), packet))

    def loop(self, host: str, packet: Packet) -> None:
        """Show a packet on lo to the captures there."""
        self._pass([(host, "lo")], Frame(NOBODY, NOBODY, packet))

    def _between(self, origin: End, found: End) -> list[End]:
        """The interfaces that a frame from one to the other comes by; a bridge on the way does not take it up."""
        before = paths(self.model.network, *origin)
        way = [found]
        while way[-1] != origin:
            way.append(before[way[-1]])
        network = self.model.network
        return [end for end in way if end in (origin, found) or network.host(end[0]).interface(end[1]).kind != "bridge"]

    def _pass(self, ends: Iterable[End], frame: Frame, later: float = 0.0) -> None:
        its = set(ends)
        self._seen += 1
        frame = replace(frame, seconds=self.model.clock() + later + self._seen * BETWEEN_FRAMES)
        for end, frames in self._taps:
            if end in its:
                frames.append(frame)

    def _mac(self, end: End) -> str:
        return self.model.network.host(end[0]).interface(end[1]).mac

    @contextmanager
    def tap(self, host: str, interface: str) -> Iterator[list[Frame]]:
        """Collect the frames that come by an interface. Raises NetworkError when there is no such."""
        if interface != "lo":
            self.model.network.host(host).interface(interface)
        tap = ((host, interface), [])
        self._taps.append(tap)
        try:
            yield tap[1]
        finally:
            self._taps = [other for other in self._taps if other is not tap]

    def forget(self) -> None:
        """After a change of the wiring: drop what was known through interfaces that are gone or without carrier."""
        self._owners.clear()
        network = self.model.network
        hosts = {host.name: {i.name for i in host.interfaces if carrier(network, host.name, i.name)}
                 for host in network.hosts}
        self.known = {host: {key: entry for key, entry in table.items() if key[0] in hosts[host]}
                      for host, table in self.known.items() if host in hosts}

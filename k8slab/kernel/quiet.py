"""The lab's hosts while something happens: what is reported is heard, what is asked is served, until it is quiet.

Theory of operation
-------------------
One thread does everything. During a journey it is bound to one processor. A packet that crosses a veth waits in a queue
of the processor that sent it, so that with one processor all packets of the lab stand in one queue, one after the
other. Therefore:

* what happens, happens in one order, and the captures' timestamps tell it;
* a packet that the child sends to itself over its own lo comes back only after all that stood before it: when
  it has come back and nothing new was seen, the kernel is *quiet*, and no clock was asked.

Only an open ARP question is waited for, since nothing stands in a queue meanwhile.
"""

from __future__ import annotations

import selectors
import socket
import time

from k8slab.kernel.namespaces import Host
from k8slab.kernel.programs import Server

NEIGHBOUR_PAUSE, LONGEST = 0.004, 8.0      # seconds: between two looks at the neighbours, and for one journey


class Stage:
    """Hosts, their servers, and the ears that hear both; between `begin` and `end` all that is heard is kept."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.servers: list[Server] = []
        self.heard: list = []
        self.recording = False
        self.fence = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.ears = selectors.DefaultSelector()

    def _begin(self) -> None:
        self.settle()
        for host in self.hosts.values():
            if host.missed:
                host.entries()
                host.missed = False
        self.heard, self.recording = [("before", self._tables())], True

    def _end(self) -> list:
        self.recording, heard = False, self.heard
        for host in self.hosts.values():
            host.refresh()
        self.heard = []
        return [*heard, ("after", self._tables()), ("missed", [h.name for h in self.hosts.values() if h.missed])]

    def _tables(self) -> dict[str, list]:
        return {name: list(host.table.values()) for name, host in self.hosts.items() if host.traces}

    def _hear(self, host: Host) -> None:
        known = self.ears.get_map()
        for source, read in host.sources().items():
            if source not in known:
                self.ears.register(source, selectors.EVENT_READ, read)

    def _open(self) -> set[socket.socket]:
        """The servers' ends of connections that packets sent by hand have opened: their other end is nobody's."""
        return {talk for server in self.servers for talk in server.open}

    def _silence(self, kept: set[socket.socket]) -> None:
        for server in self.servers:
            server.end(kept)

    def pump(self) -> bool:
        """Read what was reported and serve what was asked; whether there was anything."""
        busy = False
        for key, _ in self.ears.select(0):
            result = key.data()
            if isinstance(result, bool):
                busy |= result
                continue
            seen = list(result)
            busy |= bool(seen)
            if self.recording:
                self.heard += seen
        return busy

    def settle(self) -> None:
        """Wait until the kernel is quiet: all that was sent has gone as far as it goes."""
        quiet, end = 0, time.monotonic() + LONGEST
        while quiet < 2 and time.monotonic() < end:
            self._stand_in_line()
            quiet = 0 if self.pump() else quiet + 1
            if quiet == 2 and any(host.waits_for_a_neighbour() for host in self.hosts.values()):
                time.sleep(NEIGHBOUR_PAUSE)
                quiet = 0

    def _stand_in_line(self) -> None:
        """Send a datagram to oneself and wait for it: all that stood before it in the queue is done then."""
        self.fence.sendto(b"?", self.fence.getsockname())
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                self.fence.recv(1)
                return
            except BlockingIOError:
                time.sleep(0)

"""One host of the lab, as the child process holds it: its network namespace, and the sockets that watch it."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from k8slab.entry import Entry
from k8slab.kernel import events, legacy, netlink
from k8slab.kernel.events import Change, Hit, Wire
from k8slab.kernel.legacy import Line
from k8slab.kernel.linux import inside, new_network
from k8slab.packet import Flow

ETH_P_ALL, ETH_P_IP = 3, 0x0800
PACKET_OUTGOING, PACKET_OTHERHOST = 4, 3
SO_TIMESTAMPNS = 35
MANY = 256                    # so many entries are asked for one by one: a dump goes through the whole machine's table
PATIENCE = 10.0               # seconds until the kernel must have answered
INCOMPLETE = 1                # a neighbour that is being asked for (NUD_INCOMPLETE, linux/neighbour.h)


class Host:
    """A host's namespace; `home` is a descriptor of the namespace that the child process lives in."""

    def __init__(self, name: str, home: int) -> None:
        self.name, self.home, self.net = name, home, new_network()
        self.table: dict[Flow, Entry] = {}          # by original tuple, oldest first, as the events tell it
        self.positions: dict[tuple[str, str, int], int] = {}
        self.names: dict[int, str] = {}
        with self.inside():
            # SOCK_DGRAM: the captured bytes begin with the IP header, whatever the link.
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            self.changes = netlink.listen(netlink.GROUP_CONNTRACK_NEW, netlink.GROUP_CONNTRACK_UPDATE,
                                          netlink.GROUP_CONNTRACK_DESTROY)
            self.talk = netlink.listen()
            self.routes = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.ROUTE)
        for asks in (self.talk, self.routes):
            asks.settimeout(PATIENCE)               # an answer that does not come must not hold the lab for ever
        self.wire.setblocking(False)
        self.wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, netlink.BUFFER)
        self.traces: socket.socket | None = None
        self.log: socket.socket | None = None       # of iptables-legacy
        self.missed = False                         # the kernel has said more than the buffer holds

    def inside(self):
        """Within the `with`, this process is in the host's namespace."""
        return inside(self.net, self.home)

    def listen_to_rules(self, backend: str) -> None:
        """Hear the trace of rules from now on, "nft" or "legacy": of legacy, nf_tables tells where it begins."""
        with self.inside():
            self.traces = self.traces or netlink.listen(netlink.GROUP_TRACE)
            self.log = self.log or (legacy.listen() if backend == "legacy" else None)

    def write(self, settings: Iterable[tuple[str, object]]) -> None:
        """Set sysctls: pairs of path below /proc/sys/net, "?" before it where it may be missing, and value.

        Raises OSError where one cannot be set.
        """
        with self.inside():
            for path, value in settings:
                try:
                    with open(f"/proc/sys/net/{path.removeprefix('?')}", "wb", buffering=0) as file:
                        file.write(str(value).encode())
                except FileNotFoundError:
                    if not path.startswith("?"):
                        raise

    def forget(self) -> None:
        """Names of interfaces and places of rules may have changed."""
        self.positions, self.names = {}, {}

    def close(self) -> None:
        """Let go of the namespace: the kernel takes it away with the last descriptor."""
        for one in (self.wire, self.changes, self.talk, self.routes, self.traces, self.log):
            if one:
                one.close()
        os.close(self.net)

    # What was seen since the last time.

    def sources(self) -> dict[socket.socket, Callable[[], Iterator[Wire | Hit | Line | Change]]]:
        """The sockets that watch this host, and how each is read."""
        heard = {self.wire: self._wires, self.changes: self._changes, self.traces: self._hits, self.log: self._lines}
        return {source: read for source, read in heard.items() if source}

    def hush(self, quiet: bool) -> None:
        """Have the kernel report no rules, or have it report them again."""
        if self.traces:
            word = netlink.DROP_MEMBERSHIP if quiet else netlink.ADD_MEMBERSHIP
            self.traces.setsockopt(netlink.SOL_NETLINK, word, netlink.GROUP_TRACE)
        if self.log:
            legacy.hush(self.log, quiet)

    def _wires(self) -> Iterator[Wire]:
        while True:
            try:
                data, ancillary, _, address = self.wire.recvmsg(65536, 64)
            except BlockingIOError:
                return
            interface, protocol, kind, *_ = address
            if protocol == ETH_P_IP and kind != PACKET_OTHERHOST:
                seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2][:16])
                yield Wire(seconds * 10**9 + nanoseconds, self.name, interface, kind == PACKET_OUTGOING, data)

    def _hits(self) -> Iterator[Hit]:
        for data in self._datagrams(self.traces):
            for kind, _, body in netlink.messages(data):
                if kind & 0xFF == netlink.NFT_TRACE:
                    yield events.read_hit(self.name, body, self._position, self._interface)

    def _lines(self) -> Iterator[Line]:
        for data in self._datagrams(self.log):
            yield from legacy.read_lines(self.name, data, self._interface)

    def _changes(self) -> Iterator[Change]:
        for data in self._datagrams(self.changes):
            for change in events.read_changes(self.name, data):
                original = change.entry.original
                if change.what == "destroy" or change.what == "new":
                    self.table.pop(original, None)       # a new one stands last
                if change.what != "destroy":
                    self.table[original] = change.entry
                yield change

    def _datagrams(self, heard: socket.socket) -> Iterator[bytes]:
        while True:
            try:
                yield heard.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.missed = True

    def _position(self, table: str, chain: str, handle: int) -> int:
        if (table, chain, handle) not in self.positions:
            question = netlink.netfilter(netlink.SUBSYSTEM_NFTABLES, netlink.NFT_GETRULE)
            self.positions = events.read_rules(netlink.ask(self.talk, question))
        return self.positions.get((table, chain, handle), 0)

    def _interface(self, index: int) -> str:
        if index not in self.names:
            with self.inside():
                self.names = dict(socket.if_nameindex())
        return self.names.get(index, "")

    # What it is asked.

    def entries(self) -> list[Entry]:
        """The entries of its table of connections, oldest first."""
        answers = netlink.ask(self.talk, netlink.netfilter(netlink.SUBSYSTEM_CONNTRACK, netlink.CT_GET))
        found = [entry for _, body in answers if (entry := events.read_entry(body))]
        order = {original: at for at, original in enumerate(self.table)}
        found.sort(key=lambda entry: order.get(entry.original, 0))
        self.table = {entry.original: entry for entry in found}
        return found

    def refresh(self) -> None:
        """Ask for each entry as it is now: what a packet changed that was dropped later is not reported by an event."""
        for original in list(self.table)[-MANY:]:
            which = netlink.attribute(netlink.CTA_TUPLE | netlink.NESTED, events.tuple_bytes(original))
            question = netlink.netfilter(netlink.SUBSYSTEM_CONNTRACK, netlink.CT_GET, which, flags=netlink.ACK)
            try:
                self.table[original] = events.read_entry(netlink.ask(self.talk, question)[0][1])
            except OSError:
                self.table.pop(original)             # its time is over

    def age(self, seconds: int) -> None:
        """Let every entry be older by this: what would have expired meanwhile is taken away."""
        for _, body in netlink.ask(self.talk, netlink.netfilter(netlink.SUBSYSTEM_CONNTRACK, netlink.CT_GET)):
            found = netlink.attributes(body[4:])
            left = netlink.number(found.get(netlink.CTA_TIMEOUT)) - seconds
            which = netlink.attribute(netlink.CTA_TUPLE | netlink.NESTED, found[netlink.CTA_TUPLE])
            word = netlink.CT_NEW if left > 0 else netlink.CT_DELETE
            new = netlink.attribute(netlink.CTA_TIMEOUT, struct.pack(">I", left)) if left > 0 else b""
            with suppress(FileNotFoundError):                # it has expired since it was listed
                netlink.ask(self.talk, netlink.netfilter(netlink.SUBSYSTEM_CONNTRACK, word, which + new,
                                                         flags=netlink.ACK))

    def flush(self) -> None:
        """Forget every entry, as `conntrack -F` does."""
        netlink.ask(self.talk, netlink.netfilter(netlink.SUBSYSTEM_CONNTRACK, netlink.CT_DELETE, flags=netlink.ACK))

    def waits_for_a_neighbour(self) -> bool:
        """Whether an ARP question is open."""
        of_all = struct.pack("=BxxxiHBB", socket.AF_INET, 0, 0, 0, 0)
        question = netlink.request(netlink.GET_NEIGHBOURS, netlink.DUMP, of_all)
        return any(struct.unpack_from("=H", body, 8)[0] == INCOMPLETE
                   for _, body in netlink.ask(self.routes, question))

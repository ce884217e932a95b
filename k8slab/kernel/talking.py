"""What the child process is asked to say: packets, datagrams and connections of a host's programs, each a journey."""

from __future__ import annotations

import socket
from collections import Counter

from k8slab.kernel.programs import Client
from k8slab.kernel.quiet import Stage

HANDSHAKE = b"\x16"        # the first byte of a TLS connection (RFC 8446, 5.1)


class Talking(Stage):
    """The requests of the child that send; each but `many` returns what was heard meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, int], Client] = {}      # connections that stay open, by their own end
        self.outlet: socket.socket | None = None           # by it connections are handed over that begin with TLS

    def hand_over(self, talk: socket.socket) -> bool:
        """Give a connection that begins with TLS to whoever answers for the API servers; whether it was given.

        The plain question of the lab's own clients is answered here, as ever.
        """
        if self.outlet is None or talk.recv(1, socket.MSG_PEEK) != HANDSHAKE:
            return False
        address, port = talk.getsockname()
        socket.send_fds(self.outlet, [f"{address}:{port}".encode()], [talk.fileno()])
        return True

    def send(self, name: str, data: bytes, holds: tuple[str, str, int] | None) -> list:
        """Send one packet as a program of the host would; `holds`: protocol, address, port of a socket that waits."""
        host, held = self.hosts[name], None
        with host.inside():
            out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            if holds and holds[0] == "udp":
                held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                try:
                    held.bind(holds[1:])
                    held.connect((socket.inet_ntoa(data[16:20]), int.from_bytes(data[22:24], "big")))
                except OSError:
                    pass                # not an address of this host, or a server has the port
        self._begin()
        try:
            out.sendto(data, (socket.inet_ntoa(data[16:20]), 0))
        except OSError:
            pass                        # what the kernel refuses to send leaves no packet: that is its answer
        self.settle()
        out.close()
        if held:
            held.close()
        return self._end()

    def connect(self, name: str, source: tuple[str, int], target: tuple[str, int], question: bytes) -> list:
        """Open a connection, ask, hear the answer and close."""
        client, kept = Client(self.hosts[name], source, target, self.settle), self._open()
        self._begin()
        client.ask(question)
        self.settle()
        self._silence(kept)
        return self._end()

    def ask_udp(self, name: str, source: tuple[str, int], target: tuple[str, int], question: bytes) -> list:
        """Send one datagram from a socket of a host, and hear the answer."""
        with self.hosts[name].inside():
            talk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        talk.bind(source)
        self._begin()
        try:
            talk.connect(target)
            talk.send(question)
        except OSError:
            pass                        # what the kernel refuses to send leaves no packet: that is its answer
        self.settle()
        talk.close()
        return self._end()

    def many(self, n: int, name: str, address: str, target: tuple[str, int], first: int) -> Counter:
        """Open `n` connections and count the answers; an outcome stands for those that nobody gave."""
        counts, kept = Counter(), self._open()
        for host in self.hosts.values():
            host.hush(True)
        try:
            for number in range(n):
                client = Client(self.hosts[name], (address, first + number), target, self.settle)
                client.ask_quickly(b"who answers?", self.pump)
                led_to = client.outcome == "refused" and self._led_to((address, first + number))
                counts[client.said or led_to or client.outcome] += 1
        finally:
            self._silence(kept)
            for host in self.hosts.values():
                host.hush(False)
        return counts

    def _led_to(self, source: tuple[str, int]) -> str:
        """Where the connection from these ends was led, as the nodes remember it; "" where none has let it through."""
        self.settle()
        ends = [entry.reply.source for host in self.hosts.values() for entry in host.table.values()
                if (entry.original.src, entry.original.sport) == source]
        return ends[0] if ends else ""

    def open(self, name: str, source: tuple[str, int], target: tuple[str, int]) -> list:
        """Open a connection that stays open; it is known by its own address and port."""
        client = Client(self.hosts[name], source, target, self.settle)
        self._begin()
        client.open()
        self.settle()
        if client.outcome == "open":
            self.kept[source] = client
        return [*self._end(), ("outcome", client.outcome, b"")]

    def say(self, source: tuple[str, int], question: bytes) -> list:
        """Ask over an open connection; an empty question closes it. One that brings no answer is the last."""
        client = self.kept[source]
        self._begin()
        client.say(question)
        self.settle()
        if client.outcome != "open":
            del self.kept[source]
        return [*self._end(), ("outcome", client.outcome, client.said)]

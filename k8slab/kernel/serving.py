"""The programs of the kernel lab's hosts: servers that come and go, machines that join, connections that stay open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from k8slab.kernel import growing
from k8slab.network import Host, NetworkError
from k8slab.packet import Packet
from k8slab.trace import Trace

if TYPE_CHECKING:
    from k8slab.kernel.dataplane import Kernel


class Programs:
    """The calls of `Kernel` that are about programs."""

    def serve(self: Kernel, host: str, port: int, proto: str = "tcp") -> None:
        """Start a program on a host that listens on a port, "tcp" or "udp", and answers whoever asks.

        Raises NetworkError when there is no such host, for another protocol, and for a port that is taken.
        """
        own = self.network.host(host)
        if proto not in ("tcp", "udp") or not 0 < port < 65536:
            raise NetworkError(f"a server listens on a tcp or udp port from 1 to 65535, not on {proto} {port}")
        if (proto, port) in own.listens:
            raise NetworkError(f"{host}: a program listens on {proto} port {port} already")
        self.holder.ask("start", host, [(proto, port)])
        self.network = self.network.replace(replace(own, listens=(*own.listens, (proto, port))))

    def unserve(self: Kernel, host: str, port: int, proto: str = "tcp") -> None:
        """End the program that listens on this port of a host; what it knew of its connections is gone with it.

        Raises NetworkError when there is no such host, or none listens there.
        """
        own = self.network.host(host)
        if (proto, port) not in own.listens:
            raise NetworkError(f"{host}: no program listens on {proto} port {port}")
        self.holder.ask("stop", host, proto, port)
        left = tuple(one for one in own.listens if one != (proto, port))
        self.network = self.network.replace(replace(own, listens=left))

    def answer(self: Kernel, host: str, port: int, answers: Mapping[bytes, bytes]) -> None:
        """Let the UDP server on a port give these answers: question to answer, both without DNS's two id bytes."""
        self.holder.ask("answer", self.network.host(host).name, port, dict(answers))

    def join(self: Kernel, host: Host, lan: str) -> None:
        """Put a new machine on the LAN of that name, by its eth0. Raises NetworkError for a name that is taken."""
        growing.join(self, host, lan)

    def open(self: Kernel, pod: str, address: str, port: int) -> tuple[Trace, tuple[str, int]]:
        """Open a connection that stays open: its handshake, and its own address and port, by which `say` knows it."""
        source = (self._source(pod, address), self._port(pod))
        self._taken.add((pod, source[1]))
        self._held.no_longer(pod, "tcp", f"{source[0]}:{source[1]}")
        first = Packet("tcp", source[0], address, source[1], port)
        heard = self.holder.ask("open", pod, source, (address, port))
        if _outcome(heard) == "open":
            self._kept[source] = pod, first
        return self._tell(pod, first, heard), source

    def say(self: Kernel, end: tuple[str, int], question: bytes) -> Trace:
        """Ask over a connection that `open` opened; an empty question closes it.

        Raises NetworkError where it is open no longer: an answer that does not come ends it, too.
        """
        pod, first = self._kept.get(end, ("", None))
        if not pod:
            raise NetworkError("this connection is open no longer")
        heard = self.holder.ask("say", end, question)
        if _outcome(heard) != "open":
            del self._kept[end]
        return self._tell(pod, first.replace(flags="PA" if question else "FA", payload=question), heard)


def _outcome(heard: list) -> str:
    return next(one[1] for one in heard if type(one) is tuple and one[0] == "outcome")

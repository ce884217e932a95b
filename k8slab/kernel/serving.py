"""The programs of the kernel lab's hosts: servers that come and go, machines that join, connections that stay open."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from k8slab.errors import CommandError
from k8slab.kernel import growing
from k8slab.kernel.events import Wire
from k8slab.kernel.holder import ROOT
from k8slab.kernel.journey import packet_of
from k8slab.network import Host, NetworkError
from k8slab.packet import Packet
from k8slab.trace import Trace

if TYPE_CHECKING:
    from k8slab.kernel.dataplane import Kernel

TCP, LONGEST = 6, 60.0        # seconds that a program may take
HANDSHAKE_LEGS = 3            # SYN, SYN-ACK, ACK


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

    def outlet(self: Kernel) -> socket.socket:
        """A socket by which connections come that begin with TLS: each a message, the address that was asked, and a
        descriptor of the connection."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self.holder.give("take_outlet", there.fileno())
        return here

    def program(self: Kernel, pod: str, words: list[str], files: Mapping[str, str], environment: Mapping[str, str],
                given: str = "", mount: bool = True) -> tuple[str, Trace | None]:
        """Run a program as a container of a Pod would; what it printed, and the journey of its first TCP packet.

        `files`: those of its service account, by name; `mount`: whether they may stand at kubelet's paths. Raises
        CommandError for a program that fails.
        """
        self.network.host(pod)
        asked = {"words": words, "files": dict(files), "environment": dict(environment), "given": given, "mount": mount}
        status, printed, heard = self.holder.ask("program", pod, python("container"), json.dumps(asked).encode(),
                                                 LONGEST)
        if status:
            raise CommandError(printed.strip() or f"{words[0]} ended with status {status}", printed=printed,
                               status=status)
        first = next((one for one in heard if isinstance(one, Wire) and one.host == pod and one.outgoing
                      and one.data[9] == TCP), None)
        if first is None:
            return printed, None
        seen = packet_of(first)
        trace = self._tell(pod, Packet("tcp", seen.src, seen.dst, seen.sport, seen.dport), heard)
        return printed, replace(trace, steps=tuple(step for step in trace.steps if step.leg <= HANDSHAKE_LEGS))

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


def python(module: str) -> list[str]:
    """The words that run a module of this folder as a program, with Python's own library alone."""
    return [sys.executable, "-S", "-E", "-c", f"import sys; sys.path.insert(0, {ROOT!r}); from k8slab.kernel.{module} "
            "import main; main()"]


def _outcome(heard: list) -> str:
    return next(one[1] for one in heard if type(one) is tuple and one[0] == "outcome")

"""The process that holds the lab: it does what it is asked through a pipe, and ends when the pipe closes.

One thread does everything: it answers requests, serves the lab's servers, and reads what the kernel reports; how it
knows that a journey is over stands in `quiet.py`.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import subprocess
import time
from itertools import groupby
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle

from k8slab.kernel.isolation import isolate
from k8slab.kernel.jobs import ENVIRONMENT, Job, Jobs, attend, start
from k8slab.kernel.links import ready
from k8slab.kernel.linux import this_network
from k8slab.kernel.namespaces import ETH_P_ALL, SO_TIMESTAMPNS, Host
from k8slab.kernel.programs import Server
from k8slab.kernel.talking import Talking

REST = 5.0              # seconds after which an idle lab gives its entries the time back


class Child(Talking):
    """The lab's namespaces, and what can be asked of them; each public method is a request."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self.pipe, self.home = pipe, this_network()
        self.switches: dict[str, Host] = {}
        self.taps: dict[int, socket.socket] = {}
        self.spawned: list[subprocess.Popen] = []
        self.processors = sorted(os.sched_getaffinity(0))
        self.jobs = Jobs(lambda name: self._host(name).net if name else self.home, self.home)

    def run_forever(self) -> None:
        """Answer requests until the pipe is closed. While nobody asks, the lab's time stands still."""
        waits = selectors.DefaultSelector()
        waits.register(self.pipe, selectors.EVENT_READ)
        waits.register(self.ears, selectors.EVENT_READ)       # readable when one of them is
        idle_since = time.monotonic()
        while True:
            try:
                ready = [key.fileobj for key, _ in waits.select(REST)]
                if whole := int(time.monotonic() - idle_since):
                    self.age(-whole)
                    idle_since += whole
                if self.pipe not in ready:
                    self.pump()
                    continue
                number, name, words = self.pipe.recv()
            except (EOFError, OSError):
                return
            try:
                reply = (number, "", getattr(self, name)(*words))
            except Exception as error:
                reply = (number, f"{type(error).__name__}: {error}", None)
            try:
                self.pipe.send(reply)
            except OSError:
                return
            idle_since = time.monotonic()

    # Requests.

    def make(self, hosts: list[str], switches: list[str]) -> dict[str, int]:
        """Make an empty namespace for each name; the descriptors, by which commands name them."""
        for name in hosts:
            self.hosts[name] = Host(name, self.home)
            self._hear(self.hosts[name])
        for name in switches:
            self.switches[name] = Host(name, self.home)
        made = {name: self._host(name).net for name in (*hosts, *switches)}
        for descriptor in made.values():
            os.set_inheritable(descriptor, True)
        return made

    def drop(self, name: str) -> None:
        """Let go of a host's namespace."""
        for server in [server for server in self.servers if server.host.name == name]:
            self.ears.unregister(server.door)
            self.servers.remove(server)
        for source in self.hosts[name].sources():
            self.ears.unregister(source)
        self.hosts.pop(name).close()

    def write(self, settings: list[tuple[str, str, object]]) -> None:
        """Set sysctls: triples of host, path below /proc/sys/net, value; "?" before a path that may be missing."""
        for name, own in groupby(settings, key=lambda triple: triple[0]):
            self._host(name).write((path, value) for _, path, value in own)

    def batch(self, queues: list[tuple[str, list[Job]]], wait: str = "all") -> None:
        """Run programs, in all queues at once: pairs of host ("" is home) and jobs, one after the other.

        `wait`: for "none" of them, for "these", or for "all", those of earlier batches, too.
        """
        begun = self.jobs.begin(queues)
        if wait != "none":
            self.jobs.finish(begun if wait == "these" else None)

    def ready(self) -> None:
        """Wait until every link carries packets; after a second it is left as it is (a port may wait for STP)."""
        hosts, end = [*self.hosts.values(), *self.switches.values()], time.monotonic() + 1
        while not all(ready(host.routes) for host in hosts) and time.monotonic() < end:
            time.sleep(0.001)

    def start(self, name: str, listens: list[tuple[str, int]]) -> None:
        """Start servers on a host."""
        for proto, port in listens:
            self.servers.append(Server(self.hosts[name], proto, port, self.ears, self.hand_over))

    def stop(self, name: str, proto: str, port: int) -> None:
        """End the server on a port of a host."""
        for server in [one for one in self.servers if (one.host.name, one.proto, one.port) == (name, proto, port)]:
            server.close()
            self.servers.remove(server)

    def answer(self, name: str, port: int, answers: dict[bytes, bytes]) -> None:
        """Give the UDP server on a port its answers."""
        for server in self.servers:
            if (server.host.name, server.proto, server.port) == (name, "udp", port):
                server.answers = answers

    def watch(self, names: list[str], backend: str) -> None:
        """Hear the rule traces of these hosts, and be ready for a journey."""
        for name in names:
            self.hosts[name].listen_to_rules(backend)
            self._hear(self.hosts[name])
        if self.fence.getsockname()[1] == 0:
            self.fence.bind(("127.0.0.1", 0))
        os.sched_setaffinity(0, {self.processors[os.getpid() % len(self.processors)]})
        self.pump()

    def run(self, name: str, words: list[str], given: bytes, seconds: float) -> tuple[int, str]:
        """Run a program on a host while the servers go on; its exit status and what it printed."""
        process = start(words, given, self._host(name).net, self.home)
        self.hosts[name].forget()
        return attend(process, seconds, self.pipe, self.pump)       # nothing is asked while we work

    def program(self, name: str, words: list[str], given: bytes, seconds: float) -> tuple[int, str, list]:
        """The same, with what was heard meanwhile."""
        self.hosts[name].forget()
        self._begin()
        status, printed = attend(start(words, given, self._host(name).net, self.home), seconds, self.pipe, self.pump)
        self.settle()
        return status, printed, self._end()

    def spawn(self, name: str, words: list[str], log: str) -> int:
        """Start a program on a host that goes on; its number. What it prints is appended to a file."""
        with open(log, "ab") as file, self.hosts[name].inside():
            self.spawned.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                                 env=ENVIRONMENT | {"HOME": os.path.dirname(log)}))
        return len(self.spawned) - 1

    def runs(self, number: int) -> bool:
        """Whether a program that was spawned runs still."""
        return self.spawned[number].poll() is None

    def stop_spawned(self) -> None:
        """End every program that was spawned."""
        for process in self.spawned:
            process.kill()
            process.wait()
        self.spawned = []

    def dial(self, name: str, address: str, port: int) -> bool:
        """Open a connection on a host and hand it over; whether somebody listens there."""
        with self.hosts[name].inside():
            talk = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with talk:
            talk.settimeout(REST)
            try:
                talk.connect((address, port))
            except OSError:
                return False
            socket.send_fds(self.outlet, [b"dialled"], [talk.fileno()])
            return True

    def take_outlet(self) -> None:
        """Get the socket by which connections that begin with TLS are handed over: it comes next through the pipe."""
        self.outlet = socket.socket(fileno=recv_handle(self.pipe))

    def source(self, name: str, address: str) -> str:
        """The address that a program of this host would send from; "" where no route leads there."""
        with self.hosts[name].inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect((address, 9))
                return asking.getsockname()[0]
            except OSError:
                return ""

    def tap(self, name: str, interface: str) -> int:
        """Begin to capture what comes by an interface; the number of the capture."""
        with self.hosts[name].inside():
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL))
            tap.bind((interface, ETH_P_ALL))
        tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.taps[tap.fileno()] = tap
        return tap.fileno()

    def untap(self, number: int) -> list[tuple[float, bytes]]:
        """End a capture: pairs of seconds and frame."""
        self.settle()
        tap, frames = self.taps.pop(number), []
        while True:
            try:
                data, ancillary, _, _ = tap.recvmsg(65536, 64)
            except OSError:
                tap.close()
                return frames
            seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2][:16])
            frames.append((seconds + nanoseconds / 1e9, data))

    def forget(self) -> None:
        """Forget every connection: the entries of each host, and what its servers know."""
        for server in self.servers:
            server.begin_anew()
        for host in self.hosts.values():
            if host.traces:
                host.flush()
        self.settle()

    def table(self, name: str) -> list:
        """The entries of a host as the events tell them, oldest first."""
        self.pump()
        return list(self.hosts[name].table.values())

    def age(self, seconds: int) -> None:
        """Let this time pass for every connection that a host remembers, or, below zero, take it back."""
        self.pump()
        for host in self.hosts.values():
            if host.traces and host.table:
                host.age(seconds)
        self.pump()

    def entries(self, name: str) -> list:
        """The conntrack entries of a host, oldest first."""
        self.pump()
        return self.hosts[name].entries()

    def _host(self, name: str) -> Host:
        return self.hosts.get(name) or self.switches[name]

def main(descriptor: int) -> None:
    """Shut this process away, say "ready" or what was refused, and answer requests."""
    os.set_inheritable(descriptor, False)       # no program of a host may keep the pipe open
    pipe = Connection(descriptor)
    try:
        isolate(descriptor)
    except OSError as error:
        pipe.send((0, error.strerror or str(error), None))
        return
    pipe.send((0, "", "ready"))
    Child(pipe).run_forever()

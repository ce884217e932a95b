"""The process that holds the lab: it does what it is asked through a pipe, and ends when the pipe closes.

Theory of operation
-------------------
One thread does everything: it answers requests, serves the lab's servers, and reads what the kernel reports. During
a journey it is bound to one processor. A packet that crosses a veth waits in a queue of the processor that sent it,
so that with one processor all packets of the lab stand in one queue, one after the other. Therefore:

* what happens, happens in one order, and the captures' timestamps tell it;
* a packet that the child sends to itself over its own lo comes back only after all that stood before it: when
  it has come back and nothing new was seen, the kernel is *quiet*, and no clock was asked.

Only an open ARP question is waited for, since nothing stands in a queue meanwhile.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import subprocess
import time
from multiprocessing.connection import Connection

from k8slab.kernel.isolation import isolate
from k8slab.kernel.linux import inside, this_network
from k8slab.kernel.namespaces import ETH_P_ALL, SO_TIMESTAMPNS, Host
from k8slab.kernel.programs import Client, Server
from k8slab.kernel.talking import Talking

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "XTABLES_LOCKFILE": "/dev/null", "HOME": "/"}
NEIGHBOUR_PAUSE, LONGEST = 0.004, 8.0      # seconds: between two looks at the neighbours, and for one journey


class Child(Talking):
    """The lab's namespaces, and what can be asked of them; each public method is a request."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.home = pipe, this_network()
        self.hosts: dict[str, Host] = {}
        self.switches: dict[str, int] = {}
        self.servers: list[Server] = []
        self.taps: dict[int, socket.socket] = {}
        self.kept: dict[int, Client] = {}
        self.heard: list = []
        self.recording = False
        self.fence = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.processors = sorted(os.sched_getaffinity(0))
        self.ears = selectors.DefaultSelector()

    def run_forever(self) -> None:
        """Answer requests until the pipe is closed."""
        waits = selectors.DefaultSelector()
        waits.register(self.pipe, selectors.EVENT_READ)
        waits.register(self.ears, selectors.EVENT_READ)       # readable when one of them is
        while True:
            try:
                if self.pipe not in [key.fileobj for key, _ in waits.select()]:
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

    # Requests.

    def make(self, hosts: list[str], switches: list[str]) -> dict[str, int]:
        """Make an empty namespace for each name; the descriptors, by which commands name them."""
        for name in hosts:
            self.hosts[name] = Host(name, self.home)
            self._hear(self.hosts[name])
        for name in switches:
            self.switches[name] = Host(name, self.home)
        return {name: host.net for name, host in (self.hosts | self.switches).items()}

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
        for name, path, value in settings:
            try:
                self._host(name).write(path.removeprefix("?"), value)
            except FileNotFoundError:
                if not path.startswith("?"):
                    raise

    def batch(self, texts: dict[str, tuple[list[str], str]]) -> None:
        """Run one program in each of some hosts, all at once: host ("" is home) → words and standard input."""
        started = [(name, self._start(name, words), given) for name, (words, given) in texts.items()]
        for name, process, given in started:
            said = process.communicate(given.encode())[0].decode(errors="replace")
            if process.returncode:
                raise RuntimeError(f"{name or 'the lab'}: {' '.join(process.args)}: {said.strip()}")

    def start(self, name: str, listens: list[tuple[str, int]]) -> None:
        """Start servers on a host."""
        for proto, port in listens:
            self.servers.append(Server(self.hosts[name], proto, port, self.ears))

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

    def watch(self, names: list[str]) -> None:
        """Hear the rule traces of these hosts, and be ready for a journey."""
        for name in names:
            self.hosts[name].listen_to_rules()
            self._hear(self.hosts[name])
        if self.fence.getsockname()[1] == 0:
            self.fence.bind(("127.0.0.1", 0))
        os.sched_setaffinity(0, {self.processors[os.getpid() % len(self.processors)]})
        self.pump()

    def run(self, name: str, words: list[str], given: bytes, seconds: float) -> tuple[int, str]:
        """Run a program on a host while the servers go on; its exit status and what it printed."""
        process = self._start(name, words)
        self.hosts[name].forget()
        end = time.monotonic() + seconds
        os.set_blocking(process.stdout.fileno(), False)
        os.set_blocking(process.stdin.fileno(), False)
        printed, waits = [], selectors.DefaultSelector()
        waits.register(process.stdout, selectors.EVENT_READ)
        waits.register(self.pipe, selectors.EVENT_READ)
        if given:
            waits.register(process.stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        while True:
            ready = [key.fileobj for key, _ in waits.select(0.002)]
            self.pump()
            if process.stdin in ready:
                given = given[os.write(process.stdin.fileno(), given[:65536]):]
                if not given:
                    waits.unregister(process.stdin)
                    process.stdin.close()
            if process.stdout in ready:
                printed.append(os.read(process.stdout.fileno(), 65536))
                if not printed[-1]:
                    break
            if time.monotonic() > end or self.pipe in ready:       # nothing is asked while we work: it has closed
                process.kill()
                break
        return process.wait(), b"".join(printed).decode(errors="replace")

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
        """Let this time pass for every connection that a host remembers."""
        self.pump()
        for host in self.hosts.values():
            if host.traces:
                host.age(seconds)
        self.pump()

    def entries(self, name: str) -> list:
        """The conntrack entries of a host, oldest first."""
        self.pump()
        return self.hosts[name].entries()

    # How it goes on.

    def _host(self, name: str) -> Host:
        return self.hosts.get(name) or self.switches[name]

    def _start(self, name: str, words: list[str]) -> subprocess.Popen:
        descriptors = [host.net for host in (self.hosts | self.switches).values()]
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        with inside(self._host(name).net if name else self.home, self.home):
            return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    env=ENVIRONMENT, close_fds=True, pass_fds=descriptors, start_new_session=True)

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
        self._silence()
        self.heard = []
        return [*heard, ("after", self._tables()), ("missed", [h.name for h in self.hosts.values() if h.missed])]

    def _tables(self) -> dict[str, list]:
        return {name: list(host.table.values()) for name, host in self.hosts.items() if host.traces}

    def _hear(self, host: Host) -> None:
        known = self.ears.get_map()
        for source, read in host.sources().items():
            if source not in known:
                self.ears.register(source, selectors.EVENT_READ, read)

    def _silence(self) -> None:
        for server in self.servers:
            server.end()

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


def main(descriptor: int) -> None:
    """Shut this process away, say "ready" or what was refused, and answer requests."""
    pipe = Connection(descriptor)
    try:
        isolate()
    except OSError as error:
        pipe.send((0, error.strerror or str(error), None))
        return
    pipe.send((0, "", "ready"))
    Child(pipe).run_forever()

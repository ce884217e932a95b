"""The real kernel as a dataplane: the lab's network in namespaces of its own, and what is done there.

It answers the calls that every dataplane of the lab answers, without root: see `isolation.py` for where it happens,
`child.py` for how, and `journey.py` for how what was seen becomes a Trace.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from k8slab import iptables
from k8slab.commands import NO_COMMAND, is_answer
from k8slab.entry import Entry
from k8slab.errors import CommandError
from k8slab.headers import to_bytes
from k8slab.iptables import Ruleset
from k8slab.kernel import build, legacy, making
from k8slab.kernel.clock import Clock
from k8slab.kernel.commands import run
from k8slab.kernel.events import Change
from k8slab.kernel.holdback import HeldBack
from k8slab.kernel.holder import Holder, KernelError
from k8slab.kernel.journey import tell
from k8slab.kernel.serving import Programs
from k8slab.kernel.stays import Seen, in_order
from k8slab.network import Network, NetworkError
from k8slab.packet import Packet, number
from k8slab.trace import Trace

if TYPE_CHECKING:
    from scapy.packet import Packet as ScapyPacket

FIRST_PORT, PORTS = 40000, 20000      # the source ports that a host's programs are given: the model's own
PORT_UNREACHABLE = 3                  # the ICMP code by which a connection counts as refused (RFC 1122, 4.2.3.9)
MOST_LOOKS = 40                       # connections that are followed to see one of a kind
LONGEST = 60.0                        # seconds that a command may take
RULELESS = frozenset({"ip", "sysctl", "conntrack", "ping", "curl", "nc", "cat"})     # programs that leave rules alone


class Kernel(Programs):
    """The network in real namespaces, with real rules.

    `rules`: node name to `iptables-save` text; a host that is not in it has no netfilter. `backend`: which iptables
    the hosts have, "nft" or "legacy"; "auto" is the one that is called `iptables` here. Chance is the kernel's own,
    and so is the clock.

    Raises KernelError where the machine does not allow it, with the step that was refused.
    """

    def __init__(self, network: Network, rules: Mapping[str, str | Ruleset] | None = None, *,
                 backend: str = "auto") -> None:
        if backend not in legacy.BACKENDS:
            raise KernelError(f"there is no backend {backend!r}; there are {', '.join(legacy.BACKENDS)}")
        self.backend = legacy.installed() if backend == "auto" else backend
        self.network, self.holder = network, Holder()
        self.clock, self.waited = Clock(self.holder), 0.0       # here the clock itself has counted what was waited
        self._ports: dict[str, int] = defaultdict(lambda: FIRST_PORT)
        self._saved: dict[str, Ruleset] = {}          # what iptables-save printed, until a command may have changed it
        self._watched: set[str] = set()
        self._taken: set[tuple[str, int | None]] = set()      # ports of packets that were sent by hand
        self._held = HeldBack(self.holder)
        self._kept: dict[tuple[str, int], tuple[str, Packet]] = {}     # open connections, by their own end: host, SYN
        self.seen: Seen | None = None                         # of the last journey
        try:
            self._build({name: str(text) for name, text in (rules or {}).items()})
        except BaseException:
            self.close()
            raise

    def _build(self, rules: Mapping[str, str]) -> None:
        for name in rules:
            self.network.host(name)
        self.descriptors = making.make(self.holder.ask, self.network, rules, self._named("iptables-restore"))
        self._watched = set(rules)
        self.holder.ask("watch", list(rules), self.backend)

    # What every dataplane answers.

    def send(self, packet: Packet, at: str) -> Trace:
        """Send one packet from the host `at`, and follow it and every answer until all is quiet.

        It leaves by a raw socket, as a program's packet does, and no TCP of the host knows of it: the RST by which
        the host would refuse the answer is held back, as if a program waited for it.
        """
        self.network.host(at)
        if packet.src == "0.0.0.0":
            packet = packet.replace(src=self._source(at, packet.dst))
        self._held.answer_to(at, packet)
        self._taken.add((at, packet.sport or packet.icmp_id))
        holds = (packet.proto, packet.src, packet.sport) if packet.proto == "udp" else None
        return self._tell(at, packet, self.holder.ask("send", at, to_bytes(packet), holds))

    def connect(self, pod: str, address: str, port: int, *, proto: str = "tcp", sport: int | None = None,
                question: bytes = b"who answers?") -> Trace:
        """Open a connection from `pod`, ask, hear the answer and close; for udp, ask and hear the answer."""
        if proto not in ("tcp", "udp"):
            raise NetworkError(f"connect speaks tcp and udp, not {proto}; send takes any packet")
        source = (self._source(pod, address), sport or self._port(pod))
        self._taken.add((pod, source[1]))
        self._held.no_longer(pod, proto, f"{source[0]}:{source[1]}")
        heard = self.holder.ask("connect" if proto == "tcp" else "ask_udp", pod, source, (address, port), question)
        self.sent_from = source[0]
        first = Packet(proto, source[0], address, source[1], port, payload=b"" if proto == "tcp" else question)
        return self._tell(pod, first, heard)

    def ping(self, pod: str, address: str) -> Trace:
        """Send one ICMP echo request."""
        return self.send(Packet("icmp", self._source(pod, address), address, icmp_id=self._port(pod)), pod)

    def connections(self, n: int, pod: str, address: str, port: int) -> Counter[str]:
        """Open `n` connections and count who answered: address:port, or the verdict where nobody did."""
        source, counts, done = self._source(pod, address), Counter(), 0
        while done < n:
            first = self._port(pod)
            some = min(n - done, FIRST_PORT + PORTS - first)
            self._ports[pod] = first + some
            for said, count in self.holder.ask("many", some, pod, source, (address, port), first).items():
                counts[said.split()[2].decode() if isinstance(said, bytes) else said] += count
            done += some
        for outcome in [name for name in counts if ":" not in name]:
            counts[self._became(outcome, pod, address, port)] += counts.pop(outcome)
        return counts

    def _became(self, outcome: str, pod: str, address: str, port: int) -> str:
        """What becomes of a connection that ends so: chance may give several others before it gives one."""
        for _ in range(MOST_LOOKS):
            trace = self.connect(pod, address, port)
            reply = trace.reply
            refused = reply and ("R" in reply.flags or reply.is_icmp_error and reply.icmp_code == PORT_UNREACHABLE)
            if outcome == ("timeout" if reply is None else "refused" if refused else
                           "unreachable" if reply.is_icmp_error else ""):
                return trace.received.destination if trace.received else trace.verdict
        return trace.verdict if trace.verdict != "DELIVERED" else "DROPPED" if outcome == "timeout" else "REJECTED"

    def restore(self, node: str, text: str, *, noflush: bool = False) -> None:
        """Feed `iptables-restore` on a node. Raises CommandError with its words where it refuses."""
        self.network.host(node)
        texts = [text]
        if text.count("\n") > build.SLICE and self.backend == "nft":  # more than a user namespace may send at once
            flush = "".join(f"{line}\nCOMMIT\n" for line in text.splitlines() if line.startswith("*"))
            texts = [*([] if noflush else [flush]), *build.slices(text)]
        for at, part in enumerate(texts):
            words = ["iptables-restore", *(["--noflush"] if noflush or at else [])]
            self.command(node, words, part)
        self._saved.pop(node, None)
        self._watch(node)

    def run(self, node: str, command: str, given: str = "") -> str:
        """Run a program on a host; what it prints.

        Raises CommandError, with the program's words, where it fails, unless failing is the answer (`ping`, `curl`).
        """
        self.network.host(node)
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise CommandError(f"{command}: {error}") from None
        if not words or not words[0]:
            raise CommandError(NO_COMMAND.format(node=node))
        return run(self, node, words, given)

    @contextmanager
    def capture(self, host: str, interface: str) -> Iterator[list[ScapyPacket]]:
        """Capture what comes by an interface, ARP too, inside a `with` block: frames as scapy packets, after it.

        Raises NetworkError when there is no such host or interface.
        """
        import scapy.layers.inet  # noqa: F401 (with it, scapy reads what is in a frame)
        from scapy.layers.l2 import Ether  # importing scapy takes longer than all the rest

        if interface != "lo":
            self.network.host(host).interface(interface)
        captured: list[ScapyPacket] = []
        number = self.holder.ask("tap", host, interface)
        try:
            yield captured
        finally:
            for seconds, data in self.holder.ask("untap", number):
                captured.append(Ether(data))
                captured[-1].time = seconds

    def entries(self, node: str) -> tuple[Entry, ...]:
        """The conntrack entries of a host, oldest first."""
        self.network.host(node)
        return tuple(self.holder.ask("entries", node))

    def close(self) -> None:
        """Let go of every namespace; nothing is left."""
        self.holder.close()

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # How it is done.

    def command(self, node: str, words: list[str], given: str = "") -> str:
        """Run one program on a host as it is. Raises CommandError where it fails, unless that is an answer."""
        if words[0] not in RULELESS:
            self._saved.pop(node, None)
        if words[0].startswith("iptables"):
            self._watch(node)
        try:
            status, printed = self.holder.ask("run", node, self._named(*words), given.encode(), LONGEST)
        except KernelError as error:
            raise CommandError(f"{node}: {words[0]}: {error}") from None
        if status and not is_answer(words[0]):
            raise CommandError(printed.strip() or f"{shlex.join(words)} ended with status {status}", printed=printed,
                               status=status)
        return printed

    def path(self, host: str) -> str:
        """The path by which a program of the child's finds a host's namespace."""
        return f"/proc/self/fd/{self.descriptors[host]}"

    def rules(self, node: str) -> Ruleset:
        """The rules of a node, as `iptables-save` prints them now."""
        if node not in self._saved:
            printed = self.holder.ask("run", node, self._named("iptables-save"), b"", LONGEST)[1]
            lines = [line for line in printed.splitlines() if not line.startswith("#")]
            self._saved[node] = iptables.parse("\n".join([*lines, ""]), node) if lines else Ruleset()
        return self._saved[node]

    def _named(self, *words: str) -> list[str]:
        return legacy.named(list(words), self.backend, legacy.installed())

    def _tell(self, at: str, packet: Packet, heard: list) -> Trace:
        said = {one[0]: one[1:] for one in heard if type(one) is tuple}
        rules = {name: self.rules(name) for name in self._watched}
        hits = legacy.hits(heard, self.backend, rules)
        self.seen = seen = Seen(in_order(self.network, heard), hits, [one for one in heard if isinstance(one, Change)],
                                said["before"][0], self.backend)
        if lost := ", ".join(said["missed"][0]):
            raise KernelError(f"the kernel reported more of {lost} than could be read; try again")
        entries = tuple((host.name, one) for host in self.network.hosts for one in said["after"][0].get(host.name, ()))
        return tell(self.network, rules, at, packet, seen, entries)

    def _watch(self, *nodes: str) -> None:
        for node in set(nodes) - self._watched:
            self._held.tell(node)
        self._watched |= set(nodes)
        self.holder.ask("watch", list(nodes), self.backend)

    def hold_back(self, host: str, test: str) -> None:
        """Hold back for good what a host sends and what this test of `nft` says: no packet by hand needs its own."""
        self._held.for_good[host] = test
        self._held.tell(host)

    def forget(self) -> None:
        """Forget every connection: entries, and what servers know."""
        self.holder.ask("forget")

    def _source(self, host: str, address: str) -> str:
        self.network.host(host)
        try:
            number(address)
        except ValueError:
            raise NetworkError(f"{address!r} is not an IPv4 address such as 10.96.0.1; names are not looked "
                               "up") from None
        found = self.holder.ask("source", host, address)
        return found or self.network.host(host).address or "0.0.0.0"

    def next_port(self, host: str) -> int:
        """The next source port of this host's programs, which none has had."""
        port = self._port(host)
        self._taken.add((host, port))
        return port

    def _port(self, host: str) -> int:
        """The next source port of this host's programs."""
        port = self._ports[host]
        while (host, port) in self._taken:
            port = FIRST_PORT + (port + 1 - FIRST_PORT) % PORTS
        self._ports[host] = FIRST_PORT + (port + 1 - FIRST_PORT) % PORTS
        return port

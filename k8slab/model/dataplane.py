"""The model as a dataplane: a network of stacks, and packets that travel between them.

It answers the calls that every dataplane of the lab answers (`send`, `connect`, `connections`,
`restore`, `run`, `entries`, `close`), needs no privilege, and does no I/O. Time is a Clock that
only its owner moves; chance is a seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from k8slab import iptables
from k8slab.entry import Entry
from k8slab.iptables import Ruleset
from k8slab.model.chance import Chance, Seeded
from k8slab.model.journey import Journey
from k8slab.model.many import Counts, connections
from k8slab.model.netfilter import Netfilter
from k8slab.model.programs import CLIENT_ISN, Client, Programs
from k8slab.model.wire import Wire
from k8slab.network import Host, Network, NetworkError
from k8slab.packet import ECHO_REQUEST, Packet, number
from k8slab.stack.routing import HostRoutes
from k8slab.stack.stack import Stack
from k8slab.trace import Trace

if TYPE_CHECKING:
    from scapy.packet import Packet as ScapyPacket

# The source ports that a host's programs are given, first and how many: by `connect` and `ping`, and in a command.
OURS, COMMANDS = (40000, 20000), (32768, 7232)


class Clock:
    """The lab's time, in seconds; it stands still until it is moved.

    >>> clock = Clock(); clock.advance(60); clock()
    60.0
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass."""
        self._now += seconds


class Model:
    """The network in pure Python.

    `rules`: node name to `iptables-save` text or Ruleset; a host that is not in it has no netfilter.
    `seed`: an int, or a Chance. `clock`: returns seconds.

    >>> from k8slab.network import cluster_network
    >>> with Model(cluster_network()) as model:
    ...     model.connect("client", "10.244.1.7", 8080).verdict
    'DELIVERED'

    Raises RulesError for rules that iptables would refuse, NetworkError for the name of no host.
    """

    def __init__(self, network: Network, rules: Mapping[str, str | Ruleset] | None = None, *,
                 seed: int | Chance = 0, clock: Clock | None = None) -> None:
        self.network, self.clock = network, clock or Clock()
        self.waited = 0.0       # seconds that the last packet waited in vain for a neighbour: the clock stands still
        self.chance = Seeded(seed) if isinstance(seed, int) else seed
        rules = {name: iptables.parse(text, name) if isinstance(text, str) else text
                 for name, text in (rules or {}).items()}
        for name in rules:
            network.host(name)
        self.stacks: dict[str, Stack] = {}
        self.programs: dict[str, Programs] = {}
        self._ports: dict[tuple[str, int], int] = {}
        self._kept: dict[tuple[str, int], tuple[str, Client]] = {}    # connections that stay open, by their own end
        self.wire = Wire(self)
        for host in network.hosts:
            self._build(host, rules.get(host.name))

    # What every dataplane answers.

    def send(self, packet: Packet, at: str) -> Trace:
        """Send one packet from the host `at`, and follow it and every answer until all is quiet.

        The model takes it that a program on `at` waits for the answer, so that the host's own TCP does not
        refuse it with a RST as it would a packet that was only injected.
        """
        return self._journey(at, packet, question=None)

    def connect(self, pod: str, address: str, port: int, *, proto: str = "tcp", sport: int | None = None,
                question: bytes = b"who answers?") -> Trace:
        """Open a connection from `pod`, ask, hear the answer and close; for udp, ask and hear the answer."""
        if proto not in ("tcp", "udp"):
            raise NetworkError(f"connect speaks tcp and udp, not {proto}; send takes any packet")
        packet = Packet(proto, self.source(pod, address), address, sport or self.port(pod), port,
                        seq=CLIENT_ISN, payload=b"" if proto == "tcp" else question)
        return self._journey(pod, packet, question=question)

    def ping(self, pod: str, address: str) -> Trace:
        """Send one ICMP echo request."""
        packet = Packet("icmp", self.source(pod, address), address, icmp_type=ECHO_REQUEST, icmp_id=self.port(pod))
        return self._journey(pod, packet, question=None)

    def connections(self, n: int, pod: str, address: str, port: int) -> Counts:
        """Open `n` connections and count who answered: address:port, or the verdict where nobody did.

        The first hundred are made. Of the others it is known by then what the rules decide, and for what chance decides
        the dice are thrown (`many.py`): the counts are those of as many connections, `how` says what they are worth,
        and entries are left by the connections that were made.
        """
        def connect() -> str:
            trace = self.connect(pod, address, port)
            return trace.received.destination if trace.received else trace.verdict

        return connections(self, connect, n)

    def restore(self, node: str, text: str, *, noflush: bool = False) -> None:
        """Feed `iptables-restore` on a node. Its rules are then shown as `iptables-save` prints them, as a kernel's."""
        old = self.stack(node).netfilter.rules or Ruleset()
        self.stacks[node].netfilter.load(old.restore(text, noflush=noflush, name=node).normal())

    def run(self, node: str, command: str, given: str = "") -> str:
        """Run a command on a host, with `given` on its standard input; what it prints.

        Raises CommandError for one that fails or is not known, RulesError for what iptables would refuse.
        """
        from k8slab.model.commands import run  # commands need the model's types
        self.network.host(node)
        return run(self, node, command, given)

    def serve(self, host: str, port: int, proto: str = "tcp") -> None:
        """Start a program on a host that listens on this port and answers whoever asks.

        Raises NetworkError when there is no such host, for another protocol than tcp and udp, and for a port that is
        taken.
        """
        own = self.network.host(host)
        listens = self.programs[host].listens
        if proto not in ("tcp", "udp") or not 0 < port < 65536:
            raise NetworkError(f"a server listens on a tcp or udp port from 1 to 65535, not on {proto} {port}")
        if (proto, port) in listens:
            raise NetworkError(f"{host}: a program listens on {proto} port {port} already")
        listens.add((proto, port))
        self.network = self.network.replace(replace(own, listens=(*own.listens, (proto, port))))
        self.programs[host].host = self.network.host(host)

    def unserve(self, host: str, port: int, proto: str = "tcp") -> None:
        """End the program that listens on this port of a host; what it knew of its connections is gone with it.

        Raises NetworkError when there is no such host, or none listens there.
        """
        programs = self.programs[self.network.host(host).name]
        if (proto, port) not in programs.listens:
            raise NetworkError(f"{host}: no program listens on {proto} port {port}")
        programs.listens.discard((proto, port))
        programs.open = {flow: state for flow, state in programs.open.items() if flow.dport != port}

    def answer(self, host: str, port: int, answers: Mapping[bytes, bytes]) -> None:
        """Let the UDP server on a port give these answers: question to answer, both without DNS's two id bytes."""
        self.programs[self.network.host(host).name].answers[port] = dict(answers)

    def is_open(self, end: tuple[str, int]) -> bool:
        """Whether a connection that `open` opened is open still."""
        return end in self._kept

    def heard(self, end: tuple[str, int]) -> bytes:
        """The bytes that have come over an open connection since the last time; b"" for one that is open no longer."""
        if end not in self._kept:
            return b""
        client = self._kept[end][1]
        data, client.answer = client.answer, b""
        return data

    def join(self, host: Host, lan: str) -> None:
        """Put a new machine on the LAN of that name, by its eth0. Raises NetworkError for a name that is taken."""
        self.rewire(self.network.joined(host, lan))

    def open(self, pod: str, address: str, port: int) -> tuple[Trace, tuple[str, int]]:
        """Open a connection that stays open: its handshake, and its own address and port, by which `say` knows it."""
        packet = Packet("tcp", self.source(pod, address), address, self.port(pod), port, seq=CLIENT_ISN)
        self._ports[pod, OURS[0]] = packet.sport + 1    # even when it does not open, as a kernel's program
        return self._converse(pod, packet, Client(packet.flow, stays=True)), (packet.src, packet.sport)

    def say(self, end: tuple[str, int], question: bytes) -> Trace:
        """Ask over a connection that `open` opened; an empty question closes it.

        Raises NetworkError where it is open no longer: an answer that does not come ends it, too.
        """
        if end not in self._kept:
            raise NetworkError("this connection is open no longer")
        pod, client = self._kept.pop(end)
        client.outcome = ""
        return self._converse(pod, client.next("PA" if question else "FA", question), client)

    def _converse(self, pod: str, packet: Packet, client: Client) -> Trace:
        self.programs[pod].clients[client.flow] = client
        trace = Journey(self, self.stack(pod), packet).run()
        if client.outcome == "answered":
            self._kept[client.flow.src, client.flow.sport] = pod, client
        else:
            del self.programs[pod].clients[client.flow]
        return trace

    def entries(self, node: str) -> tuple[Entry, ...]:
        """The conntrack entries of a host, oldest first."""
        now = self.clock()
        return tuple(c.entry(now) for c in self.stack(node).netfilter.conntrack.connections(now))

    @contextmanager
    def capture(self, host: str, interface: str) -> Iterator[list[ScapyPacket]]:
        """Capture what comes by an interface, ARP too, inside a `with` block: frames as scapy packets, after it.

        Raises NetworkError when there is no such host or interface.
        """
        from k8slab.wire import ethernet  # importing scapy takes longer than building the model
        captured: list[ScapyPacket] = []
        with self.wire.tap(host, interface) as frames:
            yield captured
        captured += [ethernet(frame) for frame in frames]

    def close(self) -> None:
        """Nothing is held, so nothing is let go."""

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def rewire(self, network: Network) -> None:
        """Go on with a network that was changed: rules, connections and programs of the hosts that stay are kept."""
        old = {host.name: host for host in self.network.hosts}
        self.network = network
        for host in network.hosts:
            if host.name not in old:
                self._build(host, None)
            elif host != old[host.name]:
                stack = self.stacks[host.name]
                stack.routes = stack.netfilter.routes = HostRoutes(host)
                stack.forwards = bool(host.sysctl("ip_forward"))
                self.programs[host.name].host = host
        for name in old.keys() - {host.name for host in network.hosts}:
            del self.stacks[name], self.programs[name]
        self.wire.forget()

    def _build(self, host: Host, rules: Ruleset | None) -> None:
        routes = HostRoutes(host)
        netfilter = Netfilter(rules, routes, self.chance, self.clock)
        self.stacks[host.name] = Stack(host.name, routes, netfilter, self.clock,
                                       forwards=bool(host.sysctl("ip_forward")))
        self.programs[host.name] = Programs(host)

    # How a journey goes.

    def _journey(self, at: str, packet: Packet, question: bytes | None) -> Trace:
        return self.ask(at, packet, question)[0]

    def ask(self, at: str, packet: Packet, question: bytes | None) -> tuple[Trace, Client, float]:
        """The journey of a packet that a program on `at` sends, what that program heard, and the seconds it waited."""
        stack = self.stack(at)
        if packet.src == "0.0.0.0":
            packet = packet.replace(src=self.source(at, packet.dst))
        client = self.programs[at].clients[packet.flow] = Client(packet.flow, question)
        journey = Journey(self, stack, packet)
        trace, self.waited = journey.run(), journey.waited
        return trace, client, journey.waited

    def stack(self, name: str) -> Stack:
        """The network stack of a host. Raises NetworkError when there is none of that name."""
        self.network.host(name)
        return self.stacks[name]

    def source(self, host: str, address: str) -> str:
        """The address that a program on a host sends from, towards `address`. Raises NetworkError for no address."""
        routes = self.stack(host).routes
        try:
            number(address)
        except ValueError:
            raise NetworkError(f"{address!r} is not an IPv4 address such as 10.96.0.1; names are not looked "
                               f"up") from None
        return routes.source(routes.look_up(address))

    def port(self, host: str, ports: tuple[int, int] = OURS) -> int:
        """The next source port that no conversation of this host has, of `ports`: the first and how many."""
        taken = {flow.sport or flow.icmp_id for flow in self.programs[host].clients}
        first, count = ports
        last = self._ports.get((host, first), first)
        port = next((port for i in range(count) if (port := first + (last - first + i) % count) not in taken), 0)
        if not port:
            raise NetworkError(f"{host} has no source port left: all {count} are in use")
        self._ports[host, first] = port
        return port

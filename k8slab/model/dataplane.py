"""The model as a dataplane: a network of stacks, and packets that travel between them.

It answers the calls that every dataplane of the lab answers (`send`, `connect`, `connections`,
`restore`, `run`, `entries`, `close`), needs no privilege, and does no I/O. Time is a Clock that
only its owner moves; chance is a seed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from k8slab import iptables
from k8slab.entry import Entry
from k8slab.iptables import Ruleset
from k8slab.model.chance import Chance, Seeded
from k8slab.model.programs import CLIENT_ISN, Client, Programs
from k8slab.model.routing import HostRoutes
from k8slab.model.skb import Journal, Skb
from k8slab.model.stack import Fate, Stack
from k8slab.network import Network, NetworkError
from k8slab.packet import ECHO_REQUEST, UNREACHABLE, Packet, number
from k8slab.trace import Trace

FIRST_PORT, PORTS = 40000, 20000      # the source ports that a host's programs are given
HOST_UNREACHABLE = 1          # ICMP code: the neighbour does not answer

VERDICT = {"deliver": "DELIVERED", "drop": "DROPPED", "reject": "REJECTED", "error": "REJECTED",
           "unknown": "UNKNOWN", "transmit": "FORWARDED"}


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
        self.chance = Seeded(seed) if isinstance(seed, int) else seed
        rules = {name: iptables.parse(text, name) if isinstance(text, str) else text
                 for name, text in (rules or {}).items()}
        for name in rules:
            network.host(name)
        self.stacks = {h.name: Stack(h.name, HostRoutes(h), rules.get(h.name), self.chance, self.clock,
                                     forwards=bool(h.sysctl("ip_forward"))) for h in network.hosts}
        self.programs = {h.name: Programs(h) for h in network.hosts}
        self._ports = Counter({h.name: FIRST_PORT for h in network.hosts})

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
        packet = Packet(proto, self._source(pod, address), address, sport or self._port(pod), port,
                        seq=CLIENT_ISN, payload=b"" if proto == "tcp" else question)
        return self._journey(pod, packet, question=question)

    def ping(self, pod: str, address: str) -> Trace:
        """Send one ICMP echo request."""
        packet = Packet("icmp", self._source(pod, address), address, icmp_type=ECHO_REQUEST, icmp_id=self._port(pod))
        return self._journey(pod, packet, question=None)

    def connections(self, n: int, pod: str, address: str, port: int) -> Counter[str]:
        """Open `n` connections and count who answered: address:port, or the verdict where nobody did."""
        traces = (self.connect(pod, address, port) for _ in range(n))
        return Counter(t.received.destination if t.received else t.verdict for t in traces)

    def restore(self, node: str, text: str, *, noflush: bool = False) -> None:
        """Feed `iptables-restore` on a node."""
        old = self.stack(node).netfilter.rules or Ruleset()
        self.stacks[node].netfilter.load(old.restore(text, noflush=noflush, name=node))

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
        listens = self.programs[self.network.host(host).name].listens
        if proto not in ("tcp", "udp") or not 0 < port < 65536:
            raise NetworkError(f"a server listens on a tcp or udp port from 1 to 65535, not on {proto} {port}")
        if (proto, port) in listens:
            raise NetworkError(f"{host}: a program listens on {proto} port {port} already")
        listens.add((proto, port))

    def entries(self, node: str) -> tuple[Entry, ...]:
        """The conntrack entries of a host, oldest first."""
        now = self.clock()
        return tuple(c.entry(now) for c in self.stack(node).netfilter.conntrack.connections(now))

    def close(self) -> None:
        """Nothing is held, so nothing is let go."""

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # How a journey goes.

    def _journey(self, at: str, packet: Packet, question: bytes | None) -> Trace:
        stack = self.stack(at)
        if packet.src == "0.0.0.0":
            packet = packet.replace(src=self._source(at, packet.dst))
        self.programs[at].clients[packet.flow] = Client(packet.flow, question)
        return Journey(self, stack, packet).run()

    def stack(self, name: str) -> Stack:
        """The network stack of a host. Raises NetworkError when there is none of that name."""
        self.network.host(name)
        return self.stacks[name]

    def _source(self, host: str, address: str) -> str:
        routes = self.stack(host).routes
        try:
            number(address)
        except ValueError:
            raise NetworkError(f"{address!r} is not an IPv4 address such as 10.96.0.1; names are not looked "
                               f"up") from None
        return routes.source(routes.look_up(address))

    def _port(self, host: str) -> int:
        """The next source port that no conversation of this host has."""
        taken = {flow.sport or flow.icmp_id for flow in self.programs[host].clients}
        ports = (FIRST_PORT + (self._ports[host] - FIRST_PORT + i) % PORTS for i in range(PORTS))
        self._ports[host] = next((port for port in ports if port not in taken), 0)
        if not self._ports[host]:
            raise NetworkError(f"{host} has no source port left: all {PORTS} are in use")
        return self._ports[host]

    def neighbour(self, host: str, interface: str, address: str) -> tuple[str, str] | None:
        """Who answers an ARP question for `address` on this link: any host that has the address, on any interface."""
        for name, far_interface in self.network.neighbours(host, interface):
            if self.stacks[name].routes.look_up(address).kind == "local":
                return name, far_interface
        return None


class Journey:
    """One packet and everything that follows from it, in the order in which it happens."""

    def __init__(self, model: Model, origin: Stack, packet: Packet) -> None:
        self.model, self.origin, self.sent = model, origin, packet
        self.journal = Journal()
        self.on_the_wire: deque[tuple[str, str, Packet, int]] = deque()
        self.first: Fate | None = None
        self.reply: Packet | None = None
        self.later: str = ""

    def run(self) -> Trace:
        for stack in self.model.stacks.values():
            stack.journal = self.journal
        self._emit(self.origin, self.sent, "SEND", f"a program on {self.origin.name} sends it")
        while self.on_the_wire:
            host, interface, packet, leg = self.on_the_wire.popleft()
            stack = self.model.stacks[host]
            self._settle(stack, stack.receive(Skb(packet, leg), interface))
        received = self.first.skb.packet if self.first.kind == "deliver" else None
        entries = tuple((name, entry) for name in self.model.stacks for entry in self.model.entries(name))
        return Trace(tuple(self.journal.steps), self.sent, received, self.reply, entries,
                     VERDICT[self.first.kind], self.first.reason or self.later)

    def _emit(self, stack: Stack, packet: Packet, kind: str, why: str, about: Skb | None = None) -> None:
        leg = self.journal.next_leg()
        stack.note(kind, Skb(packet, leg), why)
        self._settle(stack, stack.send(packet, leg, about))

    def _settle(self, stack: Stack, fate: Fate) -> None:
        """See to it that what became of a packet on one host is carried on by the next."""
        if fate.kind == "transmit":
            fate = self._transmit(stack, fate)
            if fate is None:
                return
        if fate.skb.leg == 1:
            self.first = fate
        elif fate.kind != "deliver":
            self.later = self.later or f"the answer did not get through: {fate.reason}"
        if fate.kind == "deliver":
            self._deliver(stack, fate.skb)
        elif fate.answer is not None:
            self._emit(stack, fate.answer, "ANSWER", f"{stack.name} answers: {_names(fate.answer)}", fate.skb)

    def _transmit(self, stack: Stack, fate: Fate) -> Fate | None:
        skb = fate.skb
        if skb.oif == "lo":
            stack.leave(fate)
            return stack.receive(skb, "lo")
        found = self.model.neighbour(stack.name, skb.oif, fate.next_hop)
        if found:
            stack.leave(fate)
            self.on_the_wire.append((*found, skb.packet, skb.leg))
            return None
        why = f"nobody on {skb.oif} answers the ARP question for {fate.next_hop}; after three seconds it is given up"
        return stack.refuse(skb, UNREACHABLE, HOST_UNREACHABLE, why)

    def _deliver(self, stack: Stack, skb: Skb) -> None:
        why, answers = self.model.programs[stack.name].hear(skb.packet)
        stack.note("DELIVER", skb, why)
        if stack is self.origin and skb.leg > 1 and self.reply is None:
            self.reply = skb.packet
        for answer in answers:
            self._emit(stack, answer, "ANSWER", f"{stack.name} answers: {_names(answer)}")


def _names(packet: Packet) -> str:
    if packet.proto == "tcp":
        return {"SA": "SYN-ACK", "A": "ACK", "PA": "data", "FA": "FIN"}.get(packet.flags, "RST")
    if packet.is_icmp_error:
        return f"an ICMP error, type {packet.icmp_type} code {packet.icmp_code}"
    return f"a {packet.proto} packet"

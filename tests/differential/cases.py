"""A case: a network, rules for its nodes, and a sequence of packets and changes; how it is made and tried."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from random import Random

from k8slab.course.units.labs import KUBERNETES, rules_of_objects, service
from k8slab.iptables import RulesError
from k8slab.iptables.names import TABLES
from k8slab.kernel.dataplane import Kernel
from k8slab.kernel.journey import Telling
from k8slab.kernel.stays import stays
from k8slab.model.chance import DRAWS
from k8slab.model.dataplane import Model
from k8slab.network import Network, NetworkError
from k8slab.packet import Flow, Packet
from k8slab.trace import Trace
from tests.differential import networks
from tests.differential.observed import of_kernel, of_model
from tests.differential.rules import PORTS, Words, ruleset

HELD = (20000, 29999)              # source ports of packets that are sent by hand
FOLLOWS = ("A", "PA", "FA", "R", "RA", "S")


@dataclass(frozen=True, slots=True)
class Action:
    """`what`: "send", "connect", "follow" (a further packet of what was sent before) or "rules" (they change)."""

    what: str
    host: str
    packet: Packet | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """`rules`: node to text; `actions`, one after the other."""

    network: Network
    rules: dict[str, str]
    actions: tuple[Action, ...]


@dataclass
class Dice:
    """Chance on one host of the model, falling as it was seen to fall on the kernel."""

    draws: list[bool]
    ports: list[Flow] = field(default_factory=list)

    def draw(self, threshold: int) -> int:
        hit = self.draws.pop(0) if self.draws else False
        return 0 if hit else DRAWS - 1

    def port(self, low: int, high: int) -> int | None:
        made = self.ports.pop(0) if self.ports else None
        return low if made is None else made.icmp_id if made.proto == "icmp" else made.dport


def case(random: Random, made: Network, number: int) -> Case:
    """A random case on this network; `number` gives it source ports of its own."""
    words = Words(random, networks.addresses(made), networks.interfaces(made))
    nodes = [host.name for host in made.hosts if host.kind == "node"]
    kube = random.random() < 0.25
    rules = {name: _kube(random, made) if kube else ruleset(words) for name in nodes}
    actions: list[Action] = []
    for at in range(random.choice((1, 2, 2, 3, 4))):
        port = HELD[0] + (number * 8 + at) % (HELD[1] - HELD[0])
        actions.append(_action(random, made, port, actions))
    if random.random() < 0.15:
        change = Action("rules", random.choice(nodes), text=_kube(random, made) if kube else ruleset(words))
        actions.insert(random.randrange(len(actions)) + 1, change)
    return Case(made, rules, tuple(actions))


def _kube(random: Random, made: Network) -> str:
    """kube-proxy's rules for a few Services with endpoints here."""
    pods = [host.address for host in made.hosts if host.kind == "pod"]
    masters = [host.address for host in made.hosts if host.name.startswith("k8smaster")]
    spec: dict[str, object] = random.choice(({}, {"sessionAffinity": "ClientIP"}, {"externalTrafficPolicy": "Local"}))
    ends = random.sample(pods, random.randrange(len(pods) + 1))
    web = service("shop", "web", "10.96.12.34", 80, 8080, *ends, type="NodePort", nodePort=networks.NODE_PORT, **spec)
    return rules_of_objects(*service(*KUBERNETES, *masters), *web)


def _action(random: Random, made: Network, port: int, before: list[Action]) -> Action:
    host = random.choice(networks.senders(made))
    sent = [one for one in before if one.what == "send"]
    if sent and random.random() < 0.45:
        old = random.choice(sent)
        flags = random.choice(FOLLOWS) if old.packet.proto == "tcp" else ""
        return Action("follow", old.host, old.packet.replace(flags=flags or old.packet.flags,
                                                             payload=b"who answers?" if flags == "PA" else b""))
    to = random.choice((*networks.addresses(made), networks.VIP, "10.96.12.34"))
    if random.random() < 0.02:
        to = networks.NOBODY
    proto = random.choice(("tcp", "tcp", "tcp", "udp", "udp", "icmp", "sctp", "253"))
    if proto in ("tcp", "udp") and random.random() < 0.3:
        return Action("connect", host, Packet(proto, "10.0.0.1", to, port + 20000, random.choice((*PORTS, 80))))
    ports = {"sport": port, "dport": random.choice((*PORTS, 80))} if proto in ("tcp", "udp", "sctp") else {}
    identity = {"icmp_id": port} if proto == "icmp" else {}
    flags = random.choice(("S", "S", "S", "S", "A", "FA", "SA", "R")) if proto == "tcp" else ""
    ttl = random.choice((64, 64, 64, 64, 2, 1))
    source = made.host(host).address
    return Action("send", host, Packet(proto, source, to, flags=flags, ttl=ttl, **ports, **identity))


class Lab:
    """A kernel lab of one network, on which many cases are tried."""

    def __init__(self, made: Network) -> None:
        self.network = made
        self.nodes = [host.name for host in made.hosts if host.kind == "node"]
        self.kernel = Kernel(made, {name: "*filter\nCOMMIT\n" for name in self.nodes})
        test = f"tcp sport {HELD[0]}-{HELD[1]} tcp flags & rst == rst ip id 0"
        for host in made.hosts:
            self.kernel.hold_back(host.name, test)

    def close(self) -> None:
        self.kernel.close()

    def attempt(self, one: Case, model: type[Model] = Model) -> tuple[str, list[Trace]]:
        """Try a case on both; the first difference, "" where there is none, and the model's traces."""
        self.kernel.forget()
        for name in self.nodes:
            if error := self.load(name, one.rules[name]):
                return error, []
        other = model(one.network, {name: self.kernel.rules(name) for name in self.nodes})
        traces: list[Trace] = []
        replies: dict[Flow, list[Packet | None]] = {}
        for number, action in enumerate(one.actions, 1):
            if action.what == "rules":
                if error := self.load(action.host, action.text):
                    return error, traces
                other.restore(action.host, whole(action.text))
                continue
            difference, trace = self._both(action, other, replies)
            if trace:
                traces.append(trace)
            if trace and any(step.verdict == "UNKNOWN" for step in trace.steps):
                break                      # what the model cannot tell, it does not know from here on
            if difference:
                return f"action {number}, {action.what} {action.packet} at {action.host}: {difference}", traces
        return "", traces

    def load(self, node: str, text: str) -> str:
        """Give a node rules; "" or why the kernel does not take what was generated."""
        try:
            self.kernel.restore(node, whole(text))
        except (ValueError, RulesError) as error:
            return f"refused by the kernel on {node}: {error}\n{text}"
        return ""

    def _both(self, action: Action, other: Model, replies: dict) -> tuple[str, Trace | None]:
        packets = [action.packet, action.packet]
        if action.what == "follow":
            packets = [_following(action.packet, reply) for reply in replies.get(action.packet.flow, (None, None))]
        try:
            seen = self._on_the_kernel(action, packets[0])
        except NetworkError as error:
            return f"the kernel's side says: {error}", None
        kernel_rules = {name: self.kernel.rules(name) for name in self.nodes}
        first = packets[0] if action.what != "connect" else packets[0].replace(src=self.kernel.sent_from)
        telling = Telling(self.network, kernel_rules, action.host, first, seen)
        for stay in stays(action.host, first.flow, seen):
            telling.tell(stay)
        told = telling.trace(())
        for name, stack in other.stacks.items():
            made = [c.entry.reply for c in seen.changes if c.host == name and c.what == "new"
                    and (c.entry.reply.dst, c.entry.reply.dport, c.entry.reply.icmp_id)
                    != (c.entry.original.src, c.entry.original.sport, c.entry.original.icmp_id)]
            stack.netfilter.chance = Dice(telling.draws, made)
        trace = self._on_the_model(action, packets[1], other)
        last = (told.reply, trace.reply)
        replies[action.packet.flow] = [last[side] or _kept(replies, action, side) for side in (0, 1)]
        after = {name: self.kernel.holder.ask("table", name) for name in self.nodes}
        return of_kernel(seen, kernel_rules, after).difference(of_model(trace)), trace

    def _on_the_kernel(self, action: Action, packet: Packet):
        if action.what == "connect":
            self.kernel.connect(action.host, packet.dst, packet.dport, proto=packet.proto, sport=packet.sport)
        else:
            self.kernel.send(packet, action.host)
        return self.kernel.seen

    def _on_the_model(self, action: Action, packet: Packet, other: Model) -> Trace:
        if action.what == "connect":
            return other.connect(action.host, packet.dst, packet.dport, proto=packet.proto, sport=packet.sport)
        return other.send(packet, action.host)


def whole(text: str) -> str:
    """The rules with an empty table for each that they do not name, so that nothing of earlier ones is left."""
    return "".join(f"*{table}\nCOMMIT\n" for table in TABLES if f"*{table}\n" not in text) + text


def _kept(replies: dict, action: Action, side: int) -> Packet | None:
    return replies.get(action.packet.flow, (None, None))[side]


def _following(packet: Packet, reply: Packet | None) -> Packet:
    """A further packet of a TCP conversation, with the numbers that the last reply asks for."""
    if packet.proto != "tcp" or packet.flags == "S":
        return packet
    if reply is None or reply.proto != "tcp":       # numbers of no window: what conntrack thinks of them is chance
        return packet.replace(flags="S", payload=b"")
    return packet.replace(seq=reply.ack, ack=reply.end if "A" in packet.flags else 0)


def shrink(made: Network, one: Case, model: type[Model] = Model, tries: int = 60) -> Case:
    """The smallest case that still differs, as far as so many tries lead; each in a new lab."""
    for smaller in _smaller(one):
        tries -= 1
        if tries < 0:
            return one
        with closing(Lab(made)) as lab:
            difference, _ = lab.attempt(smaller, model)
        if difference and not difference.startswith("refused"):
            return shrink(made, smaller, model, tries)
    return one


def _smaller(one: Case):
    for at in range(len(one.actions)):
        if len(one.actions) > 1:
            yield replace(one, actions=(*one.actions[:at], *one.actions[at + 1:]))
    for node, text in one.rules.items():
        lines = text.splitlines()
        tables = [n for n, line in enumerate(lines) if line.startswith("*")]
        for start in tables:
            end = lines.index("COMMIT", start)
            yield replace(one, rules=one.rules | {node: "\n".join(lines[:start] + lines[end + 1:]) + "\n"})
        for at, line in enumerate(lines):
            if line.startswith("-A"):
                yield replace(one, rules=one.rules | {node: "\n".join(lines[:at] + lines[at + 1:]) + "\n"})

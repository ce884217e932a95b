"""A solver of capstones, which has what a learner has: the objects, the dump, the tracer, and what the course taught.

It traces every Service from everybody who may ask, compares with the objects, reads in the steps which rule did it, and
mends that. It knows nothing of how the faults were made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from k8slab import iptables
from k8slab.kubeproxy.names import endpoint_chain, service_chain
from k8slab.model.dump import Question
from k8slab.packet import Packet
from k8slab.trace import Trace

LABEL = "kubernetes.io/service-name"
MARK = 0x4000


@dataclass(frozen=True)
class Seen:
    """What the learner is given: objects, a dump, and who can ask."""

    objects: list[dict]
    rules: str
    pod: str
    node: str
    outside: str
    pods: str
    subnet: str


@dataclass(frozen=True)
class Port:
    """A port of a Service, read from the API's JSON."""

    service: str
    name: str
    proto: str
    ip: str
    port: int
    node_port: int
    ends: tuple[str, ...]

    @property
    def svc(self) -> str:
        return service_chain(self.name, self.proto)

    @property
    def ext(self) -> str:
        return service_chain(self.name, self.proto, "KUBE-EXT-")

    def sep(self, end: str) -> str:
        return endpoint_chain(self.name, self.proto, end)


@dataclass
class Finding:
    """A fault: what it is, of which Services, in which chain, and what mends it."""

    kind: str
    chain: str
    services: set[str] = field(default_factory=set)
    mends: list[str] = field(default_factory=list)


def ports(objects: list[dict]) -> Iterator[Port]:
    """The ports of Services with a ClusterIP, and their endpoints that are ready."""
    slices: dict[tuple[str, str], list[str]] = {}
    for item in objects:
        if item["kind"] == "EndpointSlice":
            meta = item["metadata"]
            for port in item["ports"]:
                key = (f"{meta['namespace']}/{meta['labels'][LABEL]}", port["name"])
                slices.setdefault(key, []).extend(f"{one['addresses'][0]}:{port['port']}" for one in item["endpoints"]
                                                  if one["conditions"]["ready"])
    for item in objects:
        if item["kind"] == "Service" and item["spec"]["clusterIP"] != "None":
            service = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            for port in item["spec"]["ports"]:
                yield Port(service, f"{service}:{port['name']}", port["protocol"].lower(), item["spec"]["clusterIP"],
                           port["port"], port.get("nodePort", 0), tuple(sorted(slices[service, port["name"]])))


class Solver:
    """Finds what is wrong with a node, and mends it."""

    def __init__(self, seen: Seen) -> None:
        self.seen, self.rules = seen, iptables.parse(seen.rules)
        self.findings: dict[tuple[str, str], Finding] = {}

    def solve(self) -> list[Finding]:
        """Everything that is wrong, each once."""
        for port in ports(self.seen.objects):
            own = [end.partition(":")[0] for end in port.ends
                   if ipaddress.ip_address(end.partition(":")[0]) in ipaddress.ip_network(self.seen.subnet)]
            for source in (self.seen.pod, self.seen.node, self.seen.outside, *own):
                self._ask(port, source, port.ip, port.port)
            if port.node_port:
                self._ask(port, self.seen.outside, self.seen.node, port.node_port)
        return list(self.findings.values())

    def _ask(self, port: Port, source: str, address: str, number: int) -> None:
        """Trace a packet in every way, and note what is wrong with it."""
        packet, seen = Packet(port.proto, source, address, 40000, number), self.seen
        walk = Question(self.rules, packet, (seen.node,), from_node=source == seen.node)
        shares: dict[str, Fraction] = {}
        wrong = False
        for share, trace in walk.outcomes():
            shares[end_of(trace)] = shares.get(end_of(trace), 0) + share
            found = self._fault(port, source, trace)
            if found:
                self._note(*found, port)
                wrong = True
        if not wrong and any(abs(shares.get(end, 0) - Fraction(1, len(port.ends))) > Fraction(1, 10**6)
                             for end in port.ends):
            balance = [rule for rule in self._chain("nat", port.svc) if "KUBE-SEP" in rule]
            first = "--probability" not in balance[0] and len(balance) > 1
            self._note("first-always" if first else "missing-endpoint", port.svc, rewritten(self, port), port)

    def _note(self, kind: str, chain: str, mends: list[str], port: Port) -> None:
        one = self.findings.setdefault((kind, "" if kind == "no-masquerade" else port.service), Finding(kind, chain))
        one.services.add(port.service)
        one.mends += [line for line in mends if line not in one.mends]

    def _chain(self, table: str, name: str) -> list[str]:
        chain = self.rules[table].get(name)
        return [rule.text for rule in chain.rules] if chain else []

    def _fault(self, port: Port, source: str, trace: Trace) -> tuple[str, str, list[str]] | None:
        """What is wrong with one way of a packet: the kind, the chain, and what mends it."""
        end = end_of(trace)
        if not port.ends:
            return None if trace.verdict == "REJECTED" else ("not-refused", "KUBE-SERVICES", [])
        if end == trace.sent.destination:
            return self._untranslated(port, trace)
        if end not in port.ends:
            return self._elsewhere(port, trace, end)
        if trace.verdict != "FORWARDED":
            return self._stopped(source, trace)
        return self._source(port, source, trace, end)

    def _untranslated(self, port: Port, trace: Trace) -> tuple[str, str, list[str]]:
        steps = [step for step in trace.steps if step.table == "nat" and step.hook in ("PREROUTING", "OUTPUT")]
        taken = next((step for step in steps if step.rule and step.verdict == "ACCEPT"), None)
        if trace.verdict == "REJECTED":
            rule = next(step.rule for step in trace.steps if step.kind == "REJECT")
            return "reject-left", "KUBE-SERVICES", [f"iptables -D {rule[3:]}", *rewritten(self, port, entrance=True)]
        if taken:
            return "earlier-rule", taken.chain, [f"iptables -t nat -D {taken.rule[3:]}"]
        if port.svc in trace.chains:
            back = next((step for step in steps if step.kind == "RETURN" and step.chain == port.svc), None)
            if back:
                return "return", port.svc, [f"iptables -t nat -D {back.rule[3:]}"]
            return "last-by-chance", port.svc, rewritten(self, port)
        old = [rule for rule in self._chain("nat", "KUBE-SERVICES") if rule.endswith(f"-j {port.svc}")]
        removed = [f"iptables -t nat -D {rule[3:]}" for rule in old]
        kind = "old-address" if old else "entrance-gone"
        return kind, "KUBE-SERVICES", [*removed, *rewritten(self, port, entrance=True)]

    def _elsewhere(self, port: Port, trace: Trace, end: str) -> tuple[str, str, list[str]]:
        nat = next(step for step in trace.steps if step.kind == "NAT" and step.rule and step.hook != "POSTROUTING")
        if not nat.chain.startswith("KUBE-SEP-"):
            return "foreign-dnat", nat.chain, [f"iptables -t nat -D {nat.rule[3:]}"]
        if end.partition(":")[0] in {one.partition(":")[0] for one in port.ends}:
            return "wrong-port", nat.chain, rewritten(self, port)
        return "stale-endpoint", port.svc, rewritten(self, port)

    def _stopped(self, source: str, trace: Trace) -> tuple[str, str, list[str]]:
        last = [step for step in trace.steps if step.leg == 1 and step.kind in ("DROP", "POLICY", "REJECT")][-1]
        if last.rule:
            return "firewall", last.chain, [f"iptables -D {last.rule[3:]}"]
        if source == self.seen.pod:
            return "from-pods-dropped", "FORWARD", [f"iptables -A FORWARD -s {self.seen.pods} -j ACCEPT"]
        return "marked-dropped", "FORWARD", [f"iptables -A KUBE-FORWARD -m mark --mark {MARK}/{MARK} -j ACCEPT"]

    def _source(self, port: Port, source: str, trace: Trace, end: str) -> tuple[str, str, list[str]] | None:
        """What is wrong with the source in the end, if it is."""
        inside = ipaddress.ip_address(source) in ipaddress.ip_network(self.seen.pods)
        to_node = trace.sent.dst == self.seen.node
        address = end.partition(":")[0]
        wanted = source if inside and not to_node and source != address else self.seen.node
        if trace.received.src == wanted:
            return None
        if any(step.mark & MARK for step in trace.steps):
            return "no-masquerade", "KUBE-POSTROUTING", ["iptables -t nat -A KUBE-POSTROUTING -j MASQUERADE"]
        if source == address:
            sep = port.sep(end)
            return "no-hairpin", sep, [f"iptables -t nat -I {sep} 1 -s {source} -j KUBE-MARK-MASQ"]
        chain = port.ext if to_node else port.svc
        tests = "" if to_node else f"! -s {self.seen.pods} "
        return ("no-nodeport-mark" if to_node else "no-mark"), chain, [
            f"iptables -t nat -I {chain} 1 {tests}-j KUBE-MARK-MASQ"]


def end_of(trace: Trace) -> str:
    """The destination that a packet had in the end."""
    step = [step for step in trace.steps if step.leg == 1][-1]
    return (step.after or step.before).destination


def rewritten(solver: Solver, port: Port, entrance: bool = False) -> list[str]:
    """The chains of a port, written anew as unit 06 and unit 08 have them; `entrance`: and the ways into them."""
    nat, head = solver.rules["nat"], "iptables -t nat"
    to = f"-p {port.proto} -m {port.proto} --dport"
    chains = [port.svc, *map(port.sep, port.ends), *[port.ext] * bool(port.node_port and entrance)]
    lines = [f"{head} -{'F' if chain in nat else 'N'} {chain}" for chain in chains]
    lines.append(f"{head} -A {port.svc} ! -s {solver.seen.pods} -d {port.ip} {to} {port.port} -j KUBE-MARK-MASQ")
    for at, end in enumerate(port.ends):
        left = len(port.ends) - at
        chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        address = end.partition(":")[0]
        lines += [f"{head} -A {port.svc} {chance}-j {port.sep(end)}",
                  f"{head} -A {port.sep(end)} -s {address} -j KUBE-MARK-MASQ",
                  f"{head} -A {port.sep(end)} -p {port.proto} -j DNAT --to-destination {end}"]
    if entrance:
        lines.append(f"{head} -I KUBE-SERVICES 1 -d {port.ip} {to} {port.port} -j {port.svc}")
    if entrance and port.node_port:
        led = any(f"--dport {port.node_port} " in rule for rule in solver._chain("nat", "KUBE-NODEPORTS"))
        lines += [f"{head} -A {port.ext} -j KUBE-MARK-MASQ", f"{head} -A {port.ext} -j {port.svc}"]
        lines += [] if led else [f"{head} -A KUBE-NODEPORTS {to} {port.node_port} -j {port.ext}"]
    return lines

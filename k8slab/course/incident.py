"""Incident: a lab in which something is broken, which says what the program on call heard, and what was done since.

    lab = Incident(FAULTS["forwarding-off"])
    lab.report()          # dial tcp 10.96.0.1:443: i/o timeout; never: nothing comes back
    lab.run("worker1", "sysctl -w net.ipv4.ip_forward=1")
    lab.report()          # answered by 10.106.175.128:6443

The delay is one of three kinds, and each kind rules out half of the causes: *at once* somebody said no; *after 3
seconds* a neighbour was asked for and nobody answered (three questions, a second apart); *never* the packet or its
answer was dropped without a word, and the program stopped waiting by its own patience.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from k8slab.cluster.certificates import Certificate, NotVerified
from k8slab.course.faults import DNS_NAME, Breakage, do
from k8slab.course.probe import Sent
from k8slab.dialling import told
from k8slab.errors import Told
from k8slab.lab import Lab
from k8slab.magic import masked
from k8slab.trace import Trace

AT_ONCE, NEVER = "at once", "never: nothing comes back, and the program stops waiting by itself"
IPV4 = re.compile(r"\d+(\.\d+){3}")
SOON = 2.0          # seconds: what is sooner is at once; a neighbour is waited for three seconds
# The stations along the packet's way, and the commands that look there.
STATIONS = (
    ("object", re.compile(r"kubectl .*\b(svc|services?|po|pods?|nodes?|all)\b")),
    ("endpoints", re.compile(r"kubectl .*\b(ep|endpoints?|endpointslices?)\b")),
    ("rules", re.compile(r"iptables")),
    ("conntrack", re.compile(r"conntrack ")),
    ("routes", re.compile(r"(ip |sysctl|ping|curl|nc )")),
)
CHANGES = re.compile(
    r"kubectl (?!get|describe|explain|version|api-)|iptables-restore|iptables .*(-[ADIRFPXNEZ]|--(append|delete|insert|"
    r"replace|flush|policy))\b|conntrack .*(-[DF]|--delete|--flush)\b|sysctl .*=|lab\."
    r"|ip .*\b(add|a|del|delete|d|set|replace|change|flush|append)\b")


@dataclass(frozen=True, slots=True)
class Symptom:
    """What the program said, and when: AT_ONCE, NEVER, or after how many seconds. `works`: nothing is wrong.

    >>> Symptom("dial tcp 10.96.0.1:443: connect: connection refused", AT_ONCE, False)
    dial tcp 10.96.0.1:443: connect: connection refused
    (at once)
    """

    says: str
    delay: str
    works: bool

    def __repr__(self) -> str:
        return f"{self.says}\n({self.delay})"


@dataclass(frozen=True, slots=True)
class Done:
    """A command that was run: `where`, a host or ""; `line`, as it would be typed there; `printed`, what it said."""

    where: str
    line: str
    printed: str = ""

    def _objects(self) -> tuple[object, ...]:
        """What changes when somebody asks the control plane by another way than by this lab."""
        return self.cluster.store.revision, *(one.running for one in self.cluster.api_servers.values())

    @property
    def changes(self) -> bool:
        """Whether it was meant to change anything.

        >>> Done("worker1", "iptables -t nat -S").changes, Done("worker1", "iptables -P FORWARD ACCEPT").changes
        (False, True)
        """
        return bool(CHANGES.match(self.line))

    @property
    def station(self) -> str:
        """The station of the packet's way that it looks at, or ""."""
        found = [name for name, pattern in STATIONS if pattern.match(self.line)]
        return found[-1] if found else ""

    def __str__(self) -> str:
        return f"{self.where}: {self.line}" if self.where else self.line


class Incident(Lab):
    """A lab with one fault in it; `fault`: which. It keeps what is run in it, and a reset breaks it anew.

    `certificate`, `calls`: the API server's certificate, and the name by which the program calls it, where it does.
    `before`: what the program said when it was new. `mended`: whether the last check said so.

    >>> from k8slab.course.faults import FAULTS
    >>> Incident(FAULTS["no-default-route"], "model").report()
    dial tcp 10.96.0.1:443: connect: network is unreachable
    (at once)
    """

    def __init__(self, fault: Breakage, dataplane: str = "auto") -> None:
        self.fault, self.done, self.certificate, self.calls = fault, [], None, fault.calls
        self._listens = self._new = self.declared = self.mended = False
        super().__init__(dataplane, **fault.options())

    def reset(self) -> None:
        """Build everything anew, and break it again."""
        self._listens = self._new = self.declared = self.mended = False
        self.certificate: Certificate | None = None
        self.calls = self.fault.calls
        super().reset()
        for step in self.fault.breaks:
            do(self, step)
        self.done.clear()
        self._was, self._stood = (self.certificate, self.calls), self._objects()
        self.before = self.report()      # what was never broken cannot be mended
        self._listens = self._new = True

    @property
    def touched(self) -> bool:
        """Whether anything was done that was meant to change something."""
        return self.declared or bool(self.changes) or self._objects() != self._stood

    def _objects(self) -> tuple[object, ...]:
        """What changes when somebody asks the control plane by another way than by this lab."""
        return self.cluster.store.revision, *(one.running for one in self.cluster.api_servers.values())

    @property
    def changes(self) -> tuple[str, ...]:
        """What was done that was meant to change something, in order."""
        certificate, calls = self._was
        names = ", ".join(self.certificate.names) if isinstance(self.certificate, Certificate) else self.certificate
        return (*(str(one) for one in self.done if one.changes),
                *([f"a new certificate, for {names}"] if self.certificate is not certificate else []),
                *([f"the program calls {self.calls}"] if self.calls != calls else []))

    def report(self) -> Symptom:
        """Let the program try once more, and give what it says, measured by the lab's clock; the first is `before`."""
        if self._new and not self.touched:
            self._new = False
            return self.before
        start = self.clock()
        sent, failed, tried = self.tried()
        waited = (self.clock() - start + self.dataplane.waited) / tried
        says = self._says(sent)
        works = not sent.wrong and (not self.fault.calls or says.startswith("200 OK"))
        silent = sent.wrong and (sent.trace.reply is None or says.endswith("i/o timeout")) and ": connect: " not in says
        if tried > 1 and failed:
            says = f"{'each' if failed == tried else 'some'} of {tried} connections: {says}"
        return Symptom(says, NEVER if silent else AT_ONCE if waited < SOON else f"after {waited:.0f} seconds", works)

    def tried(self) -> tuple[Sent, int, int]:
        """The fault's own probe: one that went wrong, else the last; how many went wrong, and how many were sent."""
        sent = [self.fault.asks.send(self) for _ in range(self.fault.times)]
        wrong = [one for one in sent if one.wrong]
        return (wrong or sent)[-1], len(wrong), len(sent)

    def nothing_is_broken(self) -> None:
        """Say that all is as it should be."""
        self.declared = True
        self._keep("", "lab.nothing_is_broken()")

    def _says(self, sent: Sent) -> str:
        """The program's words."""
        trace, asked = sent.trace, sent.trace.sent
        if asked.proto == "icmp":
            return masked("ping", self.dataplane.run("client", f"ping -c 1 -W 1 {asked.dst}")).strip().splitlines()[-1]
        if asked.proto == "udp":
            return _looked_up(trace)
        if self.fault.calls and not sent.wrong:
            return self._called()
        address, _, port = sent.probe.to.rpartition(":")
        return told(trace, address, int(port))

    def _called(self) -> str:
        """What comes of the program's call by name: the name is looked up, and the certificate held against it."""
        name = str(self.calls)
        if not IPV4.fullmatch(name):
            try:
                address = self.resolve("client", name).address
            except Told:
                address = ""                     # what DNS cannot carry
            if not address:
                return f"dial tcp: lookup {name} on {self.cluster.dns_address}:53: no such host"
        else:
            address = name
        if address != self.fault.asks.to.partition(":")[0]:
            return self.dial("client", address, 443)
        try:
            if not isinstance(self.certificate, Certificate) or not self._issued(self.certificate.pem):
                raise NotVerified("tls: failed to verify certificate: x509: certificate signed by unknown authority")
            self.certificate.check(name)
        except NotVerified as error:
            return f'Get "https://{name}/version": {error}'
        return f"200 OK, from https://{name}/version"

    def _issued(self, pem: str) -> bool:
        """Whether the cluster's own CA has issued this certificate."""
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature

        try:
            authority = x509.load_pem_x509_certificate(self.cluster.authority.pem.encode())
            x509.load_pem_x509_certificate(pem.encode()).verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    # What is kept.

    def run(self, node: str, command: str, given: str = "") -> str:
        """Run a command on a node or in a Pod; what it prints."""
        printed = super().run(node, command, given)
        self._keep(node, command, printed)
        return printed

    def kubectl(self, command: str, given: str = "", seconds: float = 0.0) -> str:
        """What a kubectl command prints."""
        printed = super().kubectl(command, given, seconds)
        self._keep("", f"kubectl {command}", printed)
        return printed

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass."""
        self._keep("", f"lab.advance({seconds:g})")
        super().advance(seconds)

    def serve(self, host: str, port: int, proto: str = "tcp") -> None:
        """Start a program on a host that listens on a port."""
        self._keep("", f"lab.serve({host!r}, {port})")
        super().serve(host, port, proto)

    def restore(self, node: str, text: str, *, noflush: bool = False) -> None:
        """Feed text to `iptables-restore` on a node."""
        self._keep(node, "iptables-restore")
        super().restore(node, text, noflush=noflush)

    def unserve(self, host: str, port: int, proto: str = "tcp") -> None:
        """End the program that listens on a host's port."""
        self._keep("", f"lab.unserve({host!r}, {port})")
        super().unserve(host, port, proto)

    def _keep(self, where: str, line: str, printed: str = "") -> None:
        if self._listens:
            self.done.append(Done(where, line, printed))


def _looked_up(trace: Trace) -> str:
    """Go's words for a question to a name server."""
    sent, reply = trace.sent, trace.reply
    if reply is not None and not reply.is_icmp_error and reply.source == sent.destination:
        return f"answered by {trace.received.destination}" if trace.received else "answered"
    why = "connection refused" if reply is not None else "i/o timeout"
    return f"lookup {DNS_NAME} on {sent.destination}: read udp {sent.source}->{sent.destination}: {why}"

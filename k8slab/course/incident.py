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
import weakref
from dataclasses import dataclass
from functools import partial

from k8slab.cluster.certificates import Certificate, NotVerified
from k8slab.cluster.server import ApiServer
from k8slab.course.faults import DNS_NAME, Breakage, do
from k8slab.course.kept import ANSWERS_BY_ERROR, Done, watched, writes
from k8slab.course.probe import Probe, Sent
from k8slab.course.standing import standing
from k8slab.course.tries import tries
from k8slab.dataplanes import LabError
from k8slab.dialling import told
from k8slab.errors import CommandError, Told
from k8slab.inputs import checked
from k8slab.lab import Lab
from k8slab.magic import masked
from k8slab.trace import Trace

AT_ONCE, NEVER = "at once", "never: nothing comes back, and the program stops waiting by itself"
HAPPENED = {"starting": "started", "stopped": "stopped"}      # an API server's state → how a note tells it
IPV4 = re.compile(r"\d+(\.\d+){3}")
SOON = 2.0          # seconds: what is sooner is at once; a neighbour is waited for three seconds


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


@checked
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
        self._listen()
        self._was = self.certificate, self.calls
        self.before = self._heard()      # what was never broken cannot be mended
        self._stood = self._objects(), standing(self)
        self._listens = self._new = True

    @property
    def touched(self) -> bool:
        """Whether anything was done that was meant to change something, or has changed it, by whatever program."""
        return self.declared or bool(self.changes) or (self._objects(), standing(self)) != self._stood

    def _objects(self) -> tuple[object, ...]:
        """What changes when somebody asks the control plane by another way than by this lab."""
        return self.cluster.store.revision, *(one.running for one in self.cluster.api_servers.values())

    @property
    def changes(self) -> tuple[str, ...]:
        """What has changed something, in the order in which it was done; last the claim that nothing is broken."""
        certificate, calls = self._was
        names = ", ".join(self.certificate.names) if isinstance(self.certificate, Certificate) else self.certificate
        servers = [name for name in self.cluster.api_servers if name not in self._servers]
        return (*(str(one) for one in self.done if one.changed),
                *(f"{name}: API server added" for name in servers),
                *([f"a new certificate, for {names}"] if self.certificate is not certificate else []),
                *([f"the program calls {self.calls}"] if self.calls != calls else []),
                *(["lab.nothing_is_broken()"] if self.declared else []))

    def report(self) -> Symptom:
        """Let the program try once more, and give what it says, measured by the lab's clock; the first is `before`.

        Raises LabError where the host that asks is there no longer.
        """
        new, self._new = self._new, False
        return self.before if new and not self.touched else self._heard()

    def need_caller(self) -> None:
        """Raise LabError where the host that asks is there no longer."""
        asks = self.fault.asks.at
        if all(host.name != asks for host in self.network.hosts):
            raise LabError(f"the Pod {asks}, whose program calls, is gone, and nobody else can tell whether the "
                           "cluster is mended; lab.reset() gives a new one, broken as it was")

    def _heard(self) -> Symptom:
        """What the program says when it tries now."""
        self.need_caller()
        if self.fault.asks.packet and self.fault.asks.packet.proto == "icmp":
            return self._pinged(self.fault.asks.packet.dst)
        sent = tries(self, self.fault.asks, self.fault.times)
        says = self._says(sent)
        works = not sent.wrong and (not self.fault.calls or says.startswith("200 OK"))
        silent = sent.wrong and (sent.trace.reply is None or says.endswith("i/o timeout")) and ": connect: " not in says
        if sent.tried > 1 and sent.failed:
            says = f"{'each' if sent.failed == sent.tried else 'some'} of {sent.tried} connections: {says}"
        return Symptom(says, _delay(bool(silent), sent.waited), works)

    def _pinged(self, address: str) -> Symptom:
        """The last line of a ping, and when it came."""
        start = self.clock()
        printed = self.dataplane.run("client", f"ping -c 1 -W 1 {address}")
        last = masked("ping", printed).strip().splitlines()[-1]
        works = last.startswith("rtt ")
        silent = not works and "errors" not in printed
        return Symptom(last, _delay(silent, self.clock() - start + self.dataplane.waited), works)

    def settle(self) -> None:
        """Let the time pass that what watches the objects takes, where a change is not what it seems at once."""
        if self.fault.settles:
            super().advance(self.fault.settles)

    def dial(self, pod: str, address: str, port: int) -> str:
        """Open a connection and say in a client library's words what came of it: who answered, or Go's error."""
        return self._told(tries(self, Probe("", pod, {}, f"{address}:{port}")))

    def nothing_is_broken(self) -> None:
        """Say that all is as it should be."""
        self.declared = True

    def _says(self, sent: Sent) -> str:
        """The program's words."""
        if sent.trace.sent.proto == "udp":
            return _looked_up(sent.trace)
        return self._called() if self.fault.calls and not sent.wrong else self._told(sent)

    def _told(self, sent: Sent) -> str:
        """A client library's words; a way that cannot be followed is known by who answers."""
        address, _, port = sent.probe.to.rpartition(":")
        return f"answered by {sent.unseen}" if ":" in sent.unseen else told(sent.trace, address, int(port))

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

    def lost_names(self) -> list[str]:
        """The names of the first certificate that others call the API server by, and that are in this one no more.

        A slip in the first certificate is no such name.
        """
        was, now = self._was[0], self.certificate
        right = self.cluster.certificate(next(iter(self.cluster.api_servers))).names
        return [name for name in was.names if name in right and name not in now.names] if now and was else []

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

    # What is kept: after it was done, and only then.

    def run(self, node: str, command: str, given: str = "") -> str:
        """Run a command on a node or in a Pod; what it prints."""
        if not self._listens:
            return super().run(node, command, given)
        changed = watched(self, node, command)
        try:
            printed = super().run(node, command, given)
        except CommandError as error:
            if ANSWERS_BY_ERROR.match(command):
                self._keep(node, command, error.printed, False)
            raise
        self._keep(node, command, printed, changed(printed))
        return printed

    def kubectl(self, command: str, given: str = "", seconds: float = 0.0) -> str:
        """What a kubectl command prints."""
        before = self.cluster.store.revision
        printed = super().kubectl(command, given, seconds)
        self._keep("", f"kubectl {command}", printed, self.cluster.store.revision != before and writes(command))
        return printed

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass."""
        super().advance(seconds)
        self._keep("", f"lab.advance({seconds:g})")

    def serve(self, host: str, port: int, proto: str = "tcp") -> None:
        """Start a program on a host that listens on a port."""
        super().serve(host, port, proto)
        self._keep("", f"lab.serve({host!r}, {port})")

    def restore(self, node: str, text: str, *, noflush: bool = False) -> None:
        """Feed text to `iptables-restore` on a node."""
        super().restore(node, text, noflush=noflush)
        self._keep(node, "iptables-restore")

    def unserve(self, host: str, port: int, proto: str = "tcp") -> None:
        """End the program that listens on a host's port."""
        super().unserve(host, port, proto)
        self._keep("", f"lab.unserve({host!r}, {port})")

    def _keep(self, where: str, line: str, printed: str = "", changed: bool = True) -> None:
        if self._listens:
            self.done.append(Done(where, line, printed, changed))

    def _listen(self) -> None:
        """Keep what is done to the API servers by their own methods; time alone makes one ready."""
        keep, self._servers = weakref.WeakMethod(self._keep), tuple(self.cluster.api_servers)

        def changed(server: ApiServer) -> None:
            if server.state in HAPPENED and (kept := keep()):       # they live longer than a lab that nobody holds
                kept(server.node, f"API server {HAPPENED[server.state]}")

        for server in self.cluster.api_servers.values():
            server.on_change(partial(changed, server))


def _delay(silent: bool, waited: float) -> str:
    """When a program hears something: `waited`, seconds."""
    return NEVER if silent else AT_ONCE if waited < SOON else f"after {waited:.0f} seconds"


def _looked_up(trace: Trace) -> str:
    """Go's words for a question to a name server."""
    sent, reply = trace.sent, trace.reply
    if reply is not None and not reply.is_icmp_error and reply.source == sent.destination:
        return f"answered by {trace.received.destination}" if trace.received else "answered"
    why = "connection refused" if reply is not None else "i/o timeout"
    return f"lookup {DNS_NAME} on {sent.destination}: read udp {sent.source}->{sent.destination}: {why}"

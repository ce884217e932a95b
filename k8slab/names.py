"""Names asked of kube-dns: a question as the bytes that a resolver sends, and what came back.

What the cluster's DNS knows is `cluster/dns.py`'s; here it is put into DNS messages (RFC 1035), by scapy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from k8slab.cluster.dns import DOMAIN, TTL, Record, answer
from k8slab.errors import Told
from k8slab.trace import Trace

PORT = 53
KINDS = ("A", "AAAA", "CNAME", "PTR", "SRV", "TXT")
STATUS = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN"}
NO_SUCH_NAME = 3
IDENTITY = 0x1053      # of a question: any will do, a fixed one can be compared


class NoName(Told, ValueError):
    """A name that cannot be asked for."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What came of a question: `records`; `status` in DNS's words, "" where no answer came; and the whole way.

    >>> print(Resolved((), "NXDOMAIN", None))
    NXDOMAIN: there is no such name
    """

    records: tuple[Record, ...]
    status: str
    trace: Trace = field(repr=False)

    @property
    def address(self) -> str:
        """The first address of the answer, "" for none."""
        return next((one.value for one in self.records if one.type in ("A", "AAAA")), "")

    def __str__(self) -> str:
        if self.records:
            return "\n".join(map(str, self.records))
        return {"NXDOMAIN": "NXDOMAIN: there is no such name", "": "no answer came",
                "NOERROR": "NOERROR: the name has no record of this kind"}.get(self.status, self.status)

    __repr__ = __str__


def question(name: str, kind: str = "A") -> bytes:
    """A resolver's question for a full name, as bytes.

    >>> question("kubernetes.default.svc.cluster.local")[12:23]
    b'\\nkubernetes'

    Raises NoName for a name that DNS cannot carry (RFC 1035, 2.3.4), and for a kind that is not known.
    """
    from scapy.layers.dns import DNS, DNSQR  # importing scapy takes longer than building the lab

    labels = name.removesuffix(".").split(".")
    if kind not in KINDS:
        raise NoName(f"{kind} is no kind of record that is asked for here; there are {', '.join(KINDS)}")
    if not name.isascii() or len(name) > 253 or not all(0 < len(one) < 64 for one in labels):
        raise NoName(f"{name!r} is no name that DNS can carry: parts of 1 to 63 ASCII letters, 253 in all")
    return bytes(DNS(id=IDENTITY, rd=1, qd=[DNSQR(qname=name, qtype=kind)]))


def answered(asked: bytes, services: Iterable[Mapping], slices: Iterable[Mapping]) -> bytes | None:
    """kube-dns's answer to a question; None for bytes that are no question of DNS."""
    from scapy.layers.dns import DNS, DNSRR, DNSRRSOA, DNSRRSRV  # as above

    try:
        message = DNS(asked)
        name, kind = message.qd[0].qname.decode().rstrip("."), message.qd[0].sprintf("%qtype%")
    except Exception:      # scapy raises what it likes for bytes that are no message
        return None
    found = answer(services, slices, name, kind)
    records = []
    for one in found or ():
        if one.type == "SRV":
            priority, weight, port, target = one.value.split()
            records.append(DNSRRSRV(rrname=f"{one.name}.", ttl=one.ttl, priority=int(priority), weight=int(weight),
                                    port=int(port), target=target))
        else:
            records.append(DNSRR(rrname=f"{one.name}.", type=one.type, ttl=one.ttl, rdata=one.value))
    zone = [] if records else [DNSRRSOA(rrname=f"{DOMAIN}.", ttl=TTL, mname=f"ns.dns.{DOMAIN}.",
                                        rname=f"hostmaster.{DOMAIN}.", serial=1, refresh=7200, retry=1800,
                                        expire=86400, minimum=TTL)]
    return bytes(DNS(id=message.id, qr=1, aa=1, rd=1, ra=0, rcode=NO_SUCH_NAME if found is None else 0,
                     qd=message.qd, an=records, ns=zone))


def read(trace: Trace) -> Resolved:
    """What a journey's answer says."""
    from scapy.layers.dns import DNS  # as above

    reply = trace.reply
    if reply is None or reply.proto != "udp":
        return Resolved((), "", trace)
    message = DNS(reply.payload)
    return Resolved(tuple(_record(one) for one in message.an), STATUS.get(message.rcode, str(message.rcode)), trace)


def _record(found: object) -> Record:
    kind = found.sprintf("%type%")
    if kind == "SRV":
        value = f"{found.priority} {found.weight} {found.port} {_text(found.target)}"
    else:
        value = _text(found.rdata)
    return Record(_text(found.rrname).rstrip("."), kind, value, found.ttl)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

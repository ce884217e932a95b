"""The faults that a cluster of the lab can be given: how each is made, what shows it, and what mends it.

    FAULTS["forwarding-off"] ── breaks ──> a lab ── asks ──> the symptom ── mends ──> the lab as it should be

Each is a real one: it comes from a thread that somebody has written (`causes.py`), it is made by commands that a
person or a program could have run, and it fails alike on the model and on the real kernel. Steps are written as a
notebook's: `%on HOST COMMAND`, `%kubectl COMMAND`, or a line of Python about `lab`. Learners never meet these names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from k8slab.course.probe import Probe
from k8slab.course.units.servers import several
from k8slab.lab import Lab
from k8slab.packet import Packet

API, WEB, API_SERVER, WEB_POD = "10.96.0.1:443", "10.96.12.34:80", "10.106.175.128:6443", "10.244.1.7:8080"
DNS_NAME = "kubernetes.default.svc.cluster.local"
# A question that a resolver asks from one port for as long as it lives, as some proxies do.
_ASKED = b"".join(bytes([len(part)]) + part.encode() for part in DNS_NAME.split("."))
DNS_QUESTION = Packet("udp", "10.244.1.5", "10.96.0.10", 50053, 53,       # RFC 1035, 4.1: for an A record
                      payload=b"\x11\x11\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + _ASKED + b"\x00\x00\x01\x00\x01")
KUBE_DNS = "10.96.0.10:53"
GONE = "10.244.0.9"      # an address of a Pod that is there no longer
# Names of a certificate that was made by a configuration with a slip in two of them.
SLIPPED = ("k8smaster", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
           "kubernetes.default.svc.cluster", "kubernetes.svc.cluster.local", "10.96.0.1", "10.106.175.128")
SEP = {"k8smaster": "KUBE-SEP-VDNPK4CXOQDGPWFC", "k8smaster3": "KUBE-SEP-FQ2NRQUZHJ3LQXRW"}
KUBERNETES = "KUBE-SVC-NPX46M4PTMTKRN6Y"


def reaches(at: str, to: str, destination: str = "", proto: str = "tcp", **wanted: str) -> Probe:
    """A connection that should be answered: from a host, to an address and port, led to `destination`.

    >>> reaches("client", "10.96.0.1:443").wanted
    {'comes back': 'an answer from 10.96.0.1:443'}
    """
    facts = {name.replace("_", " "): value for name, value in wanted.items()}
    facts |= {"destination": destination} if destination else {}
    whose = {"worker1": "a program on the node worker1", "outside": "a client outside"}.get(at, f"the Pod {at}")
    return Probe(f"a connection of {whose} to {to}", at, facts | {"comes back": f"an answer from {to}"}, to, proto)


@dataclass(frozen=True, slots=True)
class Breakage:
    """One fault.

    `name`: its own. `asks`: the probe by which it shows, and which works again when it is mended; `times`: how often
    that is tried, where chance decides. `options`: makes a Lab's arguments; `breaks`: the steps that break it. `mends`:
    steps that are one remedy. `also`: probes that must be right afterwards, too. `broken`: False where all is as it
    should be. `calls`: the host name that the program calls by TLS, where the fault is not one of packets. `settles`:
    seconds until what watches the objects has put right, or put back, what somebody has changed.
    """

    name: str
    asks: Probe
    breaks: tuple[str, ...]
    mends: tuple[str, ...]
    also: tuple[Probe, ...] = ()
    options: Callable[[], dict] = field(default=lambda: {"cluster": True})
    times: int = 1
    broken: bool = True
    calls: str = ""
    settles: float = 0.0


def three() -> dict:
    """The options of a lab with three API servers, whose endpoints are kept as they were before leases."""
    return {"cluster": lambda: several(3, reconciler="master-count")}


TO_API = reaches("client", API, API_SERVER)
TO_WEB = reaches("client", WEB)
DIRECT = reaches("client", WEB_POD, source="10.244.1.5")
MAKE_WEB = "%kubectl create service clusterip web --clusterip=10.96.12.34 --tcp=80:{}"
ANY_API = reaches("client", API)
# Others who ask the same: a remedy for the one Pod that has complained is none.
WEB_TO_API, NODE_TO_API = (reaches(host, API, API_SERVER) for host in ("web", "worker1"))
ELSEWHERE_TO_WEB = reaches("coredns-1", WEB)
TO_DNS = reaches("client", KUBE_DNS, proto="udp")
# A Service that has no endpoints, and should go on to say so.
IDLE = "%kubectl create service clusterip idle --clusterip=10.96.12.99 --tcp=80:8080"
TO_IDLE = Probe("a connection of the Pod client to 10.96.12.99:80, a Service without endpoints", "client",
                {"comes back": "a refusal from 10.244.1.1"}, to="10.96.12.99:80")


def barred(to: str, whose: str = "", proto: str = "tcp") -> Probe:
    """What a policy forbids the Pod client to open: `to`, an address and port, of which nobody must hear.

    >>> barred("10.244.1.7:8080").wanted
    {'source at the far end': "nobody's: it did not arrive", 'comes back': 'nothing'}
    """
    says = f"a connection of the Pod client to {to}{', ' * bool(whose)}{whose}, which it may not open"
    return Probe(says, "client", {"source at the far end": "nobody's: it did not arrive", "comes back": "nothing"}, to,
                 proto)



_TABLE = (
    Breakage(
        "no-endpoints", TO_WEB,
        (MAKE_WEB.format(8080), """%kubectl patch svc web -p '{"spec": {"selector": {"app": "webshop"}}}'""",
         "lab.advance(3)"),
        ("""%kubectl patch svc web -p '{"spec": {"selector": {"app": "web"}}}'""", "lab.advance(3)"),
        (TO_API, ELSEWHERE_TO_WEB), settles=3.0,
    ),
    Breakage(
        "target-port", TO_WEB,
        (MAKE_WEB.format(80), "lab.advance(3)"),
        ("""%kubectl patch svc web --type=json -p '[{"op": "replace", "path": "/spec/ports/0/targetPort", """
         """"value": 8080}]'""", "lab.advance(3)"),
        (TO_API, DIRECT, ELSEWHERE_TO_WEB), settles=3.0,
    ),
    Breakage(
        "rule-before", TO_API,
        (IDLE, "lab.advance(3)",
         "%on worker1 iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
         "%on worker1 iptables -A FORWARD -j REJECT --reject-with icmp-host-prohibited",
         "%on worker1 iptables -A FORWARD -s 10.244.0.0/16 -j ACCEPT",
         "%on worker1 iptables -A FORWARD -d 10.244.0.0/16 -j ACCEPT"),
        ("%on worker1 iptables -D FORWARD -j REJECT --reject-with icmp-host-prohibited",),
        (DIRECT, TO_IDLE, WEB_TO_API),
    ),
    Breakage(
        "no-masquerade", reaches("client", "203.0.113.10:443"),
        ("""lab.serve("outside", 443)""", "%on worker1 iptables -t nat -D POSTROUTING -s 10.244.0.0/16 ! -d "
         """10.244.0.0/16 -m comment --comment "network plugin: masquerade what leaves the Pod range" """
         "-j MASQUERADE --random-fully"),
        ("%on worker1 iptables -t nat -A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE",),
        (TO_API, Probe("a connection of the Pod client to 203.0.113.11:443, another address outside", "client",
                       {"source": "10.106.175.131"}, to="203.0.113.11:443"), DIRECT),
        lambda: {"cluster": True, "cni_masquerade": True},
    ),
    Breakage(
        "no-default-route", reaches("worker1", API, API_SERVER),
        ("%on worker1 ip route del default",),
        ("%on worker1 ip route add default via 10.106.175.1 dev eth0",),
        (TO_API,),
    ),
    Breakage(
        "stale-entry", Probe("a question of the Pod client to kube-dns", "client",
                             {"comes back": "an answer from 10.96.0.10:53"}, packet=DNS_QUESTION),
        (f"%on worker1 iptables -t nat -I PREROUTING -d 10.96.0.10/32 -p udp -m udp --dport 53 -j DNAT "
         f"--to-destination {GONE}:53", "lab.send(DNS_QUESTION)", "%on worker1 iptables -t nat -D PREROUTING 1"),
        ("%on worker1 conntrack -D -p udp -s 10.244.1.5",),
        (TO_API, reaches("client", "10.96.0.10:53", proto="udp")),
    ),
    Breakage(
        "name-without-san", TO_API,
        ("lab.certificate = lab.cluster.authority.issue(SLIPPED)",),
        ("lab.certificate = lab.cluster.authority.issue([*lab.certificate.names, lab.calls])",),
        calls=DNS_NAME,
    ),
    Breakage(
        "forwarding-off", TO_API,
        ("%on worker1 sysctl -w net.ipv4.ip_forward=0",),
        ("%on worker1 sysctl -w net.ipv4.ip_forward=1",),
        (DIRECT, WEB_TO_API),
    ),
    Breakage(
        "ping", Probe("a ping of the Pod client to 10.96.0.1", "client", {"answered": "yes"},
                      packet=Packet("icmp", "10.244.1.5", "10.96.0.1", icmp_id=7)),
        (), ("lab.nothing_is_broken()",), (TO_API,), broken=False,
    ),
    Breakage(
        "dead-but-listed", ANY_API,
        ("""lab.cluster.api_servers["k8smaster3"].crash()""", "lab.advance(60)"),
        ("""%kubectl patch endpoints kubernetes --type=json -p '[{"op": "remove", "path": """
         """"/subsets/0/addresses/2"}]'""", "lab.advance(15)"),
        (reaches("worker1", API), reaches("coredns-1", API)), three, times=30, settles=15.0,
    ),
    Breakage(
        "affinity-to-the-dead", ANY_API,
        ("""%kubectl patch svc kubernetes -p '{"spec": {"sessionAffinity": "ClientIP"}}'""", "lab.advance(3)",
         f"%on worker1 iptables -t nat -I {KUBERNETES} 2 -s 10.244.1.5 -j {SEP['k8smaster3']}",
         f"%on worker1 iptables -t nat -I {KUBERNETES} 3 -s 10.244.1.7 -j {SEP['k8smaster']}",
         """lab.connect("client", "10.96.0.1", 443)""", """lab.connect("web", "10.96.0.1", 443)""",
         f"%on worker1 iptables -t nat -D {KUBERNETES} 3", f"%on worker1 iptables -t nat -D {KUBERNETES} 2",
         """lab.cluster.api_servers["k8smaster3"].crash()""", "lab.advance(60)"),
        ("""%kubectl patch endpoints kubernetes --type=json -p '[{"op": "remove", "path": """
         """"/subsets/0/addresses/2"}]'""", "lab.advance(15)"),
        (reaches("web", API), reaches("coredns-1", API)), three, times=30, settles=15.0,
    ),
    Breakage(
        "forward-drop", TO_API,
        (IDLE, "lab.advance(3)", "%on worker1 iptables -P FORWARD DROP"),
        ("%on worker1 iptables -A FORWARD -s 10.244.0.0/16 -j ACCEPT",
         "%on worker1 iptables -A FORWARD -d 10.244.0.0/16 -j ACCEPT"),
        (DIRECT, TO_IDLE, WEB_TO_API),
    ),
    Breakage(
        "policy-before-dnat", TO_API,
        ("%on worker1 iptables -N POD-client",
         "%on worker1 iptables -A POD-client -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
         "%on worker1 iptables -A POD-client -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j ACCEPT",
         "%on worker1 iptables -A POD-client -j DROP",
         "%on worker1 iptables -I FORWARD -s 10.244.1.5/32 -j POD-client"),
        ("%on worker1 iptables -I POD-client 2 -d 10.106.175.128/32 -p tcp -m tcp --dport 6443 -j ACCEPT",),
        (barred(WEB_POD), barred(KUBE_DNS, "kube-dns", "udp"), barred("10.106.175.128:22", "the API server's machine"),
         barred("10.106.175.1:22", "a machine on the nodes' network")),
    ),
    Breakage(
        "rp-filter", TO_API,
        ("%on worker1 ip link add veth-net1 address 02:00:00:00:02:01 type veth peer name net1 "
         "address 02:00:00:00:02:02 netns client",
         "%on worker1 ip address add 192.168.7.1/24 dev veth-net1", "%on worker1 ip link set veth-net1 up",
         "%on client ip address add 192.168.7.5/24 dev net1", "%on client ip link set net1 up",
         "%on client ip route replace default via 192.168.7.1 dev net1 src 10.244.1.5",
         "%on worker1 sysctl -w net.ipv4.conf.all.rp_filter=1", "%on client ip neigh flush dev net1"),
        ("%on worker1 sysctl -w net.ipv4.conf.all.rp_filter=2",),
        (WEB_TO_API, TO_DNS, reaches("client", WEB_POD)),
    ),
    Breakage(
        "not-yet-synced", TO_API, (), ("lab.advance(60)",),
        (WEB_TO_API, NODE_TO_API, TO_DNS), lambda: {"cluster": True, "first_sync": {"worker1": 60.0}},
    ),
    Breakage(
        "bridge", TO_WEB,
        (MAKE_WEB.format(8080), "lab.advance(3)", "%on worker1 ip link add cni0 address 02:00:00:00:01:01 type bridge",
         "%on worker1 ip address add 10.244.1.1/24 dev cni0", "%on worker1 ip link set cni0 up",
         *(step.format(pod=pod, address=address) for pod, address in (("client", "10.244.1.5"), ("web", "10.244.1.7"))
           for step in ("%on worker1 ip address del 10.244.1.1/32 dev veth-{pod}",
                        "%on worker1 ip link set veth-{pod} master cni0",
                        "%on {pod} ip address add {address}/24 dev eth0",
                        "%on {pod} ip address del {address}/32 dev eth0",
                        "%on {pod} ip route replace default via 10.244.1.1 dev eth0"))),
        ("%on worker1 iptables -t nat -A POSTROUTING -s 10.244.1.0/24 -d 10.244.1.0/24 -j MASQUERADE",),
        (TO_API, reaches("client", WEB_POD)),
    ),
)
FAULTS: dict[str, Breakage] = {one.name: one for one in _TABLE}


def do(lab: Lab, step: str) -> None:
    """Take one step of a table in a lab.

    >>> with Lab("model") as lab:
    ...     do(lab, "%on worker1 ip route del default")
    ...     print(lab.dial("worker1", "10.96.0.1", 443))
    dial tcp 10.96.0.1:443: connect: network is unreachable
    """
    how, _, rest = step.partition(" ")
    if how == "%on":
        lab.run(*rest.split(" ", 1))
    elif how == "%kubectl":
        lab.kubectl(rest)
    else:
        exec(step, {"lab": lab, "DNS_QUESTION": DNS_QUESTION, "SLIPPED": SLIPPED})

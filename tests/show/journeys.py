"""Journeys of every kind that the first lab can make, for the tests of what is shown."""

from __future__ import annotations

import functools

from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.trace import Trace
from tests.model.labs import WEB, model, syn

NETWORK = Lab("model").network
TO_WEB = syn(WEB, 8080)


def _goto(chain: str) -> Trace:
    """A jump to TRY and a goto from there to AWAY; the rule that translates is in `chain`."""
    nat = (":TRY - [0:0]\n:AWAY - [0:0]\n-A PREROUTING -j TRY\n-A TRY -p tcp -g AWAY\n"
           f"-A {chain} -p tcp -j DNAT --to-destination {WEB}:8080")
    return model(nat=nat).send(syn(), "client")


# Name -> how it is made. `article` is the course's own: a SYN to the ClusterIP, and the SYN-ACK home.
MAKERS = {
    "article": lambda: Lab("model", seed=1).send(syn(), "client"),
    "connection": lambda: Lab("model", seed=1).connect("client", "10.96.0.1", 443),
    "node": lambda: Lab("model", seed=1).connect("k8smaster", "10.96.0.1", 443),
    "other port": lambda: Lab("model").send(syn(dport=80), "client"),
    "ping": lambda: Lab("model").ping("client", WEB),
    "dns": lambda: Lab("model").connect("client", "10.244.0.2", 53, proto="udp"),
    "closed port": lambda: Lab("model").send(syn(WEB, 81), "client"),
    "closed udp": lambda: Lab("model").send(Packet("udp", "10.244.1.5", WEB, 40000, 9), "client"),
    "outside": lambda: Lab("model").send(syn(src="203.0.113.10"), "outside"),
    "refused": lambda: model(filter="-A FORWARD -j REJECT").send(TO_WEB, "client"),
    "dropped": lambda: model(filter="-A FORWARD -p tcp -m tcp --dport 8080 -j DROP").send(TO_WEB, "client"),
    "dropped by policy": lambda: model(filter=":FORWARD DROP [0:0]").send(TO_WEB, "client"),
    "reply lost": lambda: model(raw="-A PREROUTING -s 10.244.1.7 -j DROP").send(TO_WEB, "client"),
    "masqueraded": lambda: model(nat="-A POSTROUTING -j MASQUERADE").send(TO_WEB, "client"),
    "cannot tell": lambda: model(filter='-A FORWARD -m u32 --u32 "0=0" -j ACCEPT').send(TO_WEB, "client"),
    "goto": lambda: _goto("AWAY"),
    "goto that ends": lambda: _goto("PREROUTING"),
}


@functools.cache
def journey(name: str) -> Trace:
    """The journey of that name in MAKERS."""
    return MAKERS[name]()

"""The map of faults: what can have happened to a node's rules, in data.

Each is something that clusters have had. A fault is made by commands that somebody ran on the node (`did`), or by
kube-proxy not having heard of a change in the objects (`heard`), so that what stands there is what the real one would
have written for the objects as they were. Each shows in packets, for the callers that `shows` names, and in the place
that `trace` leads to. `commands` puts a text between braces from the Place, of which it is a field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k8slab.course.capstone.heard import another_address, lost_endpoint, nobody, old_endpoint
from k8slab.course.capstone.place import Place

# Who asks: a Pod of the node, a Pod of another, the node itself, a machine outside; an endpoint its own Service; and
# at a NodePort a machine outside, a Pod of the node, and the node itself.
EVERYBODY = ("pod", "far", "node", "outside", "itself", "nodeport", "pod-nodeport", "node-nodeport")
BY_WIRE = ("pod", "far", "outside", "itself", "nodeport", "pod-nodeport")
POSTROUTING = '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully'
MARKED = '-m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT'


@dataclass(frozen=True, slots=True)
class Incident:
    """One kind of fault.

    `at`: "kubernetes", "ordinary" or "either", the Services that it can befall. `shows`: the callers who notice.
    `chain`: where it is. `report`: what they say, who do not know the cause. `symptom`: what packets do. `found`: which
    command shows it. `remedy`: what mends it. `also`: chains, beside those whose rules are not as they should be, by
    which the place is named as well, each a table and a chain. `did`: commands; `heard`: what kube-proxy still
    believed. `fits`: what a Service must have. `wide`: it touches the masquerading of every Service.
    """

    name: str
    at: str
    shows: tuple[str, ...]
    chain: str
    report: str
    symptom: str
    found: str
    remedy: str
    also: tuple[str, ...] = ()
    did: tuple[str, ...] = ()
    heard: Callable[[Sequence[dict], Place], tuple[dict, ...]] | None = None
    fits: Callable[[Place], object] = lambda place: True
    wide: bool = False

    def commands(self, place: Place) -> list[str]:
        """The commands that were run on the node."""
        return [f"iptables {line.format_map(place.words())}" for line in self.did]

    def report_of(self, place: Place) -> str:
        """What people say."""
        return self.report.format_map(place.words())


def several(place: Place) -> bool:
    """Whether there is more than one endpoint."""
    return len(place.ends) > 1


def leaves(place: Place) -> bool:
    """Whether a packet that is not marked leaves the node: one to no Pod meets the policy of FORWARD."""
    return bool(place.ends) and (place.policy == "ACCEPT" or place.service != "default/kubernetes")


MAP = (
    Incident(
        "earlier-rule", "either", ("pod", "far", "outside", "itself"), "PREROUTING",
        "Pods on this node get no answer from {name}. A program on the node itself does.",
        "A packet that comes in by a wire keeps the ClusterIP as its destination; one that a program on the node sends "
        "is translated.",
        "trace from a Pod: PREROUTING of nat ends at a rule before the jump to KUBE-SERVICES, by ACCEPT.",
        "Delete the rule that stands before kube-proxy's jump.",
        did=("-t nat -I PREROUTING 1 -d {ip}/32 -j ACCEPT",),
    ),
    Incident(
        "return", "either", ("pod", "itself", "pod-nodeport"), "{svc}",
        "Pods on this node get no answer from {name}; Pods on other nodes and programs on this node do.",
        "A packet from a Pod of the node comes to the Service's chain, turns back, and is not translated.",
        "trace from a Pod: a step RETURN in the Service's KUBE-SVC chain, before the rules that share out.",
        "Delete the RETURN.",
        did=("-t nat -I {svc} 2 -s {subnet} -j RETURN",),
    ),
    Incident(
        "foreign-dnat", "either", ("pod", "far", "outside", "itself"), "{foreign}",
        "Who asks {name} from a Pod of this node is answered by some other program, or by nobody.",
        "The destination becomes an address that no EndpointSlice names, by a rule that is not kube-proxy's.",
        "trace from a Pod: the step with DNAT is in a chain without the prefix KUBE-.",
        "Delete the foreign tool's DNAT, or its jump.",
        did=("-t nat -N {foreign}",
             "-t nat -A {foreign} -d {ip}/32 -p {proto} -m {proto} --dport {port} -j DNAT --to-destination "
             "{stranger}:{target}",
             "-t nat -I PREROUTING 1 -j {foreign}"),
    ),
    Incident(
        "entrance-gone", "either", ("pod", "far", "node", "outside", "itself"), "KUBE-SERVICES",
        "Nobody who asks through this node gets an answer from {name}.",
        "The packet goes through KUBE-SERVICES, no rule takes it, and its destination stays the ClusterIP.",
        "trace: no jump to the Service's chain; iptables -t nat -S KUBE-SERVICES has no rule for its address.",
        "Write the Service's rule in KUBE-SERVICES again.",
        did=('-t nat -D KUBE-SERVICES -d {ip}/32 -p {proto} -m comment --comment "{name} cluster IP" -m {proto} '
             "--dport {port} -j {svc}",),
    ),
    Incident(
        "old-address", "ordinary", ("pod", "far", "node", "outside", "itself"), "KUBE-SERVICES",
        "Since {name} was deleted and made again, nobody gets an answer from it through this node.",
        "The packet to the Service's address is not translated. Another address, which no Service has, leads to its "
        "endpoints.",
        "chain map of the Service by its name: its rule in KUBE-SERVICES asks for another address than the object has.",
        "Write the rules with the Service's present address.",
        heard=another_address,
    ),
    Incident(
        "reject-left", "either", EVERYBODY, "KUBE-SERVICES",
        "Connections to {name} through this node are refused at once; its endpoints are up.",
        "The packet is not translated, and a rule of the table filter refuses it: it says that there are no endpoints.",
        "trace: a step REJECT in KUBE-SERVICES of filter, while the EndpointSlice names endpoints that are ready.",
        "Delete the REJECT, and write the Service's rules in nat.",
        heard=nobody, fits=lambda place: place.ends,
    ),
    Incident(
        "stale-endpoint", "either", EVERYBODY, "{svc}",
        "Since an endpoint of {name} was replaced, connections through this node hang, some of them or all.",
        "Some packets, by chance or all, get a destination that no EndpointSlice names; and one that is named gets "
        "none.",
        "trace --all beside the EndpointSlice; the comment in KUBE-SVC still names the address of old.",
        "Lead the rule to the new endpoint: a chain for it, and a jump there in place of the old one.",
        heard=old_endpoint, fits=lambda place: place.ends,
    ),
    Incident(
        "missing-endpoint", "either", EVERYBODY, "{svc}",
        "One endpoint of {name} gets no connections from this node; the others have too many.",
        "No way in which chance can fall leads to one of the endpoints that the slice names as ready.",
        "trace --all: fewer ways than the EndpointSlice has endpoints.",
        "Give the endpoint a chain and a rule, and all rules the probabilities of one endpoint more.",
        heard=lost_endpoint, fits=several,
    ),
    Incident(
        "wrong-port", "either", EVERYBODY, "{sep}",
        "Connections to {name} through this node are refused now and then, or always.",
        "The destination gets the address of an endpoint, and a port that is not the slice's.",
        "trace --all: the port after DNAT beside the port in the EndpointSlice.",
        "Replace the DNAT rule in the endpoint's chain.",
        did=('-t nat -R {sep} 2 -p {proto} -m comment --comment "{name}" -m {proto} -j DNAT --to-destination '
             "{address}:{other}",),
        fits=lambda place: place.ends,
    ),
    Incident(
        "last-by-chance", "either", EVERYBODY, "{svc}",
        "Connections to {name} through this node hang now and then; the next try may do.",
        "Some packets find no rule in the Service's chain and keep the ClusterIP as their destination.",
        "trace --all: a way without KUBE-SEP; the last rule of the KUBE-SVC chain has a probability.",
        "Take the probability from the last rule: it must take all that is left.",
        did=('-t nat -R {svc} {last} -m comment --comment "{name} -> {last_end}" -m statistic --mode random '
             "--probability 0.5 -j {last_sep}",),
        fits=several,
    ),
    Incident(
        "first-always", "either", EVERYBODY, "{svc}",
        "All connections to {name} through this node go to one endpoint, and it is overloaded.",
        "Every packet gets the same destination, though there are several endpoints.",
        "trace --all: one way; the first balancing rule of the KUBE-SVC chain has no probability.",
        "Give the first balancing rule its probability again: 1/n of n endpoints.",
        did=('-t nat -R {svc} 2 -m comment --comment "{name} -> {first_end}" -j {first_sep}',),
        fits=several,
    ),
    Incident(
        "no-mark", "either", ("outside",), "{svc}",
        "A machine outside that reaches the Service range by this node gets no answer from {name}. Pods do.",
        "The packet goes to an endpoint with its source as it was, so that the answer does not come by this node.",
        "trace from outside: no jump to KUBE-MARK-MASQ in the Service's KUBE-SVC chain.",
        "Put the jump to KUBE-MARK-MASQ back, as the chain's first rule.",
        did=("-t nat -D {svc} 1",), fits=leaves,
    ),
    Incident(
        "no-hairpin", "ordinary", ("itself",), "{own_sep}",
        "A Pod on this node that belongs to {name} gets no answer when it asks its own Service.",
        "The packet that chance leads back to its sender has the same source and destination address.",
        "trace from the endpoint itself: no jump to KUBE-MARK-MASQ in its KUBE-SEP chain.",
        "Put the jump to KUBE-MARK-MASQ back, as the first rule of the endpoint's chain.",
        did=("-t nat -D {own_sep} 1",), fits=lambda place: place.own,
    ),
    Incident(
        "no-nodeport-mark", "ordinary", ("nodeport", "pod-nodeport"), "{ext}",
        "Clients outside get no answer from {name} at this node's port {node_port}; at its ClusterIP all is well.",
        "The packet to the NodePort goes to an endpoint with the client's address as its source.",
        "trace from outside to the node's address: no jump to KUBE-MARK-MASQ in KUBE-EXT.",
        "Put the jump to KUBE-MARK-MASQ back, as the first rule of the KUBE-EXT chain.",
        did=("-t nat -D {ext} 1",), fits=lambda place: place.node_port and place.ends,
    ),
    Incident(
        "no-masquerade", "kubernetes", ("outside", "itself", "nodeport", "pod-nodeport"), "KUBE-POSTROUTING",
        "A machine outside that reaches the Service range by this node gets no answer from {name}, nor from others.",
        "The packet is marked for masquerading, and leaves with its source as it was.",
        "trace from outside: the mark is set, and KUBE-POSTROUTING has no MASQUERADE that reads it.",
        "Append MASQUERADE to KUBE-POSTROUTING again.",
        did=(f"-t nat -D KUBE-POSTROUTING {POSTROUTING}",), wide=True,
    ),
    Incident(
        "from-pods-dropped", "kubernetes", ("pod", "far"), "POD-NETWORK",
        "Pods on this node get no answer from {name}; from Services whose endpoints are Pods they do.",
        "The packet is translated as it should be, and then dropped: by the policy of FORWARD.",
        "trace from a Pod: the last step is the policy DROP of filter FORWARD, after the right DNAT.",
        "Accept what comes from Pods in the Pod network's chain again, or what goes to the API servers.",
        also=("filter FORWARD",),
        did=("-P FORWARD DROP", '-D POD-NETWORK -s {pods} -m comment --comment "from Pods" -j ACCEPT'),
    ),
    Incident(
        "marked-dropped", "kubernetes", ("outside",), "KUBE-FORWARD",
        "A machine outside that reaches the Service range by this node gets no answer from {name}; from others it "
        "does.",
        "The packet is translated and marked as it should be, and then dropped: by the policy of FORWARD.",
        "trace from outside: the last step is the policy DROP of filter FORWARD; KUBE-FORWARD took no mark.",
        "Put the rule that accepts what is marked back into KUBE-FORWARD.",
        also=("filter FORWARD",),
        did=("-P FORWARD DROP", f"-D KUBE-FORWARD {MARKED}"),
    ),
    Incident(
        "firewall", "either", BY_WIRE, "FORWARD",
        "Connections to {name} from Pods of this node hang now and then, or always; the endpoints are up.",
        "The packet is translated as it should be, and a rule of the table filter drops it on its way to an endpoint.",
        "trace --all: a step DROP in filter FORWARD, at a rule that names an endpoint's address.",
        "Delete the rule that drops.",
        did=("-I FORWARD 1 -d {address}/32 -p {proto} -m {proto} --dport {target} -j DROP",),
        fits=lambda place: place.ends,
    ),
)


def called(name: str) -> Incident:
    """The kind of that name.

    >>> called("wrong-port").at
    'either'
    """
    return next(one for one in MAP if one.name == name)

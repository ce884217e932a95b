"""The glossary: the field's terms as this course uses them, and the unit in which each is met."""

from __future__ import annotations

from k8slab.show.grid import Column, Table

# Term → (unit, what it means).
TERMS: dict[str, tuple[str, str]] = {
    "API server": ("02", "kube-apiserver, the only program that talks to etcd; everybody else asks it."),
    "chain": ("01", "A list of rules with a name. Built-in ones hang on a hook; the others are reached by a jump."),
    "ClusterIP": ("02", "A Service's own address. No interface has it: rules translate it."),
    "CNI": ("03", "Container Network Interface: how a network plugin is asked to wire a Pod."),
    "conntrack entry": ("05", "What the kernel remembers of a connection: how its packets look in both directions."),
    "DNAT": ("01", "Destination NAT: the packet's destination is rewritten, and the reply's source back."),
    "endpoint": ("02", "An address and a port where a Service's server really listens."),
    "EndpointSlice": ("02", "The object that lists a Service's endpoints; kube-proxy reads it, not Endpoints."),
    "etcd": ("02", "The database behind the API server."),
    "FORWARD": ("04", "The hook for packets that are neither from nor for the node itself."),
    "hook": ("04", "One of the five places in the kernel's network stack where netfilter asks its tables."),
    "INPUT": ("04", "The hook for packets that are delivered to the node's own programs."),
    "jump": ("04", "A rule's target that leads to another chain; what comes out of it goes on behind the rule."),
    "KUBE-MARK-MASQ": ("07", "The chain that sets the mark 0x4000: to be masqueraded at POSTROUTING."),
    "kube-proxy": ("01", "The program that runs on each node and writes the rules for Services."),
    "KUBE-SEP": ("01", "Service endpoint: the chain of one endpoint, with the DNAT rule."),
    "KUBE-SERVICES": ("01", "The chain with a rule for each Service's address."),
    "KUBE-SVC": ("01", "The chain of one port of a Service, which chooses an endpoint."),
    "kubelet": ("02", "The program on each node that runs Pods, and gives them their environment."),
    "lease": ("09", "A record that runs out when it is not renewed; the course tells two kinds apart."),
    "map": ("12", "In nftables, what leads from keys to values, looked up at once; a set has keys alone."),
    "mark": ("07", "A number that the kernel keeps beside a packet on one node; it is in no header."),
    "MASQUERADE": ("07", "Source NAT to the address of the interface by which the packet leaves."),
    "NAT": ("01", "Network address translation: addresses or ports in a packet's header are rewritten."),
    "namespace": ("03", "Here, a network namespace: interfaces, routes, rules and entries of their own. "
                        "Kubernetes' namespaces, which sort objects, are another thing."),
    "netfilter": ("03", "The part of Linux that asks rules about packets; iptables and nftables write its rules."),
    "NodePort": ("07", "A port at which each node takes connections for a Service."),
    "OUTPUT": ("04", "The hook for packets that the node's own programs send."),
    "policy": ("04", "What becomes of a packet that no rule of a built-in chain has decided."),
    "POSTROUTING": ("04", "The last hook before a packet leaves."),
    "PREROUTING": ("04", "The first hook of a packet that comes in, before its route is chosen."),
    "reply direction": ("05", "The packets of a connection that answer its first one."),
    "selector": ("02", "Labels by which a Service finds its Pods; the Service kubernetes has none."),
    "session affinity": ("08", "One client's connections all go to the endpoint of its first."),
    "table": ("04", "Chains of one purpose: nat rewrites, filter drops, mangle and raw do what is rarer."),
    "target": ("01", "What a rule does to a packet that it matches: DNAT, DROP, a jump."),
    "verdict": ("12", "What a rule decides on a packet: accept, drop, a jump; in iptables, what stands after -j."),
    "veth": ("03", "A pair of interfaces: what goes into one comes out of the other, as through a cable."),
    "watch": ("02", "A request that stays open, and brings each change of some objects."),
}


def glossary() -> Table:
    """All terms, to be read or printed."""
    rows = tuple((term, *TERMS[term]) for term in sorted(TERMS, key=str.lower))
    return Table("Glossary", (Column("Term"), Column("Unit"), Column("What it means here")), rows)

"""The labs of the exercises: the cluster's network with other rules, or with something broken."""

from __future__ import annotations

from k8slab.kubeproxy import Config, Node, Proxier, pod_cidr, read_objects, saved
from k8slab.kubeproxy.objects import SERVICE_LABEL
from k8slab.lab import Lab, kube_proxy_rules
from k8slab.network import NODES, POD_RANGE, PODS, cluster_network
from k8slab.packet import Packet

API = "10.106.175.128:6443"
TRANSLATE = "-d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.106.175.128:6443"
# Tables without a rule, so that a learner's own is the only one.
NO_RULES = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
COMMIT
"""
DNS_QUESTION = Packet("udp", "10.244.1.5", "10.96.0.10", 50053, 53)


def no_rules() -> Lab:
    """Nodes on which nobody has written a rule.

    >>> no_rules().connect("client", "10.96.0.1", 443).verdict
    'DROPPED'
    """
    return Lab(rules=NO_RULES)


def other_range(address: str) -> Lab:
    """The cluster as it would be if the Service `kubernetes` had this address."""
    return Lab(rules=kube_proxy_rules().replace("10.96.0.1/32", f"{address}/32"))


def earlier_rule() -> Lab:
    """The right rule on worker1, and one before it that nobody remembers."""
    lab = no_rules()
    lab.run("worker1", "iptables -t nat -A PREROUTING -d 10.96.0.0/16 -j ACCEPT")
    lab.run("worker1", f"iptables -t nat -A PREROUTING {TRANSLATE}")
    return lab


def silent_server() -> Lab:
    """A SYN of the Pod client's has reached an API server that says nothing."""
    lab = Lab()
    lab.run("k8smaster", "iptables -I INPUT -p tcp -m tcp --dport 6443 -j DROP")
    lab.send(Packet("tcp", "10.244.1.5", "10.96.0.1", 50000, 443), "client")
    return lab


def stale_entry() -> Lab:
    """kube-dns has moved from 10.244.0.2 to 10.244.0.3, and worker1 remembers a conversation with the first.

    A kube-proxy that runs deletes such UDP entries itself (pkg/proxy/conntrack/cleanup.go); here it was not
    running when the endpoint went.
    """
    # Of the two endpoints the first is given to half of the packets, the second to the rest: leave it the rest alone.
    rules = kube_proxy_rules("02-dns.iptables-save").splitlines(keepends=True)
    only = "".join(line for line in rules if "--probability" not in line)
    gone = only.replace("10.244.0.3", "10.244.0.2")
    pods = {name: address for name, address in PODS.items() if name != "coredns-1"}
    lab = Lab(rules=gone, network=cluster_network(pods=pods))
    lab.send(DNS_QUESTION, "client")
    for node in ("k8smaster", "worker1"):
        lab.restore(node, only)
    return lab


def with_dns() -> Lab:
    """The cluster with kube-dns beside the API server's Service.

    >>> with_dns().connect("client", "10.96.0.10", 53, proto="udp").verdict
    'DELIVERED'
    """
    return Lab(rules=kube_proxy_rules("02-dns.iptables-save"))


def rules_of_objects(*items: dict) -> str:
    """What kube-proxy writes for these Services and EndpointSlices, on a node where nothing else is known."""
    config = Config(Node("worker1", ("10.106.175.131",)), pod_cidr(POD_RANGE))
    return saved(config, Proxier(config).sync(read_objects(items)).text)


def service(namespace: str, name: str, address: str, port: int, to: int, *endpoints: str, **spec: object) -> list[dict]:
    """A Service with one TCP port, and its EndpointSlice, as the API has them; `spec`: further fields of its spec."""
    port_name = "https" if port == 443 else "http"
    numbers = {"nodePort": spec.pop("nodePort")} if "nodePort" in spec else {}
    made = {
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"clusterIP": address, "ports": [{"name": port_name, "port": port, **numbers}], **spec},
    }
    ends = {
        "kind": "EndpointSlice",
        "metadata": {"namespace": namespace, "name": name, "labels": {SERVICE_LABEL: name}},
        "addressType": "IPv4",
        "ports": [{"name": port_name, "port": to}],
        "endpoints": [{"addresses": [one]} for one in endpoints],
    }
    return [made, ends]


KUBERNETES = ("default", "kubernetes", "10.96.0.1", 443, 6443)


def shop(**options: object) -> Lab:
    """The cluster with a Service shop/web at 10.96.12.34:80 and at NodePort 30080, whose one endpoint is the Pod web.

    >>> shop().connect("client", "10.96.12.34", 80).received.destination
    '10.244.1.7:8080'
    """
    web = service("shop", "web", "10.96.12.34", 80, 8080, "10.244.1.7", type="NodePort", nodePort=30080)
    return Lab(rules=rules_of_objects(*service(*KUBERNETES, "10.106.175.128"), *web), **options)


def no_hairpin() -> Lab:
    """The shop, where somebody has deleted the rule that marks a Pod that calls itself."""
    lab = shop()
    lab.run("worker1", "iptables -t nat -D KUBE-SEP-UGQTAJUJOQJVZIEC 1")
    return lab


MASTERS = ("10.106.175.128", "10.106.175.129", "10.106.175.130")


def three_servers(*, dead: str = "", **spec: object) -> Lab:
    """Three API servers behind one address; `dead`: one that is still listed, and has gone without a word."""
    nodes = NODES | {f"k8smaster{n}": address for n, address in zip((2, 3), MASTERS[1:]) if address != dead}
    rules = rules_of_objects(*service(*KUBERNETES, *MASTERS, **spec))
    return Lab(rules=rules, network=cluster_network(nodes), seed=8)


def with_cluster() -> Lab:
    """The cluster's control plane and its network, as kubeadm leaves them.

    >>> with_cluster().dial("client", "10.96.0.1", 443)
    'answered by 10.106.175.128:6443'
    """
    return Lab(cluster=True)


def local_only() -> Lab:
    """The same, after somebody has told the Service `kubernetes` to use endpoints of the caller's own node alone."""
    lab = with_cluster()
    lab.kubectl("""patch svc kubernetes -p '{"spec": {"internalTrafficPolicy": "Local"}}'""")
    lab.advance(2)
    return lab

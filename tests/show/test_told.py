"""The journeys that people ask about, each told right in one sentence."""

from __future__ import annotations

import pytest

from k8slab.lab import Lab, kube_proxy_rules
from k8slab.network import PODS, cluster_network
from k8slab.trace import Trace

# An endpoint of 06-nodeport.
NP = {"web-np": "10.244.0.9"}


def lab(rules: str = "01-kubernetes", **pods: str) -> Lab:
    """The lab with what kube-proxy wrote for other objects, and Pods for them, which listen where the lab's do."""
    network = cluster_network(pods=PODS | pods) if pods else None
    return Lab("model", seed=3, rules=kube_proxy_rules(f"{rules}.iptables-save"), network=network)


def hairpin() -> Trace:
    """A Pod that reaches itself by its Service: the endpoint that chance gives it is its own."""
    text = kube_proxy_rules("03-many-endpoints.iptables-save")
    for seed in range(50):
        shop = Lab("model", seed=seed, rules=text, network=cluster_network(pods={"web": "10.244.1.5"}))
        trace = shop.connect("web", "10.96.12.34", 80)
        if trace.received and trace.received.destination == "10.244.1.5:8080":
            return trace
    raise AssertionError("chance never gave the Pod itself")


def dropped() -> Trace:
    firewall = lab()
    firewall.run("worker1", "iptables -I FORWARD -s 10.244.1.5 -p tcp --dport 6443 -j DROP")
    return firewall.connect("client", "10.96.0.1", 443)


TOLD = {
    "the article's": (lambda: lab().connect("client", "10.96.0.1", 443),
                      "10.244.1.5:40000 asked 10.96.0.1:443; 10.106.175.128:6443 answered, "
                      "and the answer came back as 10.96.0.1:443."),
    "a node that calls": (lambda: lab().connect("worker1", "10.96.0.1", 443),
                          "10.106.175.131:40000 asked 10.96.0.1:443; 10.106.175.128:6443, which saw "
                          "10.106.175.131:*, answered, "
                          "and the answer came back as 10.96.0.1:443."),
    "a hairpin": (hairpin, "10.244.1.5:40000 asked 10.96.12.34:80; 10.244.1.5:8080, which saw 10.244.1.1:*, answered, "
                           "and the answer came back as 10.96.12.34:80."),
    "rejected": (lambda: lab("04-no-endpoints").connect("client", "10.96.12.40", 80),
                 "10.244.1.5:40000 asked 10.96.12.40:80; the packet was refused, and an ICMP error came back as "
                 "10.244.1.1: "
                 "worker1: rule 2 of filter KUBE-SERVICES says REJECT: “shop/empty:http has no endpoints”."),
    "dropped by a firewall": (dropped, "10.244.1.5:40000 asked 10.96.0.1:443; the packet was dropped: "
                                       "worker1: rule 1 of filter FORWARD says DROP."),
    "UDP to kube-dns": (lambda: lab("02-dns").connect("client", "10.96.0.10", 53, proto="udp"),
                        "10.244.1.5:40000 asked 10.96.0.10:53; 10.244.0.2:53 answered, and the answer came back as "
                        "10.96.0.10:53."),
    "a NodePort from outside": (lambda: lab("06-nodeport", **NP).connect("outside", "10.106.175.131", 30080),
                                "203.0.113.10:40000 asked 10.106.175.131:30080; 10.244.0.9:8080, which saw "
                                "10.106.175.131:*, answered, "
                                "and the answer came back as 10.106.175.131:30080."),
}


@pytest.mark.parametrize("name", TOLD)
def test_in_one_sentence(name: str) -> None:
    make, sentence = TOLD[name]
    before, star, after = sentence.partition("*")
    told = make().summary()
    assert told.startswith(before) and told.endswith(after), told
    assert not star or told[len(before):len(told) - len(after)].isdigit()       # the port that MASQUERADE chose

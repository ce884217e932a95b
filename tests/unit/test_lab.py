"""The lab's rules come from our own kube-proxy, and are what the real one wrote."""

from __future__ import annotations

import pytest

from k8slab.lab import Lab, kube_proxy_rules


@pytest.mark.parametrize("node", ["k8smaster", "worker1"])
def test_each_node_has_what_a_real_kube_proxy_wrote(node: str) -> None:
    assert Lab("model").run(node, "iptables-save") == kube_proxy_rules()


@pytest.mark.parametrize(("cni", "seen"), [(False, "10.244.1.5"), (True, "10.106.175.131")])
def test_who_sees_which_source_with_and_without_a_network_plugins_masquerade(cni: bool, seen: str) -> None:
    lab = Lab("model", cni_masquerade=cni)
    trace = lab.connect("client", "10.96.0.1", 443)
    assert trace.received.src == seen and trace.reply.source == "10.96.0.1:443"
    assert lab.connect("client", "10.244.1.7", 8080).received.src == "10.244.1.5"        # inside the Pod range: never
    assert lab.connect("client", "10.244.0.2", 53).received.src == "10.244.1.5"

"""Ours equals a real kube-proxy's: the recorded clusters, older listings, and the texts that no recording holds."""

from __future__ import annotations

import pytest

from k8slab.kubeproxy import Config, Node, Proxier, TooOld, pod_cidr, read_objects, saved
from k8slab.kubeproxy.names import PREFIXES
from tests.kubeproxy.clusters import covered
from tests.kubeproxy.golden import CONFIG, NAMES, in_order, objects, ours, recorded

LABEL = "kubernetes.io/service-name"
ARTICLE = (
    '-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp '
    "--dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y",
    '-A KUBE-SVC-NPX46M4PTMTKRN6Y -m comment --comment "default/kubernetes:https" -j KUBE-SEP-VDNPK4CXOQDGPWFC',
    '-A KUBE-SEP-VDNPK4CXOQDGPWFC -p tcp -m comment --comment "default/kubernetes:https" -m tcp -j DNAT '
    "--to-destination 10.106.175.128:6443",
)


def test_there_are_fifteen_recorded_clusters() -> None:
    assert len(NAMES) == 15


@pytest.mark.parametrize("name", NAMES)
def test_equals_what_a_real_kube_proxy_wrote(name: str) -> None:
    assert in_order(ours(name)) == in_order(recorded(name))


def test_sorting_moves_nothing_but_the_rules_that_a_go_map_leaves_unordered() -> None:
    dump = recorded("09-loadbalancer")
    moved = [(a, b) for a, b in zip(dump.splitlines(), in_order(dump).splitlines()) if a != b]
    assert all(a.startswith(("-A KUBE-SERVICES", "-A KUBE-NODEPORTS")) for a, _ in moved)
    assert sorted(dump.splitlines()) == sorted(in_order(dump).splitlines())


@pytest.mark.parametrize("version", ["1.21", "1.23"])
def test_older_layouts(version: str) -> None:
    config = Config(Node("k8smaster", ("10.106.175.128",)), pod_cidr("10.244.0.0/16"), as_of=version)
    lines = saved(config, Proxier(config).sync(read_objects(objects("01-kubernetes"))).text).splitlines()
    assert [line for line in ARTICLE if line not in lines] == []
    masquerade = [
        line.split()[1] for line in lines if line.startswith("-A") and "--dport 443" in line and "MASQ" in line
    ]
    assert masquerade == [{"1.21": "KUBE-SERVICES", "1.23": "KUBE-SVC-NPX46M4PTMTKRN6Y"}[version]]
    assert sum("conntrack pod" in line for line in lines) == {"1.21": 2, "1.23": 0}[version]
    assert not any("KUBE-PROXY-FIREWALL" in line or "KUBE-FIREWALL" in line for line in lines)


@pytest.mark.parametrize("name", ["06-nodeport", "08-externalip", "09-loadbalancer", "10-internal-local"])
def test_older_layouts_of_other_services_are_refused_by_name(name: str) -> None:
    with pytest.raises(TooOld, match=r"Service shop/\w+: only ClusterIP Services"):
        Proxier(Config(Node("k8smaster"), as_of="1.21")).sync(read_objects(objects(name)))


def test_a_release_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(TooOld, match="1.30 is not known; there are 1.21, 1.23, 1.36"):
        Proxier(Config(Node("k8smaster"), as_of="1.30"))


def test_random_clusters_cover_every_kind_of_object_and_rule() -> None:
    for found in covered(150):
        assert min(found.values()) >= 10, found


# What no recorded cluster holds, worked out by hand from the table of the steps (kubernetes-facts 2.4).


def wrote(
    spec: dict, *endpoints: tuple, status: dict | None = None, config: Config = CONFIG, protocol: str = "TCP"
) -> list[str]:
    """The lines that a Service shop/x with one port named p, 80 to 8080, has in the restore text."""
    spec = {
        "clusterIP": "10.96.7.7",
        "ports": [{"name": "p", "port": 80, "protocol": protocol, **spec.pop("port", {})}],
        **spec,
    }
    ends = [{"addresses": [address], "nodeName": node} for address, node in endpoints]
    items = [
        {"kind": "Service", "metadata": {"namespace": "shop", "name": "x"}, "spec": spec, "status": status or {}},
        {
            "kind": "EndpointSlice",
            "metadata": {"namespace": "shop", "name": "x-1", "labels": {LABEL: "x"}},
            "addressType": "IPv4",
            "ports": [{"name": "p", "port": 8080, "protocol": protocol}],
            "endpoints": ends,
        },
    ]
    return [
        line
        for line in Proxier(config).sync(read_objects(items)).text.splitlines()
        if "shop/x" in line or line.startswith(OWN)
    ]


HERE, THERE = ("10.244.0.9", "k8smaster"), ("10.244.1.7", "worker1")
LOAD_BALANCER = {"type": "LoadBalancer", "port": {"nodePort": 30099}}
OWN = tuple(f"-A {prefix}" for prefix in PREFIXES)


def vip(mode: str = "VIP") -> dict:
    return {"loadBalancer": {"ingress": [{"ip": "5.6.7.8", "ipMode": mode}]}}


def test_a_load_balancer_that_is_a_proxy_has_no_rule_for_its_address() -> None:
    lines = wrote(LOAD_BALANCER.copy(), THERE, status=vip("Proxy"))
    assert not any("5.6.7.8" in line for line in lines) and any("--dport 30099" in line for line in lines)
    assert any("5.6.7.8" in line for line in wrote(LOAD_BALANCER.copy(), THERE, status=vip()))


def test_a_source_range_of_everybody_is_no_firewall() -> None:
    lines = wrote({**LOAD_BALANCER, "loadBalancerSourceRanges": ["203.0.113.0/25", "0.0.0.0/0"]}, THERE, status=vip())
    assert not any("KUBE-FW" in line for line in lines)
    assert any("loadbalancer IP" in line and "-j KUBE-EXT-" in line for line in lines)


def test_a_node_inside_its_own_source_range_may_use_the_address_itself() -> None:
    lines = wrote({**LOAD_BALANCER, "loadBalancerSourceRanges": ["10.106.0.0/16"]}, THERE, status=vip())
    fw = [line for line in lines if line.startswith("-A KUBE-FW-")]
    name = fw[0].split()[1].removeprefix("KUBE-FW-")
    assert fw == [
        f'-A KUBE-FW-{name} -m comment --comment "shop/x:p loadbalancer IP" -s 10.106.0.0/16 -j KUBE-EXT-{name}',
        f'-A KUBE-FW-{name} -m comment --comment "shop/x:p loadbalancer IP" -s 5.6.7.8 -j KUBE-EXT-{name}',
        f'-A KUBE-FW-{name} -m comment --comment "other traffic to shop/x:p will be dropped by KUBE-PROXY-FIREWALL"',
    ]


def test_both_policies_local_at_once() -> None:
    both = {
        "type": "NodePort",
        "port": {"nodePort": 30099},
        "internalTrafficPolicy": "Local",
        "externalTrafficPolicy": "Local",
    }
    lines = wrote(both, HERE, THERE)
    name = next(line for line in lines if "cluster IP" in line).split("KUBE-SVL-")[1]
    assert [line.split(" -j ")[1] for line in lines if line.startswith("-A KUBE-SERVICES")] == [f"KUBE-SVL-{name}"]
    assert [line for line in lines if line.startswith((f"-A KUBE-SVL-{name}", f"-A KUBE-SVC-{name}"))] == [
        f'-A KUBE-SVL-{name} -m comment --comment "shop/x:p cluster IP" -m tcp -p tcp -d 10.96.7.7 --dport 80 ! -s '
        f"10.244.0.0/16 -j KUBE-MARK-MASQ",
        *[line for line in lines if line.startswith(f"-A KUBE-SVC-{name}")],
        *[line for line in lines if line.startswith(f"-A KUBE-SVL-{name}") and "->" in line],
    ]
    assert sum(line.startswith(f"-A KUBE-SVC-{name}") for line in lines) == 2  # both endpoints: for the short way
    assert sum("10.244.0.9:8080" in line and line.startswith(f"-A KUBE-SVL-{name}") for line in lines) == 1
    assert lines[-1].endswith("--to-destination 10.244.1.7:8080")
    nowhere = wrote(both.copy() | {"port": {"nodePort": 30099}}, THERE)
    assert [line for line in nowhere if "no local endpoints" in line] == [
        '-A KUBE-SERVICES -m comment --comment "shop/x:p has no local endpoints" -m tcp -p tcp -d 10.96.7.7 --dport '
        "80 -j DROP",
        '-A KUBE-EXTERNAL-SERVICES -m comment --comment "shop/x:p has no local endpoints" -m addrtype --dst-type LOCAL '
        "-m tcp -p tcp --dport 30099 -j DROP",
    ]


def test_sctp() -> None:
    lines = wrote({}, THERE, protocol="SCTP")
    assert any("-m sctp -p sctp -d 10.96.7.7 --dport 80 -j KUBE-SVC-" in line for line in lines)
    assert lines[-1].endswith("-m sctp -p sctp -j DNAT --to-destination 10.244.1.7:8080")


def test_duplicates_over_slices_are_one_endpoint_and_a_later_one_counts_unless_it_terminates() -> None:
    def items(*conditions: dict) -> list[dict]:
        return [
            {"kind": "Service", "metadata": {"name": "x"}, "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 80}]}},
            *(
                {
                    "kind": "EndpointSlice",
                    "metadata": {"name": f"x-{at}", "labels": {LABEL: "x"}},
                    "addressType": "IPv4",
                    "ports": [{"port": 8080}],
                    "endpoints": [{"addresses": ["10.244.1.7"], "conditions": one}],
                }
                for at, one in enumerate(conditions)
            ),
        ]

    ready, gone, leaving = (
        {"ready": True},
        {"ready": False, "serving": False},
        {"ready": False, "serving": True, "terminating": True},
    )
    for conditions, there in (
        ((ready, ready), True),
        ((ready, gone), False),
        ((gone, ready), True),
        ((ready, leaving), True),
    ):
        text = Proxier(CONFIG).sync(read_objects(items(*conditions))).text
        assert text.count("--to-destination") == there and ("has no endpoints" in text) != there


@pytest.mark.parametrize(("count", "comments"), [(1000, True), (1001, False)])
def test_a_large_cluster_leaves_comments_out(count: int, comments: bool) -> None:
    ends = [(f"10.244.{n // 250}.{n % 250 + 1}", None) for n in range(count)]
    lines = wrote({"type": "NodePort", "port": {"nodePort": 30099}}, *ends)
    assert any("-> 10.244." in line for line in lines) == comments
    assert any("cluster IP" in line for line in lines) and any(
        "--comment shop/x:p -m tcp -p tcp --dport 30099" in line for line in lines
    )
    assert any("masquerade traffic for shop/x:p" in line for line in lines)
    text_lines = [line for line in lines if "--probability" in line]
    assert len(text_lines) == count - 1 and f"--probability {1 / count:.10f}" in text_lines[0]


def test_endpoints_are_sorted_as_texts() -> None:
    lines = wrote({}, ("10.244.1.2", None), ("10.244.1.10", None))
    assert [line.split("-> ")[1].split(":")[0] for line in lines if "->" in line] == ["10.244.1.10", "10.244.1.2"]


@pytest.mark.parametrize(
    ("config", "wanted", "localhost"),
    [
        (Config(CONFIG.node, localhost_node_ports=False), ["-m addrtype --dst-type LOCAL ! -d 127.0.0.0/8"], False),
        (
            Config(Node("n", ("10.106.175.128", "192.168.1.5")), node_port_addresses=("192.168.0.0/16",)),
            ["-d 192.168.1.5"],
            False,
        ),
        (
            Config(Node("n", ("10.106.175.128", "127.0.0.1")), node_port_addresses=("10.0.0.0/8", "127.0.0.0/8")),
            ["-d 10.106.175.128", "-d 127.0.0.1"],
            True,
        ),
        (Config(CONFIG.node, node_port_addresses=("10.0.0.0/8", "0.0.0.0/0")), ["-m addrtype --dst-type LOCAL"], True),
        (Config(CONFIG.node, node_port_addresses=("172.16.0.0/12",)), [], False),
    ],
)
def test_where_node_ports_are_served(config: Config, wanted: list[str], localhost: bool) -> None:
    text = Proxier(config).sync(read_objects([])).text
    lines = text.splitlines()
    assert [
        line.split('chain" ')[1].removesuffix(" -j KUBE-NODEPORTS") for line in lines if "last rule" in line
    ] == wanted
    assert any("KUBE-FIREWALL" in line for line in lines) == localhost
    # kubelet's chain is jumped to all the same: empty where it has no rule.
    assert "-A INPUT -j KUBE-FIREWALL" in saved(config, text).splitlines()


@pytest.mark.parametrize("label", ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"])
def test_a_service_of_another_proxy_has_no_rules(label: str) -> None:
    items = objects("03-many-endpoints")
    for item in items:
        if item["metadata"]["name"] == "web":
            item["metadata"]["labels"] = {label: ""}
    assert "shop/web" not in Proxier(CONFIG).sync(read_objects(items)).text

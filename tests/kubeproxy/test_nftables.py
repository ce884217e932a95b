"""nftables mode: ours equals a real kube-proxy's, and the real nft takes it and lists it as we wrote it."""

from __future__ import annotations

import random
import re

import pytest

from k8slab.kubeproxy import Config, Node, NotInNftables, bridge, interface_prefix, nft_table, pod_cidr, read_objects
from k8slab.kubeproxy.nftables import hashed
from tests.iptables.real import inside
from tests.kubeproxy.golden import CONFIG, FOLDER, NAMES, objects

RANGE = ("10.96.0.0/16",)
OTHERS = ("06-nodeport", "07-nodeport-local", "08-externalip", "09-loadbalancer", "24-externalip-local",
          "27-lb-no-endpoints")
CLUSTER_IPS = [name for name in NAMES if name not in OTHERS]
RANGES = [
    (("10.96.0.0/16",), "10.96.0.0/16"),
    (("10.96.0.9/32",), "10.96.0.9"),
    (("172.30.0.0/16", "10.96.0.0/16"), "{ 10.96.0.0/16, 172.30.0.0/16 }"),
    (("10.96.0.0/16", "10.96.0.0/12"), "{ 10.96.0.0/12 }"),
    (("10.96.0.0/16", "10.97.0.0/16"), "{ 10.96.0.0/15 }"),
    (("10.97.0.0/16", "10.98.0.0/16"), "{ 10.97.0.0-10.98.255.255 }"),
    (("10.96.0.0/12", "10.96.0.0/16", "10.111.0.0/16"), "{ 10.96.0.0/12 }"),
    (("10.96.0.0/32", "10.97.0.0/16"), "{ 10.96.0.0, 10.97.0.0/16 }"),
]
LISTED_BY = "1.0.6"            # the nft whose layout and order the recordings have


def recorded(name: str) -> str:
    return (FOLDER / f"{name}.nft").read_text()


def ours(name: str) -> str:
    return nft_table(CONFIG, read_objects(objects(name)), RANGE)


def service(number: int, address: str, port: int, protocol: str, endpoints: int, **spec: object) -> list[dict]:
    """A Service s<number> with one port without a name, and its endpoints, every second one on this node."""
    name = f"s{number}"
    ends = [{"addresses": [f"10.244.{at}.{number}"], "nodeName": ("here", "there")[at % 2]} for at in range(endpoints)]
    return [
        {"kind": "Service", "metadata": {"name": name},
         "spec": {"clusterIP": address, "ports": [{"port": port, "protocol": protocol}], **spec}},
        {"kind": "EndpointSlice", "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
         "addressType": "IPv4", "ports": [{"port": 8080 + number, "protocol": protocol}], "endpoints": ends},
    ]


def test_nine_recorded_clusters_have_no_other_services_than_clusterip() -> None:
    assert len(CLUSTER_IPS) == 9


@pytest.mark.parametrize("name", CLUSTER_IPS)
def test_equals_what_a_real_kube_proxy_wrote(name: str) -> None:
    assert ours(name) == recorded(name)


@pytest.mark.parametrize("name", OTHERS)
def test_other_services_are_refused_by_name(name: str) -> None:
    with pytest.raises(NotInNftables, match=r"^Service shop/\w+: NodePorts, external IPs and load balancers"):
        ours(name)


@pytest.mark.parametrize(("readable", "hash8"), [("default/kubernetes/tcp/https__10.106.175.128/6443", "NB4Q7IG2"),
                                                 ("shop/plain/tcp/", "WQD7W5U3")])
def test_names(readable: str, hash8: str) -> None:
    assert hashed(readable) == f"{hash8}-{readable}"


def test_a_name_that_is_too_long_is_cut() -> None:
    name = hashed("n" * 300)
    assert len(name) == 240 and name.endswith("n...")


def test_where_there_is_an_endpoint_but_none_on_this_node() -> None:
    items = service(1, "10.96.1.1", 80, "TCP", 1, internalTrafficPolicy="Local")
    table = nft_table(Config(Node("there")), read_objects(items))
    assert '10.96.1.1 . tcp . 80 comment "default/s1" : drop' in table and "local-" not in table
    assert ": goto local-" in nft_table(Config(Node("here")), read_objects(items))


def test_without_a_known_service_range_nothing_is_dropped() -> None:
    table = nft_table(CONFIG, read_objects([]))
    assert "unallocated" not in table and "reject comment" in table


@pytest.mark.parametrize(("ranges", "inside"), RANGES)
def test_several_service_ranges_as_nft_lists_them(ranges: tuple[str, ...], inside: str) -> None:
    assert f"\t\tip daddr {inside} drop comment" in nft_table(CONFIG, read_objects([]), ranges)


def test_what_is_no_service_range_is_said() -> None:
    with pytest.raises(NotInNftables, match="wanted as `10.96.0.0/16`: 10.96.0.1/16 has host bits set"):
        nft_table(CONFIG, read_objects([]), ["10.96.0.1/16"])


def test_node_ports_are_served_at_the_primary_address_alone() -> None:
    table = nft_table(Config(Node("here", ("10.0.0.1", "10.0.0.2"))), read_objects([]))
    assert "elements = { 10.0.0.1 }" in table and "10.0.0.2" not in table


DETECTORS = (None, pod_cidr("10.244.0.0/16"), bridge("br0"), interface_prefix("veth"))
CONFIGS = (*(Config(Node("here", ("10.0.0.1",)), one) for one in DETECTORS),
           Config(Node("here"), masquerade_all=True, masquerade_bit=31))


def many(chance: random.Random) -> list[dict]:
    """Services of every kind that is known, at random addresses and ports."""
    items = []
    for number in range(1, 25):
        address = f"10.{chance.randrange(96, 112)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
        policy = {"internalTrafficPolicy": chance.choice(("Cluster", "Local"))}
        seconds = chance.choice((1, 59, 60, 3661, 10800, 86399, 86400))
        sticky = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}}}
        items += service(number, address, chance.choice((53, 80, 443, 8080, 65535)),
                         chance.choice(("TCP", "UDP", "SCTP")), chance.randrange(4), **policy,
                         **(sticky if chance.random() < 0.3 else {}))
    return items


def listed(text: str) -> tuple[str, str]:
    """What the real nft lists after it has loaded this text, and its version."""
    done = inside("nft -f - && nft list table ip kube-proxy && nft --version", text)
    assert done.returncode == 0, done.stderr
    table, _, version = done.stdout.rpartition("nftables v")
    return table, version.split()[0]


def in_order(table: str) -> str:
    """The table with the elements of its sets and maps sorted, each in a line of its own."""
    def ordered(match: re.Match) -> str:
        return "{\n" + "\n".join(sorted(" ".join(one.split()) for one in match[1].split(","))) + "\n}"

    return re.sub(r"(?<=elements = )\{([^}]*)\}", ordered, table)


@pytest.mark.kernel
@pytest.mark.parametrize("name", CLUSTER_IPS)
def test_the_real_nft_lists_ours_as_it_lists_the_recorded_one(name: str) -> None:
    assert listed(ours(name))[0] == listed(recorded(name))[0]


@pytest.mark.kernel
@pytest.mark.parametrize("config", CONFIGS, ids=lambda one: f"{one.detector and one.detector.option}")
def test_the_real_nft_lists_what_we_wrote(config: Config) -> None:
    for seed in range(4):
        items = many(random.Random(seed))
        written = nft_table(config, read_objects(items), ("172.30.0.0/16", "10.96.0.0/12")[: seed % 3])
        table, version = listed(written)
        assert in_order(table) == in_order(written)
        if version == LISTED_BY:
            assert table == written


@pytest.mark.kernel
@pytest.mark.parametrize(("ranges", "inside"), RANGES)
def test_the_real_nft_lists_several_service_ranges_so(ranges: tuple[str, ...], inside: str) -> None:
    written = nft_table(CONFIG, read_objects([]), ranges)
    given = written.replace(inside, "{ " + ", ".join(ranges) + " }" if len(ranges) > 1 else ranges[0])
    assert listed(given)[0] == written


def test_hairpins_are_those_of_this_nodes_endpoints() -> None:
    items = service(1, "10.96.1.1", 80, "UDP", 2)
    for node, address in (("here", "10.244.0.1"), ("there", "10.244.1.1"), ("elsewhere", None)):
        table = nft_table(Config(Node(node)), read_objects(items)).partition("set cluster-ips")[0]
        found = re.findall(r"elements = \{ (.*) \}", table)
        assert found == ([f"{address} . {address} . udp . 8081"] if address else [])

"""The reader beside a real kernel that has loaded the same text: where packets arrive, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from k8slab.course.units.labs import KUBERNETES, NO_RULES, service
from k8slab.kubeproxy import Config, Node, nft_table, pod_cidr, read_objects
from k8slab.lab import Lab
from k8slab.network import NODES, POD_RANGE
from k8slab.nft import follow
from k8slab.packet import Packet
from k8slab.trace import Trace

pytestmark = pytest.mark.kernel
API, NODE_OF = "10.106.175.128", {"client": "worker1", "web": "worker1", "coredns-1": "k8smaster"}
ITEMS = [*service(*KUBERNETES, API), *service("shop", "web", "10.96.12.34", 80, 8080, "10.244.1.7"),
         *service("shop", "empty", "10.96.12.40", 80, 8080)]
NARROW, WIDE = "10.96.0.0/16", "10.96.0.0/12"
# Who asks, whom, and what a real kernel was seen to do with either Service range.
CASES = [
    ("client", "10.96.0.1:443", API + ":6443", "nothing"),
    ("web", "10.96.0.1:443", API + ":6443", "nothing"),
    ("worker1", "10.96.0.1:443", API + ":6443", "nothing"),
    ("k8smaster", "10.96.0.1:443", API + ":6443", "nothing"),
    ("coredns-1", "10.96.0.1:443", API + ":6443", API + ":6443"),      # INPUT has no such rule
    ("client", API + ":6443", API + ":6443", "nothing"),
    ("client", "10.96.0.1:444", "refused", "refused"),
    ("coredns-1", "10.96.0.1:444", "refused", "refused"),
    ("worker1", "10.96.0.1:444", "refused", "refused"),
    ("client", "10.96.0.1", "refused", "refused"),
    ("client", "10.96.12.34:80", "10.244.1.7:8080", "10.244.1.7:8080"),
    ("web", "10.96.12.34:80", "10.244.1.7:8080", "10.244.1.7:8080"),   # to itself
    ("client", "10.96.12.40:80", "refused", "refused"),
    ("client", "10.96.7.7:443", "nothing", "nothing"),
    ("client", "10.244.1.7:8080", "10.244.1.7:8080", "10.244.1.7:8080"),
]


def tables(service_range: str) -> dict[str, str]:
    """What kube-proxy writes on each node; the Pod web is worker1's own."""
    items = [one | {"endpoints": [end | {"nodeName": "worker1"} for end in one["endpoints"]]}
             if one["kind"] == "EndpointSlice" and one["metadata"]["name"] == "web" else one for one in ITEMS]
    return {name: nft_table(Config(Node(name, (address,)), pod_cidr(POD_RANGE)), read_objects(items), [service_range])
            for name, address in NODES.items()}


@pytest.fixture(scope="module", params=[NARROW, WIDE])
def nodes(request: pytest.FixtureRequest) -> Iterator[tuple[str, Lab]]:
    """The lab's network on the kernel, its nodes with kube-proxy's nftables text and no rule of iptables."""
    with Lab("kernel", rules=NO_RULES) as lab:
        for node, text in tables(request.param).items():
            assert lab.run(node, "nft -f -", given=text) == ""
        yield request.param, lab


def seen(lab: Lab, host: str, address: str, port: str, trace: Trace) -> str:
    """What came of it: who answered, "refused" or "nothing"."""
    if trace.reply is None:
        return "nothing"
    if trace.reply.is_icmp_error or "R" in trace.reply.flags:
        return "refused"
    return next(iter(lab.connections(1, host, address, int(port))))        # the answer names who gave it


def read(service_range: str, host: str, to: str) -> str:
    """The same as the reader says it, on the caller's node and on the one that the packet goes to."""
    address, _, port = to.partition(":")
    source = NODES.get(host) or {"client": "10.244.1.5", "web": "10.244.1.7", "coredns-1": "10.244.0.2"}[host]
    node = NODE_OF.get(host, host)
    packet = Packet("tcp", source, address, 40000, int(port)) if port else Packet("icmp", source, address)
    found = follow(tables(service_range)[node], packet, local=[NODES[node]], from_node=host in NODES)
    if found.verdict == "FORWARDED" and found.packet.dst in NODES.values():
        other = next(name for name, own in NODES.items() if own == found.packet.dst)
        found = follow(tables(service_range)[other], found.packet, local=[found.packet.dst])
    return {"DROPPED": "nothing", "REJECTED": "refused"}.get(found.verdict, found.packet.destination)


@pytest.mark.parametrize(("host", "to", "narrow", "wide"), CASES, ids=lambda one: one.replace(":", "-"))
def test_the_kernel_and_the_reader_agree(nodes: tuple[str, Lab], host: str, to: str, narrow: str, wide: str) -> None:
    service_range, lab = nodes
    address, _, port = to.partition(":")
    trace = lab.connect(host, address, int(port)) if port else lab.ping(host, address)
    wanted = narrow if service_range == NARROW else wide
    found = seen(lab, host, address, port, trace)
    assert (found, read(service_range, host, to)) == (wanted, wanted)
    if wanted == "refused":
        assert (trace.reply.icmp_type, trace.reply.icmp_code) == (3, 3)         # port unreachable, at once


def test_a_second_nat_chain_at_a_hook() -> None:
    """The kernel asks it where the first translated nothing, and not where it did."""
    first = "\tchain nat-prerouting {\n"
    second = ("\tchain nat-second {\n\t\ttype nat hook prerouting priority dstnat + 1; policy accept;\n"
              f"\t\tip daddr 10.96.0.1 meta l4proto tcp dnat to {API}:6443\n\t}}\n\n")
    text = tables(NARROW)["worker1"].replace(first, second + first)
    with Lab("kernel", rules=NO_RULES) as lab:
        assert lab.run("worker1", "nft -f -", given=text) == ""
        for to, port in (("10.96.0.1", 444), ("10.96.12.34", 80)):
            found = follow(text, Packet("tcp", "10.244.1.5", to, 40000, port), local=[NODES["worker1"]])
            assert lab.connect("client", to, port).received.destination == found.packet.destination
            assert (found.packet.dst == API) == (port == 444)


def test_the_programs_say_it_too(nodes: tuple[str, Lab]) -> None:
    _, lab = nodes
    assert "Destination Port Unreachable" in lab.run("client", "sh -c 'ping -c 1 -W 1 10.96.0.1; true'")

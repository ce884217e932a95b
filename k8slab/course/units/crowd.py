"""A cluster with many Services, in both of kube-proxy's modes, and what one packet reads there.

Of iptables the rules that the model walks are counted: those that a packet met, and those that it passed over. Of
nftables, what `k8slab.nft` read. Neither is a time: a rule and a look-up cost what a kernel makes them cost.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from k8slab.course.units.labs import KUBERNETES, rules_of_objects, service
from k8slab.errors import Told
from k8slab.iptables import parse
from k8slab.kubeproxy import Config, Node, nft_table, pod_cidr, read_objects
from k8slab.model.chance import Seeded
from k8slab.model.dump import Question
from k8slab.network import POD_RANGE, SERVICE_RANGE
from k8slab.nft import Followed, follow
from k8slab.packet import Packet
from k8slab.trace import Trace

LARGEST = 50_000          # Services, for which `address` has addresses
CLIENT, NODE = "10.244.1.5", "10.106.175.131"
API = "10.106.175.128"


class CrowdError(Told, ValueError):
    """A cluster, a packet or a part of a table that cannot be made; the message says what would be right."""


def crowd(n: int) -> list[dict]:
    """The Service `kubernetes` and n - 1 others in the namespace shop, each with one endpoint; the API's objects.

    >>> [one["metadata"]["name"] for one in crowd(3) if one["kind"] == "Service"]
    ['kubernetes', 'web-0001', 'web-0002']

    Raises CrowdError for another n than 1 to 50,000.
    """
    _check_size(n, 1)
    more = range(1, n)
    items = [service("shop", f"web-{at:04}", address(at), 80, 8080, f"10.244.{2 + at // 200}.{10 + at % 200}")
             for at in more]
    return [*service(*KUBERNETES, API), *(one for pair in items for one in pair)]


def _check_size(n: object, least: int) -> None:
    if not isinstance(n, int) or not least <= n <= LARGEST:
        raise CrowdError(f"a number of Services from {least} to {LARGEST:,} is wanted, not {n!r}")


def address(at: int) -> str:
    """The ClusterIP of the Service shop/web-<at>.

    >>> address(999)
    '10.96.6.209'
    """
    return f"10.96.{2 + at // 200}.{10 + at % 200}"


def table_of(items: list[dict], service_range: str = SERVICE_RANGE, node: str = "worker1", ip: str = NODE) -> str:
    """What kube-proxy writes for these objects in nftables mode, on worker1 unless said otherwise.

    Raises NotInNftables for what is no Service range, as `10.96.0.0/16`.
    """
    return nft_table(Config(Node(node, (ip,)), pod_cidr(POD_RANGE)), read_objects(items), [service_range])


def parts(table: str, *heads: str) -> str:
    """The blocks of a table whose first line begins so: `map service-ips`, `chain services`; each once, in this order.

    >>> print(parts(table_of(crowd(1)), "chain nat-output"))
    chain nat-output {
        type nat hook output priority -100; policy accept;
        jump services
    }

    Raises CrowdError for a part that the table does not have.
    """
    blocks = [block.replace("\n\t", "\n").strip() for block in table.partition("{\n")[2][:-2].split("\n\n")]
    found = [next((block for block in blocks if block.startswith(head)), None) for head in heads]
    if None in found:
        raise CrowdError(f"this table has no `{heads[found.index(None)]}`; a part is called as `chain services` is")
    return "\n".join(found).replace("\t", "    ")


def syn(to: str, port: int, src: str = CLIENT, proto: str = "tcp") -> Packet:
    """The first packet of a connection from the Pod client, or of another source.

    >>> syn("10.96.0.1", 443)
    Packet(tcp 10.244.1.5:40000 > 10.96.0.1:443 [S] ttl 64)

    Raises CrowdError for what is no address, or no port.
    """
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise CrowdError(f"a port is a number from 0 to 65535, not {port!r}")
    try:
        return Packet(proto, str(IPv4Address(src)), str(IPv4Address(to)), 40000, port)
    except ValueError:
        raise CrowdError(f"a packet goes from address to address, as 10.96.0.1, not from {src!r} to {to!r}; it asks no "
                         "DNS for a name") from None


def walk(rules: str, packet: Packet) -> Trace:
    """The packet's way through worker1's iptables rules."""
    return Question(parse(rules), packet, (NODE,), "veth-client", "eth0").trace(Seeded(0))


def rules_read(trace: Trace) -> int:
    """How many rules a packet read: those that it met and those that it passed over."""
    return sum(len(step.passed) + bool(step.rule) for step in trace.steps)


def counted(*sizes: int) -> dict[int, dict[str, int]]:
    """Rules read, and of nftables look-ups too, by a packet for the first, the last and no Service; as `lookups` wants.

    `sizes`: numbers of Services, from 2. Raises CrowdError for others.
    """
    found: dict[int, dict[str, int]] = {}
    for n in sizes:
        _check_size(n, 2)              # of one Service, the last is the first
        items = crowd(n)
        rules, table = rules_of_objects(*items), table_of(items)
        asks = {"first": syn("10.96.0.1", 443), "last": syn(address(n - 1), 80), "no": syn("10.244.1.7", 8080)}
        found[n] = {f"iptables, {which} Service": rules_read(walk(rules, packet)) for which, packet in asks.items()}
        nft: Followed = follow(table, asks["last"])
        found[n]["nftables, last Service"] = nft.rules + nft.lookups
    return found

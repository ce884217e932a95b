"""A Service as its callers find it: each of its ports, asked by a Pod, by the node, from outside, and by itself.

Four callers meet four sets of rules: a Pod comes in by PREROUTING and keeps its address, a program on the node goes
out by OUTPUT, somebody outside is masqueraded, and an endpoint that chance sends back to itself must be.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from k8slab.errors import Told
from k8slab.iptables import Ruleset
from k8slab.model.dump import Question
from k8slab.oncall.entrances import Entrance, destinations, entrances, orphans
from k8slab.oncall.evidence import Fact, pod_networks
from k8slab.oncall.interfaces import settled
from k8slab.oncall.ways import Ways, chances, every
from k8slab.packet import Packet

OUTSIDE = "203.0.113.10"                       # an address for examples (RFC 5737)
SOURCE_PORT = 40000
NEAR = 6                                       # names, in an error


class NoService(Told, ValueError):
    """A Service that the rules do not know."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `kind`: Pod, node, outside or itself; `why`: a sentence that says where the address comes from."""

    kind: str
    address: str
    why: str
    from_node: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What one caller gets at one entrance. `ways`: every way of chance, none where it depends on the interface."""

    entrance: Entrance
    address: str
    caller: Caller
    ways: Ways
    note: str = ""

    def ends(self) -> dict[tuple[str, str, str], Fraction]:
        """How probable each end is: verdict, who gets it, and how its source looks or why nobody got it."""
        return chances(self.ways)

    def to_dict(self) -> dict:
        """The answer as plain JSON values."""
        entrance = self.entrance
        return {"port": entrance.name, "kind": entrance.kind, "proto": entrance.proto, "address": self.address,
                "dport": entrance.port, "caller": self.caller.kind, "from": self.caller.address,
                "note": self.note or None,
                "outcomes": [{"probability": float(chance), "verdict": verdict, "destination": to or None,
                              "masqueraded": how == "masqueraded", "reason": None if to else how}
                             for (verdict, to, how), chance in self.ends().items()]}


def find(rules: Ruleset, name: str) -> tuple[Entrance, ...]:
    """The ways into a Service, `default/kubernetes`, or into one port of it, `default/kubernetes:https`.

    >>> from k8slab.lab import kube_proxy_rules
    >>> [str(one) for one in find(parse(kube_proxy_rules()), "default/kubernetes")]
    ['10.96.0.1:443/tcp']

    Raises NoService where the rules know none of that name.
    """
    known = entrances(rules)
    found = tuple(one for one in known if name in (f"{one.namespace}/{one.service}", one.name))
    if not found:
        wanted = name.partition(":")[0].rpartition("/")[2]
        names = list(dict.fromkeys(one.name for one in known))
        like = [one for one in names if wanted and wanted in one] or names
        more = f" and {len(like) - NEAR} more" if len(like) > NEAR else ""
        raise NoService(f"the rules have no Service {name}; there are {', '.join(like[:NEAR]) or 'none'}{more}")
    return found


def without_entrance(rules: Ruleset, name: str) -> tuple[Entrance, ...]:
    """Ports of a Service, or the one that is named, whose chains are there and whose entrances are not."""
    service = name.partition(":")[0]
    return tuple(one for one in orphans(rules, (f'--comment "{service}',), entrances(rules))
                 if name in (f"{one.namespace}/{one.service}", one.name))


def callers(rules: Ruleset, found: tuple[Entrance, ...], local: tuple[str, ...], pod: str | None,
            outside: str | None) -> tuple[tuple[Caller, ...], tuple[str, ...]]:
    """Who asks, as far as their addresses are known, and what would have to be said for the others."""
    made, missing = [], []
    ends = list(dict.fromkeys(to for one in found for to in destinations(rules, one.target)))
    networks = pod_networks(rules)
    if pod or networks:
        made.append(Caller("Pod", pod, "as asked") if pod else _some_pod(networks[0], ends))
    else:
        missing.append("a Pod's address is not known: say --pod ADDR")
    if local:
        made.append(Caller("node", local[0], "an address of the node", True))
    else:
        missing.append("the node's address is not known: say --local ADDR")
    made.append(Caller("outside", outside or OUTSIDE, "as asked" if outside else "an address for examples"))
    if ends:
        address = ends[0].partition(":")[0]
        made.append(Caller("itself", address, "the Service's first endpoint", address in local))
    return tuple(made), tuple(missing)


def _some_pod(network: Fact, ends: list[str]) -> Caller:
    """The last address of the Pods' range that is no endpoint of the Service."""
    whole, taken = ipaddress.IPv4Network(network.value), {end.partition(":")[0] for end in ends}
    free = (str(whole[-at]) for at in range(min(2, whole.num_addresses), min(whole.num_addresses, 258) + 1))
    address = next((one for one in free if one not in taken), str(whole[0]))
    return Caller("Pod", address, f"an address of {network.value}: {network.why}")


def ask(rules: Ruleset, found: tuple[Entrance, ...], who: tuple[Caller, ...], local: tuple[str, ...],
        iif: str | None = None, oif: str | None = None) -> Iterator[Asked]:
    """What each caller gets at each entrance, with every way of chance; NodePorts at the node's first address."""
    for entrance in found:
        address = entrance.address or (local[0] if local else "")
        for caller in who if address else ():
            packet = Packet(entrance.proto, caller.address, address, SOURCE_PORT, entrance.port)
            question = Question(rules, packet, local, None if caller.from_node else iif, oif, caller.from_node)
            question, groups, said = settled(question, every)
            note = "it depends on the interface: say --in, and --out" if groups else said
            yield Asked(entrance, address, caller, () if groups else every(question), note)

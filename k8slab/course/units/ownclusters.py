"""The clusters on which unit 10 tries a kube-proxy: recorded ones, and those in which one thing is special."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k8slab.course.units.ownproxy import HELD, recorded

Objects = list[dict]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Objects and what is said where rules for them are wrong: by the part's name, "" for any.

    `recorded`: the name under which the real kube-proxy's rules are kept, "" where this package's count.
    """

    objects: Objects
    says: Mapping[str, str]
    recorded: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """A cluster that changes: objects before and after, and what is said where the rules are wrong then."""

    says: str
    before: Objects
    objects: Objects
    recorded: str = ""


def changed(name: str, change: Callable[[dict[str, dict], Objects], None]) -> Objects:
    """A recorded cluster's objects after a change; it is given them by their kind and name, and as a list.

    >>> len(changed("01-kubernetes", lambda named, objects: objects.pop()))
    1
    """
    objects = copy.deepcopy(recorded(name))
    change({f"{one['kind']} {one['metadata']['name']}": one for one in objects}, objects)
    return objects


def without(objects: Objects, address: str) -> Objects:
    """The objects after one endpoint has gone.

    >>> without(recorded("01-kubernetes"), "10.106.175.128")[1]["endpoints"]
    []
    """
    left = copy.deepcopy(objects)
    for one in left:
        if one["kind"] == "EndpointSlice":
            one["endpoints"] = [end for end in one["endpoints"] if address not in end["addresses"]]
    return left


def _not_ready(named: dict, _: Objects) -> None:
    named["EndpointSlice plain-1"]["endpoints"][0]["conditions"] = {
        "ready": False, "serving": True, "terminating": True}


def _unsaid(named: dict, _: Objects) -> None:
    named["EndpointSlice plain-1"]["endpoints"][0]["conditions"] = {}


def _namesake(named: dict, objects: Objects) -> None:
    other = copy.deepcopy(named["EndpointSlice plain-1"])
    other["metadata"] |= {"namespace": "test"}
    other["endpoints"] = [{"addresses": ["10.244.1.99"], "conditions": {"ready": True}}]
    objects.append(other)


def _named_target(named: dict, _: Objects) -> None:
    named["Service web"]["spec"]["ports"][0]["targetPort"] = "web"


def _ipv6(named: dict, objects: Objects) -> None:
    other = copy.deepcopy(named["EndpointSlice web-1"])
    other["metadata"]["name"], other["addressType"] = "web-2", "IPv6"
    other["endpoints"] = [{"addresses": ["fd00::7"], "conditions": {"ready": True}}]
    objects.append(other)


def _split(named: dict, objects: Objects) -> None:
    first = named["EndpointSlice web-1"]
    other = copy.deepcopy(first)
    other["metadata"]["name"] = "web-2"
    first["endpoints"], other["endpoints"] = first["endpoints"][:3], first["endpoints"][3:]
    objects.append(other)


def _twice(named: dict, objects: Objects) -> None:
    other = copy.deepcopy(named["EndpointSlice web-1"])
    other["metadata"]["name"] = "web-2"
    other["endpoints"] = other["endpoints"][:1]
    objects.append(other)


def _with_slice(named: dict, objects: Objects) -> None:
    other = copy.deepcopy(named["EndpointSlice plain-1"])
    other["metadata"] |= {"name": "headless-1", "labels": {"kubernetes.io/service-name": "headless"}}
    other["ports"][0]["name"] = "http"
    objects.append(other)


def _elsewhere(named: dict, objects: Objects) -> None:
    other = copy.deepcopy(named["Service web"])
    other["metadata"]["name"] = "outside"
    other["spec"] = {"type": "ExternalName", "externalName": "shop.example", "ports": other["spec"]["ports"]}
    objects.append(other)


_BALANCE = {"balance_rules": "Look at the chances: each rule is read only by what the rules before it have left."}
UNNAMED = ("A port without a name has no field `name` in the Service, and an empty one in the slice: "
           "`.get(\"name\", \"\")`.")
RECORDED = {
    "03-many-endpoints": _BALANCE,
    "13-headless-and-unnamed": {"endpoints": UNNAMED},
    "04-no-endpoints": {"kube_proxy": "A port without endpoints has one rule, in filter, and no chain."},
    "02-dns": {"endpoints": "A slice has a number for each port of the Service; they belong together by their name."},
}
CLUSTERS = (
    *(Cluster(recorded(name), RECORDED.get(name, {}), name) for name in HELD),
    Cluster(changed("13-headless-and-unnamed", _not_ready), {"": "An endpoint that is not ready gets no "
             "connections, though it still serves, as long as another is ready."}),
    Cluster(changed("13-headless-and-unnamed", _unsaid), {"": "An endpoint of which nothing is said is ready: only "
                                                              "`false` is no."}),
    Cluster(changed("13-headless-and-unnamed", _namesake), {"": "The slice of a Service of the same name in another "
                                                                "namespace is not this Service's."}),
    Cluster(changed("03-many-endpoints", _named_target), {"": "The number stands in the slice. A Service's targetPort "
                                                              "may be a name, and each Pod may have another number."}),
    Cluster(changed("03-many-endpoints", _ipv6), {"": "A slice of addressType IPv6 is for IPv6 rules."}),
    Cluster(changed("03-many-endpoints", _split), {"": "A Service may have several slices: the endpoints of all of "
                                                       "them count."}),
    Cluster(changed("03-many-endpoints", _twice), {"": "An endpoint may stand in two slices for a moment; it is one."}),
    Cluster(changed("13-headless-and-unnamed", _with_slice), {"": "A headless Service may well have endpoints; without "
                                                                  "a ClusterIP nobody comes to its rules."}),
    Cluster(changed("03-many-endpoints", _elsewhere), {"": "A Service of type ExternalName has no ClusterIP at all."}),
)
MOVES = (
    Move("Nothing has changed, and still something is deleted or missing.", recorded("01-kubernetes"),
         recorded("01-kubernetes"), "01-kubernetes"),
    Move("A Service was deleted: no packet comes to its chains and those of its endpoints any more, and they stay for "
         "ever.", recorded("03-many-endpoints"), recorded("01-kubernetes"), "01-kubernetes"),
    Move("A Service was made: its chains are missing.", recorded("01-kubernetes"), recorded("02-dns"), "02-dns"),
    Move("An endpoint has gone, and its Service has not: its chain alone goes.", recorded("03-many-endpoints"),
         without(recorded("03-many-endpoints"), "10.244.1.5")),
    Move("The last endpoint has gone: the Service's chain goes, too, and a rule that refuses comes.",
         recorded("01-kubernetes"), without(recorded("01-kubernetes"), "10.106.175.128")),
)


def busy() -> Objects:
    """A cluster with the lab's Pods behind its Services, for packets: of two endpoints of shop/web one is not ready.

    >>> sorted({one["metadata"]["name"] for one in busy() if one["kind"] == "Service"})
    ['empty', 'headless', 'kube-dns', 'kubernetes', 'outside', 'plain', 'web']
    """
    def change(named: dict, objects: Objects) -> None:
        named["EndpointSlice web-1"]["endpoints"] = [
            {"addresses": ["10.244.1.66"], "conditions": {"ready": False}},
            {"addresses": ["10.244.1.7"], "conditions": {"ready": True}}]
        named["Service web"]["spec"]["type"] = "NodePort"
        named["Service web"]["spec"]["ports"][0]["nodePort"] = 30080
        _elsewhere(named, objects)

    others = (*recorded("02-dns"), *recorded("04-no-endpoints"), *changed("13-headless-and-unnamed", _with_slice))
    web = changed("03-many-endpoints", change)
    known = {(one["kind"], one["metadata"]["name"]): one for one in (*others, *web)}
    return list(known.values())

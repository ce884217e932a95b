"""Unit 12's exercises: answers in nftables' text, tried by following packets through it with `k8slab.nft`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from k8slab.course.exercise import BLANK
from k8slab.course.outcome import CANNOT_CHECK, NOT_YET, RIGHT, Outcome, Unfit
from k8slab.course.probe import Probe
from k8slab.course.units.crowd import API, syn, table_of
from k8slab.course.units.labs import KUBERNETES, rules_of_objects, service
from k8slab.lab import Lab
from k8slab.network import NODES, OUTSIDE_CLIENT, POD_RANGE
from k8slab.nft import Followed, Read, follow, read_table
from k8slab.packet import Packet

WEB, EMPTY, WEB_POD = "10.96.12.34", "10.96.12.40", "10.244.1.7"
SHOP = [*service(*KUBERNETES, API), *service("shop", "web", WEB, 80, 8080, WEB_POD),
        *service("shop", "empty", EMPTY, 80, 8080)]
WEB_ELEMENT = f"{WEB} . tcp . 80 : goto service-KHN6ECMT-shop/web/tcp/http"
REFUSED, DROPPED = "refused", "dropped"
FATES = {"REJECTED": REFUSED, "DROPPED": DROPPED}
MASTERS = (API, "10.106.175.129")
DRAWS = 60                # divisible by the numbers from 1 to 6: each draw of `numgen` comes up equally often
# What a home-made program wrote for two API servers and kube-dns: two lines of its table are wrong.
WRONG_LINES = f"""elements = {{ 10.96.0.10 }}
meta l4proto tcp dnat ip to numgen random mod 3 map {{ 0 : {MASTERS[0]} . 6443, 1 : {MASTERS[1]} . 6443 }}"""
RIGHT_LINES = WRONG_LINES.replace("{ 10.96.0.10 }", "{ 10.96.0.1, 10.96.0.10 }").replace("mod 3", "mod 2")
NOT_FOR_SERVICES = {
    "127.0.0.0/8": "are addresses that each host has for itself: their packets never reach a node",
    "169.254.0.0/16": "are addresses of one link, which are not forwarded",
    **dict.fromkeys(("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"), "are not addresses for hosts"),
}
OTHERS = {"the range of the Pods": POD_RANGE, "the network of the nodes": "10.106.175.0/24",
          "the network outside": "203.0.113.0/24"}
SERVICES = 100_000
UNMARKED = "Masqueraded is what the first rule of `services` has marked: it asks `@cluster-ips`."
SHARED = IPv4Network("100.64.0.0/10")          # RFC 6598: nobody's on the internet
KEY = "No packet has this key. The map's `type` says its parts: address, protocol, port, set apart by ` . `."


@dataclass(frozen=True, slots=True)
class Ask:
    """A packet, and what should become of it: `refused`, `dropped`, or where it should arrive."""

    says: str
    packet: Packet
    wanted: str
    masqueraded: bool = False


def became(found: Followed) -> str:
    """`refused`, `dropped`, or the address and port at which a packet arrives."""
    return FATES.get(found.verdict, found.packet.destination)


def decided(found: Followed) -> str:
    """The last rule with a verdict of its own, and the one that led to its chain, or that none had one: a sentence."""
    met = [one for one in found.reads if one.matched and one.verdict]
    last: Read | None = next((one for one in reversed(met) if not one.verdict.startswith("jump")), None)
    if last is None:
        return "No rule decided on it: it goes where it was sent."
    led = next((f", by `{one.rule}`" for one in met if one.verdict == f"goto {last.chain}"), "")
    return f"It met {last.chain} rule {last.position}{led}: `{last.rule}`"


def tried(text: str, asks: Sequence[Ask], why: Callable[[list[Followed]], str]) -> Outcome:
    """Follow each packet through worker1's table; `why`: a sentence on what became of them all, or ""."""
    table = read_table(text)
    found = [follow(table, ask.packet) for ask in asks]
    wrong = [at for at, (ask, one) in enumerate(zip(asks, found))
             if (became(one), one.masqueraded) != (ask.wanted, ask.masqueraded)]
    count = f"{len(asks) - len(wrong)} of {len(asks)} packets go where they should."
    if not wrong:
        return Outcome(RIGHT, count)
    ask, one = asks[wrong[0]], found[wrong[0]]
    should = f"be {ask.wanted}" if ask.wanted in (REFUSED, DROPPED) else f"go to {ask.wanted}"
    if became(one) == ask.wanted:
        should = "have the node's source" if ask.masqueraded else "keep its source"
    head = f"Packet {wrong[0] + 1}, {ask.says}: it {_end(became(one))}, and should {should}."
    met = decided(one) if became(one) != ask.wanted else ""       # no rule that was met says why none marked it
    return Outcome(NOT_YET, count, tuple(filter(None, (why(found), head, met))))


def _end(fate: str) -> str:
    return f"was {fate}" if fate in (REFUSED, DROPPED) else f"went to {fate}"


# The element of a map.

ELEMENT_ASKS = (
    Ask(f"from a Pod to {WEB}:80", syn(WEB, 80), f"{WEB_POD}:8080"),
    Ask(f"from outside to {WEB}:80", syn(WEB, 80, OUTSIDE_CLIENT), f"{WEB_POD}:8080", True),
    Ask(f"from a Pod to {WEB}:8080", syn(WEB, 8080), REFUSED),
    Ask(f"from a Pod to {WEB}:80 over UDP", syn(WEB, 80, proto="udp"), REFUSED),
    Ask("from a Pod to 10.96.0.1:443", syn("10.96.0.1", 443), f"{API}:6443"),
)
COMMAND = re.compile(r"(?:nft )?(?:add|create) element ip kube-proxy service-ips \{(.*)\}|elements = \{(.*)\}|\{(.*)\}")


def without_web() -> str:
    """The shop's table, from whose map `service-ips` the element of shop/web is missing."""
    return table_of(SHOP).replace(f"{WEB_ELEMENT},\n\t\t\t     ", "")


def element(_: Lab, answer: object) -> Outcome:
    """The answer is an element of the map service-ips, or nft's command that adds it."""
    text = " ".join(_text(answer, "the text of an element").strip().strip("'").split())
    if command := COMMAND.fullmatch(text):
        text = next(filter(None, command.groups()), "").strip()
    text = text.rstrip(",").strip()
    if not text or set(text) & set("{}"):
        raise Unfit(NOT_YET, "One element is wanted: a key, ` : ` and a verdict.")
    mark = "elements = { 10.96.0.1 . tcp . 443"
    table = without_web()
    return tried(table.replace(mark, mark.replace("{ ", f"{{ {text}, ")), ELEMENT_ASKS, _why_element)


def _why_element(found: list[Followed]) -> str:
    if became(found[2]) == f"{WEB_POD}:8080":
        return ("The map is asked before the address is rewritten: the packet has the Service's port still, and not "
                "the endpoint's.")
    if any("shop/web" in read.chain for read in found[3].reads):
        return "The protocol is a part of the key: the Service has a TCP port."
    if became(found[0]).endswith(":6443"):
        return "The chain is another Service's: whose name is in it?"
    if not any(read.matched and "@service-ips" in read.rule for one in (found[0], found[3]) for read in one.reads):
        return KEY
    return ""


# What becomes of six packets, told from the text.

FATE_ASKS = (f"{WEB}:80", f"{WEB}:8080", f"{EMPTY}:80", "10.96.12.41:80", f"{WEB_POD}:8080", "10.96.0.1:443")
IPV4 = re.compile(r"[\d.]+")
ALSO = {"reject": REFUSED, "rejected": REFUSED, "refuse": REFUSED, "drop": DROPPED, "silence": DROPPED}


def fates(_: Lab, answer: object) -> Outcome:
    """The answer is a dictionary: a packet's destination, to where it ends."""
    if not isinstance(answer, dict) or set(answer) != set(FATE_ASKS):
        raise Unfit(CANNOT_CHECK, "A dictionary with the six destinations is wanted, each with a text.")
    table, wrong = read_table(table_of(SHOP)), []
    for to in FATE_ASKS:
        address, _, port = to.partition(":")
        found = follow(table, syn(address, int(port)))
        said = " ".join(str(answer[to] or "").lower().split())
        if ALSO.get(said, said.replace(" . ", ":")) != became(found):
            wrong.append((to, said, found))
    count = f"{len(FATE_ASKS) - len(wrong)} of {len(FATE_ASKS)} are as you say."
    if not wrong:
        return Outcome(RIGHT, count)
    to, said, found = wrong[0]
    lines = [f"The packet to {to}: you said {f'`{said}`' if said else 'nothing'}.", decided(found)]
    if IPV4.fullmatch(said):
        lines.insert(1, "An address and a port are wanted.")
    return Outcome(NOT_YET, count, tuple(lines))


# A Service range that is safe in both modes.


def safe_range(lab: Lab, answer: object) -> Sequence[Probe]:
    """The answer is a Service range; followed in nftables' text, and then with real packets through iptables' rules."""
    chosen = _network(_text(answer, "a range, as '10.96.0.0/16'").strip())
    first = str(chosen[1])
    items = service("default", "kubernetes", first, 443, 6443, API)
    for name, node in reversed(NODES.items()):
        packet = syn(first, 443, "10.244.1.5" if name == "worker1" else node)
        found = follow(table_of(items, str(chosen), name, node), packet, local=[node], from_node=name != "worker1")
        if became(found) != f"{API}:6443":
            raise Unfit(NOT_YET, f"In nftables mode a packet to {first}:443 was {became(found)} on {name}.",
                        decided(found), f"In iptables mode it would arrive, until a Service gets the address {API} and "
                        "the port 6443.")
    for node in NODES:
        lab.restore(node, rules_of_objects(*items))
    return [Probe(f"a connection from {at} to {first}:443, in iptables mode", at,
                  {"destination": f"{API}:6443", "comes back": f"an answer from {first}:443"}, to=f"{first}:443")
            for at in ("client", "worker1")]


def _network(text: str) -> IPv4Network:
    """A range that an API server takes, with room for the Services, whose addresses nobody else has."""
    try:
        chosen = IPv4Network(text, strict=False)
    except ValueError as error:
        raise Unfit(NOT_YET, f"`{text}` is no range such as 10.96.0.0/16: {error}.") from None
    if IPv4Address(text.partition("/")[0]) != chosen[0]:
        raise Unfit(NOT_YET, f"`{text}` is an address within a range: you mean {chosen}?")
    if chosen.prefixlen < 12:
        raise Unfit(NOT_YET, f"{chosen} is too large: an API server takes /12 and smaller.")
    for other, words in NOT_FOR_SERVICES.items():
        if chosen.overlaps(IPv4Network(other)):
            raise Unfit(NOT_YET, f"{chosen} will not do: {other} {words}.")
    if chosen.num_addresses - 2 < SERVICES:
        raise Unfit(NOT_YET, f"{chosen} has {max(chosen.num_addresses - 2, 0):,} addresses for Services, and "
                    f"{SERVICES:,} are wanted.")
    if not chosen.is_private and not chosen.subnet_of(SHARED):
        raise Unfit(NOT_YET, f"{chosen} holds addresses that belong to others on the internet.")
    inside = IPv4Address(API) in chosen
    for what, other in OTHERS.items():
        if chosen.overlaps(IPv4Network(other)) and not inside:
            raise Unfit(NOT_YET, f"{chosen} and {what}, {other}, have addresses in common.")
    return chosen


# Two lines that are wrong.


def two_lines(_: Lab, answer: object) -> Outcome:
    """The answer are two lines of a table: the elements of cluster-ips, and the rule of kubernetes' chain."""
    lines = [line.strip() for line in _text(answer, "a text of two lines").splitlines() if line.strip()]
    if len(lines) != 2 or not lines[0].startswith("elements") or lines[1].startswith("elements"):
        raise Unfit(NOT_YET, "Two lines are wanted: the elements of the set, then the rule.")
    table = read_table(two_servers(*lines))
    ends = [became(follow(table, syn("10.96.0.1", 443), draw=draw)) for draw in range(DRAWS)]
    counts = {end: ends.count(end) for end in dict.fromkeys(ends)}
    if counts != {f"{one}:6443": DRAWS // 2 for one in MASTERS}:
        lost = {REFUSED, DROPPED} & set(counts) and "numgen" in lines[1]
        told = ", ".join(f"{count} {_end(end)}".replace(" was ", " were ") for end, count in counts.items())
        raise Unfit(NOT_YET, f"Of {DRAWS} connections to 10.96.0.1:443, one for each number that is drawn, {told}.",
                    *["A number that leads nowhere leaves the packet untranslated."] * bool(lost),
                    "Each of the two API servers should have half of them.")
    return tried(two_servers(*lines), (
        Ask("from a Pod to 10.96.0.1:443", syn("10.96.0.1", 443), f"{API}:6443"),
        Ask("from outside to 10.96.0.1:443", syn("10.96.0.1", 443, OUTSIDE_CLIENT), f"{API}:6443", True),
        Ask("from a Pod to 10.96.0.1:444", syn("10.96.0.1", 444), REFUSED),
        Ask("from a Pod to 10.96.0.10:54", syn("10.96.0.10", 54), REFUSED),
        Ask("from a Pod to 10.96.0.11:443", syn("10.96.0.11", 443), DROPPED),
    ), lambda found: "" if found[1].masqueraded else UNMARKED)


def two_servers(elements: str, rule: str) -> str:
    """The table for two API servers and kube-dns, with these two lines in it."""
    items = [*service(*KUBERNETES, *MASTERS), *service("kube-system", "kube-dns", "10.96.0.10", 53, 53, "10.244.0.2")]
    good_elements, good_rule = RIGHT_LINES.splitlines()
    return table_of(items).replace(good_elements, elements).replace(good_rule, rule)


def _text(answer: object, wanted: str) -> str:
    if not isinstance(answer, str):
        raise Unfit(CANNOT_CHECK, f"{wanted[0].upper()}{wanted[1:]} is wanted, not {type(answer).__name__}.")
    if BLANK in answer:
        raise Unfit(NOT_YET, f"There is still a blank, {BLANK}, in the answer.")
    return answer

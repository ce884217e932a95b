"""The chain map: the right rules, the right shares, the packet's way, and a tidy picture of them."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8slab import iptables
from k8slab.lab import Lab, kube_proxy_rules
from k8slab.packet import Packet
from k8slab.show.chainmap import chain_map
from k8slab.show.chains import say_share
from k8slab.show.svg import Line, Words
from tests.model.labs import syn
from tests.show.journeys import journey
from tests.show.reading import Reader
from tests.show.services import address, endpoint, nat_rules
from tests.show.tidy import faults

SVC, SEP = "KUBE-SVC-NPX46M4PTMTKRN6Y", "KUBE-SEP-VDNPK4CXOQDGPWFC"
# As kube-proxy writes them for a Service with ClientIP affinity, without the comments and the hairpin rules.
AFFINITY = """*nat
:KUBE-MARK-MASQ - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-B - [0:0]
:KUBE-SEP-C - [0:0]
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-SERVICES -d 10.96.12.50/32 -p tcp -m comment --comment "shop/sticky" -m tcp --dport 80 -j KUBE-SVC-A
-A KUBE-SVC-A -m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-B --rsource -j KUBE-SEP-B
-A KUBE-SVC-A -m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-C --rsource -j KUBE-SEP-C
-A KUBE-SVC-A -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-B
-A KUBE-SVC-A -j KUBE-SEP-C
-A KUBE-SEP-B -p tcp -m recent --set --name KUBE-SEP-B --rsource -j DNAT --to-destination 10.244.1.7:8080
-A KUBE-SEP-C -p tcp -m recent --set --name KUBE-SEP-C --rsource -j DNAT --to-destination 10.244.2.7:8080
COMMIT
"""


def everything(shown) -> list:
    return [branch for top in shown.branches for branch in top.walk()]


def drawn(shown) -> list[str]:
    return [s.text for s in shown.picture.shapes if isinstance(s, Words)]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 3), st.data())
def test_a_service_is_told_in_full_with_shares_that_add_up(endpoints: int, services: int, data) -> None:
    number = data.draw(st.integers(0, services - 1))
    shown = chain_map(nat_rules(services, endpoints), service=f"shop/web{number}")
    svc = [branch for branch in everything(shown) if branch.chain.startswith("KUBE-SVC-")]
    shares = [branch.share for branch in svc if branch.share is not None]
    assert sum(shares) == 1 and len(shares) == endpoints
    assert all(say_share(share) == say_share(Fraction(1, endpoints)) for share in shares)
    ends = [branch.target for branch in everything(shown) if branch.kind == "end"]
    assert ends == [f"DNAT {endpoint(n)}:8080" for n in range(endpoints)]
    sides = [branch for branch in everything(shown) if branch.kind == "side"]
    assert [s.target for s in sides] == ["KUBE-MARK-MASQ"] * (endpoints + 1)
    twin, picture = str(shown), "".join(drawn(shown))
    for branch in everything(shown):
        assert f"rule {branch.position}" in twin
        for text in (branch.target, branch.when, branch.chance):
            assert text in twin
            assert text.replace(" ", "") in picture.replace(" ", "")
    said = [text for text in drawn(shown) if text.endswith(say_share(Fraction(1, endpoints)))]
    assert said == (["1/" + str(endpoints)] * endpoints if endpoints > 1 else ["rule 2, always"])
    assert f"to {address(number)}, tcp port 80" in twin and f"shop/web{number}:http" in twin
    assert faults(shown.picture) == [] and len(shown.svg) <= 15_000


@pytest.mark.parametrize("name", ["default/kubernetes", "default/kubernetes:https", "10.96.0.1",
                                  "10.96.0.1:443"])
def test_a_service_is_found_by_name_and_by_address(name: str) -> None:
    shown = chain_map(kube_proxy_rules(), service=name)
    assert [branch.target for branch in everything(shown)] == [
        SVC, "KUBE-MARK-MASQ", SEP, "KUBE-MARK-MASQ", "DNAT 10.106.175.128:6443"]


def test_names_that_begin_alike_are_two_services() -> None:
    shown = chain_map(nat_rules(12, 1), service="shop/web1")
    assert [branch.target for branch in shown.branches] == [f"KUBE-SVC-{1:016X}"]
    assert len(chain_map(nat_rules(12, 1), service=address(1)).branches) == 1


def test_what_is_not_there_is_an_error_that_says_what_is() -> None:
    with pytest.raises(ValueError, match="Service 'default/nothing'; there are default/kubernetes:https$"):
        chain_map(kube_proxy_rules(), service="default/nothing")
    with pytest.raises(ValueError, match="there are .* and 4 more"):
        chain_map(nat_rules(10, 1), service="10.96.0.1:81")
    with pytest.raises(ValueError, match="no chain KUBE-NOTHING in a table nat"):
        chain_map(kube_proxy_rules(), chain="KUBE-NOTHING")
    with pytest.raises(ValueError, match="in a table raw"):
        chain_map(kube_proxy_rules(), "raw", chain="KUBE-SERVICES")


def test_the_lit_way_is_the_traces() -> None:
    trace = journey("article")
    for shown in (chain_map(kube_proxy_rules(), trace=trace),
                  chain_map(kube_proxy_rules(), trace=trace, service="default/kubernetes")):
        assert shown.lit == (SVC, SEP, "DNAT 10.106.175.128:6443")
        assert set(shown.lit[:2]) <= set(trace.chains)
        assert str(shown).splitlines()[1] == (f"The packet’s way: KUBE-SERVICES → {SVC} → {SEP} → "
                                              "DNAT 10.106.175.128:6443")
        assert str(shown).count("the packet took it") == 3
        lines = [s for s in shown.picture.shapes if isinstance(s, Line) and s.kind == "go"]
        assert len(lines) == 3 + 1, "three jumps, and the legend"
        assert all(line.heads for line in lines)
        assert faults(shown.picture) == []


def test_the_way_begins_at_a_hook_where_that_is_asked() -> None:
    shown = chain_map(kube_proxy_rules(), trace=journey("article"), chain="PREROUTING")
    assert shown.lit == ("KUBE-SERVICES", SVC, SEP, "DNAT 10.106.175.128:6443")
    assert faults(shown.picture) == []


def test_only_the_first_hosts_walk_is_lit() -> None:
    trace = Lab("model").send(syn("10.106.175.128", 6443), "client")
    assert ("k8smaster", "KUBE-NODEPORTS") in [(s.node, s.verdict) for s in trace.steps]
    shown = chain_map(kube_proxy_rules(), trace=trace)
    assert [branch.target for branch in shown.branches] == ["KUBE-NODEPORTS"] and shown.lit == ()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 99))
def test_the_lit_way_of_any_endpoint_is_the_traces(endpoints: int, seed: int) -> None:
    rules = nat_rules(2, endpoints)
    trace = Lab("model", rules=rules, seed=seed).send(syn(address(1), 80), "client")
    shown = chain_map(rules, trace=trace, service="shop/web1")
    assert ("KUBE-SERVICES", *shown.lit[:2]) == trace.chains[:3]
    assert shown.lit[2].startswith("DNAT ") and len(shown.lit) == 3 and faults(shown.picture) == []


def test_a_marked_packet_lights_the_side_branch_too() -> None:
    rules = kube_proxy_rules()
    trace = Lab("model", rules=rules).send(syn(src="10.106.175.131"), "worker1")
    shown = chain_map(rules, trace=trace)
    assert shown.lit == (SVC, "KUBE-MARK-MASQ", SEP, "DNAT 10.106.175.128:6443")


def test_a_packet_meets_only_what_can_take_it() -> None:
    rules = nat_rules(3, 2)
    shown = chain_map(rules, packet=Packet("tcp", endpoint(0), address(1), 40000, 80))
    assert [branch.target for branch in shown.branches] == [f"KUBE-SVC-{1:016X}"]
    # From a Pod, so not marked in the Service's chain; its own endpoint marks it: the hairpin.
    assert [branch.when for branch in everything(shown) if branch.kind == "side"] == [f"from {endpoint(0)}"]
    assert [say_share(b.share) for b in everything(shown) if b.share is not None] == ["1/2", "1/2"]
    nothing = chain_map(rules, packet=Packet("udp", endpoint(0), address(1), 40000, 80))
    assert nothing.branches == () and faults(nothing.picture) == []


def test_a_big_dump_is_folded_and_quick() -> None:
    rules = iptables.parse(nat_rules(6200, 1))
    assert sum(len(chain.rules) for chain in rules["nat"].chains) > 24_000
    begun = time.perf_counter()
    shown, one = chain_map(rules), chain_map(rules, service="shop/web6000")
    # A map that looked through all rules for each Service would take minutes.
    assert time.perf_counter() - begun < 5
    told = len({b.service for b in everything(shown) if b.chain == "KUBE-SERVICES" and b.service})
    assert everything(shown)[-1].target == f"and {6200 - told:,} more Services"
    assert everything(shown)[-1].target in " ".join(drawn(shown)) and faults(shown.picture) == []
    assert everything(chain_map(rules, chain="PREROUTING"))[-1].target == everything(shown)[-1].target
    assert 1 <= told <= 8 and len(shown.svg) <= 15_000 and len(str(one).splitlines()) == 7


def test_a_service_that_is_only_counted_has_no_node_port_told() -> None:
    ports = [f'-A KUBE-NODEPORTS -p tcp -m comment --comment "shop/web{n}:http" -m tcp --dport 3000{n} '
             f"-j KUBE-SVC-{n:016X}\n" for n in (0, 9)]
    last = "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n"
    rules = nat_rules(10, 1).replace("COMMIT", f":KUBE-NODEPORTS - [0:0]\n{''.join(ports)}{last}COMMIT")
    shown = chain_map(rules)
    assert [b.service for b in everything(shown) if b.chain == "KUBE-NODEPORTS"] == ["shop/web0:http"]
    assert "to an address of type LOCAL: KUBE-NODEPORTS" in str(shown) and "more Services" in str(shown)


def test_many_endpoints_are_counted_and_the_packets_kept() -> None:
    rules = nat_rules(1, 1000)
    shown = chain_map(rules, service="shop/web0")
    choices = [branch for branch in everything(shown) if branch.share is not None]
    assert sum(branch.share for branch in choices) == 1
    assert choices[-1].target == "and 988 more endpoints, together 247/250" and choices[-1].kind == "more"
    assert len(shown.svg) <= 15_500 and faults(shown.picture) == []
    trace = Lab("model", rules=rules, seed=3).send(syn(address(0), 80), "client")
    lit = chain_map(rules, service="shop/web0", trace=trace)
    assert lit.lit[1] == trace.chains[2] not in [b.target for b in choices[:12]]
    assert "and 987 more endpoints" in str(lit)


def test_affinity_has_conditions_and_shares_and_tells_each_endpoint_once() -> None:
    shown = chain_map(AFFINITY, service="shop/sticky")
    svc = [branch for branch in everything(shown) if branch.chain == "KUBE-SVC-A"]
    assert [(b.kind, b.when, b.share) for b in svc] == [
        ("chain", "its source seen in the last 10800 seconds", None),
        ("chain", "its source seen in the last 10800 seconds", None),
        ("again", "", Fraction(1, 2)), ("again", "", Fraction(1, 2))]
    assert str(shown).count("tcp, remembering the source: DNAT") == 2
    assert "share 1/2: KUBE-SEP-C, as told elsewhere" in str(shown) and faults(shown.picture) == []


def test_a_rejected_service_and_other_tables() -> None:
    rules = ("*filter\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -d 10.96.12.40/32 -p tcp -m comment "
             '--comment "shop/empty:http has no endpoints" -m tcp --dport 80 -j REJECT '
             "--reject-with icmp-port-unreachable\n"
             "-A KUBE-SERVICES -m u32 --u32 0=0 -j LOG\n-A KUBE-SERVICES -j TCPMSS --set-mss 1400\nCOMMIT\n")
    shown = chain_map(rules, "filter")
    assert [(b.kind, b.target) for b in shown.branches] == [
        ("end", "REJECT icmp-port-unreachable"), ("note", "LOG"), ("note", "TCPMSS 1400")]
    assert "rule 2, --u32 0=0: LOG" in str(shown) and faults(shown.picture) == []


@pytest.mark.parametrize(("share", "said"), [
    (Fraction(1), "always"), (Fraction(715827883, 2**31), "1/3"), (Fraction(429496730, 2**31), "1/5"),
    (Fraction(1, 997), "1/997"), (Fraction(314159, 1000000), "31.42%"), (Fraction(1, 10**9), "0.00%")])
def test_shares_are_said_as_people_say_them(share: Fraction, said: str) -> None:
    assert say_share(share) == said


def test_the_forms_of_a_cell_say_the_same() -> None:
    shown = chain_map(kube_proxy_rules(), trace=journey("article"))
    bundle = shown._repr_mimebundle_()
    assert bundle == chain_map(kube_proxy_rules(), trace=journey("article"))._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"} and bundle["text/plain"] == str(shown) == repr(shown)
    html = Reader(bundle["text/html"])
    assert html.elements[0][1]["alt"] == f"Chain map, {shown.name}"
    assert html.text == " ".join(["The picture in words", *str(shown).split()])


def test_a_lit_way_has_arrowheads_however_short_its_lines_are() -> None:
    shapes = chain_map(kube_proxy_rules(), trace=journey("article")).picture.shapes
    assert all(line.arrows for line in shapes if isinstance(line, Line) and line.heads)

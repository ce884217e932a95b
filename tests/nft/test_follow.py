"""The reader of nftables' text: what it says of packets, what it counts, and what it refuses to guess."""

from __future__ import annotations

import pytest

from k8slab.nft import Followed, NftError, follow, read_table
from k8slab.packet import Packet
from tests.kubeproxy.golden import FOLDER

MASTER = ("10.106.175.128",)
RECORDED = sorted(one.name for one in FOLDER.iterdir() if one.name.endswith(".nft"))


def table(name: str) -> str:
    return (FOLDER / f"{name}.nft").read_text()


KUBERNETES = table("01-kubernetes")


def ask(text: str, to: str, *, proto: str = "tcp", src: str = "10.244.1.5", **options: object) -> Followed:
    address, _, port = to.partition(":")
    ports = (40000, int(port)) if port else ()
    return follow(text, Packet(proto, src, address, *ports), **options)


@pytest.mark.parametrize(("to", "proto", "verdict", "at"), [
    ("10.96.0.1:443", "tcp", "FORWARDED", "10.106.175.128:6443"),
    ("10.96.0.1:444", "tcp", "REJECTED", "10.96.0.1:444"),
    ("10.96.0.1:443", "udp", "REJECTED", "10.96.0.1:443"),
    ("10.96.0.1", "icmp", "REJECTED", "10.96.0.1"),
    ("10.96.0.2:443", "tcp", "DROPPED", "10.96.0.2:443"),
    ("10.244.1.7:8080", "tcp", "FORWARDED", "10.244.1.7:8080"),
])
def test_what_becomes_of_a_pods_packet(to: str, proto: str, verdict: str, at: str) -> None:
    found = ask(KUBERNETES, to, proto=proto)
    assert (found.verdict, found.packet.destination, found.masqueraded) == (verdict, at, False)


def test_rules_and_lookups_of_the_articles_packet() -> None:
    found = ask(KUBERNETES, "10.96.0.1:443")
    assert [(one.chain.partition("-2QRH")[0], one.position, one.lookups, one.matched) for one in found.reads] == [
        ("filter-prerouting-pre-dnat", 1, 0, True), ("firewall-check", 1, 1, False),
        ("nat-prerouting", 1, 0, True), ("services", 1, 1, False), ("services", 2, 1, True), ("service", 1, 1, True),
        ("filter-forward", 1, 0, True), ("service-endpoints-check", 1, 1, False),
        ("filter-forward", 2, 0, True), ("cluster-ips-check", 1, 1, False), ("cluster-ips-check", 2, 0, False),
        ("nat-postrouting", 1, 0, True), ("masquerading", 1, 0, False), ("masquerading", 2, 1, False)]
    assert (found.rules, found.lookups) == (14, 7)
    assert "14 rules read, 7 look-ups\n" in str(found)


@pytest.mark.parametrize("src", ["203.0.113.10", "10.106.175.131"])
def test_who_is_no_pod_gets_the_nodes_source(src: str) -> None:
    assert ask(KUBERNETES, "10.96.0.1:443", src=src).masqueraded


def test_each_draw_leads_to_its_endpoint() -> None:
    ends = [ask(table("03-many-endpoints"), "10.96.12.34:80", draw=n).packet.dst for n in range(6)]
    assert ends == [f"10.244.1.{n}" for n in (11, 20, 3, 5, 7, 11)]


def test_an_endpoint_of_the_node_that_calls_itself_is_masqueraded() -> None:
    text = table("10-internal-local")
    assert ask(text, "10.96.12.90:80", src="10.244.0.9").masqueraded
    assert not ask(text, "10.96.12.90:80", src="10.244.0.8").masqueraded


def test_affinity_a_client_that_is_known_goes_where_it_was() -> None:
    text, name = table("05-affinity"), "affinity-2ZOJCDF6-shop/sticky/tcp/http__10.244.3.7/8080"
    known = text.replace("timeout 3h\n\t}\n\n\tchain",
                         "timeout 3h\n\t\telements = { 10.244.1.5 expires 2h59m }\n\t}\n\n\tchain")
    assert read_table(known).sets[name] == {"10.244.1.5": ""}
    assert ask(text, "10.96.12.50:80").packet.destination == "10.244.1.7:8080"
    assert ask(known, "10.96.12.50:80").packet.destination == "10.244.3.7:8080"


def test_no_endpoints_is_refused_and_a_firewall_drops() -> None:
    assert ask(table("04-no-endpoints"), "10.96.12.40:81", proto="udp").verdict == "REJECTED"
    assert ask(table("09-loadbalancer"), "5.6.7.8:80").verdict == "DROPPED"
    allowed = ask(table("09-loadbalancer"), "5.6.7.8:80", src="203.0.113.10")
    assert allowed.verdict == "FORWARDED" and allowed.masqueraded


def test_a_nodeport_of_this_node() -> None:
    found = ask(table("06-nodeport"), "10.106.175.128:30080", src="203.0.113.10", local=MASTER, draw=1)
    assert (found.packet.destination, found.masqueraded) == ("10.244.1.7:8080", True)


FIRST_CHAIN, SECOND_CHAIN = ("\tchain nat-prerouting {\n\t\ttype nat hook prerouting priority dstnat",
                             "\tchain nat-second {\n\t\ttype nat hook prerouting priority dstnat + 1")


@pytest.mark.parametrize(("to", "at"), [("10.96.0.1:443", "10.106.175.128:6443"), ("10.96.0.1:444", "10.244.1.7:81")])
def test_a_second_nat_chain_is_asked_when_the_first_translated_nothing(to: str, at: str) -> None:
    rule = "ip daddr 10.96.0.0-10.96.0.1 meta l4proto tcp dnat to 10.244.1.7:81"
    second = f"{SECOND_CHAIN}; policy accept;\n\t\t{rule}\n\t}}\n\n{FIRST_CHAIN}"
    assert ask(KUBERNETES.replace(FIRST_CHAIN, second), to).packet.destination == at


def test_the_service_range_that_holds_the_endpoint() -> None:
    wide = KUBERNETES.replace("10.96.0.0/16", "10.96.0.0/12")
    assert ask(wide, "10.96.0.1:443").verdict == "DROPPED"
    assert ask(wide, "10.96.0.1:443", src=MASTER[0], local=MASTER, from_node=True).verdict == "DROPPED"
    assert ask(wide, "10.96.0.1:443", src="10.244.0.2", local=MASTER).verdict == "DELIVERED"     # by INPUT


def test_a_node_that_reaches_itself_passes_prerouting_and_input_too() -> None:
    found = ask(KUBERNETES, "10.96.0.1:443", src=MASTER[0], local=MASTER, from_node=True)
    assert found.verdict == "DELIVERED"
    assert list(dict.fromkeys(one.at for one in found.reads)) == ["output", "postrouting", "prerouting", "input"]
    assert [one.chain for one in found.reads].count("services") == 2         # its two rules, read once


@pytest.mark.parametrize("name", RECORDED)
def test_every_rule_that_was_recorded_can_be_read(name: str) -> None:
    text = (FOLDER / name).read_text()
    read = read_table(text)
    asked = set()
    targets = [target.split(" . ") for target in read.sets["service-ips"]]
    targets += [[MASTER[0], *target.split(" . ")] for target in read.sets["service-nodeports"]]
    for address, proto, port in targets:
        for src in ("10.244.1.5", "203.0.113.10", MASTER[0]):
            for draw in range(5):
                found = follow(read, Packet(proto, src, address, 40000, int(port)), local=MASTER,
                               from_node=src in MASTER, draw=draw)
                asked |= {(one.chain, one.position) for one in found.reads}
    service_rules = {(chain.name, n) for chain in read.chains.values() for n in range(1, len(chain.rules) + 1)
                     if chain.name.startswith(("service-", "local-", "external-", "endpoint-", "firewall-"))}
    unread = {position for _, position in service_rules - asked}
    assert service_rules and not unread, sorted(service_rules - asked)


@pytest.mark.parametrize(("old", "new", "words"), [
    ("table ip kube-proxy {", "*nat", "begins with `table ip kube-proxy {`"),
    ("goto service-2QRHZV4L", "goto service-X", "service-ips, element 10.96.0.1 . tcp . 443: there is no chain"),
    ("tcp . 443 : goto", "tcp . 443 : fly", "is no verdict"),
    ("tcp . 443 : goto service-2QRHZV4L-default/kubernetes/tcp/https", "tcp . 443", "has a verdict after"),
    ("443 : goto ", "443 : drop, 10.96.0.1 . tcp . 443 : goto ", "is there twice"),
    ("\t\treject\n\t}", "\t\treject", "has no end"),
    ("ct state new jump firewall-check", "ct state new tcp flags syn jump firewall-check", "cannot tell what `tcp fla"),
    ("jump services", "jump servces", "there is no chain servces"),
    ("vmap @service-ips", "vmap @service-ip", "there is no set or map service-ip"),
    ("priority srcnat", "priority late", "priority late is not known"),
    ("hook forward", "hooked forward", "does not say type, hook and priority"),
    ("policy accept", "policy drop", "policy drop is none of kube-proxy's"),
    ("ip saddr != 10.244.0.0/16", 'iifname != "br0"', "the interface that the packet came in on is not known"),
    ("ip saddr != 10.244.0.0/16", "ip saddr != 10.244.0.0/99", "cannot tell whether"),
    ("10.106.175.128 . 6443 }", "10.106.175.128 }", "`10.106.175.128` is no address and port"),
    ("10.106.175.128 . 6443 }", "10.106.175 . 6443 }", "`10.106.175 . 6443` is no address and port"),
    ("10.106.175.128 . 6443 }", "10.106.175.128 . 70000 }", "is no address and port"),
    ("{ 0 : 10.106.175.128 . 6443 }", "{ 10.106.175.128 }", "a number, ` : ` and what it leads to"),
    ("vmap @firewall-ips", "vmap @firewall-ips jump firewall-check", None),
    ("\t\tip daddr . meta l4proto . th dport vmap @firewall-ips", "\t\tjump firewall-check", "more than 16 jumps"),
    ("\t\tip daddr . meta l4proto . th dport vmap @firewall-ips", "\t\tgoto firewall-check", "or a loop, which"),
    ("= { 10.96.0.1 }", "= 10.96.0.1", "cluster-ips: elements stand in braces: elements = { a, b }"),
    ("= { 10.96.0.1 }", "= { 10.96.0.1", "cluster-ips: elements stand in braces: elements = { a, b }"),
    ("= { 10.96.0.1 }", "= { }", "cluster-ips: elements stand in braces: elements = { a, b }"),
    ("{ 10.96.0.1 }", "{ 10.96.0.1 10.96.0.10 }", "`10.96.0.1 10.96.0.10` is no ipv4_addr: elements are set apart"),
    ("{ 10.96.0.1 }", "{ 10.96.0.0/28 }", "`10.96.0.0/28` is no ipv4_addr: this set is of single ones"),
    ("{ 10.96.0.1 }", "{ 10.96.0.1-10.96.0.9 }", "is no ipv4_addr: this set is of single ones, without `"),
    ("{ 10.96.0.1 }", "{ 10.96.0 }", "`10.96.0` is no ipv4_addr: no packet has it"),
    ("{ 10.96.0.1 }", "{ 10.96.0.1 : drop }", "one of a set has none"),
    ("1 . tcp . 443 :", "1 . tcp . 70000 :", "1 . tcp . 70000`: No packet has this key. The map"),
    ("1 . tcp . 443 :", "1 . Tcp . 443 :", "its parts: address, protocol, port, set apart by ` . `."),
    ("1 . tcp . 443 :", "1 . 300 . 443 :", "No packet has this key"),
    ("type ipv4_addr\n", "type ether_addr\n", "its keys are made of ipv4_addr, inet_proto, inet_service"),
])
def test_what_cannot_be_told_is_said(old: str, new: str, words: str | None) -> None:
    assert old in KUBERNETES
    text = KUBERNETES.replace(old, new)
    if words is None:
        assert ask(text, "10.96.0.1:443").verdict == "FORWARDED"
        return
    with pytest.raises(NftError) as told:
        ask(text, "10.96.0.1:443")
    assert words in str(told.value)


@pytest.mark.parametrize("key", ["10.96.0.1 . TCP . 0x1bb", "10.96.0.1 . 6 . https", "10.96.0.1 . 0x6 . 443"])
def test_nfts_other_words_for_a_key(key: str) -> None:
    assert ask(KUBERNETES.replace("10.96.0.1 . tcp . 443", key), "10.96.0.1:443").packet.dst == MASTER[0]


def test_a_comma_behind_the_last_element_and_one_in_a_comment() -> None:
    text = KUBERNETES.replace("{ 10.96.0.1 }", '{ 10.96.0.1 comment "a, b", 10.96.0.10, }')
    assert set(read_table(text).sets["cluster-ips"]) == {"10.96.0.1", "10.96.0.10"}


@pytest.mark.parametrize("text", [None, 42, "", "table ip kube-proxy {\n\thello\n}"])
def test_no_text_at_all(text: object) -> None:
    with pytest.raises(NftError):
        read_table(text)


@pytest.mark.parametrize(("word", "verdict"), [("goto", "FORWARDED"), ("jump", "DROPPED")])
def test_goto_does_not_come_back(word: str, verdict: str) -> None:
    text = KUBERNETES.replace("\t\tjump masquerading", "\t\tjump first").replace(
        "\tchain masquerading", f"\tchain first {{\n\t\t{word} second\n\t\tdrop\n\t}}\n\n\tchain second {{\n\t}}\n\n"
        "\tchain masquerading")
    assert ask(text, "10.96.0.1:443").verdict == verdict


def test_interfaces_are_known_where_they_are_said() -> None:
    text = KUBERNETES.replace("ip saddr != 10.244.0.0/16", 'iifname != "veth*"')
    assert not ask(text, "10.96.0.1:443", iif="veth-client").masqueraded
    assert ask(text, "10.96.0.1:443", iif="eth0").masqueraded
    assert ask(text, "10.96.0.1:443", src=MASTER[0], local=MASTER, from_node=True).masqueraded

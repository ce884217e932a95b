"""Tables: the twin is aligned and says what the HTML says, and the HTML is what a sanitiser keeps."""

from __future__ import annotations

import re
from fractions import Fraction
from html.parser import HTMLParser

import pytest

from k8slab.iptables import MATCHES, parse, read_rule
from k8slab.lab import Lab, kube_proxy_rules
from k8slab.model.dump import Question
from k8slab.packet import Flow, Packet
from k8slab.show.grid import GAP, INDENT, Column, Folded, Table
from k8slab.iptables.said import asks, does
from k8slab.show.shares import endpoints
from k8slab.show.tables import endpoints_table, entries_table, packets_table, rules_table, share_text
from k8slab.entry import Entry
from k8slab.wire import seen_on
from tests.model.labs import model, syn
from tests.show.journeys import journey
from tests.show.reading import Reader

DUMPS = ("01-kubernetes", "03-many-endpoints", "05-affinity", "06-nodeport", "08-externalip", "20-hints",
         "24-externalip-local", "27-lb-no-endpoints")
WEB = "KUBE-SVC-67NZLRHBNDSAWJRO"
# What JupyterLab's sanitiser keeps in a notebook that is not trusted (apputils, sanitizer.ts), of what is here.
TAGS = {"table", "caption", "strong", "thead", "tbody", "tfoot", "tr", "th", "td", "code", "details", "summary",
        "nobr", "wbr"}
ATTRIBUTES = {"scope", "colspan", "style"}
STYLES = {"text-align", "vertical-align", "padding", "font-weight", "font-size", "background"}


def dump(name: str) -> str:
    return kube_proxy_rules(f"{name}.iptables-save")


def icmp(source: str, destination: str, kind: int) -> Flow:
    return Flow("icmp", source, destination, icmp_type=kind, icmp_code=0, icmp_id=7)


def tables() -> dict[str, Table]:
    """One table of each kind, and of each shape that a kind has."""
    text, trace = dump("03-many-endpoints"), journey("connection")
    counted = "*nat\n:PREROUTING ACCEPT [5:300]\n[12345:678] -A PREROUTING -p tcp -j RETURN\nCOMMIT\n"
    ping = icmp("10.244.1.5", "10.244.1.7", 8)
    return {"rules": rules_table(text, WEB), "one rule": rules_table(text, "KUBE-MARK-MASQ"),
            "counted": rules_table(counted, "PREROUTING"), "none": rules_table(text, "KUBE-NODEPORTS"),
            "filter": rules_table(text, "KUBE-FIREWALL", "filter"), "cut": rules_table(text, WEB, limit=2),
            "endpoints": endpoints_table(text, "shop/web"), "all endpoints": endpoints_table(text),
            "entries": entries_table(trace.entries), "no entries": entries_table(()),
            "ping": entries_table([Entry(ping, ping.reply, mark=0x4000)]),
            "packets": packets_table(trace), "nowhere": packets_table(trace, "worker1", "eth9")}


TABLES = tables()


class Strict(HTMLParser):
    """Raises AssertionError where elements are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag != "wbr":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def words_of(cell: str | Folded) -> list[str]:
    return [cell.line, cell.code] if isinstance(cell, Folded) else [cell]


@pytest.mark.parametrize("name", TABLES)
def test_columns_of_the_twin_are_aligned(name: str) -> None:
    table = TABLES[name]
    caption, heads, rule, *lines = str(table).split("\n")
    assert caption == table.caption
    starts = [0] + [match.end() for match in re.finditer(GAP, rule)]
    ends = [match.start() for match in re.finditer(GAP, rule)] + [len(rule)]
    assert set(rule) <= {"-", " "} and len(starts) == len(table.columns)
    assert [heads[a:b].strip() for a, b in zip(starts, ends)] == [column.name for column in table.columns]
    body = [line for line in lines if not line.startswith(INDENT + "-A ")][:len(lines) - len(table.notes)]
    body = body[:-len(table.notes)] if table.notes else body
    for line in body:
        for gap in ends[:-1]:
            assert line[gap:gap + len(GAP)].strip() == ""
    for i, column in enumerate(table.columns):
        if column.number:
            cells = [line[:ends[i]] for line in body if line[starts[i]:ends[i]].strip()]
            assert len(cells) >= len(table.rows) and all(cell[-1] != " " for cell in cells)


@pytest.mark.parametrize("name", TABLES)
def test_twin_and_html_say_every_cell_and_note(name: str) -> None:
    table = TABLES[name]
    html = Reader(table.html).text.replace("\u200b", "")
    twin = str(table)
    for words in (table.caption, *table.notes, *(column.name for column in table.columns)):
        assert words in html and words in twin
    for row in table.rows:
        assert len(row) == len(table.columns)
        for words in (words for cell in row for words in words_of(cell)):
            assert " ".join(words.split()) in html
            assert all(word in twin for word in words.split())
    assert table._repr_mimebundle_() == {"text/plain": twin, "text/html": table.html} and repr(table) == twin


@pytest.mark.parametrize("name", TABLES)
def test_html_is_a_real_table_of_what_a_sanitiser_keeps(name: str) -> None:
    table = TABLES[name]
    Strict(table.html)
    elements = Reader(table.html).elements
    tags = [tag for tag, _ in elements]
    assert set(tags) <= TAGS and tags[:2] == ["table", "caption"] and tags.count("caption") == 1
    scopes = [attributes["scope"] for tag, attributes in elements if tag == "th"]
    assert scopes == ["col"] * len(table.columns) + ["row"] * len(table.rows)
    assert tags.count("td") == len(table.rows) * (len(table.columns) - 1) + len(table.notes)
    for _, attributes in elements:
        assert set(attributes) <= ATTRIBUTES
        names = re.findall(r"([\w-]+):", attributes.get("style", ""))
        assert set(names) <= STYLES


def test_html_keeps_markup_in_words_from_becoming_markup() -> None:
    rows = ((Folded("<u>", "-A X --comment <script>"), "<em>"), ("<a>:80", ""))
    table = Table("<b>", (Column("<i>", code=True), Column("<q>")), rows, ("<s>",))
    Strict(table.html)
    assert {tag for tag, _ in Reader(table.html).elements} <= TAGS
    said = Reader(table.html).text
    assert all(f"<{word}>" in said for word in ("b", "i", "q", "u", "script", "em", "a", "s"))


def test_a_rule_is_its_tests_in_words_its_target_and_its_text() -> None:
    row = TABLES["rules"].rows[0]
    assert row[0] == "1" and row[2:] == ("jump KUBE-MARK-MASQ", "shop/web:http cluster IP")
    assert row[1].line == ("source address not in 10.244.0.0/16, destination address 10.96.12.34, protocol tcp, "
                           "destination port 80")
    assert row[1].code == parse(dump("03-many-endpoints"))["nat"][WEB].rules[0].text
    assert [column.name for column in TABLES["rules"].columns] == ["Rule", "When", "Then", "Comment"]


def test_packets_are_shown_where_they_were_counted() -> None:
    table = TABLES["counted"]
    assert [column.name for column in table.columns] == ["Rule", "Packets", "When", "Then"]
    assert table.rows[0][1] == "12,345"
    assert table.notes == ("A packet that no rule ends meets the chain's policy: ACCEPT (5 packets).",)


def test_a_long_chain_is_cut_and_says_so() -> None:
    rules = "".join(f"-A A -d 10.96.{n // 250}.{n % 250}/32 -j DROP\n" for n in range(1000))
    table = rules_table(f"*filter\n:A - [0:0]\n{rules}COMMIT\n", "A", "filter")
    assert len(table.rows) == 200 and table.notes[0] == "… and 800 rows more, not shown."
    assert table.caption.endswith("1,000 rules") and len(table.html) < 250_000


# A rule for each match, and what is said of it.
SAID = {
    "-p tcp -m tcp ! --dport 80:90 --tcp-flags SYN,ACK SYN":
        "protocol tcp, destination port not in 80:90, TCP flags SYN out of SYN,ACK",
    "-p udp -m udp --sport 53": "protocol udp, source port 53",
    "-p sctp -m sctp --dport 9": "protocol sctp, destination port 9",
    "-p tcp -m multiport --dports 80,443": "protocol tcp, destination port in 80,443",
    "-p icmp -m icmp --icmp-type 8": "protocol icmp, ICMP type 8",
    "-m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.0.1.1":
        "source address in 10.0.0.1-10.0.0.9, destination address not in 10.0.1.1-10.0.1.1",
    "-m comment --comment \"a word\"": "every packet",
    "-m conntrack ! --ctstate NEW": "conntrack state not NEW",
    "-m state --state NEW": "conntrack state NEW",
    "-m mark ! --mark 0x4000/0x4000": "mark not 0x4000/0x4000",
    "-m connmark --mark 0x1": "connection's mark 0x1",
    "-m addrtype --dst-type LOCAL ! --src-type LOCAL":
        "source address not of type LOCAL, destination address of type LOCAL",
    "-m statistic --mode random --probability 0.33333333349": "by chance, 0.33333333349",
    "-m statistic --mode nth --every 3 --packet 1": "1 in 3 packets, counting from 1",
    "-m recent --rcheck --seconds 60 --name A": "source address in list A in the last 60 seconds",
    "-m recent --set --name A": "writes the source address in list A",
    "-m recent ! --update --hitcount 4 --name A": "renews the source address not in list A seen 4 times",
    "-m physdev ! --physdev-is-bridged": "not bridged",
    "-m nfacct --nfacct-name drops": "every packet, counted in drops",
    "-m limit --limit 5/min": "at most 5/min in bursts of 5",
    "-i veth+ ! -o eth0": "incoming interface veth+, outgoing interface not eth0",
    "-m u32 --u32 0=0": "u32 --u32 0=0 (not modelled)",
}


@pytest.mark.parametrize("words", SAID)
def test_tests_in_words(words: str) -> None:
    assert asks(read_rule(f"-A X {words} -j ACCEPT")) == SAID[words]


def test_every_match_that_is_modelled_has_words() -> None:
    tried = {word for words in SAID for word in re.findall(r"-m (\w+)", words)}
    assert tried - {"u32"} == set(MATCHES)


@pytest.mark.parametrize(("words", "said"), {
    "-j RETURN": "RETURN", "-g AWAY": "goto AWAY", "-j AWAY": "jump AWAY", "": "only counts",
    "-p tcp -j DNAT --to-destination 10.0.0.1:80": "DNAT to:10.0.0.1:80",
    "-j MASQUERADE --random-fully": "MASQUERADE random-fully",
    "-j MARK --set-xmark 0x4000/0x4000": "MARK or 0x4000",
    "-j REJECT": "REJECT reject-with icmp-port-unreachable"}.items())
def test_targets_in_words(words: str, said: str) -> None:
    assert does(read_rule(f"-A X {words}".strip())) == said


@pytest.mark.parametrize(("name", "chain", "address", "port"), [
    ("03-many-endpoints", WEB, "10.96.12.34", 80), ("05-affinity", "KUBE-SVC-25FJTMN2OLOPNGWS", "10.96.12.50", 80),
    ("01-kubernetes", "KUBE-SVC-NPX46M4PTMTKRN6Y", "10.96.0.1", 443)])
def test_shares_are_those_of_every_way_chance_can_fall(name: str, chain: str, address: str, port: int) -> None:
    rules = parse(dump(name))
    packet = Packet("tcp", "10.244.9.9", address, 40000, port)
    ways = {trace.received.destination: probability for probability, trace in
            Question(rules, packet, iif="veth0", oif="eth0").outcomes()}
    assert {end.address: end.share for end in endpoints(rules["nat"], rules["nat"][chain])} == ways
    assert sum(ways.values()) == 1


@pytest.mark.parametrize("name", DUMPS)
def test_shares_add_up_to_one_for_every_service(name: str) -> None:
    nat = parse(dump(name))["nat"]
    shared = [ends for chain in nat.chains if (ends := endpoints(nat, chain))]
    assert shared and all(sum(end.share for end in ends) == 1 for ends in shared)


def test_endpoints_table_says_each_endpoint_its_share_and_its_rule() -> None:
    table = TABLES["endpoints"]
    assert table.rows[0] == ("10.244.1.11:8080", "about 1/5, 20.00000002%", "2", "0.20000000019",
                             "KUBE-SEP-EPVTA2RHFPHQF37H")
    assert [row[3] for row in table.rows][1:] == ["0.25000000000", "0.33333333349", "0.50000000000", "the rest"]
    for service in ("shop/web:http", WEB):
        assert endpoints_table(dump("03-many-endpoints"), service).rows == table.rows
    assert {row[0] for row in TABLES["all endpoints"].rows} == {"shop/web:http", "default/kubernetes:https"}


def test_shares_of_counting_and_negated_rules() -> None:
    ends = "".join(f":E{n} - [0:0]\n-A E{n} -p tcp -j DNAT --to-destination 10.0.0.{n}:80\n" for n in (1, 2, 3))
    nat = parse(f"*nat\n:S - [0:0]\n{ends}-A S -m statistic --mode nth --every 3 --packet 0 -j E1\n"
                "-A S -m statistic --mode random ! --probability 0.25 -j E2\n-A S -j E3\nCOMMIT\n")["nat"]
    assert [end.share for end in endpoints(nat, nat["S"])] == [Fraction(1, 3), Fraction(1, 2), Fraction(1, 6)]
    assert [end.chance for end in endpoints(nat, nat["S"])] == ["1 in 3", "all but 0.25000000000", ""]


@pytest.mark.parametrize(("share", "said"), [
    (Fraction(1), "1"), (Fraction(1, 2), "1/2"), (Fraction(715827883, 2**31), "about 1/3"),
    (Fraction(271828, 10**6), "0.271828")])
def test_a_share_is_a_fraction_only_where_one_is_near(share: Fraction, said: str) -> None:
    assert share_text(share) == said


@pytest.mark.parametrize(("make", "said"), [
    (lambda text: rules_table(text, "KUBE-NOPE"), r"no chain KUBE-NOPE in table nat; there are PREROUTING, .* more"),
    (lambda text: rules_table(text, "INPUT", "raw"), r"no table raw; there are mangle, filter, nat"),
    (lambda text: rules_table("-A", "X"), r"-A"),
    (lambda text: endpoints_table(text, "shop/nope"), r"shop/nope; there are default/kubernetes:https, shop/web:http"),
    (lambda text: endpoints_table(text.replace(f"-A {WEB} -m comment", f"-A {WEB} -s 10.0.0.1/32 -m comment"),
                                  "shop/web"), r"rule 2 is no matter of chance alone: source address 10.0.0.1"),
    (lambda text: packets_table(journey("ping"), interface="eth0"), r"which node's eth0\?")])
def test_what_cannot_be_shown_is_refused(make, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make(dump("03-many-endpoints"))


def test_entries_say_what_is_translated() -> None:
    flow = Flow("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)
    back = Flow("tcp", "10.106.175.128", "10.106.175.131", 6443, 31234)
    table = entries_table([Entry(flow, back, "ESTABLISHED", True, True, True, timeout=432000)])
    assert table.rows == (("tcp ESTABLISHED [ASSURED]", "10.244.1.5:40000 > 10.96.0.1:443",
                           "10.106.175.128:6443 > 10.106.175.131:31234",
                           "source 10.244.1.5:40000 to 10.106.175.131:31234 and "
                           "destination 10.96.0.1:443 to 10.106.175.128:6443", "432,000"),)
    assert TABLES["ping"].rows == (("icmp [UNREPLIED] not confirmed yet", "10.244.1.5 > 10.244.1.7 type 8 code 0 id 7",
                                    "10.244.1.7 > 10.244.1.5 type 0 code 0 id 7", "nothing", "0", "0x4000"),)


def test_entries_name_their_nodes_and_leave_timeouts_out_when_asked() -> None:
    entries = journey("connection").entries
    assert [row[0] for row in TABLES["entries"].rows] == [node for node, _ in entries]
    bare = entries_table(entries, timeouts=False)
    assert "Seconds left" in str(TABLES["entries"]) and "Seconds left" not in str(bare)
    assert [row[:-1] for row in TABLES["entries"].rows] == list(bare.rows)
    assert entries_table(Lab("model").entries("worker1")).rows == ()


def test_packets_are_those_that_a_capture_sees() -> None:
    trace = journey("connection")
    on_wire = packets_table(trace, "worker1", "eth0")
    assert [int(row[-1]) for row in on_wire.rows] == [step.number for step in seen_on(trace, "worker1", "eth0")]
    both = {int(row[-1]) for row in packets_table(trace, "worker1").rows}
    assert both == {s.number for name in ("eth0", "veth-client") for s in seen_on(trace, "worker1", name)}
    assert [int(row[-1]) for row in packets_table(trace).rows] == [s.number for s in trace.steps if s.kind == "LEAVE"]
    assert on_wire.rows[0][1:6] == ("out on eth0", "10.244.1.5:40000", "10.106.175.128:6443", "SYN [S]", "0")


def test_a_capture_of_nothing_says_where_packets_were() -> None:
    dropped = model(filter="-A FORWARD -j DROP").send(syn(), "client")
    assert packets_table(dropped, "worker1", "eth0").notes == (
        "The journey's packets were on client eth0, worker1 veth-client.",)
    assert TABLES["nowhere"].caption == "Packets on worker1 eth9: 0 packets"

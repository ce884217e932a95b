"""Does a packet hit? Every match, hit and missed, with the words that a learner reads."""

import pytest
from hypothesis import given, settings

from k8slab.iptables import MATCHES, CannotTell, Context, Miss
from k8slab.iptables.reading import read_rule
from k8slab.packet import UNKNOWN, Flow, Packet
from tests.iptables import real
from tests.iptables.rules_strategy import rules

SYN = Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)
PING = Packet("icmp", "10.244.1.5", "10.96.0.1")
ENTRY = Flow("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)
REPLY = Flow("tcp", "10.106.175.128", "10.244.1.5", 6443, 40000)
TYPES = {"10.96.0.1": "UNICAST", "10.244.1.5": "LOCAL"}
PLACE = ("nat", "KUBE-SERVICES", 1)
NODE = {"iif": "veth1",
    "oif": "eth0",
    "mark": 0x4000,
    "ctstate": "NEW",
    "ctdir": "ORIGINAL",
    "original": ENTRY,
    "reply": REPLY,
    "connmark": 7,
    "address_type": lambda address,
    interface: TYPES[address],
    "draw": lambda threshold: 2**30,
    "ctstatus": frozenset({"DNAT",
    "CONFIRMED"}),
    "physin": "tap0",
    "physout": "",
     "now": 100.0}


def check(words, packet=SYN, **fields):
    return read_rule(f"-A X {words}").check(Context(packet, **NODE | fields), PLACE)


# Words of a rule that hits, words of one that misses, and what the miss says.
CASES = [
    ("-s 10.244.1.5", "-s 10.244.1.6", "source address 10.244.1.5 is not 10.244.1.6"),
    ("-s 10.244.0.0/16", "! -s 10.244.0.0/16", "source address 10.244.1.5 is in 10.244.0.0/16"),
    ("-d 10.96.0.1", "-d 10.96.0.10", "destination address 10.96.0.1 is not 10.96.0.10"),
    ("-d 10.0.0.1/255.0.0.255", "-d 10.0.0.2/255.0.0.255",
     "destination address 10.96.0.1 is not in 10.0.0.2/255.0.0.255"),
    ("! -d 10.97.0.0/16", "-d 10.97.0.0/16", "destination address 10.96.0.1 is not in 10.97.0.0/16"),
    ("-i veth1", "-i eth0", "incoming interface veth1 is not eth0"),
    ("-i veth+", "! -i veth+", "incoming interface veth1 is veth+"),
    ("-o eth+", "-o cni0", "outgoing interface eth0 is not cni0"),
    ("-p tcp", "-p udp", "protocol tcp is not udp"),
    ("! -p 17", "! -p 6", "protocol tcp is tcp"),
    ("! -f", "-f", "fragment no is not yes"),
    ("-p tcp --dport 443", "-p tcp --dport 80", "destination port 443 is not 80"),
    ("-p tcp --dport 440:450", "-p tcp ! --dport 440:450", "destination port 443 is in 440:450"),
    ("-p tcp --sport 1024:", "-p tcp --sport :1023", "source port 40000 is not in 0:1023"),
    ("-p tcp --syn", "-p tcp ! --syn", "TCP flags SYN is SYN out of FIN,SYN,RST,ACK"),
    ("-p tcp --tcp-flags ALL SYN", "-p tcp --tcp-flags SYN,ACK ACK",
     "TCP flags SYN is not ACK out of SYN,ACK"),
    ("-p tcp -m multiport --dports 80,443", "-p tcp -m multiport --dports 80,8000:8010",
     "destination port 443 is not in 80,8000:8010"),
    ("-p tcp -m multiport --ports 443", "-p tcp -m multiport ! --ports 40000",
     "one of the ports 40000 and 443 is in 40000"),
    ("-p tcp -m multiport --sports 40000", "-p tcp -m multiport --sports 1", "source port 40000 is not in 1"),
    ("-m comment --comment x", "-m comment --comment x -p udp", "protocol tcp is not udp"),
    ("-m conntrack --ctstate NEW", "-m conntrack --ctstate RELATED,ESTABLISHED",
     "conntrack state NEW,DNAT is not RELATED or ESTABLISHED"),
    ("-m conntrack --ctstate DNAT", "-m conntrack ! --ctstate DNAT", "conntrack state NEW,DNAT is DNAT"),
    ("-m conntrack --ctstatus CONFIRMED", "-m conntrack --ctstatus ASSURED",
     "conntrack status CONFIRMED is not ASSURED"),
    ("-m conntrack --ctproto tcp", "-m conntrack --ctproto 17", "connection's protocol tcp is not udp"),
    ("-m conntrack --ctorigsrc 10.244.0.0/16", "-m conntrack --ctorigsrc 10.0.0.1",
     "original source 10.244.1.5 is not 10.0.0.1"),
    ("-m conntrack --ctorigdst 10.96.0.1", "-m conntrack ! --ctorigdst 10.96.0.1",
     "original destination 10.96.0.1 is 10.96.0.1"),
    ("-m conntrack --ctreplsrc 10.106.175.128", "-m conntrack --ctreplsrc 10.96.0.1",
     "reply source 10.106.175.128 is not 10.96.0.1"),
    ("-m conntrack --ctrepldst 10.244.1.5", "-m conntrack --ctrepldst 10.0.0.1",
     "reply destination 10.244.1.5 is not 10.0.0.1"),
    ("-m conntrack --ctproto 6 --ctorigdstport 443", "-m conntrack --ctproto 6 --ctorigdstport 80",
     "original destination port 443 is not 80"),
    ("-m conntrack --ctproto 6 --ctreplsrcport 6443", "-m conntrack --ctproto 6 --ctreplsrcport 443",
     "reply source port 6443 is not 443"),
    ("-m conntrack --ctdir ORIGINAL", "-m conntrack --ctdir REPLY", "direction ORIGINAL is not REPLY"),
    ("-m state --state NEW", "-m state --state ESTABLISHED", "conntrack state NEW is not ESTABLISHED"),
    ("-m mark --mark 0x4000/0x4000", "-m mark ! --mark 0x4000/0x4000", "mark 0x4000 is 0x4000/0x4000"),
    ("-m mark --mark 0x4000", "-m mark --mark 0x1", "mark 0x4000 is not 0x1"),
    ("-m connmark --mark 7", "-m connmark --mark 8/0xf", "connection's mark 0x7 is not 0x8/0xf"),
    ("-m addrtype --src-type LOCAL", "-m addrtype --dst-type LOCAL",
     "type of the destination address 10.96.0.1 UNICAST is not LOCAL"),
    ("-m addrtype ! --dst-type LOCAL,BROADCAST", "-m addrtype ! --dst-type UNICAST",
     "type of the destination address 10.96.0.1 UNICAST is UNICAST"),
    ("-m statistic --mode random --probability 0.6", "-m statistic --mode random --probability 0.5",
     "statistic random: the draw 0.50000000000 is not below 0.50000000000"),
    ("-m statistic --mode nth --every 3 --packet 0", "-m statistic --mode nth --every 3 --packet 1",
     "statistic nth: the packet's number 0 is not 1 (of 0 to 2)"),
    ("-m recent --set --name A", "-m recent --rcheck --seconds 9 --name A",
     "recent source address 10.244.1.5 is not seen in the last 9 seconds in list A"),
    ("-m recent ! --update --name A", "-m recent --remove --rdest --name A",
     "recent destination address 10.96.0.1 is not seen before in list A"),
    ("-m iprange --src-range 10.244.1.5-10.244.1.9", "-m iprange --src-range 10.244.1.6-10.244.1.9",
     "source address 10.244.1.5 is not in 10.244.1.6-10.244.1.9"),
    ("-m iprange ! --dst-range 10.96.0.2-10.97.0.1", "-m iprange ! --dst-range 10.96.0.0-10.96.0.1",
     "destination address 10.96.0.1 is in 10.96.0.0-10.96.0.1"),
    ("-m iprange --dst-range 10.96.0.1", "-m iprange --dst-range 10.96.0.9-10.96.0.0",
     "destination address 10.96.0.1 is not in 10.96.0.9-10.96.0.0"),
    ("-m physdev --physdev-in tap+", "-m physdev --physdev-in tap1", "incoming bridge port tap0 is not tap1"),
    ("-m physdev --physdev-is-in", "-m physdev --physdev-is-out", "goes out by a bridge port no is not yes"),
    ("-m physdev ! --physdev-is-bridged", "-m physdev --physdev-out eth0",
     "outgoing bridge port (none) is not eth0"),
    ("-m nfacct --nfacct-name a", "-m nfacct --nfacct-name a -p udp", "protocol tcp is not udp"),
    ("-m limit --limit 1/s", "-m limit --limit 1/s -p udp", "protocol tcp is not udp"),
]


@pytest.mark.parametrize(("hits", "misses", "said"), CASES, ids=[case[1] for case in CASES])
def test_hit_and_miss(hits, misses, said):
    assert check(hits) is None
    miss = check(misses)
    assert isinstance(miss, Miss) and str(miss) == said


def test_every_match_is_tried():
    words = " ".join(word for case in CASES for word in case[:2]) + " -m tcp -m udp -m sctp -m icmp"
    assert {name for name in MATCHES if f"-m {name}" in words} == set(MATCHES)


def test_the_values_of_a_miss():
    miss = check("! -s 10.244.0.0/16")
    assert (miss.test, miss.wanted, miss.found) == ("source address", "not 10.244.0.0/16", "10.244.1.5")


@pytest.mark.parametrize(("words", "packet", "hits"), [
    ("-p icmp --icmp-type echo-request", PING, True), ("-p icmp --icmp-type 8/1", PING, False),
    ("-p icmp --icmp-type any", PING, True), ("-p icmp ! --icmp-type 3", PING, True),
    ("-p udp --dport 53", Packet("udp", "10.0.0.1", "10.0.0.2", 1, 53), True),
    ("-p udp ! --dport 53", Packet("udp", "10.0.0.1", "10.0.0.2", 1, 53), False),
    ("-p sctp --sport 1", Packet("sctp", "10.0.0.1", "10.0.0.2", 1, 53), True),
    ("-p 47", Packet("47", "10.0.0.1", "10.0.0.2"), True),
])
def test_other_protocols(words, packet, hits):
    assert (check(words, packet) is None) == hits


@pytest.mark.parametrize(("words", "fields", "reason"), [
    ("-i eth0", {"iif": None}, "--in"), ("-o eth0", {"oif": None}, "--out"),
    ("-m conntrack --ctstate NEW", {"ctstate": None}, "conntrack entry"),
    ("-m conntrack --ctorigdst 10.0.0.1", {"original": None}, "conntrack entry"),
    ("-m addrtype --dst-type LOCAL", {"address_type": lambda address, interface: None}, "--local"),
    ("-m addrtype --dst-type LOCAL --limit-iface-in", {"iif": None}, "--in"),
    ("-m statistic --mode random --probability 0.5", {"draw": None}, "--seed"),
    ("-m physdev --physdev-in eth0", {"physin": None}, "bridge"),
    ("-p tcp --tcp-option 5", {}, "not modelled"), ("-m conntrack --ctexpire 5", {}, "not supported"),
    ("-m set --match-set A src", {}, "the match set is not modelled"),
    ("-s 10.0.0.0/8", {"packet": SYN.replace(src=UNKNOWN)}, "masqueraded"),
    ("-m recent --set", {"packet": SYN.replace(src=UNKNOWN)}, "not known"),
    ("-m addrtype --src-type LOCAL", {"packet": SYN.replace(src=UNKNOWN)}, "--local"),
])
def test_what_cannot_be_told_says_why(words, fields, reason):
    fields = dict(fields)
    answer = check(words, fields.pop("packet", SYN), **fields)
    assert isinstance(answer, CannotTell) and reason in answer.reason


def test_a_certain_miss_wins_over_what_cannot_be_told_and_nothing_is_remembered_then():
    memory = {}
    assert isinstance(check("-i eth0 -m recent --set -p udp", iif=None, memory=memory), Miss)
    assert isinstance(check("-i eth0 -m recent --set -m mark --mark 1", iif=None, memory=memory), Miss)
    assert isinstance(check("-i eth0 -m recent --set", iif=None, memory=memory), CannotTell)
    assert isinstance(check("-p udp -m recent --set", memory=memory), Miss)
    assert memory == {}
    assert check("-m recent --set", memory=memory) is None and memory


def test_without_an_entry_only_the_state_is_compared():
    assert check("-m conntrack --ctstate INVALID --ctorigdst 1.1.1.1",
                 ctstate="INVALID", original=None) is None
    miss = check("-m conntrack ! --ctorigdst 1.1.1.1", ctstate="UNTRACKED", original=None)
    assert isinstance(miss, Miss) and "no conntrack entry" in str(miss)


def test_limit_iface_asks_the_interface():
    asked = []
    check("-m addrtype --dst-type LOCAL --limit-iface-out",
     address_type=lambda *given: asked.append(given) or "LOCAL")
    assert asked == [("10.96.0.1", "eth0")]


def hits_of(rule, times, memory, packets=None):
    """Which of the packets at some times hit."""
    rule = read_rule(f"-A X {rule}")
    packets = packets or [SYN] * len(times)
    return [rule.check(Context(packet, **NODE | {"now": now, "memory": memory}), PLACE) is None
            for now, packet in zip(times, packets)]


def test_nth_counts_from_its_first_packet():
    assert hits_of("-m statistic --mode nth --every 3 --packet 0", range(6), {}) == [True, False, False] * 2
    assert hits_of("-m statistic --mode nth --every 3 --packet 2", range(6), {}) == [False, False, True] * 2
    assert hits_of("-m statistic --mode nth ! --every 3 --packet 0", range(3), {}) == [False, True, True]


def test_limit_is_a_bucket_that_fills_up():
    assert hits_of("-m limit --limit 1/s --limit-burst 3", [0, 0, 0, 0, 0.5, 1, 1.5, 9, 9, 9, 9], {}) == [
        True, True, True, False, False, True, False, True, True, True, False]
    memory = {}
    rule = read_rule("-A X -m limit --limit 2/s --limit-burst 1")
    answers = [rule.check(Context(SYN, now=now, memory=memory), PLACE) for now in (0, 0.25)]
    assert str(answers[1]) == "limit: the credit 0.50 is not 1 packet or more (avg 2/sec burst 1)"


def test_recent_remembers_an_address_for_some_seconds():
    memory = {}
    other = SYN.replace(src="10.244.9.9")
    assert hits_of("-m recent --set --name A", [0], memory) == [True]
    assert hits_of("-m recent --rcheck --seconds 10 --reap --name A",
                   [5, 5], memory, [SYN, other]) == [True, False]
    assert hits_of("-m recent --rcheck --name B", [5], memory) == [False]
    assert hits_of("-m recent --rcheck --seconds 10 --reap --name A", [11, 5], memory) == [False, False]


def test_recent_update_hitcount_mask_and_remove():
    memory = {}
    hits_of("-m recent --set --name A --mask 255.255.255.0", [0], memory)
    near = SYN.replace(src="10.244.1.77")
    rule = "-m recent --update --hitcount 2 --name A --mask 255.255.255.0"
    assert hits_of(rule, [1, 2], memory, [near, near]) == [False, False]
    hits_of("-m recent --set --name A --mask 255.255.255.0", [3], memory)
    assert hits_of(rule, [4], memory, [near]) == [True]
    assert hits_of("-m recent --remove --name A --mask 255.255.255.0", [5, 6], memory) == [True, False]


def test_recent_keeps_a_hundred_addresses_and_forgets_the_oldest():
    memory = {}
    packets = [SYN.replace(src=f"10.0.0.{last}") for last in range(1, 102)]
    hits_of("-m recent --set", range(101), memory, packets)
    assert hits_of("-m recent --rcheck", [200, 200, 200], memory, [packets[0], packets[1], packets[100]]) == [
        False, True, True]


def test_recent_rttl_wants_the_same_ttl():
    memory = {}
    hits_of("-m recent --set", [0], memory)
    assert hits_of("-m recent --rcheck --rttl", [1, 1], memory, [SYN, SYN.replace(ttl=9)]) == [True, False]


def test_marks_and_ranges_of_targets():
    target = read_rule("-A X -j MARK --xor-mark 0x4000").target
    assert target.new_mark(0x4001) == 1 and target.kind == "mark" and target.new_marks(0x4000, 5) == (0, 5)
    assert read_rule("-A X -j MARK --set-mark 4/3").target.new_mark(0xFF) == 0xFC
    assert read_rule("-A X -j MARK --and-mark 0xf").target.new_mark(0xFF) == 0xF
    assert read_rule("-A X -j CONNMARK --save-mark --mask 0xff").target.new_marks(0x1234,
                     0xABCD) == (0x1234, 0xAB34)
    assert read_rule("-A X -j CONNMARK --restore-mark --mask 0xff").target.new_marks(0x1234,
                     0xABCD) == (0x12CD, 0xABCD)
    assert read_rule("-A X -j CONNMARK --set-mark 7").target.new_marks(1, 2) == (1, 7)
    nat = read_rule("-A X -p tcp -j SNAT --to-source 10.0.0.1-10.0.0.9:80-90 --random-fully").target.nat
    assert (nat.min_address, nat.max_address, nat.min_port, nat.max_port) == ("10.0.0.1", "10.0.0.9", 80, 90)
    assert nat.random_fully and not nat.random and nat.at("1.1.1.1").max_address == "1.1.1.1"
    masquerade = read_rule("-A X -j MASQUERADE").target
    assert masquerade.nat.min_address is None and masquerade.kind == "nat" and masquerade.reject_with is None
    assert read_rule("-A X -j REJECT").target.reject_with == "icmp-port-unreachable"
    assert read_rule(
        "-A X -j CT --notrack").target.notrack and not read_rule("-A X -j CT --zone 1").target.notrack
    assert read_rule("-A X -j TEE --gateway 10.0.0.1").target.kind == "unknown"
    assert read_rule("-A X -g Y").target.kind == "goto" and read_rule("-A X").target is None


@given(rules())
@settings(max_examples=300, deadline=None)
def test_any_rule_can_be_asked(pair):
    rule = read_rule(pair[1])
    for packet in (SYN, PING):
        for fields in (NODE, {}):
            answer = rule.check(Context(packet, **fields), PLACE)
            assert answer is None or isinstance(answer, (Miss, CannotTell))
            assert str(answer)


@pytest.mark.kernel
@pytest.mark.parametrize("match", [
    "-m statistic --mode nth --every 3 --packet 0", "-m statistic --mode nth --every 3 --packet 1",
    "-m statistic --mode nth ! --every 4 --packet 3", "-m limit --limit 1/hour --limit-burst 3",
    "-m recent --rcheck", "-m recent --set", "-m recent ! --set", "-m recent --update --hitcount 3",
    "-m recent --rcheck --seconds 100 --hitcount 2", "-m recent ! --rcheck --hitcount 5"])
def test_memory_is_the_kernel_s(match):
    """Eight packets in a row: which of them hit, there and here. Every second one is put on the list before.

    """
    setting = "-m statistic --mode nth --every 2 --packet 1 -m recent --set"
    text = f"*filter\n-A OUTPUT -p udp {setting}\n-A OUTPUT -p udp {match}\nCOMMIT\n"
    script = """ip link set lo up; iptables-restore
        for i in 1 2 3 4 5 6 7 8; do
            bash -c 'echo >/dev/udp/127.0.0.1/9'; iptables-save -c | tail -3 | head -1
        done"""
    lines = real.inside(script, text).stdout.splitlines()
    counts = [int(line[1:line.index(":")]) for line in lines if "-A OUTPUT" in line]
    theirs = [after > before for before, after in zip([0, *counts], counts)]
    memory, ours = {}, []
    packet = Packet("udp", "127.0.0.1", "127.0.0.1", 40000, 9)
    for _ in range(8):
        context = Context(packet, now=1.0, memory=memory)
        read_rule(f"-A OUTPUT -p udp {setting}").check(context, ("filter", "OUTPUT", 1))
        ours.append(read_rule(f"-A OUTPUT -p udp {match}").check(context, ("filter", "OUTPUT", 2)) is None)
    assert len(theirs) == 8 and ours == theirs

"""Reading by halves, and only what is asked for, held to the reading of every rule word by word."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8slab.iptables import Ruleset, RulesError, parse, text
from k8slab.iptables.halves import Halves
from k8slab.iptables.rule import Rule
from k8slab.lab import kube_proxy_rules
from k8slab.model.chance import Seeded
from k8slab.model.dump import Question
from k8slab.packet import Packet
from tests.iptables.rules_strategy import dumps
from tests.model.services import cluster_text, service

GOLDEN = sorted(path.name for path in (Path(text.__file__).parents[1] / "data/golden").glob("*.iptables-save"))
RULE = tuple(field for field in Rule.__dataclass_fields__)


def told(rules: Ruleset) -> list[object]:
    """Every field of everything, also of what does not count when two rules are compared."""
    return [str(rules), rules.tail] + [
        (table.name, table.comments, chain.name, chain.policy, chain.counters, chain.declared,
         [tuple(getattr(rule, name) for name in RULE) for rule in chain.rules])
        for table in rules.tables for chain in table.chains]


def outcome(given: str, *, plain: bool = False, lazily: bool = False) -> object:
    """What comes of a text: all of it, or the error."""
    with pytest.MonkeyPatch.context() as patch:
        if plain:
            patch.setattr(text.Reader, "_begin", lambda reader: None)
        try:
            rules = parse(given, "some.save", lazily=lazily)
            for table in rules.tables if lazily else ():
                table.check()
        except RulesError as error:
            return str(error)
        return told(rules)             # what was checked can be read


def read_alike(given: str) -> object:
    """A text must come to the same in all three ways."""
    plain = outcome(given, plain=True)
    assert outcome(given) == plain
    assert outcome(given, lazily=True) == plain
    return plain


@pytest.mark.parametrize("name", GOLDEN)
def test_recorded_rules_are_read_alike(name):
    assert len(read_alike(kube_proxy_rules(name))) > 4


@pytest.mark.parametrize("comments", [False, True])
def test_rules_of_many_services_are_read_alike(comments):
    given = cluster_text(210, comments=comments)
    assert len(read_alike(given)) > 1000 and ("10.5.0.38:8080\" -j" in given) == comments
    read_alike("\n".join(f"[{n}:{n * 60}] {line}" if line[:2] == "-A" else line
                         for n, line in enumerate(given.split("\n"))))


@pytest.mark.parametrize("comments", [False, True])
def test_most_rules_are_known_without_the_reader_of_words(monkeypatch, comments):
    """What the halves are for, counted in rules and not in seconds: hardly a rule is read word by word."""
    slow, rests, rest = [], [], Halves._rest
    monkeypatch.setattr(text, "read_rules", lambda *words: slow.append(words))
    monkeypatch.setattr(Halves, "_rest", lambda halves, words: rests.append(words) or rest(halves, words))
    rules = parse(cluster_text(210, comments=comments))
    assert not slow and 5 < len(rests) < 40
    told(rules)
    assert len(rests) < 40


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(dumps())
def test_any_rules_are_read_alike(given):
    read_alike(given)


# What a rule is cut into and put together from again, so that most are wrong and some are right.
SCRAPS = ("-s 10.0.0.1/32", "! -s 10.0.0.0/8", "-s 10.0.0.1,10.0.0.2", "-d 10.0.0.1", "-d 0.0.0.0/0", "! -d 0.0.0.0/0",
          "-d 010.0.0.1", "-s 10.1", "-d 10.0.0.1/33", "-d 1.2.3.4/255.0.255.0", "-d fd00::1", "-p tcp", "! -p tcp",
          "-p udp -m udp", "-m tcp --dport 80", "--dport 080", "-m tcp --dport 99999", "-i eth0", "-o eth0", "-c 1 2",
          "-m comment --comment \"a -j b\"", "-m comment --comment -j", "-m comment --comment \"",
          "-m comment --comment \"a b\"", "-m comment --comment é", "-m comment --comment x -m tcp",
          "-m comment --comment \"a\"b", "--comment c", "-m string --string \"-m comment --comment x\"", "!", "-f",
          "-m conntrack --ctstate NEW", "-m string --algo bm", "--string x", "-m mark --mark 0x1", "-j ACCEPT", "-j U",
          "-j DNAT --to-destination 10.0.0.1:80", "-j DNAT --to-destination 10.0.0.1", "--random", "-j DNAT",
          "-j DNAT --to-destination 10.0.0.256:80", "-j DNAT --to-destination 10.0.0.1:0", "-g U", "-j NOWHERE",
          "-j DNAT --to-destination 10.0.0.1:65536", "-j DNAT --to-destination 10.0.0.1:0080", "-j MASQUERADE",
          "-j REJECT --reject-with tcp-reset", "-j MARK --set-xmark 0x1/0x1", "-j MARK --or-mark 1", "-j LOG",
          "--log-prefix \"x -j y\"", "-j LOG --log-prefix !", "-j AUDIT --type accept", "-j TEE --sport 5", "-j T",
          "-j \"U\"", "-j  U", "-j U ", "-j ACCEPT -p udp", "-m statistic --mode random --probability 0.5", "-4", "-6",
          "-j PREROUTING", "-j ", "-j", "-j SNAT --to-source 1.2.3.4", "-j CT --notrack", "-m nothing",
          "--source 10.0.0.1/32", "")
PREFIXES = ("-A T", "-A T", "-A T", "-A T", "-A T", "-A U", "-A PREROUTING", "-A POSTROUTING", "-A NOWHERE", "-A  T",
            "[1:2] -A T", "[1:2]-A T", "[1:x] -A T", " -A T", "-I T", "-D T", "-A\tT", "-A")


def scraps(dice: random.Random) -> str:
    """A table with some right rules, and some made of scraps."""
    table = dice.choice(("nat", "nat", "filter", "raw"))
    lines = [f"*{table}", ":PREROUTING ACCEPT [0:0]" if table != "filter" else "", ":T - [0:0]", ":U - [0:0]",
             dice.choice(("", "-A PREROUTING -j T", "-A OUTPUT -j T"))]
    for _ in range(dice.randint(1, 3)):
        lines.append(" ".join((dice.choice(PREFIXES), *dice.choices(SCRAPS, k=dice.randint(0, 4)))))
        lines += dice.choice(((), (), ("-F U",), ("-X U",), (":U - [0:0]",), ("-E U V",), ("-N V",)))
    return "\n".join([*lines, "COMMIT", ""])


FIRST = ("", "-p tcp", "! -p tcp", "-p udp -m udp --dport 53", "-p tcp -m comment --comment \"a b\" -m tcp --dport 80",
         *(scrap for scrap in SCRAPS if scrap[:2] in ("-s", "-d", "-i", "-c", "! ")),
         *(f"-s 10.0.0.1/32 {scrap}" for scrap in SCRAPS if scrap[:2] == "-d"), "-s 10.0.0.1/32 -s 10.0.0.2/32",
         "-p tcp -s 10.0.0.1/32", "-s 10.0.0.1/32 --source 10.0.0.2/32", "-m comment --comment é")
LAST = tuple(scrap for scrap in SCRAPS if scrap[:2] in ("-j", "-g", "")) + (
    "-j DNAT --to-destination 10.0.0.1:65535", "-j DNAT --to-destination 10.0.0.1:65500",
    "-j DNAT --to-destination 10.0.0.1:65536", "-j DNAT --to-destination 10.0.0.1-10.0.0.2:80")


@pytest.mark.parametrize("table", ["nat", pytest.param("filter", marks=pytest.mark.slow)])
def test_each_two_halves_are_read_or_refused_alike(table):
    right = 0
    for first, last in itertools.product(FIRST, LAST):
        rule = " ".join(filter(None, ("-A T", first, last)))
        right += not isinstance(read_alike(f"*{table}\n:T - [0:0]\n:U - [0:0]\n{rule}\nCOMMIT\n"), str)
    assert 100 < right < len(FIRST) * len(LAST) - 100


def test_a_line_of_a_chain_empties_it_also_between_its_rules():
    given = "*filter\n:T - [0:0]\n-A T -j ACCEPT\n:T - [0:0]\n-A T -j DROP\n-A T -j RETURN\nCOMMIT\n"
    assert "ACCEPT" not in "".join(rule.text for rule in parse(given)["filter"]["T"].rules)
    read_alike(given)


def test_what_stands_in_quotes_is_no_comment():
    strings = ["x -m comment --comment one y", "x -m comment --comment two y"]
    texts = [f'-A T -m string --string "{string}" --algo bm -j DROP' for string in strings]
    given = "\n".join(["*filter", ":T - [0:0]", *texts, "COMMIT", ""])
    read_alike(given)
    assert [rule.matches[0].words[1] for rule in parse(given)["filter"]["T"].rules] == strings


def test_scraps_of_rules_are_read_or_refused_alike():
    right = sum(not isinstance(read_alike(scraps(random.Random(seed))), str) for seed in range(500))
    assert 30 < right < 470


@pytest.mark.slow
def test_many_scraps_of_rules_are_read_or_refused_alike():
    for seed in range(30_000):
        read_alike(scraps(random.Random(seed)))


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**64))
def test_a_damaged_dump_is_read_or_refused_alike(seed):
    dice = random.Random(seed)
    given = list(cluster_text(2, comments=True))
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(given))
        given[at:at + dice.randint(0, 2)] = dice.choice(("", " ", "!", "-", '"', "\n", "/", "9", "x", "[", ":", "é"))
    read_alike("".join(given))


# Reading no more than is asked for.

WRONG = """*nat
:PREROUTING ACCEPT [0:0]
:A - [0:0]
:B - [0:0]
-A PREROUTING -d 10.96.0.1/32 -j A
{}COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
"""
TO_A = Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)
PAST_A = TO_A.replace(dst="10.96.0.2")


@pytest.mark.parametrize("lines, says", [
    ("-A A -d 10.96.0.999 -j B\n", 'some.save:6:9: "10.96.0.999" is not an IPv4 address'),
    ("[1:2] -A A -d 10.96.0.999 -j B\n", 'some.save:6:15: "10.96.0.999" is not an IPv4 address'),
    ("-A A -j NOWHERE\n", 'some.save:6: "NOWHERE" is neither a target nor a chain'),
    ("-A A -j MASQUERADE\n", 'some.save:6: "MASQUERADE" cannot work in A, which PREROUTING leads to'),
    ("-A A -j A\n", 'some.save:6: "A" closes a loop of chains in A'),
    ("-A A -g B\n-A B -g A\n", 'some.save:7: "A" closes a loop of chains in B'),
    ("-A A -j B\n-A B -j A\n", 'some.save:7: "A" closes a loop of chains in B'),
    ("-A A -j DNAT --to-destination 10.0.0.1:80\n", 'some.save:6: "DNAT" with a port needs a protocol'),
])
def test_what_is_wrong_is_told_when_a_packet_meets_it(lines, says):
    with pytest.raises(RulesError) as refused:
        parse(WRONG.format(lines), "some.save")
    assert str(refused.value).startswith(says)
    rules = parse(WRONG.format(lines), "some.save", lazily=True)
    assert Question(rules, PAST_A).trace(Seeded(1)).verdict == "FORWARDED"
    with pytest.raises(RulesError) as met:
        Question(rules, TO_A).trace(Seeded(1))
    assert str(met.value) == str(refused.value)


@pytest.mark.parametrize("wrong, says", [
    ("*nat\n:A - [0:0]\n-A NOWHERE -j A\nCOMMIT\n", "NOWHERE"), ("*nat\n:A - [0:0]\n", "COMMIT"), ("*nut\n", "nut"),
    ("*nat\n:A - [0:0]\n-A A -j ACCEPT\n-Z NOWHERE\nCOMMIT\n", "NOWHERE"), ("*nat\n:A -\n-A\nCOMMIT\n", "-A")])
def test_what_is_no_rule_is_refused_at_once(wrong, says):
    with pytest.raises(RulesError, match=says):
        parse(wrong, lazily=True)


def test_only_what_a_packet_meets_is_read(monkeypatch):
    given = cluster_text(300)
    read: list[str] = []
    rule = Halves._rule
    monkeypatch.setattr(Halves, "_rule", lambda halves, line, number: read.append(line) or rule(halves, line, number))
    lazily, whole = parse(given, lazily=True), parse(given)
    assert not read
    packet = Packet("tcp", "10.244.1.5", service(250), 40000, 80)
    trace = Question(lazily, packet).trace(Seeded(1))
    assert 300 < len(read) < 420 and given.count("\n-A ") > 5000
    assert trace == Question(whole, packet).trace(Seeded(1)) and lazily == whole

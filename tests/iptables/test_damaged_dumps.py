"""Damaged and hostile dumps: an answer or one clear error, in work that grows no faster than the text.

That none takes long is held to by what is counted here, as no test may fail by the clock: rules made, chains looked
through, steps walked. Memory is measured, in bytes for each byte of text.
"""

from __future__ import annotations

import random
import tracemalloc

import pytest

from k8slab.iptables import RulesError, draft, parse
from k8slab.iptables.draft import MOST_SPREAD
from k8slab.model.chance import Seeded
from k8slab.model.dump import Question
from k8slab.packet import PORT_PROTOCOLS, Packet
from k8slab.stack.walk import MOST_HITS
from k8slab.trace import VERDICTS
from tests.iptables import real
from tests.iptables.test_iptables_errors import GOLDEN, mutate, table
from tests.model.services import cluster_text, service

NODE = "10.106.175.131"
VIP = "10.96.0.1"


def asked(dice: random.Random) -> Packet:
    """A packet of any protocol, to where the recorded rules lead somewhere."""
    proto = dice.choice(("tcp", "tcp", "tcp", "udp", "icmp", "sctp", "47"))
    ports = (40000, dice.choice((443, 80, 53, 30080, 8080))) if proto in PORT_PROTOCOLS else ()
    return Packet(proto, "10.244.1.5", dice.choice((VIP, "10.96.0.10", NODE, "10.244.1.7", service(3))), *ports)


def answer(data: bytes | str, packet: Packet, lazily: bool, seed: int) -> str:
    """The answer to a question about a dump, or the error that takes its place."""
    try:
        rules = parse(data, "some.save", lazily=lazily)
        trace = Question(rules, packet, (NODE,)).trace(Seeded(seed))
    except RulesError as error:
        said = str(error)
        assert said.startswith("some.save:") and "\n" not in said and said.isprintable()
        return said
    assert trace.verdict in VERDICTS and trace.summary() and str(trace)
    return ""


@pytest.mark.parametrize("count", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_question_to_a_damaged_dump_has_an_answer_or_one_clear_error(count):
    """Each damage in both ways of reading: what is read as it is met is refused at most where the whole is."""
    dice = random.Random(22)
    dumps = [path.read_bytes() for path in GOLDEN] + [cluster_text(8).encode()]
    refused = met = 0
    for number in range(count):
        data, packet = mutate(dice.choice(dumps), dice), asked(dice)
        whole, lazily = (answer(data, packet, lazily, number) for lazily in (False, True))
        assert whole or not lazily, lazily
        refused += bool(whole)
        met += bool(lazily)
    assert count * 0.2 < met < refused < count


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("size", [150, pytest.param(1500, marks=pytest.mark.slow)])
def test_memory_stays_below_ten_times_the_text(size, lazily):
    """A dump as it is, with counters, and with some damage: reading it, asking it, and the error that it ends with."""
    given, dice = cluster_text(size).encode(), random.Random(23)
    packet = Packet("tcp", "10.244.1.5", service(size - 1), 40000, 80)
    answer(given[:50_000], packet, lazily, 1)
    for data in (given, given.replace(b"\n-A ", b"\n[12:720] -A "), mutate(given, dice), given[:len(given) // 2],
                 given.replace(b"-j KUBE-MARK-MASQ", b"-m mark --mark 0x1 -j KUBE-MARK-MASQ")):
        tracemalloc.start()
        answer(data, packet, lazily, 1)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 10 * len(data), f"{most / len(data):.1f} bytes for each"


# What would else take time or memory out of all proportion to the text.

@pytest.mark.parametrize("words, right", [(251, True), (252, False)])
def test_a_line_holds_as_many_words_as_the_real_program_takes(words, right):
    """Else a rule of a megabyte, with an option for each of its thousands of matches, would take minutes."""
    rule = "-A T -s 10.0.0.1/32" + " -m mark --mark 1" * 61 + " -4" * (words - 248)
    text = table(rule)
    assert len(rule.split()) == words
    if right:
        assert len(parse(text)["filter"]["T"].rules[0].matches) == 62
    else:
        with pytest.raises(RulesError, match='some:3:1: "-A" begins a line of too many words'):
            parse(text, "some")
    if not real.why_no_legacy():
        assert (real.refusal(text) == "") == right


@pytest.mark.parametrize("length, right", [(1023, True), (1024, False)])
def test_a_word_is_as_long_as_the_real_program_takes(length, right):
    text = table(f"-A T -j LOG --log-prefix {'x' * length}")
    if right:
        assert parse(text)["filter"]["T"].rules[0].target.value("--log-prefix") == "x" * 29
    else:
        with pytest.raises(RulesError, match=r'some:3:26: "x*…" is too long'):
            parse(text, "some")


def test_lists_of_addresses_stand_for_no_more_rules_than_fit():
    lists = ",".join(f"10.0.0.{n}" for n in range(90))
    line = f"-A T -s {lists} -d {lists} -j DROP"
    assert len(parse(table(line))["filter"]["T"].rules) == 8100 < MOST_SPREAD
    with pytest.raises(RulesError, match="some:4: its lists of addresses stand for too many rules"):
        parse(table(line, line), "some")


def test_chains_that_double_the_walk_at_each_step_do_not_make_it_endless():
    chains = [f"C{n}" for n in range(40)]
    lines = [f":{name} - [0:0]" for name in chains] + ["-A FORWARD -j C0"]
    lines += [f"-A {one} -j {other}" for one, other in zip(chains, chains[1:]) for _ in range(2)]
    trace = Question(parse(table(*lines)), Packet("tcp", "10.0.0.1", "10.0.0.2", 1, 2)).trace(Seeded(1))
    assert trace.verdict == "UNKNOWN" and f"given up after {MOST_HITS:,} rules that matched" in trace.reason
    assert len(trace.steps) < 3 * MOST_HITS


@pytest.mark.parametrize("pair", ["-X C{n}", "-F C{n}\n-X C{n}", ":C{n} - [0:0]\n-X C{n}", "-A T -j DROP\n-X C{n}"])
def test_chains_are_deleted_without_looking_through_all_others_each_time(monkeypatch, pair):
    looked: list[int] = []
    leads = draft._leads
    monkeypatch.setattr(draft, "_leads", lambda rules: looked.append(1) or leads(rules))
    lines = [f":C{n} - [0:0]" for n in range(400)] + ["-A T -j C399"] + [pair.format(n=n) for n in range(399)]
    chains = parse(table(*lines))["filter"].chains
    assert [chain.name for chain in chains if chain.name[0] == "C"] == ["C399"]
    assert 400 < len(looked) < 3000
    with pytest.raises(RulesError, match='"C399" is still referenced'):
        parse(table(*lines, "-X C399"))
    assert len(parse(table(*lines, "-F T", "-X C399"))["filter"].chains) == 4


def test_deeply_nested_chains_are_followed_without_recursion():
    depth = 3000
    lines = [f":C{n} - [0:0]" for n in range(depth)] + ["-A FORWARD -j C0"]
    lines += [f"-A C{n} -j C{n + 1}" for n in range(depth - 1)]
    for lazily in (False, True):
        rules = parse(table(*lines), lazily=lazily)
        trace = Question(rules, Packet("tcp", "10.0.0.1", "10.0.0.2", 1, 2)).trace(Seeded(1))
        assert trace.verdict == "FORWARDED" and len(trace.chains) == depth
    with pytest.raises(RulesError, match="closes a loop of chains"):
        parse(table(*lines, f"-A C{depth - 1} -j C0"))

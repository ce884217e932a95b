"""Matches and targets that nobody here has heard of: kept in a foreign dump, refused where they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k8slab import cli, iptables
from k8slab.iptables import RulesError
from tests.unit.test_cli import ARTICLE, GOLDEN

RULES = (GOLDEN / "01-kubernetes.iptables-save").read_text()
UNHEARD = ("-m foo --bar 3", "-m foo", "-m foo ! --bar a b --baz -p tcp -m tcp --dport 22 -j ACCEPT", "-j FOO --bar 3",
           "-p tcp -m foo --dport 7 -j FOO --dprot 3 --to a,b", "-m set --match-set a src -j BAZ --qux 3",
           '-m foo --bar "a b" -j DROP')


def dump(chain: str, words: str) -> str:
    """The recorded cluster with one rule more, the first of its chain in filter."""
    at = RULES.index("*filter")
    place = RULES.index(f"-A {chain} ", at)
    return f"{RULES[:place]}-A {chain} {words}\n{RULES[place:]}"


def traced(path: Path, text: str, capsys) -> dict:
    path.write_text(text)
    assert cli.main(["trace", str(path), *ARTICLE, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("words", UNHEARD)
def test_only_a_packet_that_meets_it_is_stopped(words: str, tmp_path: Path, capsys) -> None:
    assert traced(tmp_path / "r", dump("INPUT", words), capsys)["verdict"] == "FORWARDED"
    met = traced(tmp_path / "r", dump("FORWARD", words), capsys)
    stopped = "--dport" not in words          # this packet is for neither of those ports
    assert (met["verdict"] == "UNKNOWN") == (stopped or "-m foo --dport 7" in words)
    assert met["verdict"] != "UNKNOWN" or "is not modelled" in met["reason"]


@pytest.mark.parametrize("words", UNHEARD)
def test_it_is_printed_as_it_was_read_and_read_again_lazily(words: str) -> None:
    text = dump("INPUT", words)
    rules = iptables.parse(text, foreign=True)
    assert str(rules) == text and str(rules.normal()) == str(iptables.parse(str(rules.normal()), foreign=True).normal())
    assert str(iptables.parse(text, foreign=True, lazily=True)) == text
    (first,) = [rule for rule in rules["filter"]["INPUT"].rules if rule.text.endswith(words)]
    assert first.normal.count("--") == words.count("--")


def test_what_follows_is_the_rule_s_own() -> None:
    rules = iptables.parse("*filter\n-A INPUT -m foo --bar 3 -m tcp -p tcp --dport 22 -j DROP\nCOMMIT\n", foreign=True)
    (rule,) = rules["filter"]["INPUT"].rules
    assert [match.name for match in rule.matches] == ["ip", "foo", "tcp"] and rule.target.name == "DROP"
    assert rule.matches[1].words == ("--bar", "3")


@pytest.mark.parametrize("words", UNHEARD[:5])
def test_a_lab_refuses_it(words: str) -> None:
    text = f"*filter\n-A INPUT {words}\nCOMMIT\n"
    for read in (iptables.parse, iptables.Ruleset().restore):
        with pytest.raises(RulesError):
            read(text)
    with pytest.raises(RulesError):
        iptables.run(iptables.Ruleset(), f"-A INPUT {words}")


@pytest.mark.parametrize(("words", "says"), [
    ("-j KUBE-FORWARD --bar 3", '"KUBE-FORWARD" is a chain, and a jump to a chain has no options'),
    ("-j KUBE-FORWRAD", '"KUBE-FORWRAD" is neither a target nor a chain'),
    ("-m tcp --dport 3", "needs -p tcp"), ("--bar 3", '"--bar" is not an option of this rule'),
    ("-m --bar 3", "is not a match")])
def test_what_no_iptables_prints_is_refused(words: str, says: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "r").write_text(dump("INPUT", words))
    assert cli.main(["trace", str(tmp_path / "r"), *ARTICLE]) == 1
    assert says in capsys.readouterr().err

"""`k8slab trace` of a big dump: what the packet meets is read, and `--check` reads the rest."""

from __future__ import annotations

import json

import pytest

from k8slab import cli
from k8slab.oncall.files import BIG
from tests.model.services import cluster_text, service

SERVICES = 700
WRONG = "-A KUBE-SEP-WRONG -d 10.96.0.999/32 -j ACCEPT"
ASSUMED = "rules that the packet does not meet are right (--check reads them, too)"


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    """More than a megabyte of rules, of which one, that nothing leads to, is wrong; and its line."""
    text = cluster_text(SERVICES).replace("*nat\n", "*nat\n:KUBE-SEP-WRONG - [0:0]\n")
    text = text.removesuffix("COMMIT\n") + f"{WRONG}\nCOMMIT\n"
    path = tmp_path_factory.mktemp("big") / "big.iptables-save"
    path.write_text(text, encoding="ascii")
    assert len(text) > BIG
    return path, text.split("\n").index(WRONG) + 1


def asked(path, n: int, *more: str) -> list[str]:
    return ["trace", str(path), "--from", "10.244.1.5", "--to", f"{service(n)}:80", *more]


def test_a_packet_that_does_not_meet_the_wrong_rule_has_its_answer(dump, capsys):
    assert cli.main(asked(dump[0], SERVICES - 1, "--json")) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "FORWARDED" and said["received"]["dst"].endswith(".2.187") and ASSUMED in said["assumed"]
    assert sum(len(step["passed"]) for step in said["steps"]) > 100


def test_a_full_check_is_one_flag_away(dump, capsys):
    path, line = dump
    assert cli.main(asked(path, 1, "--check")) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(f'k8slab: {path}:{line}:22: "10.96.0.999/32" is not an IPv4 address')


def test_a_small_dump_is_always_read_whole(tmp_path, capsys):
    path = tmp_path / "small.iptables-save"
    path.write_text(f"*nat\n:KUBE-SEP-WRONG - [0:0]\n{WRONG}\nCOMMIT\n", encoding="ascii")
    assert cli.main(asked(path, 1)) == 1 and "10.96.0.999" in capsys.readouterr().err
    path.write_text(cluster_text(20), encoding="ascii")
    assert cli.main(asked(path, 1)) == 0 and ASSUMED not in capsys.readouterr().out


def test_a_checked_big_dump_assumes_nothing_of_its_rules(tmp_path, capsys):
    path = tmp_path / "right.iptables-save"
    path.write_text(cluster_text(SERVICES), encoding="ascii")
    answers = []
    for more in ((), ("--check",)):
        assert cli.main(asked(path, 5, *more)) == 0
        answers.append(capsys.readouterr().out)
    assert ASSUMED in answers[0] and answers[0].replace(f"  {ASSUMED}\n", "") == answers[1]

"""trace for the person on call: --diff and --service, and words that do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8slab import cli
from tests.unit.test_cli import ARTICLE, GOLDEN
from tests.unit.test_oncall import rules, run


# --diff.

def both(tmp_path: Path, old: str, new: str) -> list[str]:
    (tmp_path / "old").write_text(old)
    (tmp_path / "new").write_text(new)
    return ["--diff", str(tmp_path / "old"), str(tmp_path / "new"), *ARTICLE]


def test_the_first_step_that_differs_and_what_it_meets_now(tmp_path: Path, capsys) -> None:
    words = both(tmp_path, rules("-A FORWARD -j ACCEPT"), rules("-A FORWARD -p tcp -j DROP", "-A FORWARD -j ACCEPT"))
    answer = run(capsys, *words)
    assert answer["before"]["verdict"] == "FORWARDED" and answer["now"]["verdict"] == "DROPPED"
    assert answer["met_now"] == ["filter FORWARD: -A FORWARD -p tcp -j DROP"]
    assert answer["met_before"] == ["filter FORWARD: -A FORWARD -j ACCEPT"]
    assert answer["first_difference"]["before"]["verdict"] == "ACCEPT"
    assert answer["first_difference"]["now"]["rule"] == "-A FORWARD -p tcp -j DROP"
    assert cli.main(["trace", *words]) == 0
    said = capsys.readouterr().out
    assert "Met now, and not before:\n  filter FORWARD: -A FORWARD -p tcp -j DROP" in said


def test_what_the_packet_does_not_meet_is_no_difference(tmp_path: Path, capsys) -> None:
    words = both(tmp_path, rules("-A FORWARD -j ACCEPT"),
                 rules("-A FORWARD -p udp -j DROP", "-A FORWARD -j ACCEPT", nat=("-A OUTPUT -j ACCEPT",)))
    assert run(capsys, *words)["same"] is True
    assert cli.main(["trace", *words]) == 0 and "Nothing has changed for this packet" in capsys.readouterr().out


def test_a_new_rule_that_asks_for_an_interface(tmp_path: Path, capsys) -> None:
    plain, asks = rules("-A FORWARD -j ACCEPT"), rules("-A FORWARD -i docker0 -j ACCEPT", "-A FORWARD -j ACCEPT")
    answer = run(capsys, *both(tmp_path, plain, asks))
    assert answer["before"]["verdict"] == answer["now"]["verdict"] == "FORWARDED" and answer["same"] is True
    drops = run(capsys, *both(tmp_path, plain, asks.replace("docker0 -j ACCEPT", "docker0 -j DROP")))
    assert drops["now"]["verdict"] == "UNKNOWN"
    assert "it depends on the interface: say --in and --out" in drops["assumed"]


def test_chances_before_and_now(tmp_path: Path, capsys) -> None:
    dumps = [(GOLDEN / f"{name}.iptables-save").read_text() for name in ("03-many-endpoints", "04-no-endpoints")]
    words = both(tmp_path, *dumps)[:3]
    answer = run(capsys, *words, "--from", "10.244.1.9", "--to", "10.96.12.34:80", "--in", "eth0", "--out", "eth1")
    assert [round(one["probability"], 6) for one in answer["before"]["chances"]] == [0.2] * 5
    assert [one["probability"] for one in answer["now"]["chances"]] == [1.0]


@pytest.mark.parametrize("seed", range(4))
def test_both_are_walked_the_same_way_of_chance(seed: int, tmp_path: Path, capsys) -> None:
    """Whatever the seed: a DROP for one of the five endpoints is the first difference, and no other draw."""
    old = (GOLDEN / "03-many-endpoints.iptables-save").read_text()
    drop = "-A FORWARD -d 10.244.1.7/32 -j DROP"
    words = both(tmp_path, old, old.replace("-A FORWARD", f"{drop}\n-A FORWARD", 1))[:3]
    words += ["--from", "10.244.1.9", "--to", "10.96.12.34:80", "--seed", str(seed)]
    answer = run(capsys, *words)
    assert answer["before"]["received"]["dst"] == "10.244.1.7" and answer["now"]["verdict"] == "DROPPED"
    assert answer["first_difference"]["now"]["rule"] == drop and answer["met_now"] == [f"filter FORWARD: {drop}"]
    assert cli.main(["trace", *words]) == 0
    said = capsys.readouterr().out
    assert "as it was" not in said and "0.200000  0.000000  FORWARDED to 10.244.1.7:8080, its source unchanged" in said


def test_the_seed_s_way_is_shown_where_all_ways_have_changed(tmp_path: Path, capsys) -> None:
    old = (GOLDEN / "03-many-endpoints.iptables-save").read_text()
    words = both(tmp_path, old, old.replace("-A FORWARD", "-A FORWARD -d 10.244.0.0/16 -j DROP\n-A FORWARD", 1))[:3]
    words += ["--from", "10.244.1.9", "--to", "10.96.12.34:80", "--seed"]
    shown = {run(capsys, *words, str(seed))["before"]["received"]["dst"] for seed in range(8)}
    assert len(shown) > 1


# --service.

def service(capsys: pytest.CaptureFixture[str], name: str, golden: str, *more: str) -> list[dict]:
    return run(capsys, GOLDEN / f"{golden}.iptables-save", "--service", name, *more)["asked"]


def test_every_caller_of_the_kubernetes_service(capsys: pytest.CaptureFixture[str]) -> None:
    asked = service(capsys, "default/kubernetes", "01-kubernetes", "--local", "10.106.175.131")
    ends = {one["caller"]: (one["outcomes"][0]["destination"], one["outcomes"][0]["masqueraded"]) for one in asked}
    there = "10.106.175.128:6443"
    assert ends == {"Pod": (there, False), "node": (there, True), "outside": (there, True), "itself": (there, True)}
    assert all(sum(end["probability"] for end in one["outcomes"]) == 1 for one in asked)
    pod = next(one for one in asked if one["caller"] == "Pod")
    assert pod["from"].startswith("10.244.")


def test_the_endpoint_itself_is_masqueraded_where_chance_sends_it_home(capsys: pytest.CaptureFixture[str]) -> None:
    asked = service(capsys, "shop/web", "03-many-endpoints")
    itself = next(one for one in asked if one["caller"] == "itself")
    home = [end for end in itself["outcomes"] if end["destination"].startswith(f"{itself['from']}:")]
    assert [end["masqueraded"] for end in home] == [True]
    assert sum(end["masqueraded"] for end in itself["outcomes"]) == 1 and len(itself["outcomes"]) == 5


def test_an_endpoint_on_the_node_itself_asks_as_a_program_there(capsys: pytest.CaptureFixture[str]) -> None:
    asked = service(capsys, "default/kubernetes", "01-kubernetes", "--local", "10.106.175.128")
    itself = next(one for one in asked if one["caller"] == "itself")
    assert [(end["verdict"], end["masqueraded"]) for end in itself["outcomes"]] == [("DELIVERED", True)]


def test_one_port_and_a_node_port(capsys: pytest.CaptureFixture[str]) -> None:
    golden = "06-nodeport"
    everything = service(capsys, "shop/np", golden, "--local", "10.106.175.128")
    assert {(one["kind"], one["dport"]) for one in everything} >= {("NodePort", 30080)}
    outside = next(one for one in everything if (one["kind"], one["caller"]) == ("NodePort", "outside"))
    assert all(end["masqueraded"] for end in outside["outcomes"])
    one = service(capsys, everything[0]["port"], golden, "--local", "10.106.175.128")
    assert {asked["port"] for asked in one} == {everything[0]["port"]}


def test_what_is_not_known_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trace", str(GOLDEN / "06-nodeport.iptables-save"), "--service", "shop/np"]) == 0
    said = capsys.readouterr().out
    assert "the node's address is not known: say --local ADDR" in said and "NodePort 30080" in said
    assert "203.0.113.10, an address for examples" in said and "an address of 10.244.0.0/16" in said


def test_no_endpoints_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trace", str(GOLDEN / "04-no-endpoints.iptables-save"), "--service", "shop/empty"]) == 0
    said = capsys.readouterr().out
    assert "REJECTED" in said and "see [1]" in said and "shop/empty:http has no endpoints" in said


def test_a_service_that_is_not_there_names_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trace", str(GOLDEN / "01-kubernetes.iptables-save"), "--service", "shop/kubernetes"]) == 1
    assert "no Service shop/kubernetes; there are default/kubernetes:https" in capsys.readouterr().err


# Words that do not go together.

@pytest.mark.parametrize("words", [
    ("r", "--service", "a/b", "--from", "10.0.0.1"), ("r", "--service", "a/b", "--all"),
    ("r", "--diff", "a", "b", *ARTICLE), ("--diff", "-", "-", *ARTICLE), ("r", *ARTICLE, "--pod", "10.0.0.1"),
])
def test_words_that_do_not_go_together(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["trace", *words])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("k8slab: ") and said.count("\n") == 1


@pytest.mark.parametrize("words", [ARTICLE, ("r",), ("r", "--from", "10.0.0.1"), ("--diff", "a", "b")])
def test_words_that_are_missing(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["trace", *words])
    assert ended.value.code == 2 and "missing" in capsys.readouterr().err

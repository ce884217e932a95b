"""trace for the person on call: dumps from pipes and packed, what is taken from the dump, and --explain."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from k8slab import cli, iptables
from k8slab.model.chance import Seeded
from k8slab.model.dump import Question
from k8slab.oncall.changed import always, with_policy, without
from k8slab.oncall.evidence import own_addresses, pod_networks, probable_addresses
from k8slab.oncall.explain import explain
from k8slab.oncall.interfaces import TooMany, cases, settled
from k8slab.oncall.ways import by_seed
from k8slab.packet import Packet
from tests.unit.test_cli import ARTICLE, GOLDEN, k8slab

PACKET = Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443)


def rules(*filter_lines: str, nat: tuple[str, ...] = (), raw: tuple[str, ...] = (), policy: str = "ACCEPT") -> str:
    tables = {"raw": raw, "filter": (f":FORWARD {policy} [0:0]", *filter_lines), "nat": nat}
    return "".join("\n".join((f"*{name}", *lines, "COMMIT", "")) for name, lines in tables.items() if lines)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert cli.main(["trace", *map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def why(text: str, packet: Packet = PACKET, **known: object):
    question = Question(iptables.parse(text), packet, **{"iif": "eth0", "oif": "eth1"} | known)
    return explain(question, lambda changed: changed.trace(Seeded(0)))


# Dumps from pipes and files, packed or not.

def test_a_packed_dump_from_a_pipe_and_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = gzip.compress((GOLDEN / "01-kubernetes.iptables-save").read_bytes())
    done = k8slab("trace", "-", *ARTICLE, "--json", stdin=packed)
    assert done.returncode == 0 and json.loads(done.stdout)["received"]["dst"] == "10.106.175.128"
    (tmp_path / "node7.rules.gz").write_bytes(packed)
    assert run(capsys, tmp_path / "node7.rules.gz", *ARTICLE)["verdict"] == "FORWARDED"


@pytest.mark.parametrize("cut", [3, 12, 200, -1])
def test_a_packed_dump_that_is_cut_off(tmp_path: Path, cut: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node7.rules.gz"
    path.write_bytes(gzip.compress((GOLDEN / "01-kubernetes.iptables-save").read_bytes())[:cut])
    assert cli.main(["trace", str(path), *ARTICLE]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(path) in said and "gzip" in said


def test_a_packed_dump_with_a_wrong_rule_says_line_and_column(tmp_path: Path, capsys) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.96.0.256 -j ACCEPT\nCOMMIT\n"))
    assert cli.main(["trace", str(path), *ARTICLE]) == 1
    assert f"{path}:3:18: \"10.96.0.256\"" in capsys.readouterr().err


# What is taken from the dump.

def facts(text: str) -> dict[str, str]:
    return {fact.value: fact.why for fact in own_addresses(iptables.parse(text))}


def test_addresses_that_a_dump_proves() -> None:
    cache = ("-A PREROUTING -d 169.254.20.10/32 -p udp -m udp --dport 53 -m comment --comment "
             '"NodeLocal DNS Cache: skip conntrack" -j CT --notrack')
    counted = "[12:720] -A INPUT -d 192.168.3.4/32 -p tcp -m tcp --dport 22 -j ACCEPT"
    found = facts(rules(counted, raw=(cache,), nat=(":KUBE-NODEPORTS - [0:0]", ":KUBE-SERVICES - [0:0]",
                                                    "-A KUBE-SERVICES -d 192.168.3.9/32 -j KUBE-NODEPORTS")))
    assert list(found) == ["192.168.3.9", "169.254.20.10", "192.168.3.4"]
    assert "NodeLocal DNS" in found["169.254.20.10"] and "counted" in found["192.168.3.4"]


@pytest.mark.parametrize("rule", [
    "[0:0] -A INPUT -d 192.168.3.4/32 -p tcp -j ACCEPT",          # never met
    "-A INPUT -d 192.168.3.4/32 -p tcp -j ACCEPT",                # not counted
    "[9:540] -A INPUT -d 192.168.3.0/24 -p tcp -j ACCEPT",        # a network
    "[9:540] -A INPUT ! -d 192.168.3.4/32 -p tcp -j ACCEPT",      # all others
    "[9:540] -A INPUT -d 192.168.3.255/32 -p udp -j ACCEPT",      # may be a broadcast
    "[9:540] -A FORWARD -d 192.168.3.4/32 -p tcp -j ACCEPT",      # not for this node
    "[9:540] -A INPUT -d 127.0.0.1/32 -p tcp -j ACCEPT",          # that one every node has
])
def test_addresses_that_a_dump_does_not_prove(rule: str) -> None:
    assert facts(rules(rule)) == {}


def test_what_is_only_probable_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nat = ("-A POSTROUTING -o eth+ -m addrtype ! --dst-type LOCAL -j SNAT --to-source 10.0.1.20",)
    assert [fact.value for fact in probable_addresses(iptables.parse(rules(nat=nat)))] == ["10.0.1.20"]
    (tmp_path / "r").write_text(rules(nat=nat))
    answer = run(capsys, tmp_path / "r", *ARTICLE)
    assert any("10.0.1.20 is not taken for local" in line and "--local 10.0.1.20" in line for line in answer["assumed"])
    taken = run(capsys, tmp_path / "r", *ARTICLE, "--local", "10.0.1.20")
    assert not any("is not taken" in line for line in taken["assumed"])


def test_pod_networks_of_both_layouts() -> None:
    old = ("-A KUBE-SERVICES ! -s 10.50.0.0/16 -d 10.96.0.1/32 -j KUBE-MARK-MASQ",)
    chains = (":KUBE-MARK-MASQ - [0:0]", ":KUBE-SERVICES - [0:0]")
    assert [fact.value for fact in pod_networks(iptables.parse(rules(nat=(*chains, *old))))] == ["10.50.0.0/16"]
    assert pod_networks(iptables.parse((GOLDEN / "01-kubernetes.iptables-save").read_text()))[0].value == \
        "10.244.0.0/16"


# Interfaces.

def test_an_interface_that_does_not_matter_is_not_asked_for(tmp_path: Path, capsys) -> None:
    (tmp_path / "r").write_text(rules("-A FORWARD -i docker0 -j ACCEPT", "-A FORWARD -i veth+ -j ACCEPT"))
    answer = run(capsys, tmp_path / "r", *ARTICLE)
    assert answer["verdict"] == "FORWARDED" and "interfaces" not in answer
    assert any("each of the 3 ways" in line for line in answer["assumed"])


def test_one_that_matters_is(tmp_path: Path, capsys) -> None:
    (tmp_path / "r").write_text(rules("-A FORWARD -i docker0 -j DROP", "-A FORWARD -i veth+ -o eth0 -j REJECT"))
    answer = run(capsys, tmp_path / "r", *ARTICLE)
    ends = [(tuple((i["in"], i["out"]) for i in one["interfaces"]), one["outcomes"][0]["verdict"])
            for one in answer["interfaces"]]
    assert ends == [((("docker0", None),), "DROPPED"), ((("veth*", "eth0"),), "REJECTED"),
                    ((("veth*", "another interface"), ("another interface", None)), "FORWARDED")]
    assert cli.main(["trace", str(tmp_path / "r"), *ARTICLE, "--explain"]) == 0
    assert "in on docker0: DROPPED" in capsys.readouterr().out
    assert run(capsys, tmp_path / "r", *ARTICLE, "--in", "veth3", "--out", "eth0")["verdict"] == "REJECTED"


def test_too_many_interfaces_are_not_all_tried() -> None:
    lines = [f"-A FORWARD -i cali{n:03} -o cali{n + 1:03} -j ACCEPT" for n in range(60)]
    question = Question(iptables.parse(rules(*lines)), PACKET)
    with pytest.raises(TooMany):
        cases(question, by_seed(0))
    assert "say which with --in and --out" in settled(question, by_seed(0))[2]


# --explain.

def test_two_things_in_the_way_are_both_told() -> None:
    found = why(rules("-A FORWARD -d 10.96.0.0/16 -j REJECT", policy="DROP"))
    assert [one.place for one in found.obstacles] == ["filter FORWARD rule 1", "filter FORWARD's policy"]
    assert [one.then for one in found.obstacles] == ["DROPPED", "FORWARDED"] and found.arrives
    assert "Walked again with both: the packet goes on to 10.96.0.1:443" in "\n".join(found.lines())


def test_a_mark_is_traced_back_to_who_gave_it() -> None:
    chains = (":KUBE-FIREWALL - [0:0]", "-A FORWARD -j KUBE-FIREWALL",
              "-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP")
    nat = (":KUBE-MARK-DROP - [0:0]", ":KUBE-XLB-A - [0:0]", "-A PREROUTING -d 10.96.0.1/32 -j KUBE-XLB-A",
           '-A KUBE-XLB-A -m comment --comment "no policy" -j KUBE-MARK-DROP',
           "-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000", "-A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE")
    found = why(rules(*chains, nat=nat))
    assert found.obstacles[0].place == "filter KUBE-FIREWALL rule 1"
    assert "The mark was given by nat KUBE-XLB-A rule 1" in found.obstacles[0].what and found.arrives
    local = why(rules(*chains, nat=(*nat[:3], nat[3].replace("no policy", "shop/web:http has no local endpoints"),
                                    *nat[4:])))
    assert "traffic policy is Local" in local.obstacles[0].what


def test_what_cannot_be_told_is_walked_both_ways() -> None:
    found = why(rules("-A FORWARD -m set --match-set a src -j ACCEPT", "-A FORWARD -j DROP"))
    assert found.lines()[-1] == ("  If it does (ACCEPT), the packet is forwarded to 10.96.0.1:443; if it does not, the "
                                 "packet is dropped (rule 2 of filter FORWARD says DROP).")
    same = why(rules("-A FORWARD -m set --match-set a src -j DROP", policy="DROP"))
    assert "If it does (DROP), the packet is dropped (rule 1" in same.lines()[-1]
    target = why(rules("-A FORWARD -j NFQUEUE --queue-num 0", "-A FORWARD -j DROP"))
    assert "Were it not there, the packet is dropped (rule 2" in target.lines()[-1]
    assert not found.arrives and not target.arrives


KUBE = (":KUBE-SERVICES - [0:0]", ":KUBE-SVC-A - [0:0]",
        '-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp '
        "--dport 443 -j KUBE-SVC-A", "-A KUBE-SVC-A -p tcp -j DNAT --to-destination 10.106.175.128:6443")
JUMP = "-A PREROUTING -j KUBE-SERVICES"


@pytest.mark.parametrize(("nat", "raw", "place"), [
    (KUBE, (), "nat PREROUTING"),
    ((*KUBE, "-A PREROUTING -s 10.244.0.0/16 -j ACCEPT", JUMP), (), "nat PREROUTING rule 1"),
    ((*KUBE, JUMP), ("-A PREROUTING -d 10.96.0.1/32 -j CT --notrack",), "raw PREROUTING rule 1"),
])
def test_a_service_that_is_there_and_does_not_translate(nat: tuple, raw: tuple, place: str) -> None:
    found = why(rules("-A FORWARD -m conntrack --ctstate INVALID -j ACCEPT", nat=nat, raw=raw))
    assert [one.place for one in found.obstacles] == [place] and found.first.verdict == "FORWARDED"
    assert found.arrives and found.end.received.destination == "10.106.175.128:6443"


def test_a_port_that_no_service_has(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, GOLDEN / "01-kubernetes.iptables-save", "--from", "10.244.1.5", "--to", "10.96.0.1:80",
                 "--explain")
    assert any("10.96.0.1 belongs to a Service, but not with 80/tcp" in said and "10.96.0.1:443/tcp" in said
               for said in answer["explained"][0]["remarks"])
    node = run(capsys, GOLDEN / "06-nodeport.iptables-save", "--from", "203.0.113.9", "--to", "10.106.175.128:30080",
               "--explain")
    assert any("say --local 10.106.175.128" in said for said in node["explained"][0]["remarks"])


def test_no_source_range_holds_the_sender(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, GOLDEN / "09-loadbalancer.iptables-save", "--from", "9.9.9.9", "--to", "5.6.7.8:80",
                 "--explain")
    (one,) = answer["explained"][0]["obstacles"]
    assert "loadBalancerSourceRange of Service shop/lb:http must hold 9.9.9.9" in one["change"]
    assert one["then"] == "FORWARDED"


def test_of_all_ways_each_end_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, GOLDEN / "03-many-endpoints.iptables-save", "--from", "10.244.1.5", "--to",
                 "10.96.12.34:80", "--all", "--explain")
    assert len(answer["explained"]) == 4 and all(one["arrives_then"] for one in answer["explained"])
    assert answer["explained"][0]["of"].startswith("With probability 0.2")


def test_where_no_rule_decides_none_is_offered() -> None:
    found = why(rules("-A FORWARD -j ACCEPT"), PACKET.replace(src="224.0.0.5"))
    assert found.first.verdict == "DROPPED" and not found.arrives
    assert "cannot be the source of a packet" in found.obstacles[0].what and found.obstacles[0].change == ""


@pytest.mark.parametrize("seed", range(3))
def test_what_is_said_to_arrive_does(seed: int, tmp_path: Path) -> None:
    """The changes that are told, made by hand in the text, and walked by the command itself."""
    text = rules("-A FORWARD -d 10.96.0.0/16 -j REJECT", "-A FORWARD -s 10.244.0.0/16 -j DROP", policy="DROP")
    found = why(text)
    assert [one.then for one in found.obstacles] == ["DROPPED", "DROPPED", "FORWARDED"]
    mended = text.replace(" DROP [0:0]", " ACCEPT [0:0]")
    for one in found.obstacles[:2]:
        mended = mended.replace(one.rule + "\n", "")
    for count, expected in ((mended, "FORWARDED"), (mended.replace(" ACCEPT [", " DROP ["), "DROPPED")):
        question = Question(iptables.parse(count), PACKET, iif="eth0", oif="eth1")
        assert question.trace(Seeded(seed)).verdict == expected


def test_rules_but_for_one_thing() -> None:
    text = rules("-A FORWARD -p tcp -m set --match-set a src -j DROP", "-A FORWARD -j ACCEPT")
    known = iptables.parse(text)
    assert without(known, "filter", "FORWARD", 1)["filter"]["FORWARD"].rules[1].text == "-A FORWARD -j ACCEPT"
    assert always(known, "filter", "FORWARD", 1)["filter"]["FORWARD"].rules[0].text == "-A FORWARD -p tcp -j DROP"
    assert with_policy(known, "filter", "FORWARD", "DROP")["filter"]["FORWARD"].policy == "DROP"
    assert str(known) == text

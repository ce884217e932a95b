"""Dumps after public issue threads, of different ages and CNIs: read, traced, and explained as the thread found out.

Their licences do not let them be taken: the files in `dumps/` are rebuilt, with other names and addresses, and their
first line names the thread. What its people found out in the end is what `--explain` has to point to.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from k8slab import cli, iptables
from k8slab.packet import Packet
from tests.iptables.real import inside

DUMPS = Path(__file__).parent / "dumps"
NAMES = sorted(path.name.removesuffix(".rules") for path in DUMPS.glob("*.rules"))


def trace(capsys: pytest.CaptureFixture[str], name: str, words: str) -> dict:
    assert cli.main(["trace", str(DUMPS / f"{name}.rules"), *words.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def explained(capsys: pytest.CaptureFixture[str], name: str, words: str) -> tuple[dict, dict]:
    answer = trace(capsys, name, f"{words} --explain")
    (one,) = answer["explained"]
    return answer, one


@pytest.mark.parametrize("name", NAMES)
def test_each_is_printed_as_it_was_read(name: str) -> None:
    text = (DUMPS / f"{name}.rules").read_text()
    assert str(iptables.parse(text)) == text
    assert "Rebuilt after" in text.splitlines()[0]


@pytest.mark.kernel
@pytest.mark.parametrize("name", NAMES)
def test_the_real_program_takes_each(name: str) -> None:
    """But for rules with ipsets, which are kept beside the rules, and for what the program itself cannot read."""
    lines = (DUMPS / f"{name}.rules").read_text().splitlines()
    text = "\n".join(line for line in lines if "--match-set" not in line
                     and "[unsupported" not in line) + "\n"
    done: subprocess.CompletedProcess[str] = inside("iptables-nft-restore", text)
    assert done.returncode == 0, done.stderr


def test_docker_s_policy_drop(capsys: pytest.CaptureFixture[str]) -> None:
    """The thread: the policy of FORWARD is DROP, and no rule is there for cni0."""
    answer, why = explained(capsys, "docker-forward-drop", "--from 10.50.3.8 --to 10.96.0.1:443")
    assert answer["verdict"] == "DROPPED" and "policy of filter FORWARD" in answer["reason"]
    (one,) = why["obstacles"]
    assert one["place"] == "filter FORWARD's policy" and "docker0" in one["what"] and "DOCKER-ISOLATION" in one["what"]
    assert one["then"] == "FORWARDED" and why["arrives_then"]
    assert any("docker0" in line and "172.17.0.0/16" in line for line in answer["assumed"])
    named = trace(capsys, "docker-forward-drop", "--from 10.50.3.8 --to 10.96.0.1:443 --in cni0 --out eth0")
    assert named["verdict"] == "DROPPED"


def test_a_container_of_docker_s_own_bridge_is_let_through(capsys: pytest.CaptureFixture[str]) -> None:
    answer = trace(capsys, "docker-forward-drop", "--from 172.17.0.3 --to 10.96.0.1:443")
    assert answer["verdict"] == "FORWARDED" and any("comes in on docker0" in line for line in answer["assumed"])


def test_firewalld_s_reject_before_flannel_s_accept(capsys: pytest.CaptureFixture[str]) -> None:
    """The thread: the rules for Pods were appended after the default REJECT rule."""
    answer, why = explained(capsys, "firewalld-reject-first", "--from 10.60.1.4 --to 10.96.0.1:443")
    assert answer["verdict"] == "REJECTED"
    (one,) = why["obstacles"]
    assert one["place"] == "filter FORWARD rule 8" and one["rule"].endswith("--reject-with icmp-host-prohibited")
    assert "Rule 9 of the chain would accept it (-A FORWARD -s 10.60.0.0/16 -j ACCEPT)" in one["change"]
    assert why["arrives_then"] and "Walked again with that: the packet goes on to 172.20.4.2:6443" in why["text"][-1]


def test_kube_router_returns_and_the_policy_drops(capsys: pytest.CaptureFixture[str]) -> None:
    """The thread: KUBE-ROUTER-INPUT returns what it allows, and then the policy DROP of INPUT meets it."""
    words = "--from 10.70.0.14 --to 10.71.0.1:443 --local 192.168.9.20"
    answer, why = explained(capsys, "kube-router-return", words)
    assert answer["verdict"] == "DROPPED"
    (one,) = why["obstacles"]
    assert one["place"] == "filter INPUT's policy"
    assert "came back without a verdict from KUBE-ROUTER-INPUT, KUBE-POD-FW-" in one["what"]
    assert one["then"] == "DELIVERED"


def test_cilium_has_no_rule_for_its_own_interface(capsys: pytest.CaptureFixture[str]) -> None:
    """The thread: what leaves by cilium_host is accepted by no rule, for they name lxc+ alone."""
    words = "--from 10.9.9.9 --to 10.80.1.5:80 --in eth0 --out cilium_host"
    answer, why = explained(capsys, "cilium-host-missing", words)
    assert answer["verdict"] == "UNKNOWN" and "match socket is not modelled" in answer["reason"]
    assert "Either way the packet is dropped (the policy of filter FORWARD is DROP)" in why["text"][-1]
    elsewhere = explained(capsys, "cilium-host-missing", words.replace("cilium_host", "lxc12"))[1]
    assert "Either way the packet is forwarded to 10.80.1.5:80" in elsewhere["text"][-1]


def test_a_node_port_of_a_service_without_endpoints(capsys: pytest.CaptureFixture[str]) -> None:
    """The thread: the NodePort is refused by the rule that says that there are no endpoints."""
    words = "--from 203.0.113.9 --to 192.168.5.5:31999 --local 192.168.5.5 --in eth0 --out eth1"
    answer, why = explained(capsys, "calico-nodeport-refused", words)
    assert answer["verdict"] == "REJECTED"
    assert "Service shop/web:http needs an endpoint that is ready" in why["obstacles"][0]["change"]


def test_what_is_not_supported_stops_only_the_packet_that_meets_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--from 203.0.113.9 --to 192.168.5.5:31999 --local 192.168.5.5 --in {}"
    met = trace(capsys, "calico-nodeport-refused", words.format("cali1f00d2a7c3e"))
    assert met["verdict"] == "UNKNOWN" and "the match set is not modelled" in met["reason"]
    assert trace(capsys, "calico-nodeport-refused", words.format("eth0"))["verdict"] == "REJECTED"


def test_an_interface_that_matters_is_asked_for_with_what_each_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    answer = trace(capsys, "calico-nodeport-refused", "--from 203.0.113.9 --to 192.168.5.5:31999 --local 192.168.5.5")
    ends = {one["interfaces"][0]["in"]: one["outcomes"][0]["verdict"] for one in answer["interfaces"]}
    assert ends == {"cali*": "DROPPED", "cali1f00d2a7c3e": "UNKNOWN", "another interface": "REJECTED"}
    assert answer["verdict"] == "UNKNOWN" and "--in" in answer["reason"]


def test_weave_s_controller_may_stop_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The thread: WEAVE-NPC accepts what its ipsets hold, and the rule after it drops the rest."""
    words = "--from 203.0.113.9 --to 192.168.5.5:31445 --local 192.168.5.5 --out weave"
    answer, why = explained(capsys, "weave-npc", words)
    assert answer["verdict"] == "UNKNOWN"
    said = why["text"][-1]
    assert said.startswith("  If it does (ACCEPT), the packet is forwarded to 10.36.0.9:3000; if it does not,")
    assert "is dropped (rule 3 of filter FORWARD says DROP)" in said
    assert any("172.17.0.1 is not taken for local" in line for line in answer["assumed"])


def test_portals_of_a_kube_proxy_that_was_a_proxy(capsys: pytest.CaptureFixture[str]) -> None:
    """The second thread: containers do not reach another subnet, and what goes to 10.0.0.0/8 is not masqueraded."""
    answer = trace(capsys, "userspace-portals", "--from 10.244.1.5 --to 10.0.0.1:443 --in eth0")
    assert answer["verdict"] == "DELIVERED" and answer["received"]["dport"] == 36001
    _, why = explained(capsys, "userspace-portals", "--from 10.244.1.5 --to 10.9.0.1:5432 --in eth0 --out eth0")
    assert any("POSTROUTING rule 2: destination address is 10.9.0.1, the rule wants any but 10.0.0.0/8" in line
               for line in why["remarks"])


def test_amazon_s_chains_between_kube_proxy_s(capsys: pytest.CaptureFixture[str]) -> None:
    """The thread's mangle and nat, whose connection marks and SNAT are met on the way; filter was added here."""
    words = "--from 10.0.1.44 --to 172.20.0.1:443 --all"
    answer, why = explained(capsys, "aws-connmark", words)
    assert [(one["probability"], one["verdict"]) for one in answer["outcomes"]] == [(0.5, "DROPPED")] * 2
    assert why["obstacles"][0]["place"] == "filter FORWARD's policy" and why["arrives_then"]
    assert any("10.0.1.77 is not taken for local" in line and "AWS-SNAT-CHAIN-1" in line for line in answer["assumed"])
    assert any("each of the 3 ways" in line for line in answer["assumed"])


def test_what_an_older_iptables_could_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    """The thread: the node's own iptables prints `DNAT [unsupported revision]` for each endpoint."""
    words = "--from 10.55.3.8 --to {} --in cni0 --out eth0"
    answer, why = explained(capsys, "unsupported-revision", words.format("10.96.0.1:443"))
    assert answer["verdict"] == "UNKNOWN" and "a newer iptables than the one that printed" in answer["reason"]
    assert "Were it not there" in why["text"][-1]
    assert trace(capsys, "unsupported-revision", words.format("192.168.8.30:6443"))["verdict"] == "FORWARDED"


@pytest.mark.parametrize("rule", ["-j DNAT [unsupported", "-j DNAT [unsupported version]", "[unsupported revision]",
                                  "! [unsupported revision] -j DROP"])
def test_only_the_two_words_are_taken(rule: str) -> None:
    with pytest.raises(iptables.RulesError):
        iptables.parse(f"*nat\n-A PREROUTING {rule}\nCOMMIT\n")


def test_a_match_that_could_not_be_read_is_not_told() -> None:
    rule = iptables.read_rule("-A X -p tcp -m owner [unsupported revision] -j ACCEPT")
    assert rule.normal == rule.text
    marked = iptables.read_rule("-A X -m mark [unsupported revision] -p tcp --dport 80 -j ACCEPT")
    packet = iptables.Context(Packet("tcp", "10.0.0.1", "10.0.0.2", 1, 80))
    assert "newer iptables" in str(marked.check(packet, ("filter", "X", 1)))
    assert isinstance(marked.check(iptables.Context(Packet("tcp", "10.0.0.1", "10.0.0.2", 1, 81)), ("filter", "X", 1)),
                      iptables.Miss)

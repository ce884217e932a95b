"""trace: a port whose entrance is gone, a rule of others that translates, a ping, and ways that were not shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8slab import cli
from tests.unit.test_cli import ARTICLE, GOLDEN
from tests.unit.test_oncall import run

DNS = (GOLDEN / "02-dns.iptables-save").read_text()
METRICS = ("--from", "10.244.1.9", "--to", "10.96.0.10:9153", "--explain")


def without(text: str, *words: str) -> str:
    """The rules without those of KUBE-SERVICES that have all these words."""
    return "".join(line for line in text.splitlines(keepends=True)
                   if not (line.startswith("-A KUBE-SERVICES ") and all(word in line for word in words)))


def explained(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    (one,) = run(capsys, *words)["explained"]
    return one


@pytest.mark.parametrize("gone", [("9153",), ("-d 10.96.0.10/32",), ("-d ",)])
def test_a_port_whose_entrance_is_gone(gone: tuple[str, ...], tmp_path: Path, capsys) -> None:
    (tmp_path / "r").write_text(without(DNS, *gone))
    one = explained(capsys, tmp_path / "r", *METRICS)
    (obstacle,) = one["obstacles"]
    assert obstacle["place"] == "nat KUBE-SERVICES" and one["arrives_then"] and obstacle["then"] == "FORWARDED"
    assert ("The chain KUBE-SVC-JD5MR3NA4I4DYORP is there for it (kube-system/kube-dns:metrics), and nothing in nat "
            "KUBE-SERVICES leads to it") in obstacle["what"]
    assert "--dport 9153 -j KUBE-SVC-JD5MR3NA4I4DYORP" in obstacle["change"]
    mended = without(DNS, *gone).replace("-A KUBE-SERVICES", f"{obstacle['change'].split('rule ')[1].split(',')[0]}\n"
                                         "-A KUBE-SERVICES", 1)
    (tmp_path / "r").write_text(mended)
    assert run(capsys, tmp_path / "r", *METRICS)["received"]["dport"] == 9153
    assert run(capsys, tmp_path / "r", *METRICS)["received"]["dst"].startswith("10.244.")


def test_an_entrance_that_asks_for_another_port(tmp_path: Path, capsys) -> None:
    (tmp_path / "r").write_text(DNS.replace("--dport 9153 -j KUBE-SVC", "--dport 9154 -j KUBE-SVC"))
    (obstacle,) = explained(capsys, tmp_path / "r", *METRICS)["obstacles"]
    assert "what leads to it from nat KUBE-SERVICES asks for something else: -A KUBE-SERVICES" in obstacle["what"]


def test_a_service_tells_its_ports_that_have_no_entrance(tmp_path: Path, capsys) -> None:
    (tmp_path / "r").write_text(without(DNS, "9153"))
    for name, ways in (("kube-system/kube-dns", "2 ways in"), ("kube-system/kube-dns:metrics", "no way in")):
        assert cli.main(["trace", str(tmp_path / "r"), "--service", name]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"Service {name}: {ways}\n") and said.count("No way in: ") == 1
        assert "No way in: 10.96.0.10:9153/tcp (kube-system/kube-dns:metrics): the chain KUBE-SVC-" in said
    answer = run(capsys, tmp_path / "r", "--service", "kube-system/kube-dns")
    assert [(one["dport"], one["chain"]) for one in answer["lost"]] == [(9153, "KUBE-SVC-JD5MR3NA4I4DYORP")]
    (tmp_path / "r").write_text(without(DNS, "-d 10.96.0.10/32"))
    assert len(run(capsys, tmp_path / "r", "--service", "kube-system/kube-dns")["lost"]) == 3
    assert run(capsys, GOLDEN / "02-dns.iptables-save", "--service", "kube-system/kube-dns")["lost"] == []
    assert cli.main(["trace", str(tmp_path / "r"), "--service", "shop/none"]) == 1


@pytest.mark.parametrize("name", ["04-no-endpoints", "06-nodeport", "09-loadbalancer", "10-internal-local"])
def test_no_port_of_the_recorded_clusters_is_lost(name: str, capsys) -> None:
    text = (GOLDEN / f"{name}.iptables-save").read_text()
    services = {line.split('"')[1].partition(":")[0] for line in text.splitlines() if " cluster IP" in line}
    for service in services or {"default/kubernetes"}:
        assert run(capsys, GOLDEN / f"{name}.iptables-save", "--service", service)["lost"] == []


def test_a_rule_of_another_s_that_translates(tmp_path: Path, capsys) -> None:
    rule = "-A OLD-PROXY -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.9.9.9:6443"
    text = DNS.replace("*nat\n", "*nat\n:OLD-PROXY - [0:0]\n").replace(
        '-A PREROUTING -m comment --comment "kubernetes service portals"',
        f'-A PREROUTING -j OLD-PROXY\n{rule}\n-A PREROUTING -m comment --comment "kubernetes service portals"')
    (tmp_path / "r").write_text(text)
    said = explained(capsys, tmp_path / "r", *ARTICLE, "--explain")["remarks"]
    assert any(f"The rule that chose its destination is not kube-proxy's: nat OLD-PROXY rule 1: {rule}." in one
               and "Service default/kubernetes:https is at 10.96.0.1:443/tcp" in one for one in said)
    own = explained(capsys, GOLDEN / "02-dns.iptables-save", *ARTICLE, "--explain")["remarks"]
    assert not any("not kube-proxy's" in one for one in own)


def test_a_ping_of_a_cluster_ip(capsys) -> None:
    said = explained(capsys, GOLDEN / "02-dns.iptables-save", "--from", "10.244.1.9", "--to", "10.96.0.1", "--proto",
                     "icmp", "--explain")["remarks"]
    assert "icmp/icmp" not in said[0] and "no host has that address: nobody answers" in said[0]
    assert "kube-proxy translates ports of tcp, udp and sctp" in said[0] and "10.96.0.1:443/tcp" in said[0]


@pytest.mark.parametrize(("name", "to", "count"), [("03-many-endpoints", "10.96.12.34:80", 5),
                                                   ("02-dns", "10.96.0.10:53", 2), ("02-dns", "10.96.0.1:443", 1)])
def test_one_way_of_chance_says_that_there_are_others(name: str, to: str, count: int, capsys) -> None:
    words = ["trace", str(GOLDEN / f"{name}.iptables-save"), "--from", "10.244.1.9", "--to", to]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert (f"This is one of {count} ways that chance can take; --all shows them all." in said) == (count > 1)
    assert ("ways that chance" in said) == (count > 1)
    assert cli.main([*words, "--all"]) == 0 and "This is one of" not in capsys.readouterr().out

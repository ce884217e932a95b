"""The command line, as a process: what it prints, and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources

import pytest

GOLDEN = resources.files("k8slab") / "data" / "golden"
ARTICLE = ("--from", "10.244.1.5", "--to", "10.96.0.1:443")


def k8slab(*words: object, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "k8slab", *map(str, words)], input=stdin, capture_output=True, timeout=60
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def trace(name: str, *words: object) -> dict:
    done = k8slab("trace", GOLDEN / name, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_articles_packet_through_a_real_nodes_rules():
    answer = trace("01-kubernetes.iptables-save", *ARTICLE)
    jumps = [step["verdict"] for step in answer["steps"] if step["kind"] == "JUMP"]
    assert jumps[:3] == ["KUBE-SERVICES", "KUBE-SVC-NPX46M4PTMTKRN6Y", "KUBE-SEP-VDNPK4CXOQDGPWFC"]
    assert answer["verdict"] == "FORWARDED" and answer["masqueraded"] is False
    assert answer["received"] == {
        "proto": "tcp",
        "src": "10.244.1.5",
        "sport": 40000,
        "dst": "10.106.175.128",
        "dport": 6443,
    }


def test_each_rule_passed_over_says_which_test_missed_with_both_values():
    answer = trace("01-kubernetes.iptables-save", *ARTICLE)
    passed = [p for step in answer["steps"] for p in step["passed"]]
    assert {"table": "nat", "chain": "KUBE-SVC-NPX46M4PTMTKRN6Y", "position": 1}.items() <= passed[0].items()
    assert all(p["test"] and p["wanted"] and p["found"] and p["wanted"] != p["found"] for p in passed)
    text = k8slab("trace", GOLDEN / "01-kubernetes.iptables-save", *ARTICLE).stdout
    assert all(p["wanted"].removeprefix("not ") in text and p["found"] in text for p in passed)


def test_all_five_endpoints_and_the_caller_among_them():
    answer = trace("03-many-endpoints.iptables-save", "--from", "10.244.1.5", "--to", "10.96.12.34:80", "--all")
    outcomes = answer["outcomes"]
    assert [round(o["probability"], 9) for o in outcomes] == [0.2] * 5
    assert sum(o["probability"] for o in outcomes) == pytest.approx(1, abs=1e-12)
    assert {o["received"]["dst"] for o in outcomes if o["masqueraded"]} == {"10.244.1.5"}
    assert len({o["received"]["dst"] for o in outcomes}) == 5
    itself = next(o for o in outcomes if o["masqueraded"])
    assert itself["received"]["src"] is None and itself["received"]["sport"] is None


def test_a_masqueraded_source_is_told_where_the_node_has_one_address_and_its_port_is_left_open():
    for who in (("--from", "203.0.113.10", "--local", "10.106.175.131"), ("--from", "10.106.175.131", "--from-node")):
        (one,) = trace("01-kubernetes.iptables-save", *who, "--to", "10.96.0.1:443", "--all")["outcomes"]
        assert one["masqueraded"] and one["verdict"] == "FORWARDED"
        assert (one["received"]["src"], one["received"]["sport"]) == ("10.106.175.131", None)


def test_the_table_of_all_ways_names_the_chains():
    table = k8slab(
        "trace", GOLDEN / "03-many-endpoints.iptables-save", "--from", "10.244.1.5", "--to", "10.96.12.34:80", "--all"
    ).stdout
    assert table.count("KUBE-SEP-") == 5 and table.count("0.200000000") == 5


def test_a_program_on_the_node_is_masqueraded_to_the_one_address_that_is_known():
    answer = trace("01-kubernetes.iptables-save", "--from", "10.106.175.131", "--to", "10.96.0.1:443", "--from-node")
    assert answer["masqueraded"] and answer["received"]["src"] == "10.106.175.131"
    assert "--random-fully" in json.dumps(answer) and any("10.106.175.131" in line for line in answer["assumed"])


def test_a_seed_chooses_and_is_repeatable():
    words = ("--from", "10.244.1.9", "--to", "10.96.12.34:80", "--seed")
    picks = {seed: trace("03-many-endpoints.iptables-save", *words, seed)["received"]["dst"] for seed in range(8)}
    assert len(set(picks.values())) > 1
    assert all(
        trace("03-many-endpoints.iptables-save", *words, seed)["received"]["dst"] == dst for seed, dst in picks.items()
    )


def test_no_endpoints_is_rejected_and_icmp_passes_untranslated():
    name = "04-no-endpoints.iptables-save"
    assert trace(name, "--from", "10.244.1.5", "--to", "10.96.12.40:80")["verdict"] == "REJECTED"
    ping = trace(name, "--from", "10.244.1.5", "--to", "10.96.12.40", "--proto", "icmp")
    assert ping["verdict"] == "FORWARDED" and ping["received"]["dst"] == "10.96.12.40"


def test_a_nodeport_needs_to_know_which_addresses_are_local():
    words = ("--from", "203.0.113.10", "--to", "10.106.175.128:30080")
    unknown, known = (trace("06-nodeport.iptables-save", *words, *more) for more in ((), ("--local", "10.106.175.128")))
    assert unknown["received"]["dport"] == 30080 and unknown["verdict"] == "FORWARDED"
    assert any("127.0.0.0/8" in line for line in unknown["assumed"])
    assert known["received"]["dport"] == 8080 and known["masqueraded"]


def test_an_interface_that_is_not_known_stops_the_packet_that_meets_it():
    rules = b"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i docker0 -j DROP\nCOMMIT\n"
    unknown = k8slab("trace", "-", *ARTICLE, "--json", stdin=rules)
    assert unknown.returncode == 0 and json.loads(unknown.stdout)["verdict"] == "UNKNOWN" and "--in" in unknown.stdout
    known = k8slab("trace", "-", *ARTICLE, "--json", "--in", "docker0", stdin=rules)
    assert json.loads(known.stdout)["verdict"] == "DROPPED"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"\x7fELF\x00\x01", "binary"),
        (b"*nat\n:PREROUTING ACCEPT [0:0]\n", "COMMIT"),
        (b"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.96.0.256 -j ACCEPT\nCOMMIT\n", '"10.96.0.256"'),
        (b"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d fd00::1/128 -j ACCEPT\nCOMMIT\n", "IPv6"),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_1(data, says):
    done = k8slab("trace", "-", *ARTICLE, stdin=data)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and says in done.stderr and done.stderr.startswith("k8slab: standard input")


def test_a_file_that_is_not_there_is_one_line_and_exit_1(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        done = k8slab("trace", path, *ARTICLE)
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and str(path) in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("trace",),
        ("trace", "-", "--from", "x", "--to", "10.96.0.1:443"),
        ("trace", "-", "--from", "10.0.0.1", "--to", "10.96.0.1:99999"),
        ("nonsense",),
        (),
        ("trace", "-", *ARTICLE, "--seed", "x"),
        ("trace", "-", *ARTICLE, "--in", "a", "--from-node"),
    ],
)
def test_a_wrong_command_line_is_exit_2(words):
    done = k8slab(*words)
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr.startswith("usage")


@pytest.mark.parametrize(
    "words",
    [
        ("--from", "10.0.0.1", "--to", "10.96.0.1"),
        ("--from", "10.0.0.1", "--to", "10.96.0.1:1", "--proto", "icmp"),
        ("--from", "10.0.0.1", "--to", "10.96.0.1:1", "--local", "10.0.0.1"),
    ],
)
def test_words_that_do_not_fit_together_are_exit_2(words):
    done = k8slab("trace", GOLDEN / "01-kubernetes.iptables-save", *words)
    assert done.returncode == 2 and done.stderr.startswith("k8slab: ") and done.stderr.count("\n") == 1


def test_demo_shows_both_directions():
    done = k8slab("demo")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "10.244.1.5:40000 asked 10.96.0.1:443; 10.106.175.128:6443 answered, and the answer came back as 10.96.0.1:443."
    )
    back = done.stdout[done.stdout.index("Packet 2") :]
    assert "no rule does this" in back and "src: 10.106.175.128 becomes 10.96.0.1" in back


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(f"{sys.executable} -m k8slab demo | head -n 1", shell=True, capture_output=True, timeout=60)
    assert done.stderr == b"" and done.stdout.count(b"\n") == 1


def test_a_redirect_to_an_address_that_nobody_named_is_still_followed():
    rules = b"*nat\n-A PREROUTING -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 8080\nCOMMIT\n"
    answer = json.loads(k8slab("trace", "-", *ARTICLE, "--json", stdin=rules).stdout)
    assert answer["verdict"] == "DELIVERED" and answer["received"]["dst"] is None
    assert answer["received"]["dport"] == 8080
    said = k8slab("trace", "-", *ARTICLE, stdin=rules).stdout
    assert said.startswith("10.244.1.5:40000 asked 10.96.0.1:443; the packet was delivered to ?:8080.")
    assert "an address of this node that is not known" in said


RENDER = ("--node", "k8smaster", "--node-ip", "10.106.175.128", "--pod-cidr", "10.244.0.0/16")


def test_render_in_nftables_mode_is_what_nft_listed_of_a_real_kube_proxy() -> None:
    words = (*RENDER, "--mode", "nftables", "--service-cidr", "10.96.0.0/16")
    done = k8slab("render", GOLDEN / "02-dns.objects.json", *words)
    assert (done.returncode, done.stdout) == (0, (GOLDEN / "02-dns.nft").read_text())
    refused = k8slab("render", GOLDEN / "06-nodeport.objects.json", *words)
    assert refused.returncode == 1 and refused.stderr.startswith("k8slab: Service shop/np: NodePorts")
    assert refused.stdout == ""


@pytest.mark.parametrize(
    "words",
    [("--mode", "nftables", "--nfacct"), ("--mode", "nftables", "--form", "restore"), ("--service-cidr", "10.0.0.0/8"),
     ("--mode", "nftables", "--as-of", "1.21"), ("--mode", "nftables", "--nodeport-addresses", "10.0.0.0/8")],
)
def test_render_an_option_of_the_other_mode_is_a_wrong_command_line(words: tuple[str, ...]) -> None:
    done = k8slab("render", GOLDEN / "02-dns.objects.json", *RENDER, *words)
    assert done.returncode == 2 and done.stdout == "" and "has no such thing" in done.stderr

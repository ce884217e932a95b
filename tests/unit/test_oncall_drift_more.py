"""drift: what others put before kube-proxy's jumps, which rule is blamed, and objects that cannot be all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k8slab import cli
from tests.kubeproxy.golden import FOLDER, NAMES, objects, recorded
from tests.unit.damage import chain
from tests.unit.test_oncall_drift import NODE, findings

DNAT = "-A OLD-PROXY -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.9.9.9:6443"


def in_front(name: str, *jumps: str, chains: dict[str, tuple[str, ...]], after: bool = False) -> str:
    """A recorded cluster with jumps of another program before kube-proxy's in nat (or after), and its chains."""
    lines = recorded(name).splitlines()
    at = lines.index("*nat") + 1
    declared = [f":{one} - [0:0]" for one in chains]
    for jump in jumps:
        places = [number for number, line in enumerate(lines) if number > at and chain(line) == jump.split()[1]]
        lines.insert(places[-1] + 1 if after else places[0], jump)
    end = len(lines) - 1 - lines[::-1].index("COMMIT")
    own = [rule for rules in chains.values() for rule in rules]
    return "\n".join((*lines[:at], *declared, *lines[at:end], *own, *lines[end:], ""))


def test_a_foreign_chain_that_translates_a_service_before_kube_proxy_is_drift(tmp_path: Path, capsys) -> None:
    text = in_front("03-many-endpoints", "-A PREROUTING -j OLD-PROXY", chains={"OLD-PROXY": (DNAT,)})
    (one,) = findings("03-many-endpoints", text)
    assert (one.kind, one.place, one.rule) == ("foreign", "nat OLD-PROXY rule 1", DNAT)
    assert "rule 1 of PREROUTING leads here" in one.why and "10.96.0.1:443/tcp (default/kubernetes:https)" in one.why
    (tmp_path / "r").write_text(text)
    assert cli.main(["drift", str(FOLDER / "03-many-endpoints.objects.json"), str(tmp_path / "r"), *NODE]) == 3
    behind = in_front("03-many-endpoints", "-A PREROUTING -j OLD-PROXY", chains={"OLD-PROXY": (DNAT,)}, after=True)
    assert findings("03-many-endpoints", behind) == ()


@pytest.mark.parametrize("rule", [
    "-A DEEP -j ACCEPT", "-A DEEP -d 10.96.0.0/16 -p tcp -j REDIRECT", "-A DEEP ! -d 10.1.0.0/16 -j ACCEPT",
    "-A DEEP -p tcp -m multiport --dports 80,443 -j ACCEPT", "-A DEEP -i eth0 -j NETMAP --to 10.9.0.0/16",
    "-A DEEP -m addrtype ! --dst-type LOCAL -j ACCEPT"])
def test_a_rule_two_jumps_away_that_can_take_it(rule: str) -> None:
    chains = {"OLD": ("-A OLD -p tcp -g DEEP",), "DEEP": (rule,)}
    found = findings("01-kubernetes", in_front("01-kubernetes", "-A OUTPUT -j OLD", "-A PREROUTING -j OLD",
                                               chains=chains))
    assert [(one.kind, one.place, one.rule) for one in found] == [("foreign", "nat DEEP rule 1", rule)]


DOCKER = ("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
          "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER")


@pytest.mark.parametrize(("jumps", "chains"), [
    (DOCKER, {"DOCKER": ("-A DOCKER -i docker0 -j RETURN",
                         "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80")}),
    (("-A PREROUTING -m comment --comment cali:6g -j cali-PREROUTING",),
     {"cali-PREROUTING": ("-A cali-PREROUTING -j cali-fip-dnat",),
      "cali-fip-dnat": ("-A cali-fip-dnat -d 172.16.9.9/32 -j DNAT --to-destination 10.244.1.7",)}),
    (("-A POSTROUTING -j FLANNEL-POSTRTG",),
     {"FLANNEL-POSTRTG": ("-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.0.0/16 -j RETURN",
                          "-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully")}),
    (("-A PREROUTING -j CILIUM_PRE_nat", "-A POSTROUTING -j CILIUM_POST_nat"),
     {"CILIUM_PRE_nat": (), "CILIUM_POST_nat": ("-A CILIUM_POST_nat -m mark --mark 0xa00/0xe00 -j ACCEPT",)}),
    (("-A PREROUTING -i eni+ -j AWS-CONNMARK-CHAIN-0",),
     {"AWS-CONNMARK-CHAIN-0": ("-A AWS-CONNMARK-CHAIN-0 ! -d 10.0.0.0/16 -j CONNMARK --set-xmark 0x80/0x80",)}),
])
@pytest.mark.parametrize("name", NAMES)
def test_what_others_have_in_nat_is_no_difference(name: str, jumps: tuple, chains: dict) -> None:
    assert findings(name, in_front(name, *jumps, chains=chains)) == ()


def test_docker_publishes_the_port_that_is_a_node_port() -> None:
    """The same chain, and the node's port 30080: that is kube-proxy's, and Docker's rule comes first."""
    rule = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 30080 -j DNAT --to-destination 172.17.0.2:80"
    (one,) = findings("06-nodeport", in_front("06-nodeport", *DOCKER, chains={"DOCKER": (rule,)}))
    assert one.place == "nat DOCKER rule 1" and "node:30080/tcp (shop/np:http)" in one.why


def test_a_rule_for_the_address_of_the_node_is_for_its_node_ports(tmp_path: Path, capsys) -> None:
    rule = "-A OLD -d 10.106.175.128/32 -p tcp -m tcp --dport 30080 -j DNAT --to-destination 172.17.0.2:80"
    text = in_front("06-nodeport", "-A PREROUTING -j OLD", chains={"OLD": (rule,)})
    (tmp_path / "r").write_text(text)
    assert cli.main(["drift", str(FOLDER / "06-nodeport.objects.json"), str(tmp_path / "r"), *NODE]) == 3
    assert "10.106.175.128:30080/tcp" in capsys.readouterr().out
    (tmp_path / "r").write_text(text.replace("-d 10.106.175.128/32", "-d 10.106.175.9/32"))
    assert cli.main(["drift", str(FOLDER / "06-nodeport.objects.json"), str(tmp_path / "r"), *NODE]) == 0


def test_chains_that_double_at_each_step_take_no_time() -> None:
    chains = {f"C{n}": (f"-A C{n} -j C{n + 1}",) * 2 for n in range(60)} | {"C60": ("-A C60 -j ACCEPT",)}
    found = findings("01-kubernetes", in_front("01-kubernetes", "-A PREROUTING -j C0", chains=chains))
    assert [one.place for one in found] == ["nat C60 rule 1"]


# Which rule is blamed.

def test_the_one_rule_with_another_mark_is_blamed() -> None:
    lines = recorded("01-kubernetes").splitlines()
    for at, line in enumerate(lines):
        if "0x4000" not in line:
            continue
        text = "\n".join((*lines[:at], line.replace("0x4000", "0x8000"), *lines[at + 1:], ""))
        found = findings("01-kubernetes", text)
        assert {f"{one.table} {one.chain}" for one in found} == {
            f"{'filter' if chain(line) == 'KUBE-FORWARD' else 'nat'} {chain(line)}"}
        assert sorted(one.kind for one in found) == ["foreign", "missing"]
    assert findings("01-kubernetes", recorded("01-kubernetes").replace("0x4000", "0x8000")) == ()


def test_a_port_that_was_edited_by_hand() -> None:
    text = recorded("01-kubernetes").replace("10.106.175.128:6443", "10.106.175.128:7443", 1)
    text = "\n".join(line.replace("-j DNAT --to-destination 10.106.175.128:6443",
                                  "-j DNAT --to-destination 10.106.175.128:7443") for line in text.splitlines()) + "\n"
    stale = [one for one in findings("01-kubernetes", text) if one.kind == "stale"]
    assert stale and all(one.why.endswith("or somebody has changed the rule") for one in stale)


# Objects that cannot be all, and files in the wrong order.

def told(capsys, *words: object) -> str:
    assert cli.main(["drift", *map(str, words), *NODE]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize(("change", "says"), [
    (lambda items: [one for one in items if one["kind"] == "Service"], "there is no EndpointSlice among the objects"),
    (lambda items: [], "there is no Service and no EndpointSlice among the objects"),
    (lambda items: [one for one in items if one["metadata"].get("name") != "kubernetes"
                    and "default" != one["metadata"].get("namespace")], "no Service default/kubernetes"),
])
def test_objects_that_cannot_be_all(change, says: str, tmp_path: Path, capsys) -> None:
    rules, path = FOLDER / "03-many-endpoints.iptables-save", tmp_path / "objects"
    path.write_text(json.dumps({"kind": "List", "items": change(objects("03-many-endpoints"))}))
    said = told(capsys, path, rules)
    assert says in said and "`kubectl get svc,endpointslices,nodes -A -o json`" in said and str(path) in said


def test_lists_of_another_kind(tmp_path: Path, capsys) -> None:
    (tmp_path / "pods").write_text('{"kind": "PodList", "items": []}')
    assert "no Service and no EndpointSlice" in told(capsys, tmp_path / "pods", FOLDER / "01-kubernetes.iptables-save")


def test_files_in_the_other_order(capsys) -> None:
    said = told(capsys, FOLDER / "01-kubernetes.iptables-save", FOLDER / "01-kubernetes.objects.json")
    assert "this is iptables-save text; OBJECTS, a List in JSON or YAML, comes first" in said

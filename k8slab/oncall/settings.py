"""How a node's kube-proxy is set up, as far as its own rules tell.

Its flags are not among the cluster's objects, but most of them leave a mark in the rules: the range that is not
masqueraded, the bit of the mark, the layout of the release. What somebody says goes before what is read here, and
the answer names what was read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from k8slab.iptables import Rule, Ruleset
from k8slab.iptables.said import comment
from k8slab.kubeproxy import Detector
from k8slab.kubeproxy.names import EXT, SVC, SVL
from k8slab.kubeproxy.proxier import LAST
from k8slab.oncall.evidence import address, given, network, rules_of

MASQ = "KUBE-MARK-MASQ"
LAYOUT_NAMES = {"1.21": "until 1.21", "1.23": "1.22 and 1.23", "1.36": "since 1.24"}
MARKED = (("nat", MASQ), ("filter", "KUBE-FORWARD"), ("nat", "KUBE-POSTROUTING"))
OWN = ("KUBE-SERVICES", SVC, SVL)


def read_settings(rules: Ruleset) -> dict[str, object]:
    """The fields of a `Config` that the rules tell; those that they do not tell are not there.

    >>> from k8slab.lab import kube_proxy_rules
    >>> found = read_settings(parse(kube_proxy_rules()))
    >>> found["as_of"], found["detector"].value, found["masquerade_bit"]
    ('1.36', '10.244.0.0/16', 14)
    """
    found: dict[str, object] = {"as_of": _layout(rules)}
    if bits := Counter(_bits(rules)):
        found["masquerade_bit"] = bits.most_common(1)[0][0]
    for rule in rules_of(rules, "nat", "KUBE-POSTROUTING"):
        if rule.target and rule.target.name == "MASQUERADE":
            found["random_fully"] = "--random-fully" in rule.target
    found["nfacct"] = any(match.name == "nfacct" for table in ("filter", "nat") for rule in rules_of(rules, table)
                          for match in rule.matches)
    return found | _detector(rules) | _node_ports(rules)


def _bits(rules: Ruleset) -> Iterator[int]:
    """The bit of the mark in each rule that sets, asks for or clears it; one that differs has drifted."""
    for table, chain in MARKED:
        for rule in rules_of(rules, table, chain):
            values = [match.value("--mark", (0, 0))[0] for match in rule.matches if match.name == "mark"]
            values += [rule.target.value("--set-xmark", (0, 0))[0]] if rule.target else []
            yield from (value.bit_length() - 1 for value in values if value.bit_count() == 1)


def _layout(rules: Ruleset) -> str:
    """The release by what only it writes: KUBE-PROXY-FIREWALL, or a masquerade rule in KUBE-SERVICES itself."""
    chains = {chain.name for table in rules.tables for chain in table.chains}
    arrows = any(" -> " in comment(rule) for rule in rules_of(rules, "nat") if rule.chain.startswith((SVC, SVL)))
    if "KUBE-PROXY-FIREWALL" in chains or arrows or "KUBE-SERVICES" not in chains or \
            any(name.startswith((EXT, SVL)) for name in chains):
        return "1.36"
    old = any(rule.target and rule.target.name == MASQ for rule in rules_of(rules, "nat", "KUBE-SERVICES"))
    return "1.21" if old else "1.23"


def _masquerade_rules(rules: Ruleset) -> Iterator[Rule]:
    """The rules that mark what does not come from a Pod: of Services' chains, or of KUBE-SERVICES until 1.21."""
    for rule in rules_of(rules, "nat"):
        if rule.chain.startswith(OWN) and rule.target and rule.target.name == MASQ:
            yield rule


def _detector(rules: Ruleset) -> dict[str, object]:
    """What most of the rules take for a Pod's packet; where they differ, the others are what has drifted."""
    found: Counter[tuple[str, str]] = Counter()
    everybody = False
    for rule in _masquerade_rules(rules):
        source, interface = given(rule, "-s"), given(rule, "-i")
        if source and source[1] and network(rule, "-s"):
            found["-s", network(rule, "-s")] += 1
        elif interface and interface[1]:
            found["-i", interface[0]] += 1
        else:
            everybody = everybody or comment(rule).endswith(" cluster IP")
    if found:
        return {"detector": Detector(*found.most_common(1)[0][0])}
    return {"masquerade_all": True} if everybody else {}


def _node_ports(rules: Ruleset) -> dict[str, object]:
    """At which addresses NodePorts are served: by the last rules of KUBE-SERVICES."""
    last = [rule for rule in rules_of(rules, "nat", "KUBE-SERVICES") if comment(rule) == LAST.strip('"')]
    named = tuple(f"{one}/32" for rule in last if (one := address(rule, "-d")))
    if named:
        return {"node_port_addresses": named}
    loopback = [given(rule, "-d") for rule in last]
    return {"localhost_node_ports": False} if any(one and one[1] for one in loopback) else {}


def said(config_fields: dict[str, object]) -> list[str]:
    """The settings in the words of the command's own flags, one each."""
    words = []
    for name, value in config_fields.items():
        if name == "detector" and value:
            flag = {"-s": "--pod-cidr"}.get(value.option, "--interface-prefix" if value.value.endswith("+") else
                                           "--bridge")
            words.append(f"{flag} {value.value.rstrip('+')}")
        elif name == "as_of":
            words.append(f"--as-of {value} (the layout {LAYOUT_NAMES[value]})")
        elif name == "masquerade_bit":
            words.append(f"--masquerade-bit {value}")
        elif name == "node_port_addresses":
            words += [f"--nodeport-addresses {one}" for one in value]
        elif name in FLAGS and value == FLAGS[name][0]:
            words.append(FLAGS[name][1])
    return words


FLAGS = {"nfacct": (True, "--nfacct"), "masquerade_all": (True, "--masquerade-all"),
         "localhost_node_ports": (False, "--no-localhost-nodeports"),
         "random_fully": (False, "an iptables without --random-fully")}

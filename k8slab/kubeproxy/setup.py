"""What kube-proxy puts beside its restore text: jumps from the built-in chains, and canaries; and the whole as a dump.

The jumps are made by `iptables -I`, each before what is there, in the order of JUMPS: so they stand in a chain in
the reverse order (proxier.go, `iptablesJumpChains`, `iptablesKubeletJumpChains`). A canary is an empty chain: when
it is gone, somebody has flushed the tables.
"""

from __future__ import annotations

from k8slab import iptables
from k8slab.kubeproxy.config import Config
from k8slab.kubeproxy.older import layout

NEW = "-m conntrack --ctstate NEW "
TABLES = ("mangle", "filter", "nat")
CANARY = "KUBE-PROXY-CANARY"
# Table, built-in chain, test, comment, chain to jump to.
JUMPS = (
    ("filter", "INPUT", NEW, "kubernetes externally-visible service portals", "KUBE-EXTERNAL-SERVICES"),
    ("filter", "FORWARD", NEW, "kubernetes externally-visible service portals", "KUBE-EXTERNAL-SERVICES"),
    ("filter", "INPUT", "", "kubernetes health check service ports", "KUBE-NODEPORTS"),
    ("filter", "FORWARD", NEW, "kubernetes service portals", "KUBE-SERVICES"),
    ("filter", "OUTPUT", NEW, "kubernetes service portals", "KUBE-SERVICES"),
    ("filter", "FORWARD", "", "kubernetes forwarding rules", "KUBE-FORWARD"),
    ("filter", "INPUT", NEW, "kubernetes load balancer firewall", "KUBE-PROXY-FIREWALL"),
    ("filter", "OUTPUT", NEW, "kubernetes load balancer firewall", "KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", NEW, "kubernetes load balancer firewall", "KUBE-PROXY-FIREWALL"),
    ("nat", "OUTPUT", "", "kubernetes service portals", "KUBE-SERVICES"),
    ("nat", "PREROUTING", "", "kubernetes service portals", "KUBE-SERVICES"),
    ("nat", "POSTROUTING", "", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
)
LOCALNET = (("filter", "INPUT", "", "", "KUBE-FIREWALL"), ("filter", "OUTPUT", "", "", "KUBE-FIREWALL"))


def setup(config: Config, there: iptables.Ruleset | None = None) -> str:
    """The chains and jumps of a full sync that are not in its restore text, as text for `iptables-restore`.

    `there`: the rules of the node, of which what is there already is left out; "" where that is all.

    >>> from k8slab.kubeproxy.objects import Node
    >>> setup(Config(Node("worker1"))).splitlines()[:3]
    ['*mangle', ':KUBE-PROXY-CANARY - [0:0]', 'COMMIT']
    """
    new = layout(config.as_of).firewall
    jumps = tuple(jump for jump in JUMPS if new or jump[4] != "KUBE-PROXY-FIREWALL")
    jumps += LOCALNET * new          # with localhost NodePorts off, the chain is there and empty
    parts = []
    for table in TABLES:
        own = [jump for jump in jumps if jump[0] == table]
        chains = [*dict.fromkeys(jump[4] for jump in own), CANARY]
        rules = [
            (chain, test + (f'-m comment --comment "{comment}" ' if comment else "") + f"-j {target}")
            for _, chain, test, comment, target in own
        ]
        if there is not None and table in there:
            has = there[table]
            chains = [chain for chain in chains if not has.get(chain)]
            rules = [rule for rule in rules if f"-A {rule[0]} {rule[1]}" not in _texts(has, rule[0])]
        if chains or rules:
            parts += [f"*{table}", *(f":{chain} - [0:0]" for chain in chains),
                      *(f"-I {chain} {words}" for chain, words in rules), "COMMIT"]
    return "\n".join([*parts, ""]) if parts else ""


def _texts(table: iptables.Table, chain: str) -> set[str]:
    """The rules of a chain, each as iptables-save prints it."""
    found = table.get(chain)
    return {rule.text for rule in found.rules} if found else set()


def made(config: Config, restore_text: str) -> iptables.Ruleset:
    """The rules of a node on which kube-proxy has made both its parts, and nobody anything else."""
    return (
        iptables.Ruleset()
        .restore(setup(config), noflush=True, name="setup")
        .restore(restore_text, noflush=True, name="restore")
    )


def saved(config: Config, restore_text: str) -> str:
    """What `iptables-save` prints on a node where kube-proxy has made both its parts."""
    return str(made(config, restore_text).normal())

"""The map of hooks and chains says what the rules say, and stands tidily."""

from __future__ import annotations

import pytest

from k8slab.iptables import RulesError
from k8slab.lab import kube_proxy_rules
from k8slab.show.hookmap import hook_map
from k8slab.stack.stack import HOOKS
from tests.show.tidy import faults

RULES = kube_proxy_rules()


def test_every_jump_from_a_built_in_chain_stands_at_its_hook_and_no_other() -> None:
    made = hook_map(RULES)
    wanted: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in RULES.splitlines():
        table = line[1:] if line[0] == "*" else table
        words = line.split()
        if words[0] == "-A" and words[1] in HOOKS and words[-2] == "-j" and words[-1].startswith("KUBE-"):
            wanted.setdefault((words[1], table), []).append(words[-1])
    found = {(hook, party): list(chains) for hook, parties in made.hooks.items() for party, chains in parties if chains}
    assert found == wanted and len(wanted) == 6
    assert all(name in made.svg and name in str(made) for names in wanted.values() for name in names)


def test_tables_stand_in_the_order_in_which_they_are_asked() -> None:
    for hook, parties in hook_map(RULES).hooks.items():
        places = [HOOKS[hook].index(party) for party, _ in parties]
        assert places == sorted(places)


@pytest.mark.parametrize("rules", [RULES, "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n", "".join((
    "*filter\n:FORWARD ACCEPT [0:0]\n", *(f":CHAIN-{n} - [0:0]\n" for n in range(40)),
    *(f"-A FORWARD -j CHAIN-{n}\n" for n in range(40)), "COMMIT\n"))], ids=["kube-proxy", "empty", "many"])
def test_it_stands_tidily(rules: str) -> None:
    made = hook_map(rules)
    assert faults(made.picture) == []
    assert ("35 more chains" in str(made)) == ("CHAIN-39" in rules)


def test_wrong_text_is_refused_by_its_line() -> None:
    with pytest.raises(RulesError, match=":2: .*NOWHERE"):
        hook_map("*nat\n-A NOWHERE -j ACCEPT\nCOMMIT\n")

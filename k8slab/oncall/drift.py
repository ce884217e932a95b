"""What kube-proxy should have written beside what is there: missing, stale, foreign, out of order.

Theory of operation
-------------------
Both sides are brought into iptables-save's own form, so that counters, comment lines and the program's age are no
difference. What no two syncs share is left out: the order of Services in the chains that a Go map fills, and the
comments in a Service's own chains, which a large cluster leaves away. All else is compared to the letter.

kube-proxy's are the chains that it names itself, and of the built-in chains its jumps alone. What others have put
into its chains is foreign; so is a rule of others before its jumps, if it ends the walk of a packet that it takes, and
one in a chain that stands before them in nat, if it can take a Service's packet (`infront.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from k8slab.iptables import Rule, Ruleset, Table
from k8slab.iptables.said import comment
from k8slab.kubeproxy.names import PREFIXES
from k8slab.kubeproxy.proxier import FILTER_CHAINS, LAST, NAT_CHAINS
from k8slab.kubeproxy.setup import CANARY, JUMPS, LOCALNET
from k8slab.oncall.entrances import Entrance, entrances, named
from k8slab.oncall.infront import HOOKS, decides
from k8slab.oncall.order import out_of_place

KINDS = ("missing", "stale", "foreign", "out of order")
TABLES = ("mangle", "filter", "nat")
SERVICES_OWN = (*PREFIXES, "KUBE-XLB-")
TOP = {"mangle": (CANARY,), "filter": (*FILTER_CHAINS, "KUBE-PROXY-FIREWALL", CANARY), "nat": (*NAT_CHAINS, CANARY)}
# Filled from a Go map: only the rules of one Service keep their order, and the rules for NodePorts come last.
UNORDERED = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL", "KUBE-NODEPORTS")
ENDS = ("verdict", "return", "nat", "goto")
# What kubelet writes into KUBE-FIREWALL, which it shares with kube-proxy, until 1.27.
KUBELET = ("kubernetes firewall for dropping marked packets", "block incoming localnet connections")
SHARED = "KUBE-FIREWALL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `kind`: one of KINDS; `position`: of a rule that is there, from 1, else 0; `rule`: its text, or
    `:NAME` for a chain; `why`: a sentence.
    """

    kind: str
    table: str
    chain: str
    position: int
    rule: str
    why: str

    @property
    def place(self) -> str:
        """`nat KUBE-SERVICES rule 3`."""
        return f"{self.table} {self.chain}" + (f" rule {self.position}" if self.position else "")

    def to_dict(self) -> dict:
        """The difference as plain JSON values."""
        return {"kind": self.kind, "table": self.table, "chain": self.chain, "position": self.position or None,
                "rule": self.rule, "why": self.why}


def drift(expected: Ruleset, actual: Ruleset, local: Sequence[str] = ()) -> tuple[Finding, ...]:
    """The differences between what kube-proxy would write and what a node has, table by table, in KINDS' order.

    `local`: addresses of the node, at which NodePorts are asked for.

    >>> wanted = parse("*nat\\n:KUBE-MARK-MASQ - [0:0]\\n-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\\nCOMMIT\\n")
    >>> there = parse("*nat\\n:KUBE-MARK-MASQ - [0:0]\\n-A KUBE-MARK-MASQ -j ACCEPT\\nCOMMIT\\n")
    >>> [f"{one.kind}: {one.place}" for one in drift(wanted, there)]
    ['missing: nat KUBE-MARK-MASQ', 'foreign: nat KUBE-MARK-MASQ rule 1']
    """
    wanted, there = expected.normal(), actual.normal()
    found = [one for name in TABLES for one in _table(name, wanted.get(name) or Table(name), there.get(name))]
    if "nat" in wanted and "nat" in there:
        found += _in_front(wanted["nat"], there["nat"], entrances(expected), local)
    return tuple(sorted(found, key=lambda one: (TABLES.index(one.table), KINDS.index(one.kind))))


def others(actual: Ruleset) -> tuple[str, ...]:
    """Chains of nobody's but that begin as kube-proxy's do: other programs', such as kube-router's; no difference."""
    return tuple(f"{table.name} {chain.name}" for table in actual.tables for chain in table.chains
                 if chain.name.startswith("KUBE-") and not _owned(table.name, chain.name) and chain.name != SHARED)


def _owned(table: str, chain: str) -> bool:
    return chain in TOP.get(table, ()) or table == "nat" and chain.startswith(SERVICES_OWN)


def _table(name: str, wanted: Table, there: Table | None) -> Iterator[Finding]:
    there = there or Table(name)
    for chain in wanted.chains:
        if chain.name in wanted.builtin:
            continue
        if chain.name not in there:
            count = f", nor are its {len(chain.rules)} rules" if chain.rules else ""
            yield Finding("missing", name, chain.name, 0, f":{chain.name}", f"the chain is not there{count}")
        else:
            yield from _rules(name, chain.name, chain.rules, there[chain.name].rules)
    led_to = {rule.target.name for chain in there.chains for rule in chain.rules if rule.target}
    for chain in there.chains:
        if chain.name not in wanted and _owned(name, chain.name):
            yield Finding("stale", name, chain.name, 0, f":{chain.name}", _stale_chain(chain.name in led_to))
    for hook in wanted.builtin if wanted.chains else ():
        yield from _jumps(name, hook, wanted[hook].rules, there[hook].rules if hook in there else ())


def _stale_chain(led_to: bool) -> str:
    return ("no object asks for the chain, and a rule still leads to it" if led_to else
            "no object asks for the chain; nothing leads to it, so that no packet meets it")


def _key(chain: str, rule: Rule) -> str:
    """What two rules must have alike: their text, without the comment in a Service's own chains."""
    text = rule.text
    if chain.startswith(SERVICES_OWN) and (said := comment(rule)):
        for match in rule.matches:
            if match.name == "comment":
                text = text.replace(" -m comment " + " ".join(match.save_options()), "", 1)
        return text if said else rule.text
    return text


def _rules(table: str, chain: str, wanted: Sequence[Rule], there: Sequence[Rule]) -> Iterator[Finding]:
    """The differences of one of kube-proxy's own chains."""
    keys = [_key(chain, rule) for rule in wanted], [_key(chain, rule) for rule in there]
    left = Counter(keys[0])
    left.subtract(Counter(keys[1]))
    missing = {key: count for key, count in left.items() if count > 0}
    for rule, key in zip(wanted, keys[0]):
        if missing.get(key, 0) > 0:
            missing[key] -= 1
            yield Finding("missing", table, chain, 0, rule.text, "the rule is not there")
    extra, known = _extra(keys[1], Counter(keys[0])), set(keys[0])
    for at in extra:
        rule = there[at]
        if chain == SHARED and comment(rule) in KUBELET:
            continue
        kind, why = _stranger(rule, keys[1][at] in known)
        yield Finding(kind, table, chain, at + 1, rule.text, why)
    yield from _order(table, chain, [(key, rule) for key, rule in zip(keys[0], wanted)],
                      [(at, keys[1][at], there[at]) for at in range(len(there)) if at not in extra])


def _extra(keys: Sequence[str], wanted: Counter[str]) -> dict[int, None]:
    """Which of the rules that are there nobody asked for, from 0 and in order; of two alike, the second."""
    found: dict[int, None] = {}
    for at, key in enumerate(keys):
        if wanted[key] > 0:
            wanted[key] -= 1
        else:
            found[at] = None
    return found


def _stranger(rule: Rule, twice: bool) -> tuple[str, str]:
    """What a rule is that kube-proxy did not write there: one of its own for something that is gone, or another's."""
    if twice:
        return "foreign", "the rule is there once more than kube-proxy writes it"
    target = rule.target.name if rule.target else ""
    words = named(comment(rule))
    if target.startswith(SERVICES_OWN):
        return "stale", "no object asks for it"
    if words and (rule.chain.startswith(SERVICES_OWN) or words[3] or target == "ACCEPT"):
        return "stale", (f"no object asks for it as it stands: {words[0]}/{words[1]} has changed, or is gone, or "
                         "somebody has changed the rule")
    return "foreign", "kube-proxy writes no such rule"


def _group(chain: str, rule: Rule) -> str:
    """Which rules keep their order among each other: all of a chain, or those of one Service's port."""
    if chain not in UNORDERED or (words := named(comment(rule))) is None:
        return ""
    return "/".join(words[:3])


def _order(table: str, chain: str, wanted: list[tuple[str, Rule]], there: list[tuple[int, str, Rule]]
           ) -> Iterator[Finding]:
    last = LAST.strip('"')
    orders: dict[str, list[str]] = {}
    groups: dict[str, list[tuple[int, str, Rule]]] = {}
    for key, rule in wanted:
        orders.setdefault(_group(chain, rule), []).append(key)
    for at, key, rule in there:
        groups.setdefault(_group(chain, rule), []).append((at, key, rule))
    for group, own in groups.items():
        for index in out_of_place(orders.get(group, ()), [key for _, key, _ in own]):
            at, _, rule = own[index]
            yield Finding("out of order", table, chain, at + 1, rule.text, "it stands elsewhere in the chain than "
                          "kube-proxy writes it")
    if chain == "KUBE-SERVICES" and table == "nat":
        after = [at for at, _, rule in there if comment(rule) != last]
        for at, _, rule in there:
            if comment(rule) == last and after and at < max(after):
                yield Finding("out of order", table, chain, at + 1, rule.text, "it must be the last rule in this chain")


def _in_front(wanted: Table, there: Table, known: Sequence[Entrance], local: Sequence[str]) -> Iterator[Finding]:
    """Rules in chains of others that decide a Service's packet before the jump to kube-proxy's chains."""
    told = set()
    for hook in HOOKS:
        texts = {rule.text for rule in wanted[hook].rules}
        jump = next((at for at, rule in enumerate(there[hook].rules) if rule.text in texts), 0)
        for one in decides(there, hook, jump, known, lambda name: _owned("nat", name), local):
            if (one.rule.chain, one.position) not in told:
                told.add((one.rule.chain, one.position))
                target = there[hook].rules[jump].target.name
                yield Finding("foreign", "nat", one.rule.chain, one.position, one.rule.text,
                              f"rule {one.jump} of {hook} leads here, and stands before the jump to {target}: the rule "
                              f"can decide for {one.entrance} ({one.entrance.name}), and then kube-proxy is not asked")


def _jumps(table: str, hook: str, wanted: Sequence[Rule], there: Sequence[Rule]) -> Iterator[Finding]:
    """The differences of a built-in chain: kube-proxy's jumps, and what of others stands before them."""
    texts = [rule.text for rule in wanted]
    own = [(at, rule) for at, rule in enumerate(there) if rule.text in texts]
    present = [rule.text for _, rule in own]
    for rule in wanted:
        if rule.text not in present:
            yield Finding("missing", table, hook, 0, rule.text, f"nothing leads from {hook} to {rule.target.name}")
    first: dict[str, int] = {}
    for at, rule in own:
        if rule.text in first:
            yield Finding("foreign", table, hook, at + 1, rule.text, "the jump is there more than once")
        first.setdefault(rule.text, at)
    found = sorted(first, key=first.get)
    for index in out_of_place([text for text in texts if text in first], found):
        yield Finding("out of order", table, hook, first[found[index]] + 1, found[index],
                      "the jumps stand in another order than kube-proxy makes them")
    known = {jump[4] for jump in (*JUMPS, *LOCALNET) if jump[0] == table}
    for at, rule in enumerate(there):
        if rule.text in texts or rule.target is None:
            continue
        later = [there[position].target.name for position in sorted(first.values()) if position > at]
        if rule.target.name in known and rule.target.name != SHARED:
            yield Finding("stale", table, hook, at + 1, rule.text, "kube-proxy writes no such jump now")
        elif later and rule.target.kind in ENDS:
            yield Finding("foreign", table, hook, at + 1, rule.text, f"what it takes never comes to {later[0]}, the "
                          "jump to which stands after it")

"""The chain map: from KUBE-SERVICES by KUBE-SVC and KUBE-SEP to the DNAT, as a picture and as words.

`chains.py` makes the tree that is told, `chainplan.py` draws it; this file picks the rules and tells the tree
in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from k8slab import iptables
from k8slab.iptables import Chain, Context, Rule, Ruleset, Table
from k8slab.packet import Packet
from k8slab.show import chainplan
from k8slab.show.chains import (
    SHARED,
    Branch,
    Tree,
    by_service,
    matching,
    possible,
    say_share,
    service_of,
)
from k8slab.show.svg import Picture
from k8slab.trace import Step, Trace

# A map of many Services holds about so many branches; the Services after them are counted.
BRANCHES = 24
HERE = "the packet took it"


@dataclass(frozen=True, slots=True, repr=False)
class ChainMap:
    """Which chain jumps to which: `branches` of `chain` in `table`; `about` says what is shown of it."""

    table: str
    chain: str
    about: str
    branches: tuple[Branch, ...]

    def __str__(self) -> str:
        lines = [self.name, *self.way, self.chain]
        for branch in self.branches:
            lines += _words(branch, "  ")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    @property
    def name(self) -> str:
        """What the map is a map of: "table nat from KUBE-SERVICES: Service shop/web"."""
        return f"table {self.table} from {self.chain}: {self.about}"

    @property
    def lit(self) -> tuple[str, ...]:
        """The targets that the packet was sent to by a rule of the map, in its order."""
        return tuple(branch.target for top in self.branches for branch in top.walk() if branch.lit)

    @property
    def way(self) -> list[str]:
        """The packet's way in one line, where there is one."""
        return [f"The packet’s way: {' → '.join((self.chain, *self.lit))}"] if self.lit else []

    @property
    def picture(self) -> Picture:
        """The map as shapes."""
        says = " ".join(self.way) or ", ".join(branch.target for branch in self.branches)
        caption = (self.name, *self.way)
        return chainplan.picture(self.chain, self.branches, caption, f"Chain map, {self.name}", says)

    @property
    def svg(self) -> str:
        """The map as SVG, for a file of its own or inline in a page."""
        return self.picture.svg()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.picture.html(str(self))}


def chain_map(rules: Ruleset | str, table: str = "nat", *, service: str | None = None,
              packet: Packet | None = None, trace: Trace | None = None,
              chain: str = "KUBE-SERVICES") -> ChainMap:
    """The chains that one Service has, or that one packet can meet, or the first of all and how many more.

    `service`: "default/kubernetes" or "default/kubernetes:https", found by the comments that kube-proxy
    writes, or an address, "10.96.0.1" or "10.96.0.1:443". `packet`: only the rules that it can meet, as it
    was sent. `trace`: its way through this table is lit; without a Service, only the rules that its packet
    can meet are told.

    >>> from k8slab.lab import kube_proxy_rules
    >>> print(chain_map(kube_proxy_rules(), service="default/kubernetes"))
    table nat from KUBE-SERVICES: Service default/kubernetes
    KUBE-SERVICES
      rule 1, to 10.96.0.1, tcp port 443: KUBE-SVC-NPX46M4PTMTKRN6Y (default/kubernetes:https)
        rule 1, not from 10.244.0.0/16, to 10.96.0.1, tcp port 443: KUBE-MARK-MASQ, and back
        rule 2, always: KUBE-SEP-VDNPK4CXOQDGPWFC
          rule 1, from 10.106.175.128: KUBE-MARK-MASQ, and back
          rule 2, tcp: DNAT 10.106.175.128:6443

    Raises ValueError for a table, a chain or a Service that the rules do not have; RulesError for wrong text.
    """
    ruleset = iptables.parse(rules) if isinstance(rules, str) else rules
    if table not in ruleset or chain not in ruleset[table]:
        raise ValueError(f"the rules have no chain {chain} in a table {table}")
    found = ruleset[table]
    steps = _steps(trace, table, chain) if trace else ()
    packet = packet or (trace.sent if trace and not service else None)
    ask = possible(Context(packet, iif=steps[0].iif if steps else None)) if packet else None
    picks, rest = _picked(found, chain, service, ask)
    lit = {(step.chain, step.position) for step in steps}
    sure = (lambda rule: ask(rule)[1]) if ask else (lambda rule: False)
    branches = Tree(found, picks, lit, sure).grow(chain)
    about = ", ".join(filter(None, (f"Service {service}" if service else "",
                                    f"what {packet} can meet" if packet else ""))) or "all Services"
    return ChainMap(table, chain, about, by_service(branches, rest))


def _steps(trace: Trace, table: str, chain: str) -> tuple[Step, ...]:
    """The rules of the table that took the packet, on the first host that sent it to the chain."""
    walk = [s for s in trace.steps if s.leg == 1 and s.table == table and s.rule]
    # A packet comes to a chain by a jump, to a built-in chain by its hook.
    first = next((s for s in walk if chain in (s.verdict, s.hook)), None)
    if first is None:
        return ()
    return tuple(s for s in walk if (s.node, s.hook) == (first.node, first.hook)
                 and (s.number > first.number or s.chain == chain))


Picks = Callable[[Chain, Rule], bool]


def _picked(table: Table, chain: str, service: str | None, ask: Callable | None) -> tuple[Picks, set[str]]:
    """Which rules are told, and the Services that are not."""
    shared = [c for c in table.chains if c.name in SHARED or c.name == chain]
    if service:
        return _for_service(shared, service, ask), set()
    if ask:
        return (lambda c, rule: ask(rule)[0]), set()
    rules: dict[str, list[Rule]] = {}
    for rule in (rule for c in shared for rule in c.rules if _service(rule)):
        rules.setdefault(_service(rule), []).append(rule)
    names = {c.name for c in shared}
    told, room = set(), BRANCHES
    for name, its in rules.items():
        room -= sum(_size(table, rule) for rule in its)
        if told and room <= 0:
            break
        told.add(name)
    rest = set(rules) - told
    told.add("")                           # rules for no Service: the jump to KUBE-NODEPORTS
    return (lambda c, rule: c.name not in names or _service(rule) in told), rest


def _for_service(shared: list[Chain], service: str, ask: Callable | None) -> Picks:
    """Of the chains that many Services share, this one's rules; of the others, all that the packet meets."""
    wanted = matching(service)
    held = {c.name for c in shared if any(map(wanted, c.rules))}
    if not held:
        names = sorted({name for c in shared for rule in c.rules if (name := service_of(rule))})
        some = ", ".join(names[:6]) + (f" and {len(names) - 6:,} more" if names[6:] else "")
        raise ValueError(f"no rule is for the Service {service!r}; there are {some or 'none'}")
    names = {c.name for c in shared}

    def picks(chain: Chain, rule: Rule) -> bool:
        its = chain.name not in names or wanted(rule) or _to(rule) in held
        return its and (ask is None or ask(rule)[0])
    return picks


def _service(rule: Rule) -> str:
    """The Service that a rule is for, without its port."""
    return service_of(rule).partition(":")[0]


def _to(rule: Rule) -> str:
    return rule.target.name if rule.target else ""


def _size(table: Table, rule: Rule) -> int:
    """About how many branches a rule brings along."""
    chain = table.get(_to(rule))
    return 1 + 2 * len(chain.rules) if chain else 1


def _rule_words(branch: Branch) -> str:
    """`rule 3, 0.25000000000 of what is left`: which rule, and what it asks for."""
    chance = f"{branch.chance} of what is left" if branch.chance else ""
    return ", ".join(filter(None, (f"rule {branch.position}", branch.when, chance)))


def _share(branch: Branch) -> str:
    return say_share(branch.share) if branch.share == 1 else f"share {say_share(branch.share)}"


def _words(branch: Branch, indent: str) -> list[str]:
    """A branch and those behind it, a line each."""
    if branch.kind == "more":
        return [indent + branch.target]
    share = "" if branch.share is None else f", {_share(branch)}"
    after = {"side": ", and back", "again": ", as told elsewhere"}.get(branch.kind, "")
    named = branch.kind == "chain" and branch.chain in SHARED and branch.service
    name = f" ({branch.service})" if named else ""
    lit = f" · {HERE}" if branch.lit else ""
    lines = [f"{indent}{_rule_words(branch)}{share}: {branch.target}{after}{name}{lit}"]
    return lines + [line for below in branch.branches for line in _words(below, indent + "  ")]

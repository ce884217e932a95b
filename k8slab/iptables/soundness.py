"""Whether the chains of a table hold together, which the kernel checks when a table is complete.

No chain that a packet can reach may lead back to itself, and no target may stand where it cannot work: a DNAT that
POSTROUTING leads to is refused. A table that is right, as nearly every one is, is gone through once; one that is
wrong is gone through from each hook in turn, as the kernel does, for the rule that it would name.
"""

from __future__ import annotations

from collections.abc import Sequence

from k8slab.iptables.draftchain import LEADS_ON, DraftChain
from k8slab.iptables.errors import RulesError
from k8slab.iptables.names import HOOKS
from k8slab.iptables.rule import Rule


def validate(chains: dict[str, DraftChain], builtin: Sequence[str]) -> None:
    """Raise RulesError for a loop of chains that packets can reach, or a target at a hook where it cannot work."""
    if _sound(chains, builtin):
        return
    notable = {name: [rule for rule in chain.rules if _notable(rule)] for name, chain in chains.items()}
    for hook in builtin:
        _walk(hook, notable)


def _sound(chains: dict[str, DraftChain], builtin: Sequence[str]) -> bool:
    """Whether `_walk` would find nothing wrong from any hook: in one pass, where it makes one for each."""
    works: dict[str, int] = {}         # chain → the hooks at which all that it leads to works, as bits
    for hook in builtin:
        if not _follow(chains, hook, works) or not works[hook] >> HOOKS.index(hook) & 1:
            return False
    return True


def _follow(chains: dict[str, DraftChain], hook: str, works: dict[str, int]) -> bool:
    """Note what `works` of each chain that can be reached from a hook; False for a loop of chains."""
    path, stack = {hook}, [(hook, iter(chains[hook].outlook[1]))]
    while stack:
        name, left = stack[-1]
        after = next((lead for lead in left if lead not in works), None)
        if after is None:
            works[name], leads = chains[name].outlook
            for lead in leads:
                works[name] &= works[lead]
            path.discard(name)
            stack.pop()
        elif after in path:
            return False
        else:
            path.add(after)
            stack.append((after, iter(chains[after].outlook[1])))
    return True


def _walk(hook: str, notable: dict[str, list[Rule]]) -> None:
    """Visit what can be reached from a hook, depth first; `path` is how we came here."""
    path, done, stack = {hook: None}, set(), [(hook, iter(notable[hook]))]
    while stack:
        name, rules = stack[-1]
        rule = next(rules, None)
        if rule is None:
            stack.pop()
            path.pop(name)
            done.add(name)
        elif rule.target.kind not in LEADS_ON:
            if hook not in rule.target.spec.hooks:
                where = " and ".join(rule.target.spec.hooks)
                raise RulesError(f"cannot work in {name}, which {hook} leads to" if name != hook else
                                 f"cannot work in {hook}", f"it belongs to {where}", rule.target.name,
                                 line=rule.line)
        elif rule.target.name in path:
            raise RulesError(f"closes a loop of chains in {name}", "a chain cannot lead back to itself",
                             rule.target.name, line=rule.line)
        elif rule.target.name not in done:
            path[rule.target.name] = None
            stack.append((rule.target.name, iter(notable[rule.target.name])))


def _notable(rule: Rule) -> bool:
    """Whether a rule leads on, or has a target that works at some hooks only."""
    target = rule.target
    return target is not None and (target.kind in LEADS_ON or bool(target.spec and target.spec.hooks))

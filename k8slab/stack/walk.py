"""The walk of one packet through one table's chains.

Theory of operation
-------------------
A *hook* is a place in the packet's path where each table may keep a *built-in chain* of
the hook's name. The walk starts there with the first rule and goes down:

* A rule matches when every one of its tests hits; they are made in order and the first
  miss ends it. A rule that matches has its target carried out; the others are passed over.
* ACCEPT, DROP and REJECT end the walk in this table. ACCEPT ends it *here* only: the next
  table of the hook, and the next hook, still read the packet.
* A jump (`-j CHAIN`) goes to a chain and remembers where to come back to; a goto (`-g`)
  remembers nothing, so that the end of that chain leads to wherever the chain with the
  goto would have returned to.
* RETURN, or no rule left, leads back. In a built-in chain there is nothing to go back to:
  its *policy* decides. Only built-in chains have one.
* MARK, LOG and their like do their work and the walk goes on with the next rule.
* DNAT, SNAT, MASQUERADE and REDIRECT decide the connection's translation and end the walk
  as ACCEPT does (`model/nat.py`).

A test that cannot be made (a match that is not modelled, a fact that is not known) ends the
whole journey: it is never guessed.

`PlainWalk` tries every rule. `Walk` passes over those that the packet cannot hit without trying them, by the
chain's index (`iptables/index.py`): a chain of ten thousand rules takes it no longer than one of ten. Its steps,
verdicts and reasons are the plain walk's to the letter; which test missed is worked out when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from k8slab.iptables import CannotTell, Chain, Context, Miss, Place, Rule, Table
from k8slab.iptables.context import Answer
from k8slab.iptables.index import FEW, Leaf, candidates, following
from k8slab.iptables.options import UNREAD, UNREADABLE
from k8slab.iptables.said import asks, comment
from k8slab.stack.skb import Skb
from k8slab.stack.stack import Ended
from k8slab.trace import Passed


ACCEPT = Ended("ACCEPT")
# Chains that each jump twice to the next double the walk at each: a hundred of them, and it never ends.
MOST_HITS = 20_000


@dataclass(frozen=True, slots=True)
class Untried:
    """Rules that were passed over without being tried: those of a chain from place `start` to before `stop`, from 0."""

    table: str
    chain: Chain
    start: int
    stop: int
    context: Context

    def misses(self) -> Iterator[tuple[Place, Rule, Miss]]:
        """Why each missed: its tests are made now, up to one that is known to miss; none of them changes anything."""
        for at in range(self.start, self.stop):
            rule, place = self.chain.rules[at], Place(self.table, self.chain.name, at + 1)
            yield place, rule, rule.check(self.context, place)


Missed = tuple[Place, Rule, Miss] | Untried


class PlainWalk:
    """One walk: where it is, where it will come back to, and which rules it passed over on the way.

    `note` writes a step; `nat` carries out a NAT target and says how that ended; `count` counts a hit; `answer` says
    whether a packet hits a rule: by its tests, or as a kernel was seen to decide.
    """

    def __init__(self, table: Table, hook: str, skb: Skb, *, note: Callable, nat: Callable, count: Callable,
                 context: Callable, answer: Callable[[Rule, Context, Place], Answer] = Rule.check) -> None:
        self.table, self.hook, self.skb, self.answer = table, hook, skb, answer
        self.note, self.nat, self.count, self.context = note, nat, count, context
        self.chain: Chain = table[hook]
        self.at = self.hits = 0
        self.calls: list[tuple[Chain, int, int]] = []
        self.path = {hook: None}             # the chains that lead here, in order
        self.missed: list[Missed] = []

    def _pass_over(self, context: Context) -> None:
        """Go on to the next rule that is worth trying."""

    def run(self) -> Ended:
        """Walk until a verdict; every rule hit and every way back becomes a step."""
        context = self.context(self.skb)
        while True:
            self._pass_over(context)
            if self.at == len(self.chain.rules):
                ended = self._leave("END", None)
            else:
                rule, place = self.chain.rules[self.at], Place(self.table.name, self.chain.name, self.at + 1)
                result = self.answer(rule, context, place)
                self.at += 1
                if isinstance(result, Miss):
                    self.missed.append((place, rule, result))
                    continue
                if isinstance(result, CannotTell):
                    self._step("RULE", rule, "UNKNOWN", str(result))
                    return Ended("UNKNOWN", f"{place[1]} rule {place[2]} ({rule.text}): {result}", rule)
                self.count(place, self.skb)
                ended = self._carry_out(rule)
                context = self.context(self.skb)      # a target may have changed what the next rule reads
            if ended:
                return ended

    def _carry_out(self, rule: Rule) -> Ended | None:
        self.hits += 1
        if self.hits > MOST_HITS:
            why = f"the walk through {self.table.name} {self.hook} was given up after {MOST_HITS:,} rules that matched"
            self._step("RULE", rule, "UNKNOWN", why)
            return Ended("UNKNOWN", why, rule)
        if rule.target is None:
            return self._step("RULE", rule, "", "without a target it only counts")
        if rule.target.spec and rule.target.spec.hooks and self.hook not in rule.target.spec.hooks:
            self.table.check()               # where rules are read as they are met, this one may yet be refused
        return _ACTIONS[rule.target.kind](self, rule)

    def _verdict(self, rule: Rule) -> Ended:
        name = rule.target.name
        kind, says = _VERDICTS[name]
        self._step(kind, rule, name, says.format(table=self.table.name, hook=self.hook), ends=name != "ACCEPT")
        said = comment(rule)
        words = f"rule {self.at} of {self.table.name} {self.chain.name} says {name}" + (f": “{said}”" if said else "")
        return Ended(name, words, rule)

    def _jump(self, rule: Rule) -> None:
        name = rule.target.name
        back = rule.target.kind == "jump"
        self._step("JUMP", rule, name, f"on to {name}" + ("" if back else ", with no way back"))
        if back:
            self.calls.append((self.chain, self.at, len(self.path)))
        if name in self.path:
            self.table.check()               # a chain that leads to itself is refused, too
        self.path[name] = None
        self.chain, self.at = self.table[name], 0

    def _return(self, rule: Rule) -> Ended | None:
        return self._leave("RETURN", rule)

    def _leave(self, kind: str, rule: Rule | None) -> Ended | None:
        """Go back to where the chain was called from, or let the policy decide."""
        says = "RETURN" if rule else "no rule is left" if self.chain.rules else "the chain is empty"
        if self.calls:
            caller, at, depth = self.calls.pop()
            while len(self.path) > depth:
                self.path.popitem()
            self._step(kind, rule, caller.name, f"back to {caller.name}" if rule else f"{says}: back to {caller.name}")
            self.chain, self.at = caller, at
            return None
        base = self.table[self.hook]
        if rule:
            self._step(kind, rule, base.name, "RETURN in a built-in chain means its policy")
        self.chain = base
        self.count(Place(self.table.name, base.name, 0), self.skb)
        self._step("POLICY", None, base.policy, f"{says}: the policy of {base.name} is {base.policy}",
                   ends=base.policy == "DROP")
        return Ended(base.policy, f"the policy of {self.table.name} {base.name} is {base.policy}")

    def _mark(self, rule: Rule) -> None:
        old = self.skb.mark
        self.skb.mark = rule.target.new_mark(old)
        self._step("RULE", rule, "", f"the mark {old:#x} becomes {self.skb.mark:#x}")

    def _connmark(self, rule: Rule) -> None:
        connection, skb = self.skb.connection, self.skb
        if connection is None:
            return self._step("RULE", rule, "", "the packet has no conntrack entry to mark")
        skb.mark, connection.mark = rule.target.new_marks(skb.mark, connection.mark)
        self._step("RULE", rule, "", f"packet mark {skb.mark:#x}, connection mark {connection.mark:#x}")

    def _ct(self, rule: Rule) -> Ended | None:
        if not rule.target.notrack:
            return self._unknown(rule)
        if self.skb.state is None:
            self.skb.state = "UNTRACKED"
        self._step("RULE", rule, "", "conntrack will not look at this packet")

    def _log(self, rule: Rule) -> None:
        self._step("RULE", rule, "", f"{rule.target.name} reports the packet, and the walk goes on")

    def _aside(self, rule: Rule) -> None:
        self._step("RULE", rule, "", f"{rule.target.name} changes what no rule here reads, and the walk goes on")

    def _nat(self, rule: Rule) -> Ended:
        ended, before, why = self.nat(self.skb, rule, self.hook)
        dropped = ended.verdict == "DROP"
        self._step("DROP" if dropped else "NAT", rule, ended.verdict, why, before=before, ends=dropped)
        return ended

    def _unknown(self, rule: Rule) -> Ended:
        known = UNREADABLE if rule.target.words == UNREAD else "is not modelled"
        why = f"the target {rule.target.name} {known}: where it would send the packet cannot be told"
        self._step("RULE", rule, "UNKNOWN", why)
        return Ended("UNKNOWN", f"{self.chain.name} rule {self.at} ({rule.text}): {why}", rule)

    def _step(self, kind: str, rule: Rule | None, verdict: str, why: str, **more: object) -> None:
        missed, self.missed = tuple(self.missed), []
        why = f"{hit(rule)}: {why}" if rule and verdict != "UNKNOWN" else why
        self.note(kind, self.skb, why, hook=self.hook, table=self.table.name, chain=self.chain.name,
                  position=self.at if rule else 0, rule=rule.text if rule else "", verdict=verdict,
                  passed_over=(lambda: explain(missed)) if missed else None, **more)


class Walk(PlainWalk):
    """The same walk, which does not try the rules that the packet cannot hit."""

    _there: Chain | None = None            # the chain whose candidates were looked up last
    _leaves: list[Leaf] = []

    def _pass_over(self, context: Context) -> None:
        chain, at = self.chain, self.at
        if len(chain.rules) - at <= FEW:
            return
        if chain is not self._there:       # the fields by which rules are parted do not change during a walk
            self._there, self._leaves = chain, candidates(self.table.index(chain.name), context)
        self.at = following(self._leaves, at, len(chain.rules))
        if self.at > at:
            self.missed.append(Untried(self.table.name, chain, at, self.at, context))


_VERDICTS = {
    "ACCEPT": ("RULE", "ACCEPT ends the walk through {table} {hook}"),
    "DROP": ("DROP", "the packet is dropped in silence"),
    "REJECT": ("REJECT", "the packet is refused, and its sender is told"),
}

_ACTIONS: dict[str, Callable[[PlainWalk, Rule], Ended | None]] = {
    "verdict": PlainWalk._verdict, "jump": PlainWalk._jump, "goto": PlainWalk._jump, "return": PlainWalk._return,
    "mark": PlainWalk._mark, "connmark": PlainWalk._connmark, "ct": PlainWalk._ct, "log": PlainWalk._log,
    "trace": PlainWalk._log, "aside": PlainWalk._aside, "nat": PlainWalk._nat, "unknown": PlainWalk._unknown,
}


def hit(rule: Rule) -> str:
    """Why a rule matched: the tests that hit."""
    asked = asks(rule)
    return "has no test, every packet matches" if asked == "every packet" else f"matches {asked}"


def explain(missed: Iterable[Missed]) -> tuple[Passed, ...]:
    """The rules passed over, in words: which test missed, what it wanted, what it found."""
    each = (one for some in missed for one in (some.misses() if isinstance(some, Untried) else (some,)))
    return tuple(Passed(*place, rule.text, miss.test, miss.wanted, miss.found) for place, rule, miss in each)

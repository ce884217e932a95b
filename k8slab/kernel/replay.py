"""Netfilter as it was seen at work: the stack asks at each hook, and what the kernel reported answers.

The rules that matched, policies, marks and headers are the kernel's own words. What no report tells is worked out
beside them, from the rules' text and the entries: which rules were passed over and why, where a chain ended, what
conntrack found, and the rewriting that no rule does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from k8slab.iptables import Context, Miss, Place, Rule, Ruleset
from k8slab.iptables.context import Answer
from k8slab.iptables.said import asks
from k8slab.kernel import events
from k8slab.kernel.events import Hit
from k8slab.kernel.known import Table
from k8slab.kernel.passages import Passage
from k8slab.packet import Packet
from k8slab.stack import says
from k8slab.stack.context import context_of, range_of, tracks
from k8slab.stack.rewrite import MANIP, fields, translate, translate_error
from k8slab.stack.routing import Routes
from k8slab.stack.skb import Skb
from k8slab.stack.stack import Ended
from k8slab.stack.walk import ACCEPT, PlainWalk

DRAWS = 1 << 31
UNSEEN = "{host} was not seen to ask table {table} at {hook}: it dropped the packet before, and no report says why"


class Replay:
    """One host's netfilter during a journey; `passage` is the packet that it is asked about."""

    def __init__(self, host: str, rules: Ruleset | None, routes: Routes, table: Table, draws: list[bool]) -> None:
        self.host, self.rules, self.routes, self.table, self.draws = host, rules, routes, table, draws
        self.tables = {one.name: one for one in rules.tables} if rules else {}
        self.tracks = bool(rules) and tracks(rules)
        self.note: Callable[..., None] = lambda *_, **__: None
        self.passage: Passage | None = None

    def ask(self, party: str, hook: str, skb: Skb) -> Ended:
        """What one party of the hook was seen to do with the packet."""
        return _PARTIES.get(party, Replay._walk)(self, party, hook, skb)

    def rejected(self, skb: Skb) -> None:
        """The kernel itself has closed the entry, and reports it."""

    def _walk(self, party: str, hook: str, skb: Skb) -> Ended:
        chain = self.tables[party].get(hook) if party in self.tables else None
        if chain is None or (not chain.rules and chain.policy == "ACCEPT"):
            return ACCEPT
        hits = self._reported(party, hook)
        if hits is None:
            return self._dropped(skb, hook, UNSEEN.format(host=self.host, table=party, hook=hook))
        self._see(skb, hits[0])
        left = deque(hit for hit in hits if hit.position)        # the others say that a chain is at its end
        ended = PlainWalk(self.tables[party], hook, skb, note=self.note, nat=self._nat_target, count=lambda *_: None,
                          context=self._context(hook), answer=lambda *asked: self._answer(left, *asked)).run()
        skb.mark = hits[-1].mark
        return ended

    def _reported(self, table: str, hook: str) -> list[Hit] | None:
        """The next walk that was reported, if it is through this table at this hook."""
        return self.passage.walks.popleft() if self._next_is(table, hook) else None

    def _next_is(self, table: str, hook: str) -> bool:
        """Whether the next walk was through this table at this hook; walks that say nothing are left aside."""
        walks = self.passage.walks if self.passage else deque()
        while walks and self._says_nothing(walks[0][0]):
            walks.popleft()
        return bool(walks) and (walks[0][0].table, walks[0][0].chain) == (table, hook)

    def _says_nothing(self, hit: Hit) -> bool:
        table = self.tables.get(hit.table)
        chain = table.get(hit.chain) if table else None
        return chain is None or not chain.rules and chain.policy == "ACCEPT"

    def _see(self, skb: Skb, first: Hit) -> None:
        """The headers that the kernel saw are right, whatever was worked out."""
        seen = events.inner_flow(first.network, first.transport)
        if seen and not skb.packet.is_icmp_error and seen != skb.packet.flow:
            before, names = skb.packet, ("src", "dst", "sport", "dport", "icmp_id")
            skb.packet = before.replace(**{name: getattr(seen, name) for name in names})
            why = "is seen here with other addresses; no report says why"
            self.note("NAT", skb, why, hook=first.chain, before=before)

    def _answer(self, left: deque[Hit], rule: Rule, context: Context, place: Place) -> Answer:
        """Whether the kernel was seen to take this rule; if not, why, as far as the rule's text can tell."""
        hit = bool(left) and (left[0].chain, left[0].position) == (place.chain, place.position)
        worked_out = self._work_out(rule, context, place, hit)
        if hit:
            left.popleft()
            return None
        if isinstance(worked_out, Miss):
            return worked_out
        return Miss("what the kernel decided", asks(rule), "that it is not so")

    def _work_out(self, rule: Rule, context: Context, place: Place, hit: bool) -> Answer:
        drew = []
        negated = any(match.name == "statistic" and match.negated("--probability") for match in rule.matches)

        def draw(threshold: int) -> int:
            drew.append(hit != negated)
            return 0 if drew[-1] else DRAWS - 1

        answer = rule.check(replace(context, draw=draw), place)
        self.draws += drew
        if drew and isinstance(answer, Miss) and answer.test.startswith("statistic"):
            return Miss(answer.test, answer.value, "not below it: how far, the kernel does not say")
        return answer

    def _context(self, hook: str) -> Callable[[Skb], Context]:
        return lambda skb: context_of(skb, hook, self.routes, draw=None, memory={}, now=0.0)

    def _look_up(self, party: str, hook: str, skb: Skb) -> Ended:
        if not self.tracks or skb.connection or skb.state:
            return ACCEPT
        skb.state, skb.connection, skb.direction, new = self.table.find(skb.packet)
        why = says.FOUND[skb.state, skb.direction, new].format(nat=says.NAT if "nat" in self.tables else "")
        self.note("CONNTRACK", skb, why, hook=hook)
        return ACCEPT

    def _confirm(self, party: str, hook: str, skb: Skb) -> Ended:
        connection = skb.connection
        if connection is None or connection.confirmed or skb.direction == "REPLY":
            return ACCEPT
        self.table.confirm(connection)
        self.note("CONNTRACK", skb, says.CONFIRMED, hook=hook)
        return ACCEPT

    def _nat(self, party: str, hook: str, skb: Skb) -> Ended:
        connection = skb.connection
        if connection is None or "nat" not in self.tables:
            return ACCEPT
        if skb.state == "RELATED" and skb.packet.proto == "icmp":
            return self._rewrite(hook, skb, translate_error)
        # A confirmed connection that nobody has answered may still be asked about, and stays as it is.
        if skb.state in ("NEW", "RELATED") and (not connection.confirmed or self._next_is(party, hook)):
            ended = self._walk(party, hook, skb)
            if ended.verdict != "ACCEPT":
                return ended
            self._bind(skb, hook)
        return self._rewrite(hook, skb, translate)

    def _rewrite(self, hook: str, skb: Skb, with_: Callable[..., Packet]) -> Ended:
        before = skb.packet
        skb.packet = with_(before, skb.connection, skb.direction, MANIP[hook])
        if skb.packet != before:
            self.note("NAT", skb, says.entry_change(before, skb), hook=hook, before=before)
        return ACCEPT

    def _bind(self, skb: Skb, hook: str, rule: Rule | None = None) -> None:
        """Give one end of the connection what its entry says, or, where none was seen, what the rule says."""
        connection = skb.connection
        if connection.confirmed:
            return
        entry, as_it_is = connection.announced(), connection.reply.reply
        names = fields(as_it_is, MANIP[hook])
        if entry:
            new = {name: getattr(entry.reply.reply, name) for name in names}
        elif rule:
            given = range_of(rule, skb, hook, self.routes)
            new = {name: value for name, value in zip(names, (given.min_address, given.min_port)) if value}
        else:
            return
        connection.take(replace(connection.now, reply=replace(as_it_is, **new).reply))

    def _nat_target(self, skb: Skb, rule: Rule, hook: str) -> tuple[Ended, Packet, str]:
        before, manip = skb.packet, MANIP[hook]
        if skb.connection is None:
            return ACCEPT, before, f"{rule.target.name}, but the packet has no conntrack entry: nothing is rewritten"
        self._bind(skb, hook, rule)
        skb.packet = translate(before, skb.connection, skb.direction, manip)
        return ACCEPT, before, f"{rule.target.name} {says.change(before, skb.packet, manip)}"

    def _dropped(self, skb: Skb, hook: str, why: str) -> Ended:
        self.note("DROP", skb, why, hook=hook, ends=True)
        return Ended("DROP", why)


_PARTIES: dict[str, Callable[[Replay, str, str, Skb], Ended]] = {
    "conntrack": Replay._look_up, "confirm": Replay._confirm, "nat": Replay._nat,
}

"""Netfilter on one host: who reads a packet at each hook, in which order.

Theory of operation
-------------------
A hook is a place in the stack (`stack.py`) where a packet is shown to several parties, in the order
of their priorities: HOOKS in `stack/stack.py` is that table. Any of them may end the packet.

nat is asked for the first packet of a connection alone; what was decided then is applied to every
packet after it, by no rule (nf_nat_inet_fn, `_nat` below). conntrack is on when one of the rules
needs it, even one that is never reached; without it no nat chain is ever asked.
"""

from __future__ import annotations

from collections.abc import Callable

from k8slab.iptables import Context, Place, Rule, Ruleset
from k8slab.model import nat
from k8slab.model.chance import Chance
from k8slab.model.conntrack import Conntrack
from k8slab.stack.routing import Routes
from k8slab.stack.skb import Skb
from k8slab.stack.context import context_of, range_of, tracks
from k8slab.stack.walk import ACCEPT, Ended, PlainWalk, Walk
from k8slab.packet import Packet
from k8slab.stack import says
from k8slab.stack.rewrite import MANIP, translate, translate_error

ICMP_REDIRECT = 5
HEADERS = {"tcp": 40, "udp": 28, "icmp": 28, "sctp": 32}


class Netfilter:
    """The rules of one host, what they remember, and its table of connections.

    `clock` returns seconds; `routes` tells which addresses are local. `plain`: try every rule, one by one; what comes
    of it is the same.
    """

    def __init__(self, rules: Ruleset | None, routes: Routes, chance: Chance, clock: Callable[[], float], *,
                 plain: bool = False) -> None:
        self.routes, self.chance, self.clock = routes, chance, clock
        self.walk = PlainWalk if plain else Walk
        self.note: Callable[..., None] = lambda *_, **__: None       # the stack puts its own in place
        self.conntrack = Conntrack()
        self.memory: dict = {}
        self.load(rules)

    def load(self, rules: Ruleset | None) -> None:
        """Replace the rules. Connections keep what they were given, and `recent` its lists; counters begin anew."""
        self.rules = rules
        self.memory = {key: value for key, value in self.memory.items() if key[0] == "recent"}
        self.counts: dict[Place, list[int]] = {}
        self.tables = {table.name: table for table in rules.tables} if rules else {}
        self.tracks = tracks(rules) if rules else False

    def ask(self, party: str, hook: str, skb: Skb) -> Ended:
        """Show the packet to one party of HOOKS; it may be changed, and says how it ends here."""
        return _PARTIES.get(party, Netfilter._walk)(self, party, hook, skb)

    def _walk(self, table: str, hook: str, skb: Skb) -> Ended:
        chain = self.tables[table].get(hook) if table in self.tables else None
        if chain is None:
            return ACCEPT
        if not chain.rules and chain.policy == "ACCEPT":
            self._count(Place(table, hook, 0), skb)
            return ACCEPT       # nothing to read, nothing to say
        return self.walk(self.tables[table], hook, skb, note=self.note, nat=self._nat_target, count=self._count,
                         context=lambda skb: self._context(skb, hook)).run()

    def _look_up(self, party: str, hook: str, skb: Skb) -> Ended:
        if not self.tracks or skb.connection or skb.state:
            return ACCEPT       # already known: it came round by lo, or NOTRACK was said
        found = self.conntrack.look_up(skb.packet, self.clock())
        skb.state, skb.connection, skb.direction = found.state, found.connection, found.direction
        why = says.FOUND[found.state, found.direction, found.new]
        self.note("CONNTRACK", skb, why.format(nat=says.NAT if "nat" in self.tables else ""), hook=hook)
        return ACCEPT

    def _confirm(self, party: str, hook: str, skb: Skb) -> Ended:
        connection = skb.connection
        if connection is None or connection.confirmed or skb.direction == "REPLY":
            return ACCEPT
        if not self.conntrack.confirm(connection, self.clock()):
            return self._refused(skb, hook, "no tuple is left by which its replies could be told from those of "
                                            "another connection")
        self.note("CONNTRACK", skb, says.CONFIRMED, hook=hook)
        return ACCEPT

    def _nat(self, party: str, hook: str, skb: Skb) -> Ended:
        """nf_nat_inet_fn: ask the chains once for each connection, then rewrite every packet."""
        connection, manip = skb.connection, MANIP[hook]
        if connection is None or "nat" not in self.tables:
            return ACCEPT
        if skb.state == "RELATED" and skb.packet.proto == "icmp":
            if skb.packet.icmp_type == ICMP_REDIRECT and connection.status:
                return self._refused(skb, hook, "a redirect about a translated connection would lead astray")
            return self._rewrite(hook, skb, translate_error)
        if skb.state in ("NEW", "RELATED") and manip not in connection.nat_done:
            ended = self._walk(party, hook, skb)
            if ended.verdict != "ACCEPT":
                return ended
            if manip not in connection.nat_done:
                nat.bind(self.conntrack, connection, manip, nat.NULL_BINDING, self.chance, self.clock())
        return self._rewrite(hook, skb, translate)

    def _rewrite(self, hook: str, skb: Skb, translate) -> Ended:
        before = skb.packet
        skb.packet = translate(before, skb.connection, skb.direction, MANIP[hook])
        if skb.packet != before:
            self.note("NAT", skb, says.entry_change(before, skb), hook=hook, before=before)
        return ACCEPT

    def rejected(self, skb: Skb) -> None:
        """A rule has answered this packet with a RST: its connection is over."""
        if skb.connection:
            self.conntrack.close(skb.connection, self.clock())

    def _refused(self, skb: Skb, hook: str, why: str) -> Ended:
        self.note("DROP", skb, why, hook=hook, ends=True)
        return Ended("DROP", why)

    def _nat_target(self, skb: Skb, rule: Rule, hook: str) -> tuple[Ended, Packet, str]:
        """Carry out DNAT, SNAT, MASQUERADE or REDIRECT: bind, rewrite, and say what changed."""
        before, manip = skb.packet, MANIP[hook]
        range_ = range_of(rule, skb, hook, self.routes)
        if skb.connection is None:
            return ACCEPT, before, f"{rule.target.name}, but the packet has no conntrack entry: nothing is rewritten"
        if range_.min_address == "":
            why = f"{rule.target.name}, but {skb.iif} has no address to give: the packet is dropped"
            return Ended("DROP", why), before, why
        nat.bind(self.conntrack, skb.connection, manip, range_, self.chance, self.clock())
        skb.packet = translate(before, skb.connection, skb.direction, manip)
        return ACCEPT, before, f"{rule.target.name} {says.change(before, skb.packet, manip)}"

    def _context(self, skb: Skb, hook: str) -> Context:
        now = self.clock()
        return context_of(skb, hook, self.routes, draw=self.chance.draw, memory=self.memory, now=now)

    def _count(self, place: Place, skb: Skb) -> None:
        count = self.counts.setdefault(place, [0, 0])
        count[0] += 1
        count[1] += HEADERS.get(skb.packet.proto, 20) + skb.packet.length


_PARTIES: dict[str, Callable[[Netfilter, str, str, Skb], Ended]] = {
    "conntrack": Netfilter._look_up, "confirm": Netfilter._confirm, "nat": Netfilter._nat,
}


"""Ten ways of breaking the model that people have believed in; the differential test must see each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from k8slab.model import netfilter
from k8slab.model.conntrack import Conntrack, Found
from k8slab.model.journey import Journey
from k8slab.stack import stack as stacks
from k8slab.stack.routing import HostRoutes
from k8slab.stack.skb import Skb
from k8slab.stack.stack import Stack
from k8slab.stack.walk import ACCEPT, Ended, Walk


def _nat_by_every_packet():
    real = netfilter.Netfilter._nat

    def nat(self, party, hook, skb):
        if skb.connection:
            self._walk(party, hook, skb)
        return real(self, party, hook, skb)
    return patch.dict(netfilter._PARTIES, {"nat": nat})


def _mark_on_the_wire():
    kept: dict[tuple[int, int], int] = {}
    real = Stack.leave

    def leave(self, fate):
        kept[id(self.journal), fate.skb.leg] = fate.skb.mark
        real(self, fate)

    def carry(self):
        while self.on_the_wire:
            host, interface, packet, leg = self.on_the_wire.popleft()
            stack = self.model.stacks[host]
            skb = Skb(packet, leg, mark=kept.get((id(self.journal), leg), 0))
            self._settle(stack, stack.receive(skb, interface))
    return _both(patch.object(Stack, "leave", leave), patch.object(Journey, "_carry", carry))


@contextmanager
def _both(one, other) -> Iterator[None]:
    with one, other:
        yield


def _goto_returns():
    def jump(self, rule):
        self._step("JUMP", rule, rule.target.name, "")
        self.calls.append((self.chain, self.at, len(self.path)))
        self.chain, self.at = self.table[rule.target.name], 0
    return patch.dict("k8slab.stack.walk._ACTIONS", {"goto": jump})


def _return_accepts():
    def back(self, rule):
        self._step("RETURN", rule, "", "")
        return ACCEPT
    return patch.dict("k8slab.stack.walk._ACTIONS", {"return": back})


def _policy_ignored():
    real = Walk._leave

    def leave(self, kind, rule):
        ended = real(self, kind, rule)
        return Ended("ACCEPT") if ended and ended.verdict == "DROP" else ended
    return patch.object(Walk, "_leave", leave)


def _reply_as_it_came():
    real = netfilter.translate
    return patch.object(netfilter, "translate", lambda packet, connection, direction, manip:
                        packet if direction == "REPLY" else real(packet, connection, direction, manip))


def _accept_ends_the_hook():
    def hook(self, name, skb):
        for party in stacks.HOOKS[name] if self.netfilter.rules else ():
            ended = self.netfilter.ask(party, name, skb)
            if ended.verdict != "ACCEPT":
                return self._ended(ended, skb)
            if ended.rule is not None and party in ("raw", "mangle", "filter"):
                return None
        return None
    return patch.object(Stack, "_hook", hook)


def _entry_at_once():
    real = Conntrack.look_up

    def look_up(self, packet, now):
        found = real(self, packet, now)
        if found.new:
            self.confirm(found.connection, now)
        return found
    return patch.object(Conntrack, "look_up", look_up)


def _established_by_the_second_packet():
    real = Conntrack.look_up

    def look_up(self, packet, now):
        found = real(self, packet, now)
        if found.state == "NEW" and not found.new:
            return Found("ESTABLISHED", found.connection, found.direction)
        return found
    return patch.object(Conntrack, "look_up", look_up)


def _reject_in_silence():
    return patch.object(stacks, "rejection", lambda *_: None)


def _source_never_checked():
    return patch.object(HostRoutes, "bad_source", lambda *_: "")


# What is broken → how, and the first network of the tests' seed whose cases show it.
BREAKAGES: dict[str, tuple[Callable, int]] = {
    "nat is asked for every packet": (_nat_by_every_packet, 0),
    "the mark stays on the wire": (_mark_on_the_wire, 21),
    "a goto comes back": (_goto_returns, 2),
    "RETURN accepts": (_return_accepts, 0),
    "policies accept": (_policy_ignored, 0),
    "replies are not rewritten": (_reply_as_it_came, 0),
    "ACCEPT ends the whole hook": (_accept_ends_the_hook, 0),
    "an entry is confirmed as it is made": (_entry_at_once, 0),
    "a second packet makes a connection ESTABLISHED": (_established_by_the_second_packet, 1),
    "REJECT is silent": (_reject_in_silence, 1),
    "no source is ever checked": (_source_never_checked, 12),
}

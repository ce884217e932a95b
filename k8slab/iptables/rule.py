"""One rule: its text to the letter, its parsed form, and whether a packet hits it.

The tests of a rule are made in the order in which the kernel makes them: source, destination, interfaces,
protocol, fragment, then each match as it stands in the rule. The first that misses ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from k8slab.iptables.context import Answer, Context, Miss, Place
from k8slab.iptables.matches import IP
from k8slab.iptables.options import Extension, Given
from k8slab.iptables.targets import Target

Counters = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a chain.

    `text`: as it was read, `-A KUBE-SERVICES -d …`, without counters. `counters`: (packets, bytes), None
    where the text had none. `own_counters`: they are in `text`, as `-c`. `line`: of the text it was read
    from, from 1. `matches`: the rule's own tests first, as the match `ip`, then each `-m` in order. `target`:
    None for a rule that only counts.

    >>> read_rule("-A X -p tcp --dport 80 -j DROP").normal
    '-A X -p tcp -m tcp --dport 80 -j DROP'

    """

    chain: str
    text: str
    counters: Counters | None = None
    line: int = field(default=0, compare=False)
    matches: tuple[Extension, ...] = field(default=(), compare=False, repr=False)
    target: Target | None = field(default=None, compare=False, repr=False)
    own_counters: bool = field(default=False, compare=False, repr=False)
    tests: tuple[Given | Extension, ...] = field(default=(), compare=False, repr=False)

    @property
    def normal(self) -> str:
        """The rule as `iptables-save` prints it after `iptables-restore` of this text (1.8.9, nf_tables)."""
        parts = ["-A", self.chain]
        for match in self.matches:
            options = match.save_options()
            # nf_tables has nothing to keep of a test such as `! --dport 0:65535`, nor of its match.
            if match.spec is not IP and (options or not any(given.negated for given in match.given)):
                parts += ["-m", match.name]
            parts += options
        if self.target:
            parts.append(self.target.save())
        return " ".join(parts)

    @property
    def protocol(self) -> Given | None:
        """What `-p` says: a protocol's number and whether it is negated; None for a rule without it."""
        first = self.matches[0].given if self.matches else ()
        return next((given for given in first if given.option.name == "-p"), None)

    def check(self, ctx: Context, place: Place | tuple[str, str, int]) -> Answer:
        """Whether a packet hits: None when every test does, else the first Miss, else a CannotTell.

        `place` is (table, chain, position from 1). A test that cannot be made does not hide a later one that
        certainly misses; a test that changes something is made only where all before it hit.

        """
        unknown = None
        for test in self.tests:
            if unknown is not None and test.stateful:
                continue
            answer = test.check(ctx, place)
            if answer is not None:
                if isinstance(answer, Miss):
                    return answer
                unknown = unknown or answer
        return unknown

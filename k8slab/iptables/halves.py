"""Rules in the form that iptables-save prints, read by their halves, and made into values when first asked for.

Theory of operation. A saved rule is `-A CHAIN`, its tests, and `-j TARGET` with the target's options, in this
order. In a big dump nearly every half stands in thousands of rules: `-m statistic --mode random --probability
0.25` before one, `-j KUBE-MARK-MASQ` after another. Each half is read once, by the reader of words
(`reading.py`), and kept for as long as the table lives. What differs from rule to rule are addresses, so that
`-s ADDRESS -d ADDRESS` is taken off the tests, and the comment's text out of them, before what is left is looked
up; and chains to jump to and addresses to translate to, which are known to be right when they look as they should.

`check` knows a rule that is right, and keeps its line; of most rules of a big dump nobody ever asks for more. `keep`
keeps a line unseen. `read` makes `Rule`s of the lines of a chain. A half counts only where the reader would read it
alike in any company: every other rule is left to it, and so is every wrong one, so that what is refused is refused
in its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from k8slab.iptables.draft import DraftTable
from k8slab.iptables.draftchain import EVERY_HOOK, Line, bits_of
from k8slab.iptables.errors import RulesError
from k8slab.iptables.matches import IP, MATCHES
from k8slab.iptables.names import HOOKS, OTHER_TARGETS
from k8slab.iptables.options import Extension, Given, Option, settled, stored
from k8slab.iptables.reading import Reader, check_protocols, own_tests, read_rules
from k8slab.iptables.rule import Counters, Rule
from k8slab.iptables.targets import JUMP, PORTED, TARGETS, Target
from k8slab.iptables.values import read_network
from k8slab.iptables.words import LONGEST_WORD, split, words_of

# The first half of a rule: its matches and tests, the number that `-p` gives, whether it names an interface, and at
# which place among the matches the comment is, -1 for none.
Tests = tuple[tuple[Extension, ...], tuple[Given | Extension, ...], int, bool, int]
# The second half: the target, the protocols of which `-p` must give one (none where any will do), the chain that it
# leads to, and the hooks at which it works, as bits.
End = tuple[Target | None, tuple[int, ...], str, int]
NO_RULE = "no rule"          # with which no line of a rule begins
MOST_BLANKS = 100            # a half with more is left to the reader, which counts the words of the whole
NEGATED = -1                 # stands for the protocol of `! -p`

ADDRESSES = re.compile(r"(?:(! )?-s ([^ ]+)(?: |\Z))?(?:(! )?-d ([^ ]+)(?: |\Z))?(.*)", re.DOTALL)
COUNTERS = re.compile(r"\[(\d{1,20}):(\d{1,20})\] *", re.ASCII)
PLAIN = re.compile(r"[^ \t\"]+")
COMMENT = re.compile(r'-m comment --comment (?:"([ !#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255}))(?= |\Z)')
BARE_COMMENT = "-m comment --comment "
ADDRESSED = ("-s", "-d", "! ")
# What is right when it looks so.
OCTET, PORT = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)", r"(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d)"
QUAD = rf"{OCTET}\.{OCTET}\.{OCTET}\.{OCTET}"
NETWORK = rf"{QUAD}/(?:3[0-2]|[12]\d|[1-9])"
NETWORKS = re.compile(rf"(?:(?:! )?-s {NETWORK}(?: |\Z))?(?:(?:! )?-d {NETWORK}(?: |\Z))?", re.ASCII)
DNAT = re.compile(rf"DNAT --to-destination {QUAD}:{PORT}", re.ASCII)
# What a chain may be called, and `-j` means something else by.
TAKEN = frozenset((*TARGETS, *OTHER_TARGETS, *HOOKS))
SOURCE, DESTINATION = IP.names["-s"], IP.names["-d"]
COMMENTED = MATCHES["comment"]


class Halves:
    """What is known of the halves of one table's rules; anew after anything but rules has been read.

    `placed(error, line, number)` gives an error its place; `used`: whether some chain keeps lines; `kind` reads the
    words of a rule that is not known by halves.
    """

    def __init__(self, table: DraftTable, placed: Callable[[RulesError, str, int], RulesError],
                 kind: type[Reader] = Reader) -> None:
        self.table, self.chains, self.placed, self.used, self.kind = table, table.chains, placed, False, kind
        self.tests: dict[str, Tests | None] = {"": ((), (), 0, False, -1)}
        self.ends: dict[str, End | None] = {"": (None, (), "", EVERY_HOOK)}
        self.same, self.lines = NO_RULE, []
        self.dnat = bits_of(TARGETS["DNAT"].hooks) if table.name == "nat" else 0

    def keep(self, line: str, number: int) -> bool:
        """Keep the line of a rule unseen; False, and nothing done, where its chain is not there."""
        if line.startswith(self.same):          # most rules stand in the chain of the one before
            self.lines.append((line, number))
            return True
        bare = line if line[0] == "-" else _without_counters(line)
        chain = self.chains.get(bare[3:].partition(" ")[0])
        if chain is None or bare[:3] != "-A ":
            return False
        self.same, self.lines = f"-A {chain.name} ", chain.lines(self)
        self.lines.append((line, number))
        return True

    def check(self, line: str, number: int) -> bool:
        """Keep the line of a rule that is known to be right; False, and nothing done, for any other."""
        bare = line if line[0] == "-" else _without_counters(line)
        left, jump, last = bare.partition(" -j ")
        name, _, first = left[3:].partition(" ")
        chain = self.chains.get(name)
        tests = self.tests[first] if first in self.tests else self._known(first)
        if tests is None or chain is None or bare[:3] != "-A " or jump and not last:
            return False
        protocol = tests[2]
        if last in self.chains and last not in TAKEN:
            leads, works = last, EVERY_HOOK
        elif self.dnat and protocol in PORTED and DNAT.fullmatch(last):
            leads, works = "", self.dnat
        else:
            end = self.ends[last] if last in self.ends else self._end(last)
            if end is None or end[1] and protocol not in end[1]:
                return False
            leads, works = end[2:]
        if tests[3] and chain.policy:              # whether a built-in chain knows that interface is left to the reader
            return False
        chain.keep((line, number), self, leads, works)
        return True

    def read(self, kept: Sequence[Line | Rule]) -> list[Rule]:
        """The rules of the lines of a chain. Raises RulesError for a line that was kept unseen and is wrong."""
        rules: list[Rule] = []
        for one in kept:
            if isinstance(one, Rule):
                rules.append(one)
                continue
            line, number = one
            try:
                rules += self._rule(line, number)
            except RulesError as error:
                raise self.placed(error, line, number) from None
        return rules

    def right(self, kept: Line) -> list[Rule]:
        """The rule of a line, none where it is wrong."""
        try:
            return self._rule(*kept)
        except RulesError:
            return []

    def _rule(self, line: str, number: int) -> list[Rule]:
        counters: Counters | None = None
        if line[0] == "[":
            match = COUNTERS.match(line)
            counters, line = (int(match[1]), int(match[2])), line[match.end():]
        left, jump, last = line.partition(" -j ")
        name, _, first = left[3:].partition(" ")
        tests = self.tests[first] if first in self.tests else self._tests(first)
        end = self.ends[last] if last in self.ends else self._end(last)
        if tests is not None and end is not None and (last or not jump) and (not end[1] or tests[2] in end[1]) and not (
                tests[3] and name in self.table.builtin):
            return [Rule(name, line, counters, number, tests[0], end[0], False, tests[1])]
        words = words_of(line)
        rules = read_rules(name, words, 2, line, number, counters, self.kind)
        self.table.check(rules)
        return rules

    def _known(self, text: str) -> Tests | None:
        """Tests that are known to be right; their addresses, which look so, are left out here."""
        rest = text[NETWORKS.match(text).end():] if text[:2] in ADDRESSED else text
        if BARE_COMMENT in rest:
            rest, _ = _without_comment(rest)
        tests = self.tests[rest] if rest in self.tests else self._rest(rest)
        return None if text[:2] in ADDRESSED and _has_addresses(tests) else tests

    def _tests(self, text: str) -> Tests | None:
        """The tests of a rule, their addresses apart from the rest."""
        first_not, source, second_not, destination, rest = ADDRESSES.match(text).groups()
        rest, comment = _without_comment(rest)
        tests = self.tests[rest] if rest in self.tests else self._rest(rest)
        if comment and tests is not None:
            tests = _commented(tests, comment)
        if not source and not destination:
            return tests
        if _has_addresses(tests):
            return None
        try:
            given = (_address(SOURCE, source, first_not),) if source else ()
            if destination:
                given += (_address(DESTINATION, destination, second_not),)
        except RulesError:
            return None
        matches, each, *more = tests
        own = matches[0].given if matches and matches[0].spec is IP else ()
        return (Extension("ip", IP, given + own), *matches[1 if own else 0:]), given + each, *more

    def _rest(self, text: str) -> Tests | None:
        """The tests as the reader reads them, None where they are more than tests, or wrong."""
        self.tests[text] = None
        if text.count(" ") > MOST_BLANKS or len(text) > LONGEST_WORD:
            return None
        try:
            reader = Reader(split(text), 0)
            reader.run()
            if reader.target or reader.lists or reader.counters:
                return None
            base, matches = own_tests(reader), [part.whole() for part in reader.parts]
            found = (base, *matches) if base.given else tuple(matches)
            check_protocols(Rule("", "", matches=found))
        except RulesError:
            return None
        protocol, given = reader.base.given.get("-p"), reader.base.given
        self.tests[text] = (found, tuple(test for match in found for test in match.tests),
                            (NEGATED if protocol.negated else protocol.value) if protocol else 0,
                            "-i" in given or "-o" in given,
                            next((at for at, match in enumerate(found) if match.spec is COMMENTED), -1))
        return self.tests[text]

    def _end(self, text: str) -> End | None:
        """The target as the reader reads it, None where it is more than a target, or wrong."""
        end = None
        if text in self.chains and text not in TAKEN:
            end = (Target(text, JUMP), (), text, EVERY_HOOK)
        else:
            try:
                long = text.count(" ") > MOST_BLANKS or len(text) > LONGEST_WORD
                target = None if long else self._short(text) or self._long(text)
                if target is not None:
                    self.table.check_target(target)
                    leads = target.name if target.kind == "jump" else ""
                    hooks = target.spec.hooks if target.spec else ()
                    end = (target, target.needs, leads, bits_of(hooks) if hooks else EVERY_HOOK)
            except RulesError:
                pass
        self.ends[text] = end
        return end

    def _short(self, text: str) -> Target | None:
        """A target with one option, as most have that have any."""
        name, _, words = text.partition(" ")
        word, _, value = words.partition(" ")
        spec = TARGETS.get(name)
        option = spec.names.get(word) if spec else None
        if option is None or option.kind.words != 1 or not PLAIN.fullmatch(value):
            return None
        into = stored(spec, option)
        return Target(name, spec, settled(spec, {into.name: Given(into, option.kind.read(value))}))

    def _long(self, text: str) -> Target | None:
        """Any other target; one whose options might in company be taken for another's is not read here."""
        words = split(text)
        reader = Reader(["-j", *words], 0)
        reader.run()
        target = reader.target
        names = target.spec.names if target.spec else ()
        sure = all(word in names for word in words[1:] if word[:1] in ("-", "!"))
        return target.whole() if sure and reader.parts == [target] and not reader.counters else None


def _without_counters(line: str) -> str:
    """What follows the counters of a line; "" where none stand before it."""
    match = COUNTERS.match(line)
    return line[match.end():] if match else ""


def _without_comment(text: str) -> tuple[str, str]:
    """Tests with another comment in place of their own, and that; they as they are and "" where there is none."""
    at = text.find(BARE_COMMENT)
    match = COMMENT.match(text, at) if at >= 0 else None
    if match is None or at and (text[at - 1] != " " or '"' in text[:at]):
        return text, ""
    return f"{text[:at]}{BARE_COMMENT}?{text[match.end():]}", match[1] or match[2]


def _commented(tests: Tests, comment: str) -> Tests:
    """The tests with their own comment."""
    matches, at = tests[0], tests[4]
    own = Extension("comment", COMMENTED, (Given(COMMENTED.options[0], comment),))
    return ((*matches[:at], own, *matches[at + 1:]), *tests[1:])


def _address(option: Option, word: str, negated: str | None) -> Given:
    value = read_network(word)
    if not value[1]:
        raise RulesError("says nothing, or something that cannot be")       # the reader knows which
    return Given(option, value, negated is not None)


def _has_addresses(tests: Tests | None) -> bool:
    """Whether other addresses cannot stand before these tests: there are some, or they are no tests."""
    if tests is None:
        return True
    own = tests[0][0].given if tests[0] and tests[0][0].spec is IP else ()
    return bool(own) and own[0].option in (SOURCE, DESTINATION)

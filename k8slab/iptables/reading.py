"""The words of a rule into a `Rule`.

Theory of operation. The words after `-A CHAIN` are read from left to right. `-m NAME` loads a match, `-j` or
`-g` a target; any other option belongs to the rule itself or to the extension, of those loaded, that came
last and has it. `-p tcp` lets the rule use the options of tcp without `-m tcp`: the match is loaded where the
first such option stands. A `!` negates the one option after it. When the words are at an end each extension
is made whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from math import prod

from k8slab.iptables.errors import RulesError
from k8slab.iptables.kinds import INTERFACE, NETWORK
from k8slab.iptables.matches import IP, MATCHES
from k8slab.iptables.names import OTHER_MATCHES, OTHER_TARGETS
from k8slab.iptables.options import UNREAD, Extension, Given, Option, Settings, Spec, given, settled, stored
from k8slab.iptables.rule import Counters, Rule
from k8slab.iptables.targets import GOTO, JUMP, TARGETS, Target
from k8slab.iptables.values import save_protocol
from k8slab.iptables.words import split


class Part:
    """An extension that is being read: what it was given so far."""

    __slots__ = ("name", "spec", "given", "words", "kind")

    def __init__(self, name: str, spec: Spec | None, kind: type[Extension]) -> None:
        self.name, self.spec, self.kind = name, spec, kind
        self.given: Settings = {}
        self.words: list[str] = []

    def option(self, word: str) -> Option | None:
        """The option of this extension that a word names, in full or by an unambiguous beginning."""
        if self.spec is None:
            return None
        if word in self.spec.names:
            return self.spec.names[word]
        found = {option.name: option for name, option in self.spec.names.items() if name.startswith(word)}
        return next(iter(found.values())) if len(found) == 1 and len(word) > 3 else None

    def whole(self) -> Extension:
        """The extension, complete. Raises RulesError when something is missing."""
        if self.spec is None:
            return self.kind(self.name, None, (), tuple(self.words))
        return extension(self.kind, self.name, self.spec, settled(self.spec, self.given))


@lru_cache(maxsize=65536)
def extension(kind: type[Extension], name: str, spec: Spec, given: tuple[Given, ...]) -> Extension:
    """An extension as a value. Most rules repeat those of others, so that equal ones are kept once."""
    return kind(name, spec, given)


class Reader:
    """Reads the words of one rule; `at` is the word being read, for errors."""

    __slots__ = ("words", "at", "negated", "base", "parts", "target", "lists", "counters")

    def __init__(self, words: Sequence[str], start: int) -> None:
        self.words, self.at = words, start
        self.negated = False
        self.base = Part("ip", IP, Extension)
        self.parts: list[Part] = []
        self.target: Part | None = None
        self.lists: dict[str, list[tuple[int, int]]] = {}
        self.counters: Counters | None = None

    def run(self) -> None:
        """Read to the end. Raises RulesError, with the number of the word, for what is wrong."""
        words, total = self.words, len(self.words)
        try:
            while self.at < total:
                word = words[self.at]
                option = IP.names.get(word)
                if option is not None:
                    self._give(self.base, option)
                elif word == "!" and not self.negated:
                    self.negated = True
                elif action := ACTIONS.get(word):
                    action(self)
                else:
                    self._extension_option(word)
                self.at += 1
            if self.negated:
                raise RulesError("stands at the end of the rule", "! negates the option after it")
        except RulesError as error:
            at = min(self.at, total - 1)
            raise error.placed(index=at, word=words[at]) from None

    def _next(self, what: str) -> str:
        """The word after this one."""
        if self.at + 1 >= len(self.words):
            raise RulesError("is the last word", f"{what} must follow")
        self.at += 1
        return self.words[self.at]

    def _positive(self) -> None:
        if self.negated:
            raise RulesError("cannot be negated", "leave out the ! before it")

    def _give(self, part: Part, option: Option) -> None:
        """Take an option and the words that it wants."""
        negated, self.negated, first = self.negated, False, self.at
        if negated and not option.negatable:
            raise RulesError("cannot be negated", "leave out the ! before it")
        into = stored(part.spec, option) if option.into else option
        if into.name in part.given:
            raise RulesError("is given twice", f"{option.name} may stand once", self.words[first])
        words = [self._next("its value") for _ in range(option.kind.words)]
        if option.kind is NETWORK and "," in words[0]:
            part.given[into.name] = Given(into, self._several(option.name, words[0], negated), negated)
        else:
            part.given[into.name] = given(option, into, negated, *words)

    def _several(self, name: str, word: str, negated: bool) -> tuple[int, int]:
        """`-s a,b` stands for one rule with each address."""
        if negated:
            raise RulesError("cannot be negated", "! goes with one address, not with a list")
        self.lists[name] = [NETWORK.read(address) for address in word.split(",")]
        if prod(map(len, self.lists.values())) > 10000:
            raise RulesError("stands for too many rules", "write them out")
        return self.lists[name][0]

    def takes(self, name: str) -> bool:
        """Whether a match that is not modelled is one of the real program's."""
        return name in OTHER_MATCHES

    def _match(self) -> None:
        self._positive()
        name = self._next("the name of a match")
        spec = MATCHES.get(name)
        if spec is None and not self.takes(name):
            raise RulesError("is not a match", f"the matches understood are {', '.join(MATCHES)}")
        self.parts.append(Part(name, spec, Extension))

    def _jump(self) -> None:
        self._to(TARGETS, JUMP)

    def _goto(self) -> None:
        self._to({}, GOTO)

    def _to(self, targets: dict[str, Spec], otherwise: Spec) -> None:
        self._positive()
        if self.target:
            raise RulesError("is a second target", "a rule has one -j or -g")
        name = self._next("a target or a chain")
        spec = targets.get(name) or (None if targets and name in OTHER_TARGETS else otherwise)
        self.target = Part(name, spec, Target)
        self.parts.append(self.target)

    def _set_counters(self) -> None:
        self._positive()
        numbers = [self._next("two counters: packets and bytes") for _ in range(2)]
        if not all(word.isascii() and word.isdigit() and len(word) < 21 for word in numbers):
            raise RulesError("is not a counter", "-c takes two numbers: packets and bytes")
        self.counters = int(numbers[0]), int(numbers[1])

    def _family(self) -> None:
        if self.words[self.at] in ("-6", "--ipv6"):
            raise RulesError("makes this an IPv6 rule", "only IPv4 is supported")

    def _extension_option(self, word: str) -> None:
        """Find whose option this is: of the extension that came last and has it, and -p's own comes unasked."""
        for part in reversed(self.parts):
            if part.spec and word in part.spec.names and word not in part.given:
                return self._give(part, part.spec.names[word])
        if part := self._protocol_match(word):
            self.parts.append(part)
            return self._extension_option(word)
        for part in (*reversed(self.parts), self.base):
            if part.spec is None and word[:1] == "-":
                return self._foreign(part)
            if option := part.option(word):
                return self._give(part, option)
        if word == UNREAD[0] and self.parts:
            return self._unread(self.parts[-1])
        if word[:1] != "-":
            raise RulesError("is not an option", "an option begins with -, and a text with blanks is quoted")
        raise RulesError("is not an option of this rule", hint_for(word))

    def _unread(self, part: Part) -> None:
        """`-j DNAT [unsupported revision]`: the dump has no more of it, so that it is like one not known here."""
        self._positive()
        if self._next(UNREAD[1]) != UNREAD[1]:
            raise RulesError("is not an option", f"what an older iptables cannot read it prints as {' '.join(UNREAD)}")
        part.spec, part.given, part.words = None, {}, list(UNREAD)

    def _protocol_match(self, word: str) -> Part | None:
        """The match of the protocol that -p named, where it has this option and is not loaded yet."""
        protocol = self.base.given.get("-p")
        name = save_protocol(protocol.value) if protocol else ""
        part = Part(name, MATCHES.get(name), Extension)
        known = part.option(word) is not None or (word[:1] == "-" and name in OTHER_MATCHES)
        return part if known and all(name != other.name for other in self.parts) else None

    def _foreign(self, part: Part) -> None:
        """Keep an option of an extension that is not known here, with the words up to the next option."""
        part.words += ["!"] * self.negated + [self.words[self.at]]
        self.negated = False
        while self.at + 1 < len(self.words) and self.words[self.at + 1][:1] not in ("-", "!"):
            part.words.append(self._next(""))


ACTIONS = {
    "-m": Reader._match, "--match": Reader._match, "-j": Reader._jump, "--jump": Reader._jump,
    "-g": Reader._goto, "--goto": Reader._goto, "-c": Reader._set_counters,
    "--set-counters": Reader._set_counters,
    "-4": Reader._family, "-6": Reader._family, "--ipv4": Reader._family, "--ipv6": Reader._family,
}


def hint_for(word: str) -> str:
    """Which extension has an option of this name, for a rule that did not load it."""
    owners = [f"-m {spec.name}" for spec in MATCHES.values() if word in spec.names]
    owners += [f"-j {spec.name}" for spec in TARGETS.values() if word in spec.names]
    return f"it belongs to {' or '.join(owners)}, which must stand before it" if owners else \
        "see iptables-extensions(8) for the options of each match and target"


def read_rules(chain: str, words: Sequence[str], start: int, text: str, line: int = 0,
               counters: Counters | None = None, kind: type[Reader] = Reader) -> list[Rule]:
    """The rule, or rules where an address is a list, of the words from `start` on.

    Raises RulesError, with the number of the word where there is one, for a rule that iptables would refuse.
    """
    reader = kind(words, start)
    reader.run()
    matches = [part.whole() for part in reader.parts if part is not reader.target]
    target = reader.target.whole() if reader.target else None
    rules = []
    for base in _bases(reader):
        found = (base, *matches) if base.given else tuple(matches)
        tests = tuple(test for match in found for test in match.tests)
        rules.append(Rule(chain, text, reader.counters or counters, line, found, target,
                          reader.counters is not None, tests))
    check_protocols(rules[0])
    if len(rules) == 1:
        return rules
    return [replace(rule, text=rule.normal, own_counters=False) for rule in rules]


def own_tests(reader: Reader) -> Extension:
    """The rule's own tests, complete. Raises RulesError for one that no packet can pass."""
    base = reader.base.whole()
    for one in base.given:
        if one.negated and one.value == one.option.omit and one.option.kind is not INTERFACE:
            raise RulesError("can never match", "every packet has one; leave out the test, or the !",
                             one.option.name)
    return base


def _bases(reader: Reader) -> list[Extension]:
    base = own_tests(reader)
    if not reader.lists:
        return [base]
    names = sorted(reader.lists, reverse=True)           # every source with each destination
    several = []
    for values in product(*(reader.lists[name] for name in names)):
        chosen = dict(zip(names, values))
        several.append(replace(base, given=tuple(replace(one, value=chosen.get(one.option.name, one.value))
                                                 for one in base.given)))
    return several


def check_protocols(rule: Rule) -> None:
    """Raise RulesError when a match or the target needs another protocol than `-p` gives."""
    wanted = rule.protocol
    protocol, negated = (wanted.value, wanted.negated) if wanted else (0, False)
    for match in rule.matches:
        spec = match.spec
        if spec is None or not spec.protocols:
            continue
        if save_protocol(protocol) not in spec.protocols or (spec.plain_protocol and negated):
            raise RulesError(f"needs -p {' or '.join(spec.protocols)}",
                             "the protocol may stand anywhere in the rule",
                             f"-m {match.name}")
    if rule.target:
        rule.target.check_protocol(protocol, negated)


def read_rule(text: str) -> Rule:
    """The rule of one line: `read_rule("-A KUBE-SERVICES -d 10.96.0.1/32 -j DROP")`.

    Raises RulesError for a wrong one, and for one that stands for several.
    """
    words = split(text)
    if words[:1] != ["-A"] or len(words) < 2:
        raise RulesError("a rule begins with -A and its chain", "-A KUBE-SERVICES -d 10.96.0.1/32 -j DROP")
    rules = read_rules(words[1], words, 2, text)
    if len(rules) != 1:
        raise RulesError("stands for several rules", "give one address", text)
    return rules[0]

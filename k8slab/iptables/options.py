"""Options, and the matches and targets that they make up, as rows of data.

`Option` is one row: what `--dport` is called, what kind of value it takes, and, for a test, where in a
`Context` the packet's own value is found. `Given` is an option as a rule gives it, and is a test. `Spec` is
an extension: its options in the order in which iptables-save prints them. Few extensions need a function of
their own; those that do name it in `settle` (what must be given with what), `check`, `save` or `show`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from k8slab.iptables.context import Answer, CannotTell, Context, Miss, Place
from k8slab.iptables.errors import RulesError
from k8slab.iptables.kinds import FLAG, Kind
from k8slab.iptables.words import requote


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One option. `into`: the option it is short for. `omit`: the value that is as good as not giving it.

    `label` names what is tested; `look(context)` is what the packet has, None where that is not known, and
    then `hint` says what to give. An option without `look` tests nothing by itself.
    """

    name: str
    kind: Kind = FLAG
    label: str = ""
    look: Callable[[Context], Any] | None = None
    hint: str = ""
    negatable: bool = False
    aliases: tuple[str, ...] = ()
    into: str = ""
    omit: Any = None


@dataclass(frozen=True, slots=True)
class Given:
    """An option as one rule gives it: the option, its value, and whether a `!` stands before it."""

    option: Option
    value: Any
    negated: bool = False
    stateful = False

    def check(self, ctx: Context, place: Place) -> Answer:
        """None for a hit, else why not."""
        option = self.option
        found = option.look(ctx)
        if found is None:
            return CannotTell(option.label, f"the {option.label} of this packet is not known; {option.hint}")
        if option.kind.holds(self.value, found) == self.negated:
            return Miss(option.label, self.value, found, option.kind, self.negated)
        return None

    @property
    def counts(self) -> bool:
        """Whether it says more than leaving it out would."""
        return self.option.omit is None or self.value != self.option.omit or self.negated

    def save(self) -> str:
        """The option as iptables-save prints it: `! --dport 80:90`."""
        name, kind = self.option.name, self.option.kind
        text = f"{name} {kind.save(self.value)}" if kind.words else name
        return "! " + text if self.negated else text


Settings = dict[str, Given]

# What iptables-save prints in place of options that a newer program has given to the kernel (iptables.c).
UNREAD = ("[unsupported", "revision]")
UNREADABLE = "was made by a newer iptables than the one that printed these rules, which could not read it"


@lru_cache(maxsize=65536)
def given(option: Option, into: Option, negated: bool, *words: str) -> Given:
    """An option with its value read from words; the same words give the same value, so it is remembered."""
    return Given(into, option.kind.read(*words), negated)


@dataclass(frozen=True, slots=True, eq=False)
class Spec:
    """One extension. `protocols`: what `-p` must be; `plain_protocol`: and not negated. `needs`: at least one
    of these must be given. `requires`: (option, another that it needs). `excludes`: only one of each group.
    `defaults`: what is taken where it is not given. `whole`: `check` makes all tests of the extension at
    once.

    For targets, `kind` says what the target does; `tables` and `hooks` where it may stand.

    """

    name: str
    options: tuple[Option, ...] = ()
    protocols: tuple[str, ...] = ()
    plain_protocol: bool = False
    needs: tuple[str, ...] = ()
    requires: tuple[tuple[str, str], ...] = ()
    excludes: tuple[tuple[str, ...], ...] = ()
    defaults: tuple[Given, ...] = ()
    settle: Callable[[Settings], None] | None = None
    check: Callable[[Extension, Context, Place], Answer] | None = None
    stateful: bool = False
    save: Callable[[Extension], tuple[Given, ...] | None] | None = None
    show: Callable[[Extension, bool], str] | None = None
    kind: str = ""
    tables: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    names: dict[str, Option] = field(init=False, default_factory=dict, repr=False)
    alone: frozenset[str] = field(init=False, default=frozenset(), repr=False)

    def __post_init__(self) -> None:
        for option in self.options:
            for name in (option.name, *option.aliases):
                self.names[name] = option
        # Where one of these options is all that is given, there is nothing to add, to put in order or to refuse.
        if not (self.requires or self.defaults or self.settle):
            names = self.needs or (option.name for option in self.options)
            object.__setattr__(self, "alone", frozenset(names))


@dataclass(frozen=True, slots=True)
class Extension:
    """A match or a target as one rule gives it.

    `given`: its options in the order of its Spec. `words`: for an extension that is not known here, its
    options as they were written. `spec` is None then.
    """

    name: str
    spec: Spec | None = None
    given: tuple[Given, ...] = ()
    words: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return any(given.option.name == name for given in self.given)

    def value(self, name: str, default: Any = None) -> Any:
        """The value that an option was given, or `default`: `match.value("--dport")`."""
        return next((given.value for given in self.given if given.option.name == name), default)

    def negated(self, name: str) -> bool:
        """Whether an option was given with a `!`."""
        return any(given.negated for given in self.given if given.option.name == name)

    @property
    def stateful(self) -> bool:
        """Whether making the test changes something: it is made only where everything before it hit."""
        return self.spec is not None and self.spec.stateful

    @property
    def tests(self) -> tuple[Given | Extension, ...]:
        """The tests that a match makes, in order: one an option, or the whole match as one."""
        if self.spec is None or self.spec.check:
            return (self,)
        return tuple(given for given in self.given if given.option.look)

    def check(self, ctx: Context, place: Place) -> Answer:
        """None for a hit of the whole match, else why not."""
        if self.spec is None:
            why = UNREADABLE if self.words == UNREAD else "is not modelled"
            return CannotTell(self.name, f"the match {self.name} {why}: whether it hits cannot be told")
        return self.spec.check(self, ctx, place)

    def save_options(self) -> list[str]:
        """The options as iptables-save prints them."""
        if self.spec is None:
            return [requote(word) for word in self.words]
        given = self.spec.save(self) if self.spec.save else self.given
        return [one.save() for one in given]

    def show(self, numeric: bool) -> str:
        """What `iptables -L` prints of it; `numeric` is its -n."""
        if self.spec is None:
            return " ".join((self.name, *self.save_options()))
        return self.spec.show(self, numeric) if self.spec.show else ""


def settled(spec: Spec, given: Settings) -> tuple[Given, ...]:
    """What a rule gives an extension, made whole and put in order.

    Raises RulesError where something is missing or goes ill with something else.

    """
    if len(given) == 1:
        (name, one), = given.items()
        if name in spec.alone:
            return (one,) if one.counts else ()
    for group in spec.excludes:
        if len(both := [name for name in group if name in given]) > 1:
            raise RulesError(f"cannot be used together with {both[0]}", f"give {spec.name} one of the two",
                             both[1])
    for name, other in spec.requires:
        if name in given and other not in given:
            raise RulesError(f"also requires {other}", f"give {spec.name} both", name)
    if spec.needs and not any(name in given for name in spec.needs):
        raise RulesError("is given too little", f"it needs {' or '.join(spec.needs)}", spec.name)
    for default in spec.defaults:
        given.setdefault(default.option.name, default)
    if spec.settle:
        spec.settle(given)
    return tuple(one for option in spec.options if (one := given.get(option.name)) is not None and one.counts)


def stored(spec: Spec, option: Option) -> Option:
    """The option under which a value is kept: `--set-xmark` for `--or-mark`."""
    return spec.names[option.into] if option.into else option

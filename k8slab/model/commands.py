"""The commands that a host of the model answers, in the words of the real programs.

`PROGRAMS` says which: the forms that the course uses; anything else is refused by name. This file has the
programs of netfilter.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from k8slab import iptables, wiring
from k8slab.commands import NO_COMMAND
from k8slab.errors import CommandError
from k8slab.iptables import Place, Rule, Ruleset
from k8slab.iptables.names import TABLES
from k8slab.iptables.refusals import refused
from k8slab.model import clients, iproute
from k8slab.stack.stack import Stack

if TYPE_CHECKING:
    from k8slab.model.dataplane import Model

SUPPORTED = ("iptables …, iptables-save [-t TABLE] [-c], iptables-restore [--noflush], "
             "conntrack -L|-D [-p PROTO] [-s ADDR] [-d ADDR], conntrack -F, "
             f"{wiring.SUPPORTED}, {clients.SUPPORTED}")
# What `conntrack` may be asked for: option → what it reads of an entry.
_FILTERS = {"-p": lambda entry: entry.original.proto, "-s": lambda entry: entry.original.src,
            "-d": lambda entry: entry.original.dst, "-r": lambda entry: entry.reply.src,
            "--dport": lambda entry: str(entry.original.dport), "--sport": lambda entry: str(entry.original.sport)}
_NAMES = {"--proto": "-p", "--src": "-s", "--orig-src": "-s", "--dst": "-d", "--orig-dst": "-d", "--reply-src": "-r",
          "--orig-port-dst": "--dport", "--orig-port-src": "--sport"}


@dataclass(frozen=True, slots=True)
class Call:
    """One program's call: on which host, the words after its name, and what is on its standard input.

    `view`: the host whose `ip netns` names are meant, where a command runs in another one's namespace.
    """

    model: Model
    node: str
    words: list[str]
    given: str = ""
    view: str = ""

    @property
    def stack(self) -> Stack:
        """The host's stack. Raises NetworkError when there is no such host."""
        return self.model.stack(self.node)


def run(model: Model, node: str, command: str, given: str = "") -> str:
    """Run one command on a host of the model and return what it prints, standard output and error together.

    `given`: the text on its standard input.

    >>> from k8slab.lab import Lab
    >>> Lab(seed=1).run("worker1", "iptables -t nat -S KUBE-MARK-MASQ").splitlines()[-1]
    '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000'

    Raises CommandError for a command that fails or is not supported, RulesError for what iptables would refuse.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(f"{command}: {error}") from None
    return run_words(model, node, words, given, node)


def run_words(model: Model, node: str, words: list[str], given: str, view: str) -> str:
    """The same for a command that is split into words already; `view`: whose `ip netns` names are meant."""
    if not words or not words[0]:
        raise CommandError(NO_COMMAND.format(node=node))
    program = PurePosixPath(words[0]).name
    if program not in PROGRAMS:
        raise CommandError(f"{node}: {program} is not one of the model's; there are: {SUPPORTED}",
                           status=127)
    return PROGRAMS[program](Call(model, node, words[1:], given, view))


def _iptables(call: Call) -> str:
    stack, words = call.stack, call.words
    old = _counted(stack)
    try:
        new, printed = iptables.run(old, words)
    except iptables.RulesError as error:
        raise refused(error, words) from None
    if str(new) != str(old):
        memory = stack.netfilter.memory
        stack.netfilter.load(new)
        stack.netfilter.memory = memory        # one rule more or less leaves what the others remember
        stack.netfilter.counts = {place: list(counters) for place, counters in _counters(new) if counters}
    return printed


def _restore(call: Call) -> str:
    unknown = [w for w in call.words if w not in ("-n", "--noflush")]
    if unknown:
        raise CommandError(f"iptables-restore {unknown[0]}: the model knows iptables-restore [--noflush], with the "
                           f"rules on its standard input")
    call.model.restore(call.node, call.given, noflush=bool(call.words))
    return ""


def _save(call: Call) -> str:
    stack, words = call.stack, call.words
    unknown = [w for w in words if w not in ("-c", "-t", *TABLES)]
    if unknown or ("-t" in words) != bool(set(words) & set(TABLES)):
        raise CommandError(f"iptables-save {' '.join(words)}: say iptables-save [-t TABLE] [-c]")
    rules = stack.netfilter.rules.normal() if stack.netfilter.rules else Ruleset()
    rules = _with_counts(rules, stack.netfilter.counts, of_rules="-c" in words)
    return str(Ruleset(tuple(t for t in rules.tables if "-t" not in words or t.name in words)))


def _counted(stack: Stack) -> Ruleset:
    """The host's rules with the counts that the walks have made."""
    return _with_counts(stack.netfilter.rules, stack.netfilter.counts) if stack.netfilter.rules else Ruleset()


def _with_counts(rules: Ruleset, counts: Mapping[Place, list[int]], *, of_rules: bool = True) -> Ruleset:
    """The rules with the packets and bytes of `counts`; policies have theirs in any case, as `iptables-save` prints."""
    def count(table: str, chain: str, position: int) -> tuple[int, int]:
        return tuple(counts.get(Place(table, chain, position), (0, 0)))

    def counted(table: str, rule: Rule, position: int) -> Rule:
        return replace(rule, counters=count(table, rule.chain, position) if of_rules else None, own_counters=False)

    return Ruleset(tuple(replace(table, chains=tuple(
        replace(chain, counters=count(table.name, chain.name, 0) if chain.policy else (0, 0), rules=tuple(
            counted(table.name, rule, position) for position, rule in enumerate(chain.rules, 1)))
        for chain in table.chains)) for table in rules.tables))


def _counters(rules: Ruleset) -> Iterator[tuple[Place, tuple[int, int] | None]]:
    for table in rules.tables:
        for chain in table.chains:
            yield Place(table.name, chain.name, 0), chain.counters
            for position, rule in enumerate(chain.rules, 1):
                yield Place(table.name, chain.name, position), rule.counters


def _conntrack(call: Call) -> str:
    stack, words = call.stack, call.words
    table, now = stack.netfilter.conntrack, stack.clock()
    if words == ["-F"]:
        table.clear()
        return "conntrack v1.4.7 (conntrack-tools): connection tracking table has been emptied.\n"
    if words[:1] not in (["-L"], ["-D"]):
        raise CommandError(f"conntrack {' '.join(words)}: the model knows conntrack -L, -D and -F")
    wanted = _wanted(words)
    found = [(connection, connection.entry(now)) for connection in table.connections(now)]
    found = [(connection, entry) for connection, entry in found
             if all(_FILTERS[option](entry) == value for option, value in wanted.items())]
    listed = "".join(f"{entry}\n" for _, entry in found)
    for connection, _ in found if words[0] == "-D" else ():
        table.kill(connection)
    done = "shown" if words[0] == "-L" else "deleted"
    return f"{listed}conntrack v1.4.7 (conntrack-tools): {len(found)} flow entries have been {done}.\n"


def _wanted(words: list[str]) -> dict[str, str]:
    """Option → value, of the words after `-L` or `-D`."""
    names, values = [_NAMES.get(word, word) for word in words[1::2]], words[2::2]
    unknown = next((name for name in names if name not in _FILTERS), None)
    if unknown or len(names) != len(values):
        raise CommandError(f"conntrack {' '.join(words)}: {unknown or names[-1]} is not understood; the model knows "
                           f"{', '.join(_FILTERS)}, each with a value")
    return dict(zip(names, values))


def _ip(call: Call) -> str:
    """Changes and listings are `wiring`'s; what asks the stack or runs another program is here."""
    model, words = call.model, ["ip", *call.words]
    asked = wiring.read_ip(model.network, call.node, call.words, call.view)
    if (asked.what, asked.how) == ("netns", "exec"):
        if len(asked.words) < 2:
            raise wiring.Said("No command specified" if asked.words else "No netns name specified", 255)
        return run_words(model, wiring.namespace(model.network, call.view, asked.words[0]), asked.words[1:],
                         call.given, call.view)
    if (asked.what, asked.how) in iproute.ASKS:
        return iproute.ASKS[asked.what, asked.how](model, asked)
    if asked.how == "show":
        return wiring.show(model.network, call.node, words, call.view)
    model.rewire(wiring.change(model.network, call.node, words, call.view))
    return ""


def _sysctl(call: Call) -> str:
    network, printed = wiring.sysctls.run(call.model.network, call.node, call.words)
    if network is not call.model.network:
        call.model.rewire(network)
    return printed


PROGRAMS: dict[str, Callable[[Call], str]] = {
    "iptables": _iptables, "iptables-save": _save, "iptables-restore": _restore, "conntrack": _conntrack,
    "ip": _ip, "sysctl": _sysctl, "ping": clients.ping, "curl": clients.curl, "nc": clients.nc}

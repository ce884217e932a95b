"""The `iptables` command on a `Ruleset`: its commands as a table.

    >>> rules, printed = run(Ruleset(), "iptables -t nat -N KUBE-SERVICES")
    >>> run(rules, "iptables -t nat -S KUBE-SERVICES")[1]
    '-N KUBE-SERVICES\\n'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from k8slab.iptables.draft import Draft, DraftChain, DraftTable
from k8slab.iptables.errors import RulesError
from k8slab.iptables.listing import Style, list_chains, list_rules
from k8slab.iptables.reading import read_rules
from k8slab.iptables.rule import Counters, Rule
from k8slab.iptables.ruleset import Ruleset


@dataclass(slots=True)
class Call:
    """One command: its words, the chain it names, and what else it was given."""

    words: list[str]
    at: int = 0
    table: str = "filter"
    style: Style = Style()
    text: str = ""
    line: int = 0
    counters: Counters | None = None

    def next(self, what: str = "") -> str:
        """The next word; "" where there is none and none is needed. Raises RulesError where `what` is needed.

        """
        if self.at < len(self.words) and (what or self.words[self.at][:1] not in ("-", "!")):
            self.at += 1
            return self.words[self.at - 1]
        if what:
            raise RulesError("is not complete", f"{what} must follow",
                             self.words[-1] if self.words else "iptables")
        return ""

    def number(self, needed: bool = False) -> int:
        """The next word as the number of a rule; 0 where there is none. Raises RulesError."""
        word = self.next()
        if not word and not needed:
            return 0
        if not (word.isascii() and word.isdigit() and len(word) < 10 and int(word) > 0):
            raise RulesError("is not the number of a rule", "rules are counted from 1", word)
        return int(word)

    def rules(self, chain: str) -> list[Rule]:
        """The rest of the words as a rule."""
        rest = self.words[self.at:]
        rules = read_rules(chain, self.words, self.at, "", self.line, self.counters)
        text = self.text if self.text and len(rules) == 1 and self.words[0] == "-A" else ""
        self.at += len(rest)
        return [replace(rule, text=text or rule.normal,
                        own_counters=rule.own_counters and bool(text)) for rule in rules]


def _append(table: DraftTable, call: Call) -> str:
    table.append(call.rules(call.next("the name of a chain")))
    return ""


def _insert(table: DraftTable, call: Call) -> str:
    chain, position = call.next("the name of a chain"), call.number() or 1
    table.insert(call.rules(chain), position)
    return ""


def _replace(table: DraftTable, call: Call) -> str:
    chain, position = call.next("the name of a chain"), call.number(needed=True)
    table.replace(call.rules(chain), position)
    return ""


def _delete(table: DraftTable, call: Call) -> str:
    chain, position = call.next("the name of a chain"), call.number()
    if position:
        table.delete(None, chain, position)
    else:
        for rule in call.rules(chain):
            table.delete(rule, chain)
    return ""


def _check(table: DraftTable, call: Call) -> str:
    for rule in call.rules(call.next("the name of a chain")):
        table.find(rule)
    return ""


def _new(table: DraftTable, call: Call) -> str:
    table.new(call.next("the name of a chain"))
    return ""


def _remove(table: DraftTable, call: Call) -> str:
    name = call.next()
    table.remove([name] if name else [name for name in table.chains if name not in table.builtin])
    return ""


def _flush(table: DraftTable, call: Call) -> str:
    for chain in _chains(table, call.next()):
        table.flush(chain)
    return ""


def _policy(table: DraftTable, call: Call) -> str:
    chain = call.next("the name of a chain")
    policy = call.next("ACCEPT or DROP")
    if policy == "DROP" and table.name == "nat":
        raise RulesError("cannot be a policy in the table nat",
                         "nat is not meant for filtering; drop in filter", policy)
    table.policy(chain, policy)
    return ""


def _rename(table: DraftTable, call: Call) -> str:
    table.rename(call.next("the old name of a chain"), call.next("its new name"))
    return ""


def _zero(table: DraftTable, call: Call) -> str:
    name, position = call.next(), call.number()
    for chain in _chains(table, name):
        if not position:
            chain.counters = (0, 0)
        chain.rules = [replace(rule, counters=(0, 0)) if position in (0, at) and rule.counters else rule
                       for at, rule in enumerate(chain.rules, 1)]
    return ""


def _list(printer: Callable) -> Callable[[DraftTable, Call], str]:
    def command(table: DraftTable, call: Call) -> str:
        name, position = call.next(), call.number()
        return "".join(f"{line}\n" for line in printer(table, _chains(table, name), position, call.style))
    return command


def _chains(table: DraftTable, name: str) -> Sequence[DraftChain]:
    """One chain, or all: the built-in ones in hook order, then the others by name."""
    if name:
        return [table.chain(name)]
    users = sorted(set(table.chains) - set(table.builtin), key=str.encode)
    return [table.chains[each] for each in (*table.builtin, *users)]


# What each command does, and whether it changes the rules.
COMMANDS: dict[str, tuple[Callable[[DraftTable, Call], str], bool]] = {
    "-A": (_append, True), "-I": (_insert, True), "-D": (_delete, True), "-R": (_replace, True),
    "-C": (_check, False), "-N": (_new, True), "-X": (_remove, True), "-F": (_flush, True),
    "-P": (_policy, True), "-E": (_rename, True), "-Z": (_zero, True),
    "-L": (_list(list_chains), False), "-S": (_list(list_rules), False),
}
LONG = {
    "--append": "-A", "--insert": "-I", "--delete": "-D", "--replace": "-R", "--check": "-C",
    "--new-chain": "-N",
    "--new": "-N", "--delete-chain": "-X", "--flush": "-F", "--policy": "-P", "--rename-chain": "-E",
    "--zero": "-Z",
    "--list": "-L", "--list-rules": "-S", "--table": "-t", "--numeric": "-n", "--verbose": "-v",
    "--exact": "-x",
    "--wait": "-w",
}
# After these comes a text, which may look like anything.
TEXTS = ("--comment", "--log-prefix", "--nflog-prefix")
STYLES = {"-n": "numeric", "-v": "verbose", "-x": "exact", "--line-numbers": "numbered"}


def execute(table: DraftTable, words: list[str], text: str = "", line: int = 0,
            counters: Counters | None = None) -> str:
    """One command on a table, as a line of restore input gives it; what it prints. Raises RulesError."""
    call = _call(words, text, line, counters)
    if "-t" in words or "--table" in words:
        raise RulesError("cannot be used within a table", "the line *TABLE says which table it is", "-t")
    return _run(table, call)


def _run(table: DraftTable, call: Call) -> str:
    if not call.words:
        raise RulesError("no command is given", f"one of {' '.join(COMMANDS)}")
    if call.words[0] not in COMMANDS:
        raise RulesError("is not a command", f"one of {' '.join(COMMANDS)}", call.words[0], index=0)
    call.at = 1
    printed = COMMANDS[call.words[0]][0](table, call)
    if call.at < len(call.words):
        raise RulesError("is too much", f"{call.words[0]} takes no more", call.words[call.at])
    return printed


def _call(words: Sequence[str], text: str = "", line: int = 0, counters: Counters | None = None) -> Call:
    """Sort the words: the command first, what goes to the whole call aside, the rest in order."""
    style: dict[str, bool] = {}
    table, kept, command, at = "filter", [], "", 0
    words = [single for word in words for single in _apart(word)]
    while at < len(words):
        word = LONG.get(words[at], words[at])
        if at and words[at - 1] in TEXTS:
            kept.append(words[at])
        elif word == "-t" and at + 1 < len(words):
            at += 1
            table = words[at]
        elif word in STYLES:
            style[STYLES[word]] = True
        elif word == "-w":
            at += at + 1 < len(words) and words[at + 1].isdigit()
        elif word in COMMANDS and command:
            raise RulesError(f"cannot be used with {command}", "one command at a time", word)
        elif word in COMMANDS:
            command = word
        else:
            kept.append(words[at])
        at += 1
    kept = [command, *kept] if command else kept
    return Call(kept, table=table, style=Style(**style), text=text, line=line, counters=counters)


def _apart(word: str) -> list[str]:
    """`-nvL` as `-n -v -L`; other words as they are."""
    if len(word) > 2 and word[0] == "-" != word[1] and word[1:].isalpha() and set(word[1:-1]) <= set("nvx"):
        return [f"-{letter}" for letter in word[1:]]
    return [word]


def run(ruleset: Ruleset, words: Sequence[str] | str) -> tuple[Ruleset, str]:
    """The rules after an `iptables` command, and what it prints; `words` may be a line as one types it in a
    shell.

    Raises RulesError where the real program would refuse.

    """
    if isinstance(words, str):
        import shlex    # only people at a prompt need it
        try:
            words = shlex.split(words)
        except ValueError as error:
            raise RulesError(f"the line cannot be split into words: {error}", "close every quote") from None
    words = list(words[1:] if words and words[0].rpartition("/")[2] == "iptables" else words)
    try:
        call = _call(words)
        draft = Draft(ruleset)
        table = draft.open(call.table)
        printed = _run(table, call)
        if COMMANDS[call.words[0]][1]:
            draft.close(table)
            return Ruleset(tuple(draft.tables()), ruleset.tail), printed
        return ruleset, printed
    except RulesError as error:
        raise error.placed(file="iptables") from None

"""Commands as a learner types them for the node: `iptables` with what stands before and behind it, and pipes."""

from __future__ import annotations

import re
from dataclasses import replace

from k8slab import iptables, pipes
from k8slab.course.capstone.work import AskError
from k8slab.errors import Told
from k8slab.iptables import Ruleset, RulesError

# A semicolon or && outside quotes: the next command begins.
NEXT = re.compile(r"""(?:;|&&)(?=(?:[^"']|"[^"]*"|'[^']*')*$)""")
# The table joined to its letter, as getopt takes it.
JOINED = re.compile(r"(?<=\s)(?:-t|--table=)(?=(?:nat|filter|mangle|raw|security)(?:\s|$))")
OTHERS = {
    "iptables-legacy": "it shows and changes rules of another kind, beside which these stand; `iptables` is wanted",
    "iptables-nft": "on this node it is called `iptables`",
    "ip6tables": "it is for IPv6, and the rules of this node are for IPv4; `iptables` is wanted",
    "iptables-restore": "give its text in place of the command: it begins with *nat or *filter",
}


class Refused(Told, ValueError):
    """A command of an answer that the node refuses; the message has its number, its text, and why."""

    def __init__(self, number: int, command: str, why: str) -> None:
        super().__init__(f"the node refuses command {number}, `{command}`: {why}")


def bare(text: str) -> list[str]:
    """The commands of a text, without comments and blank lines; a backslash at an end joins two lines.

    >>> bare("# first\\n iptables -F; iptables -S\\n\\n")
    ['iptables -F', 'iptables -S']
    """
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines and lines[0].startswith("*"):
        return lines
    return [command.strip() for line in lines for command in NEXT.split(line) if command.strip()]


def plain(command: str) -> str:
    """A command without `sudo` and without a folder, its table apart from its letter.

    >>> plain("sudo /usr/sbin/iptables -tnat -S")
    'iptables -t nat -S'
    """
    program, _, rest = command.strip().removeprefix("sudo ").strip().partition(" ")
    return JOINED.sub("-t ", f"{program.rpartition('/')[2]} {rest}".strip())


def changed(rules: Ruleset, text: object) -> Ruleset:
    """The rules after a text: commands of iptables, one a line, or a text for `iptables-restore --noflush`.

    Raises Refused for what the node refuses, AskError for what is no text.
    """
    if not isinstance(text, str):
        raise AskError(f"the commands are {text!r}; a text is wanted, a command a line, as in 'iptables -t nat -F'")
    lines = bare(text)
    if lines and lines[0].startswith("*"):
        try:
            return rules.restore("\n".join((*lines, "")), noflush=True, name="the text")
        except RulesError as error:
            raise Refused(1, lines[0], str(error)) from None
    for number, line in enumerate(lines, 1):
        command = plain(line)
        if command.split()[0] != "iptables":
            raise Refused(number, line, _no_iptables(command, "a command of iptables is wanted, or a whole text for "
                                                              "iptables-restore that begins with *nat or *filter"))
        try:
            rules = iptables.run(rules, command)[0]
        except RulesError as error:
            raise Refused(number, line, str(error)) from None
    return rules


def _no_iptables(command: str, else_: str) -> str:
    return OTHERS.get(command.split()[0], else_)


def printed(rules: Ruleset, line: object) -> str:
    """What a command prints: `iptables …` or `iptables-save`, and pipes behind it to grep, head, tail, wc or sort.

    Raises AskError for another program, RulesError for what iptables refuses, CommandError for a wrong pipe.
    """
    if not isinstance(line, str) or not line.strip():
        raise AskError(f"the command is {line!r}; a text is wanted, as in 'iptables -t nat -S KUBE-SERVICES'")
    first, *rest = pipes.split(line)
    command = plain(first)
    program = command.split()[0]
    if program == "iptables":
        return pipes.through(iptables.run(rules, command)[1], rest)
    if program == "iptables-save":
        return pipes.through(str(_table(rules, command)), rest)
    raise AskError(f"`{line.strip()}`: {_no_iptables(command, 'a command of iptables is wanted, or iptables-save')}")


def _table(rules: Ruleset, command: str) -> Ruleset:
    """The tables that `iptables-save` prints: all, or the one that -t names."""
    words = command.split()[1:]
    if not words:
        return rules
    if len(words) != 2 or words[0] not in ("-t", "--table") or words[1] not in rules:
        names = ", ".join(table.name for table in rules.tables)
        raise AskError(f"`{command}`: of iptables-save's options -t and a table are known here, one of {names}")
    return replace(rules, tables=(rules[words[1]],))

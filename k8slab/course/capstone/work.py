"""What a learner asks of a capstone and answers about it, read from plain words."""

from __future__ import annotations

import ipaddress
import re

from k8slab import iptables
from k8slab.course.capstone.drawn import Drawn
from k8slab.course.capstone.survey import Asked
from k8slab.errors import Told
from k8slab.iptables import Ruleset, RulesError

BLANK = "____"
CALLERS = ("pod", "node", "outside")
TARGET = re.compile(r"(?:(tcp|udp)[ /])?([\d.]+):(\d{1,5})")


class AskError(Told, ValueError):
    """A question that cannot be asked: what was found in its place, and what would be right."""


def asked(drawn: Drawn, who: object, to: object) -> Asked:
    """A question from words: who asks, and "10.43.0.1:443" or "udp 10.43.0.10:53". Raises AskError."""
    found = TARGET.fullmatch(to.strip()) if isinstance(to, str) else None
    if not found or not _ipv4(found[2]) or int(found[3]) > 65535:
        raise AskError(f"whom to ask is {to!r}; an address and a port are wanted, as in '10.43.0.1:443' or "
                       "'udp 10.43.0.10:53'")
    name = who.strip() if isinstance(who, str) else who
    if name not in CALLERS and not (isinstance(name, str) and _ipv4(name)
                                    and ipaddress.ip_address(name) in ipaddress.ip_network(drawn.subnet)):
        raise AskError(f"who asks is {who!r}; it may be {', '.join(map(repr, CALLERS))}, or the address of a Pod of "
                       f"this node, which are in {drawn.subnet}")
    return Asked(name, found[2], int(found[3]), found[1] or "tcp")


def _ipv4(word: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(word))
    except ValueError:
        return False


def bare(text: str) -> list[str]:
    """The lines of a text without comments and blank ones; a backslash at an end joins two.

    >>> bare("# first\\n iptables -S\\n\\n")
    ['iptables -S']
    """
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


class Refused(Told, ValueError):
    """A command of an answer that the node refuses; the message has its number, its text, and why."""

    def __init__(self, number: int, command: str, why: str) -> None:
        super().__init__(f"the node refuses command {number}, `{command}`: {why}")


def changed(rules: Ruleset, text: str) -> Ruleset:
    """The rules after a text: commands of iptables, one a line, or a text for `iptables-restore --noflush`.

    Raises Refused.
    """
    lines = bare(text)
    if lines and lines[0].startswith("*"):
        try:
            return rules.restore("\n".join((*lines, "")), noflush=True, name="the text")
        except RulesError as error:
            raise Refused(1, lines[0], str(error)) from None
    for number, line in enumerate(lines, 1):
        if line.split()[0] != "iptables":
            raise Refused(number, line, "a command of iptables is wanted, or a whole text for iptables-restore that "
                                        "begins with *nat or *filter")
        try:
            rules = iptables.run(rules, line)[0]
        except RulesError as error:
            raise Refused(number, line, str(error)) from None
    return rules

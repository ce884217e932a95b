"""What was done in a lab, command by command: where each one looked, and whether it has changed anything.

A note after an incident must not take a look for a remedy, nor a command that answered an error. So it is not the
words of a command that decide but what it did: the drawing of the network and the node's rules, before and after.
Only what neither of them shows is told by words: entries that were deleted, neighbours, and what a real kernel has
beyond the drawing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from k8slab import wiring
from k8slab.errors import CommandError
from k8slab.lab import Lab

# The stations along the packet's way, and the commands that look there; of kubectl the kinds that it is asked for.
_KIND = r"kubectl .*(?<=[ ,])({})(?=[ ,/]|$)"
STATIONS = (
    ("object", re.compile(_KIND.format("svc|services?|po|pods?|no|nodes?|all"))),
    ("endpoints", re.compile(_KIND.format("ep|endpoints?|endpointslices?"))),
    ("rules", re.compile(r"iptables")),
    ("conntrack", re.compile(r"conntrack ")),
    ("routes", re.compile(r"(ip |sysctl|ping|curl|nc )")),
)
# A question whose answer is an error, as often as not: it is a look all the same.
ANSWERS_BY_ERROR = re.compile(r"ip (-\S+ )*r\w* g")
WRITES = ("create", "apply", "patch", "delete", "label")
CHANGING = ("add", "append", "change", "delete", "flush", "replace", "set")       # of `ip`, which takes short forms
NETNS = re.compile(r"-n(etns)? \S+ |(?<!\S)-\S+")           # the options of `ip`
SILENT = re.compile(r"\d?>(&\d|\s*/dev/null)")
# Program → the words by which it changes what no drawing and no list of rules shows.
UNDRAWN = {
    "conntrack": re.compile(r"-[DFUI]\b|--(delete|flush|update|create)\b"),
    "sysctl": re.compile(r"="),
    "nft": re.compile(r"\b(add|create|delete|destroy|flush|insert|replace|reset)\b|-f\b"),
    "tc": re.compile(r"\b(add|change|replace|del|delete)\b"),
    "modprobe": re.compile(""),
    "sh": re.compile(r">|\b(iptables\b.*\s-[ADIRFPXNE]\b|sysctl\b.*=|ip\b.*\s(add|del|delete|set|replace|flush)\b"
                     r"|conntrack\b.*\s-[DF]\b|modprobe\b)"),
}
UNDRAWN["bash"] = UNDRAWN["sh"]


@dataclass(frozen=True, slots=True)
class Done:
    """A command that was run: `where`, a host or ""; `line`, as it would be typed there; `printed`, what it said.

    `changed`: whether it has changed anything.

    >>> Done("worker1", "iptables -t nat -S").stations
    ('rules',)
    >>> Done("", "kubectl get svc,endpointslices").stations
    ('object', 'endpoints')
    """

    where: str
    line: str
    printed: str = ""
    changed: bool = False

    @property
    def stations(self) -> tuple[str, ...]:
        """The stations of the packet's way that it looks at."""
        return tuple(name for name, pattern in STATIONS if pattern.match(self.line))

    def __str__(self) -> str:
        return f"{self.where}: {self.line}" if self.where else self.line


def writes(command: str) -> bool:
    """Whether a kubectl command is one of those that write: its own word is, wherever its flags stand.

    >>> writes("-n default patch svc web -p '{}'"), writes("config view")
    (True, False)
    """
    return any(word in WRITES for word in command.split())


def watched(lab: Lab, host: str, command: str) -> Callable[[str], bool]:
    """Look at a lab before a command is run on a host; what is returned says afterwards whether it changed anything.

    It takes what the command printed.

    >>> with Lab("model") as lab:
    ...     changed = watched(lab, "worker1", "ip route del default")
    ...     changed(lab.run("worker1", "ip route del default"))
    True
    """
    where, words = _inner(host, command)
    before = _state(lab, where, words)

    def changed(printed: str) -> bool:
        return _state(lab, where, words) != before or _undrawn(lab, where, words, printed)

    return changed


def _inner(host: str, command: str) -> tuple[str, list[str]]:
    """The host on which a command comes to run, through every `ip netns exec`, and its words there."""
    try:
        words = shlex.split(command)
    except ValueError:
        return host, []                         # it will be refused
    while words[:1] == ["ip"] and words[1:3] == ["netns", "exec"] and len(words) > 4:
        host, words = words[3], words[4:]
    return host, words


def _state(lab: Lab, host: str, words: list[str]) -> tuple[object, ...]:
    """The network as it is drawn, and the host's rules without what they have counted, where those may change."""
    network = lab.dataplane.network
    if not words or not words[0].startswith("iptables") or all(one.name != host for one in network.hosts):
        return network, ()
    saved = lab.dataplane.run(host, "iptables-save").splitlines()
    return network, tuple(line.partition(" [")[0] if line[:1] == ":" else line for line in saved if line[:1] != "#")


def _undrawn(lab: Lab, host: str, words: list[str], printed: str) -> bool:
    """Whether a command that has succeeded changed what is not drawn, by its words."""
    program, line = words[0].rpartition("/")[2] if words else "", SILENT.sub("", " ".join(words[1:]))
    if program == "ip":
        rest = NETNS.sub("", line).split()
        how = rest[1] if len(rest) > 1 else ""
        said = bool(how) and any(one.startswith(how) for one in CHANGING)
    else:
        said = program in UNDRAWN and bool(UNDRAWN[program].search(line)) and ": 0 flow entries" not in printed
    return said and not (program in ("ip", "sysctl") and _drawn(lab, host, words))


def _drawn(lab: Lab, host: str, words: list[str]) -> bool:
    """Whether the drawing knows this command, so that it would show what it changed."""
    try:
        wiring.change(lab.dataplane.network, host, words)
    except CommandError:
        return False
    return True

"""Done: a command that was run in an incident, the station that it looks at, and whether it was meant as a change.

What was changed is for the note to list. Whether anything is changed at all is told by what there is (`standing.py`),
not by a command's words: there are more programs than these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# The stations along the packet's way, and the commands that look there.
STATIONS = (
    ("object", re.compile(r"kubectl .*\b(svc|services?|po|pods?|nodes?|all)\b")),
    ("endpoints", re.compile(r"kubectl .*\b(ep|endpoints?|endpointslices?)\b")),
    ("rules", re.compile(r"iptables")),
    ("conntrack", re.compile(r"conntrack ")),
    ("routes", re.compile(r"(ip |sysctl|ping|curl|nc )")),
)
CHANGES = re.compile(
    r"(\S*/)?(ip6?tables(-nft|-legacy)?-restore|ip6?tables(-nft|-legacy)? (.* )?(-[ADIRFPXNEZ]|--(append|delete|insert|"
    r"replace|flush|policy|new-chain|delete-chain|rename-chain|zero))\b|conntrack (.* )?(-[DFUI]|--(delete|flush|update"
    r"|create))\b|nft (.* )?(add|create|insert|replace|delete|destroy|flush|reset|-f)\b|sysctl .*=)|lab\.")
KUBECTL = frozenset("annotate apply autoscale cordon create debug delete drain edit expose label patch replace rollout "
                    "run scale set taint uncordon".split())
IP = frozenset("add a ad append prepend change chg replace del d de delete set flush f".split())
WITH_VALUE = ("-n", "--namespace", "-netns", "-f", "--family", "--context", "--kubeconfig", "-s", "--server")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that was run: `where`, a host or ""; `line`, as it would be typed there; `printed`, what it said."""

    where: str
    line: str
    printed: str = ""

    @property
    def changes(self) -> bool:
        """Whether it was meant to change anything, and was not refused.

        >>> Done("worker1", "iptables -t nat -S").changes, Done("worker1", "iptables -P FORWARD ACCEPT").changes
        (False, True)
        """
        words = self.line.split()
        if words[:1] == ["kubectl"]:
            refused = self.printed.lower().startswith("error") or "--dry-run" in self.line
            return not refused and _verb(words[1:], 0) in KUBECTL
        if words[:1] == ["ip"]:
            return _ip(words[1:])
        return bool(CHANGES.match(self.line))

    @property
    def station(self) -> str:
        """The station of the packet's way that it looks at, or ""."""
        found = [name for name, pattern in STATIONS if pattern.match(self.line)]
        return found[-1] if found else ""

    def __str__(self) -> str:
        return f"{self.where}: {self.line}" if self.where else self.line


def _verb(words: Sequence[str], at: int) -> str:
    """The word at that place, when options before it are left out, with their values."""
    left = list(words)
    while left and left[0].startswith("-"):
        del left[:2 if left[0] in WITH_VALUE else 1]
    return left[at] if at < len(left) else ""


def _ip(words: Sequence[str]) -> bool:
    """Whether an `ip` command changes anything: its second word says so, `ip netns exec` has another command in it."""
    if len(words) > 3 and list(words[:2]) == ["netns", "exec"]:
        return Done("", " ".join(words[3:])).changes
    return _verb(words, 1) in IP

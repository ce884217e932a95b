"""Commands on a host of the real kernel: the real programs, in the host's namespace.

`ip netns` is the lab's own: its namespaces have no names in /run/netns but descriptors in the child process, so that
`ip netns add`, `delete`, `list` and `exec` are done here, and a name that follows `netns` is given to the real `ip` as
its descriptor. What `ip` and `sysctl` have changed is drawn into the lab's network, too.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from k8slab import wiring
from k8slab.errors import CommandError

if TYPE_CHECKING:
    from k8slab.kernel.dataplane import Kernel

NETNS = "netns"
START = re.compile(r"(\d+: )?([^\s@:]+)(?=@if\d+|: <)")         # of a long listing and of `-br`
PEER, NETNSID = re.compile(r"@if\d+"), re.compile(r"link-netnsid \d+")


def run(kernel: Kernel, node: str, words: list[str], given: str = "", view: str = "") -> str:
    """Run a command on a host; what it prints. `view`: the node whose `ip netns` names are meant.

    Raises CommandError, with the program's words, where it fails.
    """
    program, view = PurePosixPath(words[0]).name, view or node
    if program == "sysctl":
        printed = kernel.command(node, words)
        _draw(kernel, node, words, view)
        return printed
    if program == "conntrack":
        # Its last line is for people, by standard error: a pipe hands that over before the entries.
        return "".join(sorted(kernel.command(node, words, given).splitlines(keepends=True),
                              key=lambda line: line.startswith("conntrack v")))
    if program != "ip":
        return kernel.command(node, words, given)
    if words[1:2] in (["-n"], ["-netns"]) and len(words) > 3:
        return run(kernel, wiring.namespace(kernel.network, view, words[2]), ["ip", *words[3:]], given, view)
    if words[1:2] == [NETNS] and len(words) > 2:
        return _netns(kernel, node, words, given, view)
    changed = _draw(kernel, node, words, view, only_look=True)
    named = [kernel.path(wiring.namespace(kernel.network, view, word)) if before == NETNS and word != NETNS else word
             for before, word in zip(["", *words], words)]
    printed = kernel.command(node, named, given)
    if changed:
        kernel.network = changed
        kernel.holder.ask("ready")
    return _with_names(kernel, node, printed, view)


def _with_names(kernel: Kernel, node: str, printed: str, view: str) -> str:
    """What `ip` prints of an interface's other end, in the lab's names: the machinery between two ends has none.

    `link-netnsid 1` is `link-netns web` where the namespace has a name; `eth0@if7`, whose peer is a port of the switch
    that stands for a LAN, names the first other end of that LAN.
    """
    network, known, lines, interface = kernel.network, wiring.namespaces(kernel.network, view), [], ""
    for line in printed.splitlines(keepends=True):
        if start := START.match(line):
            interface = start[2]
            far = network.ends(node, interface)
            if len(far) > 1:
                line = PEER.sub(f"@if{network.host(far[0][0]).index(far[0][1])}", line, count=1)
        if NETNSID.search(line):
            far = network.ends(node, interface)
            line = NETNSID.sub(f"link-netns {far[0][0]}", line) if far and far[0][0] in known else line
        lines.append(line)
    return "".join(lines)


def _netns(kernel: Kernel, node: str, words: list[str], given: str, view: str) -> str:
    """`ip netns add|delete|list|exec`."""
    if words[2] == "exec":
        if len(words) < 5:
            raise CommandError("ip netns exec wants a name and a command, as in ip netns exec red ip address")
        return run(kernel, wiring.namespace(kernel.network, view, words[3]), words[4:], given, view)
    if "add".startswith(words[2]) or "delete".startswith(words[2]):
        after = wiring.change(kernel.network, node, words, view)
        kernel.follow(after)
        return ""
    return wiring.show(kernel.network, node, words, view)


def _draw(kernel: Kernel, node: str, words: list[str], view: str, *, only_look: bool = False):
    """The network as this command leaves it, None where it changes nothing that is drawn."""
    try:
        after = wiring.change(kernel.network, node, words, view)
    except CommandError:
        return None                     # it shows something, or it is for the real program to refuse
    if not only_look:
        kernel.network = after
    return after

"""`%on HOST COMMAND`, `%%on HOST` and `%kubectl …`: commands on a node or in a Pod, and kubectl's, from a cell.

    %on worker1 iptables -t nat -S | grep KUBE-SVC
    %%on worker1
    ip netns add pod-a
    ip link set br0 up
    %kubectl get svc kubernetes -n default | grep 443
    %%kubectl apply -f -
    (what to apply)

What they print is the same on both dataplanes: what must differ between two kernels, or between two runs, is masked
by the tables below, and by them alone.
"""

from __future__ import annotations

import re
import shlex
import sys
import weakref
from typing import TYPE_CHECKING

from k8slab.errors import CommandError, Told
from k8slab.network import NetworkError
from k8slab.pipes import split, through

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from k8slab.lab import Lab

# Program → what differs from run to run, and what is printed for it. A MAC is shown where it is fixed: the lab's
# own begin with 02:0a or 02:cb (`network.py`), those set by hand should with 02:00; a kernel draws the others.
MASKS: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "ping": ((re.compile(r"time=[\d.]+ ms"), "time=… ms"), (re.compile(r"time \d+ms"), "time …ms"),
             (re.compile(r"(mdev = )[\d./]+ ms(, pipe \d+)?"), r"\1…/…/…/… ms"), (re.compile(r"^pipe \d+$", re.M), "")),
    "curl": ((re.compile(r"after \d+ (ms|milliseconds)"), r"after … \1"),
             (re.compile(r"^  % Total.*\n.*Speed *\n", re.M), ""),             # the progress meter
             (re.compile(r"(?:\r|^\n?)[ \d.kMG]+(?:[-\d]+:[-\d]+:[-\d]+ +){3}[\d.kMG]+\n?", re.M), "")),
    "nc": ((re.compile(r"\[(tcp|udp)/[^]]*\]"), r"[\1/*]"),),
    "conntrack": ((re.compile(r"^(\w+ +\d+) \d+ ", re.M), r"\1 … "), (re.compile(r"\bid=\d+"), "id=…"),
                  (re.compile(r"use=\d+"), "use=…"),
                  (re.compile(r"^conntrack v\S+ \(\S+\): [1-9]\d* flow entries have been shown\.\n", re.M), ""),
                  (re.compile(r"^conntrack v\S+ ", re.M), "conntrack ")),
    "ip": ((re.compile(r" link-netns(id)? \S+$", re.M), ""), (re.compile(r" \(id: \d+\)$", re.M), ""),
           (re.compile(r"\b(?!02:0[0a]:|02:cb:|00:00:00|ff:ff:ff)[0-9a-f]{2}(:[0-9a-f]{2}){5}\b"), "…:…:…:…:…:…"),
           (re.compile(r" uid \d+"), ""), (re.compile(r"state LOWERLAYERDOWN"), "state DOWN"),
           (re.compile(r"\bLOWERLAYERDOWN\b"), f"{'DOWN':<14}"), (re.compile(r"\bINCOMPLETE $", re.M), "FAILED "),
           (re.compile(r"\b(STALE|DELAY|PROBE) $", re.M), "REACHABLE ")),
    # What kubectl prints comes from the lab's clock and seed, AGE, times and uids too; keys are drawn anew in each run.
    "kubectl": ((re.compile(r"(-----BEGIN [A-Z ]+-----\s*).*?(\s*-----END)", re.S), r"\1…\2"),),
}
# Listings whose lines come in no order of their own: a kernel's hash tables, a directory.
UNORDERED = re.compile(r"conntrack .*(-L|--dump|-D|--delete)|ip (-\S+ \S+ )*((n|neigh\w*)( |$)|netns( l\w*)?$)")

_newest: weakref.ref[Lab] | None = None


def program(command: str) -> str:
    """The name of the program that a command comes down to, through every `ip netns exec`.

    >>> program("ip netns exec pod-a ping -c 1 10.0.0.1")
    'ping'
    """
    words = shlex.split(command)
    while words[:1] == ["ip"] and words[1:3] == ["netns", "exec"] and len(words) > 4:
        words = words[4:]
    return words[0].rpartition("/")[2] if words else ""


def masked(command: str, text: str) -> str:
    """What a command printed, without what may differ from one run to the next.

    >>> masked("ping -c 1 10.0.0.1", "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.045 ms")
    '64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=… ms'
    """
    for pattern, instead in MASKS.get(program(command), ()):
        text = pattern.sub(instead, text)
    if UNORDERED.match(command):
        text = "".join(sorted(text.splitlines(keepends=True)))
    return text


def on(lab: Lab, host: str, line: str) -> str:
    """What a line, a command and its pipes, prints on a host of the lab: an error's words like any others.

    >>> from k8slab.lab import Lab
    >>> on(Lab("model"), "worker1", "iptables -t nat -S | grep -c KUBE-MARK-MASQ")
    '4\\n'

    Raises NetworkError when there is no such host, CommandError for a pipe that is not known.
    """
    command, *stages = split(line)
    through("", stages)                                      # a wrong pipe is told before the command is run
    try:
        text = lab.run(host, command)
    except NetworkError:
        raise
    except CommandError as error:
        return masked(command, error.printed)                # like a shell: error messages go by the pipe
    except Told as error:
        return f"{error}\n"
    return through(masked(command, text), stages)


def lines(cell: str) -> list[str]:
    """The commands of a cell: blank lines and comments are left out, a backslash at the end joins two lines.

    >>> lines("# wire it\\nip link set lo up\\n\\nip -br address \\\\\\n  show")
    ['ip link set lo up', 'ip -br address   show']
    """
    joined = cell.replace("\\\n", "").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.lstrip().startswith("#")]


def remember(lab: Lab) -> None:
    """Make a lab the one that `%on` takes where no variable `lab` holds one; in IPython, make `%on` known."""
    global _newest
    _newest = weakref.ref(lab)
    if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
        register(shell)


def the_lab(names: dict[str, object]) -> Lab:
    """The lab that is meant: the one called `lab` among the names, else the newest. Raises CommandError without one."""
    from k8slab.lab import Lab  # the lab imports this module
    lab = names.get("lab")
    lab = lab if isinstance(lab, Lab) else _newest() if _newest else None
    if lab is None:
        raise CommandError("there is no lab to run it in; make one first: lab = Lab()")
    return lab


def register(shell: InteractiveShell) -> None:
    """Make `%on`, `%kubectl` and their forms for a whole cell known to an IPython shell."""
    from IPython.core.magic import no_var_expand  # a lab is used without IPython, too

    if "on" in shell.magics_manager.magics["line"]:
        return

    def run(line: str, cell: str | None = None) -> None:
        """Run a command on a node or in a Pod: `%on worker1 iptables -t nat -S`; `%%on worker1`: one a line."""
        host, _, command = line.strip().partition(" ")
        if not host or not (command.strip() or cell):
            raise CommandError("say where and what: %on worker1 iptables -t nat -S")
        commands = [command] if cell is None else lines(command) + [shell.var_expand(text) for text in lines(cell)]
        lab = the_lab(shell.user_ns)
        for text in commands:
            print(on(lab, host, text), end="")

    @no_var_expand      # {…} is a jsonpath's, not IPython's
    def kubectl(line: str, cell: str | None = None) -> None:
        """Run kubectl: `%kubectl get svc -A | grep kube`; `%%kubectl apply -f -`: the cell is its standard input."""
        print(masked("kubectl", the_lab(shell.user_ns).kubectl(line, cell or "")), end="")

    shell.register_magic_function(run, "line_cell", "on")
    shell.register_magic_function(kubectl, "line_cell", "kubectl")

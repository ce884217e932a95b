"""Reading the words of `ip`: options, objects, subcommands, keywords with values; and its ways to refuse them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from k8slab.errors import CommandError
from k8slab.network import LOOPBACK, Host, Interface, Network

# The objects and their subcommands, in the order in which iproute2 tries them (ip.c, ipaddress.c, iplink.c, …).
OBJECTS = ("address", "route", "neighbor", "neighbour", "link", "netns")
HOW = {
    "address": ("add", "delete", "show", "list", "flush"),
    "route": ("list", "show", "get", "add", "append", "change", "replace", "delete", "flush"),
    "neighbour": ("add", "delete", "show", "list", "flush"),
    "link": ("add", "set", "delete", "show", "list"),
    "netns": ("list", "show", "add", "delete", "exec", "identify", "pids"),
}
SAME = {"list": "show", "neighbor": "neighbour"}
NAMES = {"addr": "address", "del": "delete", "ls": "list", "lst": "list", "neigh": "neighbour"}
# Keywords of the real program that nothing here stands for.
UNMODELLED = frozenset(
    "mtu metric table proto protocol scope onlink broadcast brd label qlen txqueuelen txqlen weight nexthop alias "
    "numtxqueues valid_lft preferred_lft anycast noprefixroute home nodad group promisc arp dynamic multicast tos "
    "nhid encap advmss window mode id type_slave index local remote".split())
MAC = re.compile(r"[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `ip`: `what` it is about, `how`, and the words after that. `brief`: -br. `view`: whose names."""

    network: Network
    host: str
    view: str
    what: str
    how: str
    words: list[str] = field(default_factory=list)
    brief: bool = False

    @property
    def own(self) -> Host:
        """The host on which it runs."""
        return self.network.host(self.host)


class Said(CommandError):
    """What the real program would say against a command, with its exit status."""

    def __init__(self, words: str, status: int = 2) -> None:
        super().__init__(words.rstrip("\n"), printed=f"{words}\n", status=status)


def unsupported(words: list[str], supported: str) -> CommandError:
    """The error for what the model does not know, with what it does."""
    return CommandError(f"{' '.join(words)} is not one of the model's commands; there are: {supported}")


def read_ip(network: Network, host: str, words: list[str], view: str) -> Call:
    """The call that the words after `ip` make. Raises CommandError where there is no such object or namespace."""
    brief = False
    while words and words[0].startswith("-"):
        option, words = words[0], words[1:]
        if option in ("-br", "-brief"):
            brief = True
        elif option in ("-n", "-netns") and words:
            host, words = namespace(network, view, words[0]), words[1:]
        elif option != "-4":
            raise CommandError(f"ip {option}: of the options there are -br, -4 and -n NAME")
    if not words:
        raise CommandError("ip: say what about, such as ip address, ip link, ip route", status=255)
    word = NAMES.get(words[0], words[0])
    what = next((name for name in OBJECTS if name.startswith(word)), "")
    if not what:
        raise Said(f'Object "{words[0]}" is unknown, try "ip help".', 1)
    what = SAME.get(what, what)
    how, rest = "show", words[1:]
    if rest and not (what == "route" and rest[0] == "default"):
        said = NAMES.get(rest[0], rest[0])
        found = next((name for name in HOW[what] if name.startswith(said)), "")
        if not found:
            raise Said(f'Command "{rest[0]}" is unknown, try "ip {what} help".', 255)
        how, rest = SAME.get(found, found), rest[1:]
    return Call(network, host, view, what, how, rest, brief)


def namespace(network: Network, view: str, name: str) -> str:
    """The host that `ip netns` on the host `view` knows by this name. Raises Said when there is none."""
    if name in namespaces(network, view):
        return name
    raise Said(f'Cannot open network namespace "{name}": No such file or directory', 255)


def namespaces(network: Network, view: str) -> list[str]:
    """The names that `ip netns` knows on a host: its Pods, the newest first."""
    return [h.name for h in reversed(network.hosts) if h.kind == "pod" and h.node == view]


def keywords(words: list[str], known: Mapping[str, str], first: str, flags: tuple[str, ...] = ()) -> dict[str, str]:
    """Keyword → value. `known`: spelling to name; the word without a keyword is `first`; `flags` have no value.

    Raises Said for a word too much or too few, CommandError for a keyword that is not modelled.
    """
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in flags:
            found[word] = word
        elif word in known:
            if not rest:
                raise Said('Command line is not complete. Try option "help"', 255)
            found[known[word]] = rest.pop(0)
        elif word in UNMODELLED:
            raise CommandError(f"ip … {word}: the model knows {', '.join([*dict.fromkeys(known.values()), *flags])}")
        elif first in found:
            raise Said(f'Error: either "{first}" is duplicate, or "{word}" is a garbage.', 255)
        else:
            found[first] = word
    return found


def find(host: Host, name: str) -> Interface:
    """A host's interface by name, lo among them. Raises Said when there is none."""
    found = host.lo if name == "lo" else next((i for i in host.interfaces if i.name == name), None)
    if found is None:
        raise Said(f'Cannot find device "{name}"', 1)
    return found


def put(network: Network, host: str, old: str, new: Interface | None) -> Network:
    """The network with one interface described anew, or taken away; lo is kept only where it differs."""
    its = network.host(host)
    if old == "lo" and new and new.up and new.addresses == LOOPBACK.addresses:
        new = None
    rest = tuple(i for i in its.interfaces if i.name != old)
    if new is None:
        changed = rest
    elif len(rest) == len(its.interfaces):
        changed = (*rest, new)
    else:
        changed = tuple(new if i.name == old else i for i in its.interfaces)
    return network.replace(replace(its, interfaces=changed))


def address(text: str) -> ipaddress.IPv4Interface:
    """An address with a prefix, /32 where it has none. Raises Said for anything else."""
    try:
        return ipaddress.IPv4Interface(text)
    except ValueError:
        raise Said(f'Error: any valid prefix is expected rather than "{text}".', 1) from None


def mac(text: str) -> str:
    """A MAC address in small letters. Raises Said for anything else."""
    if not MAC.fullmatch(text):
        raise Said(f'"{text}" is invalid lladdr.', 255)
    return ":".join(f"{int(part, 16):02x}" for part in text.split(":"))

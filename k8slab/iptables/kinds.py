"""Kinds of values that options take, as rows of functions: how each is read, printed, compared and said.

The functions themselves are in values.py. `TCP_FLAG_TEST`, say, is what `--tcp-flags SYN,ACK SYN` takes: two
words, a comparison of bits, and for a learner the words "SYN out of SYN,ACK".
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from k8slab.iptables.errors import RulesError
from k8slab.iptables.names import REJECT_WITH
from k8slab.iptables.values import (WHOLE, flag_names, icmp_holds, integer, interface_holds, is_range,
                                    mark_holds, ports_hold, read_choice, read_flag_set, read_host,
                                    read_icmp_type, read_interface, read_log_level, read_mark,
                                    read_network, read_port_list, read_ports, read_probability,
                                    read_protocol, read_quad, read_rate, save_host, save_icmp_type,
                                    save_mark, save_network, save_ports, save_protocol, save_rate)
from k8slab.iptables.words import quote
from k8slab.packet import dotted


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What can be done with one kind of value; `words` is how many words of a rule it takes.

    `read` turns words into a value, and raises RulesError; `save` is what iptables-save prints; `holds(value,
    found)` compares; `say`, `found` are the words of a miss, and `within` whether `value` reads better with
    "in" before it.
    """

    read: Callable[..., Any]
    save: Callable[[Any], str] = str
    holds: Callable[[Any, Any], bool] = operator.eq
    say: Callable[[Any], str] = str
    found: Callable[[Any], str] = str
    within: Callable[[Any], bool] = lambda value: False
    words: int = 1


def number_kind(low: int, high: int, what: str) -> Kind:
    """The kind of a plain number between two bounds."""
    return Kind(lambda word: integer(word, low, high, what))


def set_kind(names: tuple[str, ...], what: str) -> Kind:
    """The kind of a list of names of which one must be found, printed in the order of `names`."""
    def read(word: str) -> tuple[str, ...]:
        given = word.upper().split(",")
        if wrong := [name for name in given if name not in names]:
            raise RulesError(f"is not {what}", f"one of {', '.join(names)}", wrong[0])
        return tuple(name for name in names if name in given)
    return Kind(read, ",".join, lambda wanted, found: not found.isdisjoint(wanted), " or ".join,
                lambda found: ",".join(name for name in names if name in found) or "NONE")


def text_kind(limit: int, what: str, cut: bool = False) -> Kind:
    """The kind of a text of at most `limit` characters, quoted where it must be; a longer one is cut or
    wrong.

    """
    def read(word: str) -> str:
        if len(word.encode()) > limit and not cut:
            raise RulesError(f"is too long for {what}", f"at most {limit} bytes")
        return word.encode()[:limit].decode(errors="ignore")
    return Kind(read, quote)


def read_name(word: str) -> str:
    """A name of one word, for lists and objects."""
    if not word or len(word) > 199 or "/" in word or any(c.isspace() for c in word):
        raise RulesError("is not a name", "a name has 1 to 199 characters, with no space and no slash")
    return word


def read_direction(word: str) -> str:
    """ORIGINAL or REPLY, in either case."""
    name = word.upper()
    if name not in ("ORIGINAL", "REPLY"):
        raise RulesError("is not a direction", "ORIGINAL or REPLY")
    return name


def read_address_range(word: str) -> tuple[int, int]:
    """`10.0.0.1-10.0.0.9`, both ends included, or one address; one that ends before it begins holds nothing."""
    low, dash, high = word.partition("-")
    return read_quad(low, word), read_quad(high if dash else low, word)


def save_address_range(value: tuple[int, int]) -> str:
    """`10.0.0.1-10.0.0.9`; both ends are printed even where they are one."""
    return f"{dotted(value[0])}-{dotted(value[1])}"


STATES = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")
STATUSES = ("NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED")
ADDRESS_TYPES = ("UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE",
                 "UNREACHABLE",
                 "PROHIBIT", "THROW", "NAT", "XRESOLVE")
CT_EVENTS = ("NEW", "RELATED", "DESTROY", "REPLY", "ASSURED", "PROTOINFO", "HELPER", "MARK", "NATSEQINFO",
             "SECMARK")

WORDS = Kind(str)
FLAG = Kind(lambda: True, words=0, say=lambda value: "yes", found=lambda found: "yes" if found else "no")
NETWORK = Kind(read_network, save_network, lambda wanted, found: found & wanted[1] == wanted[0],
               save_host, dotted, lambda value: value[1] != WHOLE)
HOST = Kind(read_host, save_host, NETWORK.holds, save_host, dotted, NETWORK.within)
ADDRESS_RANGE = Kind(read_address_range, save_address_range, lambda wanted, found: wanted[0] <= found <= wanted[1],
                     save_address_range, dotted, lambda value: True)
INTERFACE = Kind(read_interface, holds=interface_holds, found=lambda name: name or "(none)")
PROTOCOL = Kind(read_protocol, save_protocol, say=save_protocol, found=save_protocol)
PROTOCOL_NUMBER = Kind(read_protocol, str, say=save_protocol, found=save_protocol)
PORTS = Kind(read_ports, save_ports, ports_hold, save_ports, within=is_range)
PORT_LIST = Kind(
    read_port_list, lambda value: ",".join(map(save_ports, value)),
    lambda wanted, found: any(ports_hold(ports, port) for ports in wanted for port in found),
    lambda value: ",".join(map(save_ports, value)), lambda found: " and ".join(map(str, found)),
    lambda value: True)
TCP_FLAG_TEST = Kind(
    lambda mask, wanted: (read_flag_set(mask), read_flag_set(wanted)),
    lambda value: f"{flag_names(value[0])} {flag_names(value[1])}",
    lambda wanted, found: found & wanted[0] == wanted[1],
    lambda value: f"{flag_names(value[1])} out of {flag_names(value[0])}", flag_names, words=2)
ICMP_TYPE = Kind(read_icmp_type, save_icmp_type, icmp_holds, save_icmp_type,
                 lambda found: f"{found[0]}/{found[1]}")
CT_STATE = set_kind(STATES, "a conntrack state")
STATE = set_kind(STATES[:5], "a conntrack state")
CT_STATUS = set_kind(STATUSES, "a conntrack status")
CT_EVENT = set_kind(CT_EVENTS, "a conntrack event")
DIRECTION = Kind(read_direction)
ADDRESS_TYPE = set_kind(ADDRESS_TYPES, "an address type")
MARK = Kind(read_mark, save_mark, mark_holds, save_mark, lambda found: f"{found:#x}")
PROBABILITY = Kind(read_probability, lambda value: f"{value / 2**31:.11f}")
RATE = Kind(read_rate, save_rate)
MASK = Kind(lambda word: read_quad(word, word), dotted)
NAME = Kind(read_name)
REJECT_TYPE = Kind(read_choice({name: new for new, old in REJECT_WITH.items() for name in (new, old)},
                               "a way to reject"))
LOG_LEVEL = Kind(read_log_level)

"""How the values of options are read, printed and compared.

Each `read_*` turns a word of a rule into a value and raises `RulesError` for a wrong one; each `save_*`
prints a value as iptables-save does; each `*_hold(s)` compares as the kernel does. Addresses are integers in
host order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from k8slab.iptables.errors import RulesError
from k8slab.iptables.names import (ICMP_TYPES, LOG_LEVELS, PROTOCOL_ALIASES, PROTOCOL_NAMES, PROTOCOL_NUMBERS,
                                   SERVICES)
from k8slab.packet import dotted

WHOLE = 0xFFFFFFFF
NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,22}|[1-9][0-9]{0,19}")


def integer(word: str, low: int, high: int, what: str) -> int:
    """A number in decimal, 0x hexadecimal or 0 octal, as C's strtoul reads it: `integer("0x50", 0, 99, "a
    port")`.

    """
    if NUMBER.fullmatch(word):
        base = 16 if word[1:2] in ("x", "X") else 8 if word[0] == "0" else 10
        number = int(word, base)
        if low <= number <= high:
            return number
    raise RulesError(f"is not {what}", f"{what} is a number from {low} to {high}")


def read_quad(word: str, whole: str) -> int:
    """An address as an integer; `whole` is the word it is part of, for errors."""
    parts = word.split(".")
    if ":" in word:
        raise RulesError("is an IPv6 address", "an IPv6 dump or rule; only IPv4 is supported")
    if len(parts) > 4 or not all(p.isascii() and p.isdigit() and len(p) < 4 and int(p) < 256 for p in parts):
        names = "" if word[:1].isdigit() else ", and names are not looked up"
        raise RulesError(f"is not an IPv4 address{names}", "an address looks like 10.96.0.1 or 10.96.0.0/16",
                         whole)
    # The real program takes 10.1 for 10.1.0.0: what is left out is 0.
    return int.from_bytes(bytes(int(p) for p in parts) + bytes(4 - len(parts)), "big")


def _mask(word: str, whole: str) -> int:
    if word.isascii() and word.isdigit() and len(word) < 4:
        if int(word) > 32:
            raise RulesError("has a prefix length over 32",
                             "10.96.0.0/16 names the addresses with the same 16 bits", whole)
        return WHOLE << (32 - int(word)) & WHOLE
    return read_quad(word, whole)


@lru_cache(maxsize=65536)
def read_host(word: str) -> tuple[int, int]:
    """An address and its mask, the address as it was written: `10.96.0.1/16` keeps its last 16 bits."""
    address, slash, mask = word.partition("/")
    return read_quad(address, word), _mask(mask, word) if slash else WHOLE


@lru_cache(maxsize=65536)
def read_network(word: str) -> tuple[int, int]:
    """An address and its mask, the address cut to the mask."""
    address, mask = read_host(word)
    return address & mask, mask


def mask_text(mask: int) -> str:
    """`16` for 255.255.0.0, the dotted quad for a mask with holes."""
    bits = mask.bit_count()
    return str(bits) if WHOLE << (32 - bits) & WHOLE == mask else dotted(mask)


def save_network(value: tuple[int, int]) -> str:
    """`10.96.0.1/32`, as iptables-save prints -s and -d."""
    return f"{dotted(value[0])}/{mask_text(value[1])}"


def save_host(value: tuple[int, int]) -> str:
    """`10.96.0.1`, or with its mask where that is not /32."""
    return dotted(value[0]) if value[1] == WHOLE else save_network(value)


def read_interface(word: str) -> str:
    """An interface's name; a + at its end stands for any ending."""
    if not word or len(word) > 15 or word == "!":
        raise RulesError("is not an interface name",
                         "a name has 1 to 15 characters: eth0, or veth+ for all that begin so")
    return word


def interface_holds(wanted: str, found: str) -> bool:
    """Whether an interface's name fits: `veth+` fits `veth1`."""
    return found.startswith(wanted[:-1]) if wanted[-1] == "+" else found == wanted


def read_protocol(word: str) -> int:
    """A protocol's number, from its name or number; 0 for `all`."""
    name = word.lower()
    number = PROTOCOL_NUMBERS.get(name, PROTOCOL_ALIASES.get(name))
    if number is None and not word[:1].isdigit():
        raise RulesError("is not a protocol",
                         "a protocol is tcp, udp, sctp, icmp, all or a number from 0 to 255")
    return integer(word, 0, 255, "a protocol") if number is None else number


def save_protocol(number: int) -> str:
    """`tcp` for 6, `200` for 200."""
    return PROTOCOL_NAMES.get(number) or ("all" if number == 0 else str(number))


def read_port(word: str) -> int:
    """A port from its number or its service's name."""
    return SERVICES[word] if word in SERVICES else integer(word, 0, 65535, "a port")


@lru_cache(maxsize=65536)
def read_ports(word: str, separator: str = ":") -> tuple[int, int]:
    """A port or a range of them: `80`, `8000:8010`, `:1023`, `1024:`."""
    low, ranged, high = word.partition(separator)
    if not ranged:
        return (port := read_port(low)), port
    ports = (read_port(low) if low else 0), (read_port(high) if high else 65535)
    if ports[0] > ports[1]:
        raise RulesError("is a range that ends before it begins", "write the lower port first: 8000:8010",
                         word)
    return ports


def save_ports(value: tuple[int, int], separator: str = ":") -> str:
    """`80`, or `8000:8010`."""
    return str(value[0]) if value[0] == value[1] else f"{value[0]}{separator}{value[1]}"


def ports_hold(wanted: tuple[int, int], found: int) -> bool:
    """Whether a port is in a range, both ends included."""
    return wanted[0] <= found <= wanted[1]


def is_range(value: tuple[int, int]) -> bool:
    """Whether a range holds more than one port."""
    return value[0] != value[1]


def read_port_list(word: str) -> tuple[tuple[int, int], ...]:
    """Up to 15 ports; a range counts for two: `80,443,8000:8010`."""
    ports = tuple(read_ports(part) for part in word.split(","))
    if any(":" in part and low == high for part, (low, high) in zip(word.split(","), ports)):
        raise RulesError("holds a range of one port", "write that port alone", word)
    if sum(1 + is_range(value) for value in ports) > 15:
        raise RulesError("holds too many ports", "multiport takes 15; a range counts for two", word)
    return ports


TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")


def read_flag_set(word: str) -> int:
    """TCP flags as bits, FIN the lowest: `SYN,ACK` is 0x12."""
    bits = 0
    for name in word.upper().split(","):
        if name not in (*TCP_FLAGS, "ALL", "NONE"):
            raise RulesError("is not a list of TCP flags",
                             f"the flags are {', '.join(TCP_FLAGS)}, ALL and NONE", word)
        bits |= {"ALL": 0x3F, "NONE": 0}.get(name) or (1 << TCP_FLAGS.index(name) if name in TCP_FLAGS else 0)
    return bits


def flag_names(bits: int) -> str:
    """`SYN,ACK` for 0x12, `NONE` for 0."""
    return ",".join(name for place, name in enumerate(TCP_FLAGS) if bits >> place & 1) or "NONE"


def read_icmp_type(word: str) -> tuple[int, int, int]:
    """An ICMP type with its lowest and highest code, by name, type or type/code."""
    names = [name for name in ICMP_TYPES if name.lower().startswith(word.lower())] if word else []
    exact = [name for name in names if name.lower() == word.lower()] or names
    if len(exact) == 1:
        return ICMP_TYPES[exact[0]]
    if len(exact) > 1:
        raise RulesError("is more than one ICMP type", f"{exact[0]} or {exact[1]}", word)
    kind, slash, code = word.partition("/")
    if not kind[:1].isdigit():
        raise RulesError("is not an ICMP type",
                         "a type is a name such as echo-request, a number, or type/code: 3/4", word)
    number = integer(kind, 0, 255, "an ICMP type")
    low = integer(code, 0, 255, "an ICMP code") if slash else 0
    return number, low, low if slash else 255


def save_icmp_type(value: tuple[int, int, int]) -> str:
    """`8`, `3/4` or `any`."""
    kind, low, high = value
    return "any" if kind == 255 else f"{kind}/{low}" if low == high else str(kind)


def icmp_holds(wanted: tuple[int, int, int], found: tuple[int, int]) -> bool:
    """Whether a packet's (type, code) fits; type 255 is every type (ip_tables.c, icmp_type_code_match)."""
    return wanted[0] == 255 or (wanted[0] == found[0] and wanted[1] <= found[1] <= wanted[2])


def read_mark(word: str) -> tuple[int, int]:
    """A mark and its mask, which is all ones where it is not given: `0x4000/0x4000`."""
    value, slash, mask = word.partition("/")
    return (integer(value, 0, WHOLE, "a mark"), integer(mask, 0, WHOLE, "a mask") if slash else WHOLE)


def save_mark(value: tuple[int, int]) -> str:
    """`0x4000/0x4000`, the mask left out where it is all ones."""
    return f"{value[0]:#x}" if value[1] == WHOLE else f"{value[0]:#x}/{value[1]:#x}"


def save_whole_mark(value: tuple[int, int]) -> str:
    """`0x1/0xffffffff`: with the mask whatever it is, as the targets print it."""
    return f"{value[0]:#x}/{value[1]:#x}"


def mark_holds(wanted: tuple[int, int], found: int) -> bool:
    """Whether the bits of the mask are those wanted."""
    return found & wanted[1] == wanted[0]


def read_probability(word: str) -> int:
    """A chance between 0 and 1 as the kernel keeps it: times 2**31, rounded."""
    try:
        chance = float(word) if word.isascii() and "_" not in word else -1.0
    except ValueError:
        chance = -1.0
    if not 0 <= chance <= 1:
        raise RulesError("is not a probability",
                         "a probability is a number from 0 to 1, such as 0.3333333333")
    return int(chance * 2**31 + 0.5)


# Units of --limit, in the ten-thousandths of a second in which xt_limit counts; the longest first.
RATE_UNITS = {"day": 864_000_000, "hour": 36_000_000, "min": 600_000, "sec": 10_000}


def read_rate(word: str) -> int:
    """The time between two packets at a rate, in 1/10000 s: `5/min` is 120000 (libxt_limit.c, parse_rate)."""
    count, slash, unit = word.partition("/")
    long_names = {"day": "day", "hour": "hour", "minute": "min", "second": "sec"}
    units = [short for name, short in long_names.items() if unit and name.startswith(unit.lower())]
    counted = count.isascii() and count.isdigit() and len(count) < 10 and int(count) > 0
    if not counted or (slash and not units):
        raise RulesError("is not a rate", "a rate looks like 5/second, 5/minute, 5/hour or 5/day")
    period = RATE_UNITS[units[0] if units else "sec"] // int(count)
    if period == 0:
        raise RulesError("is too fast a rate", "the fastest is 10000/second")
    return period


def save_rate(period: int) -> str:
    """`5/min`: the largest unit that loses least (libxt_limit.c, print_rate)."""
    chosen = "day"
    for unit, length in list(RATE_UNITS.items())[1:]:
        if period > length or length // period < length % period:
            break
        chosen = unit
    return f"{RATE_UNITS[chosen] // period}/{chosen}"


def read_choice(names: dict[str, Any], what: str) -> Callable[[str], Any]:
    """A reader of one of some names, of which an unambiguous beginning is enough."""
    def read(word: str) -> Any:
        values = {names[name] for name in names if word and name.startswith(word.lower())}
        if word.lower() in names or len(values) == 1:
            return names[word.lower()] if word.lower() in names else values.pop()
        raise RulesError(f"is not {what}", f"one of {', '.join(names)}", word)
    return read


def read_log_level(word: str) -> int:
    """A log level from 0 to 7, or its name."""
    return LOG_LEVELS[word.lower()] if word.lower() in LOG_LEVELS else integer(word, 0, 7, "a log level")

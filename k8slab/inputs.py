"""What a lab is given, looked at before anything is done with it: a wrong kind of value is told, not stumbled upon.

    @checked
    class Lab:
        def advance(self, seconds): …       # seconds: a number, by WANTED below

A parameter is known by its name. Whether a host of that name is there, or an address can be read, is for those to
say who know; here it is only seen to that they get text where they read text.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from k8slab.dataplanes import LabError

Class = TypeVar("Class", bound=type)
SHOWN = 40          # characters of a value that a sentence can bear


class Wanted(NamedTuple):
    """What a parameter must be: the words for it, and the test."""

    words: str
    fits: Callable[[object], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_seconds(value: object) -> bool:
    return _is_number(value) and math.isfinite(value) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_a(value: object, name: str) -> bool:
    """Whether it is of a class of that name, which need not be imported for this."""
    return any(kind.__name__ == name for kind in type(value).__mro__)


HOST = Wanted('the name of a host, such as "worker1" or "client"', _is_text)
PORT = Wanted("a port: a whole number from 0 to 65535", lambda value: _is_whole(value) and 0 <= value < 65536)
WANTED: dict[str, Wanted] = {
    "seconds": Wanted("a number that is not below 0, such as 3", _is_seconds),
    "command": Wanted("a text, as one would type it", _is_text),
    "given": Wanted("a text, which the command reads", _is_text),
    "pod": HOST, "host": HOST, "node": HOST, "at": HOST,
    "namespace": Wanted('the name of a namespace, such as "default"', _is_text),
    "address": Wanted('the text of an IPv4 address, such as "10.96.0.1"', _is_text),
    "port": PORT,
    "sport": Wanted("None, or a port: a whole number from 0 to 65535", lambda value: value is None or PORT.fits(value)),
    "n": Wanted("a whole number of connections that is not below 0", lambda value: _is_whole(value) and value >= 0),
    "proto": Wanted('"tcp" or "udp"', _is_text),
    "question": Wanted('bytes, such as b"who answers?"', lambda value: isinstance(value, bytes)),
    "name": Wanted('a full name, such as "kubernetes.default.svc.cluster.local"', _is_text),
    "kind": Wanted('a type of DNS record, such as "A" or "SRV"', _is_text),
    "interface": Wanted('the name of an interface, such as "eth0"', _is_text),
    "text": Wanted("a text, as iptables-save prints it", _is_text),
    "seed": Wanted("a whole number, such as 1", _is_whole),
    "network": Wanted("a Network of k8slab.network, or None", lambda value: value is None or _is_a(value, "Network")),
    "rules": Wanted("None, or a text, as iptables-save prints it", lambda value: value is None or _is_text(value)),
    "first_sync": Wanted("a number of seconds that is not below 0, such as 60, or one by the name of each node",
                         lambda value: all(map(_is_seconds, value.values() if isinstance(value, dict) else [value]))),
    "cluster": Wanted("True, a Cluster, or a function that makes one",
                      lambda value: isinstance(value, bool) or callable(value) or _is_a(value, "Cluster")),
    "packet": Wanted("a Packet, of k8slab.packet or of scapy", lambda value: _is_a(value, "Packet")),
}


def checked(kind: Class) -> Class:
    """Let a class and its public methods look at what they are given; the class itself is returned.

    >>> @checked
    ... class Clock:
    ...     def advance(self, seconds: float) -> None:
    ...         print(f"{seconds:g} s later")
    >>> Clock().advance(3)
    3 s later
    >>> Clock().advance("3")
    Traceback (most recent call last):
    k8slab.dataplanes.LabError: advance: seconds is '3', a str; it must be a number that is not below 0, such as 3

    What is missing or too much is told as well. Raises LabError, in all those cases.
    """
    for name, method in list(vars(kind).items()):
        if (name == "__init__" or not name.startswith("_")) and inspect.isfunction(method):
            setattr(kind, name, _checked(method, kind.__name__ if name == "__init__" else name))
    return kind


def _checked(method: Callable, said: str) -> Callable:
    signature = inspect.signature(method)
    if not any(name in WANTED for name in signature.parameters):
        return method

    @functools.wraps(method)
    def call(*arguments: object, **named: object) -> object:
        try:
            bound = signature.bind(*arguments, **named)
        except TypeError as error:
            words = [str(one).partition(":")[0] for one in signature.parameters.values() if one.name != "self"]
            raise LabError(f"{said}({', '.join(words)}): {error}") from None
        for name, value in bound.arguments.items():
            if name in WANTED and not WANTED[name].fits(value):
                raise LabError(f"{said}: {name} is {found(value)}; it must be {WANTED[name].words}")
        return method(*arguments, **named)

    return call


def found(value: object) -> str:
    """A value that was given in place of another, and of what kind it is, unless it is a number.

    >>> found([3]), found(-1)
    ('[3], a list', '-1')
    """
    kind, shown = type(value).__name__, repr(value)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
    return shown if _is_number(value) or value is None else f"{shown}, a{'n' * (kind[0] in 'aeiou')} {kind}"

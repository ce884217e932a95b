"""Small helpers for API objects, which are plain dicts and lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from uuid import UUID

# What the API server makes generated names from: no vowels, no letters that look like digits (apimachinery, rand.go).
NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def copied(value: object) -> object:
    """A deep copy of JSON.

    >>> copied({"a": [1]})
    {'a': [1]}
    """
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value


# A moment that never was is null in the API's own answers; what else is null is not there.
NULLABLE = ("lastProbeTime",)


def without_nulls(value: object) -> object:
    """A deep copy of JSON in which what is null is missing, as Go's decoder takes it.

    >>> without_nulls({"a": None, "b": [{"c": None}, None], "lastProbeTime": None})
    {'b': [{}], 'lastProbeTime': None}
    """
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None or key in NULLABLE}
    return [without_nulls(one) for one in value if one is not None] if isinstance(value, list) else value


def dig(value: object, *path: str | int, default: object = None) -> object:
    """What lies at a path in JSON, or `default` where a step is missing or null.

    >>> dig({"spec": {"ports": [{"port": 443}]}}, "spec", "ports", 0, "port")
    443
    """
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is None:
            return default
    return value


def name_of(obj: Mapping) -> str:
    """The object's name, "" where it has none: `name_of({"metadata": {"name": "web"}})` is `web`."""
    name = dig(obj, "metadata", "name")
    return name if isinstance(name, str) else ""


def namespace_of(obj: Mapping) -> str:
    """The object's namespace, "" where it has none."""
    namespace = dig(obj, "metadata", "namespace")
    return namespace if isinstance(namespace, str) else ""


def without(mapping: Mapping, *keys: str) -> dict:
    """A shallow copy without some keys.

    >>> without({"a": 1, "b": 2}, "b")
    {'a': 1}
    """
    return {key: value for key, value in mapping.items() if key not in keys}


def pruned(mapping: Mapping) -> dict:
    """A shallow copy without null, empty strings, lists and dicts, which the API does not print.

    >>> pruned({"a": "", "b": 0, "c": []})
    {'b': 0}
    """
    return {key: value for key, value in mapping.items() if value not in (None, "", [], {})}


def new_uid(rng: Random) -> str:
    """A random uid: `new_uid(Random(1))` is a UUID of version 4."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def suffix(rng: Random, length: int = 5) -> str:
    """The random end of a generated name, such as `x7k2p`."""
    return "".join(rng.choices(NAME_LETTERS, k=length))


def hosts_of(addresses: Iterable[Mapping]) -> list[str]:
    """The `ip` of each of an Endpoints subset's addresses."""
    return [one["ip"] for one in addresses]

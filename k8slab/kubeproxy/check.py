"""Field: a place in an API object, that knows where it is when it holds something wrong."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

WANTED = object()


class Field:
    """A value in an API object, and the path that leads to it: `spec.ports[0].port`.

    `owner`: the object as a message names it. `error`: the class of what is raised. A field that is absent or null
    has the value None, and so have all fields below it.
    """

    __slots__ = ("value", "owner", "path", "error")

    def __init__(self, value: object, owner: str, path: str, error: type[Exception]) -> None:
        self.value, self.owner, self.path, self.error = value, owner, path, error

    def at(self, name: str) -> Field:
        """The field of that name below this one."""
        if self.value is not None and not isinstance(self.value, dict):
            raise self.wrong(f"an object with fields is wanted, not {self.value!r}")
        below = None if self.value is None else self.value.get(name)
        return Field(below, self.owner, f"{self.path}.{name}" if self.path else name, self.error)

    def items(self) -> list[Field]:
        """The fields of a list; none where there is no list."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.wrong(f"a list is wanted, not {self.value!r}")
        return [Field(one, self.owner, f"{self.path}[{at}]", self.error) for at, one in enumerate(self.value)]

    def wrong(self, what: str) -> Exception:
        """The error to raise."""
        return self.error(f"{self.owner}: {self.path or 'it'}: {what}")

    def text(self, default: object = WANTED) -> str:
        """A string."""
        if self.value is None and default is not WANTED:
            return default
        if not isinstance(self.value, str):
            raise self.wrong(f"a string is wanted, not {self.value!r}" if self.value is not None else "it is missing")
        return self.value

    def number(self, low: int, high: int, default: object = WANTED) -> int:
        """A whole number in a range, ends included."""
        if self.value is None and default is not WANTED:
            return default
        good = isinstance(self.value, int) and not isinstance(self.value, bool) and low <= self.value <= high
        if not good:
            raise self.wrong(f"a number from {low} to {high} is wanted, not {self.value!r}")
        return self.value

    def truth(self, default: bool) -> bool:
        """True or false."""
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            raise self.wrong(f"true or false is wanted, not {self.value!r}")
        return self.value

    def one_of(self, words: Sequence[str], default: object = WANTED) -> str:
        """One of some words."""
        word = self.text(default)
        if word not in words:
            raise self.wrong(f"{word!r} is none of {', '.join(words)}")
        return word

    def address(self, *others: str) -> str:
        """An IPv4 address in its usual form; "" for an IPv6 one, for nothing, and for the words in `others`."""
        word = self.text(default="").strip()
        if not word or word in others:
            return ""
        try:
            found = ipaddress.ip_address(
                ".".join(part.lstrip("0") or "0" for part in word.split(".")) if word.count(".") == 3 else word
            )
        except ValueError:
            raise self.wrong(f"{word!r} is no IP address") from None
        return str(found) if found.version == 4 else ""

    def network(self) -> str:
        """An IPv4 range such as 203.0.113.0/25; "" for an IPv6 one."""
        word = self.text().strip()
        try:
            found = ipaddress.ip_network(word, strict=False)
        except ValueError:
            raise self.wrong(f"{word!r} is no range of addresses such as 203.0.113.0/25") from None
        return str(found) if found.version == 4 and "/" in word else ""

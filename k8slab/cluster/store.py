"""etcd, as far as an API server asks: keys in order, one revision for every change, leases that run out, watches."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass

from k8slab.cluster.clock import Clock
from k8slab.errors import Told


class Clash(Told):
    """The key was changed since the writer read it."""


class Compacted(Told):
    """The revision asked for is older than what is kept (etcd: required revision has been compacted)."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"revision {asked} has been compacted; the oldest kept is {oldest}")
        self.asked, self.oldest = asked, oldest


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies under a key. `created`, `modified`: revisions; `expires`: second of the clock, or None."""

    key: str
    value: dict
    created: int
    modified: int
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `entry` is what was put, or None where the key was deleted; `before` what lay there."""

    revision: int
    key: str
    entry: Entry | None
    before: Entry | None
    at: float


class Store:
    """Keys and values with one history. Values are shared, never changed: give `put` a dict of its own.

    >>> store = Store(Clock())
    >>> store.put("/a", {"n": 1}).modified, store.put("/a", {"n": 2}).modified
    (1, 2)
    >>> [change.entry.value["n"] for change in store.history("/", since=0)]
    [1, 2]
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.revision = 0
        self.compacted = 0  # changes up to this revision are forgotten
        self._keys: list[str] = []
        self._entries: dict[str, Entry] = {}
        self._history: list[Change] = []
        self._watches: list[tuple[str, Callable[[Change], None]]] = []

    def get(self, key: str) -> Entry | None:
        """What lies under a key, or None."""
        return self._entries.get(key)

    def range(self, prefix: str) -> list[Entry]:
        """Every entry whose key begins so, in the order of keys."""
        at = bisect.bisect_left(self._keys, prefix)
        found = []
        while at < len(self._keys) and self._keys[at].startswith(prefix):
            found.append(self._entries[self._keys[at]])
            at += 1
        return found

    def put(self, key: str, value: dict, expected: int | None = None, ttl: float | None = None) -> Entry:
        """Write; `expected`: the revision that the writer read, 0 for none; `ttl`: seconds until the key runs out.

        >>> Store(Clock()).put("/a", {}, expected=7)
        Traceback (most recent call last):
        k8slab.cluster.store.Clash: /a: revision 7 was expected, and 0 is there

        Raises Clash where another revision is there.
        """
        before = self._check(key, expected)
        if before is None:
            bisect.insort(self._keys, key)
        expires = None if ttl is None else round(self.clock.now + ttl, 6)
        entry = Entry(key, value, before.created if before else self.revision + 1, self.revision + 1, expires)
        self._entries[key] = entry
        if expires is not None:
            self.clock.at(expires, lambda: self._expire(key, expires))
        self._note(key, entry, before)
        return entry

    def delete(self, key: str, expected: int | None = None) -> Entry | None:
        """Delete; what lay there, or None. Raises Clash where another revision is there."""
        before = self._check(key, expected)
        if before is not None:
            del self._entries[key]
            del self._keys[bisect.bisect_left(self._keys, key)]
            self._note(key, None, before)
        return before

    def history(self, prefix: str, since: int) -> list[Change]:
        """Changes after revision `since` to keys that begin so, oldest first. Raises Compacted when it is too old."""
        if since < self.compacted:
            raise Compacted(since, self.compacted)
        at = bisect.bisect_right(self._history, since, key=lambda change: change.revision)
        return [change for change in self._history[at:] if change.key.startswith(prefix)]

    def watch(self, prefix: str, call: Callable[[Change], None]) -> Callable[[], None]:
        """Call `call` with every later change to keys that begin so; what is returned ends it."""
        one = (prefix, call)
        self._watches.append(one)
        return lambda: self._watches.remove(one) if one in self._watches else None

    def compact(self, revision: int) -> None:
        """Forget changes up to a revision; what lies under the keys stays."""
        self.compacted = max(self.compacted, min(revision, self.revision))
        at = bisect.bisect_right(self._history, self.compacted, key=lambda change: change.revision)
        del self._history[:at]

    def revision_at(self, when: float) -> int:
        """The revision that the store had when the clock stood at `when`, as far as the history goes back."""
        at = bisect.bisect_right(self._history, when, key=lambda change: change.at)
        return self._history[at - 1].revision if at else self.compacted

    def copy(self, clock: Clock) -> Store:
        """A store that has the same under its keys, and no history: what is done to it stays in it."""
        new = Store(clock)
        new.revision = new.compacted = self.revision
        new._keys, new._entries = list(self._keys), dict(self._entries)
        return new

    def at(self, prefix: str, revision: int) -> list[Entry]:
        """What lay under every key that begins so at a revision, in the order of keys. Raises Compacted.

        >>> store = Store(Clock())
        >>> _ = store.put("/a", {"n": 1}), store.put("/a", {"n": 2})
        >>> [entry.value["n"] for entry in store.at("/", 1)]
        [1]
        """
        found = {entry.key: entry for entry in self.range(prefix)}
        for change in reversed(self.history(prefix, revision)):
            found.pop(change.key, None)
            if change.before:
                found[change.key] = change.before
        return [found[key] for key in sorted(found)]

    def _check(self, key: str, expected: int | None) -> Entry | None:
        before = self._entries.get(key)
        found = before.modified if before else 0
        if expected is not None and expected != found:
            raise Clash(f"{key}: revision {expected} was expected, and {found} is there")
        return before

    def _note(self, key: str, entry: Entry | None, before: Entry | None) -> None:
        self.revision += 1
        change = Change(self.revision, key, entry, before, self.clock.now)
        self._history.append(change)
        for prefix, call in list(self._watches):
            if key.startswith(prefix):
                call(change)

    def _expire(self, key: str, expires: float) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires == expires:
            self.delete(key)

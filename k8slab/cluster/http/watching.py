"""A watch over HTTP: what has changed since a revision, then what changes, as lines that come when they come.

It ends when its time is over, or its client is gone; then the client asks again from the last revision that it heard
of. Where the history does not go back so far, the stream says so (410 Expired), and the client lists anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k8slab.cluster.errors import ApiError, expired
from k8slab.cluster.kinds import Kind
from k8slab.cluster.plain import dig
from k8slab.cluster.registry import Registry, event_of, versioned
from k8slab.cluster.store import Change, Compacted

LONGEST = 1800.0          # seconds of a watch for which nobody gave a time (--min-request-timeout)
BOOKMARK = 10.0           # seconds between two bookmarks
BEHIND = 10_000           # events that may wait for a client that does not read
INITIAL_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a watch was asked to tell. `since`: a revision, or None for what there is, then what changes.

    `passes`: the selectors' test; `initial`: a bookmark says where what there was ends; `seconds`: its life.
    """

    kind: Kind
    namespace: str
    passes: Callable[[Mapping], bool]
    since: int | None = None
    bookmarks: bool = False
    initial: bool = False
    seconds: float = LONGEST


class Watch:
    """An open watch. Events wait in it until `take` takes them; `on_event` is called when there are some.

    `over`: nothing will come any more. One that is too far behind is ended: its client can ask again.
    """

    def __init__(self, registry: Registry, asked: Asked) -> None:
        self.asked, self.seconds = asked, asked.seconds
        self.on_event: Callable[[], None] = lambda: None
        self.over = False
        self._registry, self._store = registry, registry.store
        self._waiting: deque[dict] = deque()
        prefix = asked.kind.key(asked.namespace)
        if not asked.kind.prefix:
            self._end = lambda: None          # of a kind that is not stored nothing will ever be told
            self._begin_with(asked, [])
            return
        try:
            before = [] if asked.since is None else self._store.history(prefix, asked.since)
        except Compacted as error:
            self._end, self.over = lambda: None, True
            self._waiting.append({"type": "ERROR", "object": expired(asked.since, error.oldest).status()})
            return
        self._end = lambda: None
        self._begin_with(asked, before)
        self._end = self._store.watch(prefix, self._hear)

    def _begin_with(self, asked: Asked, before: list[Change]) -> None:
        if asked.since is None:
            for obj in self._registry.list(asked.kind, asked.namespace)[0]:
                if asked.passes(obj):
                    self._waiting.append({"type": "ADDED", "object": obj})
        for change in before:
            self._hear(change)
        if asked.initial:
            self.bookmark({INITIAL_END: "true"})

    def _hear(self, change: Change) -> None:
        """An object that begins or ceases to pass the selectors is ADDED or DELETED to this watch."""
        was, now = (one is not None and self.asked.passes(versioned(one.value, one.modified))
                    for one in (change.before, change.entry))
        event = event_of(change)
        if now:
            self._waiting.append({"type": "MODIFIED" if was else "ADDED", "object": event.obj})
        elif was:
            self._waiting.append({"type": "DELETED", "object": event.obj})
        if len(self._waiting) > BEHIND:
            self._waiting.clear()
            self.close()
        if now or was:
            self.on_event()

    def bookmark(self, annotations: Mapping[str, str] | None = None) -> None:
        """Say up to which revision all has been told."""
        metadata: dict = {"resourceVersion": str(self._store.revision)}
        metadata |= {"annotations": dict(annotations)} if annotations else {}
        kind = self.asked.kind
        self._waiting.append({"type": "BOOKMARK", "object": {"kind": kind.kind, "apiVersion": kind.api_version,
                                                             "metadata": metadata}})

    def take(self) -> list[dict]:
        """The events that have come since the last time, each with its `type` and its `object`."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def close(self) -> None:
        """Hear no more."""
        self.over = True
        self._end()


def since_of(text: str, revision: int) -> int | None:
    """The revision that a watch or list names: None for none, or for 0, which is any.

    >>> since_of("204", 300), since_of("0", 300)
    (204, None)

    Raises ApiError (400) for what is no revision, (504) for one that is still to come.
    """
    if text in ("", "0"):
        return None
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, "BadRequest", f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing '
                       f'"{text}": invalid syntax')
    if len(text) > 19 or int(text) > revision:
        raise ApiError(504, "Timeout", f"Too large resource version: {text[:20]}, current: {revision}")
    return int(text)


def named(name: str, passes: Callable[[Mapping], bool]) -> Callable[[Mapping], bool]:
    """A test for the object of one name, "" for all."""
    return (lambda obj: dig(obj, "metadata", "name") == name and passes(obj)) if name else passes

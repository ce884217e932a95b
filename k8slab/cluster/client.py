"""Clients of the API: kubectl, kube-proxy, kubelet, controllers. Each request goes to one server and is noted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from k8slab.cluster.clock import Clock
from k8slab.cluster.errors import ApiError, Refused, bad_request
from k8slab.cluster.kinds import Kind
from k8slab.cluster.log import Log
from k8slab.cluster.patching import patched
from k8slab.cluster.plain import name_of, namespace_of
from k8slab.cluster.registry import Event, Registry
from k8slab.cluster.schema import without_unknown

RETRY = 1.0  # seconds until a client that was refused tries again (client-go's first back-off is between 0.8 and 1.6)


class Client:
    """Requests in one program's name. `choose` returns the API server that answers; Refused where there is none."""

    def __init__(self, name: str, choose: Callable[[], Registry], clock: Clock, log: Log) -> None:
        self.name, self._choose, self.clock, self.log = name, choose, clock, log

    def _ask(self, verb: str, path: str, call: Callable[[Registry], object], good: str = "200") -> object:
        registry = self._choose()
        note = self.log.add(self.clock.now, self.name, registry.name, verb, path)
        try:
            answer = call(registry)
        except ApiError as error:
            note(f"{error.code} {error.reason}")
            raise
        note(good)
        return answer

    def get(self, kind: Kind, namespace: str, name: str) -> dict:
        """One object; raises ApiError (404), Refused."""
        return self._ask("GET", kind.path(namespace, name), lambda one: one.get(kind, namespace, name))

    def find(self, kind: Kind, namespace: str, name: str) -> dict | None:
        """One object, or None where there is none."""
        try:
            return self.get(kind, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def list(self, kind: Kind, namespace: str = "") -> tuple[list[dict], int]:
        """All objects of a kind, in one namespace or all, and the revision at which they were so."""
        return self._ask("GET", kind.path(namespace), lambda one: one.list(kind, namespace))

    def create(self, obj: dict, kind: Kind, namespace: str = "") -> dict:
        """Store a new object; what was stored."""
        return self._ask("POST", kind.path(namespace), lambda one: one.create(obj, kind, namespace), "201")

    def update(self, obj: dict, kind: Kind, namespace: str = "", status: bool = False) -> dict:
        """Replace an object, or its status."""
        path = kind.path(namespace, name_of(obj)) + ("/status" if status else "")
        return self._ask("PUT", path, lambda one: one.update(obj, kind, namespace, status))

    def patch(self, patch: object, how: str, kind: Kind, namespace: str, name: str, status: bool = False,
              strict: bool = False) -> tuple[dict, list[str]]:
        """Change an object, or its `status`, by a patch; and the fields in it that there are not.

        `how`: strategic, merge or json; `strict`: a field that there is not is refused (400).
        """
        def change(one: Registry) -> tuple[dict, list[str]]:
            new, unknown = without_unknown(patched(one.get(kind, namespace, name), patch, how), kind)
            if strict and unknown:
                raise bad_request("strict decoding error: " + ", ".join(f'unknown field "{one}"' for one in unknown))
            if name_of(new) != name or (new.get("kind"), new.get("apiVersion")) != (kind.kind, kind.api_version):
                raise bad_request(f"the name of the object ({name_of(new)}) does not match the name on the URL "
                                  f"({name})")
            return one.update(new, kind, namespace, status), unknown
        return self._ask("PATCH", kind.path(namespace, name) + ("/status" if status else ""), change)

    def delete(self, kind: Kind, namespace: str, name: str, grace: int | None = None) -> dict:
        """Delete an object; `grace`: seconds that a Pod has to end."""
        return self._ask("DELETE", kind.path(namespace, name), lambda one: one.delete(kind, namespace, name, grace))

    def remove(self, kind: Kind, namespace: str, name: str) -> dict:
        """Take the last finalizer away, and with it the object."""
        return self._ask("DELETE", kind.path(namespace, name), lambda one: one.remove(kind, namespace, name))

    def watch(self, kind: Kind, call: Callable[[Event], None], namespace: str = "", since: int | None = None) -> Watch:
        """Tell `call` of every change after revision `since`, from now on where it is None; raises ApiError (410)."""
        return self._ask("WATCH", kind.path(namespace), lambda one: Watch(self, one, kind, namespace, call, since))

    def follow(self, kind: Kind, call: Callable[[Event], None], namespace: str = "") -> Follow:
        """Keep a copy of all objects of a kind: list, then watch. `call` hears of each, first as ADDED."""
        return Follow(self, kind, namespace, call)

    def answering(self) -> Registry | None:
        """The API server that would answer, or None."""
        try:
            return self._choose()
        except Refused:
            return None


class Watch:
    """An open watch: events come in order, each once, in the moment in which they happen, or when a server is back."""

    def __init__(self, client: Client, registry: Registry, kind: Kind, namespace: str,
                 call: Callable[[Event], None], since: int | None) -> None:
        self._client, self._kind, self._namespace, self._call = client, kind, namespace, call
        self._waiting: deque[Event] = deque()
        self._open = True
        missed = [] if since is None else registry.events(kind, namespace, since)
        self._end = registry.watch(kind, namespace, self._note)
        for event in missed:
            self._note(event)

    def _note(self, event: Event) -> None:
        self._waiting.append(event)
        self._client.clock.at(self._client.clock.now, self._tell)

    def _tell(self) -> None:
        client, registry = self._client, self._client.answering()
        if registry is None:
            client.clock.after(RETRY, self._tell)
            return
        while self._open and self._waiting:
            event = self._waiting.popleft()
            path = self._kind.path(namespace_of(event.obj), name_of(event.obj))
            client.log.add(client.clock.now, registry.name, client.name, event.type, path,
                           f"resourceVersion {event.obj['metadata']['resourceVersion']}")
            self._call(event)

    def close(self) -> None:
        """Hear no more."""
        self._open = False
        self._end()


class Follow:
    """A copy of all objects of a kind that follows them: an informer. `items`: by (namespace, name).

    `synced` is false until the first list has come; while no API server answers it is asked for again each second.
    """

    def __init__(self, client: Client, kind: Kind, namespace: str, call: Callable[[Event], None]) -> None:
        self.items: dict[tuple[str, str], dict] = {}
        self.synced = False
        self._client, self._kind, self._namespace, self._call = client, kind, namespace, call
        self._watch: Watch | None = None
        self._closed = False
        self._start()

    def _start(self) -> None:
        if self._closed:
            return
        try:
            items, revision = self._client.list(self._kind, self._namespace)
            self._watch = self._client.watch(self._kind, self._hear, self._namespace, revision)
        except Refused:
            self._client.clock.after(RETRY, self._start)
            return
        # Later in this moment, and before any change: whoever follows has by then kept what was returned.
        self._client.clock.after(0, lambda: self._first(items))

    def _first(self, items: list[dict]) -> None:
        self.synced = True
        for obj in items:
            self._hear(Event("ADDED", obj))

    def _hear(self, event: Event) -> None:
        key = namespace_of(event.obj), name_of(event.obj)
        if event.type == "DELETED":
            self.items.pop(key, None)
        else:
            self.items[key] = event.obj
        self._call(event)

    def close(self) -> None:
        """Follow no longer."""
        self._closed = True
        if self._watch:
            self._watch.close()

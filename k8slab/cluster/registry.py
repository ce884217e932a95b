"""The API as one server answers it: etcd behind it, with defaulting, validation and the allocation of ClusterIPs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from k8slab.cluster import errors
from k8slab.cluster.clock import Clock
from k8slab.cluster.defaults import admit, set_defaults
from k8slab.cluster.kinds import BY_KIND, ENDPOINTS, NAMESPACE, SERVICE, Kind
from k8slab.cluster.log import Log
from k8slab.cluster.plain import copied, dig, name_of, namespace_of, new_uid, suffix, without, without_nulls
from k8slab.cluster.schema import decode
from k8slab.cluster.services import Addresses
from k8slab.cluster.store import Change, Clash, Compacted, Entry, Store
from k8slab.cluster.validate import problems_of

EVENT_TTL = 3600.0  # seconds that an Event is kept (--event-ttl)
# What the namespace controller and admission keep (kubernetes, NamespaceLifecycle).
IMMORTAL = ("default", "kube-public", "kube-system")


@dataclass(frozen=True, slots=True)
class Event:
    """What a watch tells: ADDED, MODIFIED or DELETED, and the object as it is or was."""

    type: str
    obj: dict

    def __str__(self) -> str:
        return f"{self.type} {self.obj['kind']} {name_of(self.obj)} at {self.obj['metadata']['resourceVersion']}"


class Registry:
    """One API server's view of etcd. Objects come and go as the API's own JSON; every one that it hands out is a copy.

    `name`: of the server, for the log. Raises ApiError for all that the API refuses.
    """

    def __init__(self, name: str, store: Store, log: Log, rng: Random, service_cidr: str) -> None:
        self.name, self.store, self.log, self._rng = name, store, log, rng
        self.clock: Clock = store.clock
        self.addresses = Addresses(self, service_cidr, rng)

    def get(self, kind: Kind, namespace: str, name: str) -> dict:
        """One object; raises ApiError (404) where there is none."""
        return self._out(self._entry(kind, namespace, name))

    def find(self, kind: Kind, namespace: str, name: str) -> dict | None:
        """One object from the server's cache, or None."""
        entry = self.store.get(kind.key(namespace, name))
        return self._out(entry) if entry else None

    def list(self, kind: Kind, namespace: str = "") -> tuple[list[dict], int]:
        """All objects of a kind, from the server's watch cache, and the revision at which they were so.

        There are none of a kind that this cluster does not store.
        """
        entries = self.store.range(kind.key(namespace)) if kind.prefix else []
        return [self._out(entry) for entry in entries], self.store.revision

    def dry(self) -> Registry:
        """A registry like this one, of which nothing is kept: what `dryRun=All` asks for."""
        clock = Clock(self.clock.epoch)
        clock.advance(self.clock.now)
        return Registry(self.name, self.store.copy(clock), Log(), Random(0), self.addresses.cidr)

    def create(self, obj: dict, kind: Kind, namespace: str = "") -> dict:
        """Store a new object; what was stored."""
        obj = without_nulls(obj)
        decode(obj, kind)
        obj, meta = self._new(obj, kind, namespace)
        admit(obj, self._rng)
        set_defaults(obj)
        if problems := problems_of(obj):
            raise errors.invalid(kind, meta["name"], problems)
        key = kind.key(namespace, meta["name"])
        if self.store.get(key):
            raise errors.already_exists(kind, meta["name"])
        if kind is SERVICE:
            self.addresses.give(obj)
        return self._put(key, obj, 0)

    def _new(self, obj: dict, kind: Kind, namespace: str) -> tuple[dict, dict]:
        """The object with the metadata that the server sets, as far as the namespace allows."""
        meta = obj.setdefault("metadata", {})
        if meta.pop("resourceVersion", ""):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        if kind.namespaced:
            self._check_namespace(kind, obj, namespace)
            meta["namespace"] = namespace
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + suffix(self._rng)
        meta.setdefault("name", "")
        meta.pop("deletionTimestamp", None)
        meta |= {"uid": new_uid(self._rng), "creationTimestamp": self.clock.stamp()}
        meta |= {"generation": 1} if kind.generation else {}
        if kind.status:
            obj.pop("status", None)
        return {"kind": kind.kind, "apiVersion": kind.api_version} | without(obj, "kind", "apiVersion"), meta

    def _check_namespace(self, kind: Kind, obj: dict, namespace: str) -> None:
        if namespace_of(obj) not in ("", namespace):
            raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the "
                                     "request")
        entry = self.store.get(NAMESPACE.key("", namespace))
        if entry is None:
            raise errors.not_found(NAMESPACE, namespace)
        if dig(entry.value, "metadata", "deletionTimestamp"):
            raise errors.forbidden(kind, name_of(obj), f"unable to create new content in namespace {namespace} because "
                                   "it is being terminated")

    def update(self, obj: dict, kind: Kind, namespace: str = "", status: bool = False) -> dict:
        """Replace an object, or with `status` its status alone; a resourceVersion in it must be the present one."""
        obj = without_nulls(obj)
        decode(obj, kind)
        entry = self._entry(kind, namespace, name_of(obj))
        old = entry.value
        asked = dig(obj, "metadata", "resourceVersion")
        if asked and asked != str(entry.modified):
            raise errors.conflict(kind, name_of(obj))
        if (uid := dig(obj, "metadata", "uid")) and uid != old["metadata"]["uid"]:
            raise errors.conflict(kind, name_of(obj))
        new = self._merged(copied(obj), old, kind, status)
        set_defaults(new)
        if kind is SERVICE and not status:
            self.addresses.keep(new, old)
        if problems := problems_of(new, old):
            raise errors.invalid(kind, name_of(obj), problems)
        if kind is SERVICE and not status:
            self.addresses.change(new, old)
        if new == old:
            return self._out(entry)
        if dig(new, "metadata", "deletionTimestamp") and not dig(new, "metadata", "finalizers") and kind.kind != "Pod":
            return self._remove(kind, entry)
        return self._put(entry.key, new, entry.modified)

    @staticmethod
    def _merged(new: dict, old: dict, kind: Kind, status: bool) -> dict:
        """The new object with what a writer cannot change: uid, times, and status or all but status."""
        if status:
            return copied(without(old, "status")) | {"status": new.get("status") or {}}
        meta = new.setdefault("metadata", {})
        meta.pop("resourceVersion", None)
        kept = ("uid", "creationTimestamp", "generation", "namespace", "deletionTimestamp",
                "deletionGracePeriodSeconds")
        for key in kept:
            meta.pop(key, None)
            if key in old["metadata"]:
                meta[key] = old["metadata"][key]
        new = {"kind": old["kind"], "apiVersion": old["apiVersion"]} | without(new, "kind", "apiVersion")
        if kind.status:
            new["status"] = copied(old.get("status", {}))
        if kind.generation and _counted(new) != _counted(old):
            meta["generation"] += 1
        return new

    def delete(self, kind: Kind, namespace: str, name: str, grace: int | None = None) -> dict:
        """Delete, or mark as being deleted what has finalizers or, a Pod on a node, time to end; the object."""
        entry = self._entry(kind, namespace, name)
        if kind is NAMESPACE and name in IMMORTAL:
            raise errors.forbidden(kind, name, "this namespace may not be deleted")
        meta = entry.value["metadata"]
        if kind.kind == "Pod" and dig(entry.value, "spec", "nodeName") and grace != 0:
            wait = dig(entry.value, "spec", "terminationGracePeriodSeconds", default=30) if grace is None else grace
        else:
            wait = 0
        if not wait and not meta.get("finalizers") and kind is not NAMESPACE:
            return self._remove(kind, entry)
        if meta.get("deletionTimestamp"):
            return self._out(entry)
        obj = copied(entry.value)
        obj["metadata"] |= {"deletionTimestamp": self.clock.stamp()}
        obj["metadata"] |= {"deletionGracePeriodSeconds": wait} if kind.kind == "Pod" else {}
        if kind is NAMESPACE:
            obj["status"] = {"phase": "Terminating"}
        return self._put(entry.key, obj, entry.modified)

    def remove(self, kind: Kind, namespace: str, name: str) -> dict:
        """Delete at once, whatever finalizers say: what controllers do last."""
        return self._remove(kind, self._entry(kind, namespace, name))

    def _remove(self, kind: Kind, entry: Entry) -> dict:
        self.store.delete(entry.key, entry.modified)
        self._etcd("delete", entry.key)
        if kind is SERVICE:  # service/storage/storage.go, afterDelete
            self.addresses.take_back(entry.value)
            namespace, name = namespace_of(entry.value), name_of(entry.value)
            if twin := self.store.get(ENDPOINTS.key(namespace, name)):
                self._remove(ENDPOINTS, twin)
        return self._out(entry)

    def events(self, kind: Kind, namespace: str, since: int) -> list[Event]:
        """What a watch from revision `since` would have told so far; raises ApiError (410) when that is too old.

        The revision must not lie ahead (504 Timeout: the cache waits for it, in vain).
        """
        if since > self.store.revision:
            raise errors.ApiError(504, "Timeout", f"Too large resource version: {since}, current: "
                                  f"{self.store.revision}")
        try:
            changes = self.store.history(kind.key(namespace), since)
        except Compacted as error:
            raise errors.expired(since, error.oldest) from None
        return [event_of(change) for change in changes]

    def watch(self, kind: Kind, namespace: str, call: Callable[[Event], None]) -> Callable[[], None]:
        """Call `call` with every later event; what is returned ends it."""
        return self.store.watch(kind.key(namespace), lambda change: call(event_of(change)))

    def _entry(self, kind: Kind, namespace: str, name: str) -> Entry:
        key = kind.key(namespace, name)
        entry = self.store.get(key) if kind.prefix else None
        self._etcd("range", key)
        if entry is None:
            raise errors.not_found(kind, name)
        return entry

    def _put(self, key: str, obj: dict, expected: int) -> dict:
        try:
            entry = self.store.put(key, obj, expected, EVENT_TTL if obj["kind"] == "Event" else None)
        except Clash:
            raise errors.conflict(BY_KIND[obj["kind"]], name_of(obj)) from None
        self._etcd("put", key)
        return self._out(entry)

    def _etcd(self, verb: str, key: str) -> None:
        self.log.add(self.clock.now, self.name, "etcd", verb, key)

    @staticmethod
    def _out(entry: Entry) -> dict:
        return versioned(entry.value, entry.modified)


def versioned(value: dict, revision: int) -> dict:
    """A copy of what lies in etcd, with the revision at which it was written."""
    obj = copied(value)
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def event_of(change: Change) -> Event:
    """What a watch tells of one change in etcd; a deleted object carries the revision of its deletion."""
    if change.entry is None:
        return Event("DELETED", versioned(change.before.value, change.revision))
    kind = "MODIFIED" if change.before else "ADDED"
    return Event(kind, versioned(change.entry.value, change.revision))


def _counted(obj: dict) -> tuple:
    """What metadata.generation counts: the spec, and of slices, which have none, all but metadata, and the labels."""
    if obj["kind"] == "EndpointSlice":
        return without(obj, "metadata"), dig(obj, "metadata", "labels", default={})
    return (obj.get("spec"),)

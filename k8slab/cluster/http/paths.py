"""Which object or collection a path means, and which verb of the API a request is."""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.cluster.errors import ApiError
from k8slab.cluster.kinds import KINDS, Kind

EVERY = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
NOWHERE = "the server could not find the requested resource"
# What can be done with kinds that are named here and not stored.
UNSTORED = {"Binding": ("create",), "ComponentStatus": ("get", "list")}
LOOKED_AT = ("get", "list", "watch")
OF_STATUS = ("get", "patch", "update")
# HTTP's method → the verb for one object, and for all of a kind.
VERBS = {"GET": ("get", "list"), "POST": ("", "create"), "PUT": ("update", ""),
         "PATCH": ("patch", ""), "DELETE": ("delete", "deletecollection")}


@dataclass(frozen=True, slots=True)
class Target:
    """A kind, and where: `namespace` and `name` are "" where the path has none; `sub` is "" or "status"."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    sub: str = ""


def verbs_of(kind: Kind) -> tuple[str, ...]:
    """What discovery says that can be done with a kind."""
    return EVERY if kind.prefix else UNSTORED.get(kind.kind, LOOKED_AT)


def not_there() -> ApiError:
    """404: there is no such path."""
    return ApiError(404, "NotFound", NOWHERE)


def find_target(path: str) -> Target:
    """What a path of the API means.

    >>> find_target("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes").name
    'kubernetes'
    >>> find_target("/api/v1/namespaces/default").kind.kind
    'Namespace'

    Raises ApiError (404) for a path that means nothing.
    """
    words = path.strip("/").split("/")
    group, rest = ("", words[2:]) if words[:2] == ["api", "v1"] else (
        (words[1], words[3:]) if words[0] == "apis" and len(words) > 2 and words[2] == "v1" else ("?", []))
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
        if not namespace:
            raise not_there()
    elif group and rest[:1] == ["namespaces"]:
        raise not_there()
    if not rest or len(rest) > 3 or "" in rest:
        raise not_there()
    kind = next((one for one in KINDS if (one.group, one.plural) == (group, rest[0])), None)
    name, sub = [*rest[1:], "", ""][:2]
    if kind is None or (namespace and not kind.namespaced) or (sub and not (sub == "status" and kind.status)):
        raise not_there()
    if name and kind.namespaced and not namespace:
        raise not_there()
    return Target(kind, namespace, name, sub)


def verb_of(method: str, target: Target) -> str:
    """The API's verb for a method: `get`, `list`, `create` and so on; `watch` is a `list` that asks for it.

    >>> verb_of("DELETE", find_target("/api/v1/namespaces/web"))
    'delete'

    Raises ApiError (405) for what cannot be done there.
    """
    verb = VERBS.get(method, ("", ""))[0 if target.name else 1]
    allowed = OF_STATUS if target.sub else verbs_of(target.kind)
    everywhere = target.kind.namespaced and not target.namespace and verb in ("create", "deletecollection")
    if verb not in allowed or everywhere or not target.kind.prefix and verb == "create":
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    return verb

"""The API's verbs, as HTTP asks for them; what each does to the objects stands in `registry.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from k8slab.cluster import errors
from k8slab.cluster.client import Client
from k8slab.cluster.errors import ApiError
from k8slab.cluster.http import options
from k8slab.cluster.http.lists import listed, watched
from k8slab.cluster.http.messages import Accepted, Request, Response, Stream, written
from k8slab.cluster.http.paths import Target
from k8slab.cluster.http.tables import shaped
from k8slab.cluster.kinds import NAMESPACE
from k8slab.cluster.plain import dig, name_of
from k8slab.cluster.registry import Registry

PATCHES = {"application/json-patch+json": "json", "application/merge-patch+json": "merge",
           "application/strategic-merge-patch+json": "strategic"}
APPLY = "application/apply-patch+yaml"
NO_APPLY = ("server-side apply is not supported here: use kubectl apply without --server-side; the body of the request "
            f"was in an unknown format - accepted media types include: {', '.join(PATCHES)}")
# Kinds that a PUT may create, too (kubernetes, pkg/registry, AllowCreateOnUpdate).
CREATED_BY_PUT = ("Endpoints", "Event", "Lease", "Service")
# Kinds whose deletion answers with the object that was deleted; of the others a Status tells (ReturnDeletedObject).
TOLD_WHOLE = ("Pod", "Service", "ServiceAccount")


@dataclass(slots=True)
class Call:
    """One request at work: `client` is who asks, as the log will tell; `warnings` is what the answer will warn of."""

    request: Request
    target: Target
    form: Accepted
    client: Client
    registry: Registry
    warnings: list[str] = field(default_factory=list)
    dry: bool = False                                    # whether nothing is kept
    found: list[dict] = field(default_factory=list)      # what the last list told

    def warn(self, text: str) -> None:
        """Have the answer warn of something, once."""
        if text and text not in self.warnings:
            self.warnings.append(text)

    def asking(self, dry: bool) -> Client:
        """The client that asks; where nothing is to be kept, one of a registry that is thrown away."""
        self.dry = dry
        if not dry:
            return self.client
        thrown_away = self.registry.dry()
        return Client(self.client.name, lambda: thrown_away, thrown_away.clock, thrown_away.log)

    def whole(self, obj: dict, status: int = 200) -> Response:
        """An object as the answer, in the form that was asked for.

        What was not kept has no revision of its own: it bears that of the object that is there, if one is.
        """
        if self.dry:
            there = self.registry.find(self.target.kind, self.target.namespace, name_of(obj))
            obj["metadata"].pop("resourceVersion", None)
            obj["metadata"] |= {"resourceVersion": there["metadata"]["resourceVersion"]} if there else {}
        shape = shaped(obj, self.target.kind, self.client.clock, self.form.kind,
                       self.request.query.get("includeObject", ""), self.form.version)
        return written(shape, self.form, status)


def get(call: Call) -> Response | Stream:
    """One object; with `?watch`, a watch of it."""
    target = call.target
    call.warn(target.kind.warning)
    if options.on(call.request, "watch"):
        return watched(call)
    return call.whole(call.client.get(target.kind, target.namespace, target.name))


def list_(call: Call) -> Response | Stream:
    """All objects, or a watch of them."""
    call.warn(call.target.kind.warning)
    return watched(call) if options.on(call.request, "watch") else listed(call)


def create(call: Call) -> Response:
    """Store a new object."""
    target = call.target
    obj = options.checked(call.request, options.sent_object(call.request, target.kind), target.kind, call.warn)
    client = call.asking(options.dry_run(call.request))
    call.warn(target.kind.warning)
    return call.whole(client.create(obj, target.kind, target.namespace), 201)


def update(call: Call) -> Response:
    """Replace an object, or its status."""
    target = call.target
    obj = options.checked(call.request, options.sent_object(call.request, target.kind), target.kind, call.warn)
    options.same_name(obj, target.kind, target.name)
    _same_namespace(obj, target)
    client = call.asking(options.dry_run(call.request))
    call.warn(target.kind.warning)
    there = client.answering().find(target.kind, target.namespace, target.name)
    if there is None and not target.sub and target.kind.kind in CREATED_BY_PUT:
        return call.whole(client.create(obj, target.kind, target.namespace), 201)
    return call.whole(client.update(obj, target.kind, target.namespace, bool(target.sub)))


def _same_namespace(obj: dict, target: Target) -> None:
    said = dig(obj, "metadata", "namespace", default="")
    if said not in ("", target.namespace):
        raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the "
                                 "request")


def patch(call: Call) -> Response:
    """Change an object, or its status, by a patch."""
    target, media = call.target, options.media_type(call.request)
    if media == APPLY:
        raise ApiError(415, "UnsupportedMediaType", NO_APPLY)
    asked = options.sent(call.request, tuple(PATCHES))
    client = call.asking(options.dry_run(call.request))
    how = PATCHES.get(media)
    if how is None:
        raise ApiError(415, "UnsupportedMediaType", options.UNKNOWN_FORMAT.format(", ".join(PATCHES)))
    call.warn(target.kind.warning)
    strict = call.request.query.get("fieldValidation") == "Strict"
    made, unknown = client.patch(asked, how, target.kind, target.namespace, target.name, bool(target.sub), strict)
    if call.request.query.get("fieldValidation", "Warn") == "Warn":
        for one in unknown:
            call.warn(f'unknown field "{one}"')
    return call.whole(made)


def delete(call: Call) -> Response:
    """Delete an object, or mark it as being deleted."""
    target, said = call.target, options.delete_options(call.request)
    client = call.asking(options.dry_run(call.request, said))
    call.warn(target.kind.warning)
    answer = _deleted(call, client, target.name, said)
    return written(answer, call.form) if answer["kind"] == "Status" else call.whole(answer)


def _deleted(call: Call, client: Client, name: str, said: dict) -> dict:
    """Delete one object; what is told of it."""
    kind, namespace = call.target.kind, call.target.namespace
    if before := client.answering().find(kind, namespace, name):
        options.must_match(said, before, errors.conflict(kind, name))
    obj = client.delete(kind, namespace, name, _grace(said))
    gone = client.answering().find(kind, namespace, name) is None
    if not gone or kind.kind in TOLD_WHOLE or kind is NAMESPACE:
        return obj
    details = {"name": name} | ({"group": kind.group} if kind.group else {})
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": details | {"kind": kind.plural, "uid": obj["metadata"]["uid"]}}


def _grace(said: dict) -> int | None:
    """Seconds that a Pod has to end; below 0 counts as 1 (rest, BeforeDelete)."""
    grace = said.get("gracePeriodSeconds")
    return grace if grace is None or grace >= 0 else 1


def delete_all(call: Call) -> Response:
    """Delete all objects that pass the selectors; the list of them."""
    said = options.delete_options(call.request)
    client = call.asking(options.dry_run(call.request, said))
    answer = listed(call)
    for obj in call.found:
        try:
            _deleted(call, client, name_of(obj), said)
        except ApiError as error:
            if error.code != 404:
                raise
    return answer


VERBS: dict[str, Callable[[Call], Response | Stream]] = {
    "get": get, "list": list_, "create": create, "update": update, "patch": patch, "delete": delete,
    "deletecollection": delete_all}

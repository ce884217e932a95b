"""Lists and watches: selectors, revisions, and lists that are told in pieces."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from k8slab.cluster.errors import ApiError, bad_request, expired
from k8slab.cluster.http import options
from k8slab.cluster.http.messages import Response, Stream, line, written
from k8slab.cluster.http.tables import shaped, shaped_list
from k8slab.cluster.http.watching import LONGEST, Asked, Watch, named, since_of
from k8slab.cluster.plain import name_of, namespace_of
from k8slab.cluster.registry import versioned
from k8slab.cluster.selectors import field_selector, label_selector
from k8slab.cluster.store import Compacted

if TYPE_CHECKING:
    from k8slab.cluster.http.verbs import Call

MATCHES = ("", "Exact", "NotOlderThan")
BAD_CONTINUE = "continue key is not valid: it was not made by this server"


def selected(call: Call) -> Callable[[Mapping], bool]:
    """The test of the request's selectors; raises ApiError (400) for those that cannot be read."""
    query, kind = call.request.query, call.target.kind
    labels = label_selector(query.get("labelSelector", ""))
    fields = field_selector(query.get("fieldSelector", ""), kind.kind, kind.api_version)
    return lambda obj: labels(obj) and fields(obj)


def listed(call: Call) -> Response:
    """The objects that pass the selectors, `limit` of them at a time; `continue` goes on where one list ended.

    A list that goes on is of the revision at which it began, whatever has changed since.
    """
    target, request, passes = call.target, call.request, selected(call)
    limit, go_on = options.number(request, "limit", 0), request.query.get("continue", "")
    start, revision = _place(go_on) if go_on else ("", _exact(call))
    if revision is None:
        objects, revision = call.client.list(target.kind, target.namespace)
    else:
        objects = _as_it_was(call, revision)
    found = [one for one in objects if _key(one) > start and passes(one)] if start else list(filter(passes, objects))
    shown = found[:limit] if limit else found
    metadata: dict = {"resourceVersion": str(revision)}
    if len(shown) < len(found):
        metadata["continue"] = _continue(_key(shown[-1]), revision)
        if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(found) - len(shown)
    call.found = shown
    include = request.query.get("includeObject", "")
    return written(shaped_list(shown, target.kind, call.client.clock, metadata, call.form.kind, include,
                               call.form.version), call.form)


def _exact(call: Call) -> int | None:
    """The revision at which a list must have been so, None for the present one."""
    request = call.request
    match, text = request.query.get("resourceVersionMatch", ""), request.query.get("resourceVersion", "")
    if match not in MATCHES or match and not text:
        raise ApiError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
                       f'resourceVersionMatch "{match}" is forbidden unless resourceVersion is provided, and is '
                       "Exact or NotOlderThan")
    since = since_of(text, call.registry.store.revision)
    return since if match == "Exact" else None


def _as_it_was(call: Call, revision: int) -> list[dict]:
    target = call.target
    if not target.kind.prefix:
        return []
    try:
        entries = call.registry.store.at(target.kind.key(target.namespace), revision)
    except Compacted as error:
        raise expired(revision, error.oldest) from None
    return [versioned(entry.value, entry.modified) for entry in entries]


def _key(obj: Mapping) -> str:
    return f"{namespace_of(obj)}/{name_of(obj)}"


def _continue(key: str, revision: int) -> str:
    said = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": key}, separators=(",", ":"))
    return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def _place(text: str) -> tuple[str, int]:
    """Where a list goes on, and of which revision; raises ApiError (400) for a text that is not from here."""
    try:
        said = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        start, revision = said["start"], said["rv"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise bad_request(BAD_CONTINUE) from None
    if not isinstance(start, str) or isinstance(revision, bool) or not isinstance(revision, int) or revision < 0:
        raise bad_request(BAD_CONTINUE)
    return start, revision


def watched(call: Call) -> Stream:
    """A watch of what passes the selectors."""
    target, request = call.target, call.request
    passes = named(target.name, selected(call))
    match = request.query.get("resourceVersionMatch", "")
    initial = "sendInitialEvents" in request.query and options.on(request, "sendInitialEvents")
    if bool(match) != ("sendInitialEvents" in request.query) or match not in ("", "NotOlderThan"):
        raise ApiError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: for a '
                       f'watch it is NotOlderThan, together with sendInitialEvents, not "{match}"')
    since = since_of(request.query.get("resourceVersion", ""), call.registry.store.revision)
    seconds = options.number(request, "timeoutSeconds") or LONGEST
    asked = Asked(target.kind, target.namespace, passes, None if initial else since,
                  options.on(request, "allowWatchBookmarks"), initial, float(min(seconds, LONGEST)))
    form, clock, include = call.form, call.client.clock, request.query.get("includeObject", "")
    watch = Watch(call.registry, asked)
    call.client.log.add(clock.now, call.client.name, call.registry.name, "WATCH", target.kind.path(target.namespace))

    def told(event: Mapping) -> bytes:
        obj = event["object"]
        if event["type"] not in ("ERROR", "BOOKMARK"):
            obj = shaped(obj, target.kind, clock, form.kind, include, form.version)
        return line({"type": event["type"], "object": obj})

    return Stream(watch, told)

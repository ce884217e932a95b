"""OpenAPI, versions 3 and 2: which fields there are, for `kubectl explain` and for clients that check before they ask.

It is made from `schema.py`, which is what the server itself decodes by. A struct that is open there lets other fields
through, too; version 2 has no word for that, so that an older client is told no field of it at all.
"""

from __future__ import annotations

import functools
import hashlib
import json

from k8slab.cluster.errors import ApiError
from k8slab.cluster.http.discovery import GROUPS
from k8slab.cluster.http.explained import FIELDS, STRUCTS
from k8slab.cluster.http.messages import JSON, Request, Response, line
from k8slab.cluster.http.paths import EVERY, verbs_of
from k8slab.cluster.http.swagger import document as protobuf
from k8slab.cluster.kinds import KINDS, Kind
from k8slab.cluster.node import VERSION
from k8slab.cluster.patching import EVERYWHERE, MERGE_KEYS
from k8slab.cluster.schema import ANY, B, I, L, M, S, SCHEMAS, TIME

OPEN = "x-kubernetes-preserve-unknown-fields"
IS = "x-kubernetes-group-version-kind"
PLAIN = {S: {"type": "string"}, I: {"type": "integer", "format": "int32"}, L: {"type": "integer", "format": "int64"},
         B: {"type": "boolean"}, M: {"type": "object", "additionalProperties": {"type": "string"}},
         TIME: {"type": "string", "format": "date-time"}, "quantities": {"type": "object"},
         "intstr": {"type": "string", "format": "int-or-string"}}
METHODS = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
COLLECTION = {"list": "get", "create": "post", "deletecollection": "delete"}
# What a client may say of a change; that fieldValidation is known, kubectl finds out here.
PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
PROTOBUF_2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
PROTOBUF_NAME = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
INFO = {"title": "Kubernetes", "version": VERSION}


def _name(struct: str, group: str) -> str:
    """`io.k8s.api.core.v1.ServiceSpec`: structs that every kind has are the API machinery's."""
    if struct == "ObjectMeta":
        return "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    return f"io.k8s.api.{group.partition('.')[0] or 'core'}.v1.{struct}"


class _Schemas:
    """The schemas of a group's kinds, by name. `refers`: what `$ref` begins with; `three`: OpenAPI 3, else 2."""

    def __init__(self, group: str, refers: str, three: bool) -> None:
        self.group, self._refers, self._three = group, refers, three
        self._kind = ""
        self.found: dict[str, dict] = {}
        for kind in KINDS:
            if kind.group == group and kind.kind in SCHEMAS:
                self._kind = kind.kind
                own = self._struct(SCHEMAS[kind.kind])
                self.found[own][IS] = [_gvk(kind)]

    def _struct(self, schema: tuple) -> str:
        struct, fields, is_open = schema[0], schema[1], len(schema) > 2
        name = _name(struct, self.group)
        if name in self.found:
            return name
        made = self.found[name] = {"description": STRUCTS.get(struct, ""), "type": "object"}
        if is_open and not self._three:
            return name
        made["properties"] = {field: self._told(FIELDS.get((struct, field), FIELDS.get(("", field), "")), one)
                              | self._merged_by(field, one) for field, one in fields.items()}
        made |= {OPEN: True} if is_open else {}
        return name

    def _merged_by(self, field: str, schema: object) -> dict:
        """By what a strategic merge tells the items of a list apart: older clients make their patches by it."""
        by = (EVERYWHERE | MERGE_KEYS.get(self._kind, {})).get(field) if isinstance(schema, list) else None
        return {"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": by} if by else {}

    def _told(self, description: str, schema: object) -> dict:
        """A field: its description, and its type."""
        found = {"description": description} if description else {}
        if isinstance(schema, tuple):
            reference = {"$ref": self._refers + self._struct(schema)}
            return found | ({"allOf": [reference], "default": {}} if self._three else reference)
        if isinstance(schema, list):
            return found | {"type": "array", "items": self._told("", schema[0])}
        if schema == ANY:
            return found | ({"type": "object", OPEN: True} if self._three else {})
        return found | PLAIN[schema]


def _gvk(kind: Kind) -> dict:
    return {"group": kind.group, "version": "v1", "kind": kind.kind}


def _paths(group: str, three: bool) -> dict:
    """The paths of a group's kinds, with what can be done there."""
    found: dict[str, dict] = {}
    for kind in KINDS:
        if kind.group != group or verbs_of(kind) != EVERY:
            continue
        several = kind.path("{namespace}" if kind.namespaced else "")
        for path, methods in ((several, COLLECTION), (f"{several}/{{name}}", METHODS)):
            found[path] = {method: _operation(kind, verb, three) for verb, method in methods.items()}
    return found


def _operation(kind: Kind, verb: str, three: bool) -> dict:
    changes = verb in ("create", "update", "patch")
    plain = {"schema": {"type": "string"}} if three else {"type": "string"}
    return {"operationId": f"{verb}{kind.kind}", IS: _gvk(kind), "x-kubernetes-action": verb,
            "parameters": [{"name": one, "in": "query", **plain} for one in PARAMETERS if changes],
            "responses": {"200": {"description": "OK"}}}


@functools.cache
def three(group: str) -> dict:
    """The OpenAPI 3 document of one group.

    >>> sorted(three("coordination.k8s.io")["components"]["schemas"])[:1]
    ['io.k8s.api.coordination.v1.Lease']
    """
    schemas = _Schemas(group, "#/components/schemas/", True).found
    return {"openapi": "3.0.0", "info": INFO, "paths": _paths(group, True), "components": {"schemas": schemas}}


@functools.cache
def two() -> dict:
    """The OpenAPI 2 document, of all groups."""
    groups = ("", *GROUPS)
    return {"swagger": "2.0", "info": INFO,
            "paths": {path: one for group in groups for path, one in _paths(group, False).items()},
            "definitions": {name: one for group in groups
                            for name, one in _Schemas(group, "#/definitions/", False).found.items()}}


def _root(group: str) -> str:
    return f"apis/{group}/v1" if group else "api/v1"


def _index() -> dict:
    found = {}
    for group in ("", *GROUPS):
        digest = hashlib.sha256(json.dumps(three(group), sort_keys=True).encode()).hexdigest().upper()
        found[_root(group)] = {"serverRelativeURL": f"/openapi/v3/{_root(group)}?hash={digest[:32]}"}
    return {"paths": found}


def described(request: Request) -> Response | None:
    """The answer at a path of OpenAPI, None where the path is none of it; raises ApiError (404, 405)."""
    words = request.path.strip("/").split("/")
    if words[0] != "openapi":
        return None
    if request.method not in ("GET", "HEAD"):
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    if words[1:] == ["v2"]:
        if any(one in request.headers.get("accept", "") for one in (PROTOBUF_2, PROTOBUF_NAME)):
            return Response(200, protobuf(two()), PROTOBUF_NAME)
        return Response(200, line(two()), JSON)
    if words[1:] == ["v3"]:
        return Response(200, line(_index()), JSON)
    group = next((one for one in ("", *GROUPS) if ["v3", *_root(one).split("/")] == words[1:]), None)
    if group is None:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    return Response(200, line(three(group)), JSON)

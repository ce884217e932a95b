"""HTTP's requests and answers as values, and in which format an answer is wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from k8slab.cluster.errors import ApiError
from k8slab.cluster.kubectl.output import as_yaml

if TYPE_CHECKING:
    from k8slab.cluster.http.watching import Watch

JSON, YAML, TEXT = "application/json", "application/yaml", "text/plain"
WILD = ("*/*", "application/*")
NOT_ACCEPTED = "only the following media types are accepted: application/json, application/yaml"


@dataclass(frozen=True, slots=True)
class Request:
    """A request: `path` is decoded and begins with `/`; names of `headers` are in lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def to(cls, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Request:
        """The request for a target as it stands in HTTP's first line.

        >>> request = Request.to("GET", "/api/v1/pods?limit=5&watch", {"Accept": "*/*"})
        >>> request.path, sorted(request.query.items()), dict(request.headers)
        ('/api/v1/pods', [('limit', '5'), ('watch', '')], {'accept': '*/*'})
        """
        path, _, query = target.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        return cls(method, unquote(path), dict(reversed(pairs)), {name.lower(): one for name, one in headers.items()},
                   body)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is whole. `headers`: beside Content-Type and Content-Length."""

    status: int
    body: bytes = b""
    type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: events of a watch, each a line. `end` is the watch's: seconds until it closes itself."""

    watch: Watch
    line: Callable[[Mapping], bytes]
    type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The format that the client likes best of those that there are. `kind`, `version`: what it wants it `as`."""

    type: str = JSON
    kind: str = ""
    version: str = ""
    group: str = ""


# As what an object may be had: Accept's `as`, and the versions that are known of each.
SHAPES = {"Table": ("v1", "v1beta1"), "PartialObjectMetadata": ("v1", "v1beta1"),
          "PartialObjectMetadataList": ("v1", "v1beta1"), "APIGroupDiscoveryList": ("v2", "v2beta1")}


def accepted(header: str, shapes: tuple[str, ...] = ()) -> Accepted:
    """What an Accept header asks for; `shapes`: what the answer could be given `as`.

    >>> accepted("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", ("Table",)).kind
    'Table'
    >>> accepted("application/vnd.kubernetes.protobuf,application/yaml").type
    'application/yaml'

    Raises ApiError (406) where nothing that is asked for can be had.
    """
    for clause in header.split(",") if header.strip() else WILD:
        name, *words = (one.strip() for one in clause.split(";"))
        given = dict(word.partition("=")[::2] for word in words)
        if name not in (JSON, YAML, *WILD):
            continue
        kind, version = given.get("as", ""), given.get("v", "")
        if kind and (kind not in shapes or version not in SHAPES.get(kind, ())):
            continue
        return Accepted(YAML if name == YAML else JSON, kind, version, given.get("g", ""))
    raise ApiError(406, "NotAcceptable", NOT_ACCEPTED)


def written(value: object, form: Accepted = Accepted(), status: int = 200,
            headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """JSON, or YAML, as an answer.

    >>> written({"kind": "Status"}).body
    b'{"kind":"Status"}\\n'
    """
    if form.type == YAML:
        return Response(status, as_yaml(value).encode("utf-8", "replace"), YAML, headers)
    return Response(status, line(value), JSON, headers)


def line(value: object) -> bytes:
    """JSON on one line."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def warning(text: str) -> tuple[str, str]:
    """The header by which a server warns, and kubectl prints what it says (RFC 9111, 5.5).

    >>> warning('unknown field "x"')
    ('Warning', '299 - "unknown field \\\\"x\\\\""')
    """
    plain = "".join(one if one.isprintable() else " " for one in text).encode("ascii", "replace").decode()
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    return "Warning", f'299 - "{quoted}"'


def status_of(error: ApiError) -> dict:
    """The Status of an error, without details where there are none."""
    found = error.status()
    return found if found["details"] else {key: one for key, one in found.items() if key != "details"}

"""What the query and the body of a request say: options, and the object that is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

import yaml

from k8slab.cluster.errors import ApiError, bad_request
from k8slab.cluster.http import protobuf
from k8slab.cluster.http.messages import JSON, YAML, Request
from k8slab.cluster.kinds import Kind
from k8slab.cluster.kubectl.targets import Loader
from k8slab.cluster.plain import dig, name_of
from k8slab.cluster.schema import decode, without_unknown

DEEPEST = 100                   # how deep an object may be nested
LARGEST = 1_000_000             # values in one body: aliases of YAML multiply
MOST = 2**63
SURROGATE = re.compile("[\ud800-\udfff]")
UNKNOWN_FORMAT = "the body of the request was in an unknown format - accepted media types include: {}"
VALIDATIONS = ("Ignore", "Warn", "Strict")
PROPAGATIONS = ("Orphan", "Background", "Foreground")


def number(request: Request, name: str, default: int | None = None) -> int | None:
    """A number of the query that is not below 0; raises ApiError (400) for anything else."""
    text = request.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:20]) < MOST):
        raise bad_request(f'{name}: Invalid value: "{text}": a number from 0 on is wanted')
    return int(text)


def on(request: Request, name: str) -> bool:
    """Whether a switch of the query is on; `?watch` alone is, too."""
    return name in request.query and request.query[name].lower() not in ("0", "false")


def dry_run(request: Request, body: Mapping | None = None) -> bool:
    """Whether nothing is to be kept; raises ApiError (422) for another word than All."""
    said = request.query.get("dryRun") or (body or {}).get("dryRun") or ""
    words = [said] if isinstance(said, str) else list(said) if isinstance(said, list) else [str(said)]
    if wrong := [one for one in words if one not in ("", "All")]:
        raise ApiError(422, "Invalid", f'dryRun: Unsupported value: "{wrong[0]}": supported values: "All"')
    return "All" in words


def media_type(request: Request) -> str:
    """The body's Content-Type, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def sent(request: Request, known: tuple[str, ...] = (JSON, YAML)) -> object:
    """What the body says, JSON or YAML. Raises ApiError (415, 400) for another format, or what cannot be read."""
    kind = media_type(request)
    if kind == protobuf.MEDIA and JSON in known:
        return read(json.dumps(protobuf.objects_in(request.body)).encode())
    if kind and kind not in known and kind != "*/*":
        raise ApiError(415, "UnsupportedMediaType", UNKNOWN_FORMAT.format(", ".join(known)))
    return read(request.body, kind.endswith("yaml"))


def read(body: bytes, as_yaml: bool = False) -> object:
    """JSON as Go reads it: no NaN, nothing without an end, and text that can be written again.

    >>> read(b'{"a": "\\\\ud800"}')
    {'a': '\ufffd'}
    """
    text = body.decode("utf-8", "replace")
    try:
        value = yaml.load(text, Loader) if as_yaml else json.loads(text, parse_constant=_no_number)
        return _clean(value, DEEPEST, iter(range(LARGEST)))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        raise bad_request(f"the request body cannot be read: {said or 'it is nested too deep'}") from None


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is not a number in JSON")


def _clean(value: object, left: int, budget: Iterator[int]) -> object:
    """A copy in which every text can be written as UTF-8."""
    if not left or next(budget, None) is None:
        raise ValueError(f"nested deeper than {DEEPEST}, or more than {LARGEST} values")
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_clean(str(key), left, budget): _clean(one, left - 1, budget) for key, one in value.items()}
    if isinstance(value, list):
        return [_clean(one, left - 1, budget) for one in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError("a number is out of range")
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def sent_object(request: Request, kind: Kind) -> dict:
    """The object in the body, of the kind that the path names. Raises ApiError (400) for anything else."""
    value = sent(request)
    if not isinstance(value, dict):
        raise bad_request(f"{kind.kind} in version \"{kind.api_version.rpartition('/')[2]}\" cannot be handled as a "
                          f"{kind.kind}: json: cannot unmarshal the body into Go value of type v1.{kind.kind}")
    said = value.get("kind") or kind.kind, value.get("apiVersion") or kind.api_version
    if said != (kind.kind, kind.api_version):
        raise bad_request(f"the API version in the data ({said[1]}, kind {said[0]}) does not match the expected API "
                          f"version ({kind.api_version}, kind {kind.kind})")
    return value | {"kind": kind.kind, "apiVersion": kind.api_version}


def checked(request: Request, obj: dict, kind: Kind, warn: Callable[[str], None]) -> dict:
    """The object as far as it has fields that there are. `fieldValidation` says what becomes of the others.

    Raises ApiError (400) for an unknown field where it says Strict, and for a wrong type.
    """
    how = request.query.get("fieldValidation") or "Warn"
    if how not in VALIDATIONS:
        raise ApiError(422, "Invalid", f'fieldValidation: Unsupported value: "{how}": supported values: '
                       '"Ignore", "Strict", "Warn"')
    if how != "Strict":
        obj, unknown = without_unknown(obj, kind)
        for one in unknown if how == "Warn" else ():
            warn(f'unknown field "{one}"')
    decode(obj, kind)
    return obj


def same_name(obj: dict, kind: Kind, name: str) -> None:
    """Raise ApiError (400) unless an object has the name that the path gives."""
    if not isinstance(metadata := obj.setdefault("metadata", {}), dict):
        return                                        # the schema will say what is wrong with it
    metadata.setdefault("name", name)
    if name_of(obj) != name:
        raise bad_request(f"the name of the object ({name_of(obj)}) does not match the name on the URL ({name})")


def delete_options(request: Request) -> dict:
    """The DeleteOptions of a request: body and query. Raises ApiError (400, 422) for what they cannot say."""
    said = sent(request) if request.body.strip() else {}
    if not isinstance(said, dict) or not isinstance(said.get("preconditions") or {}, dict):
        raise bad_request("json: cannot unmarshal the body into Go value of type v1.DeleteOptions")
    found = {key: one for key, one in said.items() if one is not None}
    for name in ("gracePeriodSeconds", "propagationPolicy"):
        if name in request.query:
            found[name] = number(request, name) if name == "gracePeriodSeconds" else request.query[name]
    grace = found.get("gracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int) or abs(grace) >= MOST):
        raise bad_request("json: cannot unmarshal gracePeriodSeconds into Go value of type int64")
    if found.get("propagationPolicy") not in (None, "", *PROPAGATIONS):
        raise ApiError(422, "Invalid", f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported '
                       f'value: "{found["propagationPolicy"]}": supported values: "Orphan", "Background", "Foreground"')
    return found


def must_match(options: Mapping, obj: Mapping, conflict: ApiError) -> None:
    """Raise `conflict` where the object is another one, or was changed, than the preconditions say."""
    for name in ("uid", "resourceVersion"):
        wanted = dig(options, "preconditions", name)
        if wanted and wanted != dig(obj, "metadata", name):
            raise ApiError(409, "Conflict", f"{conflict.message.partition(':')[0]}: Precondition failed: {name} in "
                           f"precondition: {wanted}, {name} in object meta: {dig(obj, 'metadata', name)}",
                           conflict.kind, conflict.name)

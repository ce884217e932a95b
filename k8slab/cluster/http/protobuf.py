"""Objects as newer clients of Go send them: protobuf, of the kinds that `kubectl create` makes by itself.

A body begins with four bytes, `k8s` and a zero. Then comes a message that says of what kind the object is, and has the
object as bytes (apimachinery, runtime.Unknown). The numbers of fields are those of Kubernetes' generated.proto; what
is sent in another kind than these is refused, and such a client can send JSON.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8slab.cluster.errors import ApiError, bad_request

MEDIA = "application/vnd.kubernetes.protobuf"
START = b"k8s\0"
TEXT, NUMBER, FLAG, TIME, TEXTS, EITHER = "text", "number", "flag", "time", "texts", "either"
VARINT, LONG, BYTES, SHORT = 0, 1, 2, 5          # the forms that a value has on the wire
MAP, EACH = "map", "each"                        # (MAP, ...) of text to text; (EACH, fields): a list of messages
# A message is number: (name, what it is); a dict is a message again.
META = {1: ("name", TEXT), 2: ("generateName", TEXT), 3: ("namespace", TEXT), 5: ("uid", TEXT),
        6: ("resourceVersion", TEXT), 8: ("creationTimestamp", TIME), 11: ("labels", MAP), 12: ("annotations", MAP),
        14: ("finalizers", TEXTS)}
PORT = {1: ("name", TEXT), 2: ("protocol", TEXT), 3: ("port", NUMBER), 4: ("targetPort", EITHER),
        5: ("nodePort", NUMBER), 6: ("appProtocol", TEXT)}
AFFINITY = {1: ("clientIP", {1: ("timeoutSeconds", NUMBER)})}
SERVICE = {1: ("ports", (EACH, PORT)), 2: ("selector", MAP), 3: ("clusterIP", TEXT), 4: ("type", TEXT),
           5: ("externalIPs", TEXTS), 7: ("sessionAffinity", TEXT), 8: ("loadBalancerIP", TEXT),
           9: ("loadBalancerSourceRanges", TEXTS), 10: ("externalName", TEXT), 11: ("externalTrafficPolicy", TEXT),
           12: ("healthCheckNodePort", NUMBER), 13: ("publishNotReadyAddresses", FLAG),
           14: ("sessionAffinityConfig", AFFINITY), 17: ("ipFamilyPolicy", TEXT), 18: ("clusterIPs", TEXTS),
           19: ("ipFamilies", TEXTS), 20: ("allocateLoadBalancerNodePorts", FLAG), 21: ("loadBalancerClass", TEXT),
           22: ("internalTrafficPolicy", TEXT), 23: ("trafficDistribution", TEXT)}
KINDS = {
    "Service": {1: ("metadata", META), 2: ("spec", SERVICE), 3: ("status", {})},
    "Namespace": {1: ("metadata", META), 2: ("spec", {1: ("finalizers", TEXTS)}), 3: ("status", {})},
    "ConfigMap": {1: ("metadata", META), 2: ("data", MAP), 4: ("immutable", FLAG)},
    "ServiceAccount": {1: ("metadata", META), 4: ("automountServiceAccountToken", FLAG)},
    "DeleteOptions": {1: ("gracePeriodSeconds", NUMBER),
                      2: ("preconditions", {1: ("uid", TEXT), 2: ("resourceVersion", TEXT)}),
                      3: ("orphanDependents", FLAG), 4: ("propagationPolicy", TEXT), 5: ("dryRun", TEXTS)},
}
UNKNOWN = {1: ("typeMeta", {1: ("apiVersion", TEXT), 2: ("kind", TEXT)}), 2: ("raw", BYTES), 3: ("encoding", TEXT),
           4: ("type", TEXT)}
UNSUPPORTED = ("a {} cannot be read as protobuf here: the body of the request was in an unknown format - accepted "
               "media types include: application/json, application/yaml")


def objects_in(body: bytes) -> dict:
    """The object that a body holds.

    >>> objects_in(b"k8s\\0\\n\\x0f\\n\\x02v1\\x12\\tNamespace\\x12\\x07\\n\\x05\\n\\x03web")
    {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': 'web'}}

    Raises ApiError: 400 for what is no such body, 415 for a kind that is not among these.
    """
    if not body.startswith(START):
        raise _unreadable()
    outer = _message(body[len(START):], UNKNOWN)
    said = outer.get("typeMeta", {})
    kind = said.get("kind", "")
    if kind not in KINDS:
        raise ApiError(415, "UnsupportedMediaType", UNSUPPORTED.format(kind or "body without a kind"))
    return said | _message(outer.get("raw", b""), KINDS[kind])


def _unreadable() -> ApiError:
    return bad_request("the request body cannot be read: it is no protobuf of Kubernetes")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at
    raise _unreadable()


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        form = key & 7
        if form == VARINT:
            value, at = _varint(data, at)
        elif form in (BYTES, LONG, SHORT):
            size, at = _varint(data, at) if form == BYTES else ({LONG: 8, SHORT: 4}[form], at)
            value, at = data[at:at + size], at + size
            if at > len(data):
                raise _unreadable()
        else:
            raise _unreadable()
        yield key >> 3, value


def _message(data: bytes, known: dict) -> dict:
    """A message by the names of its fields. Go sends what is empty, too: that is as if it were not there."""
    found: dict = {}
    for number, value in _fields(data):
        name, what = known.get(number, ("", ""))
        if not name:
            continue
        if isinstance(value, bytes) == (what in (NUMBER, FLAG)):
            raise _unreadable()
        if what == MAP:
            pair = _message(value, {1: ("key", TEXT), 2: ("value", TEXT)})
            found.setdefault(name, {})[pair.get("key", "")] = pair.get("value", "")
        elif what == TEXTS or isinstance(what, tuple):
            found.setdefault(name, []).append(_text(value) if what == TEXTS else _message(value, what[1]))
        elif (one := _value(value, what)) not in ("", None, 0) or what == FLAG and one:
            found[name] = one
    return found


def _value(value: int | bytes, what: object) -> object:
    if isinstance(what, dict):
        return _message(value, what)
    if what == EITHER:
        said = _message(value, {1: ("isText", NUMBER), 2: ("number", NUMBER), 3: ("text", TEXT)})
        return said.get("text", "") if said.get("isText") else said.get("number", 0)
    if what == NUMBER:
        return value - (1 << 64) if value >= 1 << 63 else value
    return {TEXT: lambda: _text(value), FLAG: lambda: bool(value), TIME: lambda: None, BYTES: lambda: value}[what]()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")

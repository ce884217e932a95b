"""OpenAPI 2 as protobuf: kubectl reads it in no other form.

A message is written field by field, each its number and its form, then its value (protobuf's wire format). The numbers
are those of gnostic's OpenAPIv2.proto; only what the lab's document has is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TEXTS = {"$ref": 1, "format": 2, "description": 4}     # fields of Schema
METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}      # of PathItem


def _varint(value: int) -> bytes:
    """A number, seven bits a byte, the lowest first.

    >>> _varint(300).hex()
    'ac02'
    """
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _field(number: int, value: bytes | str) -> bytes:
    """A field that has a length: text, or another message."""
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _named(number: int, pairs: Iterable[tuple[str, bytes]]) -> bytes:
    """A map: repeated messages of name (1) and value (2)."""
    return b"".join(_field(number, _field(1, name) + _field(2, value)) for name, value in pairs)


def _extensions(number: int, value: Mapping) -> bytes:
    """Fields that begin with x-, each as YAML, of which JSON is a part."""
    from k8slab.cluster.kubectl.output import as_yaml

    return _named(number, ((name, _field(2, as_yaml(one))) for name, one in value.items() if name.startswith("x-")))


def _schema(value: Mapping) -> bytes:
    found = b"".join(_field(number, value[name]) for name, number in TEXTS.items() if value.get(name))
    if isinstance(more := value.get("additionalProperties"), Mapping):
        found += _field(21, _field(1, _schema(more)))
    if "type" in value:
        found += _field(22, _field(1, value["type"]))
    if "items" in value:
        found += _field(23, _field(1, _schema(value["items"])))
    if "properties" in value:
        found += _field(25, _named(1, ((name, _schema(one)) for name, one in value["properties"].items())))
    return found + _extensions(31, value)


def _parameter(value: Mapping) -> bytes:
    """A parameter of the query."""
    query = _field(2, value["in"]) + _field(4, value["name"]) + _field(6, value["type"])
    return _field(1, _field(2, _field(3, query)))


def _operation(value: Mapping) -> bytes:
    answers = _named(1, ((code, _field(1, _field(1, one["description"]))) for code, one in value["responses"].items()))
    return (_field(5, value["operationId"]) + b"".join(_field(8, _parameter(one)) for one in value["parameters"])
            + _field(9, answers) + _extensions(13, value))


def _path(value: Mapping) -> bytes:
    return b"".join(_field(METHODS[method], _operation(one)) for method, one in value.items())


def document(value: Mapping) -> bytes:
    """An OpenAPI 2 document.

    >>> document({"swagger": "2.0", "info": {"title": "a", "version": "b"}, "paths": {}, "definitions": {}}).hex()
    '0a03322e3012060a016112016242004a00'
    """
    info = _field(1, value["info"]["title"]) + _field(2, value["info"]["version"])
    paths = _named(2, ((path, _path(one)) for path, one in value["paths"].items()))
    definitions = _named(1, ((name, _schema(one)) for name, one in value["definitions"].items()))
    return _field(1, value["swagger"]) + _field(2, info) + _field(8, paths) + _field(9, definitions)

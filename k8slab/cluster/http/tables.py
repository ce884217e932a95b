"""Objects as a Table: the server, not kubectl, decides which columns a kind has (apiserver, tableconvertor)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from k8slab.cluster.clock import Clock
from k8slab.cluster.errors import bad_request
from k8slab.cluster.kinds import Kind
from k8slab.cluster.kubectl.columns import COLUMNS, OTHER
from k8slab.cluster.plain import dig

META = "meta.k8s.io"
INCLUDED = ("Metadata", "Object", "None")     # of an object, beside its cells
INTEGERS = ("DATA", "SECRETS", "RESTARTS")


def check(include: str) -> None:
    """Raise ApiError (400) for a word that says of no object how much of it is wanted; before anything is changed."""
    if include and include not in INCLUDED:
        raise bad_request(f'includeObject: Unsupported value: "{include}": supported values: {", ".join(INCLUDED)}')


def column(heading: str, wide: bool) -> dict:
    """The definition of a column; kubectl shows those of priority 0, and with `-o wide` the others, too.

    >>> column("CLUSTER-IP", False)["name"], column("PORT(S)", True)["priority"], column("NAME", False)["format"]
    ('Cluster-Ip', 1, 'name')
    """
    return {"name": heading.title().replace("(S)", "(s)"), "type": "string",
            "format": "name" if heading == "NAME" else "", "description": "", "priority": int(wide)}


def row(obj: Mapping, kind: Kind, clock: Clock, include: str = "Metadata", version: str = "v1") -> dict:
    """One object's row: its cells, and as much of the object as was asked for."""
    found = {"cells": COLUMNS.get(kind.kind, OTHER).cells(obj, clock)}
    if include == "Object":
        found["object"] = dict(obj)
    elif include == "Metadata":
        found["object"] = partial(obj, version)
    return found


def partial(obj: Mapping, version: str = "v1") -> dict:
    """An object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"{META}/{version}", "metadata": obj["metadata"]}


def table(objects: Sequence[Mapping], kind: Kind, clock: Clock, metadata: Mapping, include: str = "",
          version: str = "v1") -> dict:
    """Objects as a Table. `include`: Metadata, Object or None."""
    include = include or "Metadata"
    columns = COLUMNS.get(kind.kind, OTHER)
    shown = len(columns.headings) - columns.wide
    return {"kind": "Table", "apiVersion": f"{META}/{version}", "metadata": dict(metadata),
            "columnDefinitions": [column(one, at >= shown) for at, one in enumerate(columns.headings)],
            "rows": [row(one, kind, clock, include, version) for one in objects]}


def shaped(obj: dict, kind: Kind, clock: Clock, shape: str, include: str = "", version: str = "v1") -> dict:
    """One object as a Table or its metadata alone, or as it is."""
    if shape == "Table":
        metadata = {"resourceVersion": dig(obj, "metadata", "resourceVersion", default="")}
        return table([obj], kind, clock, metadata, include, version)
    return partial(obj, version) if shape == "PartialObjectMetadata" else obj


def shaped_list(objects: Sequence[dict], kind: Kind, clock: Clock, metadata: Mapping, shape: str,
                include: str = "", version: str = "v1") -> dict:
    """Objects of one kind as a list, a Table, or a list of their metadata."""
    if shape == "Table":
        return table(objects, kind, clock, metadata, include, version)
    if shape == "PartialObjectMetadataList":
        return {"kind": shape, "apiVersion": f"{META}/{version}", "metadata": dict(metadata),
                "items": [partial(one, version) for one in objects]}
    # The items of a list do not say of what kind they are: the list does.
    items = [{key: value for key, value in one.items() if key not in ("kind", "apiVersion")} for one in objects]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": dict(metadata), "items": items}

"""Objects as kubectl prints them with `-o`: yaml, json, name, jsonpath and custom-columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import yaml

from k8slab.cluster.kinds import BY_KIND
from k8slab.cluster.kubectl import jsonpath
from k8slab.cluster.kubectl.tabs import GET, aligned
from k8slab.cluster.plain import dig, name_of
from k8slab.errors import Told

FORMATS = ("custom-columns", "custom-columns-file", "go-template", "go-template-file", "json", "jsonpath",
           "jsonpath-as-json", "jsonpath-file", "name", "template", "templatefile", "wide", "yaml")


class BadOutput(Told):
    """There is no such output format, or its template cannot be read."""


class _Dumper(yaml.SafeDumper):
    """YAML as sigs.k8s.io/yaml writes it: text that could be read as something else stands in double quotes."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    tag = "tag:yaml.org,2002:str"
    if "\n" in text:
        return dumper.represent_scalar(tag, text, style="|")
    bare = dumper.resolve(yaml.ScalarNode, text, (True, False)) == tag and text not in ("y", "n", "Y", "N")
    return dumper.represent_scalar(tag, text, style=None if bare and text else '"')


_Dumper.add_representer(str, _string)


def as_yaml(value: object) -> str:
    """YAML with sorted keys, as `-o yaml` prints it.

    >>> print(as_yaml({"b": "204", "a": ["x"]}), end="")
    a:
    - x
    b: "204"
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=True, default_flow_style=False, width=float("inf"),
                     allow_unicode=True)


def as_json(value: object) -> str:
    """JSON with sorted keys and four spaces, as `-o json` prints it; Go escapes <, > and &."""
    text = json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False) + "\n"
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def named(obj: Mapping) -> str:
    """`service/kubernetes`, `endpointslice.discovery.k8s.io/kubernetes`."""
    return f"{BY_KIND[obj['kind']].qualified.lower()}/{name_of(obj)}"


def _whole(printer: Callable[[object], str]) -> Callable[[Sequence[Mapping], bool], str]:
    def text(objects: Sequence[Mapping], single: bool) -> str:
        return printer(objects[0] if single else as_list(objects))
    return text


def as_list(objects: Sequence[Mapping]) -> dict:
    """Several objects as one List."""
    return {"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {"resourceVersion": ""}}


def printer(output: str, headings: bool = True) -> Callable[[Sequence[Mapping], bool], str]:
    """What prints objects in a format: called with them and whether exactly one was asked for by its name.

    >>> printer("name")([{"kind": "Service", "metadata": {"name": "web"}}], True)
    'service/web\\n'

    Raises BadOutput in kubectl's words for a format or template that it would refuse.
    """
    word, equals, template = output.partition("=")
    if word in ("yaml", "json") and not equals:
        return _whole(as_yaml if word == "yaml" else as_json)
    if word == "name" and not equals:
        return lambda objects, single: "".join(f"{named(one)}\n" for one in objects)
    if word in ("jsonpath", "custom-columns") and not template:
        raise BadOutput("error: template format specified but no template given" if word == "jsonpath" else
                        "error: custom-columns format specified but no custom columns given")
    if word == "jsonpath":
        return lambda objects, single: _by_path(template, objects[0] if single else as_list(objects))
    if word == "custom-columns":
        return lambda objects, single: _columns(_specs(template), objects, headings)
    raise BadOutput(f'error: unable to match a printer suitable for the output format "{output}", allowed formats '
                    f"are: {','.join(FORMATS)}")


def _by_path(template: str, value: object) -> str:
    try:
        return jsonpath.rendered(template, value)
    except jsonpath.PathError as error:
        said = str(error)
        raise BadOutput(f"error: {said}" if said.startswith("error parsing") else
                        f'error: error executing jsonpath "{template}": Error executing template: {said}') from None


def _specs(template: str) -> list[tuple[str, str]]:
    """`NAME:.metadata.name,IP:.spec.clusterIP` as (heading, path)."""
    specs = []
    for one in template.split(","):
        heading, colon, path = one.partition(":")
        if not colon:
            raise BadOutput(f"error: unexpected custom-columns spec: {one}, expected <header>:<json-path-expr>")
        path = path.strip("{}")
        specs.append((heading, path if path[:1] in ".[$" else f".{path}"))
    return specs


def _columns(specs: Sequence[tuple[str, str]], objects: Sequence[Mapping], headings: bool) -> str:
    rows = [[heading for heading, _ in specs]] if headings else []
    try:
        rows += [[",".join(map(jsonpath.shown, jsonpath.found(path, one))) or "<none>" for _, path in specs]
                 for one in objects]
    except jsonpath.PathError as error:
        raise BadOutput(f"error: {error}") from None
    return aligned(rows, **GET)


def sort_key(path: str) -> Callable[[Mapping], tuple]:
    """By what `--sort-by` sorts: numbers as numbers, text as text, what is missing first."""
    path = path.strip("{}")
    path = path if path.startswith((".", "[")) else f".{path}"

    def key(obj: Mapping) -> tuple:
        values = jsonpath.found(path, obj)
        value = values[0] if values else None
        return (0, 0, "") if value is None else (1, value, "") if isinstance(value, int) else (2, 0, str(value))
    return key


def labels_at(obj: Mapping, keys: Sequence[str]) -> list[str]:
    """The values of some labels, empty where there is none: what `-L` adds."""
    return [dig(obj, "metadata", "labels", key, default="") for key in keys]

"""Which objects a command line or a file means."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from k8slab.cluster.kinds import POD, SERVICE, Kind, UnknownKind, find_kind
from k8slab.cluster.kubectl.flags import Line, Usage
from k8slab.cluster.plain import dig, namespace_of, without_nulls

TIMESTAMP = "tag:yaml.org,2002:timestamp"


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as the API takes it: a moment is text. The C parser is ten times as fast, where PyYAML has it."""

    yaml_implicit_resolvers = {letter: [one for one in known if one[0] != TIMESTAMP] for letter, known in
                               yaml.SafeLoader.yaml_implicit_resolvers.items()}


ALL = (POD, SERVICE)  # what `all` means, as far as this cluster knows
NO_KIND = ('You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of supported '
           "resources.\n\nerror: Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed "
           "description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and examples")
NO_RESOURCE = "error: You must provide one or more resources by argument or filename."
NOTHING = {"get": NO_KIND, "describe": 'error: You must specify the type of resource to describe. Use "kubectl '
                                       'api-resources" for a complete list of supported resources.'}
SLASHES = ("there is no need to specify a resource type as a separate argument when passing arguments in resource/name "
           "form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/"
           "<resource_name>'")


@dataclass(frozen=True, slots=True)
class Target:
    """One kind, and one name, or all of it when the name is ""."""

    kind: Kind
    name: str = ""


def targets(line: Line) -> list[Target]:
    """What the words of a command mean: `svc`, `svc,ep`, `svc kubernetes`, `svc/kubernetes pod/web`.

    >>> targets(Line("get", ["svc,ep", "web"]))[1].kind.kind
    'Endpoints'

    Raises Usage in kubectl's words.
    """
    words = line.words
    if not words:
        raise Usage(NOTHING.get(line.command, NO_RESOURCE))
    if any("/" in word for word in words):
        found = [_slashed(word) for word in words]
    else:
        kinds = [kind for word in words[0].split(",") for kind in _kinds(word)]
        found = [Target(kind, name) for kind in kinds for name in words[1:] or [""]]
    if any(one.name for one in found):
        if line.value("selector"):
            raise Usage("error: selectors and the all flag cannot be used when passing resource/name arguments"
                        if "/" in words[0] else "error: name cannot be provided when a selector is specified")
        if line.on("all-namespaces"):
            raise Usage("error: a resource cannot be retrieved by name across all namespaces")
    return found


def _kinds(word: str) -> tuple[Kind, ...]:
    if word == "all":
        return ALL
    try:
        return (find_kind(word),)
    except UnknownKind as error:
        raise Usage(f"error: {error}") from None


def _slashed(word: str) -> Target:
    kind, slash, name = word.partition("/")
    if not slash:
        raise Usage(f"error: {SLASHES}")
    if not kind or not name or "/" in name:
        raise Usage("error: arguments in resource/name form may not have more than one slash" if "/" in name else
                    "error: arguments in resource/name form must have a single resource and name")
    return Target(_kinds(kind)[0], name)


def namespace_for(line: Line, kind: Kind) -> str:
    """The namespace that a command means for a kind, "" for all, or for a kind without."""
    return "" if not kind.namespaced or line.on("all-namespaces") else line.value("namespace", "default")


def documents(text: str) -> Iterator[dict]:
    """The objects in YAML or JSON text, those of a List one by one; raises Usage where it cannot be read."""
    try:
        found = [one for one in yaml.load_all(text, Loader) if one is not None]
    except yaml.YAMLError as error:
        raise Usage(f"error converting YAML to JSON: yaml: {_place(error)}{getattr(error, 'problem', error)}") from None
    for one in found:
        if not isinstance(one, Mapping):
            raise Usage("json: cannot unmarshal into Go value of type map[string]interface {}")
        items = one.get("items") if one.get("kind") == "List" else [one]
        for item in items if isinstance(items, list) else []:
            if not isinstance(item, Mapping) or not isinstance(dig(item, "metadata", default={}), Mapping):
                raise Usage("json: cannot unmarshal into Go value of type v1.ObjectMeta")
            yield without_nulls(item)


def _place(error: yaml.YAMLError) -> str:
    """`line 3: `, counted as go-yaml counts: from 0, and by one more where the scanner stopped (yaml.go, fail)."""
    marks = [getattr(error, name, None) for name in ("context_mark", "problem_mark")]
    line = next((mark.line for mark in marks if mark and mark.line), 0)
    line += bool(line) and isinstance(error, yaml.scanner.ScannerError)
    return f"line {line}: " if line else ""


def files(line: Line, given: Mapping[str, str]) -> list[tuple[str, dict]]:
    """The objects of every `-f`, each with what kubectl calls its source: STDIN for `-`, else the file's name.

    `given`: text by name; `-` is standard input. Raises Usage for a file that is not among it.
    """
    found = []
    for name in line.lists.get("filename", []):
        if name not in given:
            raise Usage(f'error: the path "{name}" does not exist')
        source = "STDIN" if name == "-" else name
        try:
            found += [(source, one) for one in documents(given[name])]
        except Usage as error:
            raise Usage(f"error: error parsing {source}: {error}") from None
    if line.lists.get("filename") and not found:
        raise Usage("error: no objects passed to " + line.command)
    return found


def namespace_in(line: Line, kind: Kind, obj: Mapping) -> str:
    """Where an object from a file belongs; raises Usage where `-n` says otherwise."""
    own, asked = namespace_of(obj), line.value("namespace")
    if not kind.namespaced:
        return ""
    if own and asked and own != asked:
        raise Usage(f'error: the namespace from the provided object "{own}" does not match the namespace "{asked}". '
                    f"You must pass '--namespace={own}' to perform this operation.")
    return own or asked or "default"


def kind_in(obj: Mapping, source: str) -> Kind:
    """The kind of an object from a file; raises Usage where there is none or the API does not know it."""
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if not kind or not version:
        raise Usage(f'error: unable to decode "{source}": Object \'{"apiVersion" if kind else "Kind"}\' is missing in '
                    f"'{json.dumps(obj)}'")
    try:
        found = find_kind(str(kind))
    except UnknownKind:
        found = None
    if found is None or found.api_version != version or not found.prefix:
        raise Usage(f'error: resource mapping not found for name: "{(obj.get("metadata") or {}).get("name", "")}" '
                    f'namespace: "{namespace_of(obj)}" from "{source}": no matches for kind "{kind}" in version '
                    f'"{version}"\nensure CRDs are installed first')
    return found

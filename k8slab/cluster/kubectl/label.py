"""`kubectl label`: labels that are set, `key=value`, and taken away, `key-` (kubectl, pkg/cmd/label)."""

from __future__ import annotations

from collections.abc import Mapping

from k8slab.cluster.client import Client
from k8slab.cluster.errors import ApiError
from k8slab.cluster.kinds import Kind
from k8slab.cluster.kubectl.answer import Printed
from k8slab.cluster.kubectl.change import say
from k8slab.cluster.kubectl.flags import Line, Usage
from k8slab.cluster.kubectl.get import selected, server_error
from k8slab.cluster.kubectl.targets import namespace_for, targets
from k8slab.cluster.plain import name_of, namespace_of
from k8slab.cluster.words import name_problems

NO_RESOURCE = "error: one or more resources must be specified as <resource> <name> or <resource>/<name>"
NO_LABEL = "error: at least one label update is required"
NO_NAME = "error: resource(s) were provided, but no name was specified"
TAKEN = "'{}' already has a value ({}), and --overwrite is false"
# What became of an object's labels: whether some were set, whether some were taken away.
DONE = {(False, False): "not labeled", (True, False): "labeled", (False, True): "unlabeled",
        (True, True): "label(s) changed"}          # up to 1.32: labeled, or unlabeled where the object became shorter


def label(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> None:
    """Print what `kubectl label` prints."""
    words, sets, removes = _read(line.words)
    if not words:
        raise Usage(NO_RESOURCE)
    if not sets and not removes:
        raise Usage(NO_LABEL)
    for kind, namespace, obj in _meant(client, line, words, printed):
        old = obj["metadata"].get("labels") or {}
        for key in removes:
            if key not in old:
                printed.out(f'label "{key}" not found.\n')
        taken = [TAKEN.format(key, old[key]) for key, value in sets.items() if old.get(key, value) != value]
        if taken and not line.on("overwrite"):
            printed.fail("\n".join(taken) if len(taken) > 1 else f"error: {taken[0]}")
            continue
        new = {key: value for key, value in (old | sets).items() if key not in removes}
        done = any(old.get(key) != value for key, value in new.items()), bool(old.keys() - new.keys())
        made = obj | {"metadata": obj["metadata"] | {"labels": new}}
        if line.value("dry-run") != "client":
            asked = {"metadata": {"labels": sets | dict.fromkeys(removes)}}
            made, _ = client.patch(asked, "merge", kind, namespace, name_of(obj))
        say(line, printed, made, DONE[done])


def _read(words: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """The words that name objects, the labels to set, and those to take away; labels begin with the first of them."""
    at = next((at for at, word in enumerate(words) if "=" in word[1:] or word.endswith("-")), len(words))
    sets: dict[str, str] = {}
    removes = []
    for word in words[at:]:
        key, equals, value = word.partition("=")
        if equals and "=" in value:
            raise Usage(f"error: invalid label spec: {word}")
        if equals:
            if problems := name_problems("", value, "value"):
                said = ";".join(one.said.removeprefix(f'Invalid value: "{value}": ') for one in problems)
                raise Usage(f'error: invalid label value: "{word}": {said}')
            sets[key] = value
        elif word.endswith("-"):
            removes.append(word[:-1])
        else:
            raise Usage("error: all resources must be specified before label changes: " + word)
    if any(key in sets for key in removes):
        raise Usage("error: can not both modify and remove a label in the same command")
    return words[:at], sets, removes


def _meant(client: Client, line: Line, words: list[str], printed: Printed) -> list[tuple[Kind, str, dict]]:
    """The objects, each with its kind and namespace; one that is not there is told when the others are done."""
    found = []
    for one in targets(Line(line.command, words, line.flags, line.lists)):
        namespace = namespace_for(line, one.kind)
        if one.name:
            try:
                found.append((one.kind, namespace, client.get(one.kind, namespace, one.name)))
            except ApiError as error:
                printed.fail(server_error(error))
        elif line.on("all") or line.value("selector"):
            found += [(one.kind, namespace_of(obj), obj) for obj in selected(client, line, one.kind, namespace)]
        else:
            raise Usage(NO_NAME)
    return found

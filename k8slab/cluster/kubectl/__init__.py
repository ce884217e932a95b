"""kubectl, without the binary: the course's commands against a Cluster, printed as the real one prints them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from k8slab.cluster.client import Client
from k8slab.cluster.errors import ApiError, Refused
from k8slab.cluster.kubectl.about import api_resources, events
from k8slab.cluster.kubectl.answer import Answer, Printed
from k8slab.cluster.kubectl.change import apply, create, delete, patch
from k8slab.cluster.kubectl.describe import describe
from k8slab.cluster.kubectl.flags import FLAGS, Line, Usage, read
from k8slab.cluster.kubectl.get import Watching, get, server_error
from k8slab.cluster.kubectl.label import label
from k8slab.cluster.kubectl.output import BadOutput

Command = Callable[[Client, Line, Mapping[str, str], Printed], None]
COMMANDS: dict[str, Command] = {
    "get": get, "describe": describe, "create": create, "apply": apply, "patch": patch, "delete": delete,
    "label": label, "api-resources": api_resources, "events": events}
# What the real one knows, too, and what is not here.
OTHERS = ("annotate api-versions attach auth autoscale certificate cluster-info completion config cordon cp debug diff "
          "drain edit exec explain expose kustomize logs options plugin port-forward proxy replace rollout run "
          "scale set taint top uncordon version wait").split()


def kubectl(client: Client, words: Sequence[str], given: Mapping[str, str] | None = None,
            watch: Callable[[Watching], None] | None = None) -> Answer:
    """Run one command. `words`: what comes after `kubectl`; `given`: the text of files that `-f` names, `-` is stdin.

    `watch`: what lets time pass while `get -w` watches, and closes it. Whatever goes wrong is in the answer, in
    kubectl's words, with status 1.
    """
    printed = Printed()
    try:
        line = _line(words)
        if watch:
            watch(Watching(client, line, printed))
        else:
            COMMANDS[line.command](client, line, given or {}, printed)
    except ApiError as error:
        printed.fail(server_error(error))
    except (Usage, BadOutput, Refused) as error:
        printed.fail(str(error))
    return printed.answer()


def watching(client: Client, words: Sequence[str]) -> Watching:
    """Begin `kubectl get … -w`; raises Usage, BadOutput, ApiError or Refused where the command cannot begin."""
    return Watching(client, _line(words), Printed())


def _line(words: Sequence[str]) -> Line:
    """The command line as read; flags may come before the command, as in `kubectl -n kube-system get pods`."""
    at = next((at for at, word in enumerate(words) if word in FLAGS), None)
    if at is None or words[0] not in FLAGS and not words[0].startswith("-"):
        raise Usage(_unknown(words[0] if words else ""))
    return read(words[at], [*words[:at], *words[at + 1:]])


def _unknown(word: str) -> str:
    """What is said of a word that is no command: the real one's suggestions, or that it is a command elsewhere."""
    if not word or word in OTHERS:
        more = f"; {word} is the real one's alone" if word else ""
        none = "" if word else "no command was given; "
        return f"error: {none}this kubectl knows {', '.join(COMMANDS)}{more}"
    alike = [one for one in sorted([*COMMANDS, *OTHERS]) if one.startswith(word) or _distance(word, one) <= 2]
    more = "\n\nDid you mean this?\n" + "".join(f"\t{one}\n" for one in alike) if alike else ""
    return f'error: unknown command "{word}" for "kubectl"{more}'.removesuffix("\n")


def _distance(one: str, other: str) -> int:
    """How many letters must be changed, added or taken away (Levenshtein)."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, row[0] = row[0], at
        for place, against in enumerate(other, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != against))
    return row[-1]

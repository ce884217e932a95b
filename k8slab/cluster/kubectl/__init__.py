"""kubectl, without the binary: the course's commands against a Cluster, printed as the real one prints them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from k8slab.cluster.client import Client
from k8slab.cluster.errors import ApiError, Refused
from k8slab.cluster.kubectl.answer import Answer, Printed
from k8slab.cluster.kubectl.flags import FLAGS, Line, Usage, read
from k8slab.cluster.kubectl.get import Watching, get, server_error
from k8slab.cluster.kubectl.output import BadOutput

Command = Callable[[Client, Line, Mapping[str, str], Printed], None]
COMMANDS: dict[str, Command] = {"get": get}


def kubectl(client: Client, words: Sequence[str], given: Mapping[str, str] | None = None) -> Answer:
    """Run one command. `words`: what comes after `kubectl`; `given`: the text of files that `-f` names, `-` is stdin.

    Whatever goes wrong is in the answer, in kubectl's words, with status 1.
    """
    printed = Printed()
    try:
        line = _line(words)
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
        word = words[0] if words else ""
        raise Usage(f'error: unknown command "{word}" for "kubectl"')
    return read(words[at], [*words[:at], *words[at + 1:]])

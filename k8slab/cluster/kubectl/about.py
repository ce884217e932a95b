"""`kubectl api-resources` and `kubectl events`."""

from __future__ import annotations

from collections.abc import Mapping

from k8slab.cluster.client import Client
from k8slab.cluster.kinds import EVENT, KINDS
from k8slab.cluster.kubectl.answer import Printed
from k8slab.cluster.kubectl.columns import COLUMNS
from k8slab.cluster.kubectl.flags import Line, Usage
from k8slab.cluster.kubectl.tabs import GET, aligned
from k8slab.cluster.kubectl.targets import namespace_for
from k8slab.cluster.plain import dig, namespace_of


def api_resources(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> None:
    """Print what `kubectl api-resources` prints."""
    client.answering()
    kinds = sorted(KINDS, key=lambda one: (one.group, one.plural))
    if "api-group" in line.flags:
        kinds = [one for one in kinds if one.group == line.value("api-group")]
    if "namespaced" in line.flags:
        kinds = [one for one in kinds if one.namespaced == line.on("namespaced")]
    if line.value("output") == "name":
        printed.out("".join(f"{one.resource}\n" for one in kinds))
        return
    rows = [] if line.on("no-headers") else [["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]]
    rows += [[one.plural, ",".join(one.short), one.api_version, str(one.namespaced).lower(), one.kind] for one in kinds]
    printed.out(aligned(rows, **GET))


def events(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> None:
    """Print what `kubectl events` prints: oldest first, of one object with `--for pod/web`."""
    found = client.list(EVENT, namespace_for(line, EVENT))[0]
    if about := line.value("for"):
        kind, slash, name = about.partition("/")
        if not slash:
            raise Usage("error: --for must be in resource/name form")
        found = [one for one in found if dig(one, "involvedObject", "kind").lower() == kind.lower()
                 and dig(one, "involvedObject", "name") == name]
    if not found:
        everywhere = line.on("all-namespaces")
        printed.err("No events found" + ("." if everywhere else f" in {line.value('namespace', 'default')} namespace."))
        return
    columns = COLUMNS["Event"]
    rows = [list(columns.headings)] if not line.on("no-headers") else []
    for one in sorted(found, key=lambda event: event.get("lastTimestamp", "")):
        cells = columns.cells(one, client.clock)
        cells[3] = f"{dig(one, 'involvedObject', 'kind')}/{dig(one, 'involvedObject', 'name')}"
        rows.append(cells)
    if line.on("all-namespaces"):
        rows = [["NAMESPACE", *rows[0]], *([namespace_of(one), *row] for one, row in zip(found, rows[1:], strict=True))]
    printed.out(aligned(rows, **GET))

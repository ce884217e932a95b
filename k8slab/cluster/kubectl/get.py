"""`kubectl get`, in tables and in other formats, once or watching."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from k8slab.cluster.client import Client
from k8slab.cluster.errors import ApiError
from k8slab.cluster.kinds import Kind
from k8slab.cluster.kubectl.answer import Printed
from k8slab.cluster.kubectl.columns import COLUMNS, OTHER, labels_text
from k8slab.cluster.kubectl.flags import Line
from k8slab.cluster.kubectl.output import labels_at, printer, sort_key
from k8slab.cluster.kubectl.tabs import GET, aligned
from k8slab.cluster.kubectl.targets import Target, namespace_for, targets
from k8slab.cluster.plain import copied, name_of, namespace_of
from k8slab.cluster.registry import Event
from k8slab.cluster.selectors import field_selector, label_selector


def get(client: Client, line: Line, given: Mapping[str, str], printed: Printed) -> None:
    """Print what `kubectl get` prints."""
    wanted = targets(line)
    output = line.value("output")
    write = printer(output, not line.on("no-headers")) if output not in ("", "wide") else None
    groups = [(kind, fetched(client, line, kind, [one for one in wanted if one.kind is kind], printed))
              for kind in dict.fromkeys(one.kind for one in wanted)]
    objects = [obj for _, found in groups for obj in found]
    if line.value("sort-by"):
        groups = [(kind, sorted(found, key=sort_key(line.value("sort-by")))) for kind, found in groups]
    if write:
        single = len(wanted) == 1 and bool(wanted[0].name)
        if objects or not single:
            printed.out(write([obj for _, found in groups for obj in found], single))
        return
    if not objects:
        if not printed.status and not line.on("ignore-not-found"):
            printed.err(nothing_in(line, wanted))
        return
    several = len(groups) > 1 or line.on("show-kind")
    tables = [Table(kind, line, client, several) for kind, found in groups if found]
    printed.out("\n".join(table.text(found) for table, found in
                          zip(tables, [found for _, found in groups if found], strict=True)))


def nothing_in(line: Line, wanted: Sequence[Target]) -> str:
    """What is said when there is nothing to show."""
    everywhere = line.on("all-namespaces") or not any(one.kind.namespaced for one in wanted)
    return "No resources found" + ("" if everywhere else f" in {line.value('namespace', 'default')} namespace.")


def fetched(client: Client, line: Line, kind: Kind, wanted: Sequence[Target], printed: Printed) -> list[dict]:
    """The objects of one kind that a command means; what the API refuses is printed."""
    namespace = namespace_for(line, kind)
    found = []
    for one in wanted:
        try:
            if one.name:
                found.append(client.get(kind, namespace, one.name))
            else:
                found += selected(client, line, kind, namespace)
            printed.warn(kind.warning)
        except ApiError as error:
            if not (line.on("ignore-not-found") and error.code == 404):
                printed.fail(server_error(error))
    return found


def selected(client: Client, line: Line, kind: Kind, namespace: str) -> list[dict]:
    """All objects of a kind that pass the command's selectors; raises ApiError."""
    labels = label_selector(line.value("selector"))
    fields = field_selector(line.value("field-selector"), kind.kind, kind.api_version)
    return [one for one in client.list(kind, namespace)[0] if labels(one) and fields(one)]


def server_error(error: ApiError, while_doing: str = "") -> str:
    """An answer that is no success, as kubectl tells it (kubectl, pkg/cmd/util, StandardErrorMessage).

    >>> server_error(ApiError(404, "NotFound", 'services "nosuch" not found'))
    'Error from server (NotFound): services "nosuch" not found'
    """
    if error.problems:
        start = f'The {error.kind.kind} "{error.name}" is invalid: '
        if len(error.problems) == 1:
            return start + str(error.problems[0])
        return start + "".join(f"\n* {one}" for one in error.problems)
    return f"Error from server ({error.reason}): {while_doing}{error.message}"


class Table:
    """One kind's table. Columns keep their widths from one row of a watch to the next."""

    def __init__(self, kind: Kind, line: Line, client: Client, several: bool) -> None:
        self._kind, self._line, self._clock = kind, line, client.clock
        self._columns = COLUMNS.get(kind.kind, OTHER)
        self._prefix = f"{kind.qualified.lower()}/" if several else ""
        self._labels = [one for words in line.lists.get("label-columns", []) for one in words.split(",")]
        self._widths: list[str] = []
        self._headed = line.on("no-headers")

    def text(self, objects: Sequence[Mapping], event: str = "") -> str:
        """Headings, if they have not been printed, and one row for each object."""
        rows = [] if self._headed else [self._row(self._headings(), "EVENT")]
        self._headed = True
        return self._aligned(rows + [self._row(self._cells(one), event) for one in objects])

    def _row(self, cells: list[str], event: str) -> list[str]:
        return [event, *cells] if self._line.on("output-watch-events") else cells

    def _shown(self, cells: Sequence[str]) -> list[str]:
        hidden = self._columns.wide if self._line.value("output") != "wide" else 0
        return list(cells[:len(cells) - hidden] if hidden else cells)

    def _headings(self) -> list[str]:
        cells = self._shown(self._columns.headings)
        cells += [one.rpartition("/")[2].upper() for one in self._labels]
        cells += ["LABELS"] if self._line.on("show-labels") else []
        return (["NAMESPACE"] if self._everywhere() else []) + cells

    def _cells(self, obj: Mapping) -> list[str]:
        cells = self._shown(self._columns.cells(obj, self._clock))
        cells[0] = self._prefix + cells[0]
        cells += labels_at(obj, self._labels)
        cells += [labels_text(obj["metadata"].get("labels"))] if self._line.on("show-labels") else []
        return ([namespace_of(obj)] if self._everywhere() else []) + cells

    def _everywhere(self) -> bool:
        return self._line.on("all-namespaces") and self._kind.namespaced

    def _aligned(self, rows: list[list[str]]) -> str:
        before = [self._widths] if self._widths else []
        if rows:
            columns = zip(*before, *rows, strict=True)
            self._widths = [max(column, key=len) for column in columns]
        text = aligned([self._widths, *rows], **GET) if self._widths else ""
        return text.partition("\n")[2]


class Watching:
    """`kubectl get -w`: what it has printed so far is `text`; `close()` is Ctrl-C."""

    def __init__(self, client: Client, line: Line, printed: Printed) -> None:
        self._printed, self._line = printed, line
        wanted = targets(line)
        kind, names = wanted[0].kind, {one.name for one in wanted} - {""}
        fields = field_selector(line.value("field-selector"), kind.kind, kind.api_version)
        labels = label_selector(line.value("selector"))
        self._passes: Callable[[dict], bool] = lambda obj: (
            (not names or name_of(obj) in names) and fields(obj) and labels(obj))
        self._write = printer(line.value("output")) if line.value("output") not in ("", "wide") else None
        self._table = Table(kind, line, client, False)
        namespace = namespace_for(line, kind)
        found = [client.get(kind, namespace, one) for one in names] if names else client.list(kind, namespace)[0]
        self._known = {self._key(one) for one in found if self._passes(one)}
        printed.warn(kind.warning)
        first = [] if line.on("watch-only") else [one for one in found if self._passes(one)]
        if first:
            self._print(first, "ADDED")
        self._watch = client.watch(kind, self._hear, namespace, client.list(kind, namespace)[1])

    @staticmethod
    def _key(obj: Mapping) -> tuple[str, str]:
        return namespace_of(obj), name_of(obj)

    def _hear(self, event: Event) -> None:
        """An object that begins or ceases to pass the selectors is ADDED or DELETED to this watch."""
        passes, known = self._passes(event.obj), self._key(event.obj) in self._known
        if event.type == "DELETED" or not passes:
            if known:
                self._known.discard(self._key(event.obj))
                self._print([event.obj], "DELETED")
            return
        self._known.add(self._key(event.obj))
        self._print([copied(event.obj)], event.type if known or event.type == "ADDED" else "ADDED")

    def _print(self, objects: list[dict], event: str) -> None:
        if self._write:
            for one in objects:
                self._printed.out(self._write([one], True))
        else:
            self._printed.out(self._table.text(objects, event))

    @property
    def text(self) -> str:
        """What has been printed so far."""
        return str(self._printed.answer())

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """The same as pairs of stream, `out` or `err`, and text."""
        return self._printed.answer().parts

    def close(self) -> None:
        """Watch no longer."""
        self._watch.close()

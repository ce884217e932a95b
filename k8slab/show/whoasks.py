"""Who asks whom: the control plane's programs as a picture and as words, and its log as a table.

    who_asks(lab.cluster.log.between(20, 30))              etcd behind the API servers, and who asked these
    who_asks(lab.cluster.log, pods=["client"])             and the Pods, which come by the ClusterIP
    requests_table(lab.cluster.log.between(20, 21))        each request, answer and watch event
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from k8slab.cluster.log import Exchange
from k8slab.show.grid import Column, Table
from k8slab.show.svg import Box, Line, Picture, Shape, Words, width_of

ETCD, SERVER, VIP = "etcd", "kube-apiserver-", "10.96.0.1:443"
TOLD = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")     # what a watch tells; all else is asked
WRITES = ("put", "delete")
OWN = "its own controllers"
# In this order from above; who begins with none of these comes after them.
ORDER = ("kubectl", "kubelet", "kube-proxy", "kube-controller-manager", "kube-scheduler")
LIMIT = 60                # rows of a table
# Units of the picture.
EDGE, ROW, GAP, HEAD, PAD = 12, 52, 130, 44, 14
ETCD_GAP, ETCD_WIDTH = 96, 64


@dataclass(frozen=True, slots=True, repr=False)
class WhoAsks:
    """What was asked in a stretch of time, which `about` names.

    `asked`: (client, server) → requests; `told`: (client, server) → watch events that came back; `kept`: (API server,
    "read" or "write") → how often in etcd; `pods`: those that ask by the ClusterIP.
    """

    about: str
    asked: Counter[tuple[str, str]]
    told: Counter[tuple[str, str]]
    kept: Counter[tuple[str, str]]
    pods: tuple[str, ...]

    @property
    def servers(self) -> list[str]:
        """The API servers that somebody asked, or that asked etcd."""
        return sorted({server for _, server in self.asked | self.told} | {server for server, _ in self.kept})

    @property
    def clients(self) -> list[str]:
        """Who asked, the API servers' own controllers aside."""
        found = {client for client, server in self.asked | self.told if client != server}
        place = {name: number for number, name in enumerate(ORDER)}
        return sorted(found, key=lambda name: (next((place[one] for one in place if name.startswith(one)), 9), name))

    def __str__(self) -> str:
        lines = [self.about]
        for server in self.servers:
            lines.append(f"{server} is asked by")
            lines += [f"  {client}: {_counted(self.asked[client, server], self.told[client, server])}"
                      for client in self.clients if (client, server) in self.asked | self.told]
            if own := self.asked[server, server]:
                lines.append(f"  {OWN}: {_plural(own, 'request')}")
            lines.append(f"  and asks {ETCD}: {self._kept(server)}")
        lines += [f"Pod {pod} asks at {VIP}: the rules choose an API server for each connection" for pod in self.pods]
        return "\n".join([*lines, f"{ETCD} is asked by nobody else."])

    __repr__ = __str__

    def _kept(self, *servers: str) -> str:
        reads, writes = (sum(self.kept[server, what] for server in servers) for what in ("read", "write"))
        return f"{_plural(reads, 'read')}, {_plural(writes, 'write')}"

    @property
    def picture(self) -> Picture:
        """The same as shapes: clients on the left, API servers in the middle, etcd on the right."""
        rows = [(one, *(sum(count for (client, _), count in found.items() if client == one)
                        for found in (self.asked, self.told))) for one in self.clients]
        height = max(HEAD + ROW * (len(rows) + len(self.pods)) + EDGE, HEAD + 20 * len(self.servers) + 2 * ROW)
        left = width_of("name", *(one for one, *_ in rows), *(f"Pod {pod}" for pod in self.pods)) + 2 * PAD
        nodes = [name.removeprefix(SERVER) for name in self.servers]
        middle, inner = EDGE + left + GAP, width_of("name", SERVER, *nodes) + 2 * PAD
        right = middle + inner + ETCD_GAP
        width = right + ETCD_WIDTH + EDGE
        shapes: list[Shape] = [Words(EDGE, 22, self.about, "dim"),
                               Box(middle, HEAD - 8, inner, height - HEAD, "lit"),
                               Box(right, HEAD - 8, ETCD_WIDTH, height - HEAD, "outer"),
                               Words(right + PAD, HEAD + 14, ETCD, "name"),
                               Words(middle + PAD, HEAD + 14, SERVER.rstrip("-"), "name")]
        shapes += [Words(middle + PAD, HEAD + 36 + 20 * at, f"on {name}") for at, name in enumerate(nodes)]
        y = HEAD + 4
        for name, asked, told in rows:
            shapes += _row(name, y, left, middle, _plural(asked, "request"), told and _plural(told, "watch event"))
            y += ROW
        for pod in self.pods:
            shapes += _row(f"Pod {pod}", y, left, middle, f"by {VIP}", "")
            y += ROW
        at = HEAD + height // 2 - 20
        shapes += [Line(((middle + inner, at), (right, at)), "go", True),
                   *(Words(middle + inner + 8, at - 24 + 14 * i, line)
                     for i, line in enumerate(self._kept(*self.servers).split(", ")))]
        return Picture(width, height, tuple(shapes), f"Who asks whom: {self.about}", str(self).replace("\n", "; "))

    @property
    def svg(self) -> str:
        """The picture as SVG."""
        return self.picture.svg()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.picture.html(str(self))}


def _row(name: str, y: float, left: float, middle: float, asks: str, hears: str | int) -> list[Shape]:
    """One client: its box, the arrow of its requests, and the arrow of what comes back."""
    shapes: list[Shape] = [Box(EDGE, y, left, ROW - 14), Words(EDGE + PAD, y + 20, name, "name"),
                           Line(((EDGE + left, y + 10), (middle, y + 10)), "go", True),
                           Words(EDGE + left + 8, y + 4, asks)]
    if hears:
        shapes += [Line(((middle, y + 24), (EDGE + left, y + 24)), "back", True),
                   Words(middle - 8, y + 38, str(hears), "word", "end")]
    return shapes


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _counted(asked: int, told: int) -> str:
    return ", ".join(_plural(number, noun) for number, noun in ((asked, "request"), (told, "watch event")) if number)


def who_asks(exchanges: Iterable[Exchange], pods: Iterable[str] = ()) -> WhoAsks:
    """Who asked whom in a stretch of the control plane's log; `pods`: names of Pods that ask by the ClusterIP.

    >>> print(who_asks([Exchange(9.5, "kubectl", "kube-apiserver-k8smaster", "GET", "/api/v1/nodes", "200"),
    ...                 Exchange(9.5, "kube-apiserver-k8smaster", "etcd", "range", "/registry/minions/")]))
    Who asked whom at 9.5 s
    kube-apiserver-k8smaster is asked by
      kubectl: 1 request
      and asks etcd: 1 read, 0 writes
    etcd is asked by nobody else.

    Raises ValueError for an empty stretch.
    """
    asked, told, kept, times = Counter(), Counter(), Counter(), set()
    for one in exchanges:
        times.add(one.at)
        if one.server == ETCD:
            kept[one.client, "write" if one.verb in WRITES else "read"] += 1
        elif one.verb in TOLD:
            told[one.server, one.client] += 1
        else:
            asked[one.client, one.server] += 1
    if not times:
        raise ValueError("nobody asked anybody in this stretch of time; let time pass with lab.advance(seconds)")
    first, last = f"{min(times):g} s", f"{max(times):g} s"
    return WhoAsks(f"Who asked whom at {first}" if first == last else f"Who asked whom, {first} to {last}",
                   asked, told, kept, tuple(pods))


def requests_table(exchanges: Iterable[Exchange], limit: int = LIMIT) -> Table:
    """The log of a stretch of time, a row for each request and watch event.

    >>> print(requests_table([Exchange(9.5, "kubectl", "kube-apiserver-k8smaster", "GET", "/api/v1/nodes", "200")]))
    1 request or event
    Second  From     To                        What
    ------  -------  ------------------------  ----------------------
       9.5  kubectl  kube-apiserver-k8smaster  GET /api/v1/nodes: 200
    """
    found = list(exchanges)
    rows = tuple((f"{one.at:g}", one.client, one.server,
                  f"{one.verb} {one.path}" + (f": {one.answer}" if one.answer else "")) for one in found[:limit])
    more = len(found) - limit
    notes = (f"… and {more:,} more, not shown.",) if more > 0 else ()
    caption = f"{len(found):,} request{'s' * (len(found) != 1)} or event{'s' * (len(found) != 1)}"
    columns = (Column("Second", number=True), Column("From"), Column("To"), Column("What", code=True))
    return Table(caption, columns, rows, notes)

"""The map of the course: its units, and the ways through it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from k8slab.course.catalogue import UNITS
from k8slab.course.widgets import Panel
from k8slab.show.grid import Column, Table

# Unit → minutes, as its first cell says, and what one does in it.
DOES: Mapping[str, tuple[int, str]] = {
    "00": (20, "build a small cluster and see what this machine allows"),
    "01": (35, "walk one packet from a Pod to the API server and back"),
    "02": (40, "look at the Service with kubectl, and at who keeps it"),
    "03": (40, "make Pods of nothing but namespaces, links and routes"),
    "04": (40, "write the rule that gives the packet its destination"),
    "05": (40, "see what brings the reply home, and what rules cannot change"),
    "06": (35, "compute the names of chains on any cluster"),
    "07": (40, "follow a mark, and say which source a server sees"),
    "08": (40, "let chance deal out connections, and count fairly"),
    "09": (45, "delete the Service, crash API servers, and watch it return"),
    "10": (45, "write the program that writes the rules"),
    "11": (45, "find what is broken from what an application said"),
    "12": (45, "read nftables beside iptables, and hear of IPVS and eBPF"),
    "13": (45, "find two faults in a node that only you have"),
}


@dataclass(frozen=True, slots=True)
class Way:
    """A way through the course: for whom, and the units in their order."""

    name: str
    whom: str
    units: tuple[str, ...]

    @property
    def minutes(self) -> int:
        """What its units take together."""
        return sum(DOES[number][0] for number in self.units)


WAYS = (
    Way("The whole course", "You want to understand a cluster's network, and have some evenings.", tuple(DOES)),
    Way("Three hours", "You want the one packet, its reply, and the Service that comes back.",
        ("01", "02", "05", "09")),
    Way("I have an incident now", "Something does not reach 10.96.0.1:443, and you have a node at hand.", ("11",)),
)


def file_of(number: str) -> str:
    """The name of a unit's notebook.

    >>> file_of("08")
    '08-one-address-many-api-servers.ipynb'
    """
    words = re.findall(r"[a-z0-9]+", UNITS[number].title.lower())
    return f"{number}-{'-'.join(words)}.ipynb"


def contents() -> Panel:
    """The units, each with its minutes and what one does in it; as HTML, with links to their notebooks."""
    rows = tuple((f"{number} {content.title}", str(DOES[number][0]), DOES[number][1])
                 for number, content in UNITS.items())
    table = Table("The units", (Column("Unit"), Column("Minutes", number=True), Column("What you do")), rows)
    html = table.html
    for (name, *_), number in zip(rows, UNITS):
        html = html.replace(f">{escape(name)}<", f'><a href="{file_of(number)}">{escape(name)}</a><', 1)
    return Panel(str(table), html)


def ways() -> Table:
    """Three ways through the course, and what each takes."""
    rows = tuple((way.name, way.whom, " ".join(way.units) if len(way.units) < len(UNITS) else "00 to 13",
                  f"{way.minutes // 60} h {way.minutes % 60:02} min") for way in WAYS)
    return Table("Three ways", (Column("Way"), Column("For whom"), Column("Units"), Column("Time")), rows)

"""The table of symptoms and causes, made out of the labs themselves: each fault is made, tried and measured."""

from __future__ import annotations

import re

from k8slab.course.causes import CAUSES
from k8slab.course.faults import FAULTS
from k8slab.course.incident import NEVER, Incident
from k8slab.show.grid import Column, Table

# What a program says, without whom it asked.
WORDS = re.compile(r"connect: (.*)|(i/o timeout)|(tls: failed to verify certificate)")


def symptoms(*names: str) -> Table:
    """A row for each thing that a program says, and when it says it: the faults that made it say so.

    >>> print(symptoms("no-default-route", "forwarding-off"))
    What a program says, and what made it say so
    The program says        When     Made by
    ----------------------  -------  ------------------------------
    network is unreachable  at once  a node without a default route
    i/o timeout             never *  a node that does not forward
    * nothing comes back, and the program stops waiting by itself

    Raises KeyError for the name of no fault.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name in names or [one.name for one in FAULTS.values() if one.broken]:
        with Incident(FAULTS[name]) as lab:
            heard = lab.before
        match = WORDS.search(heard.says)
        said = next(filter(None, match.groups())) if match else heard.says
        found.setdefault((said, heard.delay), []).append(CAUSES[name].label)
    rows = [(said, "never *" if delay == NEVER else delay, "; ".join(made)) for (said, delay), made in found.items()]
    notes = (f"* {NEVER.partition(': ')[2]}",) if any(row[1] == "never *" for row in rows) else ()
    columns = (Column("The program says"), Column("When"), Column("Made by"))
    return Table("What a program says, and what made it say so", columns, tuple(rows), notes)

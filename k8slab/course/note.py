"""The note after an incident: what was heard, what was seen at each station, what was done, and what to learn from it.

It is text to be copied. The lab fills in what it knows: the symptom, the last look at each station, the commands that
changed something. The cause and how to prevent it are the writer's.
"""

from __future__ import annotations

import textwrap

from k8slab.course.causes import CAUSES
from k8slab.course.incident import Incident
from k8slab.course.kept import STATIONS, Done
from k8slab.magic import masked

BLANK = "____"
MOST = 3            # lines of what a command printed: a note is read in a minute


def written(number: str, lab: Incident, cause: str = "", prevent: str = "") -> str:
    """The note on one cluster, as text; `cause` and `prevent` are the writer's own sentences.

    >>> from k8slab.course.faults import FAULTS
    >>> lab = Incident(FAULTS["forwarding-off"], "model")
    >>> _ = lab.run("worker1", "sysctl -w net.ipv4.ip_forward=1")
    >>> print(written("8", lab).splitlines()[2])
    Symptom: dial tcp 10.96.0.1:443: i/o timeout
    """
    before, after, known = lab.before, lab.report(), CAUSES[lab.fault.name]
    remedy = [f"  {one}" for one in lab.changes] or ["  (nothing was changed)"]
    compare = (known.says, known.prevent, f"Somebody had it before: {known.thread.replace('!', '#')}", known.url)
    return "\n".join((
        f"Incident: cluster {number}", "",
        f"Symptom: {before.says}", f"  When: {before.delay}",
        f"  Who asked: {lab.fault.asks.says}", "",
        "Seen along the packet's way, by the last look at each station:",
        *(line for name, _ in STATIONS for line in _seen(name, lab.done)), "",
        f"Cause: {cause or BLANK}", "",
        "Remedy:", *remedy, f"  Then: {after.says}", "",
        f"How to prevent it: {prevent or BLANK}", "",
        "To compare with:", *(textwrap.fill(one, 110, initial_indent="  ", subsequent_indent="  ",
                                            break_on_hyphens=False) for one in compare),
    ))


def _seen(station: str, done: list[Done]) -> list[str]:
    """What the last look at a station showed."""
    looks = [one for one in done if station in one.stations and not one.changed]
    if not looks:
        return [f"  {station}: not looked at"]
    last = looks[-1]
    printed = [line for line in masked(last.line, last.printed).splitlines() if line.strip()]
    more = [f"      … {len(printed) - MOST} lines more"] if len(printed) > MOST else []
    return [f"  {station}: {last}", *(f"      {line}" for line in printed[:MOST] or ["(nothing)"]), *more]

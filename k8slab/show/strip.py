"""The strip: the hosts of the journey in a row, the one that has the packet marked, and the way it travels.

Hosts stand in the order in which the journey first comes to them. A wire is lit when the packet is just
leaving or arriving on it. Everything that the strip shows is also said in words in the pane below it.
"""

from __future__ import annotations

from html import escape

from k8slab.network import Network
from k8slab.show.words import ARROWS, OUTWARD, way
from k8slab.trace import Step, Trace

KINDS = {"pod": "Pod", "node": "node", "router": "router", "client": "client"}
# An arrowhead in the middle of a line that is as long as there is room: a nested svg moves with the per cent.
WIRE = ('<svg aria-hidden=true><line x1=0 y1=7 x2=100% y2=7 /><svg x=50% overflow=visible>'
        '<path d="{}" stroke=none /></svg></svg>')
HEADS = {True: "M-5 2 5 7-5 12z", False: "M5 2-5 7 5 12z"}


def hosts(trace: Trace) -> tuple[str, ...]:
    """The names of the hosts that the journey meets, in that order."""
    return tuple(dict.fromkeys(step.node for step in trace.steps))


def strip(trace: Trace, step: Step, network: Network | None = None) -> str:
    """The strip at one step, as HTML; `network` tells what each host is and its address."""
    names = hosts(trace)
    parts = [_host(names[0], step, network)]
    for left, right in zip(names, names[1:]):
        parts += [_wire(trace, step, left, right), _host(right, step, network)]
    return f'<div class=k-strip>{"".join(parts)}</div>'


def strip_text(trace: Trace, step: Step, network: Network | None = None) -> str:
    """The same as text: "Pod client 10.244.1.5 (eth0) → (veth-client) node worker1, packet"."""
    names = hosts(trace)
    words = [_host_text(names[0], step, network)]
    for left, right in zip(names, names[1:]):
        arrow = ARROWS[way(trace, step)]
        near, far = (f"({name}) " if name else "" for name in interfaces(trace, left, right))
        words.append(f"{near}{arrow} {far}{_host_text(right, step, network)}")
    return " ".join(words)


def _host_text(name: str, step: Step, network: Network | None) -> str:
    kind, address = _about(name, network)
    mark = f", {_mark(step)}" if name == step.node else ""
    return " ".join(filter(None, (kind, name, address))) + mark


def _about(name: str, network: Network | None) -> tuple[str, str]:
    """A host's kind and address, where the network tells them."""
    host = next((h for h in network.hosts if h.name == name), None) if network else None
    return (KINDS.get(host.kind, host.kind), host.address) if host else ("", "")


def _mark(step: Step) -> str:
    return "packet" if step.after else "ends here"


def _host(name: str, step: Step, network: Network | None) -> str:
    kind, address = _about(name, network)
    about = (f"<i>{kind}</i>" if kind else "", f"<code>{address}</code>" if address else "")
    here, mark = (" k-here", f"<u>{_mark(step)}</u>") if name == step.node else ("", "")
    return f'<div class="k-host{here}">{mark}{about[0]}<b>{escape(name)}</b>{about[1]}</div>'


def _wire(trace: Trace, step: Step, left: str, right: str) -> str:
    """The wire between two hosts, with the names of the interfaces that the journey used on it."""
    ends = interfaces(trace, left, right)
    lit = " k-lit" if {step.node, _beyond(trace, step)} == {left, right} else ""
    near, far = (f"<code>{escape(name)}</code>" for name in ends)
    return f'<div class="k-wire{lit}">{near}{WIRE.format(HEADS[way(trace, step) == OUTWARD])}{far}</div>'


def _beyond(trace: Trace, step: Step) -> str:
    """The host at the other end of the wire that the packet is just leaving or arriving on, or ""."""
    if step.kind == "LEAVE":
        later = trace.steps[step.number:]
        return next((s.node for s in later if s.kind == "ARRIVE" and s.leg == step.leg), "")
    if step.kind == "ARRIVE":
        earlier = reversed(trace.steps[:step.number - 1])
        return next((s.node for s in earlier if s.kind == "LEAVE" and s.leg == step.leg), "")
    return ""


def interfaces(trace: Trace, left: str, right: str) -> tuple[str, str]:
    """The interfaces by which two neighbours on the journey reach each other; "" where it does not show."""
    for step in trace.steps:
        if step.kind == "LEAVE" and {step.node, _beyond(trace, step)} == {left, right}:
            arrival = next(s for s in trace.steps[step.number:] if s.kind == "ARRIVE" and s.leg == step.leg)
            names = {step.node: step.oif, arrival.node: arrival.iif}
            return names[left], names[right]
    return "", ""

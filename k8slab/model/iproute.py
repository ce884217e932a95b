"""The forms of `ip` that ask a host's stack: `ip route get` and `ip neigh` (iproute.c, ipneigh.c of iproute2 6.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING

from k8slab.errors import CommandError
from k8slab.stack.routing import DEAD_ENDS, Decision
from k8slab.wiring import Call, Said, find, keywords

if TYPE_CHECKING:
    from k8slab.model.dataplane import Model


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise Said(f'Error: any valid prefix is expected rather than "{text}".', 1) from None


def _get(model: Model, call: Call) -> str:
    """`ip route get A [from B iif X]`: what routing decides."""
    said = keywords(call.words, {"to": "to", "from": "from", "iif": "iif"}, "to")
    if "to" not in said:
        raise Said("need at least a destination address", 1)
    to, routes = _address(said["to"]), model.stack(call.host).routes
    if ("from" in said) != ("iif" in said):
        raise CommandError("ip route get: the model knows ip route get A, and ip route get A from B iif X")
    source = _address(said["from"]) if "from" in said else ""
    decision = routes.look_up(to)
    if decision.kind not in ("local", "unicast", *DEAD_ENDS):
        raise CommandError(f"ip route get {to}: the model follows packets for one host, and {decision.why}")
    if source:
        find(call.own, said["iif"])
        _may_come_in(model, call.host, source, to, said["iif"], decision)
    elif decision.kind in DEAD_ENDS:
        raise _error(decision)
    words = ["local"] * (decision.kind == "local") + [to] + (["from", source] if source else [])
    words += ["via", decision.next_hop] if decision.next_hop not in ("", to) else []
    words += ["dev", decision.oif or ""] + ([] if source else ["src", routes.source(decision), "uid", "0"])
    cache = ["cache", *(["<local>"] if decision.kind == "local" else []), *(["iif", said["iif"]] if source else [])]
    return f"{' '.join(words)} \n    {' '.join(cache)} \n"


def _error(decision: Decision) -> Said:
    return Said(f"RTNETLINK answers: {DEAD_ENDS[decision.kind][1].partition(', ')[2]}")


def _may_come_in(model: Model, host: str, source: str, to: str, iif: str, decision: Decision) -> None:
    """Raise Said where a packet from `source` would not be let in on `iif` (ip_route_input_slow)."""
    stack = model.stack(host)
    if stack.routes.martian(source, to, iif) or decision.kind in ("local", "unicast") and (
            stack.routes.address_type(source) == "LOCAL"):
        raise Said("RTNETLINK answers: Invalid argument")
    if decision.kind == "unicast" and not stack.forwards:
        raise Said("RTNETLINK answers: No route to host")
    if decision.kind in DEAD_ENDS:
        raise _error(decision)
    if stack.routes.bad_source(source, iif):
        raise Said("RTNETLINK answers: Invalid argument")       # seen on 6.18; of old: Invalid cross-device link


def _neighbours(model: Model, call: Call) -> str:
    """`ip neigh [show] [dev X]`."""
    said = keywords(call.words, {"dev": "dev", "to": "to"}, "to")
    if "dev" in said:
        find(call.own, said["dev"])
    lines = ""
    for (interface, address), entry in model.wire.known.get(call.host, {}).items():
        if said.get("dev", interface) == interface and said.get("to", address) == address:
            words = [address] + ([] if "dev" in said else ["dev", interface])
            words += (["lladdr", entry.mac] if entry.mac else []) + [entry.now(model.clock())]
            lines += f"{' '.join(words)} \n"
    return lines


def _flush(model: Model, call: Call) -> str:
    """`ip neigh flush all`, or `dev X`."""
    said = keywords(call.words, {"dev": "dev", "to": "to"}, "to")
    if not said:
        raise Said("Flush requires arguments.", 1)
    if "dev" in said:
        find(call.own, said["dev"])
    to = said.get("to", "all")
    known = model.wire.known.get(call.host, {})
    model.wire.known[call.host] = {
        key: entry for key, entry in known.items()
        if said.get("dev", key[0]) != key[0] or to not in ("all", key[1])}
    return ""


ASKS: dict[tuple[str, str], Callable[[Model, Call], str]] = {
    ("route", "get"): _get, ("neighbour", "show"): _neighbours, ("neighbour", "flush"): _flush}

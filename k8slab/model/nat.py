"""Network address translation: a binding is chosen once, then applied to every packet.

Theory of operation
-------------------
Two questions, asked at different times:

* *Which translation does this connection get?* Asked for its first packet alone, once
  for the destination (at PREROUTING or OUTPUT) and once for the source (at POSTROUTING
  or INPUT). A rule's DNAT, SNAT, MASQUERADE or REDIRECT answers it; when no rule does,
  the *null binding* does: everything stays as it is, but for a source port that another
  connection needs. `bind` is nf_nat_setup_info. The answer is stored by changing the
  reply tuple of the connection, and it is final: a rule that appears later changes
  nothing for it.
* *What does that make of this packet?* Asked for every packet, at the same four places,
  and answered from the two tuples alone: `translate` in `stack/rewrite.py`, nf_nat_packet. A packet of the
  original direction is given what the reply tuple mirrors; a reply is given what the
  original tuple mirrors. So a reply loses the address that DNAT gave where the *source*
  is rewritten: at POSTROUTING or INPUT, after the rules of these hooks have read it.

No two connections may wait for the same reply: when the tuple is taken, another source
port is found; when there is none, the packet is dropped as its entry is confirmed.
"""

from __future__ import annotations

from collections.abc import Callable

from k8slab.iptables import NatRange
from k8slab.model.chance import Chance
from k8slab.model.conntrack import Connection, Conntrack
from k8slab.model.jhash import address_of_range
from k8slab.packet import PORT_PROTOCOLS, UNKNOWN, Flow, number
from k8slab.stack.rewrite import STATUS, fields

NULL_BINDING = NatRange()


def bind(table: Conntrack, connection: Connection, manip: str, range_: NatRange,
         chance: Chance, now: float) -> None:
    """Decide the translation of one end of a connection; for a confirmed one it is decided already."""
    if connection.confirmed:
        return
    as_it_is = connection.reply.reply            # what the packet says as things stand
    flow = _unique(table, connection, as_it_is, manip, range_, chance, now)
    connection.nat_done.add(manip)
    if flow != as_it_is:
        connection.reply = flow.reply
        connection.status.add(STATUS[manip])


def _unique(table: Conntrack, connection: Connection, flow: Flow, manip: str, range_: NatRange,
            chance: Chance, now: float) -> Flow:
    """get_unique_tuple: the range's address, and a port that leaves the reply tuple free.

    When none is free the last one tried is taken, and the packet is dropped when its entry is confirmed.
    """
    def free(candidate: Flow) -> bool:
        return not table.taken(candidate.reply, connection, now)

    at_random = range_.random or range_.random_fully
    if manip == "SRC" and not at_random:
        if _within(flow, manip, range_):
            candidates = [flow]
        else:                                    # the same source keeps the port that it was given before
            candidates = [_with(flow, manip, port=_port(c.reply.reply, manip), address=c.reply.dst)
                          for c in table.mapped(flow, now)]
            candidates = [c for c in candidates if _within(c, manip, range_)][:1]
        if candidates and free(candidates[0]):
            return candidates[0]
    flow = _with(flow, manip, address=_address(flow, manip, range_))
    ported = flow.proto == "icmp" or flow.proto in PORT_PROTOCOLS
    named = range_.min_port is not None
    if not at_random:
        if named and ported and range_.base_port is None and _within(flow, manip, range_) and (
                range_.min_port == range_.max_port or free(flow)):
            return flow
        if not named and free(flow):
            return flow
    if not ported or (not named and manip == "DST" and flow.proto != "icmp"):
        return flow          # a destination's port is changed only where the rule names one
    low, high = (range_.min_port, range_.max_port) if named else _port_band(flow, manip)
    start: int | None = low
    if range_.base_port is not None:             # `:80-90/8000` moves 8000 to 80, and the others in step
        start = low + (_port(flow, manip) - range_.base_port) % 65536
    elif low != high and (at_random or manip == "SRC"):
        start = chance.port(low, high)
    return _free_port(flow, manip, low, high, start, free)


def _free_port(flow: Flow, manip: str, low: int, high: int, start: int | None,
               free: Callable[[Flow], bool]) -> Flow:
    """The first port from `start` on, round the range, that leaves the reply tuple free."""
    if start is None:                            # chance leaves the port open, and so do we
        return _with(flow, manip, port=None)
    for offset in range(high - low + 1):
        candidate = _with(flow, manip, port=low + (start - low + offset) % (high - low + 1))
        if free(candidate):
            return candidate
    return candidate


def _port_band(flow: Flow, manip: str) -> tuple[int, int]:
    """Ports are exchanged within their class, so that a privileged one stays privileged."""
    port = _port(flow, manip)
    if flow.proto == "icmp":
        return 0, 65535
    return (1, 511) if port < 512 else (600, 1023) if port < 1024 else (1024, 65535)


def _within(flow: Flow, manip: str, range_: NatRange) -> bool:
    address, port = (getattr(flow, name) for name in fields(flow, manip))
    if UNKNOWN in (address, range_.min_address):
        inside = range_.min_address in (None, address)
    else:
        inside = (range_.min_address is None
                  or number(range_.min_address) <= number(address) <= number(range_.max_address))
    return inside and _port_within(port, range_)


def _port_within(port: int | None, range_: NatRange) -> bool:
    return range_.min_port is None or port is None or range_.min_port <= port <= range_.max_port


def _address(flow: Flow, manip: str, range_: NatRange) -> str:
    if range_.min_address is None:
        return getattr(flow, fields(flow, manip)[0])
    if range_.min_address in (range_.max_address, UNKNOWN):
        return range_.min_address
    return address_of_range(flow.src, flow.dst, range_.min_address, range_.max_address, persistent=range_.persistent)


def _port(flow: Flow, manip: str) -> int:
    return getattr(flow, fields(flow, manip)[1])


def _with(flow: Flow, manip: str, **new: object) -> Flow:
    address, port = fields(flow, manip)
    names = {"address": address, "port": port}
    values = {name: getattr(flow, name) for name in Flow.__slots__}
    return Flow(**values | {names[key]: value for key, value in new.items()})

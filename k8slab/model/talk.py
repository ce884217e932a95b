"""A connection of the model's that stays open: opened once, and asked over again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from k8slab.model.programs import CLIENT_ISN
from k8slab.network import NetworkError
from k8slab.packet import Packet
from k8slab.stack import says
from k8slab.trace import Trace

if TYPE_CHECKING:
    from k8slab.model.dataplane import Model


def talk(model: Model, at: str, address: str, port: int) -> Callable[..., Trace]:
    """Shake hands; what is returned asks one question over the connection. See `Model.open`."""
    syn = Packet("tcp", model.source(at, address), address, model.port(at), port, seq=CLIENT_ISN)
    opened = model.send(syn, at)
    if opened.reply is None or opened.reply.flags != "SA":
        raise NetworkError(says.NOT_OPEN.format(at=at, to=f"{address}:{port}", why=opened.summary()))
    last: Packet | None = syn.replace(flags="A", seq=opened.reply.ack, ack=opened.reply.end)
    model.send(last, at)

    def ask(question: bytes = b"who answers?") -> Trace:
        nonlocal last
        if last is None:
            raise NetworkError(says.NOT_OPEN.format(at=at, to=f"{address}:{port}", why=says.HAS_ENDED))
        asked = last.replace(flags="PA", payload=question)
        trace = model.send(asked, at)
        answered = trace.reply is not None and "R" not in trace.reply.flags and not trace.reply.is_icmp_error
        last = asked.replace(flags="A", seq=asked.end, ack=trace.reply.end, payload=b"") if answered else None
        if last:
            model.send(last, at)
        return trace

    return ask

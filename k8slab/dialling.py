"""What a client library says of a connection that it opens: Go's words, which Kubernetes' programs print."""

from __future__ import annotations

from k8slab.packet import UNREACHABLE
from k8slab.trace import Trace

# ICMP code of type 3 → the error that the socket gets (icmp_err_convert in icmp.c), in Go's words (syscall/zerrors).
ERRORS = {0: "network is unreachable", 1: "no route to host", 2: "protocol not available", 3: "connection refused",
          9: "network is unreachable", 10: "no route to host", 13: "no route to host"}
# What a program is told before any packet is made, by the route that its own host finds (DEAD_ENDS in stack/routing).
NO_PACKET = {"ENETUNREACH": ERRORS[0], "EHOSTUNREACH": ERRORS[1], "EINVAL": "invalid argument",
             "EACCES": "permission denied"}


def told(trace: Trace, address: str, port: int) -> str:
    """What a Go program prints of a TCP connection; `answered by ADDRESS:PORT` for one that was answered.

    >>> from k8slab.lab import Lab
    >>> with Lab("model") as lab:
    ...     print(lab.dial("client", "10.96.0.1", 80))
    dial tcp 10.96.0.1:80: i/o timeout

    An answer that comes from another address than was asked is no answer to the program: its socket never hears it.

    From net/dial.go and net/net.go (OpError), and golang.org/pkg/net's ErrTimeout.
    """
    reply, head = trace.reply, f"dial tcp {address}:{port}"
    if reply is not None and not reply.is_icmp_error and reply.source != f"{address}:{port}":
        return f"{head}: i/o timeout"
    if reply is not None and reply.is_icmp_error:
        why = ERRORS.get(reply.icmp_code, ERRORS[1]) if reply.icmp_type == UNREACHABLE else ERRORS[1]
        return f"{head}: connect: {why}"
    if reply is not None and "R" in reply.flags:
        return f"{head}: connect: {ERRORS[3]}"
    if reply is not None and reply.source == f"{address}:{port}":      # the client's TCP takes no other's answer
        return f"answered by {trace.received.destination}" if trace.received else "answered"
    dead_end = next((error for name, error in NO_PACKET.items() if f": {name}, " in trace.reason), "")
    return f"{head}: connect: {dead_end}" if dead_end else f"{head}: i/o timeout"

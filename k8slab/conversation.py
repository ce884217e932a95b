"""A connection that stays open while the world around it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8slab.inputs import checked
from k8slab.trace import Trace

if TYPE_CHECKING:
    from k8slab.kernel.dataplane import Kernel
    from k8slab.model.dataplane import Model


@checked
class Conversation:
    """An open TCP connection from a host: `opened` is the Trace of its handshake.

    >>> from k8slab.lab import Lab
    >>> with Lab("model") as lab:
    ...     talk = lab.open("client", "10.96.0.1", 443)
    ...     lab.restore("worker1", "*nat\\n:KUBE-SERVICES - [0:0]\\nCOMMIT\\n", noflush=True)
    ...     print(talk.ask().reply.source, lab.dial("client", "10.96.0.1", 443))
    10.96.0.1:443 dial tcp 10.96.0.1:443: i/o timeout
    """

    def __init__(self, dataplane: Model | Kernel, pod: str, address: str, port: int) -> None:
        self._dataplane = dataplane
        self.opened, self._end = dataplane.open(pod, address, port)

    def ask(self, question: bytes = b"who answers?") -> Trace:
        """Ask once more, and hear the answer. Raises NetworkError where it is open no longer: silence ends it, too."""
        return self._dataplane.say(self._end, question)

    def close(self) -> Trace:
        """Close it, and hear the other end do the same. Raises NetworkError where it is closed already."""
        return self._dataplane.say(self._end, b"")

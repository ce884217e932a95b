"""Who asked whom: every request, answer and watch event of the control plane, as plain values."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

KEPT = 50_000  # exchanges; a busy hour of three API servers


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, or one watch event. `at`: seconds of the lab's clock; `answer`: in short.

    >>> print(Exchange(9.5, "kubectl", "kube-apiserver-k8smaster", "GET", "/api/v1/nodes", "200"))
       9.500  kubectl → kube-apiserver-k8smaster  GET /api/v1/nodes: 200
    """

    at: float
    client: str
    server: str
    verb: str
    path: str
    answer: str = ""

    def __str__(self) -> str:
        said = f": {self.answer}" if self.answer else ""
        return f"{self.at:8.3f}  {self.client} → {self.server}  {self.verb} {self.path}{said}"


class Log:
    """The latest exchanges, oldest first; `log.between(10, 20)` are those of ten seconds."""

    def __init__(self, kept: int = KEPT) -> None:
        self._all: deque[list[Exchange]] = deque(maxlen=kept)

    def add(self, *words: object) -> Callable[[str], None]:
        """Note one exchange: the fields of an Exchange, in their order; what is returned notes its answer, later."""
        slot = [Exchange(*words)]
        self._all.append(slot)
        return lambda answer: slot.__setitem__(0, replace(slot[0], answer=answer))

    def between(self, since: float, until: float = float("inf"), who: str = "") -> tuple[Exchange, ...]:
        """Exchanges of a stretch of time, both ends within; `who`: only those with this word in a party's name."""
        return tuple(one for one in self
                     if since <= one.at <= until and (who in one.client or who in one.server))

    def __iter__(self) -> Iterator[Exchange]:
        return iter([slot[0] for slot in self._all])

    def __str__(self) -> str:
        return "\n".join(map(str, self))

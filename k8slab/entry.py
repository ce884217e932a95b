"""Entry: what one node remembers of one connection, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.packet import PROTOCOLS, Flow


@dataclass(frozen=True, slots=True)
class Entry:
    """One conntrack entry, as it was at one moment; `str()` is the line of `conntrack -L`.

    `original` is the tuple of the first packet as it came; `reply` the tuple that the
    answer will have on its way in: where the two do not mirror each other, an address
    was translated. `state` is a TCP state or "". `timeout`: seconds left to live.
    """

    original: Flow
    reply: Flow
    state: str = ""
    seen_reply: bool = False
    assured: bool = False
    confirmed: bool = False
    mark: int = 0
    timeout: int = 0

    @property
    def translated(self) -> bool:
        """Whether packets of this connection are rewritten."""
        return self.reply != self.original.reply

    def __str__(self) -> str:
        proto = self.original.proto
        name = proto if proto in PROTOCOLS else "unknown"
        words = [f"{name:<8} {PROTOCOLS.get(proto, proto)} {self.timeout}"]
        words += [self.state] if self.state else []
        words.append(_tuple_words(self.original))
        words += [] if self.seen_reply else ["[UNREPLIED]"]
        words.append(_tuple_words(self.reply))
        words += ["[ASSURED]"] if self.assured else []
        return " ".join(words) + f" mark={self.mark} use=1"


def _tuple_words(flow: Flow) -> str:
    words = f"src={flow.src} dst={flow.dst}"
    if flow.sport is not None:
        words += f" sport={flow.sport} dport={flow.dport}"
    if flow.icmp_type is not None:
        words += f" type={flow.icmp_type} code={flow.icmp_code} id={flow.icmp_id}"
    return words

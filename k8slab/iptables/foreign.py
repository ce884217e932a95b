"""Rules of a node that is not ours: its iptables may have matches and targets that nobody here has heard of.

What iptables-save printed there was right there. So a name that is on no list is taken for an extension with options
of its own, which reach to the next -m, -j or -g; only a packet that meets such a rule cannot be told further. Where
somebody types a rule, or restores a text into a lab, the name is more likely misspelt, and is refused (`reading.py`).
"""

from __future__ import annotations

import re

from k8slab.iptables.reading import Reader
from k8slab.iptables.targets import JUMP

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Foreign(Reader):
    """Reads the words of a rule as iptables-save prints them: an extension's options stand right after its name."""

    __slots__ = ()

    def takes(self, name: str) -> bool:
        """Whatever looks like the name of a match."""
        return NAME.fullmatch(name) is not None

    def _extension_option(self, word: str) -> None:
        last = self.parts[-1] if self.parts else None
        if last is None or word[:1] != "-":
            return super()._extension_option(word)
        if last is self.target and last.spec is JUMP and not self._has_owner(word):
            last.spec = None              # a jump to a chain has no options
        if last.spec is None:
            return self._foreign(last)
        return super()._extension_option(word)

    def _has_owner(self, word: str) -> bool:
        return self._protocol_match(word) is not None or any(part.option(word) for part in (*self.parts, self.base))

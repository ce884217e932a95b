"""Commands on the lab's hosts, whichever dataplane runs them."""

from __future__ import annotations

# Programs whose failure is an answer: nobody answered, nothing was found.
ANSWERS = frozenset({"ping", "curl", "nc", "conntrack"})

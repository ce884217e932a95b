"""What a packet read in nftables' text, as a table.

    walk_table(follow(text, packet))             each rule that was read, its look-ups, and what came of it
"""

from __future__ import annotations

from k8slab.nft import Followed, Read
from k8slab.show.grid import Column, Table

HYPHEN = "\N{NON-BREAKING HYPHEN}"
COLUMNS = (Column("Chain", code=True), Column("Rule", code=True), Column(f"Look{HYPHEN}ups", number=True),
           Column("What comes of it"))
ENDS = {"DELIVERED": "goes up to the node at {}", "FORWARDED": "is forwarded to {}", "DROPPED": "is dropped",
        "REJECTED": "is refused"}


def fate(found: Followed) -> str:
    """What became of a packet, in words: `is forwarded to 10.106.175.128:6443`."""
    words = ENDS[found.verdict].format(found.packet.destination)
    masqueraded = found.masqueraded and found.verdict in ("DELIVERED", "FORWARDED")
    return words + ", with the node's source" * masqueraded


def walk_table(found: Followed) -> Table:
    """The rules that a packet read, in order.

    >>> from k8slab.nft import follow
    >>> from k8slab.packet import Packet
    >>> chain = "chain a {\\n\\t\\ttype filter hook forward priority filter;\\n\\t\\tdrop\\n\\t}\\n}"
    >>> print(walk_table(follow(f"table ip t {{\\n\\t{chain}", Packet("tcp", "10.244.1.5", "10.96.0.1", 40000, 443))))
    10.244.1.5:40000 asks 10.96.0.1:443 and is dropped
    Chain  Rule  Look‑ups  What comes of it
    -----  ----  --------  ----------------
    a      drop         0  drop
    1 rule read, 0 look-ups.
    """
    rows = tuple((one.chain, one.rule.partition(" comment ")[0], str(one.lookups), _became(one)) for one in found.reads)
    note = (f"{found.rules} rule{'s' * (found.rules != 1)} read, "
            f"{found.lookups} look-up{'s' * (found.lookups != 1)}.")
    return Table(f"{found.sent.source} asks {found.sent.destination} and {fate(found)}", COLUMNS, rows, (note,))


def _became(one: Read) -> str:
    if not one.matched:
        return "no match"
    if one.verdict == "accept":
        return "the address is rewritten" if "dnat" in one.rule else "accept"
    return one.verdict.partition(" ")[0] if one.verdict else "goes on"

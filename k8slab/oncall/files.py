"""RULES from a file or from a pipe, packed with gzip or plain.

    ssh node iptables-save | k8slab trace - --from 10.244.1.5 --to 10.96.0.1:443
    k8slab trace node7.rules.gz --from 10.244.1.5 --to 10.96.0.1:443

A packed text is known by its first two bytes, so that it may come through a pipe, too.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from pathlib import Path

from k8slab import iptables
from k8slab.iptables import RulesError, Ruleset

GZIP = b"\x1f\x8b"
BIG = 1 << 20              # bytes of rules, some thousands, that are all read before anybody notices


def read_rules(name: str, whole: bool = True) -> Ruleset:
    """The rules in a file, `-` for standard input; of a big one as they are met, unless the `whole` is to be checked.

    Raises RulesError for what is no iptables-save text, and OSError for a file that cannot be read.
    """
    called = "standard input" if name == "-" else name
    data = unpacked(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes(), called)
    return iptables.parse(data, called, lazily=len(data) > BIG and not whole, foreign=True)


def unpacked(data: bytes, name: str) -> bytes:
    """The bytes of a text that may be packed with gzip; `name` is what errors call it.

    >>> unpacked(gzip.compress(b"*nat"), "rules.gz")
    b'*nat'

    Raises RulesError for a packed text that is damaged or cut off.
    """
    if not data.startswith(GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        said = str(error).partition(": ")[2] if isinstance(error, zlib.error) else str(error)
        raise RulesError(f"a gzip file that cannot be unpacked ({said})", "it may be cut off: pack it again",
                         file=name) from None

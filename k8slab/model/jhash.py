"""The hash by which the kernel spreads connections over a range of addresses: it looks random and is not.

find_best_ips_proto in nf_nat_core.c hashes the connection's source and, unless `--persistent` was said, its
destination, without a secret: one client always gets the same address of a range, on every node.
"""

from __future__ import annotations

from collections.abc import Sequence

from k8slab.packet import dotted, number

WORD = 0xFFFFFFFF
# Bob Jenkins' lookup3 (include/linux/jhash.h): what is subtracted, rotated and added, round by round.
MIX = ((4, "acb"), (6, "bac"), (8, "cba"), (16, "acb"), (19, "bac"), (4, "cba"))
FINAL = ((14, "cb"), (11, "ac"), (25, "ba"), (16, "cb"), (4, "ac"), (14, "ba"), (24, "cb"))


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> 32 - by) & WORD


def jhash2(words: Sequence[int], initial: int) -> int:
    """The kernel's jhash2 of 32-bit words; the result has 32 bits, too."""
    start = (0xDEADBEEF + (len(words) << 2) + initial) & WORD
    state = dict.fromkeys("abc", start)
    rest = list(words)
    while len(rest) > 3:
        for name, word in zip("abc", rest):
            state[name] = (state[name] + word) & WORD
        for by, (x, y, z) in MIX:
            state[x] = ((state[x] - state[y]) & WORD) ^ _rotated(state[y], by)
            state[y] = (state[y] + state[z]) & WORD
        rest = rest[3:]
    for name, word in zip("abc", rest):
        state[name] = (state[name] + word) & WORD
    for by, (x, y) in FINAL if rest else ():
        state[x] = ((state[x] ^ state[y]) - _rotated(state[y], by)) & WORD
    return state["c"]


def address_of_range(src: str, dst: str, low: str, high: str, *, persistent: bool = False) -> str:
    """The address from `low` to `high` that a connection from `src` to `dst` is given.

    >>> address_of_range("10.244.1.5", "10.96.0.1", "10.106.175.128", "10.106.175.131")
    '10.106.175.130'
    """
    first, size = number(low), number(high) - number(low) + 1
    hashed = jhash2((_little_endian(src), 0, 0, 0), 0 if persistent else _little_endian(dst))
    return dotted(first + (hashed * size >> 32))


def _little_endian(address: str) -> int:
    """The address as the kernel's hash reads it on the machines that clusters run on."""
    return int.from_bytes(number(address).to_bytes(4, "big"), "little")

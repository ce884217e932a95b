"""Tests that remember or that ask chance: recent, statistic and limit.

They read and change the node's memory, which a `Context` carries, and so are made only when every test before
them hit, as in the kernel. Sources: net/netfilter/xt_recent.c, xt_statistic.c, xt_limit.c (and nft_limit.c,
to which iptables-nft translates it).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from k8slab.iptables.context import Answer, CannotTell, Context, Miss, Place
from k8slab.iptables.kinds import PROBABILITY
from k8slab.iptables.options import Extension
from k8slab.packet import UNKNOWN, dotted, number

# Module parameters of xt_recent: addresses in a list, and time stamps of an address where no rule asks for
# more.
LIST_LIMIT = 100
STAMP_LIMIT = 32


@dataclass(slots=True)
class Entry:
    """One address of a recent list: the times it was seen, and the TTL it last had."""

    ttl: int
    stamps: list[float] = field(default_factory=list)

    def stamp(self, now: float, limit: int) -> None:
        """Note that the address was seen now; the oldest time makes way."""
        self.stamps.append(now)
        del self.stamps[:-limit]


RecentList = dict[int, Entry]        # in the order of their last update, the oldest first


def check_recent(match: Extension, ctx: Context, place: Place) -> Answer:
    """Look an address up in its list, and set, update or remove it there (xt_recent.c, recent_mt)."""
    side, masked = ("source", ctx.packet.src) if "--rsource" in match else ("destination", ctx.packet.dst)
    if masked == UNKNOWN:
        return CannotTell("recent", f"the {side} address of this packet is not known")
    entries: RecentList = ctx.memory.setdefault(("recent", match.value("--name")), {})
    address = number(masked) & match.value("--mask")
    entry = entries.get(address)
    if entry and "--rttl" in match and _ttl(ctx) != entry.ttl and entry.ttl:
        entry = None
    found = entry is not None and _seen(match, entry, ctx.now)
    if "--set" in match:
        found = True
    hit = found != match.given[0].negated
    if entry and "--reap" in match:
        _reap(entries, entry, ctx.now - match.value("--seconds"), "--update" in match and hit)
    if "--set" in match or (entry and "--update" in match and hit):
        _update(entries, address, ctx, max(STAMP_LIMIT, match.value("--hitcount", 0)))
    elif entry and "--remove" in match:
        entries.pop(address, None)
    return None if hit else _recent_miss(match, dotted(address), side, found)


def _ttl(ctx: Context) -> int:
    """The TTL that the packet came in with: where it is being forwarded, one has been taken off already."""
    return ctx.packet.ttl + bool(ctx.iif and ctx.oif)


def _seen(match: Extension, entry: Entry, now: float) -> bool:
    """Whether an address that is on the list was seen often enough in the last seconds."""
    if "--rcheck" not in match and "--update" not in match:
        return True
    since = now - match.value("--seconds", now + 1)
    return sum(stamp >= since for stamp in entry.stamps) >= max(1, match.value("--hitcount", 1))


def _reap(entries: RecentList, working: Entry, since: float, updated: bool) -> None:
    """Forget the oldest address of the list if it has not been seen since then."""
    address, oldest = next(iter(entries.items()))
    if not (oldest is working and updated) and oldest.stamps[-1] < since:
        del entries[address]


def _update(entries: RecentList, address: int, ctx: Context, limit: int) -> None:
    entry = entries.pop(address, None)
    if entry is None:
        if len(entries) >= LIST_LIMIT:
            del entries[next(iter(entries))]
        entry = Entry(_ttl(ctx))
    entry.ttl = _ttl(ctx)
    entry.stamp(ctx.now, limit)
    entries[address] = entry


def _recent_miss(match: Extension, address: str, side: str, found: bool) -> Miss:
    often = f"{match.value('--hitcount')} times " if "--hitcount" in match else ""
    when = f"in the last {match.value('--seconds')} seconds" if "--seconds" in match else "before"
    wanted = f"seen {often}{when} in list {match.value('--name')}"
    return Miss(f"recent {side} address", wanted, address, negated=found)


def check_statistic(match: Extension, ctx: Context, place: Place) -> Answer:
    """One packet in so many, by chance or by counting (xt_statistic.c)."""
    if match.value("--mode") == "nth":
        every, key = match.value("--every"), ("nth", *place, match)
        count = ctx.memory.get(key, every - 1 - match.value("--packet")) + 1
        ctx.memory[key] = count % every
        if (count % every == 0) != match.negated("--every"):
            return None
        turn = match.value("--packet")
        return Miss("statistic nth: the packet's number", f"{turn} (of 0 to {every - 1})",
                    f"{(count + turn) % every}",
                    negated=match.negated("--every"))
    threshold = match.value("--probability")
    if ctx.draw is None:
        return CannotTell("statistic random",
                          "chance decides, and no source of chance was given; give --seed")
    drawn, negated = ctx.draw(threshold), match.negated("--probability")
    if (drawn < threshold) != negated:
        return None
    return Miss("statistic random: the draw", f"below {PROBABILITY.save(threshold)}", PROBABILITY.save(drawn),
                negated=negated)


def check_limit(match: Extension, ctx: Context, place: Place) -> Answer:
    """A token bucket: it holds `--limit-burst` packets, and fills up at the rate of `--limit`."""
    period = match.value("--limit") * 100_000                   # nanoseconds that one packet costs
    full, now = period * (match.value("--limit-burst", 5) or 5), round(ctx.now * 1e9)
    key = ("limit", *place, match)
    credit, last = ctx.memory.get(key, (full, now))
    credit = min(full, credit + now - last)
    if credit < period:
        ctx.memory[key] = credit, now
        return Miss("limit: the credit", f"1 packet or more ({match.show(True)[7:]})",
                    f"{credit / period:.2f}")
    ctx.memory[key] = credit - period, now
    return None



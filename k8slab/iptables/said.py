"""What a rule asks for and does, in words: those of a miss, so that hits and misses read alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from k8slab.iptables.kinds import PROBABILITY
from k8slab.iptables.options import Extension, Given
from k8slab.iptables.rule import Rule


def comment(rule: Rule) -> str:
    """The rule's comment, "" where it has none; Calico's rules have two.

    >>> from k8slab.iptables import read_rule
    >>> comment(read_rule('-A X -m comment --comment cali:Za7 -m comment --comment "Unknown interface" -j DROP'))
    'cali:Za7, Unknown interface'
    """
    return ", ".join(match.value("--comment") for match in rule.matches if match.name == "comment")


def asks(rule: Rule) -> str:
    """What a rule asks of a packet; its comment, which asks for nothing, is left out.

    >>> from k8slab.iptables import read_rule
    >>> asks(read_rule("-A X ! -s 10.244.0.0/16 -p tcp --dport 443 -j KUBE-MARK-MASQ"))
    'source address not in 10.244.0.0/16, protocol tcp, destination port 443'
    """
    said = [words for match in rule.matches if match.name != "comment" for words in _tests(match)]
    return ", ".join(said) or "every packet"


def does(rule: Rule) -> str:
    """What a rule does with a packet that hits: `jump KUBE-SERVICES`, or a target as `iptables -L` says it.

    >>> from k8slab.iptables import read_rule
    >>> does(read_rule("-A X -p tcp -j DNAT --to-destination 10.106.175.128:6443"))
    'DNAT to:10.106.175.128:6443'
    """
    target = rule.target
    if target is None:
        return "only counts"
    if target.kind in ("jump", "goto"):
        return f"{target.kind} {target.name}"
    shown = target.show(True)
    return shown if shown.startswith(target.name) else f"{target.name} {shown}".rstrip()


def _tests(match: Extension) -> Iterator[str]:
    if match.spec is None:
        yield f"{match.show(True)} (not modelled)"
    elif match.name in _SAID:
        yield _SAID[match.name](match)
    else:
        yield from map(_given, match.given)


def _given(given: Given) -> str:
    """`source address not in 10.244.0.0/16`; an option without a value is its label alone."""
    kind, label = given.option.kind, given.option.label
    if not kind.words:
        return f"{'not ' * given.negated}{label}"
    return f"{label}{' not' * given.negated}{' in' * kind.within(given.value)} {kind.say(given.value)}"


def _statistic(match: Extension) -> str:
    if match.value("--mode") == "random":
        return f"by chance, {chance(match)}"
    return f"{chance(match)} packets, counting from {match.value('--packet')}"


def _recent(match: Extension) -> str:
    side = "source" if "--rsource" in match else "destination"
    words = [f"{side} address", *["not"] * match.given[0].negated, f"in list {match.value('--name')}"]
    words += [f"seen {match.value('--hitcount')} times"] if "--hitcount" in match else []
    words += [f"in the last {match.value('--seconds')} seconds"] if "--seconds" in match else []
    acts = {"--set": "writes the", "--remove": "strikes out the", "--update": "renews the"}
    return " ".join([acts[name] for name in acts if name in match] + words)


def _addrtype(match: Extension) -> str:
    sides = {"--src-type": "source address", "--dst-type": "destination address"}
    return ", ".join(f"{sides[given.option.name]}{' not' * given.negated} of type {' or '.join(given.value)}"
                     for given in match.given if given.option.name in sides)


# The matches whose options have no words of their own one by one.
_SAID: dict[str, Callable[[Extension], str]] = {
    "statistic": _statistic, "recent": _recent, "addrtype": _addrtype,
    "limit": lambda match: match.show(True).replace("limit: avg", "at most").replace("burst", "in bursts of"),
    "nfacct": lambda match: f"every packet, counted in {match.value('--nfacct-name')}",
}


def chance(match: Extension) -> str:
    """The chance of a `statistic` match as iptables-save prints it, or `1 in 3` for --mode nth."""
    if match.value("--mode") == "nth":
        return f"{'all but ' * match.negated('--every')}1 in {match.value('--every')}"
    return "all but " * match.negated("--probability") + PROBABILITY.save(match.value("--probability"))

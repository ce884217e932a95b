"""What `iptables -S` and `iptables -L` print.

Column widths and spellings are those of iptables 1.8.9 (nf_tables), xshared.c. Names of hosts and services
are printed without -n, from the small tables in names.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from k8slab.iptables.draft import DraftChain, DraftTable
from k8slab.iptables.names import HOST_NAMES, NETWORK_NAMES
from k8slab.iptables.rule import Rule
from k8slab.iptables.values import WHOLE, mask_text, save_protocol
from k8slab.packet import dotted


@dataclass(frozen=True, slots=True)
class Style:
    """How to list: -n, -v, -x and --line-numbers."""

    numeric: bool = False
    verbose: bool = False
    exact: bool = False
    numbered: bool = False


def list_rules(table: DraftTable, chains: Sequence[DraftChain], position: int, style: Style) -> Iterator[str]:
    """The lines of `iptables -S`; `position` of 0 is the whole chain."""
    if not position:
        for chain in chains:
            packets, octets = _counters(chain)
            counters = f" -c {packets} {octets}" if style.verbose else ""
            yield f"-P {chain.name} {chain.policy}{counters}" if chain.policy else f"-N {chain.name}"
    for chain in chains:
        for at, rule in enumerate(chain.rules, 1):
            if position in (0, at):
                yield _with_counters(rule) if style.verbose else rule.normal


def _counters(thing: DraftChain | Rule) -> tuple[int, int]:
    return thing.counters or (0, 0)


def _with_counters(rule: Rule) -> str:
    target = f" {rule.target.save()}" if rule.target else ""
    head = rule.normal[:len(rule.normal) - len(target)]
    return f"{head} -c {_counters(rule)[0]} {_counters(rule)[1]}{target}"


def list_chains(table: DraftTable, chains: Sequence[DraftChain], position: int,
                style: Style) -> Iterator[str]:
    """The lines of `iptables -L`; `position` of 0 is the whole chain."""
    references = table.references()
    for count, chain in enumerate(chains):
        if not position:
            yield from [""] * bool(count)
            yield _heading(chain, references.get(chain.name, 0), style)
            yield _columns(style)
        for at, rule in enumerate(chain.rules, 1):
            if position in (0, at):
                yield _row(rule, at, style)


def _heading(chain: DraftChain, references: int, style: Style) -> str:
    if not chain.policy:
        return f"Chain {chain.name} ({references} references)"
    packets, octets = (_short(number, style).strip() for number in _counters(chain))
    counters = f" {packets} packets, {octets} bytes" if style.verbose else ""
    return f"Chain {chain.name} (policy {chain.policy}{counters})"


def _columns(style: Style) -> str:
    words = "num  " if style.numbered else ""
    if style.verbose:
        words += "    pkts      bytes " if style.exact else " pkts bytes "
    words += "target     prot opt "
    return words + ("in     out     " if style.verbose else "") + "source               destination         "


def _short(number: int, style: Style) -> str:
    """A counter in five columns: 99999, 100K, 10M (xtables_print_num)."""
    if style.exact:
        return f"{number:8} "
    if number <= 99999:
        return f"{number:5} "
    for unit in "KMG":
        number = (number + 500) // 1000
        if number <= 9999:
            return f"{number:4}{unit} "
    return f"{(number + 500) // 1000:4}T "


def _row(rule: Rule, position: int, style: Style) -> str:
    base = {given.option.name: given for match in rule.matches[:1] for given in match.given}
    protocol, fragment = base.get("-p"), base.get("-f")
    number = protocol.value if protocol else 0
    text = f"{position:<4} " if style.numbered else ""
    if style.verbose:
        text += "".join(_short(counter, style) for counter in _counters(rule))
    text += f"{_target_name(rule):<9} {'!' if protocol and protocol.negated else ' '}"
    text += f"{number if style.numeric else save_protocol(number):<4} "
    text += "-- " if fragment is None else "!f " if fragment.negated else "-f "
    if style.verbose:
        text += f" {_interface(base.get('-i'), style):<6} {_interface(base.get('-o'), style):<6} "
    text += "".join(_address(base.get(name), style) for name in ("-s", "-d"))
    if rule.target and rule.target.kind == "goto":
        text += "[goto] "
    return text + "".join(f" {word}" for word in _shown(rule, style))


def _target_name(rule: Rule) -> str:
    name = rule.target.name if rule.target else ""
    return "CT" if name == "NOTRACK" else name


def _interface(given, style: Style) -> str:
    if given is None:
        return "*" if style.numeric else "any"
    return ("!" if given.negated else "") + given.value


def _address(given, style: Style) -> str:
    address, mask = given.value if given else (0, 0)
    text = dotted(address)
    if not style.numeric and not mask:
        return f"{' '}{'anywhere':<19} "
    if mask == WHOLE:
        text = text if style.numeric else HOST_NAMES.get(text) or NETWORK_NAMES.get(text, text)
    else:
        text = f"{text if style.numeric else NETWORK_NAMES.get(text, text)}/{mask_text(mask)}"
    return f"{'!' if given and given.negated else ' '}{text:<19} "


def _shown(rule: Rule, style: Style) -> Iterator[str]:
    """What matches and target say of themselves."""
    for part in (*rule.matches, *([rule.target] if rule.target else [])):
        if text := part.show(style.numeric):
            yield text

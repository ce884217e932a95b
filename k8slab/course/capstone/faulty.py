"""Two faults put into a cluster's rules, and what is known of each: where it is, and which packets show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from k8slab import iptables
from k8slab.course.capstone.dice import Dice, SeedError
from k8slab.course.capstone.asking import Asked
from k8slab.course.capstone.drawn import Drawn
from k8slab.course.capstone.incidents import MAP, Incident
from k8slab.course.capstone.place import Place, place
from k8slab.course.capstone.survey import alike, fates
from k8slab.iptables import Ruleset

# Faults of a source address alone, which nobody would see where nothing is masqueraded any more.
SOURCE_ALONE = ("no-mark", "no-hairpin", "no-nodeport-mark")


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault, and where it is."""

    incident: Incident
    place: Place

    @property
    def report(self) -> str:
        """What people say of it."""
        return self.incident.report_of(self.place)


def broken(drawn: Drawn, faults: Sequence[Fault]) -> Ruleset:
    """The node's rules with these faults: what kube-proxy had heard first, then what was done to what it wrote."""
    items = drawn.items
    for one in faults:
        if one.incident.heard:
            items = one.incident.heard(items, one.place)
    rules = iptables.parse(drawn.rules(items))
    for one in faults:
        for command in one.incident.commands(one.place):
            rules = iptables.run(rules, command)[0]
    return iptables.parse(str(rules.normal()))


def put_two(drawn: Drawn, dice: Dice, names: Sequence[str] = ()) -> tuple[Fault, Fault]:
    """Two faults: one of the Service `kubernetes`, one of another.

    `names`: the kinds, where they are not to be drawn. Raises SeedError where no Service can have them.
    """
    wanted = names or ("", "")
    ports = sorted(drawn.objects.ports, key=lambda one: one.key)
    kubernetes = next(one for one in ports if (one.namespace, one.service) == ("default", "kubernetes"))
    first = place(drawn, kubernetes, dice)
    firsts = [kind for kind in MAP if kind.at != "ordinary" and kind.fits(first) and wanted[0] in ("", kind.name)]
    if not firsts:
        raise SeedError(f"in this cluster the Service kubernetes cannot have the fault {wanted[0] or 'any'!r}")
    one = dice.pick(firsts)
    others = [place(drawn, port, dice) for port in ports if port is not kubernetes and port.protocol == "tcp"]
    others = [where for where in others if where.ends]
    kinds = [kind for kind in MAP if kind.at != "kubernetes" and kind.name != one.name
             and not (one.wide and kind.name in SOURCE_ALONE) and wanted[1] in ("", kind.name)
             and any(map(kind.fits, others))]
    if not kinds:
        raise SeedError(f"in this cluster no other Service can have the fault {wanted[1] or 'any'!r} "
                        f"beside {one.name!r}")
    other = dice.pick(kinds)
    return Fault(one, first), Fault(other, dice.pick([where for where in others if other.fits(where)]))


def chains(rules: Ruleset) -> dict[tuple[str, str], tuple[str, ...]]:
    """What each chain says: by table and chain, its policy and its rules."""
    return {(table.name, chain.name): (chain.policy or "", *(rule.text for rule in chain.rules))
            for table in rules.tables for chain in table.chains}


def shows(asked: Asked, drawn: Drawn, one: Ruleset, other: Ruleset) -> bool:
    """Whether a packet fares otherwise by the one rules than by the other."""
    return not alike(fates(asked, drawn, one), fates(asked, drawn, other))

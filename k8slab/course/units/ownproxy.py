"""What unit 10's learner builds a kube-proxy from, and what it is held to.

    objects ── the learner's functions, in place of the unit's own ──> text ── iptables-restore ──> rules
                                                                                                     ║ equal?
    objects ── a real kube-proxy 1.36.2, recorded (k8slab/data/golden) ────────────────────────────> rules

Two texts are compared as `iptables-save` prints them, and all of it, but for what two syncs of the real one do not
share either: the order of Services within KUBE-SERVICES, which is a Go map's, and the words `-m nfacct`, which it
writes where the kernel counts packets for it.
"""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from importlib import resources

from k8slab.course.functions import called, has_return, moved, shown
from k8slab.course.outcome import NOT_YET, Unfit
from k8slab.course.units.ownparts import PARTS, WORKED
from k8slab.errors import Told
from k8slab.iptables import Ruleset, RulesError
from k8slab.kubeproxy import Config, Node, Proxier, pod_cidr, read_objects, setup
from k8slab.lab import kube_proxy_rules
from k8slab.network import POD_RANGE

CONFIG = Config(Node("k8smaster", ("10.106.175.128",)), pod_cidr(POD_RANGE))
# The recorded clusters in which there is nothing that the unit leaves out.
HELD = ("01-kubernetes", "13-headless-and-unnamed", "02-dns", "04-no-endpoints", "03-many-endpoints")
GOLDEN = resources.files("k8slab") / "data" / "golden"
YOURS = "your text"


def recorded(name: str) -> list[dict]:
    """The Services and EndpointSlices of a recorded cluster, as its API server returned them.

    >>> [one["metadata"]["name"] for one in recorded("01-kubernetes")]
    ['kubernetes', 'kubernetes']
    """
    return json.loads((GOLDEN / f"{name}.objects.json").read_text(encoding="utf-8"))["items"]


def recorded_names() -> list[str]:
    """The names of all recorded clusters.

    >>> recorded_names()[0]
    '01-kubernetes'
    """
    end = ".objects.json"
    return sorted(one.name.removesuffix(end) for one in GOLDEN.iterdir() if one.name.endswith(end))


class FrameError(Told, Unfit):
    """Rules or names of chains that are no lists of texts; a check says it, and so does a cell."""

    def __init__(self, says: str) -> None:
        Unfit.__init__(self, NOT_YET, says)


def _listed(name: str, given: object) -> list[str]:
    """The texts as a list; raises FrameError where there is a list among them, or a text's single characters."""
    whole = isinstance(given, Iterable) and not isinstance(given, str)
    items = list(given) if whole else [given]
    wrong = [one for one in items if not whole or not isinstance(one, str) or len(one) == 1]
    if wrong:
        raise FrameError(f"`{name}` is a list of texts: a list is added with `+=`, one text with `.append(…)`. "
                         f"{'In it is' if whole else 'It is'} {shown(wrong[0])}.")
    return items


def frame(refused: Iterable[str], chains: Iterable[str], rules: Iterable[str]) -> str:
    """The text for `iptables-restore --noflush` around the rules of Services; what is there in every cluster is in it.

    `refused`: rules for the table filter. `chains`: names of chains of nat, and `rules`: rules for that table. Raises
    FrameError where one of them is no list of texts.

    >>> print(frame([], ["KUBE-SVC-NPX46M4PTMTKRN6Y"], []).partition("*nat")[2].splitlines()[5])
    :KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
    """
    refused, chains, rules = (
        _listed(*one) for one in (("refused", refused), ("chains", chains), ("rules", rules)))
    tables = []
    for table, more_chains, more in zip(_empty().split("COMMIT\n"), ([], chains), (refused, rules)):
        lines = table.splitlines()
        heads = [line for line in lines if line[0] in "*:"] + [f":{chain} - [0:0]" for chain in more_chains]
        own = [line for line in lines if line[0] == "-"]
        last = [line for line in own if "must be the last rule" in line]
        tables += [*heads, *(line for line in own if line not in last), *more, *last, "COMMIT"]
    return "\n".join([*tables, ""])


@functools.cache
def _empty() -> str:
    return Proxier(CONFIG).sync(read_objects([])).text


@functools.cache
def start() -> Ruleset:
    """The rules of a node before the first text: the jumps from the built-in chains, and no Service."""
    return Ruleset().restore(setup(CONFIG), noflush=True).restore(frame([], [], []), noflush=True)


def restored(text: str, before: Ruleset | None = None) -> Ruleset:
    """The rules after a text; raises Unfit for one that iptables would refuse, with its line and what is wrong."""
    try:
        return (before or start()).restore(text, noflush=True, name=YOURS)
    except RulesError as error:
        lines = text.splitlines()
        line = lines[error.line - 1] if error.line and error.line <= len(lines) else ""
        what = str(error).removeprefix(f"{YOURS}:").lstrip("0123456789: ").replace("`", "'")
        raise Unfit(NOT_YET, f"iptables refuses line {error.line} of the text, `{line[:200]}`: {what}.") from None


def lines_of(rules: Ruleset | str) -> list[str]:
    """Rules as `iptables-save` prints them, those in KUBE-SERVICES sorted, since they come in no order of their own."""
    found: list[str] = []
    lines = (str(rules.normal()) if isinstance(rules, Ruleset) else rules).splitlines()
    for inside, group in groupby(lines, lambda line: line.startswith("-A KUBE-SERVICES ")):
        found += sorted(group) if inside else group
    return found


@functools.cache
def real(name: str) -> tuple[str, ...]:
    """The lines that the real kube-proxy wrote for a recorded cluster."""
    return tuple(lines_of(kube_proxy_rules(f"{name}.iptables-save")))


def expected(objects: Sequence[dict], name: str = "") -> list[str]:
    """The lines for a cluster: the recorded ones where it has a name, else the package's own kube-proxy's."""
    if name:
        return list(real(name))
    return lines_of(start().restore(Proxier(CONFIG).sync(read_objects(objects)).text, noflush=True))


@dataclass(frozen=True, slots=True)
class Difference:
    """Where rules are not as wanted: how many lines, and the first rule of each side, "" for none."""

    count: int
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.count} line{'s differ' if self.count != 1 else ' differs'}"


def difference(wanted: Sequence[str], found: Sequence[str]) -> Difference | None:
    """The first difference, None where there is none; of chains and rules a rule is told first.

    >>> difference(["-A KUBE-SERVICES -j DROP"], ["-A KUBE-SERVICES -j REJECT"])
    Difference(count=2, wanted='-A KUBE-SERVICES -j DROP', found='-A KUBE-SERVICES -j REJECT')
    """
    missing, more = (list((Counter(one) - Counter(other)).elements())
                     for one, other in ((wanted, found), (found, wanted)))
    if not missing and not more:
        at = next((pair for pair in zip(wanted, found) if pair[0] != pair[1]), None)
        return Difference(2, *at) if at else None           # the same lines in another order
    told = [sorted(lines, key=lambda line: not line.startswith("-A")) for lines in (missing, more)]
    first = told[0][0] if told[0] else ""
    chain = " ".join((first or told[1][0]).split()[:2])
    alike = next((line for line in told[1] if line.startswith(f"{chain} ")), "")
    kin = next((line for line in told[1] if line.startswith(chain[:len("-A KUBE-SEP-")])), "")   # of another name
    return Difference(len(missing) + len(more), first, (alike or kin) if first else told[1][0])


def _texts(value: object) -> list[str] | None:
    good = isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
    return list(value) if good else None


# What a part gives: how it is told, and how a value is made of what came, None where it is no such thing.
GIVES: dict[str, tuple[str, Callable[[object], object]]] = {
    "a name": ("the name of a chain is wanted", lambda value: value if isinstance(value, str) else None),
    "a text": ("a text is wanted, as `frame` makes it", lambda value: value if isinstance(value, str) else None),
    "rules": ("a list of rules is wanted, each a text", _texts),
    "ends": ("a list of texts is wanted, each `address:port`", _texts),
    "a truth": ("True or False is wanted", lambda value: bool(value) if value is not None else None),
}
UNORDERED = {"rules": "a set has no order; give a list.", "ends": "a set has no order; give `sorted(…)`."}


def _told(value: object) -> str:
    """An argument in a few words: objects of the API by kind and name."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return f"[{', '.join(map(_told, value[:2]))}{', ...' if len(value) > 2 else ''}]"
    meta = value.get("metadata") if isinstance(value, dict) else None
    return f"{value['kind']} {meta['namespace']}/{meta['name']}" if meta else shown(value)


def guarded(name: str, function: Callable) -> Callable:
    """A part that raises Unfit where it gives something of another kind; what it is given is its own copy."""
    kind = PARTS[name].gives
    wanted, made_of = GIVES[kind]
    returns = has_return(function)

    def part(*arguments: object) -> object:
        value = function(*copy.deepcopy(arguments))
        if hasattr(value, "__next__"):
            value = list(value)                                  # rules that come by `yield` are rules
        if value is None and returns and kind == "a truth":
            return False                                         # as Python has it: `return ip and ip != "None"`
        made = made_of(value)
        if made is None:
            told = ", ".join(map(_told, arguments))
            missing = "." if value is not None or returns else ". Is there a `return`?"
            unlike = f": {UNORDERED[kind]}" if isinstance(value, (set, frozenset)) and kind in UNORDERED else missing
            raise Unfit(NOT_YET, f"`{name}({told})` gave {shown(value)}; {wanted}{unlike}")
        return made

    return part


def assembled(name: str = "", part: Callable | None = None) -> dict[str, object]:
    """The unit's own kube-proxy, name to function, and in it one part of the learner's in place of the unit's.

    It is the solutions of the exercises and what the notebook shows, with what the notebook imports, and nothing else.
    """
    scope: dict[str, object] = {"base64": base64, "hashlib": hashlib, "frame": frame}
    for text in (WORKED, *(one.solution for one in PARTS.values())):
        exec(compile(text, "<unit 10>", "exec", dont_inherit=True), scope)  # noqa: S102 - our own text
    if part:
        scope[name] = guarded(name, moved(part, {key: value for key, value in scope.items() if key != name}))
    return scope


def written(name: str, part: Callable | None, objects: Sequence[dict], *there: Sequence[str]) -> str:
    """The text for these objects, with one part of the learner's; `there`: the chains that are there, for `sync`.

    Raises Unfit where that part raises, does not come back, or gives what it should not.
    """
    main = assembled(name, part)["sync" if there else "kube_proxy"]
    return called(main, copy.deepcopy(list(objects)), *there, name=name)

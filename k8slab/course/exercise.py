"""Exercise: a task whose answer is tried on packets, with hints, a solution and the faults that were foreseen.

    answer ── attempt ──> a lab that the answer has changed, and probes
                              └─ sent ─> traces ─> "3 of 6 packets go where they should", and why the first did not

An attempt is one of the functions below: `commands` runs the lines of a text on a node, `in_order` puts rules
into a chain in the order that was chosen, `mended` takes the lab that the learner has repaired. A new kind of
exercise is one more such function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from k8slab import iptables
from k8slab.course.outcome import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, RIGHT, Outcome, Unfit
from k8slab.course.probe import Probe, Sent, explain
from k8slab.errors import CommandError, Told
from k8slab.iptables import RulesError
from k8slab.lab import Lab
from k8slab.magic import program

BLANK = "____"
OTHER_LAB = 'That is another lab. Run the cell with `broken("{}")` once more, and go on from there.'
# What an answer may run: on the real kernel a command is the real program, and sees the learner's own files.
PROGRAMS = ("iptables", "conntrack", "ip", "sysctl")
# What is tried: probes to be sent, or what is to be said where packets tell nothing.
Attempt = Callable[[Lab, object], Sequence[Probe] | Outcome]
Rules = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake that was foreseen: how packets tell it, and what to say about it."""

    says: str
    when: Callable[[Sequence[Sent]], bool]


@dataclass(frozen=True, slots=True)
class Help:
    """What is told to one who asks for help: hints from the gentlest on, an answer that passes, and why it does."""

    hints: tuple[str, ...]
    solution: object
    why: str


@dataclass(frozen=True, slots=True)
class Exercise:
    """A task for the learner.

    `asks`: the task, a sentence. `blank`: the answer as the notebook has it before it is touched. `attempt`: makes the
    answer's changes in a new lab of `make` and gives the probes to send. `hints`: from the gentlest on. `solution`: an
    answer that passes; `why`: its explanation. `faults`: the first that fits is told. `items`: for an ordering task.
    `own`: help for the case of the learner who gave an answer, or None so far, where each has one of his own.
    `fault`: the fault of the lab that is to be mended, by which that lab is known.
    """

    key: str
    asks: str
    blank: object
    attempt: Attempt
    hints: tuple[str, ...]
    solution: object
    why: str
    faults: tuple[Fault, ...] = ()
    make: Callable[[], Lab] = Lab
    items: tuple[str, ...] = ()
    own: Callable[[object], Help] | None = None
    fault: object = None

    def help(self, answer: object = None) -> Help:
        """What is told to one who asks for help after this answer."""
        return self.own(answer) if self.own else Help(self.hints, self.solution, self.why)

    def grade(self, answer: object) -> Outcome:
        """Say what the answer does to packets; nothing is raised, whatever the answer is."""
        if self._untouched(answer):
            return Outcome(NOT_ATTEMPTED, self.asks)
        try:
            if hasattr(answer, "touched"):       # an Incident knows what was done in it: there is nothing to compare
                return self._tried(answer, answer, {})
            with self.make() as new:             # the learner's own lab stays open, whatever becomes of this one
                before = rules_of(new)
                outcome = self._tried(answer if isinstance(answer, Lab) else new, answer, before)
                same = isinstance(answer, Lab) and rules_of(answer) == before and answer.network == new.network
                if outcome.kind != RIGHT and same:
                    return Outcome(NOT_ATTEMPTED, self.asks)     # as it was given, whatever its packets do
                return outcome
        except (Told, ValueError) as error:
            return Outcome(NOT_YET, f"The lab does not take this answer: {error}")

    def _tried(self, lab: Lab, answer: object, before: Rules) -> Outcome:
        """What becomes of the packets; `before`: the rules that are not the learner's."""
        try:
            probes = self.attempt(lab, answer)
            if isinstance(probes, Outcome):
                return probes
            mine = set(chain.from_iterable(rules_of(lab).values())) - set(chain.from_iterable(before.values()))
            return verdict([probe.send(lab) for probe in probes], mine, self.faults)
        except Unfit as unfit:
            return unfit.outcome

    def _untouched(self, answer: object) -> bool:
        if isinstance(answer, str):
            return _bare(answer) in ("", _bare(str(self.blank)))
        return answer is None or answer is Ellipsis or type(answer) is type(self.blank) and answer == self.blank


def rules_of(lab: Lab) -> Rules:
    """The rules of every node, by its name, as `iptables-save` prints them; without what policies have counted.

    >>> with Lab("model") as lab:
    ...     rules_of(lab)["worker1"][0]
    ':PREROUTING ACCEPT'
    """
    nodes = [host.name for host in lab.network.hosts if host.kind == "node"]
    return {
        node: tuple(
            line.partition(" [")[0] if line[0] == ":" else line
            for line in lab.dataplane.run(node, "iptables-save").splitlines() if line.startswith(("-A", ":"))
        )
        for node in nodes
    }


def verdict(sent: Sequence[Sent], mine: Iterable[str], faults: Iterable[Fault]) -> Outcome:
    """What became of packets; `mine`: the rules that are the answer's, `faults`: the first that fits is told.

    >>> verdict([], (), ())
    Right. 0 of 0 packets go where they should.
    """
    unknown = next((one.trace.reason for one in sent if one.trace.verdict == "UNKNOWN"), "")
    if unknown:
        return Outcome(CANNOT_CHECK, f"The packet's way cannot be told: {unknown}")
    wrong = [(number, one) for number, one in enumerate(sent, 1) if one.wrong]
    right = len(sent) - len(wrong)
    count = (
        ("The packet goes where it should." if right else "The packet does not go where it should.")
        if len(sent) == 1
        else f"{right} of {len(sent)} packets go where they should."
    )
    if not wrong:
        return Outcome(RIGHT, count)
    foreseen = next(((fault.says,) for fault in faults if fault.when(sent)), ())
    return Outcome(NOT_YET, count, (*foreseen, *explain(*wrong[0], mine)))


def _bare(text: str) -> str:
    """A text without comments, blank lines and white space at the ends of lines."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def commands(node: str, *probes: Probe) -> Attempt:
    """The answer is a text of commands, one a line, which are run on `node`."""

    def attempt(lab: Lab, answer: object) -> Sequence[Probe]:
        if not isinstance(answer, str):
            raise Unfit(CANNOT_CHECK, f"The answer is {_kind(answer)}; a text of commands is wanted, one a line.")
        if BLANK in answer:
            raise Unfit(NOT_YET, f"There is still a blank, {BLANK}, in the answer.")
        for number, line in enumerate(_bare(answer).splitlines(), 1):
            if program(line) not in PROGRAMS:
                raise Unfit(NOT_YET, f"{node} refuses command {number}, `{line}`: it may be {' or '.join(PROGRAMS)}.")
            try:
                lab.run(node, line)
            except (RulesError, CommandError) as error:
                said = str(error).splitlines()[0].replace("`", "'")
                why = [one for one in _explained(lab, node, line) if one != said]
                raise Unfit(NOT_YET, f"{node} refuses command {number}, `{line}`: {said}", *why) from None
        return probes

    return attempt


def _explained(lab: Lab, node: str, line: str) -> list[str]:
    """What is wrong with an iptables command, in our words: the program's are few, and differ between versions."""
    if line.startswith("iptables "):
        try:
            iptables.run(iptables.parse(lab.run(node, "iptables-save")), line)
        except RulesError as error:
            return [str(error)]
    return []


def in_order(node: str, rules: Sequence[str], *probes: Probe) -> Attempt:
    """The answer is a list of all `rules` in some order, in which they are appended on `node`."""

    def attempt(lab: Lab, answer: object) -> Sequence[Probe]:
        if not isinstance(answer, (list, tuple)):
            raise Unfit(CANNOT_CHECK, f"The answer is {_kind(answer)}; a list of the rules is wanted.")
        if sorted(map(str, answer)) != sorted(rules):
            raise Unfit(CANNOT_CHECK, "The list must hold each of the rules once, and nothing else.")
        for rule in answer:
            lab.run(node, f"iptables {rule}")
        return probes

    return attempt


def mended(*probes: Probe) -> Attempt:
    """The answer is the lab itself, repaired; any remedy will do."""

    def attempt(lab: Lab, answer: object) -> Sequence[Probe]:
        if not isinstance(answer, Lab):
            raise Unfit(CANNOT_CHECK, f"The answer is {_kind(answer)}; the lab is wanted.")
        return probes

    return attempt


def _kind(answer: object) -> str:
    name = type(answer).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"

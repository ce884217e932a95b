"""Unit 10's reference, put together of what its notebook teaches and no more, is a kube-proxy: by text and packet."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from k8slab import course
from k8slab.course import functions
from k8slab.course.catalogue import UNITS
from k8slab.course.outcome import NOT_YET, RIGHT
from k8slab.course.progress import Progress
from k8slab.course.units import owncheck
from k8slab.course.units.owncheck import PartError, chain_names, compared, nodes, ours, whose, working
from k8slab.course.units.ownclusters import CLUSTERS, MOVES
from k8slab.course.units.ownparts import PARTS, WORKED
from k8slab.course.units.ownproxy import HELD, Difference, FrameError, assembled, difference, frame, recorded
from k8slab.iptables import Ruleset, RulesError
from k8slab.kubeproxy import Config, Node, pod_cidr, setup
from k8slab.lab import Lab, kube_proxy_rules
from k8slab.trace import compare
from tests.course.answers_10 import altered, filled
from tests.kubeproxy.golden import in_order
from tests.kubeproxy.golden import objects as items
from tests.kubeproxy.golden import recorded as dump

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "10-write-your-own-kube-proxy.ipynb"
CELLS = ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
EXERCISES = {exercise.key: exercise for exercise in UNITS["10"].exercises}


def names() -> dict[str, Callable]:
    """What a learner's notebook knows when every exercise has been answered by its solution, and nothing else."""
    scope: dict = {}
    for text in (CELLS[0], WORKED, *(exercise.solution for exercise in EXERCISES.values())):
        exec(text, scope)
    return scope


def saved(text: str, before: Ruleset | None = None) -> Ruleset:
    """The node's rules after a text, beside the jumps that kube-proxy makes by `iptables -I`."""
    made = setup(Config(Node("k8smaster", ("10.106.175.128",)), pod_cidr("10.244.0.0/16")))
    return (before or Ruleset().restore(made, noflush=True)).restore(text, noflush=True)


def real(name: str) -> str:
    """What the real one wrote, but for what is not stable there: nfacct, which not every kernel has."""
    return re.sub(r" -m nfacct --nfacct-name +\S+", "", in_order(dump(name)))


def test_the_notebook_has_each_part_as_its_blank_and_what_is_read_as_it_is() -> None:
    text = "\n".join(CELLS)
    for part in PARTS.values():
        assert f"{part.blank}\nunit.check(" in text and part.solution not in text
    for function in WORKED.split("\n\n\n"):
        assert function.strip() in text


@pytest.mark.parametrize("name", HELD)
def test_the_solutions_together_write_what_the_real_one_wrote(name: str) -> None:
    mine, theirs = in_order(str(saved(names()["kube_proxy"](items(name))).normal())), real(name)
    assert mine == theirs, "\n".join(difflib.unified_diff(theirs.splitlines(), mine.splitlines(), "real", "ours"))


def test_the_text_has_the_form_of_the_real_ones() -> None:
    """Chains first in each table, then rules: so it can be read beside `iptables-restore` text of a real node."""
    for table in names()["kube_proxy"](items("02-dns")).split("COMMIT\n")[:2]:
        kinds = [line[0] for line in table.splitlines()]
        assert kinds == sorted(kinds, key="*:-".index) and len(set(table.splitlines())) == len(kinds)


@pytest.mark.parametrize("before", HELD)
@pytest.mark.parametrize("after", HELD)
def test_from_each_cluster_to_each_other_nothing_is_left_behind(before: str, after: str) -> None:
    scope = names()
    there = saved(scope["kube_proxy"](items(before)))
    text = scope["sync"](items(after), chain_names(there))
    assert in_order(str(saved(text, there).normal())) == real(after)
    gone = set(re.findall(r"-X (\S+)", text))
    assert gone == set(chain_names(there)) - set(chain_names(real(after)))
    if gone:                                     # none of them could be deleted if they were not emptied before
        with pytest.raises(RulesError, match="still referenced|not empty"):
            saved("".join(f"{line}\n" for line in text.splitlines() if line.split()[0].lstrip(":") not in gone), there)


def _same_journey() -> None:
    text = names()["kube_proxy"](recorded("01-kubernetes"))
    with Lab(rules=kube_proxy_rules()) as theirs, nodes() as own:
        for node in ("worker1", "k8smaster"):
            own.restore(node, text, noflush=True)
        for at in ("client", "worker1"):
            left, right = (lab.connect(at, "10.96.0.1", 443) for lab in (theirs, own))
            assert left.verdict == "DELIVERED" and compare(left, right) is None
        nat = (in_order(lab.run("worker1", "iptables -t nat -S")) for lab in (theirs, own))
        assert next(nat) == next(nat)


def test_the_articles_packet_takes_the_same_steps() -> None:
    _same_journey()


@pytest.mark.kernel
def test_the_articles_packet_takes_the_same_steps_on_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_DATAPLANE", "kernel")
    _same_journey()


def test_what_it_leaves_out_is_told() -> None:
    lines = dict(line.split(maxsplit=1) for line in compared(names()["kube_proxy"]).splitlines())
    assert len(lines) == 15 and {name for name, told in lines.items() if told == "equal"} == set(HELD)


NO_LIST = altered("kube_proxy", "rules += way_in(name, protocol, address, number)",
                  "rules.append(way_in(name, protocol, address, number))")
WRONG = (NO_LIST, PARTS["kube_proxy"].blank, PARTS["endpoints"].blank, "def kube_proxy(objects):\n    return 1 / 0\n",
         "def kube_proxy(objects):\n    return 'nonsense'\n")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_part_that_is_wrong_again_brings_no_traceback_after_it(wrong: str, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell is run once more, with something wrong in it, before each of the cells that need a whole kube-proxy."""
    monkeypatch.setenv("K8SLAB_PROGRESS", str(tmp_path / "progress.json"))
    scope: dict = {}
    first = next(at for at, cell in enumerate(CELLS) if "side_by_side(*traces" in cell)
    for cell in CELLS[:first + 1]:
        exec(cell, scope)
    for cell in CELLS[first + 1:]:
        exec(wrong, scope)
        exec(cell, scope)


def test_comparing_one_that_is_wrong_says_why() -> None:
    def told(text: str) -> str:
        return compared(functions.defined(text, "kube_proxy", {**assembled()}))

    assert told(NO_LIST).startswith("01-kubernetes              nothing to compare\nNot yet. `rules` is a list of t")
    assert "raised ZeroDivisionError: division by zero, in line 2" in told(WRONG[3])
    assert "iptables refuses line 1 of the text, `nonsense`" in told(WRONG[4])
    assert told(altered("kube_proxy", "if ends:", "if ends[0]:")).splitlines()[1:4] == [
        "02-dns                     equal", "03-many-endpoints          equal", "04-no-endpoints            nothing to "
        "compare"]
    assert "nothing to compare" in compared(None)


def test_what_the_frame_is_given_must_be_texts() -> None:
    assert frame((), {"KUBE-SVC-A"}, iter(["-A KUBE-SVC-A -j ACCEPT"])) == frame([], ["KUBE-SVC-A"],
                                                                               ["-A KUBE-SVC-A -j ACCEPT"])
    for given in (["KUBE", ["-A"]], list("KUBE"), "KUBE", 7, None, [3]):
        with pytest.raises(FrameError, match="`chains` is a list of texts") as caught:
            frame([], given, [])
        assert caught.value._render_traceback_()[0].startswith("FrameError: `chains`")


def test_each_line_of_a_recorded_cluster_counts() -> None:
    wanted = real("02-dns").splitlines()
    for at, line in enumerate(wanted):
        if wanted.count(line) == 1:
            assert difference(wanted, [*wanted[:at], *wanted[at + 1:]]) == Difference(1, line, "")
            assert difference([*wanted[:at], *wanted[at + 1:]], wanted) == Difference(1, "", line)
    assert difference(wanted, [*wanted[:9], *wanted[8:]]) == Difference(1, "", wanted[8])        # one of them twice
    assert difference(wanted, wanted[:5] + wanted[6:7] + wanted[5:6] + wanted[7:]) is not None
    assert difference(wanted, list(wanted)) is None


def test_working_takes_yours_where_it_is_right_and_the_units_where_not() -> None:
    scope = names()
    for name in PARTS:
        assert working(scope[name]) is scope[name] and not ours(scope[name])
    wrong = functions.defined(filled("chain", "12"), "chain", {**assembled()})
    assert ours(working(wrong)) and working(working(wrong)).__name__ == "chain"
    assert whose(scope["chain"], working(wrong)).split() == ["chain", "you", "chain", "the", "unit"]
    around = functions.defined(PARTS["kube_proxy"].solution, "kube_proxy", {**assembled(), "endpoints": None})
    assert ours(working(around)) and not ours(around)             # right, but not with what stands around it
    with pytest.raises(PartError, match="not 'compared'"):
        working(compared)


def test_the_units_own_stand_in_for_blanks_to_the_end_of_the_notebook() -> None:
    for name, part in PARTS.items():
        blank = functions.defined(part.blank, name, {**assembled()})
        assert ours(working(blank)), name


@pytest.mark.parametrize("key", EXERCISES)
@pytest.mark.parametrize("body", ["while True: pass", "raise SystemExit", "return object()", "return [1]", "yield 3"])
def test_nothing_that_a_function_does_is_more_than_a_sentence(key: str, body: str,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "LIMIT", 0.2)
    head = EXERCISES[key].solution.splitlines()[0]
    outcome = EXERCISES[key].grade(f"{head}\n    {body}\n")
    if (key, body) != ("headless", "return object()"):
        assert outcome.kind == NOT_YET and f"`{head[4:].partition('(')[0]}" in str(outcome), outcome
    assert "k8slab" not in str(outcome) and "Traceback" not in str(outcome)


@pytest.mark.kernel
def test_one_that_does_not_end_leaves_no_lab_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.course.test_exercises_on_kernel import children
    monkeypatch.setenv("K8SLAB_DATAPLANE", "kernel")
    monkeypatch.setattr(functions, "LIMIT", 0.2)
    before = children()
    assert "was still at work" in str(EXERCISES["whole"].grade("def kube_proxy(objects):\n    while True: pass\n"))
    assert children() <= before


def test_what_a_function_does_to_its_arguments_harms_nobody() -> None:
    greedy = PARTS["endpoints"].solution.replace("    found = set()\n", "    found = set()\n    slices = [slices.pop() "
                                                 "for _ in list(slices)]\n")
    assert EXERCISES["ready"].grade(greedy).kind == RIGHT


def test_a_function_is_kept_as_its_text_and_shown_when_the_notebook_is_as_new(tmp_path: Path) -> None:
    unit = course.unit("10", Progress(tmp_path / "progress.json"))
    right = functions.defined(PARTS["chain"].solution, "chain", {**assembled()})
    before = unit.check("digest", functions.defined(PARTS["chain"].blank, "chain", {})).live()
    assert unit.check("digest", right).text.startswith("Right.")
    assert unit.store.get("10", "digest")["answer"] == PARTS["chain"].solution
    assert unit.check("digest", unit.store.get("10", "digest")["answer"]).text.startswith("Right.")
    after = unit.check("digest", functions.defined(PARTS["chain"].blank, "chain", {})).live()
    buttons = [[one.description for one in panel.children[2].children] for panel in (before, after)]
    assert buttons == [["Hint", "Show a solution"], ["Hint", "Show a solution", "Show my last answer"]]
    after.children[2].children[2].click()
    assert "[:16]" in after.children[3].value


def test_the_clusters_on_which_it_is_tried_all_tell_something() -> None:
    """Each but the recorded ones has its own sentence, and each move changes what is there, or nothing on purpose."""
    own = [cluster.says[""] for cluster in CLUSTERS if not cluster.recorded]
    assert len(set(own)) == len(own) == 9 and len({move.says for move in MOVES}) == len(MOVES)
    assert set(owncheck.SLIPS) <= set(PARTS)

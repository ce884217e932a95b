"""The units as a learner works them: each exercise answered wrong and then right, through the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from k8slab.course.catalogue import UNITS
from k8slab.course.exercise import Exercise
from k8slab.course.units.unit02 import filled
from tests.browser.conftest import NOTEBOOKS
from tests.browser.lab import (
    Server,
    Watch,
    copy_notebooks,
    jupyterlab,
    open_notebook,
    run_all,
    set_theme,
    show_cell,
    wrong_cells,
)
from tests.course import answers_10, answers_11, answers_12, answers_13

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

pytestmark = pytest.mark.browser

FILES = {path.name[:2]: path.name for path in NOTEBOOKS.glob("[0-9][0-9]-*.ipynb")}
# The cell as a learner changes it: exercise → what stands above its last line, wrong and right.
EDITS = {
    "range": ('answer = "10.96.0.1"', 'answer = "10.43.0.1"'),
    "cut": (
        'answer = "iptables -A FORWARD -d 10.96.0.1 -j DROP"',
        'answer = "iptables -t nat -F KUBE-SVC-NPX46M4PTMTKRN6Y"',
    ),
    "two-faults": (
        'broken.run("worker1", "ip -n red route add default via 10.244.1.1")',
        'broken.run("worker1", "ip route add 10.244.1.3 dev veth-blue")',
    ),
    "third": (
        'from k8slab.course.units.labs import ROUTED\n'
        'answer = ROUTED.format(pod="green", n=4)',
        'from k8slab.course.units.labs import ROUTED\n'
        'answer = ROUTED.format(pod="green", n=4).replace("10.244.1.", "10.244.0.")',
    ),
    "door": (
        f'answer = """{filled("door", "https", "443", "10.106.175.128")}"""',
        f'answer = """{filled("door", "https", "6443", "10.106.175.128")}"""',
    ),
    "local": (
        'broken.run("worker1", "iptables -F KUBE-SERVICES")',
        'broken.kubectl("delete svc kubernetes")',
    ),
    "first": (
        'answer = "iptables -t nat -A OUTPUT -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination '
        '10.106.175.128:6443"',
        'answer = "iptables -t nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination '
        '10.106.175.128:6443"',
    ),
    "six": (
        'rule = "-d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination 10.106.175.128:6443"\n'
        'answer = f"iptables -t nat -A PREROUTING {rule}"',
        'answer = f"iptables -t nat -A PREROUTING {rule}\\niptables -t nat -A OUTPUT {rule}"',
    ),
    "mend": (
        'broken.run("worker1", "iptables -t nat -A PREROUTING -p tcp -j ACCEPT")',
        'broken.run("worker1", "iptables -t nat -D PREROUTING 1")',
    ),
    "forge": (
        'answer = IP(src="10.96.0.1", dst="10.244.1.5") / TCP(sport=443, dport=50000, flags="SA")',
        'answer = IP(src="10.106.175.128", dst="10.244.1.5") / TCP(sport=6443, dport=50000, flags="SA")',
    ),
    "fair": ("answer = [0.25, 0.25, 0.25]", "answer = [1 / 4, 1 / 3, 1 / 2]"),
    "dead": (
        'broken.run("worker1", "iptables -t nat -R KUBE-SVC-NPX46M4PTMTKRN6Y 4 -j KUBE-SEP-WH6WG5QKJ22KECSU")',
        'broken.run("worker1", "iptables -t nat -R KUBE-SVC-NPX46M4PTMTKRN6Y 4 -j KUBE-SEP-VDNPK4CXOQDGPWFC")\n'
        'broken.run("worker1", "iptables -t nat -R KUBE-SVC-NPX46M4PTMTKRN6Y 3 -m statistic --mode random '
        '--probability 0.75 -j KUBE-SEP-WH6WG5QKJ22KECSU")\n'
        'broken.run("worker1", "iptables -t nat -R KUBE-SVC-NPX46M4PTMTKRN6Y 2 -m statistic --mode random '
        '--probability 0.33333333333 -j KUBE-SEP-VDNPK4CXOQDGPWFC")',
    ),
    "mask": (
        'answer = "iptables -t nat -I POSTROUTING -s 10.244.1.7 -j MASQUERADE"',
        'answer = "iptables -t nat -I KUBE-SVC-NPX46M4PTMTKRN6Y -s 10.244.1.7 -j KUBE-MARK-MASQ"',
    ),
    "hairpin": (
        'broken.run("worker1", "iptables -t nat -A KUBE-SEP-UGQTAJUJOQJVZIEC -s 10.244.1.7 -j KUBE-MARK-MASQ")',
        'broken.run("worker1", "iptables -t nat -I KUBE-SEP-UGQTAJUJOQJVZIEC -s 10.244.1.7 -j KUBE-MARK-MASQ")',
    ),
    "names": (
        "def chain(namespace, service, port, protocol):\n    return 'KUBE-SVC-X'",
        "def chain(namespace, service, port, protocol):\n    text = f'{namespace}/{service}:{port}{protocol}'\n"
        "    digest = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()\n    return "
        "'KUBE-SVC-' + digest[:16]",
    ),
    "listed": (
        "answer = {1: [128, 129, 130], 16: [128, 130], 20: [128]}",
        "answer = {1: [128, 130], 16: [128, 130], 20: [128]}",
    ),
    "alive": (
        "def alive(renewed, now):\n    return list(renewed)\n",
        "def alive(renewed, now):\n    return [one for one in renewed if now - renewed[one] < 15]\n",
    ),
    "taken": ('broken.kubectl("delete pod web")', 'broken.kubectl("delete svc web")'),
    "stale": (
        'broken.run("worker1", "iptables -t nat -I PREROUTING -p udp -d 10.96.0.10 -j DNAT --to-destination '
        '10.244.0.3:53")',
        'broken.run("worker1", "iptables -t nat -D PREROUTING 1"); broken.run("worker1", "conntrack -D -p udp")',
    ),
}
EDITS |= answers_10.EDITS | answers_11.EDITS | answers_12.EDITS | answers_13.EDITS
CHANGE_AND_RUN = """async ([words, above]) => {
  const notebook = window.jupyterapp.shell.currentWidget.content, model = notebook.activeCell.model.sharedModel;
  const last = model.getSource().split('\\n').at(-1);
  if (!last.includes(words)) throw new Error(last);
  model.setSource(above + '\\n' + last);
  await window.jupyterapp.commands.execute('notebook:run-cell'); }"""


@dataclass
class Desk:
    """A learner's own JupyterLab, and one unit open in it."""

    page: "Page"
    folder: Path
    watch: Watch

    def panel(self, words: str) -> "Locator":
        """The course's widget in the output of the cell that holds these words."""
        show_cell(self.page, words)
        return self.page.locator(".jp-Cell.jp-mod-active .k8slab-course")

    def has(self, words: str) -> bool:
        """Whether a cell holds these words."""
        return self.page.evaluate(
            "words => window.jupyterapp.shell.currentWidget.content.widgets.some(cell => "
            "cell.model.sharedModel.getSource().includes(words))",
            words,
        )

    def kept(self) -> dict:
        file = self.folder / "k8slab-progress.json"
        return json.loads(file.read_text())["units"] if file.exists() else {}


@pytest.fixture(scope="module")
def course(
    browser: "Browser", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Server, "BrowserContext"]]:
    """The folder of one learner, who goes through the units in one JupyterLab."""
    folder = copy_notebooks(NOTEBOOKS, tmp_path_factory.mktemp("course"))
    with jupyterlab(folder) as server:
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        yield folder, server, context
        context.close()


@pytest.fixture(scope="module", params=sorted(FILES))
def desk(
    request: pytest.FixtureRequest, course: tuple[Path, Server, "BrowserContext"]
) -> Iterator[tuple[str, Desk]]:
    """A unit after Run All; its kernel ends with it."""
    folder, server, context = course
    page = context.new_page()
    page.set_default_timeout(10_000)
    made = Desk(page, folder, Watch(page, server))
    _open(made, server, FILES[request.param])
    yield request.param, made
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()


def _open(desk: Desk, server: Server, notebook: str) -> None:
    open_notebook(desk.page, server, notebook)
    desk.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    run_all(desk.page)


def test_untouched_everything_runs_and_nothing_is_kept(desk: tuple[str, Desk]) -> None:
    number, at = desk
    assert wrong_cells(at.page) == [] and at.watch.complaints() == [] and number not in at.kept()


def test_a_guess_is_kept_and_opens_what_it_is_about(desk: tuple[str, Desk]) -> None:
    number, at = desk
    prediction = UNITS[number].predictions[0]
    asked = at.panel("unit.predict(").first
    keep = asked.get_by_role("button", name="Keep my guess")
    keep.click()
    asked.get_by_text("Choose one first").wait_for()
    asked.get_by_role("radio", name=prediction.options[-1], exact=True).check()
    keep.click()
    asked.get_by_text("Kept:").wait_for()
    assert at.kept()[number][prediction.key]["guess"] == prediction.options[-1]
    after = f'unit.after("{prediction.key}"'
    if at.has(after):
        show_cell(at.page, after)
        at.page.locator(".jp-Cell.jp-mod-active .k8slab-stepper").wait_for()
    assert wrong_cells(at.page) == []


def test_every_choice_of_the_quiz_is_answered(desk: tuple[str, Desk]) -> None:
    number, at = desk
    panel = at.panel("unit.quiz()")
    for question in UNITS[number].quiz.questions:
        for choice in sorted(question.choices, key=lambda one: one == question.right):  # the right one last
            panel.get_by_role("radio", name=choice, exact=True).check()
            verdict = "Right." if choice == question.right else "Not so."
            panel.get_by_text(f"{verdict} {question.choices[choice][:20].split('`')[0]}").first.wait_for()
    assert all(at.kept()[number][question.key]["outcome"] == "Right" for question in UNITS[number].quiz.questions)


def test_each_exercise_wrong_and_then_right(desk: tuple[str, Desk]) -> None:
    number, at = desk
    for exercise in UNITS[number].exercises:
        if exercise.items:
            _order(at, exercise)
        else:
            _answer(at, exercise)
        assert at.kept()[number][exercise.key]["outcome"] == "Right"
    assert wrong_cells(at.page) == [] and at.watch.complaints() == []


def _answer(at: Desk, exercise: Exercise) -> None:
    words = f'unit.check("{exercise.key}"'
    for above, verdict in zip(EDITS[exercise.key], ("Not yet.", "Right.")):
        panel = at.panel(words)
        at.page.evaluate(CHANGE_AND_RUN, [words, above])
        panel.get_by_text(verdict, exact=True).wait_for()
    panel.get_by_role("button", name="Hint").click()
    panel.get_by_text(f"Hint 1 of {len(exercise.hints)}.").wait_for()
    panel.get_by_role("button", name="Show a solution").click()
    panel.get_by_text("One that works:").wait_for()


def _order(at: Desk, exercise: Exercise) -> None:
    """By keyboard alone, as one who sees each number come before the next press."""
    panel = at.panel(f'unit.order("{exercise.key}"')
    check = panel.get_by_role("button", name="Check the order")
    check.press("Enter")
    panel.get_by_text(f"{len(exercise.items)} of {len(exercise.items)} have no number yet.").wait_for()
    for order, verdict in ((exercise.solution[::-1], "Not yet."), (exercise.solution, "Right.")):
        panel.get_by_role("button", name="Start again").press("Enter")
        for number, item in enumerate(order, 1):
            panel.get_by_role("button", name=item, exact=True).press("Enter")  # exact: it has no number left
            panel.get_by_role("button", name=f"{number}. {item}", exact=True).wait_for()
        check.press("Space")
        panel.get_by_text(verdict, exact=True).wait_for()


# A theme changes colours and nothing else.
@pytest.mark.parametrize("theme, options", [("JupyterLab Light", {}),
                                            pytest.param("JupyterLab Dark", {"runOnly": ["color-contrast"]},
                                                         marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious(desk: tuple[str, Desk], theme: str, options: dict) -> None:
    _, at = desk
    set_theme(at.page, theme)
    at.page.add_style_tag(content="body { overflow: visible !important }")
    for words in ("unit.predict(", "unit.order(", "unit.check(", "unit.quiz()"):
        if at.has(words):
            at.panel(words).first.wait_for()
            found = (
                Axe()
                .run(at.page, context={"include": [[".jp-Cell.jp-mod-active .k8slab-course"]]}, options=options)
                .response
            )
            assert "color-contrast" in {rule["id"] for rule in found["passes"]}, "axe took it for hidden"
            serious = [
                (rule["id"], node["html"][:200])
                for rule in found["violations"]
                for node in rule["nodes"]
                if rule["impact"] in ("serious", "critical")
            ]
            assert serious == [], words


# What a new kernel finds is the file's doing and not the unit's: two units do.
@pytest.mark.parametrize("desk", ["04", "07"], indirect=True)
def test_after_a_new_kernel_the_answers_are_there(desk: tuple[str, Desk]) -> None:
    number, at = desk
    at.page.evaluate(
        "async () => { const panel = window.jupyterapp.shell.currentWidget;"
        " await panel.sessionContext.restartKernel(); await panel.sessionContext.session.kernel.info }"
    )
    run_all(at.page)
    question, prediction = UNITS[number].quiz.questions[0], UNITS[number].predictions[0]
    panel = at.panel("unit.quiz()")
    assert panel.get_by_role("radio", name=question.right, exact=True).is_checked()
    said = at.panel(f'unit.fact("{prediction.key}"')
    said.get_by_text("You expected").wait_for()
    assert wrong_cells(at.page) == []

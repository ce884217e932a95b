"""What we show can be used by everybody: axe-core finds nothing serious, and every control has a name.

axe-core (Deque's, in the package axe-playwright-python; no network) looks at our outputs alone, in JupyterLab
and in an exported page, in both themes. Its "serious" and "critical" findings fail; the others are printed.
What is hidden it does not see: so the stepper is looked at on several steps, with what is folded open.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.everything import PICTURES, SETUP, THINGS
from tests.browser.lab import Server, jupyterlab, open_notebook, run_all, set_theme, wrong_cells
from tests.browser.pages import Opened, export, write_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

CELLS = (SETUP, *THINGS.values())
# Roles of the accessibility tree that a person acts on, and pictures.
CONTROLS = {"button", "checkbox", "combobox", "DisclosureTriangle", "link", "listbox", "option", "radio",
            "slider", "spinbutton", "switch", "tab", "textbox", "image"}
# The stepper has names for these too where its HTML is our own; ipywidgets gives its tablist none.
GROUPS = {"table", "tablist", "tabpanel"}
# No name, or what JupyterLab and nbconvert say for a picture without one.
NAMELESS = {"", "Image", "No description has been provided for this image"}
STEPS = (1, 9, 12, -1)
OUTPUTS = ".jp-OutputArea-output"
STATIC = "() => document.querySelectorAll('.k-page').forEach(page => page.classList.remove('k-alive'))"
OPEN_ALL = "() => document.querySelectorAll('details').forEach(details => { details.open = true })"


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook that shows everything, not run."""
    folder = tmp_path_factory.mktemp("shown") / "notebooks"
    folder.mkdir()
    return write_notebook(folder / "everything.ipynb", *CELLS)


@pytest.fixture(scope="module")
def exported(notebook: Path) -> Path:
    """Its page."""
    return export(notebook.parents[1] / "pages", [notebook])[notebook.stem]


@pytest.fixture(scope="module")
def server(notebook: Path) -> Iterator[Server]:
    """A JupyterLab on it."""
    with jupyterlab(notebook.parent) as running:
        yield running


@pytest.fixture(scope="module")
def shown(server: Server, browser: "Browser", notebook: Path) -> Iterator["Page"]:
    """Its page in JupyterLab after Run All, high enough that every cell is in sight, and so is drawn."""
    page = browser.new_page(viewport={"width": 1280, "height": 20000})
    open_notebook(page, server, notebook.name)
    run_all(page)
    assert wrong_cells(page) == []
    page.wait_for_function("count => document.querySelectorAll('.jp-OutputArea-output').length >= count",
                           arg=len(CELLS) - 1)
    yield page
    page.close()


def findings(page: "Page", where: str, only: str = "") -> list[str]:
    """What axe-core finds in these elements, a line each: "serious color-contrast: <td>…: what to do".

    `only`: the one rule to be tried; a theme changes colours and nothing else.
    """
    options = {"runOnly": [only]} if only else {}
    found = Axe().run(page, context={"include": [[where]]}, options=options).response
    looked_at = {rule["id"]: len(rule["nodes"]) for rule in found["passes"]}
    assert looked_at.get("color-contrast", 0) > 30, "axe took what is in sight for hidden"
    return [f"{rule['impact']} {rule['id']}: {node['html'][:120]}: {node.get('failureSummary', '')}"
            for rule in found["violations"] for node in rule["nodes"]]


def assert_nothing_serious(page: "Page", where: str, only: str = "") -> None:
    """axe-core finds at most moderate things, which are printed."""
    found = findings(page, where, only)
    serious = [line for line in found if line.startswith(("serious", "critical"))]
    assert not serious, "\n".join(serious)
    print("\n".join(found))


def walk_and_look(page: "Page", where: str, only: str = "") -> None:
    """Look at everything, each stepper on several steps of its long list."""
    steppers = page.locator(".k8slab-stepper")
    assert steppers.count() == 2
    for number in STEPS:
        for stepper in steppers.all():
            stepper.get_by_role("tab").nth(1).click()
            steps = stepper.get_by_role("listbox", name="Steps of the journey", exact=True)
            last = steps.locator("option").count() - 1
            steps.select_option(index=min(number - 1, last) if number > 0 else last)
        page.evaluate(OPEN_ALL)
        assert_nothing_serious(page, where, only)


ALL, COLOURS = "", "color-contrast"


@pytest.mark.slow
@pytest.mark.parametrize("theme, only", [("JupyterLab Light", ALL), ("JupyterLab Dark", COLOURS)])
def test_axe_finds_nothing_serious_in_jupyterlab(shown: "Page", theme: str, only: str) -> None:
    # JupyterLab's body has no height and hides what overflows; all of it stands outside of the body, and axe,
    # which does not know that it is in sight all the same, would pass it over.
    shown.add_style_tag(content="body { overflow: visible !important }")
    set_theme(shown, theme)
    walk_and_look(shown, OUTPUTS, only)


@pytest.mark.parametrize("scheme, only", [("light", ALL), ("dark", COLOURS)])
def test_axe_finds_nothing_serious_in_a_page(exported: Path, browser: "Browser", scheme: str, only: str) -> None:
    opened = Opened(browser, exported, color_scheme=scheme)
    walk_and_look(opened.page, "body", only)
    assert opened.complaints() == []
    opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_without_script(exported: Path, browser: "Browser", scheme: str) -> None:
    # axe is a script itself: the static form is looked at by hiding what a script showed.
    opened = Opened(browser, exported, color_scheme=scheme)
    opened.page.evaluate(STATIC)
    opened.page.evaluate(OPEN_ALL)
    assert opened.page.locator(".k-static").first.is_visible()
    assert_nothing_serious(opened.page, ".k-static")
    opened.close()


def test_axe_would_find_what_is_wrong(exported: Path, browser: "Browser") -> None:
    opened = Opened(browser, exported)
    opened.page.evaluate("""() => { const list = document.querySelector('.k8slab-stepper select');
      list.parentElement.replaceWith(list);
      document.querySelector('.k8slab-stepper .k-title').style.color = '#bbb' }""")
    found = [line.split(":")[0] for line in findings(opened.page, ".k8slab-stepper")]
    assert {"critical select-name", "serious color-contrast"} <= set(found)
    opened.close()


def names(page: "Page", where: str, wanted: set[str]) -> list[tuple[str, str]]:
    """The accessibility tree below these elements: role and name of everything that has a wanted role."""
    session = page.context.new_cdp_session(page)
    root = session.send("DOM.getDocument", {"depth": 0})["root"]["nodeId"]
    found = session.send("DOM.querySelectorAll", {"nodeId": root, "selector": where})["nodeIds"]
    trees = [session.send("Accessibility.queryAXTree", {"nodeId": node})["nodes"] for node in found]
    return [(one["role"]["value"], one.get("name", {}).get("value", "").strip())
            for tree in trees for one in tree if not one["ignored"] and one["role"]["value"] in wanted]


def test_every_control_in_jupyterlab_has_a_name(shown: "Page") -> None:
    found = names(shown, OUTPUTS, CONTROLS)
    assert {"tab", "listbox", "option", "DisclosureTriangle"} <= {role for role, _ in found}
    assert sum(role == "image" for role, _ in found) == PICTURES
    assert [role for role, name in found if name in NAMELESS] == []


def test_every_control_of_a_page_has_a_name(exported: Path, browser: "Browser") -> None:
    opened = Opened(browser, exported)
    found = names(opened.page, "body", CONTROLS) + names(opened.page, ".k8slab-stepper", GROUPS)
    assert {"tab", "listbox", "option", "DisclosureTriangle"} | GROUPS <= {role for role, _ in found}
    assert sum(role == "image" for role, _ in found) == PICTURES
    assert [role for role, name in found if name in NAMELESS] == []
    opened.close()

"""The exported page as a learner without Python meets it: a file on the disk, a browser, a keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.show.headlines import headlines
from k8slab.show.stage import views
from k8slab.show.words import title
from tests.browser.conftest import NOTEBOOKS
from tests.browser.pages import Opened, export, write_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

FIRST = "01-follow-one-packet"
LAB = Lab("model", seed=1)
# The packet that the first notebook sends, and the ones of the notebook below.
TRACE = LAB.send(Packet("tcp", "10.244.1.5", "10.96.0.1", 50000, 443), "client")
VIEWS = views(TRACE)
SHORT, LONG = VIEWS
PINGS = [lab.ping("client", "10.244.1.7") for lab in [Lab("model")] for _ in range(2)]
SEVERAL = ("from k8slab.lab import Lab\nfrom k8slab.show import show\nlab = Lab('model')",
           "show(lab.ping('client', '10.244.1.7'), lab.network)",
           "show(lab.ping('client', '10.244.1.7'), lab.network)",
           "show(lab.ping('client', '10.96.0.1'))")

# Whatever is wider than its place, but for a list, whose lines scroll, and text that flows in its line.
CUT = """() => [...document.querySelectorAll('body, main, .k-page *')]
  .filter(e => e.offsetParent && e.clientWidth && !e.closest('select'))
  .filter(e => getComputedStyle(e).display !== 'inline' && e.scrollWidth > e.clientWidth + 1)
  .map(e => `${e.tagName} ${e.className}: ${e.scrollWidth} > ${e.clientWidth}`)"""
DARK = "() => document.documentElement.dataset.jpThemeLight === 'false'"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of the first notebook and of one with three steppers."""
    folder = tmp_path_factory.mktemp("pages")
    several = write_notebook(folder / "several.ipynb", *SEVERAL)
    return export(folder, [NOTEBOOKS / f"{FIRST}.ipynb", several])


@pytest.fixture(scope="module")
def first(pages: dict[str, Path], browser: "Browser") -> Iterator[Opened]:
    opened = Opened(browser, pages[FIRST])
    yield opened
    opened.close()


@pytest.mark.parametrize("view", VIEWS)
def test_arrow_keys_walk_the_journey_forward_and_back(first: Opened, view: str) -> None:
    steps = VIEWS[view]
    stepper = first.stepper(0)
    lines = stepper.open(view).locator("option").all_inner_texts()
    said = [line.replace("\u00a0", " ").split("  ", 2)[2] for line in lines]
    assert said == [title(step) for step in steps]
    for step in steps:
        stepper.assert_shows(TRACE, step, LAB.network)
        stepper.keyboard.press("ArrowDown")
    for step in reversed(steps):
        stepper.assert_shows(TRACE, step, LAB.network)
        stepper.keyboard.press("ArrowUp")
    assert first.complaints() == []


def test_opening_and_walking_asks_for_nothing_but_the_file(first: Opened) -> None:
    first.stepper(0).open(LONG)
    first.page.wait_for_load_state("networkidle")
    assert first.requests == [first.address] and first.console == []


def test_keyboard_alone_reaches_everything(first: Opened) -> None:
    stepper, page = first.stepper(0), first.page
    stepper.place.get_by_role("tab", name=SHORT).focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("() => document.activeElement.textContent") == LONG
    assert stepper.place.get_by_role("tabpanel", name=LONG, exact=True).count() == 1
    page.keyboard.press("Tab")                    # the other tab is no stop of its own
    page.keyboard.press("Home")
    for _ in range(8):
        page.keyboard.press("ArrowDown")
    stepper.assert_shows(TRACE, TRACE.steps[8], LAB.network)
    reason = stepper.place.locator(".k-pane:visible li").first
    assert TRACE.steps[8].passed and not reason.is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert reason.is_visible() and str(TRACE.steps[8].passed[0]) in reason.inner_text()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Home")
    assert page.evaluate("() => document.activeElement.textContent") == SHORT


def test_each_list_keeps_its_place(first: Opened) -> None:
    stepper = first.stepper(0)
    stepper.open(LONG)
    stepper.keyboard.press("End")
    stepper.open(SHORT)
    stepper.keyboard.press("ArrowDown")
    stepper.assert_shows(TRACE, VIEWS[SHORT][1], LAB.network)
    stepper.place.get_by_role("tab", name=LONG).click()
    stepper.assert_shows(TRACE, TRACE.steps[-1], LAB.network)


def test_a_list_without_a_choice_leaves_the_stage_as_it_was(first: Opened) -> None:
    stepper = first.stepper(0)
    stepper.open(LONG)
    stepper.keyboard.press("ArrowDown")
    stepper.steps.evaluate("list => { list.selectedIndex = -1; list.dispatchEvent(new Event('input')) }")
    stepper.assert_shows(TRACE, TRACE.steps[1], LAB.network)
    assert first.complaints() == []


def test_several_steppers_on_one_page_do_not_disturb_each_other(pages: dict[str, Path],
                                                                browser: "Browser") -> None:
    opened = Opened(browser, pages["several"])
    one, same, other = map(opened.stepper, range(3))
    before, beside = one.said(), other.said()
    same.open(list(views(PINGS[1]))[1])
    for step in PINGS[1].steps:
        same.assert_shows(PINGS[1], step, LAB.network)
        same.keyboard.press("ArrowDown")
    assert (one.said(), other.said()) == (before, beside)
    assert one.steps.evaluate("list => list.length") == len(headlines(PINGS[0]))
    one.open(list(views(PINGS[0]))[0])
    one.keyboard.press("End")
    one.assert_shows(PINGS[0], PINGS[0].steps[-1], LAB.network)
    one.keyboard.press("Home")
    same.assert_shows(PINGS[1], PINGS[1].steps[-1], LAB.network)
    assert opened.complaints() == []
    opened.close()


def test_without_script_the_journey_is_there_to_be_opened(pages: dict[str, Path], browser: "Browser") -> None:
    opened = Opened(browser, pages[FIRST], java_script_enabled=False)
    assert not opened.page.locator(".k8slab-stepper").is_visible()
    step = opened.page.locator(".k-static summary", has_text="DNAT to 10.106.175.128:6443")
    changed = opened.page.locator(".k-static").get_by_text("10.106.175.128:6443 (changed)").first
    assert step.is_visible() and not changed.is_visible()
    step.click()
    assert changed.is_visible()
    opened.close()


def test_paper_shows_every_headline_open_and_is_light(pages: dict[str, Path], browser: "Browser") -> None:
    opened = Opened(browser, pages[FIRST], color_scheme="dark")
    static = opened.page.locator(".k-static")
    assert opened.page.evaluate(DARK) and not static.is_visible()
    opened.page.emulate_media(media="print", color_scheme="dark")
    opened.page.wait_for_function(f"() => !({DARK})()")
    assert static.is_visible() and not opened.page.locator(".k8slab-stepper").is_visible()
    for step in headlines(TRACE):
        assert static.get_by_text(step.why).first.bounding_box()["height"] > 0
    opened.page.emulate_media(media="screen", color_scheme="dark")
    opened.page.wait_for_function(DARK)
    assert not static.is_visible()
    opened.close()


# 640 and 320 pixels are windows of 1280 and 640 at 200 per cent.
@pytest.mark.parametrize("width", [320, 500, 640, 800, 1200, 1500])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_at_any_width(pages: dict[str, Path], browser: "Browser", width: int,
                                         scheme: str) -> None:
    opened = Opened(browser, pages[FIRST], width, color_scheme=scheme)
    assert opened.page.evaluate(DARK) == (scheme == "dark")
    stepper = opened.stepper(0)
    stepper.open(LONG)
    for number in (9, 12, 62):
        stepper.steps.select_option(index=number - 1)
        stepper.assert_shows(TRACE, TRACE.steps[number - 1], LAB.network)
        assert opened.page.evaluate(CUT) == []
    opened.close()


def test_forced_colours_tell_the_chosen_tab_from_the_other(pages: dict[str, Path],
                                                           browser: "Browser") -> None:
    opened = Opened(browser, pages[FIRST], forced_colors="active")
    line = "tab => getComputedStyle(tab).borderBottomColor"
    chosen, other = (opened.stepper(0).place.get_by_role("tab").nth(at).evaluate(line) for at in (0, 1))
    ground = opened.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert chosen != other and other == ground
    opened.close()

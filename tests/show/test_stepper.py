"""The widget: what is linked to what, what is shared, and how much crosses the wire."""

from __future__ import annotations

import json

import pytest
from ipywidgets import HTML, Select, Stack, Widget
from ipywidgets.widgets.widget import _instances
from ipywidgets.widgets.widget_link import Link

from k8slab.show.headlines import headlines
from k8slab.show.stage import pane
from k8slab.show.stepper import stepper
from tests.show.journeys import NETWORK, journey


def everything_under(widget: Widget) -> dict[str, Widget]:
    """The widget and all that its state refers to, by model id."""
    found, waiting = {}, [widget]
    while waiting:
        one = waiting.pop()
        if one.model_id not in found:
            found[one.model_id] = one
            waiting += [value for name in one.keys for value in _widgets(getattr(one, name))]
    return found


def _widgets(value: object) -> list[Widget]:
    many = value if isinstance(value, (list, tuple)) else [value]
    return [one for one in many if isinstance(one, Widget)]


@pytest.fixture
def walk():
    """The stepper of the article's journey, with every widget closed afterwards."""
    widget = stepper(journey("article"), NETWORK)
    yield widget
    for one in everything_under(widget).values():
        one.close()


def bodies(walk) -> list[tuple[Select, Stack]]:
    return [body.children for body in walk.children[1].children]


def test_a_short_list_and_a_long_one_each_beside_its_panes(walk) -> None:
    trace = journey("article")
    assert "k8slab-stepper" in walk._dom_classes
    assert walk.children[1].titles == ("The journey in 14 steps", "Every step (62)")
    for (select, stack), steps in zip(bodies(walk), (headlines(trace), trace.steps)):
        assert len(select.options) == len(stack.children) == len(steps)
        assert (select.index, stack.selected_index) == (0, 0)
        assert [child.value for child in stack.children] == [pane(trace, step, NETWORK) for step in steps]
        assert select.description, "the list's name for a screen reader"


def test_lists_and_panes_are_linked_in_the_browser(walk) -> None:
    links = [one for one in _instances.values() if isinstance(one, Link)]
    for select, stack in bodies(walk):
        ends = [(link.source[1], link.target) for link in links if link.source[0] is select]
        assert ends == [("index", (stack, "selected_index"))]


def test_no_two_steps_of_a_list_have_the_same_line(walk) -> None:
    # ipywidgets' Select tells options apart by their labels: two alike would be one.
    for select, _ in bodies(walk):
        assert len(set(select.options)) == len(select.options)


def test_panes_are_shared_and_so_are_their_layout_and_style(walk) -> None:
    (_, short), (_, long) = bodies(walk)
    assert set(short.children) < set(long.children)
    assert len({(one.layout.model_id, one.style.model_id) for one in long.children}) == 1


def test_the_articles_journey_fits_in_250_kilobytes(walk) -> None:
    models = everything_under(walk)
    size = sum(len(json.dumps(one.get_state(), default=lambda w: f"IPY_MODEL_{w.model_id}").encode())
               for one in models.values())
    print(f"{len(models)} models, {size} bytes")
    assert sum(isinstance(one, HTML) for one in models.values()) == 63
    assert 50_000 < size <= 250_000


def test_the_style_sheet_is_written_once(walk) -> None:
    html = [one.value for one in everything_under(walk).values() if isinstance(one, HTML)]
    assert sum("<style" in value for value in html) == 1
    assert not any(" style=" in value or "<script" in value for value in html)

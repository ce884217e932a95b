"""What a cell saves: text and static HTML that say it all, and in a kernel the live widget beside them."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from k8slab.show import show
from k8slab.show.headlines import headlines
from k8slab.show.static import page
from k8slab.show.words import fields, memory, title
from tests.show.journeys import MAKERS, NETWORK, journey
from tests.show.reading import Reader

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# Of what JupyterLab's sanitiser lets through in a notebook that is not trusted (apputils, sanitizer.ts).
PLAIN = {"p", "strong", "details", "summary", "br", "code", "ul", "li", "pre", "table", "thead", "tbody",
         "tr", "th", "td", "div", "nobr"}
STYLES = {"text-align", "vertical-align", "margin", "background", "padding", "font-size"}


def test_a_cell_gets_text_static_html_and_the_live_widget() -> None:
    trace = journey("article")
    bundle = show(trace, NETWORK)._repr_mimebundle_()
    assert bundle["text/plain"] == str(trace) == repr(show(trace))
    assert bundle["text/html"] == page(trace)
    assert set(bundle) == {"text/plain", "text/html", WIDGET_VIEW}
    assert bundle[WIDGET_VIEW]["model_id"]


def test_the_saved_forms_are_the_same_every_time() -> None:
    first, second = (MAKERS["article"]() for _ in range(2))
    assert first is not second
    assert (str(first), page(first)) == (str(second), page(second))


@pytest.mark.parametrize("name", MAKERS)
def test_the_saved_page_says_all_about_each_headline(name: str) -> None:
    trace = journey(name)
    text = Reader(page(trace)).text
    assert text.startswith(" ".join(trace.summary().split()))
    assert " ".join(str(trace).split()) in text
    for step in headlines(trace):
        assert f"{step.number}. {title(step)}" in text
        for field in fields(step):
            after = f"{field.after} {'(changed)' * field.changed}" if step.after else "it ends here"
            assert f"{field.name} {field.before} {after}".strip() in text
        assert all(f"{label} {value}" in text for label, value in memory(step))


@pytest.mark.parametrize("name", MAKERS)
def test_the_saved_page_holds_only_what_a_sanitiser_keeps(name: str) -> None:
    for tag, attributes in Reader(page(journey(name))).elements:
        assert tag in PLAIN and set(attributes) <= {"scope", "colspan", "style"}
        assert set(re.findall(r"([\w-]+):", attributes.get("style", ""))) <= STYLES


def test_text_and_page_need_neither_ipywidgets_nor_scapy() -> None:
    program = ("import sys, k8slab.show; names = {name.split('.')[0] for name in sys.modules}; "
               "print(sorted({'ipywidgets', 'scapy', 'matplotlib'} & names))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr

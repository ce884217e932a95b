"""Two journeys side by side: the twin says what the HTML says, and both say where and how the journeys part."""

from __future__ import annotations

import dataclasses
import re

import pytest

from k8slab.lab import Lab
from k8slab.show import headlines, side_by_side
from k8slab.show.beside import ALONE, FIRST, NOTHING, Beside
from k8slab.show.words import title
from k8slab.trace import Trace, compare, together
from tests.model.labs import syn
from tests.show.journeys import MAKERS, journey
from tests.show.reading import Reader, words

SVC = "KUBE-SVC-NPX46M4PTMTKRN6Y"
# Of what JupyterLab's sanitiser lets through in a notebook that is not trusted (apputils, sanitizer.ts).
PLAIN = {"p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "ul", "ol", "li",
         "code", "nobr"}
STYLES = {"text-align", "vertical-align", "padding", "font-weight", "font-size", "line-height", "overflow-wrap",
          "background", "width", "border", "border-collapse", "margin", "padding-left"}


def flushed() -> Trace:
    """The article's journey after the Service's chain was emptied on worker1."""
    lab = Lab("model", seed=1)
    lab.run("worker1", f"iptables -t nat -F {SVC}")
    return lab.send(syn(), "client")


def cut(trace: Trace, steps: int) -> Trace:
    return dataclasses.replace(trace, steps=trace.steps[:steps])


ARTICLE = journey("article")
CASES = {
    "flushed": side_by_side(ARTICLE, flushed()),
    "alike": side_by_side(ARTICLE, ARTICLE),
    "cut": side_by_side(ARTICLE, cut(ARTICLE, 8)),
    "cut at the left": side_by_side(cut(ARTICLE, 8), ARTICLE),
    "nothing at all": side_by_side(cut(ARTICLE, 0), ARTICLE),
    "first step": side_by_side(journey("ping"), ARTICLE, names=("ping", "SYN")),
    "<names>": side_by_side(ARTICLE, flushed(), names=("<b>old</b>", "new & 'improved'")),
} | {name: side_by_side(ARTICLE, journey(name), names=("article", name)) for name in MAKERS if name != "article"}


def text_of(shown: Beside) -> str:
    return Reader(shown.html).text


@pytest.mark.parametrize("case", CASES)
def test_the_twin_says_what_the_html_says_and_the_html_what_the_twin_says(case: str) -> None:
    # The numbers of the steps are those of a list's items.
    html = Reader(CASES[case].html)
    numbers = {f"{attributes['value']}." for tag, attributes in html.elements if "value" in attributes}
    assert words(html.text) | numbers == words(str(CASES[case]))
    assert repr(CASES[case]) == str(CASES[case])


@pytest.mark.parametrize("case", CASES)
def test_the_html_holds_only_what_a_sanitiser_keeps_and_no_colour(case: str) -> None:
    for tag, attributes in Reader(CASES[case].html).elements:
        assert tag in PLAIN and set(attributes) <= {"scope", "colspan", "style", "value"}
        assert set(re.findall(r"([\w-]+):", attributes.get("style", ""))) <= STYLES
    heads = [attributes.get("scope") for tag, attributes in Reader(CASES[case].html).elements if tag == "th"]
    assert heads[:2] == ["col", "col"] and set(heads[2:]) <= {"rowgroup"}


def test_both_forms_go_to_the_notebook() -> None:
    shown = CASES["flushed"]
    assert shown._repr_mimebundle_() == {"text/plain": str(shown), "text/html": shown.html}


def test_the_article_after_its_service_was_flushed() -> None:
    shown = CASES["flushed"]
    assert str(shown).splitlines()[:2] == [f"before: {ARTICLE.summary()}", f"after: {flushed().summary()}"]
    assert shown.finding == (
        "First difference, after 4 steps alike:",
        f"before: worker1 · nat {SVC} rule 2: has no test, every packet matches: on to KUBE-SEP-VDNPK4CXOQDGPWFC.",
        f"after: worker1 · nat {SVC}: the chain is empty: back to KUBE-SERVICES.")
    before, after = shown.sides
    assert before.lead == () and before.step.kind == "JUMP"
    assert [step.kind for step in after.lead] == ["END", "END"] and after.step.kind == "POLICY"
    assert [name for name, _ in before.facts] == ["chain", "rule"] and dict(after.facts)["rule"] == "none"


def test_only_the_first_difference_is_bold_and_has_a_border() -> None:
    html = CASES["flushed"].html
    assert html.count("border: 2px solid") == 1
    (framed,) = re.findall(r'<tbody style="border: 2px solid">(.*?)</tbody>', html)
    before, after = CASES["flushed"].sides
    bold = re.findall("<strong>(.*?)</strong>", framed)
    assert bold == [FIRST, f"→ {title(before.step)}", f"→ {title(after.step)}"]
    folded, rest = html.split(framed)
    assert "<details><summary>4 steps alike</summary>" in folded and "<strong>" not in rest


def test_after_the_difference_each_column_has_its_own_headlines() -> None:
    for side in CASES["flushed"].sides:
        assert side.rest and side.rest == tuple(s for s in headlines(side.trace) if s.number > side.step.number)
    said = text_of(CASES["flushed"])
    assert said.index(FIRST) < said.index(ALONE) < said.index("router drops it")


def test_no_difference_is_said_and_every_step_is_folded() -> None:
    shown = CASES["alike"]
    assert shown.finding == ("No difference: both take the same 32 observable steps.",) and shown.sides == ()
    assert "32 steps alike" in text_of(shown) and FIRST not in str(shown) and ALONE not in str(shown)
    assert shown.html.count("<li>") == len(shown.alike) == 32 and "border: 2px" not in shown.html


@pytest.mark.parametrize("case, ended", [("cut", 1), ("cut at the left", 0)])
def test_a_journey_that_ends_before_the_other_does_nothing_more(case: str, ended: int) -> None:
    shown = CASES[case]
    assert shown.sides[ended].step is None and shown.sides[ended].rest == ()
    assert shown.finding[1 + ended] == f"{shown.names[ended]}: {NOTHING}."
    going = shown.sides[1 - ended]
    assert title(going.step) == "worker1: DNAT to 10.106.175.128:6443" and going.facts == (("rule", going.step.rule),)
    assert f"<strong>{NOTHING}</strong>" in shown.html


def test_a_difference_in_the_first_step() -> None:
    shown = CASES["first step"]
    assert shown.alike == () and "alike" not in str(shown)
    assert shown.finding[0] == "First difference, in the first step:"
    # Both leave on the same interface: what they are says which is which.
    assert shown.finding[1:] == ("ping: client sends a ping to 10.244.1.7.", "SYN: client sends a SYN to "
                                                                             "10.96.0.1:443.")
    ping = shown.sides[0]
    assert ping.lead[0] is journey("ping").steps[0] and dict(ping.facts)["packet"].startswith("icmp 10.244.1.5 >")


def test_concluded_steps_that_both_took_led_nobody_apart() -> None:
    lab = Lab("model", seed=1)
    lab.run("worker1", "iptables -t nat -I PREROUTING -p tcp -j ACCEPT")
    shown = side_by_side(ARTICLE, lab.send(syn(), "client"))
    # Both meet a new connection there, which no capture shows, before one jumps and the other does not.
    assert [(side.lead, side.step.kind) for side in shown.sides] == [((), "JUMP"), ((), "RULE")]


@pytest.mark.parametrize("name", MAKERS)
def test_it_parts_where_compare_says(name: str) -> None:
    other = journey(name)
    alike, parting = together(ARTICLE, other)
    assert parting == compare(ARTICLE, other) and all(one.fact() == two.fact() for one, two in alike)
    sides = side_by_side(ARTICLE, other).sides
    assert [side.step for side in sides] == ([parting.left, parting.right] if parting else [])


def test_names_are_escaped_and_have_to_be_two() -> None:
    shown = CASES["<names>"]
    assert "<b>" not in shown.html and "&lt;b&gt;old&lt;/b&gt;" in shown.html
    assert str(shown).startswith("<b>old</b>: ") and text_of(shown).count("new & 'improved'") == 3
    for names in (("one",), ("one", "two", "three"), ("same", "same"), ("", "x")):
        with pytest.raises(ValueError, match="two names"):
            side_by_side(ARTICLE, ARTICLE, names=names)

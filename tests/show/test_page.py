"""The stepper of a page: it holds every pane once and nothing from outside; and what `make page` refuses."""

from __future__ import annotations

import importlib.util
import re
from html import unescape
from pathlib import Path

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from k8slab.show import page, show
from k8slab.show.headlines import headlines
from k8slab.show.stage import pane
from k8slab.show.static import page as static_page
from k8slab.show.words import title
from tests.show.journeys import MAKERS, NETWORK, journey
from tests.show.reading import Reader

SCRIPT = Path(__file__).parents[2] / "scripts" / "pages.py"
SPEC = importlib.util.spec_from_file_location("pages", SCRIPT)
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)

# Attributes that make a browser fetch something, and the only place that it may come from.
FETCHED = {"src", "srcset", "poster", "data", "background"}


class Shell:
    """What an IPython extension sees of the shell that loads it, as far as ours looks."""

    def __init__(self) -> None:
        self.display_formatter = DisplayFormatter()


@pytest.mark.parametrize("name", MAKERS)
def test_every_pane_is_there_once_and_all_but_the_first_are_hidden(name: str) -> None:
    trace = journey(name)
    html = page.live(trace, NETWORK)
    starts = [match.start() for match in re.finditer("<div class=k-pane", html)]
    assert len(starts) == len(trace.steps)
    for at, step in zip(starts, trace.steps):
        shown = pane(trace, step, NETWORK)
        if step.number > 1:
            shown = shown.replace("<div class=k-pane>", "<div class=k-pane hidden>")
        assert html.startswith(shown, at)


@pytest.mark.parametrize("name", MAKERS)
def test_each_line_of_a_list_names_the_number_of_its_step(name: str) -> None:
    trace = journey(name)
    html = page.live(trace)
    lists = [re.findall(r"<option value=(\d+)[^>]*>([^<]*)</option>", part)
             for part in html.split("<select")[1:]]
    for options, steps in zip(lists, (headlines(trace), trace.steps), strict=True):
        assert [int(number) for number, _ in options] == [step.number for step in steps]
        said = [unescape(line).replace("\u00a0", " ").split("  ", 2)[-1] for _, line in options]
        assert said == [title(step) for step in steps]


def test_the_same_journey_gives_the_same_page_and_no_two_have_an_id_to_share() -> None:
    html = page.live(journey("article"), NETWORK)
    assert page.live(journey("article"), NETWORK) == html
    assert not any("id" in attributes or "name" in attributes for _, attributes in Reader(html).elements)


def test_the_static_form_is_in_it_and_the_stepper_is_hidden_until_its_script_runs() -> None:
    html = page.live(journey("article"))
    assert static_page(journey("article")) in html
    assert "<div class=k8slab-stepper hidden>" in html and html.index("</option>") < html.index("<script>")


def test_the_articles_journey_fits_in_250_kilobytes() -> None:
    size = len(page.live(journey("article"), NETWORK).encode())
    print(f"{size} bytes")
    assert 100_000 < size <= 250_000


def test_what_comes_from_outside_is_escaped() -> None:
    html = page.live(journey("cannot tell"))
    assert '"0=0"' not in html and "&quot;0=0&quot;" in html


def test_one_shell_shows_the_page_and_no_other_does() -> None:
    shell, other = Shell(), Shell()
    page.load_ipython_extension(shell)
    shown = show(journey("ping"), NETWORK)
    data, _ = shell.display_formatter.format(shown)
    assert data == {"text/plain": str(journey("ping")), "text/html": page.live(journey("ping"), NETWORK)}
    kept, _ = other.display_formatter.format(shown)
    assert "application/vnd.jupyter.widget-view+json" in kept and "k-page" not in kept["text/html"]


@pytest.mark.parametrize("source", ["a $x^2$", "$$ x $$", "\\begin{align}x\\end{align}",
                                    "```mermaid\ngraph\n```"])
def test_what_needs_a_script_from_the_network_is_refused(source: str, tmp_path: Path) -> None:
    path = tmp_path / "needs.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell(source)]), path)
    with pytest.raises(ValueError, match="without the network cannot draw"):
        script.page(path)


def test_a_prompt_in_a_listing_is_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "fine.ipynb"
    source = "# The title\n\n```sh\n$ echo $HOME and $PATH\n```\n`$a` [on](02-next.ipynb#here)"
    nbformat.write(new_notebook(cells=[new_markdown_cell(source)]), path)
    html = script.page(path)
    assert "<title>The title</title>" in html and 'href="02-next.html#here"' in html
    assert " tabindex=" not in html


def test_a_page_fetches_nothing_and_says_so_to_the_browser() -> None:
    outputs = [new_output("execute_result", data={"text/html": page.live(journey("ping"))})]
    html = script.export(new_notebook(cells=[new_code_cell("show(journey)", outputs=outputs)]))
    elements = Reader(html).elements
    assert not [value for tag, attributes in elements for name, value in attributes.items()
                if name in FETCHED and not value.startswith("data:")]
    assert not {tag for tag, _ in elements} & {"link", "iframe", "object", "embed", "base"}
    assert not re.search(r"@import|url\((?!['\"]?data:)", html)
    (policy,) = [attributes["content"] for tag, attributes in elements
                 if attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "http" not in policy


def test_a_picture_keeps_the_words_that_stand_for_it() -> None:
    about = {"image/png": {"alt": 'Shares: "equal"', "width": 680}}
    output = new_output("display_data", data={"image/png": "AAAA"}, metadata=about)
    script.describe(output)
    ((tag, attributes),) = Reader(output.data["text/html"]).elements
    assert (tag, attributes["alt"]) == ("img", 'Shares: "equal"')
    assert attributes["src"] == "data:image/png;base64,AAAA"

"""What README and CONTRIBUTING name is there."""

import re

import pytest

from tests.project.copies import ROOT

PAGES = ("README.md", "CONTRIBUTING.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_picture_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"\s]+)"', text)
    inside = [target.split("#")[0] for target in targets if "://" not in target]
    assert [target for target in inside if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_is_there(page: str) -> None:
    targets = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / page).read_text()))
    assert targets
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


def test_the_two_commands_stand_on_the_first_screen() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert re.search(r"```sh\n(?:.*\n)*make lab.*\nmake test.*\n```", first_screen)


def test_every_picture_has_words_for_those_who_do_not_see_it() -> None:
    pictures = re.findall(r"<img[^>]*>", (ROOT / "README.md").read_text())
    assert pictures
    for picture in pictures:
        assert re.search(r'alt="[^"]{20,}"', picture), picture

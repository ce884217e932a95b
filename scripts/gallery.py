"""Take a picture of everything that the package shows, in both themes, in a narrow place and in a wide one.

    python scripts/gallery.py [NAME ...]

Writes build/pictures/NAME-WIDTH-THEME.png, from a notebook that is run in a headless browser. The names are those of
`tests.browser.everything`; without any, all are taken. To be looked at: no test can say whether a picture is clear.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the browser harness is the tests', and they are not installed

from tests.browser.chromium import headless_chromium  # noqa: E402
from tests.browser.everything import SETUP, THINGS  # noqa: E402
from tests.browser.lab import jupyterlab, open_notebook, run_all, set_theme, wrong_cells  # noqa: E402
from tests.browser.pages import write_notebook  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTHS = (500, 1200)
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
# Scrolls to a cell and makes the room for its output as wide as asked.
PLACE = """async ([index, width]) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  await notebook.scrollToItem(index, 'start');
  for (const output of notebook.widgets[index].node.querySelectorAll('.jp-OutputArea-output')) {
    output.style.cssText = `flex: none; width: ${width}px; max-width: none; overflow: visible`;
  } }"""


def take(page: "Page", number: int, name: str, folder: Path) -> None:
    """Take the pictures of one cell's output; a stepper shows the step that the whole journey is about."""
    for theme, words in THEMES.items():
        set_theme(page, words)
        for width in WIDTHS:
            page.evaluate(PLACE, [number, width])
            output = page.locator(".jp-Cell").nth(number).locator(".jp-OutputArea-output").first
            output.wait_for()
            steps = output.locator("select")
            if steps.count():
                lines = steps.first.locator("option").all_text_contents()
                steps.first.select_option(
                    index=next((i for i, line in enumerate(lines) if "DNAT" in line), len(lines) - 1)
                )
            page.wait_for_timeout(200)
            file = folder / f"{name}-{width}-{theme}.png"
            output.screenshot(path=file, animations="disabled")
            print(file.relative_to(ROOT))


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description="Take a picture of everything that the package shows.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(THINGS))
    names = parser.parse_args().names or list(THINGS)
    if unknown := set(names) - set(THINGS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(THINGS)}")
    folder = ROOT / "build" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, headless_chromium() as browser:
        (Path(place) / "notebooks").mkdir()
        notebook = write_notebook(Path(place) / "notebooks" / "gallery.ipynb", SETUP, *THINGS.values())
        with jupyterlab(notebook.parent) as server:
            # High enough that every cell is drawn, and so has its place among them.
            page = browser.new_page(viewport={"width": 1800, "height": 30000})
            open_notebook(page, server, notebook.name)
            run_all(page)
            if wrong := wrong_cells(page):
                raise SystemExit("\n".join(wrong))
            for name in names:
                take(page, 2 + list(THINGS).index(name), name, folder)  # after the heading and the set-up


if __name__ == "__main__":
    main()

"""Take the README's pictures of the stepper, light and dark, from the first notebook in a headless browser.

    python scripts/screenshot.py [--step TEXT]

Writes docs/stepper.png and docs/stepper-dark.png, at twice the resolution of the page so that they are sharp.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the browser harness is the tests', and they are not installed

from tests.browser.chromium import headless_chromium  # noqa: E402
from tests.browser.lab import copy_notebooks, jupyterlab, open_notebook, run_all, wrong_cells  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

NOTEBOOK = "01-follow-one-packet.ipynb"
STEPPER = ".k8slab-stepper"

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
PICTURES = {"stepper.png": THEMES["light"], "stepper-dark.png": THEMES["dark"]}

SET_THEME = "async theme => await window.jupyterapp.commands.execute('apputils:change-theme', { theme })"

# A notebook draws the cells in sight; this brings the cell of the first stepper there.
SHOW_CELL = """async () => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  for (let index = 0; index < notebook.widgets.length; index++) {
    if (notebook.widgets[index].node.querySelector('.k8slab-stepper')) {
      return await notebook.scrollToItem(index, 'start');
    }
  }
}"""


def choose_step(place: "Locator", text: str) -> None:
    """Choose, in a stepper's list, the first step whose line holds `text`; ends the script without one."""
    steps = place.locator("select").first
    lines = steps.locator("option").all_text_contents()
    number = next((number for number, line in enumerate(lines) if text in line), None)
    if number is None:
        raise SystemExit(f"no step of the stepper holds {text!r}; there are: {'; '.join(lines)}")
    steps.select_option(index=number)
    steps.focus()       # a list without the focus shows its chosen line in grey


def use_theme(page: "Page", theme: str) -> None:
    """Change JupyterLab's theme, and wait until it is drawn."""
    page.evaluate(SET_THEME, theme)
    page.wait_for_function("dark => (document.body.dataset.jpThemeLight === 'false') === dark",
                           arg=theme.endswith("Dark"))
    page.wait_for_load_state("networkidle")


def take_pictures(step: str, folder: Path) -> None:
    """Run the notebook, choose a step, and save a picture of the stepper in each theme to `folder`."""
    with tempfile.TemporaryDirectory() as place, headless_chromium() as browser, \
            jupyterlab(copy_notebooks(ROOT / "notebooks", Path(place))) as server:
        page = browser.new_page(viewport={"width": 1500, "height": 1200}, device_scale_factor=2)
        open_notebook(page, server, NOTEBOOK)
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        run_all(page)
        if wrong := wrong_cells(page):
            raise SystemExit("\n".join(wrong))
        page.add_style_tag(content=f"{STEPPER} {{ padding: 16px !important }}")
        page.evaluate(SHOW_CELL)
        stepper = page.locator(STEPPER).first
        choose_step(stepper, step)
        for name, theme in PICTURES.items():
            use_theme(page, theme)
            stepper.screenshot(path=folder / name, animations="disabled")
            print(folder / name)


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description="Take the README's pictures of the stepper.")
    parser.add_argument("--step", default="DNAT", help="words of the step to show (default: %(default)s)")
    folder = ROOT / "docs"
    folder.mkdir(exist_ok=True)
    take_pictures(parser.parse_args().step, folder)


if __name__ == "__main__":
    main()

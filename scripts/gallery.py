"""Take a picture of everything that is shown in a notebook, for the eye: narrow and wide, light and dark.

    python scripts/gallery.py [NAME ...]

Writes build/pictures/NAME-WIDTH-THEME.png, such as stepper-500-dark.png, and an index.html that shows them all.
The widths are of a cell's output, in pixels. Everything is drawn by JupyterLab, in a notebook made for it.
"""

import sys
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from screenshot import ROOT, THEMES, choose_step, use_theme

from tests.browser.chromium import headless_chromium
from tests.browser.lab import jupyterlab, open_notebook, run_all, wrong_cells
from tests.browser.pages import write_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

FOLDER = ROOT / "build" / "pictures"
WIDTHS = (500, 1200)
FIRST = """from IPython.display import HTML
from k8slab.lab import Lab, kube_proxy_rules
from k8slab.packet import Packet
from k8slab.show import show, side_by_side
from k8slab.show.chainmap import chain_map
from k8slab.show.drawing import draw
from k8slab.show.plots import lookups, spread
from k8slab.show.static import page
from k8slab.show.tables import endpoints_table, entries_table, packets_table, rules_table
from k8slab.show.timeline import Connection, timeline
question = Packet("tcp", "10.244.1.5", "10.96.0.1", 50000, 443)
lab = Lab("model", seed=1)
rules, many = lab.run("worker1", "iptables-save"), kube_proxy_rules("03-many-endpoints.iptables-save")
journey = lab.send(question, "client")
def after(command, packet=question):
    changed = Lab("model", seed=1)
    changed.run("worker1", command)
    return changed.send(packet, "client")"""
# Name -> the cell that shows it.
SHOWN = {
    "stepper": "show(journey, lab.network)",
    "stepper-rejected": "show(after('iptables -I FORWARD -p tcp --dport 8080 -j REJECT',"
                        " Packet('tcp', '10.244.1.5', '10.244.1.7', 50000, 8080)), lab.network)",
    "saved-page": "HTML(page(journey))",
    "side-by-side": "side_by_side(journey, after('iptables -t nat -F KUBE-SVC-NPX46M4PTMTKRN6Y'))",
    "network": "draw(lab.network, journey, journey.steps[8])",
    "chain-map": "chain_map(rules, service='default/kubernetes')",
    "chain-map-packet": "chain_map(rules, trace=journey)",
    "chain-map-folded": "chain_map(many)",
    "rules": "rules_table(rules, 'KUBE-SERVICES')",
    "endpoints": "endpoints_table(many)",
    "entries": "entries_table(journey.entries)",
    "packets": "packets_table(journey)",
    "spread": "spread({'10.244.1.7:8080': 31, '10.244.2.8:8080': 19, '10.244.2.9:8080': 40})",
    "lookups": "lookups({n: {'rules in the dump': 8 * n + 60, 'rules tested in the list': n + 2,"
               " 'look-ups in a map': 1} for n in (10, 100, 1000, 10000)})",
    "timeline": "timeline([(0.66, 'the Service is deleted'), (9.39, 'it is there again, with a new uid')],"
                " [Connection('client', 0, 12), Connection('client', 3, None),"
                " Connection('curl', 1, 2, broken=True, why='timed out'), Connection('curl', 10, 11)])",
}
# Name -> words of the step that its stepper stands at.
STEPS = {"stepper": "DNAT", "stepper-rejected": "refuses"}
# Name -> words of what is opened in it.
OPENED = {"saved-page": "DNAT", "rules": "10.96.0.1"}
OUTPUT = ".jp-OutputArea-output"


def outputs(page: "Page") -> dict[str, "Locator"]:
    """Return each thing's place in the page, once it stands at its step and is opened; ends the script at errors."""
    if wrong := wrong_cells(page):
        raise SystemExit("\n".join(wrong))
    cells = page.locator(".jp-CodeCell")
    found = {name: cells.nth(at).locator(OUTPUT).first for at, name in enumerate(SHOWN, 1)}
    for name, words in STEPS.items():
        choose_step(found[name], words)
    for name, words in OPENED.items():
        found[name].locator("summary", has_text=words).first.click()
    return found


def take_pictures(names: list[str]) -> None:
    """Show everything in a notebook, and save the pictures of these things."""
    with tempfile.TemporaryDirectory() as place, headless_chromium() as browser:
        folder = Path(place) / "notebooks"
        folder.mkdir()
        write_notebook(folder / "gallery.ipynb", FIRST, *SHOWN.values())
        with jupyterlab(folder) as server:
            # So high that every cell is in sight, and so is drawn.
            page = browser.new_page(viewport={"width": 1500, "height": 16000})
            open_notebook(page, server, "gallery.ipynb")
            page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
            run_all(page)
            found = outputs(page)
            for theme, title in THEMES.items():
                use_theme(page, title)
                for width in WIDTHS:
                    page.add_style_tag(content=f"{OUTPUT} {{ flex: none !important; width: {width}px !important }}")
                    for name in names:
                        found[name].screenshot(path=FOLDER / f"{name}-{width}-{theme}.png", animations="disabled")


def write_index() -> None:
    """Write the page that shows all pictures that are there."""
    pictures = "".join(f"<figure><figcaption>{escape(path.stem)}</figcaption><img src='{escape(path.name)}' alt=''>"
                       "</figure>\n" for path in sorted(FOLDER.glob("*.png")))
    (FOLDER / "index.html").write_text(f"<!doctype html><title>What k8slab shows</title>\n{pictures}", "utf-8")


def main() -> None:
    """Take the pictures of what the command line names, or of everything."""
    names = sys.argv[1:] or list(SHOWN)
    if unknown := set(names) - set(SHOWN):
        raise SystemExit(f"nothing is called {', '.join(sorted(unknown))}; there are {', '.join(SHOWN)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    take_pictures(names)
    write_index()
    print(FOLDER / "index.html")


if __name__ == "__main__":
    main()

"""How long one step of the stepper takes, in an exported page and in JupyterLab. Not a test: nothing fails.

    python -m tests.benchmarks.step_time

A step is: a line of the list is chosen, and the stage stands there anew, laid out and ready to be painted.
Beside it, in the same page and in the same minute, an empty list box does the same to an empty `div`. Their
ratio says what our panes cost, whatever the machine: both numbers hold the browser's own work.

In JupyterLab a step ends when the widgets have shown the new pane, some of the browser's tasks later.
"""

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.chromium import headless_chromium
from tests.browser.lab import jupyterlab, open_notebook, run_all
from tests.browser.pages import Opened, export, write_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUNDS = 20
CELL = """from k8slab.lab import Lab
from k8slab.packet import Packet
from k8slab.show import show
lab = Lab('model', seed=1)
show(lab.send(Packet('tcp', '10.244.1.5', '10.96.0.1', 50000, 443), 'client'), lab.network)"""

# Walks `rounds` times through the long list, and then through an empty one; returns for each round of both
# how many milliseconds a step took. The browser's clock ticks every tenth of one: too seldom for one step.
WALK = """async rounds => {
  const stepper = document.querySelector('.k8slab-stepper')
  const list = [...stepper.querySelectorAll('select')].find(one => one.offsetParent)
  const empty = document.createElement('select'), place = document.createElement('div')
  empty.size = 8
  for (const option of list.options) empty.add(new Option())
  empty.onchange = () => { place.textContent = empty.selectedIndex }
  stepper.after(empty, place)
  const turn = () => new Promise(done => { const { port1, port2 } = new MessageChannel()
    port1.onmessage = done; port2.postMessage(0) })
  const stage = list.closest('.k-body').querySelector('.k-stage')
  const count = () => [...stage.querySelectorAll('.k-count')].find(one => one.offsetParent)?.textContent ?? ''
  const walk = async (list, shows) => {
    const times = []
    for (let round = 0; round < rounds; round++) {
      const start = performance.now()
      for (let i = 0; i < list.options.length; i++) {
        list.selectedIndex = i
        list.dispatchEvent(new Event('input', { bubbles: true }))
        list.dispatchEvent(new Event('change', { bubbles: true }))
        while (!shows(i)) {
          if (performance.now() - start > 60000) throw new Error(`step ${i + 1} does not appear`)
          await turn()
        }
        document.body.offsetHeight
      }
      times.push((performance.now() - start) / list.options.length)
    }
    return times
  }
  const ours = await walk(list, i => count().startsWith(`Step ${i + 1} of `))
  const nothing = await walk(empty, i => place.textContent === String(i))
  empty.remove()
  place.remove()
  return [ours, nothing]
}"""


def report(where: str, page: "Page") -> None:
    """Walk, and print one line: the time of a step, of the empty one, and their ratio."""
    page.locator(".k8slab-stepper").get_by_role("tab").nth(1).click()
    page.evaluate(WALK, 1)
    ours, nothing = page.evaluate(WALK, ROUNDS)
    step, empty = statistics.median(ours), statistics.median(nothing)
    print(f"{where:10} a step takes {step:.2f} ms (slowest of {ROUNDS} walks: {max(ours):.2f} ms), "
          f"an empty list and div {empty:.3f} ms: {step / empty:.0f} times as long")


def main() -> None:
    """Measure in both places."""
    with tempfile.TemporaryDirectory() as place, headless_chromium() as browser:
        folder = Path(place, "notebooks")
        folder.mkdir()
        notebook = write_notebook(folder / "journey.ipynb", CELL)
        opened = Opened(browser, export(Path(place, "pages"), [notebook])["journey"])
        report("page", opened.page)
        with jupyterlab(folder) as server:
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            open_notebook(page, server, notebook.name)
            run_all(page)
            page.wait_for_selector(".k8slab-stepper")
            report("JupyterLab", page)


if __name__ == "__main__":
    main()

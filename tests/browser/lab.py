"""JupyterLab as a learner meets it: a server, a page with a notebook, every cell run, and what went wrong.

    with jupyterlab(copy_of_notebooks) as server, headless_chromium() as browser:
        page = browser.new_page()
        watch = Watch(page, server)
        open_notebook(page, server, "01-follow-one-packet.ipynb")
        run_all(page)
        assert not watch.complaints() and not wrong_cells(page)

JupyterLab draws only the cells that are in sight, so cells are read from its model and not from the page. It
is driven by its own commands: a click on Run All right after loading is sometimes lost.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request, Response

# `--expose-app-in-browser` gives the page `window.jupyterapp`. A busy port must be an error: by default
# JupyterLab takes the next one in silence, and the page that answers is somebody else's.
FLAGS = ("--no-browser", "--ip=127.0.0.1", "--ServerApp.port_retries=0", "--expose-app-in-browser")

READY = """async () => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = app.shell.currentWidget;
  await panel.context.ready;
  await panel.revealed;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
}"""

RUN_ALL = "async () => await window.jupyterapp.commands.execute('notebook:run-all-cells')"

# [source, execution count or null, outputs] of each code cell.
CODE_CELLS = """() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
  .filter(cell => cell.cell_type === 'code')
  .map(cell => [[cell.source].flat().join(''), cell.execution_count, cell.outputs])"""

# A widget that the page could not draw leaves one of these sentences where it should be.
LOST_WIDGET = re.compile(r"Error (displaying|creating|rendering) widget|[Mm]odel not found")
ALL_DRAWN = "() => !document.querySelector('.jp-Notebook').innerText.includes('Loading widget')"


@dataclass(frozen=True, slots=True)
class Server:
    """A JupyterLab that answers: `base` as `http://127.0.0.1:8888`, and the token that opens it."""

    base: str
    token: str

    def page_of(self, notebook: str) -> str:
        """Return the address of a notebook's page; `notebook` is its path from the server's root folder."""
        return f"{self.base}/lab/tree/{notebook}?token={self.token}&reset"


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_up(base: str, process: subprocess.Popen, log: Path, seconds: float = 60) -> None:
    """Wait until the server answers; raises RuntimeError, with its log, when it ends or stays silent."""
    give_up = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < give_up:
        try:
            # This path needs no token.
            urllib.request.urlopen(f"{base}/api", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab does not answer at {base}:\n{log.read_text()[-3000:]}")


@contextmanager
def jupyterlab(folder: Path) -> Iterator[Server]:
    """Run JupyterLab on `folder` and stop it at the end; it keeps settings and history beside `folder`.

    The learner's own JupyterLab is neither read nor written: home and Jupyter's three folders are new ones.
    Raises RuntimeError when the server does not come up.
    """
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    places = {name: str(home / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR",
                                                          "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    base, token, log = f"http://127.0.0.1:{free_port()}", secrets.token_hex(16), home / "jupyterlab.log"
    command = [sys.executable, "-m", "jupyterlab", *FLAGS, f"--port={urlsplit(base).port}",
               f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    if os.geteuid() == 0:
        command.append("--allow-root")
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | {"HOME": str(home)} | places,
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_up(base, process, log)
        yield Server(base, token)
    finally:
        # Asked politely, it ends its kernels too.
        process.terminate()
        process.wait(timeout=30)


def copy_notebooks(source: Path, place: Path) -> Path:
    """Copy a folder of notebooks to `place/notebooks`, where running them may write; return the copy.

    The answers of whoever has worked in the folder stay behind.
    """
    ignore = shutil.ignore_patterns(".ipynb_checkpoints", "k8slab-progress*")
    return Path(shutil.copytree(source, place / "notebooks", ignore=ignore))


class Watch:
    """Notes what a page complains of: errors in its console, requests that fail or go to another server."""

    def __init__(self, page: "Page", server: Server) -> None:
        self.base = server.base
        self.console: list[str] = []
        self.failed: list[str] = []
        self.outside: list[str] = []
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        page.on("requestfailed", self._note_failure)
        page.on("request", self._note_request)
        page.on("response", self._note_answer)

    def complaints(self) -> list[str]:
        """Return every complaint so far, a line each."""
        kinds = {"console": self.console, "failed request": self.failed, "request outside": self.outside}
        return [f"{kind}: {line}" for kind, lines in kinds.items() for line in lines]

    def _note_console(self, message: "ConsoleMessage") -> None:
        if message.type == "error":
            self.console.append(f"{message.text} ({message.location.get('url', '')})")

    def _note_failure(self, request: "Request") -> None:
        # A page that moves on breaks off what it was loading: that is no failure.
        if request.failure != "net::ERR_ABORTED":
            self.failed.append(f"{request.failure} {request.url}")

    def _note_request(self, request: "Request") -> None:
        in_the_page = urlsplit(request.url).scheme in ("data", "blob")
        if not in_the_page and not request.url.startswith(f"{self.base}/"):
            self.outside.append(request.url)

    def _note_answer(self, answer: "Response") -> None:
        if answer.status >= 400:
            self.failed.append(f"{answer.status} {answer.url}")


def open_notebook(page: "Page", server: Server, notebook: str) -> None:
    """Open a notebook by its path from the server's root, and wait until its kernel can run a cell."""
    page.goto(server.page_of(notebook))
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.evaluate(READY)


def show_cell(page: "Page", words: str) -> None:
    """Bring the first code cell that holds these words into sight, and make it the active one."""
    page.evaluate("""async words => {
      const notebook = window.jupyterapp.shell.currentWidget.content;
      const index = notebook.widgets.findIndex(cell => cell.model.type === 'code'
        && cell.model.sharedModel.getSource().includes(words));
      notebook.activeCellIndex = index;
      await notebook.scrollToItem(index, 'start'); }""", words)


def set_theme(page: "Page", name: str) -> None:
    """Change JupyterLab's theme ("JupyterLab Dark") and wait until the page has it."""
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
    page.wait_for_function("dark => (document.body.dataset.jpThemeLight === 'false') === dark",
                           arg=name.endswith("Dark"))
    page.wait_for_selector("#jupyterlab-splash", state="detached")   # it covers the page while styles are loaded


def open_stepper(page: "Page") -> None:
    """Bring the first stepper that waits for a guess into sight, and open it without one."""
    show_cell(page, "unit.after(")
    page.get_by_role("button", name="Show me without a guess").first.click()
    page.locator(".k8slab-stepper").first.wait_for()


def run_all(page: "Page") -> None:
    """Run every cell of the open notebook, top to bottom; wait until all have ended and widgets are drawn."""
    page.evaluate(RUN_ALL)
    page.wait_for_function(ALL_DRAWN)


def wrong_cells(page: "Page") -> list[str]:
    """Return a line for each code cell that was not run or ended in an error, and for a widget not drawn."""
    wrong = []
    for number, (source, count, outputs) in enumerate(page.evaluate(CODE_CELLS), start=1):
        first_line = source.strip().split("\n")[0]
        if source.strip() and count is None:
            wrong.append(f"code cell {number} was not run: {first_line}")
        wrong += [f"code cell {number}, {output['ename']}: {output['evalue']}: {first_line}"
                  for output in outputs if output["output_type"] == "error"]
    lost = LOST_WIDGET.search(page.locator(".jp-Notebook").inner_text())
    return wrong + ([f"a widget was not drawn: {lost.group()}"] if lost else [])

"""From nothing to the first notebook: a new clone, `make lab`, and a browser that runs it from top to bottom.

As whoever runs the tests, and, when that is root, as an ordinary user too.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.chromium import headless_chromium
from tests.browser.lab import Server, Watch, free_port, open_notebook, run_all, wrong_cells
from tests.project.copies import clean_environment, copy_project

NOTEBOOK = "notebooks/index.ipynb"
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/lab/tree/(\S+)\?token=(\w+)")
# Root's own PATH may lead to where nobody else may go.
ORDINARY_PATH = "/usr/local/bin:/usr/bin:/bin"
USABLE_PYTHON = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"


@dataclass(frozen=True, slots=True)
class Clone:
    """A new clone, in a folder whose name has a space, and the words that run a command as its owner."""

    folder: Path
    become: tuple[str, ...]

    def start(self, *command: str, log: Path) -> subprocess.Popen:
        """Start a command in the clone as its owner, without a display and without input."""
        environment = clean_environment() | {"HOME": str(self.folder.parent / "home")}
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "VIRTUAL_ENV"):
            environment.pop(name, None)
        with log.open("a") as output:
            return subprocess.Popen([*self.become, *command], cwd=self.folder, env=environment, stdout=output,
                                    stderr=output, stdin=subprocess.DEVNULL, start_new_session=True)


@pytest.fixture(params=["as ourselves", "as an ordinary user"])
def clone(request: pytest.FixtureRequest) -> Iterator[Clone]:
    """A new clone of the project, owned by ourselves or by `nobody`."""
    place = Path(tempfile.mkdtemp(prefix="k8slab-"))  # pytest's own folders are closed to other users
    (place / "home").mkdir()
    become = ()
    try:
        folder = copy_project(place / "a clone")
        if request.param == "as an ordinary user":
            become = ordinary_user(place)
        yield Clone(folder, become)
    finally:
        shutil.rmtree(place)


def ordinary_user(place: Path) -> tuple[str, ...]:
    """Give `place` to `nobody` and return the words that run a command as that user."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    nobody = pwd.getpwnam("nobody")
    become = ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups",
              "env", f"PATH={ORDINARY_PATH}")
    trial = subprocess.run([*become, "python3", "-c", USABLE_PYTHON], cwd=place.parent, capture_output=True)
    if trial.returncode != 0:
        pytest.skip("the user nobody has no python3 of 3.11 or newer with venv")
    for path in (place, *place.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    return become


@contextmanager
def make_lab(clone: Clone) -> Iterator[tuple[Server, str]]:
    """Run `make lab`, wait for the address it prints, and give the server and the notebook that it opens."""
    log = clone.folder.parent / "make-lab.log"
    flags = f"LABFLAGS=--port={free_port()} --ServerApp.port_retries=0 --expose-app-in-browser"
    process = clone.start("make", "lab", flags, log=log)
    try:
        give_up = time.monotonic() + 300
        while not (address := ADDRESS.search(log.read_text())):
            assert process.poll() is None and time.monotonic() < give_up, log.read_text()[-3000:]
            time.sleep(0.2)
        yield Server(address[1], address[3]), address[2]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        print(log.read_text()[-3000:])


@pytest.mark.slow
@pytest.mark.browser
def test_make_lab_serves_the_first_notebook(clone: Clone) -> None:
    with make_lab(clone) as (server, notebook), headless_chromium() as browser:
        assert notebook == NOTEBOOK
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        watch = Watch(page, server)
        open_notebook(page, server, notebook)
        run_all(page)
        assert wrong_cells(page) == []
        assert watch.complaints() == []
        # JupyterLab's question about its news, which our settings answer.
        assert page.get_by_text("Would you like to get notified").count() == 0
    installs_nothing_again(clone)
    post_build_works(clone)


def installs_nothing_again(clone: Clone) -> None:
    """Check that a second start finds all in place."""
    log = clone.folder.parent / "setup.log"
    assert clone.start("make", "setup", log=log).wait() == 0
    assert log.read_text() == ""


def post_build_works(clone: Clone) -> None:
    """Check that Binder's script, with the clone's Python first in PATH, ends well and does the settings."""
    settings = clone.folder / ".venv/share/jupyter/lab/settings/overrides.json"
    settings.unlink()
    log = clone.folder.parent / "post-build.log"
    path = f"{clone.folder}/.venv/bin:{os.environ['PATH']}"
    done = clone.start("env", f"PATH={path}", "bash", "binder/postBuild", log=log).wait()
    assert done == 0, log.read_text()
    assert settings.read_text() == (clone.folder / "binder/overrides.json").read_text()

"""What `make` says to those who lack something, and which words it gives to JupyterLab."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.copies import ROOT, clean_environment, copy_project

# Python runs a `sitecustomize` of PYTHONPATH before anything else: a real Python that lacks what we say.
LACKING = {
    "old": ("import sys; sys.version_info = (3, 9, 2, 'final', 0)", "k8slab needs Python 3.11 or newer"),
    "no venv": ("import sys; sys.modules['ensurepip'] = None", "apt install python3-venv"),
}


def make(place: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run make in `place`; stdout and stderr come as text."""
    return subprocess.run(["make", *words], cwd=place, env=clean_environment() | environment, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("lack", LACKING)
def test_a_python_that_will_not_do_is_named_in_one_line(lack: str, tmp_path: Path) -> None:
    code, sentence = LACKING[lack]
    clone = copy_project(tmp_path / "clone")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(code)
    done = make(clone, "setup", PYTHONPATH=str(tmp_path / "site"))
    said, make_said = done.stderr.splitlines()
    assert done.returncode == 2
    assert sentence in said and make_said.startswith("make")
    assert not (clone / ".venv").exists()


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    done = make(copy_project(tmp_path / "clone"), "setup", "PYTHON=python-that-is-not-here")
    assert done.returncode == 2
    assert "there is no python-that-is-not-here here" in done.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A copy of the project where all is installed, with a Python that only prints its arguments."""
    clone = copy_project(tmp_path / "clone")
    python = clone / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    python.chmod(0o755)
    for stamp in ("lab.stamp", "test.stamp"):
        (clone / ".venv" / stamp).touch()
    return clone


def test_lab_opens_the_first_notebook(installed: Path) -> None:
    words = make(installed, "lab", "LABFLAGS=--port=9000", DISPLAY=":0").stdout.split("\n")[:-1]
    first_page = "--LabApp.default_url=/lab/tree/"
    assert words[:2] == ["-m", "jupyterlab"] and words[2].startswith(first_page)
    assert (ROOT / words[2].removeprefix(first_page)).is_file()
    assert "--port=9000" in words and "--no-browser" not in words


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="elsewhere a browser needs no DISPLAY")
def test_lab_opens_no_browser_without_a_display(installed: Path) -> None:
    none = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""}
    assert "--no-browser" in make(installed, "lab", **none).stdout.split("\n")
    assert "--no-browser" not in make(installed, "lab", **none | {"BROWSER": "firefox"}).stdout.split("\n")


def test_lab_allows_root_to_root_alone(installed: Path) -> None:
    words = make(installed, "lab").stdout.split("\n")
    assert ("--allow-root" in words) == (os.geteuid() == 0)


def test_a_new_pyproject_is_installed_again(installed: Path) -> None:
    assert make(installed, "setup").stdout == ""
    os.utime(installed / "pyproject.toml", (2**32, 2**32))
    assert "Installing" in make(installed, "--dry-run", "setup").stdout


def test_slow_tests_are_left_to_their_own_target(installed: Path) -> None:
    assert make(installed, "test").stdout.count("not slow") == 2
    both = make(installed, "test-all").stdout.split("\n")
    assert both.count("not slow") == both.count("slow") == 1


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_fresh_puts_the_notebooks_back_and_loses_nothing(tmp_path: Path) -> None:
    clone = copy_project(tmp_path / "clone")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(clone))
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "all"]):
        subprocess.run([*git, *words], check=True, env=clean_environment())
    changed, made = clone / "notebooks/index.ipynb", clone / "notebooks/k8slab-progress.json"
    before = changed.read_text()
    for kept in ("1", "2"):
        changed.write_text("{}")
        made.write_text(kept)
        done = subprocess.run([sys.executable, clone / "scripts/fresh.py"], capture_output=True, text=True)
        assert done.stdout == ("The notebooks are as new. 1 changed and 1 new files are kept in build/kept/"
                               f"{kept}.\n"), done.stderr
        assert changed.read_text() == before and not made.exists()
        assert (clone / "build/kept" / kept / "notebooks/k8slab-progress.json").read_text() == kept
        assert (clone / "build/kept" / kept / "notebooks/index.ipynb").read_text() == "{}"
    done = subprocess.run([sys.executable, clone / "scripts/fresh.py"], capture_output=True, text=True)
    assert "nothing had changed" in done.stdout and not (clone / "build/kept/3").exists()


def test_fresh_without_git_touches_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    clone = copy_project(tmp_path / "clone")
    (clone / "notebooks/k8slab-progress.json").write_text("1")
    done = subprocess.run([sys.executable, clone / "scripts/fresh.py"], capture_output=True, text=True,
                          env=clean_environment() | {"GIT_CEILING_DIRECTORIES": str(tmp_path)})
    assert done.returncode == 1 and "unpack the course into a new folder" in done.stderr.lower()
    assert (clone / "notebooks/k8slab-progress.json").read_text() == "1"


@pytest.mark.slow
def test_a_room_without_internet_installs_from_the_wheels(tmp_path: Path) -> None:
    clone = copy_project(tmp_path / "clone")
    assert make(clone, "setup").returncode == 0
    assert make(clone, "wheels").returncode == 0
    room = copy_project(tmp_path / "room")
    wheels = clone / "build/wheels"
    offline = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    assert make(room, "setup", **offline).returncode != 0
    done = make(room, "setup", f"WHEELS={wheels}", **offline)
    assert done.returncode == 0, done.stderr
    demo = [room / ".venv/bin/k8slab", "demo", "--dataplane", "model"]
    assert subprocess.run(demo, capture_output=True).returncode == 0

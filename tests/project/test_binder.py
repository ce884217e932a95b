"""What Binder would build, as repo2docker says it: no Docker is needed for that.

mybinder.org turns the default build off (`default_buildpack=None`): a project whose environment is not found,
as one at the root beside a `binder/` folder, fails there instead of building something else.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.copies import ROOT, copy_project


@pytest.fixture(scope="module")
def dockerfile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Dockerfile that repo2docker would build a clean copy with."""
    flags = ["--no-build", "--debug", "--Repo2Docker.default_buildpack=None"]
    command = [sys.executable, "-m", "repo2docker", *flags, "."]
    copy = copy_project(tmp_path_factory.mktemp("binder") / "clone")
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def words_of(path: Path) -> list[str]:
    """Return the lines of an apt.txt that are not comments."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def test_builds_our_environment_with_python_3_12(dockerfile: str) -> None:
    # It starts from a lock file, environment.py-3.12-linux-64.lock, whose name it quotes in its own way.
    assert "environment-2epy-2d3-2e12-2dlinux-2d64-2elock" in dockerfile
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "binder/environment.yml"' in dockerfile
    assert "src/binder/environment.yml ${REPO_DIR}/binder/environment.yml" in dockerfile


def test_installs_the_system_programs(dockerfile: str) -> None:
    installed = re.findall(r"^apt-get install --yes --no-install-recommends ([^&]+) &&", dockerfile, re.M)
    assert [set(words.split()) for words in installed] == [set(words_of(ROOT / "binder/apt.txt"))]


def test_runs_post_build(dockerfile: str) -> None:
    assert "RUN ./binder/postBuild" in dockerfile


def test_post_build_stops_at_the_first_failure() -> None:
    lines = (ROOT / "binder/postBuild").read_text().splitlines()
    commands = [line for line in lines if line.strip() and not line.startswith("#")]
    assert lines[0] == "#!/bin/bash -l"
    assert commands[0] == "set -e"


def test_environment_is_the_one_at_the_root() -> None:
    link = ROOT / "binder/environment.yml"
    # A clone on Windows may hold the link as a file with the path in it; only Binder, on Linux, follows it.
    target = link.readlink().as_posix() if link.is_symlink() else link.read_text()
    assert target == "../environment.yml"

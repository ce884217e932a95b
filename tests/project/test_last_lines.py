"""The last lines of a test run say what was not run and why, and K8SLAB_REQUIRE makes a skip a failure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.copies import ROOT, clean_environment

# Each is skipped, or not, for another reason.
TESTS = """
import pytest

def test_plain():
    pass

@pytest.mark.slow
def test_long():
    pass

@pytest.mark.browser
def test_page():
    pass

@pytest.mark.kernel
def test_rules():
    pytest.skip("the moon is in the wrong house")
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A small project with our conftest, on a machine where no program is to be found."""
    for name in ("pyproject.toml", "tests/__init__.py", "tests/conftest.py", "tests/sanitize.cfg",
                 "tests/browser/chromium.py", "tests/serve/program.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / "tests/conftest.py").open("a") as conftest:       # the doctor looks where PATH may not lead
        conftest.write("from k8slab.kernel import doctor\n\n"
                       "doctor.SBIN = '' if os.environ['PATH'].startswith(os.pathsep) else doctor.SBIN\n")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "tests/test_some.py").write_text(TESTS)
    return tmp_path


def run(suite: Path, *words: str, path: str = "", **environment: str) -> subprocess.CompletedProcess:
    """Run pytest in `suite`, with PATH `path`."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=suite, env=clean_environment() | {"PATH": path} | environment,
                          capture_output=True, text=True)


def last_lines(done: subprocess.CompletedProcess) -> list[str]:
    """Return the lines of the section about what was not run, and what comes after it."""
    lines = done.stdout.splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.strip("= ") in (
        "not run", "everything that was asked for was run")]
    return lines[start:]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_reason_is_told_with_its_number(suite: Path, workers: str) -> None:
    # Without PATH there is no Chromium, and in this suite no iptables.
    done = run(suite, "-n", workers, "-m", "not slow")
    told = last_lines(done)
    assert done.returncode == 0
    missing = "no Chromium or Chrome here (Debian, Ubuntu: apt install chromium)"
    assert f"not run: 1 browser tests: {missing}" in told
    assert any(line.startswith("not run: 1 kernel tests: not here: ip, iptables-restore") for line in told)
    assert "not run: 1 slow tests: left out here, `make test-slow` runs them" in told
    assert told[-1].strip("= ").startswith("1 passed, 2 skipped")


def test_what_is_required_fails(suite: Path) -> None:
    done = run(suite, K8SLAB_REQUIRE="browser")
    assert done.returncode == 1
    assert "required (browser), but skipped: no Chromium or Chrome here" in done.stdout
    assert last_lines(done)[-1].strip("= ").startswith("2 passed, 1 skipped, 1 error")


@pytest.mark.kernel
def test_a_skip_of_the_test_itself_counts_too(suite: Path) -> None:
    done = run(suite, "-k", "rules", path=os.environ["PATH"], K8SLAB_REQUIRE="kernel")
    assert done.returncode == 1
    assert "required (kernel), but skipped: the moon is in the wrong house" in done.stdout


def test_a_file_that_skips_itself_is_told_and_fails_when_required(suite: Path) -> None:
    (suite / "tests/test_some.py").write_text("import pytest\npytest.importorskip('not_a_module')\n")
    assert any("1 whole files: could not import 'not_a_module'" in line for line in last_lines(run(suite)))
    done = run(suite, K8SLAB_REQUIRE="kernel")
    assert done.returncode != 0
    assert "skipped while collected, under K8SLAB_REQUIRE" in done.stdout


def test_when_nothing_is_left_out_it_says_so(suite: Path) -> None:
    (suite / "tests/test_some.py").write_text("def test_plain():\n    pass\n")
    done = run(suite, "-m", "not slow")
    assert "everything that was asked for was run" in last_lines(done)[0]
    assert last_lines(done)[-1].strip("= ").startswith("1 passed")


def test_a_misspelt_requirement_is_refused(suite: Path) -> None:
    done = run(suite, K8SLAB_REQUIRE="kernal")
    assert done.returncode == 4
    assert "K8SLAB_REQUIRE names kernal; there are kernel, browser, kubectl" in done.stderr

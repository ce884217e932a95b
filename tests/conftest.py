"""What a test may ask of the machine, and how the last lines say what could not be run.

A test that needs more than Python says so with a marker; `NEEDS` has one row for each. Where the machine
does not give it, the test is skipped with the reason, unless `K8SLAB_REQUIRE` (marker names, split by commas)
names the marker: then it fails. With `K8SLAB_REQUIRE` set, a file that skips itself while it is collected
fails too.

The workers of pytest-xdist run the tests and the first process prints: skips cross in the tests' reports, and
the number of slow tests left out in `workeroutput`.
"""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from k8slab.kernel.doctor import examine
from tests.browser.chromium import chromium_path
from tests.serve.program import kubectl_program

# Lab() in a test is the model, unless the test or the caller says otherwise.
os.environ.setdefault("K8SLAB_DATAPLANE", "model")
# An ordinary user of Debian has no /usr/sbin in PATH: iptables, nft and conntrack live there.
os.environ["PATH"] += os.pathsep + os.pathsep.join(["/usr/sbin", "/sbin"])
# The same checkout tries the same cases each time. With --hypothesis-profile=default it looks for new ones.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

def why_no_kernel() -> str | None:
    """Return why no lab can be built on the real kernel here, or what it lacks, or None when nothing is missing."""
    found = examine()
    if not found.able:
        return f"{found.why}{f' ({found.remedy})' if found.remedy else ''}"
    return f"no {', '.join(found.missing)} here (Debian, Ubuntu: apt install {' '.join(found.missing)})" * bool(
        found.missing) or None


def why_no_browser() -> str | None:
    """Return why no browser can be driven here, or None when one can."""
    return None if chromium_path() else "no Chromium or Chrome here (Debian, Ubuntu: apt install chromium)"


def why_no_kubectl() -> str | None:
    """Return why no real kubectl can be run here, or None when one can."""
    return None if kubectl_program() else "no kubectl here (Debian, Ubuntu: apt install kubernetes-client)"


# Marker -> what tells why it cannot be had here, asked once in each process.
NEEDS: dict[str, Callable[[], str | None]] = {
    "kernel": functools.cache(why_no_kernel),
    "browser": functools.cache(why_no_browser),
    "kubectl": functools.cache(why_no_kubectl),
}


def required() -> set[str]:
    """Return the markers of K8SLAB_REQUIRE; a word that is no marker is a mistake, and raises UsageError."""
    names = {name.strip() for name in os.environ.get("K8SLAB_REQUIRE", "").split(",")} - {""}
    if unknown := names - NEEDS.keys():
        known = ", ".join(NEEDS)
        raise pytest.UsageError(f"K8SLAB_REQUIRE names {', '.join(sorted(unknown))}; there are {known}")
    return names


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a misspelt K8SLAB_REQUIRE before the first test."""
    required()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marker asks for what is not here."""
    for name, why_not in NEEDS.items():
        if item.get_closest_marker(name) and (reason := why_not()):
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn the skip of a required test, whoever skipped it, into a failure."""
    report = yield
    demanded = [name for name in required() if item.get_closest_marker(name)]
    if report.skipped and demanded and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"required ({', '.join(demanded)}), but skipped: {reason_of(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Turn the skip of a file into a failure when anything is required: its markers are not known yet."""
    report = yield
    if report.skipped and required():
        report.outcome = "failed"
        report.longrepr = f"skipped while collected, under K8SLAB_REQUIRE: {reason_of(report)}"
    return report


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the words of a skip: `("tests/test_a.py", 12, "Skipped: no iptables")` -> `no iptables`."""
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return " ".join(words.removeprefix("Skipped: ").split())


# The number of slow tests that `-m "not slow"` left out; each process counts for itself.
SLOW_LEFT_OUT = pytest.StashKey[int]()


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count the slow tests that are left out."""
    if items:
        stash = items[0].config.stash
        slow = sum(1 for item in items if item.get_closest_marker("slow"))
        stash[SLOW_LEFT_OUT] = stash.get(SLOW_LEFT_OUT, 0) + slow


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's count to the first process."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["slow_left_out"] = session.config.stash.get(SLOW_LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """Take a worker's count; each worker collects every test, so the counts are the same."""
    node.config.stash[SLOW_LEFT_OUT] = getattr(node, "workeroutput", {}).get("slow_left_out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was not run and why, a line for each reason, or that everything was run."""
    skipped = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        kinds = [name for name in NEEDS if name in report.keywords] if hasattr(report, "keywords") else []
        what = "whole files" if isinstance(report, pytest.CollectReport) else " ".join([*kinds, "tests"])
        skipped[what, reason_of(report)] += 1
    slow = config.stash.get(SLOW_LEFT_OUT, 0)
    if slow:
        skipped["slow tests", "left out here, `make test-slow` runs them"] += slow
    terminalreporter.section("not run" if skipped else "everything that was asked for was run")
    for (what, reason), count in sorted(skipped.items()):
        terminalreporter.write_line(f"not run: {count} {what}: {reason}")

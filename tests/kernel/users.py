"""Who runs a test's program: root, where root runs the tests, and always an ordinary user.

The ordinary user of a root is 65534, whom every Linux knows as `nobody`. He may not be let into the directory that
holds the tests' own Python; then another of the same version runs with the same packages.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

NOBODY, PROJECT = 65534, Path(__file__).parents[2]
PATHS = os.pathsep.join([str(PROJECT), sysconfig.get_path("purelib")])
USERS = ("root", "user")


def start(user: str, words: list[str], **options: object) -> subprocess.Popen:
    """Start our Python with these words as "root" or "user"; skips the test where there is no such user or Python."""
    if user == "root" and os.getuid():
        pytest.skip("not run by root")
    drops = user == "user" and not os.getuid()
    if drops:
        options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    options["env"] = options.get("env") or environment()
    return subprocess.Popen([_python() if drops else sys.executable, *words], cwd="/", **options)


def environment(**more: str) -> dict[str, str]:
    """The variables for a program that imports k8slab and the tests, whoever runs it."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "PYTHONPATH": PATHS, "HOME": "/dev/null",
            "PYTHONDONTWRITEBYTECODE": "1"} | more


@functools.cache
def _python() -> str:
    """A Python of this version that `nobody` may run, with the packages of this one."""
    for program in (sys.executable, f"/usr/bin/python3.{sys.version_info[1]}"):
        try:
            tried = subprocess.run([program, "-c", "import k8slab, scapy, tests; print(k8slab.__file__)"], user=NOBODY,
                                   group=NOBODY, extra_groups=[], cwd="/", env=environment(), capture_output=True)
        except OSError:
            continue
        if tried.returncode == 0:
            return program
    pytest.skip(f"user {NOBODY} may run no Python {sys.version_info[0]}.{sys.version_info[1]} with the tests' packages")

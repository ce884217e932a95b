"""The real iptables, in a network namespace that lives as long as one call.

An ordinary user may make one too, being root inside. `XTABLES_LOCKFILE` keeps iptables-legacy off the host's
lock. Tests that use this carry `pytest.mark.kernel`, which says why they are skipped where there is no such
thing.
"""

from __future__ import annotations

import os
import re
import subprocess

BACKENDS = {"nf_tables": "iptables-nft", "legacy": "iptables-legacy"}


def inside(script: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a shell script in a fresh network namespace, with `given` on its standard input."""
    # In two steps: a network namespace made before its user namespace knows who is root belongs to nobody, and
    # iptables-legacy-save may not read its own list of tables.
    environment = os.environ | {"XTABLES_LOCKFILE": "/dev/null", "LC_ALL": "C.UTF-8"}
    return subprocess.run(["unshare", "-r", "unshare", "-n", "sh", "-c", script], input=given, capture_output=True,
                          text=True, env=environment, timeout=120, check=False)


def restore_and_save(text: str, backend: str = "nf_tables", save: str = "") -> str:
    """What iptables-save prints after iptables-restore of the text, without its comment lines.

    Raises AssertionError, with the program's words, where it refuses the text.

    """
    program = BACKENDS[backend]
    done = inside(f"{program}-restore && {program}-save {save}", text)
    if done.returncode:
        numbers = [int(number) for number in re.findall(r"line:? (\d+)", done.stderr)]
        lines = [text.split("\n")[number - 1] for number in numbers]
        raise AssertionError(f"{program}-restore refused: {done.stderr.splitlines()[:2]} {lines}")
    return "".join(f"{line}\n" for line in done.stdout.split("\n")[:-1] if not line.startswith("#"))


def refusal(text: str, backend: str = "nf_tables") -> str:
    """What iptables-restore says against the text; "" where it takes it."""
    done = inside(f"{BACKENDS[backend]}-restore", text)
    return done.stderr.strip() if done.returncode else ""


def why_no_legacy() -> str:
    """Why iptables-legacy cannot be used here; "" where it can."""
    return refusal("*nat\n-A OUTPUT -p tcp -j ACCEPT\nCOMMIT\n", "legacy")

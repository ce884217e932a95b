"""What a lab must leave as it was: the host's links, addresses, routes, rules, mounts, /run and net.* sysctls."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

COUNTS = {"nf_conntrack_count"}          # these the kernel itself changes


def host_state() -> dict[str, object]:
    """Everything, by name. Nothing is loaded or made to read it; what this user may not read is left out."""
    state: dict[str, object] = {f"sysctl {path}": value for path, value in _sysctls()}
    for name in ("route", "fib_trie", "ip_tables_names"):
        state[f"/proc/net/{name}"] = _read(Path("/proc/self/net", name))
    state["links"] = sorted(os.listdir("/sys/class/net"))
    state["mounts"] = _read(Path("/proc/self/mountinfo"))
    state["/run"] = sorted(str(path) for path in [*Path("/run").glob("*"), *Path("/run/netns").glob("*")])
    state["rules"] = _said("nft", "list", "ruleset", "--stateless")
    if state["/proc/net/ip_tables_names"]:
        state["legacy rules"] = _said("iptables-legacy-save")
    return state


def differences(before: dict[str, object], after: dict[str, object]) -> dict[str, tuple[object, object]]:
    """Name → before and after. A sysctl that is new came with a module: no change."""
    return {name: (was, after.get(name)) for name, was in before.items() if after.get(name) != was}


def _sysctls() -> list[tuple[str, str | None]]:
    return [(str(path), value) for path in Path("/proc/sys/net").rglob("*")
            if path.name not in COUNTS and path.is_file() and (value := _read(path)) is not None]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _said(*words: str) -> str | None:
    if os.getuid() or not shutil.which(words[0]):
        return None
    lines = subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))

"""What makes a program on a host one in a container: its service account's files, at the paths where kubelet puts them.

It is started as a program of its own in the Pod's network namespace, makes a mount namespace, in which /var/run is
empty but for these files, and becomes the program that it was asked for. No other process sees the files, and they
lie in memory alone. Where no mount namespace is to be had, each file is one without a name, and the program is told
its path. Only Python's own library is used.
"""

from __future__ import annotations

import json
import os
import sys

from k8slab.kernel import linux

TOLD = {"token": "K8SLAB_TOKEN_FILE", "ca.crt": "K8SLAB_CA_FILE", "namespace": "K8SLAB_NAMESPACE_FILE"}
RUN = "/var/run"
FOLDER = f"{RUN}/secrets/kubernetes.io/serviceaccount"


def mounted(files: dict[str, str]) -> dict[str, str]:
    """Put files below /var/run, in a mount namespace of this process's own; their paths by name.

    Raises OSError where the kernel refuses.
    """
    linux.unshare(linux.NEWNS)
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", os.path.realpath(RUN), "tmpfs", 0)
    os.makedirs(FOLDER, mode=0o755)
    for name, text in files.items():
        with open(f"{FOLDER}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    return {name: f"{FOLDER}/{name}" for name in files}


def unnamed(files: dict[str, str]) -> dict[str, str]:
    """Files in memory that this process's successor inherits; their paths by name."""
    found = {}
    for name, text in files.items():
        descriptor = os.memfd_create(name, 0)
        os.write(descriptor, text.encode("ascii"))
        found[name] = f"/proc/self/fd/{descriptor}"
    return found


def main() -> None:
    """Read what to be, and be it: the JSON on standard input has `words`, `files`, `environment` and `given`."""
    asked = json.load(sys.stdin)
    try:
        paths = mounted(asked["files"]) if asked["mount"] else unnamed(asked["files"])
    except OSError:
        paths = unnamed(asked["files"])
    told = {TOLD[name]: path for name, path in paths.items()}
    given = os.memfd_create("standard input", 0)
    os.write(given, asked["given"].encode())
    os.lseek(given, 0, os.SEEK_SET)
    os.dup2(given, 0)
    words = asked["words"]
    os.execvpe(words[0], words, os.environ | asked["environment"] | told)

"""`k8slab serve`: the lab's control plane over HTTPS on loopback, for a real kubectl and real clients.

Its keys and its owner's token are made at its start and known to nobody else: the kubeconfig lies in a folder that its
owner alone may read, and both are gone when it ends. While it runs the cluster's clock follows the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from k8slab.errors import Told

if TYPE_CHECKING:
    from k8slab.cluster.cluster import Cluster

HOST, TICK = "127.0.0.1", 0.1      # seconds between two looks at the clock
READY = 2.5                        # seconds until an API server is ready
FURTHER_NAMES = ("localhost", HOST)
PREFIX, CONFIG = "k8slab-serve-", "kubeconfig"


class CannotServe(Told):
    """The control plane cannot be served; the message says what is in the way."""


def add_serve(parser: argparse.ArgumentParser) -> None:
    """The flags of `k8slab serve`."""
    parser.add_argument("--port", type=_port, default=0, help="the port on 127.0.0.1; 0, the default, is any free one")
    parser.add_argument("--kubeconfig", metavar="FILE", type=Path,
                        help="write the kubeconfig there, too; it must not exist, and is deleted at the end")
    parser.set_defaults(run=run_serve)


def _port(word: str) -> int:
    if not (word.isascii() and word.isdigit() and int(word) <= 65535):
        raise argparse.ArgumentTypeError(f"{word!r} is not a port: a number from 0 to 65535 is wanted")
    return int(word)


def run_serve(options: argparse.Namespace) -> int:
    """Serve until interrupted or terminated."""
    with ExitStack() as leave:
        return asyncio.run(_serve(options.port, options.kubeconfig, leave))


async def _serve(port: int, wanted: Path | None, leave: ExitStack) -> int:
    from k8slab.cluster.http.api import Api            # tornado and cryptography, which the other commands do without
    from k8slab.cluster.http.listening import Listener, server_context
    from k8slab.cluster.http.tokens import Tokens

    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if one := getattr(signal, name, None):          # Windows knows not all of them
            signal.signal(one, lambda *_: loop.call_soon_threadsafe(stopped.set))
    door = leave.enter_context(_door(port))
    cluster = _cluster()
    tokens = Tokens(cluster)
    server = f"https://{HOST}:{door.getsockname()[1]}"
    file = _write(kubeconfig(server, cluster.authority.pem, tokens.owner), wanted, leave)
    first = next(iter(cluster.api_servers))
    listener = Listener(Api(cluster, tokens, address=server),
                        server_context(cluster.certificate(first, FURTHER_NAMES)), cluster.clock.run)
    listener.listen(door)
    print(f"The lab's control plane is at {server}; Ctrl-C ends it. In another terminal:\n"
          f"export KUBECONFIG={shlex.quote(str(file))}", flush=True)
    ticking, waiting = loop.create_task(_tick(cluster)), loop.create_task(stopped.wait())
    await asyncio.wait({ticking, waiting}, return_when=asyncio.FIRST_COMPLETED)
    await listener.close()
    if ticking.done():
        ticking.result()               # the clock must not stand still unnoticed
    ticking.cancel()
    return 0


def _door(port: int) -> socket.socket:
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((HOST, port))
    except OSError as error:
        door.close()
        raise CannotServe(f"{HOST}:{port}: {error.strerror}; --port 0 takes a free one") from None
    door.listen(128)
    return door


def _cluster() -> Cluster:
    """A cluster that has just settled, at this moment of the machine's clock."""
    from k8slab.cluster.cluster import SETTLE, Cluster

    return Cluster(ready_after=READY, epoch=datetime.now(UTC) - timedelta(seconds=READY + SETTLE))


async def _tick(cluster: Cluster) -> None:
    """Let the cluster's clock go on with the machine's."""
    last = time.monotonic()
    while True:
        await asyncio.sleep(TICK)
        now = time.monotonic()
        cluster.clock.advance(now - last)
        last = now


def kubeconfig(server: str, authority: str, token: str, name: str = "k8slab") -> str:
    """A kubeconfig for a server, as YAML. `authority`: the CA's certificate as PEM text.

    >>> "token: secret" in kubeconfig("https://127.0.0.1:6443", "PEM", "secret")
    True
    """
    from base64 import b64encode

    from k8slab.cluster.kubectl.output import as_yaml

    user = f"{name}-admin"
    return as_yaml({
        "apiVersion": "v1", "kind": "Config", "current-context": name, "preferences": {},
        "clusters": [{"name": name, "cluster": {
            "server": server, "certificate-authority-data": b64encode(authority.encode()).decode()}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": "default"}}],
        "users": [{"name": user, "user": {"token": token}}]})


def _write(text: str, wanted: Path | None, leave: ExitStack) -> Path:
    """Write the kubeconfig where its owner alone may read it, and see to it that it goes when the server does."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    leave.callback(shutil.rmtree, folder, ignore_errors=True)
    _secret(folder / CONFIG, text)
    if wanted is None:
        return folder / CONFIG
    try:
        _secret(wanted, text)
    except FileExistsError:
        raise CannotServe(f"{wanted}: there is a file already; --kubeconfig wants a name that is free") from None
    leave.callback(wanted.unlink, missing_ok=True)
    return wanted


def _secret(path: Path, text: str) -> None:
    """Write a file that its owner alone may read; raises FileExistsError where there is one."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def running() -> list[Path]:
    """The kubeconfigs of the servers that this user runs, the newest last."""
    mine = os.getuid() if hasattr(os, "getuid") else 0
    found = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        state = folder.lstat()
        if folder.is_dir() and not folder.is_symlink() and state.st_uid == mine and not state.st_mode & 0o077:
            found.append((state.st_mtime, folder / CONFIG, folder.name.split("-")[2]))
    return [path for _, path, process in sorted(found) if _alive(process) and path.is_file()]


def sweep() -> None:
    """Delete what servers have left that were killed before they could."""
    alive = {path.parent for path in running()}
    mine = os.getuid() if hasattr(os, "getuid") else 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if folder not in alive and folder.lstat().st_uid == mine and not _alive(folder.name.split("-")[2]):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(process: str) -> bool:
    if sys.platform == "win32":        # there, to ask in this way would end it
        return True
    try:
        os.kill(int(process), 0)
    except (ValueError, OSError):
        return False
    return True

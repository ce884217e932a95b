"""A control plane that is served, and the programs that speak to it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from k8slab.cluster import Cluster
from k8slab.cluster.http import Api, Tokens
from k8slab.cluster.http.background import Background
from k8slab.cluster.http.listening import Listener, server_context
from k8slab.serving import FURTHER_NAMES, HOST, kubeconfig
from tests.serve.program import kubectl_program


class Served:
    """A cluster, served on loopback in a thread; its clock stands still unless `after` moves it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder, self.tokens = cluster, folder, Tokens(cluster)
        self.lock = threading.RLock()
        door = socket.create_server((HOST, 0))
        self.port = door.getsockname()[1]
        self.server = f"https://{HOST}:{self.port}"
        self.config = folder / "kubeconfig"
        self.config.write_text(kubeconfig(self.server, cluster.authority.pem, self.tokens.owner))
        self.background = Background()
        context = server_context(cluster.certificate("k8smaster", FURTHER_NAMES))
        self.listener = self.background.call(
            lambda: Listener(Api(cluster, self.tokens), context, cluster.clock.run, self.lock))
        self.background.call(lambda: self.listener.listen(door))

    def environment(self) -> dict[str, str]:
        """What a kubectl needs that keeps its cache in this folder."""
        return {"KUBECONFIG": str(self.config), "HOME": str(self.folder), "PATH": os.environ["PATH"]}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A kubectl that goes on while the test does something."""
        return subprocess.Popen([kubectl_program(), *words], env=self.environment(), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def kubectl(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a real kubectl."""
        return subprocess.run([kubectl_program(), *words], env=self.environment(), input=given, text=True,
                              capture_output=True, timeout=60)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, object]:
        """Ask as the owner; the status, and the JSON that came back. Words of `headers` are joined by -."""
        sent = {"Authorization": f"Bearer {self.tokens.owner}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        status, answer = self.raw(method, path, json.dumps(body).encode() if body is not None else b"", sent)
        return status, json.loads(answer) if answer[:1] in (b"{", b"[") else answer

    def raw(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Ask with these bytes and headers alone, TLS verified."""
        with self.connection() as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPSConnection]:
        """A connection that trusts the lab's CA alone."""
        context = ssl.create_default_context(cadata=self.cluster.authority.pem)
        connection = http.client.HTTPSConnection(HOST, self.port, timeout=10, context=context)
        try:
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """End the server."""
        self.background.wait(self.listener.close())
        self.background.close()


def listening() -> set[str]:
    """Addresses and ports, in hexadecimal, at which this process listens where it lives: `0100007F:1F90`."""
    links = set()
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):                       # closed meanwhile
            links.add(os.readlink(one))
    rows = [line.split() for name in ("tcp", "tcp6")
            for line in Path(f"/proc/self/net/{name}").read_text(encoding="ascii").splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links}

"""The lab's API servers as a program in a Pod meets them: TLS on port 6443 of their nodes, and behind it the API.

On the model, TLS travels in the model's segments, and is answered where they arrive. On the kernel, the program that
listens in the node's namespace hands a connection over that begins with TLS, and tornado answers it from a thread of
this process. Either way `Api` decides what is said. While a program asks, the lab's time stands still.
"""

from __future__ import annotations

import socket
import ssl
import threading
import weakref
from typing import TYPE_CHECKING

from k8slab.cluster.http.api import Api
from k8slab.cluster.http.background import Background
from k8slab.cluster.http.listening import Listener, server_context
from k8slab.cluster.http.memory import TlsServer
from k8slab.cluster.http.tokens import Tokens
from k8slab.network import API_SERVER_PORT

if TYPE_CHECKING:
    from k8slab.cluster.cluster import Cluster
    from k8slab.cluster.server import ApiServer
    from k8slab.kernel.dataplane import Kernel
    from k8slab.model.dataplane import Model


class ApiServers:
    """Those of one cluster; `tokens` says who may ask."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.tokens = cluster, Tokens(cluster)
        self._contexts: dict[tuple[str, str], ssl.SSLContext] = {}
        self._listeners: dict[tuple[str, str], Listener] = {}
        self._background: Background | None = None

    def _at(self, address: str) -> ApiServer | None:
        """The API server that runs at an address."""
        return next((one for one in self.cluster.api_servers.values() if one.running and one.address == address), None)

    def api(self, server: ApiServer) -> Api:
        """What one of them answers: from its own view of etcd."""
        return Api(self.cluster, self.tokens, lambda: server.registry, f"{server.address}:{API_SERVER_PORT}")

    def context(self, server: ApiServer) -> ssl.SSLContext:
        """TLS with a server's certificate, made when it is first asked at its address."""
        key = server.node, server.address
        if key not in self._contexts:
            self._contexts[key] = server_context(self.cluster.certificate(server.node))
        return self._contexts[key]

    def on_model(self, model: Model) -> None:
        """Have the model's API servers answer connections that begin with TLS."""
        for node, server in self.cluster.api_servers.items():
            model.programs[node].talkers[API_SERVER_PORT] = lambda server=server: TlsServer(
                self.context(server), self.api(server))

    def on_kernel(self, kernel: Kernel) -> None:
        """Have a thread answer the connections that the kernel's API servers hand over; it ends with the lab."""
        if self._background is None:
            self._background = Background()
            inlet = kernel.outlet()
            self._background.call(lambda: self._background.loop.add_reader(inlet, self._take, inlet))
            weakref.finalize(kernel, _end, self._background, inlet)

    def _take(self, inlet: socket.socket) -> None:
        """Take one connection: whose it is says the address that was asked."""
        data, descriptors, _, _ = socket.recv_fds(inlet, 64, 1)
        if not data:                          # the lab has ended, and so does the thread
            self._background.loop.stop()
            return
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=descriptors[0])
        server = self._at(data.decode().rpartition(":")[0])
        if server is None:
            connection.close()
            return
        key = server.node, server.address
        if key not in self._listeners:
            self._listeners[key] = Listener(self.api(server), self.context(server))
        self._listeners[key].take(connection)


def _end(background: Background, inlet: socket.socket) -> None:
    """Let go of what is left of a lab's thread."""
    if threading.current_thread() is not background.thread:
        background.close()
    inlet.close()

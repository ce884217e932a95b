"""An application in a Pod that asks the API server, as any client library does it from what kubelet gave the Pod."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from k8slab.cluster.http.memory import Heard, asked
from k8slab.cluster.kubelet import FOLDER, HOST, PORT
from k8slab.errors import Told
from k8slab.model.dataplane import Model
from k8slab.model.programs import segments
from k8slab.trace import Trace

if TYPE_CHECKING:
    from k8slab.cluster.cluster import Cluster
    from k8slab.machines import Machines
    from k8slab.kernel.dataplane import Kernel


class NotAnswered(Told):
    """The application had no answer; the message says what it was told instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an application heard. `status`: HTTP's; `obj`: the object; `called`: the address and port that it called.

    `names`: what the server's certificate holds for; `trace`: the journey of the connection's first packets, without
    what nodes remember afterwards.
    """

    status: int
    obj: dict
    called: str
    names: tuple[str, ...] = field(repr=False)
    trace: Trace = field(repr=False)


class Application:
    """A program in a Pod. `environment`: its variables; `files`: those of its service account, by path.

    `after`: called when a program has ended, for what follows from what it changed.

    >>> from k8slab.lab import Lab
    >>> with Lab("model", cluster=True) as lab:
    ...     answer = lab.application("client").get("/api/v1/namespaces/default/services/kubernetes")
    ...     print(answer.called, answer.status, answer.obj["spec"]["clusterIP"], answer.trace.received.destination)
    10.96.0.1:443 200 10.96.0.1 10.106.175.128:6443
    """

    def __init__(self, dataplane: Model | Kernel, pod: str, environment: Mapping[str, str],
                 files: Mapping[str, str], after: Callable[[], None] = lambda: None) -> None:
        self._dataplane, self.pod, self._after = dataplane, pod, after
        self.environment, self.files = dict(environment), dict(files)

    def get(self, path: str) -> Answer:
        """Ask the API server for a path, at the address in the environment, TLS verified against the CA in the files.

        Raises NotAnswered where there is no such environment, no connection, or a certificate that does not hold.
        """
        address, port = self.environment.get(HOST), self.environment.get(PORT)
        if not address or not port or f"{FOLDER}/token" not in self.files:
            raise NotAnswered(f"{self.pod}: {HOST}, {PORT} and {FOLDER}/token are what an application needs")
        heard, trace = (self._over_model if isinstance(self._dataplane, Model) else self._on_kernel)(
            address, int(port), path)
        return Answer(heard.status, heard.obj, f"{address}:{port}", heard.names, replace(trace, entries=()))

    def _over_model(self, address: str, port: int, path: str) -> tuple[Heard, Trace]:
        model = self._dataplane
        trace, end = model.open(self.pod, address, port)
        if not model.is_open(end):
            raise NotAnswered(f"{self.pod}: {address}:{port}: {trace.reason or 'nothing came back'}")

        def exchange(data: bytes) -> bytes:
            for one in segments(data):
                if model.is_open(end):
                    model.say(end, one)
            return model.heard(end)
        try:
            heard = asked(exchange, address, path, self.files[f"{FOLDER}/ca.crt"], self.files[f"{FOLDER}/token"])
        except (OSError, http.client.HTTPException) as error:
            raise NotAnswered(f"{self.pod}: {address}:{port}: {_said(error)}") from None
        finally:
            if model.is_open(end):
                model.say(end, b"")
        return heard, trace

    def _on_kernel(self, address: str, port: int, path: str) -> tuple[Heard, Trace]:
        from k8slab.kernel.serving import python

        kernel = self._dataplane
        question = json.dumps({"path": path, "sport": kernel.next_port(self.pod)})
        printed, trace = kernel.program(self.pod, python("getting"), self._account(), self.environment, question)
        told = json.loads(printed)
        if "error" in told:
            raise NotAnswered(f"{self.pod}: {address}:{port}: {told['error']}")
        return Heard(told["status"], told["obj"], tuple(told["names"])), trace

    def run(self, words: Sequence[str], given: str = "", mount: bool = True) -> tuple[str, Trace | None]:
        """Run a real program in the Pod, with its environment and files; what it printed, and its first packets.

        `words`: the program and its arguments, of which `python` is this Python; `mount`: whether the files may stand
        at kubelet's paths. The files' paths are in K8SLAB_TOKEN_FILE, K8SLAB_CA_FILE and K8SLAB_NAMESPACE_FILE, too.
        Raises NotAnswered on the model, which runs no programs, CommandError for one that fails.
        """
        if isinstance(self._dataplane, Model):
            raise NotAnswered("the model runs no real program: Lab('kernel', cluster=True) does")
        words = [sys.executable if words[0] == "python" else words[0], *words[1:]]
        try:
            return self._dataplane.program(self.pod, words, self._account(), self.environment, given, mount)
        finally:
            self._after()

    def _account(self) -> dict[str, str]:
        return {path.rpartition("/")[2]: text for path, text in self.files.items()}


def application(cluster: Cluster, machines: Machines, pod: str, namespace: str) -> Application:
    """A program in a Pod of a lab. Raises ApiError where the cluster has no such Pod."""
    machines.serve_tls()
    machines.follow()
    def after() -> None:
        cluster.advance(0)
        machines.follow()
    return Application(machines.dataplane, pod, cluster.environment(pod, namespace),
                       cluster.account_files(pod, namespace), after)


def _said(error: Exception) -> str:
    return error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)

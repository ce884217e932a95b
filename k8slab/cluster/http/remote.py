"""The other end: the requests that the lab's own kubectl makes, over HTTPS, to a control plane that somebody serves."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

from k8slab.cluster.clock import EPOCH, Clock
from k8slab.cluster.errors import ApiError, Problem, Refused
from k8slab.cluster.http.verbs import PATCHES
from k8slab.cluster.kinds import BY_KIND, KINDS, Kind
from k8slab.cluster.plain import dig, name_of
from k8slab.cluster.registry import Event

MEDIA = {how: media for media, how in PATCHES.items()}
PATIENCE = 30.0           # seconds until an answer must have come


class MachinesClock(Clock):
    """The machine's own clock, in the form of a lab's: to advance it is to wait."""

    def __init__(self) -> None:
        self.epoch = EPOCH

    @property
    def now(self) -> float:
        """Seconds since a lab's clock stands at 0."""
        return time.time() - self.epoch.timestamp()

    def advance(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Remote:
    """What `kubectl` asks of a `Client`, asked of a server. `authority`: the CA's certificate as PEM text.

    `dial`: makes the connection that is spoken over, where the server is not to be reached from here.

    Raises ApiError for what the server refuses, Refused where none answers.
    """

    def __init__(self, server: str, authority: str, token: str,
                 dial: Callable[[], socket.socket] | None = None) -> None:
        self.clock = MachinesClock()
        self._host, self._token, self._dial = urlsplit(server).netloc, token, dial
        self._context = ssl.create_default_context(cadata=authority)
        self._watched: http.client.HTTPResponse | None = None

    def get(self, kind: Kind, namespace: str, name: str) -> dict:
        """One object."""
        return self._ask("GET", kind.path(namespace, name))

    def find(self, kind: Kind, namespace: str, name: str) -> dict | None:
        """One object, or None where there is none."""
        try:
            return self.get(kind, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def list(self, kind: Kind, namespace: str = "") -> tuple[list[dict], int]:
        """All objects of a kind, in one namespace or all, and the revision at which they were so."""
        found = self._ask("GET", kind.path(namespace))
        named = {"kind": kind.kind, "apiVersion": kind.api_version}
        return [named | one for one in found["items"]], int(found["metadata"]["resourceVersion"])

    def create(self, obj: dict, kind: Kind, namespace: str = "") -> dict:
        """Store a new object; what was stored."""
        return self._ask("POST", f"{kind.path(namespace)}?fieldValidation=Strict", obj)

    def patch(self, patch: object, how: str, kind: Kind, namespace: str, name: str) -> tuple[dict, list[str]]:
        """Change an object by a patch; the fields in it that there are not are the server's to warn of."""
        return self._ask("PATCH", f"{kind.path(namespace, name)}?fieldValidation=Ignore", patch, MEDIA[how]), []

    def delete(self, kind: Kind, namespace: str, name: str, grace: int | None = None) -> dict:
        """Delete an object; `grace`: seconds that a Pod has to end."""
        return self._ask("DELETE", kind.path(namespace, name), {} if grace is None else {"gracePeriodSeconds": grace})

    def ready(self) -> bool:
        """Whether the server says that it is ready."""
        try:
            return self._begin("GET", "/readyz").read() == b"ok"
        except (ApiError, Refused):
            return False

    def answering(self) -> Remote:
        """The server that would answer."""
        return self

    def watch(self, kind: Kind, call: Callable[[Event], None], namespace: str = "", since: int | None = None) -> Remote:
        """Begin to watch; `events` tells `call` of what comes."""
        query = {"watch": "true"} | ({} if since is None else {"resourceVersion": str(since)})
        self._watched, self._call = self._begin("GET", f"{kind.path(namespace)}?{urlencode(query)}"), call
        return self

    def events(self) -> Iterator[None]:
        """Tell what is watched of each event, as it comes, until the server ends it."""
        while line := self._watched.readline():
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise _error(event["object"])
            self._call(Event(event["type"], event["object"]))
            yield

    def close(self) -> None:
        """Watch no more."""
        if self._watched:
            self._watched.close()

    def _ask(self, method: str, path: str, body: object = None, media: str = "application/json") -> dict:
        with _as_refused(self._host):
            return json.loads(self._begin(method, path, body, media).read())

    def _begin(self, method: str, path: str, body: object = None, media: str = "") -> http.client.HTTPResponse:
        with _as_refused(self._host):
            waits = None if "watch=true" in path else PATIENCE
            connection = http.client.HTTPSConnection(self._host, timeout=waits, context=self._context)
            if self._dial:
                connection.sock = self._context.wrap_socket(self._dial(), server_hostname=connection.host)
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": media, "User-Agent": "k8slab"}
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise _error(_status(answer.status, answer.read()))
            return answer


@contextmanager
def _as_refused(host: str) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Refused(f"The connection to the server {host} was refused - did you specify the right host or port? "
                      f"({error})") from None


def _status(code: int, body: bytes) -> Mapping:
    """The Status in an answer; one of our own where there is none, as /readyz gives none."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    return found if isinstance(found, Mapping) else {"code": code, "message": body.decode("utf-8", "replace").strip()}


def _error(status: Mapping) -> ApiError:
    """The error that a Status tells."""
    told = dig(status, "details", "kind", default="")
    kind = BY_KIND.get(told) or next((one for one in KINDS if one.plural == told), None)
    problems = [Problem(one.get("field", ""), one.get("message", ""))
                for one in dig(status, "details", "causes", default=[])]
    name = dig(status, "details", "name") or name_of(status)
    return ApiError(status.get("code", 0), status.get("reason", ""), status.get("message", ""), kind, name, problems)

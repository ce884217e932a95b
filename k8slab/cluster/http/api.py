"""The front door: who asks, for what, in which form; and every answer, good or bad, as the API writes it.

It does no input or output of its own. `answer` takes a request and gives back a response, or a stream that its caller
writes as it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from k8slab.cluster.client import Client
from k8slab.cluster.errors import ApiError, Refused
from k8slab.cluster.http.discovery import discovered
from k8slab.cluster.http.messages import (TEXT, Accepted, Request, Response, Stream, accepted, status_of, warning,
                                          written)
from k8slab.cluster.http.openapi import described
from k8slab.cluster.http.paths import find_target, not_there, verb_of
from k8slab.cluster.http.tables import check
from k8slab.cluster.http.tokens import Tokens
from k8slab.cluster.http.verbs import VERBS, Call

if TYPE_CHECKING:
    from k8slab.cluster.cluster import Cluster
    from k8slab.cluster.registry import Registry

HEALTH = ("/healthz", "/livez", "/readyz", "/ping")
OBJECTS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
DISCOVERY = ("APIGroupDiscoveryList",)


class Api:
    """One API server as its clients see it. `choose`: gives the registry that answers; else the cluster chooses.

    >>> from k8slab.cluster import Cluster
    >>> cluster = Cluster()
    >>> api = Api(cluster, Tokens(cluster))
    >>> api.answer(Request("GET", "/api/v1/services")).status
    401
    """

    def __init__(self, cluster: Cluster, tokens: Tokens, choose: Callable[[], Registry] | None = None,
                 address: str = "") -> None:
        self.cluster, self.tokens, self.address = cluster, tokens, address
        self._choose = choose or cluster.choose

    def answer(self, request: Request) -> Response | Stream:
        """What a request is answered; whatever is wrong with it is told by a Status."""
        form = Accepted()
        try:
            user = self.tokens.who(request.headers)
            if request.path in HEALTH or request.path.startswith(("/livez/", "/readyz/", "/healthz/")):
                return Response(200, b"ok", TEXT)
            if found := described(request):
                return found
            form = accepted(request.headers.get("accept", ""), _shapes(request))
            return self._discovered(request, form) or self._resource(request, form, user)
        except ApiError as error:
            return written(status_of(error), Accepted(form.type), error.code)
        except Refused as error:
            return written(status_of(ApiError(503, "ServiceUnavailable", str(error))), Accepted(form.type), 503)

    def _discovered(self, request: Request, form: Accepted) -> Response | None:
        found = discovered(request.path, form, self.address)
        if found and request.method not in ("GET", "HEAD"):
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return found

    def _resource(self, request: Request, form: Accepted, user: str) -> Response | Stream:
        if not request.path.startswith(("/api/", "/apis/")):
            raise not_there()
        target = find_target(request.path)
        verb = verb_of(request.method, target)
        check(request.query.get("includeObject", ""))
        client = Client(user, self._choose, self.cluster.clock, self.cluster.log)
        call = Call(request, target, form, client, self._choose())
        try:
            answer = VERBS[verb](call)
        except ApiError as error:
            answer = written(status_of(error), Accepted(form.type), error.code)
        headers = (*answer.headers, *map(warning, call.warnings))
        if isinstance(answer, Stream):
            return Stream(answer.watch, answer.line, answer.type, headers)
        return Response(answer.status, answer.body, answer.type, headers)


def _shapes(request: Request) -> tuple[str, ...]:
    """As what the answer to a request could be given, beside as itself."""
    if request.path.rstrip("/") in ("/api", "/apis"):
        return DISCOVERY
    return OBJECTS if request.path.startswith(("/api/", "/apis/")) else ()

"""Who asks: a bearer token says it, one that was made for the lab's owner, or a Pod's of its service account.

There is no other way in, and none without: as with kube-apiserver's `--anonymous-auth=false`. Whoever is known may do
everything, which is what `--authorization-mode` says where nobody gives it: AlwaysAllow.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from k8slab.cluster.errors import ApiError

if TYPE_CHECKING:
    from k8slab.cluster.cluster import Cluster

OWNER = "kubernetes-admin"


class Tokens:
    """The tokens of one lab. `owner`: its owner's, made anew for each, 256 bits of chance."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.owner = secrets.token_urlsafe(32)

    def who(self, headers: Mapping[str, str]) -> str:
        """The name of the user whose token the headers of a request carry.

        Raises ApiError (401) for no token, or one that was not made here, has run out, or is of a Pod that is gone.
        """
        scheme, _, token = headers.get("authorization", "").strip().partition(" ")
        token = token.strip()
        if scheme.lower() == "bearer" and token:
            if hmac.compare_digest(token.encode("utf-8", "replace"), self.owner.encode()):
                return OWNER
            if user := self._cluster.account_of(token):
                return user
        raise ApiError(401, "Unauthorized", "Unauthorized")

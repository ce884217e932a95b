"""What the API answers when it will not do what was asked, in its own words (apimachinery, pkg/api/errors)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from k8slab.cluster.kinds import Kind
from k8slab.errors import Told


class ClusterError(Told):
    """The cluster cannot do what was asked of it; the message says what it can do."""


class Problem(NamedTuple):
    """One thing that is wrong with an object: `spec.ports[0].port`, and what is wrong there."""

    field: str
    said: str

    def __str__(self) -> str:
        return f"{self.field}: {self.said}"


class Refused(Told):
    """No API server listens at the address that the client was given (connection refused)."""


class ApiError(Told):
    """A `Status` that is no success: `code` is HTTP's, `reason` is the API's word for it.

    >>> ApiError(404, "NotFound", 'services "x" not found').status()["reason"]
    'NotFound'
    """

    def __init__(self, code: int, reason: str, message: str, kind: Kind | None = None, name: str = "",
                 problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.kind, self.name, self.problems = kind, name, tuple(problems)

    def status(self) -> dict:
        """The `Status` object that goes over the wire."""
        details: dict = {"name": self.name} if self.name else {}
        if self.kind:
            details |= {"kind": self.kind.kind if self.problems else self.kind.plural}
            details |= {"group": self.kind.group} if self.kind.group else {}
        if self.problems:
            details["causes"] = [{"field": one.field, "message": one.said} for one in self.problems]
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
                "reason": self.reason, "details": details, "code": self.code}


def not_found(kind: Kind, name: str) -> ApiError:
    """404: no object of that name.

    >>> from k8slab.cluster.kinds import SERVICE
    >>> not_found(SERVICE, "nosuch").message
    'services "nosuch" not found'
    """
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', kind, name)


def already_exists(kind: Kind, name: str) -> ApiError:
    """409: the name is taken."""
    return ApiError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', kind, name)


def conflict(kind: Kind, name: str) -> ApiError:
    """409: somebody else was quicker; read the object again."""
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {kind.resource} "{name}": the object has been '
                    "modified; please apply your changes to the latest version and try again", kind, name)


def invalid(kind: Kind, name: str, problems: Sequence[Problem]) -> ApiError:
    """422: the object is not what the API stores."""
    said = "; ".join(map(str, problems)) if len(problems) == 1 else f"[{', '.join(map(str, problems))}]"
    return ApiError(422, "Invalid", f'{kind.qualified} "{name}" is invalid: {said}', kind, name, problems)


def forbidden(kind: Kind, name: str, why: str) -> ApiError:
    """403: an admission plugin says no."""
    return ApiError(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {why}', kind, name)


def bad_request(message: str) -> ApiError:
    """400: what came cannot be read."""
    return ApiError(400, "BadRequest", message)


def expired(asked: int, oldest: int) -> ApiError:
    """410: the watch would begin before what is still known (apiserver, cacher.go)."""
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")

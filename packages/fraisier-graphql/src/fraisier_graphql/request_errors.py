"""What keeps a request from being answered, with the codes that fraiseql-server has for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fraisier_core import (
    BusyError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    FraisierError,
    InvalidRequestError,
    StoreError,
    UnauthenticatedError,
    UnknownNameError,
    UnreachableStoreError,
)
from graphql import GraphQLError

STATUSES: Mapping[str, int] = {
    "REQUEST_ERROR": 400,
    "BAD_USER_INPUT": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "DATABASE_ERROR": 500,
    "INTERNAL_SERVER_ERROR": 500,
    "SERVICE_UNAVAILABLE": 503,
    "TIMEOUT": 504,
}
"""The status of an HTTP response of which nothing was answered, by the code; 200 for any other."""
_CODES: Mapping[type[FraisierError], str] = {
    ForbiddenError: "FORBIDDEN",
    UnauthenticatedError: "UNAUTHENTICATED",
    UnknownNameError: "BAD_USER_INPUT",
    InvalidRequestError: "BAD_USER_INPUT",
    ConfigurationError: "BAD_USER_INPUT",
    BusyError: "CONFLICT",
    ConflictError: "CONFLICT",
    UnreachableStoreError: "SERVICE_UNAVAILABLE",
    StoreError: "DATABASE_ERROR",
}


class RequestError(Exception):
    """A request that is not answered, or a field of one.

    Args:
        code: one of fraiseql-server's.
        message: what is wrong.
        locations: where in the document, each a line and a column from 1.
        path: which field of the answer.
        name: of the class of the error that `fraisier` itself would have ended with.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        locations: Sequence[tuple[int, int]] = (),
        path: Sequence[str | int] = (),
        name: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.locations = locations
        self.path = path
        self.name = name

    @property
    def status(self) -> int:
        """The status of the response, if nothing else is answered."""
        return STATUSES.get(self.code, 200)

    def formatted(self) -> dict[str, Any]:
        """Return the entry of the answer's `errors`."""
        entry: dict[str, Any] = {"message": self.message, "code": self.code}
        if self.locations:
            entry["locations"] = [{"line": line, "column": column} for line, column in self.locations]
        if self.path:
            entry["path"] = list(self.path)
        if self.name:
            entry["extensions"] = {"error": self.name}
        return entry


class RefusedDocumentError(Exception):
    """Several of them, of one request."""

    def __init__(self, errors: Sequence[RequestError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


def of_graphql(code: str, errors: Sequence[GraphQLError]) -> RefusedDocumentError:
    """Return what graphql-core found as ours, under one code."""
    return RefusedDocumentError(
        [
            RequestError(
                code,
                error.message,
                locations=[(each.line, each.column) for each in error.locations or ()],
                path=error.path or (),
            )
            for error in errors
        ]
    )


def of_fraisier(error: FraisierError, path: Sequence[str | int] = ()) -> RequestError:
    """Return what a field of an answer failed with."""
    code = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), "INTERNAL_SERVER_ERROR")
    return RequestError(code, str(error), path=path, name=type(error).__name__)

"""Where a client puts its token: in the header `Authorization` (RFC 6750), or in what opens a WebSocket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_SCHEME = "bearer "


def token_of_request(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the token of a request, None if it has none; empty if what it has is no token or not one alone.

    Args:
        headers: names in lower case, and values.
    """
    found = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
    return _token(found[0]) if len(found) == 1 else "" if found else None


def token_of_payload(payload: object) -> str | None:
    """Return the token of a WebSocket, as `token_of_request` does.

    Args:
        payload: of the message `connection_init` (graphql-transport-ws): `{"Authorization": "Bearer TOKEN"}`,
            the key in any case.
    """
    if not isinstance(payload, Mapping):
        return None
    found = [value for key, value in payload.items() if str(key).lower() == "authorization"]
    if len(found) != 1 or not isinstance(found[0], str):
        return "" if found else None
    return _token(found[0])


def _token(credentials: str) -> str:
    is_bearer = credentials[: len(_SCHEME)].lower() == _SCHEME
    return credentials[len(_SCHEME) :].strip() if is_bearer else ""

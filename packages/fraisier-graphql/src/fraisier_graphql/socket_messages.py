"""What is said over a socket, and why one is closed: the words of graphql-transport-ws."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class CloseCode(IntEnum):
    """Why a socket is closed; those from 4400 on are the protocol's."""

    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    TOO_MANY_INITIALISATION_REQUESTS = 4429


class ClosingError(Exception):
    """A message after which a socket is closed."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def parsed(text: object) -> Mapping[str, Any]:
    """Return a message. Raises `ClosingError`."""
    try:
        message = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ClosingError(CloseCode.BAD_REQUEST, "Invalid message: it is no JSON object with a type")
    return message


def id_of(message: Mapping[str, Any]) -> str:
    """Return the id that a message is about. Raises `ClosingError`."""
    name = message.get("id")
    if not isinstance(name, str) or not name:
        raise ClosingError(CloseCode.BAD_REQUEST, "Invalid message: its id is no text")
    return name

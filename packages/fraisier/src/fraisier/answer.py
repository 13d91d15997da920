"""HTTP responses to a forge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RETRY_SECONDS = "10"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Args:
        status: the HTTP status.
        body: becomes JSON.
        headers: beside the content type.
    """

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request is answered before its body was read.

    Args:
        answer: the answer.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def refused(status: int, error: str) -> RefusedError:
    """Return the refusal with a status and, as the body's `error`, its reason."""
    return RefusedError(Answer(status, {"error": error}))


def unavailable(error: str) -> Answer:
    """Return the answer for what may succeed later."""
    return Answer(503, {"error": error}, {"retry-after": RETRY_SECONDS})

"""Values written alike whatever the database is: SQLite takes a time in whatever form it is inserted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fraisier_core.store.tables import REPLACEMENT
from fraisier_core.system.host import utc_text

_DOUBTFUL = ("\\u0000", "\\ud")


@lru_cache(1024)
def _plain_json(text: str) -> str:
    value = json.loads(text)
    return json.dumps(_clean(value) if any(map(text.__contains__, _DOUBTFUL)) else value)


def _clean(value: Any) -> Any:
    """Return a value of JSON without what PostgreSQL has no text with."""
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, str):
        return value.replace("\0", REPLACEMENT).encode("utf-8", "replace").decode()
    return value


def plain_time(text: str) -> str:
    """Return a time in UTC as the store has it; without a time zone it is one in UTC."""
    at = datetime.fromisoformat(text)
    if len(text) == 27 and text[10] == "T" and text[26] == "Z":
        return text
    return utc_text(at if at.tzinfo else at.replace(tzinfo=UTC))


_TIMES = (
    "at",
    "received_at",
    "requested_at",
    "started_at",
    "completed_at",
    "seen_at",
    "since",
    "created_at",
    "expires_at",
    "revoked_at",
    "begins_at",
    "ends_at",
    "resumed_at",
)
_IDS = (
    "id",
    "deployment_id",
    "webhook_event_id",
    "duplicate_of",
    "recovers",
    "repeats",
    "requested_for",
    "superseded_by",
)
FORMS: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(("urls", "reasons", "pathspecs", "arguments", "kinds"), _plain_json),
    **dict.fromkeys(_TIMES, plain_time),
    **dict.fromkeys(_IDS, str.lower),
}
"""How a value is written, by its column. They raise `ValueError` or `TypeError` for what cannot be one."""

"""What psycopg's connections have in common, whether they block or belong to an event loop."""

from __future__ import annotations

import re
import select
from collections.abc import Mapping
from functools import cache
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow

DEFAULTS: Mapping[str, str] = {
    "application_name": "fraisier",
    "client_encoding": "UTF8",
    "connect_timeout": "2",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""Of the parameters of a connection; a server that vanished is noticed within 25 seconds."""
SESSION = b"SELECT pg_backend_pid() AS pid"
_NAME = re.compile(r"(?<![:\w]):(\w+)")


@cache
def translated(sql: str) -> str:
    """Return a statement with `%(name)s` for each `:name`."""
    return _NAME.sub(r"%(\1)s", sql.replace("%", "%%")) if ":" in sql else sql


def parameters_of(url: str) -> dict[str, Any]:
    """Return the parameters of a connection; what the url says goes before the defaults."""
    return {**DEFAULTS, **conninfo_to_dict(url)}


def has_ended(client: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether a connection that is not in use cannot be used: only its end would be there to be read."""
    if client.closed:
        return True
    poll = select.poll()
    poll.register(client.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def is_pooled(client: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], row: DictRow | None) -> bool:
    """Return whether a pooler such as PgBouncer is in between: it gives each transaction another session, and
    tells the number of none. What one client prepares there, another one may execute.

    Args:
        client: a new connection.
        row: what `SESSION` has returned there.
    """
    return row is not None and row["pid"] != client.info.backend_pid

"""Values as the store has them: ids, times and lists in JSON are text, on every database alike."""

from __future__ import annotations

from typing import Any

import psycopg
from fraisier_core.store.relational.canonical import plain_time
from fraisier_core.store.tables import REPLACEMENT
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.string import StrDumperUnknown, TextLoader

_TEXTS = ("json", "jsonb", "uuid")


class _TimeLoader(Loader):
    """Loads a time as `2026-01-31T12:00:00.000000Z`, whatever the time zone of the session is."""

    def load(self, data: Buffer) -> str:
        return plain_time(bytes(data).decode())


class _TextDumper(StrDumperUnknown):
    """Sends text, whose type follows from the column; PostgreSQL has no text with the character NUL."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", REPLACEMENT))


def register(context: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Have a connection give and take values so."""
    adapters = context.adapters
    for name in _TEXTS:
        adapters.register_loader(name, TextLoader)
    adapters.register_loader("timestamptz", _TimeLoader)
    adapters.register_dumper(str, _TextDumper)

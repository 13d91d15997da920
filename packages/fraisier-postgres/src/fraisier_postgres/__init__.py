"""The store on PostgreSQL: the plugin `postgresql` of the group `fraisier.stores`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fraisier_core import hookimpl

if TYPE_CHECKING:
    from fraisier_core import Host
    from fraisier_core.store.protocol import Reader


@hookimpl
def resolve_url(url: str, folder: Path) -> str:
    """Return the url with absolute paths, in which everything special is percent-encoded."""
    from fraisier_postgres.address import resolved

    return resolved(url, folder)


@hookimpl
def open_store(url: str, host: Host, for_reading: bool) -> Reader | None:
    """Open the store, for a reader without ever creating or changing it."""
    if for_reading:
        from fraisier_postgres.postgres_reader import PostgresReader

        return PostgresReader.open(url, host)
    from fraisier_postgres.postgres_store import PostgresStore

    return PostgresStore.open(url, host)

"""The store on SQLite: the plugin `sqlite` of the group `fraisier.stores`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fraisier_core.markers import hookimpl

if TYPE_CHECKING:
    from fraisier_core.store.protocol import Reader
    from fraisier_core.system.host import Host

DATABASE = "fraisier.db"

_FORMS = "sqlite:///absolute/path.db, or sqlite:path.db for a file beside the configuration"


@hookimpl
def resolve_url(url: str, folder: Path) -> str:
    """Return the url with an absolute path."""
    path = _path(url)
    if not path.name or path.parent == Path("/"):
        raise ValueError(f"names no file in a folder of its own; write {_FORMS}")
    return f"sqlite://{folder / path}"


@hookimpl
def open_store(url: str, host: Host, for_reading: bool) -> Reader | None:
    """Open the store, for a reader without ever creating or changing it."""
    path = _path(url)
    if for_reading:
        from fraisier_core.store.sqlite.sqlite_reader import SqliteReader

        return SqliteReader.open(path, host)
    from fraisier_core.store.sqlite.sqlite_store import SqliteStore

    return SqliteStore.open(path, host)


def _path(url: str) -> Path:
    path = url.partition(":")[2].removeprefix("//")
    return Path("/" + path.lstrip("/")) if path.startswith("/") else Path(path)

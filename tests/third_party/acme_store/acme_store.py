"""The store `acme`: SQLite's own, of which no more is seen than the protocol says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fraisier_core import Host, hookimpl
from fraisier_core.store import sqlite
from fraisier_core.store.protocol import Reader, Store


class AcmeStore:
    """A store or its read side, limited to the methods of a protocol."""

    def __init__(self, inner: Reader, protocol: type) -> None:
        self._inner = inner
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self._protocol, name):
            msg = f"{self._protocol.__name__} has no {name}"
            raise AttributeError(msg)
        return getattr(self._inner, name)


@hookimpl
def resolve_url(url: str, folder: Path) -> str:
    """Return the url with an absolute path."""
    return "acme" + sqlite.resolve_url(_sqlite(url), folder).removeprefix("sqlite")


@hookimpl
def open_store(url: str, host: Host, for_reading: bool) -> AcmeStore | None:
    """Open the store."""
    inner = sqlite.open_store(_sqlite(url), host, for_reading)
    return AcmeStore(inner, Reader if for_reading else Store) if inner else None


def _sqlite(url: str) -> str:
    return "sqlite" + url.removeprefix("acme")

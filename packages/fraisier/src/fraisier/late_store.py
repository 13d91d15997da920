"""A store that is opened once its database can be reached."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from fraisier_core.errors import UnknownOutcomeError, UnreachableStoreError

if TYPE_CHECKING:
    from fraisier_core.store.protocol import Store

logger = logging.getLogger(__name__)


def opened_or_late(open_store: Callable[[], Store]) -> Store:
    """Return the store or, if its database cannot be reached now, one that is opened when it is next used:
    until it is, every use raises `UnreachableStoreError`. Raises `StoreError` as `open_store` does.
    """
    try:
        return open_store()
    except (UnreachableStoreError, UnknownOutcomeError) as error:
        logger.error("%s; every delivery is answered with 503 until it can be reached", error)
        return late(open_store)


def late(open_store: Callable[[], Store]) -> Store:
    """Return a store that is opened when it is first used; every use raises what opening it does."""
    return cast("Store", _LateStore(open_store))


class _LateStore:
    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store
        self._lock = threading.Lock()
        self._store: Store | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened(), name)

    def _opened(self) -> Store:
        with self._lock:
            if self._store is None:
                self._store = self._open_store()
            return self._store

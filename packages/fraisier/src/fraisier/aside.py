"""Asking the store for what takes a thread, which the event loop waits for so long and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from fraisier_core.errors import UnreachableStoreError

T = TypeVar("T")

PATIENCE_SECONDS = 1.5


class Aside(Generic[T]):
    """Does something in a thread, once at a time: whoever asks meanwhile gets the same answer, so that a
    database that says nothing holds up one thread.

    Args:
        work: what is done.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return what it returns. Raises what it raises, and `UnreachableStoreError` if it takes too long."""
        task = self._task
        if task is None or task.done():
            task = self._task = asyncio.create_task(asyncio.to_thread(self._work))
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if task.done():
            return task.result()
        raise UnreachableStoreError(f"the store did not answer within {PATIENCE_SECONDS:g} s")

"""Reading from the store beside the event loop: a few threads, each with a connection of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from fraisier_core import Reader, StoreError, UnknownNameError

from fraisier_graphql.request_errors import RequestError, of_fraisier

T = TypeVar("T")

THREADS = 4
PATIENCE_SECONDS = 10.0
MAX_WAITING = 1000


class Readers:
    """Runs statements that answer in JSON, on read connections: no writer waits for them.

    Args:
        open_reader: opens one; it may raise `StoreError`, and is then asked again later.
        seconds: how long one statement may take, the wait for its turn included.
    """

    def __init__(self, open_reader: Callable[[], Reader], seconds: float = PATIENCE_SECONDS) -> None:
        self._open_reader = open_reader
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(THREADS, "graphql")
        self._local = threading.local()
        self._readers: list[Reader] = []
        self._waiting = 0

    async def answer(self, sql: str, parameters: Mapping[str, Any]) -> str:
        """Return the JSON that a statement answers with, `null` if it returns no row. Raises
        `RequestError`.
        """
        return await self.read(lambda reader: reader.answer(sql, parameters)) or "null"

    async def place_of(self, deployment_id: str) -> tuple[str, str] | None:
        """Return the fraise and the environment of a deployment, None if there is none. Raises
        `RequestError`.
        """
        with suppress(UnknownNameError):
            found = await self.read(lambda reader: reader.deployment(deployment_id))
            return found.fraise_id, found.environment
        return None

    async def read(self, ask: Callable[[Reader], T]) -> T:
        """Return what a question to a read connection returns, if it does in time. Raises `RequestError`."""
        if self._waiting >= MAX_WAITING:
            raise RequestError("SERVICE_UNAVAILABLE", "too many requests wait for the store; try again later")
        running: list[Reader] = []
        work = partial(self._ask, ask, running)
        self._waiting += 1
        task = asyncio.get_running_loop().run_in_executor(self._pool, work)
        task.add_done_callback(self._done)
        done, _ = await asyncio.wait({task}, timeout=self._seconds)
        if not done:
            task.cancel()
            for reader in running:  # a statement that has ended by itself meanwhile is not missed
                await asyncio.to_thread(reader.interrupt)
            raise RequestError("TIMEOUT", f"the store did not answer within {self._seconds:g} s")
        try:
            return task.result()
        except StoreError as error:
            raise of_fraisier(error) from error

    def _ask(self, ask: Callable[[Reader], T], running: list[Reader]) -> T:
        reader = self._reader()
        running.append(reader)
        try:
            return ask(reader)
        finally:
            running.clear()

    def _reader(self) -> Reader:
        """Return this thread's connection."""
        if not hasattr(self._local, "reader"):
            self._local.reader = self._open_reader()
            self._readers.append(self._local.reader)
        found: Reader = self._local.reader
        return found

    def close(self) -> None:
        """Close the connections, once what runs on them has ended."""
        self._pool.shutdown(cancel_futures=True)
        for reader in self._readers:
            reader.close()

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not task.cancelled():
            task.exception()  # or it would be logged that nothing asked for it

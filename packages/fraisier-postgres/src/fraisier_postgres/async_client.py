"""A connection for the event loop, in which every answer is awaited for so long and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from weakref import finalize

import psycopg
from fraisier_core import UnknownOutcomeError, UnreachableStoreError
from fraisier_core.store.relational.dialect import NONE, Parameters
from psycopg.rows import DictRow, dict_row
from psycopg.types.array import ListBinaryDumper

from fraisier_postgres.clients import SESSION, has_ended, is_pooled, parameters_of, translated
from fraisier_postgres.postgres_errors import ends_connection, explanation, shown
from fraisier_postgres.values import register

T = TypeVar("T")
Client = psycopg.AsyncConnection[DictRow]

GRACE_SECONDS = 5.0
"""For PostgreSQL to cancel what took too long."""


class AsyncClient:
    """A connection for one statement at a time, each a transaction of its own. It is opened when it is first
    needed, and again when it was lost.

    Args:
        url: of the database, as libpq takes it.
    """

    def __init__(self, url: str) -> None:
        self._shown = shown(url)
        self._parameters = parameters_of(url)
        self._client: Client | None = None
        self._finalizer: finalize[..., Any] | None = None
        self._turn = asyncio.Lock()
        self._user: asyncio.Task[Any] | None = None
        self._endings: set[asyncio.Task[None]] = set()

    async def within(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns. If it takes longer, raise `UnreachableStoreError`, and have PostgreSQL
        cancel what runs.
        """
        task = asyncio.create_task(work)
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
        ending = asyncio.create_task(_end(task, self._taken_from(task)))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        raise self.too_slow()

    def _taken_from(self, task: asyncio.Task[Any]) -> Client | None:
        """Return the connection if a task uses it, and have the others open another one."""
        if self._user is not task:
            return None
        client, self._client, self._turn, self._user = self._client, None, asyncio.Lock(), None
        if self._finalizer is not None:
            self._finalizer.detach()
        return client

    def too_slow(self) -> UnreachableStoreError:
        """Return the error for what takes too long."""
        text = f"the store {self._shown} did not answer in time"
        return UnreachableStoreError(f"{text}. Check that PostgreSQL runs, and what holds its locks")

    async def all(self, sql: str, parameters: Parameters = NONE) -> list[DictRow]:
        """Return the rows of a statement, which is committed. Raises `UnknownOutcomeError`, and what
        `dialect.Connection` does.
        """
        turn = self._turn
        async with turn:
            if turn is self._turn:
                self._user = asyncio.current_task()
                try:
                    return await self._all(sql, parameters)
                finally:
                    if turn is self._turn:
                        self._user = None
        return await self.all(sql, parameters)  # the connection was given up meanwhile

    async def _all(self, sql: str, parameters: Parameters) -> list[DictRow]:
        client = await self._open()
        try:
            cursor = await client.execute(translated(sql).encode(), parameters or None)
            return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            is_lost = client.closed or ends_connection(error)
            explained = explanation(error, self._shown, is_lost=is_lost)
            if is_lost:
                if self._client is client:
                    self.close()
                raise UnknownOutcomeError(str(explained)) from error
            raise explained from error

    def close(self) -> None:
        """Close the connection; the next statement opens another one."""
        if self._finalizer is not None:
            self._finalizer()
        self._client = None

    async def _open(self) -> Client:
        if self._client is not None and has_ended(self._client):
            self.close()
        if self._client is None:
            try:
                self._client = await self._connected()
            except psycopg.Error as error:
                raise explanation(error, self._shown, is_lost=True) from error
            self._finalizer = finalize(self, self._client.pgconn.finish)
        return self._client

    async def _connected(self) -> Client:
        client = await psycopg.AsyncConnection.connect(
            **self._parameters, autocommit=True, row_factory=dict_row
        )
        register(client)
        client.adapters.register_dumper(list, ListBinaryDumper)  # of bytes, which as text are twice as many
        if is_pooled(client, await (await client.execute(SESSION)).fetchone()):
            client.prepare_threshold = None
        return client


async def _end(task: asyncio.Task[Any], client: Client | None) -> None:
    """Have a task end, at last by closing its connection."""
    try:
        task.cancel()  # psycopg asks PostgreSQL to cancel the statement
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # or it would be logged that nothing asked for it
    finally:
        if client is not None:
            client.pgconn.finish()

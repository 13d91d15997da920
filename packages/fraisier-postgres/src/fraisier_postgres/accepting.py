"""Accepting deliveries: the usual batch in one statement, which the event loop does not wait for."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

from fraisier_core import StoreError, UnknownOutcomeError, UnreachableStoreError
from fraisier_core.store.holds import Hold
from fraisier_core.store.received import Delivery, Receipt, Receipts
from fraisier_core.store.relational.deliveries import are_large, event_row, refused_row, requested
from fraisier_core.store.relational.dialect import ConstraintError
from fraisier_core.store.relational.reader import record
from fraisier_core.store.relational.store import RelationalStore
from fraisier_core.system.failpoints import failpoint

from fraisier_postgres.async_client import AsyncClient
from fraisier_postgres.postgres_connection import PostgresConnection
from fraisier_postgres.postgres_errors import LockedError, RolledBackError

T = TypeVar("T")

PATIENCE_SECONDS = 1.2
ANSWER_SECONDS = 1.8
"""Within these a forge is answered, also if it has waited for the batch before its own."""
RECENTLY_SECONDS = 0.1
LARGE_BATCH_SECONDS = 20.0
PAUSE_SECONDS = 0.05
_NOT_IN_JSON = ("body", "requests", "more_refs")


class AcceptingStore(RelationalStore):
    """The part of the store that the event loop of the web app uses, on connections of its own."""

    _connection: PostgresConnection
    _wasted = 0.0
    _gave_up = float("-inf")

    @cached_property
    def _turn(self) -> asyncio.Lock:
        return asyncio.Lock()

    @cached_property
    def _batches(self) -> AsyncClient:
        return AsyncClient(self._connection.url)

    @cached_property
    def _refusals(self) -> AsyncClient:
        return AsyncClient(self._connection.url)

    @cached_property
    def _beside(self) -> AcceptingStore:
        """The same store on another connection, for the thread."""
        connection = PostgresConnection(self._connection.url, lock_seconds=PATIENCE_SECONDS)
        return type(self)(connection, self._host)

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "accept")

    def close(self) -> None:
        super().close()
        for name in {"_batches", "_refusals", "_beside"} & self.__dict__.keys():
            getattr(self, name).close()

    async def accept(self, deliveries: Sequence[Delivery]) -> Receipts:
        async with self._turn:
            began = time.monotonic()
            waited = self._wasted if began - self._gave_up < RECENTLY_SECONDS else 0.0
            try:
                seconds = min(PATIENCE_SECONDS, ANSWER_SECONDS - waited)
                receipts = await self._accept_within(deliveries, seconds)
            except StoreError:
                self._note_wasted(began)
                raise
            if any(isinstance(each, StoreError) for each in receipts):
                self._note_wasted(began)
            return receipts

    def _note_wasted(self, began: float) -> None:
        self._gave_up = time.monotonic()
        self._wasted = min(self._gave_up - began, PATIENCE_SECONDS)

    async def _accept_within(self, deliveries: Sequence[Delivery], seconds: float) -> Receipts:
        until = time.monotonic() + seconds
        if are_large(deliveries) or any(each.more_refs for each in deliveries):
            await self._batches.within(seconds, self._batches.all("SELECT 1"))
            return await self._in_thread(self._beside._accept_together, deliveries, LARGE_BATCH_SECONDS)
        if len({place for each in deliveries for place in _places(each)}) < 2:
            return await self._accept_until(until, deliveries)
        try:
            return await self._accept_until(until, deliveries, lock_seconds=seconds / 2)
        except LockedError:
            return await self._accept_apart(until, deliveries)

    async def _accept_until(
        self, until: float, deliveries: Sequence[Delivery], lock_seconds: float = 0
    ) -> Receipts:
        accepting = self._accept_new(deliveries, lock_seconds)
        try:
            return await self._batches.within(until - time.monotonic(), accepting)
        except (ConstraintError, UnicodeError):
            left = until - time.monotonic()
            return await self._in_thread(self._beside._accept_one_by_one, deliveries, left)

    async def _accept_apart(self, until: float, deliveries: Sequence[Delivery]) -> Receipts:
        """Store a batch in two parts: what requests an environment that another client holds waits alone."""
        free = await self._batches.within(until - time.monotonic(), self._free(deliveries))
        receipts: dict[int, Receipt | StoreError] = {}
        for is_free in (True, False):
            numbered = enumerate(deliveries)
            part = {number: each for number, each in numbered if (_places(each) <= free) is is_free}
            receipts |= zip(part, await self._accept_part(until, [*part.values()]), strict=True)
        return [receipts[number] for number in range(len(deliveries))]

    async def _accept_part(self, until: float, deliveries: Sequence[Delivery]) -> Receipts:
        try:
            return await self._accept_until(until, deliveries) if deliveries else []
        except StoreError as error:
            return [error] * len(deliveries)

    async def _free(self, deliveries: Sequence[Delivery]) -> set[tuple[str, str]]:
        """Return which environments that deliveries request are held by nothing else at the moment."""
        places = {place for each in deliveries for place in _places(each)}
        fraise_ids, environments = map(list, zip(*places, strict=True))
        wanted = {"fraise_ids": fraise_ids, "environments": environments}
        rows = await self._batches.all(self._sql["free_environments"], wanted)
        return {(row["fraise_id"], row["environment"]) for row in rows}

    async def refuse(self, provider: str, received_at: str, client: str, reason: str) -> None:
        row = refused_row(provider, received_at, client, reason)
        await self._refusals.within(PATIENCE_SECONDS, self._refusals.all(self._sql["insert_refused"], row))

    async def _accept_new(self, deliveries: Sequence[Delivery], lock_seconds: float) -> Receipts:
        """Store a batch as if each delivery were new, which the database refuses if one is not."""
        events = [event_row(delivery) for delivery in deliveries]
        receipts, requests = requested(events, deliveries)
        failpoint("before_commit")
        holds = await self._commit_batch(events, requests, lock_seconds)
        failpoint("after_commit")
        return [each.told(holds) for each in receipts] if holds else [*receipts]

    async def _commit_batch(
        self,
        events: Sequence[Mapping[str, Any]],
        requests: Sequence[Mapping[str, Any]],
        lock_seconds: float,
    ) -> dict[tuple[str, str], str]:
        """Store a batch, and return the holds of the environments that it requests, in words."""
        batch = {
            "events": json.dumps([_without(event, _NOT_IN_JSON) for event in events]),
            "requests": json.dumps(requests),
            "lock_timeout": f"{lock_seconds * 1e3:.0f}",
            "bodies": [event["body"] for event in events],
        }
        while True:  # until patience ends
            try:
                found = await self._batches.all(self._sql["accept"], batch)
            except RolledBackError:
                continue
            except UnknownOutcomeError:
                await self._until_stored(events[0]["id"])
                return {}
            holds = [record(Hold, row) for row in found]
            return {(each.fraise_id, each.environment): each.text for each in holds}

    async def _until_stored(self, event_id: str) -> None:
        """Wait until an event is there: what was sent may yet be committed, so it is not sent again."""
        while not await self._is_stored(event_id):  # noqa: ASYNC110 - no event of this process says so
            await asyncio.sleep(PAUSE_SECONDS)

    async def _is_stored(self, event_id: str) -> bool:
        try:
            return bool(await self._batches.all(self._sql["is_stored"], {"id": event_id}))
        except (UnreachableStoreError, UnknownOutcomeError):
            return False

    async def _in_thread(
        self, work: Callable[[Sequence[Delivery]], T], deliveries: Sequence[Delivery], seconds: float
    ) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._thread, work, deliveries)
        await asyncio.wait({future}, timeout=seconds)
        if future.done():
            return future.result()
        future.cancel()
        self._beside._connection.abort()
        raise self._batches.too_slow()


def _places(delivery: Delivery) -> set[tuple[str, str]]:
    """Return the environments that a delivery requests."""
    return {(request.fraise_id, request.environment) for request in delivery.all_requests}


def _without(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns}

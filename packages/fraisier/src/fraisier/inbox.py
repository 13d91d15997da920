"""Group commit: the deliveries that arrive together are stored in one durable transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from fraisier_core.errors import StoreError
from fraisier_core.store.protocol import Store
from fraisier_core.store.received import Delivery, Receipt

logger = logging.getLogger(__name__)

QUIET_TURNS = 3
LARGEST_BATCH = 128


class Inbox:
    """Stores deliveries from within the event loop, one batch after the other: those that arrive while one is
    being stored are the next.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_storing = False
        self._turns = QUIET_TURNS
        self._waiting: list[tuple[Delivery, asyncio.Future[Receipt]]] = []

    async def store(self, delivery: Delivery) -> Receipt:
        """Store a delivery and return what became of it, once it is on disk. Raises `StoreError`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._waiting.append((delivery, future))
        if len(self._waiting) == 1 and not self._is_storing:
            loop.call_soon(self._commit_when_quiet, loop, 0, self._turns)
        return await future

    def _commit_when_quiet(self, loop: asyncio.AbstractEventLoop, seen: int, turns: int) -> None:
        """Commit once the loop has turned without bringing more: a batch shares one wait for the disk."""
        if len(self._waiting) > seen:
            turns = self._turns
        if turns and len(self._waiting) < LARGEST_BATCH:
            loop.call_soon(self._commit_when_quiet, loop, len(self._waiting), turns - 1)
        else:
            self._begin(loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_storing = True
        task = loop.create_task(self._commit(loop))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        loop.call_soon(self._begun, task)

    def _begun(self, task: asyncio.Task[None]) -> None:
        """Wait for quiet from now on only if the store has held up the loop: if not, what arrives meanwhile
        is the next batch.
        """
        self._turns = QUIET_TURNS if task.done() else 0

    async def _commit(self, loop: asyncio.AbstractEventLoop) -> None:
        deliveries, futures = zip(*self._waiting, strict=True)
        self._waiting = []
        try:
            receipts = await self._store.accept(deliveries)
        except StoreError as error:
            logger.error("nothing could be stored: %s", error)
            receipts = [error] * len(deliveries)
        except BaseException as error:  # a bug, and the callers that wait must not wait for ever
            for future in futures:
                _resolve(future, error)
            raise
        finally:
            self._is_storing = False
            if self._waiting:  # before anybody is answered: the database has nothing to do
                self._begin(loop)
        for future, receipt in zip(futures, receipts, strict=True):
            _resolve(future, receipt)
        _log(deliveries, receipts)


def _log(deliveries: Sequence[Delivery], receipts: Sequence[Receipt | StoreError]) -> None:
    """Log a line a delivery, all of a batch in one record: a record costs more than everything in it."""
    lines = [
        f"{each.provider} {_quoted(each.event_type)} of {_quoted(each.repository)} "
        f"{_quoted(each.ref)}{_more(each)}: {_verdict(each, receipt)}"
        for each, receipt in zip(deliveries, receipts, strict=True)
        if isinstance(receipt, Receipt)
    ]
    if lines:
        logger.info("%s", "\n".join(lines))


def _more(delivery: Delivery) -> str:
    return f" and {len(delivery.more_refs)} more" if delivery.more_refs else ""


def _verdict(delivery: Delivery, receipt: Receipt) -> str:
    """Return the verdict, and why if nothing is deployed."""
    why = f" ({_quoted('; '.join(delivery.reasons))})" if receipt.verdict == "ignored" else ""
    return f"{receipt.verdict}{why}"


def _quoted(text: str | None) -> str:
    """Return what a payload says in a form that cannot forge a line of the log."""
    return repr((text or "")[:200])


def _resolve(future: asyncio.Future[Receipt], outcome: Receipt | BaseException) -> None:
    if future.cancelled():
        return
    if isinstance(outcome, Receipt):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)

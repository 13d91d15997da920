"""Reading from the store beside the event loop: a few threads, each with a connection of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from fraisier_core import Reader, StoreError, UnknownNameError

from fraisier_graphql.request_errors import RequestError, of_fraisier

T = TypeVar("T")

THREADS = 4
PATIENCE_SECONDS = 10.0
MAX_WAITING = 1000


class Readers:
    """Runs statements that answer in JSON, on read connections: no writer waits for them.

    An executor's future, and its lock and condition, would cost as much as a short statement; so a thread
    takes its questions from a queue, and hands the outcome to the loop.

    Args:
        open_reader: opens a connection; it may raise `StoreError`, and is then asked again later.
        seconds: how long one statement may take, the wait for its turn included.
    """

    def __init__(self, open_reader: Callable[[], Reader], seconds: float = PATIENCE_SECONDS) -> None:
        self._open_reader = open_reader
        self._seconds = seconds
        self._questions: SimpleQueue[_Question[Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
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

    def close(self) -> None:
        """Close the connections, once what runs on them has ended."""
        for _ in self._threads:
            self._questions.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    async def read(self, ask: Callable[[Reader], T]) -> T:
        """Return what a question to a read connection returns, if it does in time. Raises `RequestError`."""
        if self._waiting >= MAX_WAITING:
            raise RequestError("SERVICE_UNAVAILABLE", "too many requests wait for the store; try again later")
        if self._waiting >= len(self._threads) and len(self._threads) < THREADS:
            self._threads.append(threading.Thread(target=self._work, name="graphql", daemon=True))
            self._threads[-1].start()
        loop = asyncio.get_running_loop()
        question = _Question(ask, loop)
        timer = loop.call_later(self._seconds, question.give_up, self._seconds)
        self._waiting += 1
        self._questions.put(question)
        try:
            return await question.outcome
        except StoreError as error:
            raise of_fraisier(error) from error
        finally:
            timer.cancel()
            self._waiting -= 1

    def _work(self) -> None:
        """Answer questions, one after the other, until there is None."""
        reader: Reader | None = None
        while (question := self._questions.get()) is not None:
            try:
                reader = reader or self._open_reader()
            except Exception as error:  # noqa: BLE001 - it is raised where the question was asked
                question.tell(None, error)
            else:
                question.ask(reader)
        if reader is not None:
            reader.close()


class _Question(Generic[T]):
    """What is asked of a reader in a thread, and what is told to the loop of it."""

    def __init__(self, ask: Callable[[Reader], T], loop: asyncio.AbstractEventLoop) -> None:
        self.outcome: asyncio.Future[T] = loop.create_future()
        self._ask = ask
        self._loop = loop
        self._reader: Reader | None = None
        self._lock = threading.Lock()

    def ask(self, reader: Reader) -> None:
        """Ask, unless nobody waits for it any more."""
        if self.outcome.done():
            return
        self._reader = reader
        try:
            told = partial(self.tell, self._ask(reader))
        except Exception as error:  # noqa: BLE001 - it is raised where the question was asked
            told = partial(self.tell, None, error)
        with self._lock:  # what is interrupted must not be the next question
            self._reader = None
        told()

    def tell(self, found: Any, error: Exception | None = None) -> None:
        """Tell the loop, if it still runs."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._resolve, found, error)

    def give_up(self, seconds: float) -> None:
        """Have it fail, and what runs for it end; called in the loop."""
        if self.outcome.done():
            return
        self.outcome.set_exception(RequestError("TIMEOUT", f"the store did not answer within {seconds:g} s"))
        self._loop.run_in_executor(None, self._interrupt)

    def _interrupt(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.interrupt()

    def _resolve(self, found: Any, error: Exception | None) -> None:
        if self.outcome.done():
            return
        if error is None:
            self.outcome.set_result(found)
        else:
            self.outcome.set_exception(error)

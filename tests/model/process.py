"""A simulated process: it runs until it pauses, and may be killed wherever it pauses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.errors import CancelledError, FencedError
from fraisier_core.store.protocol import Reader, Store
from fraisier_core.store.records import Lease
from fraisier_core.system.processes import ProcessIdentity

FIRST_PID = 10_000_000  # more than Linux gives out: if one is ever signalled by mistake, nothing is hit


class KilledError(BaseException):
    """Ends the thread of a process that was killed; nothing that it does on its way out has an effect."""


class SimulatedProcess:
    """A deployment process: a thread that runs only while `run` waits for it.

    Args:
        number: counts the processes of a machine.
        store: the store that it writes to, each time after a pause.
    """

    def __init__(self, number: int, store: Store) -> None:
        self.identity = ProcessIdentity(FIRST_PID + number, number)
        self.store = cast("Store", PausingStore(store, self))
        self.cancellation = CancellationToken()
        self.lease: Lease | None = None
        self.killed = False
        self.ended = False
        self.writing = False
        self._keeper = store
        self._pauses = 0
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._error: BaseException | None = None
        self._cancelling = False

    def start(self, lease: Lease, body: Callable[[], None]) -> None:
        """Let it do something for a lease; it pauses before it begins."""
        self.lease = lease
        self._body = body
        threading.Thread(target=self._main, daemon=True).start()

    def run(self, pauses: int) -> None:
        """Let it run until its next pause but `pauses`, or its end. Raises what it raised."""
        self._pauses = pauses
        if not self.ended:
            self._keep()
            self._switch()
        if self._error is not None:
            raise self._error

    def kill(self) -> None:
        """End it where it is, as SIGKILL does."""
        self.killed, self._pauses = True, 0
        if not self.ended:
            self._switch()

    def pause(self) -> None:
        """Pause, in the process itself. Raises `KilledError` if it was killed meanwhile."""
        if self._pauses:
            self._pauses -= 1
        elif not self.killed:
            self._theirs.release()
            self._mine.acquire()
        if self.killed:
            raise KilledError

    def _switch(self) -> None:
        self._mine.release()
        self._theirs.acquire()

    def _main(self) -> None:
        self._mine.acquire()
        try:
            if not self.killed:
                self._body()
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised again in `run`
            self._error = error
        self.ended = True
        self._theirs.release()

    def _keep(self) -> None:
        """Do what the lease keeper does beside the execution."""
        assert self.lease is not None
        by = None if self._cancelling else self._keeper.cancellation(self.lease)
        if by is not None:
            self._cancelling = True
            self.cancellation.cancel(CancelledError(by))

    def renew(self) -> None:
        """Renew the lease, as the lease keeper does from time to time."""
        assert self.lease is not None
        try:
            self._keeper.renew(self.lease)
        except FencedError as error:
            self.cancellation.cancel(error)


class PausingStore:
    """A store that lets its process pause before each write, and serves no process that was killed."""

    def __init__(self, store: Store, process: SimulatedProcess) -> None:
        self._store = store
        self._process = process

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._store, name)
        return method if hasattr(Reader, name) else self._paused(method)

    def _paused(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **keywords: Any) -> Any:
            self._process.writing = True
            self._process.pause()
            self._process.writing = False
            return method(*arguments, **keywords)

        return write

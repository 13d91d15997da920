"""One worker process beside the web app, started again when it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from fraisier_core.config import Config
from fraisier_core.config.source import ConfigSource
from fraisier_core.system.backoff import Backoff
from starlette.applications import Starlette

logger = logging.getLogger(__name__)

STOPPED = "was stopped"


class WorkerSupervisor:
    """Keeps a worker running for as long as the web app lives; if the app is killed, the worker also stops.

    Args:
        source: the configuration, which says what the worker must not know.
    """

    def __init__(self, source: ConfigSource) -> None:
        self._source = source

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Supervise while the app runs, and stop the worker with it."""
        task = asyncio.create_task(self._supervise())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _supervise(self) -> None:
        backoff = Backoff()
        while True:
            backoff.started()
            ending = await self._run_worker()
            pause = backoff.pause()
            level = logging.INFO if ending == STOPPED else logging.ERROR
            logger.log(level, "the worker %s; it is started again in %g s", ending, pause)
            await asyncio.sleep(pause)

    async def _run_worker(self) -> str:
        """Run a worker to its end and say how it ended."""
        config = self._source.current()
        command = [sys.executable, "-m", "fraisier", "worker", "--config", str(config.path)]
        with _pipe() as (theirs, _ours):
            try:
                worker = await asyncio.create_subprocess_exec(
                    *command,
                    "--supervisor-fd",
                    str(theirs),
                    pass_fds=[theirs],
                    env=worker_environment(config),
                )
            except OSError as error:
                return f"could not be started: {error.strerror}"
            status = await _ended(worker)
            return f"ended with status {status}" if status else STOPPED


def worker_environment(config: Config) -> dict[str, str]:
    """Return our environment without the variables that only the secrets under `git:` name."""
    secret = config.secret_variables()
    return {name: value for name, value in os.environ.items() if name not in secret}


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe whose other end tells the worker, by closing, that we are gone."""
    theirs, ours = os.pipe()
    try:
        yield theirs, ours
    finally:
        os.close(theirs)
        os.close(ours)


async def _ended(worker: Process) -> int:
    """Wait for a worker; if this task is cancelled, ask the worker to stop and wait until it has."""
    try:
        return await worker.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            worker.send_signal(signal.SIGTERM)
        await worker.wait()
        raise

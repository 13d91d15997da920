"""One worker process beside the web app, started again when it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


class WorkerSupervisor:
    """Keeps a worker running for as long as the web app lives; where the app is killed, the worker stops too.

    Args:
        config: the configuration file.
        environ: the worker's environment, without the secrets of webhooks.
    """

    def __init__(self, config: Path, environ: Mapping[str, str]) -> None:
        self._config = config
        self._environ = environ

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
        pause = FIRST_PAUSE_SECONDS
        while True:
            started = asyncio.get_running_loop().time()
            status = await self._run_worker()
            if asyncio.get_running_loop().time() - started > LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            logger.error("the worker ended with status %s; it is started again in %g s", status, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _run_worker(self) -> int:
        """Run a worker to its end; where this task is cancelled, ask it to stop and wait until it has."""
        theirs, ours = os.pipe()
        command = [sys.executable, "-m", "fraisier", "worker", "--config", str(self._config)]
        try:
            worker = await asyncio.create_subprocess_exec(
                *command, "--supervisor-fd", str(theirs), pass_fds=[theirs], env=self._environ
            )
        finally:
            os.close(theirs)
        try:
            return await worker.wait()
        except asyncio.CancelledError:
            worker.send_signal(signal.SIGTERM)
            await worker.wait()
            raise
        finally:
            os.close(ours)

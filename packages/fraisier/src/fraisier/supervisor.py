"""One worker process beside the web app, started again when it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fraisier_core.config import Config
from fraisier_core.config.source import ConfigSource
from fraisier_core.system.backoff import Backoff
from starlette.applications import Starlette
from starlette.types import Lifespan

logger = logging.getLogger(__name__)

STOPPED = "was stopped"


def supervision(source: ConfigSource) -> Lifespan[Starlette]:
    """Return what keeps a worker running for as long as the web app runs, and stops it then."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(_supervise(source))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return lifespan


async def _supervise(source: ConfigSource) -> None:
    backoff = Backoff()
    while True:
        backoff.started()
        ending = await _run_worker(source.current())
        pause = backoff.pause()
        level = logging.INFO if ending == STOPPED else logging.ERROR
        logger.log(level, "the worker %s; it is started again in %g s", ending, pause)
        await asyncio.sleep(pause)


async def _run_worker(config: Config) -> str:
    """Run a worker to its end and say how it ended; if cancelled, stop it and wait until it has. It inherits
    no variable that only the secrets under `git:` name. It also stops if this process is killed: its standard
    input ends then.
    """
    secret = config.secret_variables()
    environ = {name: value for name, value in os.environ.items() if name not in secret}
    command = [sys.executable, "-m", "fraisier", "worker", "-c", str(config.path), "--supervisor-fd", "0"]
    try:
        worker = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, env=environ)
    except OSError as error:
        return f"could not be started: {error.strerror}"
    try:
        status = await worker.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            worker.terminate()
        await worker.wait()
        raise
    return f"ended with status {status}" if status else STOPPED

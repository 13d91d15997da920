"""`fraisier worker` and `fraisier db`: what runs the store, and what repairs their record."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from fraisier_core.errors import UnknownNameError
from fraisier_core.worker.worker import Worker

from fraisier.cli.session import Session
from fraisier.terminal import tell


def run_worker(file: Path | None, slots: int, grace_seconds: float, supervisor: int | None) -> None:
    """Execute queued deployments until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    session = Session.start(file)
    session.become_owner()
    Worker(session.source, session.plugins, slots, grace_seconds, supervisor).run()


def rebuild_database(file: Path | None) -> None:
    """Fold the deployments again from their events. Raises `UnknownNameError` if there is no store."""
    session = Session.start(file)
    if session.reader() is None:
        raise UnknownNameError(f"there is no store at {session.config.database}: nothing was ever deployed")
    session.open_store().rebuild()
    tell("rebuilt from the events")

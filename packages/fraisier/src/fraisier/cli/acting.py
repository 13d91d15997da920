"""Following a deployment that something else executes: a worker on another machine, or a unit here."""

from __future__ import annotations

import math
import time
from contextlib import closing
from typing import NoReturn

import typer
from fraisier_core.store.records import Deployment

from fraisier.cli.any_session import AnySession
from fraisier.cli.attending import UNATTENDED, Attendant
from fraisier.cli.reporting import display, print_queued, report, warn_without_worker
from fraisier.exit_codes import code_of_status


def follow_requested(session: AnySession, requested: Deployment, *, detach: bool, as_json: bool) -> None:
    """Follow a deployment that was requested of a worker, and exit with the code of its ending; only print
    its id if `detach`.
    """
    reader = session.existing_reader()
    if detach:
        print_queued(reader, requested.id, as_json=as_json)
        return
    warn_without_worker(reader)
    follow_to_end(session, requested.id, as_json=as_json)


def follow_to_end(session: AnySession, deployment_id: str, *, as_json: bool) -> NoReturn:
    """Follow a deployment that something else executes, and exit with the code of its ending."""
    follow_by(Onlooker(session, deployment_id), deployment_id, as_json=as_json)


def follow_by(onlooker: Onlooker, deployment_id: str, *, as_json: bool) -> NoReturn:
    """Have an onlooker follow a deployment, and exit with the code of its ending."""
    with closing(onlooker) as attendant:
        ended = attendant.follow(attendant.reader, deployment_id, display(as_json=as_json))
    report(attendant.reader, ended, as_json=as_json)
    raise typer.Exit(code_of_status(ended.status))


class Onlooker(Attendant):
    """Follows a deployment that something else executes."""

    def __init__(self, session: AnySession, deployment_id: str) -> None:
        super().__init__()
        self.reader = session.existing_reader()
        self._session = session
        self._changes = session.changes(deployment_id)
        self._asked = -math.inf
        self._found: str | None = None

    def close(self) -> None:
        """Hear no more."""
        self._changes.close()

    def wait(self) -> None:
        """Wait for news of the deployment, or for a moment."""
        self._changes.wait()

    def cancel(self, deployment_id: str) -> None:
        """Request the cancellation of the deployment."""
        self._session.request_cancel(deployment_id)

    def awaited(self, deployment: Deployment) -> str | None:
        """Return the deployment that this one has to wait for, if it waits; asked now and then."""
        if deployment.status != "pending":
            return None
        if time.monotonic() - self._asked >= UNATTENDED:
            self._asked = time.monotonic()
            self._found = self.reader.awaited(deployment)
        return self._found

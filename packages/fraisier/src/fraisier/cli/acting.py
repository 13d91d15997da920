"""Having a deployment executed on another machine, and following it from afar."""

from __future__ import annotations

from contextlib import closing

import typer
from fraisier_core.store.records import Deployment

from fraisier.cli.attending import Attendant
from fraisier.cli.remote_session import RemoteSession
from fraisier.cli.reporting import display, print_queued, report, warn_without_worker
from fraisier.exit_codes import code_of_status


def follow_requested(session: RemoteSession, requested: Deployment, *, detach: bool, as_json: bool) -> None:
    """Follow a deployment that was requested, and exit with the code of its ending; only print its id if
    `detach`.
    """
    reader = session.reader()
    if detach:
        print_queued(reader, requested.id, as_json=as_json)
        return
    warn_without_worker(reader)
    with closing(RemoteAttendant(session, requested.id)) as attendant:
        ended = attendant.follow(reader, requested.id, display(as_json=as_json))
    report(reader, ended, as_json=as_json)
    raise typer.Exit(code_of_status(ended.status))


class RemoteAttendant(Attendant):
    """Follows a deployment that a worker on another machine executes."""

    def __init__(self, session: RemoteSession, deployment_id: str) -> None:
        super().__init__()
        self._session = session
        self._changes = session.changes(deployment_id)
        self._looked = False

    def close(self) -> None:
        """Hear no more."""
        self._changes.close()

    def wait(self) -> None:
        """Wait for news of the deployment, or for a moment."""
        self._changes.wait()

    def cancel(self, deployment_id: str) -> None:
        """Request the cancellation of the deployment."""
        self._session.requests.cancel(deployment_id)

    def awaited(self, deployment: Deployment) -> str | None:
        """Return the deployment that this one has to wait for, if it waits; asked once."""
        if deployment.status != "pending" or self._looked:
            return None
        self._looked = True
        names = deployment.fraise_id, deployment.environment
        return self._session.reader().running(*names, deployment.lane)

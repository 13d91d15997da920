"""Requesting deployments on another machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fraisier_core.store.records import Deployment

from fraisier.remote import remote_documents as documents
from fraisier.remote.remote_documents import record_of
from fraisier.remote.remote_endpoint import RemoteEndpoint

_JOBS: Mapping[str, tuple[str, str]] = {
    "run": (documents.RUN, "run"),
    "backup": (documents.BACKUP, "backup"),
    "restore_test": (documents.RESTORE_TEST, "restoreTest"),
}
"""The document of each kind of job, and the name of what it returns."""


class RemoteRequests:
    """The mutations; each raises what the command does on the host, and returns the deployment."""

    def __init__(self, endpoint: RemoteEndpoint) -> None:
        self._endpoint = endpoint

    def deploy(
        self,
        fraise: str,
        environment: str,
        commit: str | None,
        branch: str | None,
        *,
        override_hold: bool = False,
    ) -> Deployment:
        """Request the deployment of a commit, or of the newest one of a branch."""
        names = {"fraise": fraise, "environment": environment, "overrideHold": override_hold}
        data = self._endpoint.ask(documents.DEPLOY, **names, commit=commit, branch=branch)
        return record_of(Deployment, data["deploy"])

    def hold(self, fraise: str, environment: str | None, reason: str, until: str | None) -> None:
        """Keep what is pushed to an environment waiting, or to all of a fraise."""
        names = {"fraise": fraise, "environment": environment}
        self._endpoint.ask(documents.MAKE_HOLD, **names, reason=reason, until=until)

    def resume(self, fraise: str, environment: str | None) -> None:
        """Let what was pushed to an environment be deployed, or to all of a fraise."""
        self._endpoint.ask(documents.RESUME, fraise=fraise, environment=environment)

    def job(self, kind: str, fraise: str, environment: str, arguments: Sequence[str]) -> Deployment:
        """Request a run, a backup or a restore test; only a run has arguments."""
        document, name = _JOBS[kind]
        given = {"arguments": [*arguments]} if kind == "run" else {}
        data = self._endpoint.ask(document, fraise=fraise, environment=environment, **given)
        return record_of(Deployment, data[name])

    def rollback(self, fraise: str, environment: str, to: str | None) -> Deployment:
        """Request a rollback to a release, by default to the previous one."""
        data = self._endpoint.ask(documents.ROLLBACK, fraise=fraise, environment=environment, to=to)
        return record_of(Deployment, data["rollback"])

    def cancel(self, deployment_id: str) -> Deployment:
        """Request the cancellation of a deployment; one that has ended is left as it is."""
        return record_of(Deployment, self._endpoint.ask(documents.CANCEL, id=deployment_id)["cancel"])

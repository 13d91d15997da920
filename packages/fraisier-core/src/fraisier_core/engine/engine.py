"""One deployment from its claim to its end: fetch, deploy, verify, and roll back if that fails."""

from __future__ import annotations

import logging
import time
from traceback import format_exception

from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.context import DeploymentContext
from fraisier_core.engine.ordering import newer_commit
from fraisier_core.engine.recorded_run import RecordedRun
from fraisier_core.engine.recorder import Recorder
from fraisier_core.errors import (
    ActivationRefusedError,
    CancelledError,
    FraisierError,
    InterruptedRunError,
    StepFailedError,
    StoreError,
)
from fraisier_core.health import Health
from fraisier_core.release import Release
from fraisier_core.settings import EnvironmentSettings, HealthCheck
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Event, Lease, PushedCommit
from fraisier_core.store.vocabulary import Ending
from fraisier_core.system.failpoints import failpoint

logger = logging.getLogger(__name__)

FULL_ID = 40
ONE_PROBE = HealthCheck(command=["true"], retries=1)


class Engine:
    """Executes one claimed deployment and records how it ends.

    Args:
        context: where it is deployed, and by which plugin.
        store: the write side.
        lease: the right to change this deployment.
        recorder: writes down what happens.
        cancellation: says when to stop.
    """

    def __init__(
        self,
        context: DeploymentContext,
        store: Store,
        lease: Lease,
        recorder: Recorder,
        cancellation: CancellationToken,
    ) -> None:
        self._context = context
        self._store = store
        self._lease = lease
        self._recorder = recorder
        self._cancellation = cancellation
        self._started = time.monotonic()

    def execute(self) -> None:
        """Deploy or roll back as requested, and roll back if that fails.

        Raises:
            StoreError: nothing can be recorded, or the lease was taken over; recovery takes over.
            InterruptedRunError: the worker is gone after something was activated; recovery takes over.
        """
        try:
            self._attempt(self.deployment())
        except (StoreError, InterruptedRunError):
            raise
        except Exception as error:  # noqa: BLE001 - the run boundary: a plugin may raise anything
            self.fail(error)

    def deployment(self) -> Deployment:
        """Return the deployment as it is now."""
        return self._store.deployment(self._lease.deployment_id)

    def _attempt(self, deployment: Deployment) -> None:
        release = self._earlier(deployment) if deployment.kind == "rollback" else self._fetch(deployment)
        if release is None:
            return
        self._created(release)
        if deployment.kind == "rollback":
            self._return_to(release)
        else:
            self._deploy(release)
        self.finish(release)

    # Taking the commit

    def _fetch(self, deployment: Deployment) -> Release | None:
        """Return the release to deploy, or None if the deployment ended because nothing is to be done."""
        with self._recorder.step("fetch"), self._cancellation.explained():
            commit = self._commit(deployment)
            newer = self._newer(deployment, commit)
            untouched = newer is None and self._is_untouched(deployment, commit)
            if newer is None and not untouched:
                return self._context.workspace.prepare(
                    _release_name(deployment, commit), commit, self._context.mirror
                )
        if newer is not None:
            message = f"{commit[:12]} is an ancestor of {newer.commit_sha[:12]}, which was also pushed"
            self._store.supersede(self._lease, newer, message)
        else:
            self._end("skipped", f"nothing under the mapped `paths:` changed up to {commit[:12]}")
        return None

    def _commit(self, deployment: Deployment) -> str:
        mirror = self._context.mirror
        mirror.fetch()
        commit = deployment.commit_sha
        if commit is None:
            return mirror.resolve_ref(deployment.ref or "")
        if len(commit) < FULL_ID:
            return mirror.resolve_commit(commit)
        mirror.require(commit)
        return commit

    def _newer(self, deployment: Deployment, commit: str) -> PushedCommit | None:
        pushed = self._store.pushed_commits(deployment)
        return newer_commit(deployment, commit, pushed, self._context.mirror)

    def _is_untouched(self, deployment: Deployment, commit: str) -> bool:
        serving = self._store.serving(deployment.fraise_id, deployment.environment)
        if not deployment.pathspecs or serving is None:
            return False
        return not self._context.mirror.changed_paths(serving.commit_sha, commit, deployment.pathspecs)

    def _earlier(self, deployment: Deployment) -> Release:
        release = self._existing(deployment.release)
        if release is None:
            raise StepFailedError(f"release {deployment.release} is gone: it was pruned (keep_releases)")
        return release

    def previous(self) -> Release | None:
        """Return the previous release, if it is known and still there."""
        return self._existing(self.deployment().previous_release)

    def release(self) -> Release | None:
        """Return the release of this deployment, if it was created and is still there."""
        return self._existing(self.deployment().release)

    def _existing(self, name: str | None) -> Release | None:
        return self._context.workspace.get(name) if name else None

    def _created(self, release: Release) -> None:
        previous = self._served()
        self._recorder.append(
            Event(
                "release_created",
                release=release.name,
                commit_sha=release.commit,
                previous_release=previous.name if previous else None,
                previous_commit_sha=previous.commit if previous else None,
            )
        )

    def _served(self) -> Release | None:
        """Return the release to roll back to: the serving one; if it is unknown, the last healthy one.

        In a clone that was never deployed to, it is what is checked out.
        """
        deployment, workspace = self.deployment(), self._context.workspace
        serving = self._store.serving(deployment.fraise_id, deployment.environment)
        if serving is not None:
            return workspace.get(serving.release)
        current = workspace.current()
        if workspace.in_place:
            return self._existing(current)
        healthy = self._store.healthy_releases(deployment.fraise_id, deployment.environment)
        names = sorted((each.release for each in healthy), key=lambda name: name != current)
        return next((release for name in names if (release := workspace.get(name))), None)

    # Activating it

    def _deploy(self, release: Release) -> None:
        self._check_out(release)
        self._context.deployer.deploy(self._run(release))
        if not self.deployment().activation_started:
            self._recorder.append(Event("activation_started", release=release.name))

    def _return_to(self, release: Release) -> None:
        deployer = self._context.deployer
        self._check_out(release)
        if deployer.can_rollback:
            deployer.rollback(self._run(release), release)
        else:
            deployer.deploy(self._run(release))

    def _check_out(self, release: Release) -> None:
        """Bring a clone that is deployed in place to the commit, before its deployer does anything."""
        if self._context.workspace.in_place:
            with self._recorder.step("checkout"):
                self._activate(release)

    def _run(self, release: Release) -> RecordedRun[EnvironmentSettings]:
        return RecordedRun(
            self._context.fraise,
            self._context.environment,
            self._context.settings,
            release,
            self.previous(),
            in_place=self._context.workspace.in_place,
            deployment_id=self._lease.deployment_id,
            recorder=self._recorder,
            cancellation=self._cancellation,
            activate=self._activate,
            started=lambda command: self._store.record_command(self._lease, command),
        )

    def _activate(self, release: Release) -> None:
        """Switch to `release`. The event comes first: it is refused if the lease was taken over."""
        if self._context.workspace.in_place and self._context.workspace.current() == release.name:
            return
        previous = self._context.workspace.current()
        self._recorder.append(Event("activation_started", release=release.name, previous_release=previous))
        failpoint("before_activate")
        self._context.workspace.activate(release)
        failpoint("after_activate")

    def finish(self, release: Release) -> None:
        """Record success once the service is healthy. Raises `StepFailedError` if it is not."""
        detail = self._verify(release)
        failpoint("before_success")
        self._recorder.append(Event("serving", release=release.name, commit_sha=release.commit))
        self._tidy(release)
        self._end("success", detail)
        self._context.workspace.discard()

    def _verify(self, release: Release) -> str:
        check = self._context.settings.health_check or ONE_PROBE
        run = self._run(release)
        with self._recorder.step("verify"):
            for probe in range(1, check.retries + 1):
                health = self._health(run)
                self._recorder.note(f"{probe}/{check.retries}: {health.detail}")
                if health.healthy:
                    return health.detail
                if probe < check.retries:
                    self._cancellation.wait(check.interval)
            raise StepFailedError(_unhealthy(check, health))

    def _health(self, run: RecordedRun[EnvironmentSettings]) -> Health:
        try:
            return self._context.deployer.health_check(run)
        except (CancelledError, StoreError, InterruptedRunError):
            raise
        except Exception as error:  # noqa: BLE001 - the run boundary: so may its probe
            return Health(False, f"the health check raised {type(error).__name__}: {error}")

    def _tidy(self, release: Release) -> None:
        """Set old releases aside while the lease is held: the next deployment's must not be taken for one."""
        deployment = self.deployment()
        healthy = self._store.healthy_releases(deployment.fraise_id, deployment.environment)
        protected = {name for name in (release.name, deployment.previous_release) if name}
        order = list(dict.fromkeys([release.name, *(each.release for each in healthy)]))
        try:
            self._context.workspace.tidy(self._context.settings.keep_releases, order, protected)
        except (OSError, StepFailedError) as error:
            logger.warning("old releases of %s could not be removed: %s", self._context.name, error)

    # Rolling back

    def fail(self, error: Exception) -> None:
        """Record why the deployment failed, after rolling back if something was activated."""
        message = self.message(error)
        status: Ending = "cancelled" if isinstance(error, CancelledError) else "failed"
        self._cancellation.withdraw()
        if not self.deployment().activation_started:
            self._end(status, f"{message}; nothing was activated")
        elif isinstance(error, ActivationRefusedError):
            self.undo_activation()
            self._end(
                status,
                f"{message}. The previous process is still running; app_path points to its release again",
            )
        else:
            self.roll_back(message, "cancelled" if status == "cancelled" else "rolled_back")

    def undo_activation(self) -> None:
        """Point `app_path` at the previous release; the running process was never touched."""
        previous = self._store.previously_active(self._lease.deployment_id)
        before = self._existing(previous)
        if before is None:
            self._context.workspace.withdraw()
        else:
            self._context.workspace.activate(before)

    def roll_back(self, message: str, status: Ending = "rolled_back") -> None:
        """Activate the previous release, verify it, and end the deployment.

        Args:
            message: why this deployment did not succeed.
            status: how it ends if the rollback succeeds.
        """
        self._cancellation.withdraw()
        previous = self.previous()
        if previous is None:
            self.give_up(f"{message}; there is no earlier release to roll back to")
            return
        self._recorder.append(Event("rollback_started", release=previous.name, message=message))
        failpoint("rollback")
        try:
            self._return_to(previous)
            self._verify(previous)
        except (StoreError, InterruptedRunError):
            raise
        except Exception as error:  # noqa: BLE001 - the run boundary: a plugin may raise anything
            self.give_up(f"{message}. Rollback to {previous.name} also failed: {self.message(error)}")
        else:
            serving = Event("serving", release=previous.name, commit_sha=previous.commit)
            ending = self._ending(status, f"{message}; release {previous.name} serves again")
            self._recorder.append(serving, ending)

    def give_up(self, message: str) -> None:
        """End the deployment as failed with an unknown serving release."""
        self._recorder.append(Event("serving"), self._ending("failed", message))

    def message(self, error: Exception) -> str:
        """Return what an error says; what a plugin raised is logged whole, without secrets."""
        if isinstance(error, FraisierError):
            return str(error).rstrip(".")
        logger.error("a plugin raised:\n%s", self._recorder.redacted("".join(format_exception(error))))
        return f"{type(error).__name__}: {error}".rstrip(".")

    def _end(self, event: Ending, message: str) -> None:
        self._recorder.append(self._ending(event, message))

    def _ending(self, event: Ending, message: str) -> Event:
        return Event(event, message=message, duration=time.monotonic() - self._started)


def _unhealthy(check: HealthCheck, health: Health) -> str:
    probes = "one probe" if check.retries == 1 else f"{check.retries} probes {check.interval:g} s apart"
    return (
        f"unhealthy after {probes}: {health.detail} "
        "(health_check.retries, .interval and .timeout give it longer)"
    )


def _release_name(deployment: Deployment, commit: str) -> str:
    when = (deployment.started_at or deployment.requested_at)[:19].replace("-", "").replace(":", "")
    return f"{when.replace('T', '-')}-{commit[:12]}-{deployment.id[-4:]}"

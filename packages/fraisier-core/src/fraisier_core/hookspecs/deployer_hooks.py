"""The hook specs of a fraise type."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fraisier_core.markers import hookspec
from fraisier_core.settings import EnvironmentSettings

if TYPE_CHECKING:
    from fraisier_core.health import Health
    from fraisier_core.kept_backups import BackupContext, KeptBackups
    from fraisier_core.release import Release
    from fraisier_core.run import Run


class DeployerHooks:
    """The hooks of a fraise type: deploy a release, and check its health."""

    @hookspec(firstresult=True)
    def deploy(self, run: Run[Any]) -> None:
        """Deploy `run.release`. Required, unless `back_up` is there: a type of backups deploys nothing.

        Called in a process of its own once the commit is fetched and checked out. Calls `run.activate()`
        before the first command that may change what runs; if it returns without, the deployment fails.

        Args:
            run: the settings of this type, the release, and the means: `step`, `command`, `activate`.

        Raises if a step fails; after `run.activate()`, the engine then rolls back. `ActivationRefusedError`
        says that what runs is unchanged, as when a service manager refuses: activation alone is undone.

        Example::

            @hookimpl
            def deploy(run):
                with run.step("build"):
                    run.command(["make"])
                run.activate()
                with run.step("restart"):
                    run.command(["supervisorctl", "restart", "api"])
        """

    @hookspec(firstresult=True)
    def health_check(self, run: Run[Any]) -> Health:
        """Return whether the service is healthy: one probe. Required if there is `deploy`.

        Called after `deploy`, after `rollback`, and again while it returns "unhealthy", as often and as long
        as the engine decides; then for `stable_for`. `Health(..., final=True)` says that a later probe cannot
        say otherwise.

        Args:
            run: as in `deploy`.

        May raise; an exception counts as unhealthy.

        Example::

            @hookimpl
            def health_check(run):
                return run.probe()
        """

    @hookspec(firstresult=True)
    def watch(self, run: Run[Any]) -> Callable[[], object] | None:
        """Return a function that raises once what was started has failed, None if there is nothing to watch.
        Optional.

        Called after `deploy` and after `rollback`, before the first probe. What it returns is called a few
        times a second until the release is stable, during probes and between them. It raises
        `StepFailedError` if the service failed, or is another one than at first: then it is not probed any
        further.

        Args:
            run: as in `deploy`.

        May raise, as what it returns may.

        Example::

            @hookimpl
            def watch(run):
                return UnitWatch("api.service", run.note)
        """

    @hookspec(firstresult=True)
    def rollback(self, run: Run[Any], to: Release) -> None:
        """Roll back to an earlier release. Optional.

        Called when a deployment fails after `run.activate()`, and for `fraisier rollback`; calls it as
        `deploy` does. Without it, `deploy` is called with `to` as its release.

        Args:
            run: as in `deploy`.
            to: a complete release that was healthy.

        Raises if it fails; the serving release is then unknown.

        Example::

            @hookimpl
            def rollback(run, to):
                run.activate(to)
                with run.step("restart"):
                    run.command(["supervisorctl", "restart", "api"])
        """

    @hookspec(firstresult=True)
    def run_job(self, run: Run[Any]) -> None:
        """Run the job of the release that serves. Optional: only types with jobs have it, and their settings
        extend `JobSettings`.

        Called for each run, in a process of its own; again after a failure, as `retries:` says. It changes
        nothing that serves, and does not call `run.activate()`.

        Args:
            run: as in `deploy`; `run.arguments` are those of this run.

        Raises if the job fails.

        Example::

            @hookimpl
            def run_job(run):
                run.command(["./report.sh", *run.arguments])
        """

    @hookspec(firstresult=True)
    def back_up(self, run: Run[Any]) -> None:
        """Make a backup, and verify every copy of it. Required, unless `deploy` is there; the settings of a
        type that has it extend `BackupJobSettings`.

        Called for each backup, in a process of its own; again after a failure, as `retries:` says. It needs
        no release: `run.release.path` is a folder of the environment's own, which is empty at first. It calls
        `run.record_stored()`, and does not call `run.activate()`.

        Args:
            run: as in `run_job`.

        Raises if the backup fails.

        Example::

            @hookimpl
            def back_up(run):
                copy = run.settings.path / f"{run.fraise}-{uuid4()}"
                run.command(["cp", run.settings.source, copy])
                run.command(["cmp", run.settings.source, copy])
                digest = hashlib.sha256(copy.read_bytes()).hexdigest()
                run.record_stored(Stored(copy.name, copy.stat().st_size, digest, str(copy.parent)))
        """

    @hookspec(firstresult=True)
    def test_restore(self, run: Run[Any]) -> None:
        """Restore a backup into a place of its own, check what was restored, and remove it. Optional.

        Called as `back_up` is, never while that is called for the same environment.

        Args:
            run: as in `run_job`.

        Raises if it cannot be restored, or if what was restored is not what was backed up.

        Example::

            @hookimpl
            def test_restore(run):
                newest = max(run.settings.path.iterdir())
                run.command(["cp", newest, "restored"])
                run.command(["./check.sh", "restored"])
        """

    @hookspec(firstresult=True)
    def backups(self, settings: EnvironmentSettings, context: BackupContext) -> KeptBackups | None:
        """Return the backups of an environment, for `fraisier backups`. Optional.

        Called by the command, as the owner of the state folder; not within a run.

        Args:
            settings: of this type, as `run.settings` in `back_up`.
            context: whose backups they are, and the means: `command`, `note`, and `audit`, which is
                called before something is restored or deleted.

        Example::

            @hookimpl
            def backups(settings, context):
                return CopiesIn(settings.path, context)
        """

    @hookspec(firstresult=True)
    def steps(self, settings: EnvironmentSettings, files: Collection[str]) -> Sequence[str]:
        """Return the names of the steps that `deploy` would take, `activate` among them. Optional.

        Called for `fraisier deploy --dry-run`, before anything of the commit is on the disk.

        Args:
            settings: of this type, as `run.settings` in `deploy`.
            files: the paths of the commit's files.

        Changes nothing.

        Example::

            @hookimpl
            def steps(settings, files):
                return ["build", "activate", "restart"] if "Makefile" in files else ["activate", "restart"]
        """

    @hookspec(firstresult=True)
    def warnings(self, settings: EnvironmentSettings) -> Mapping[str, str]:
        """Return what the section says that cannot work on this host, such as a program that is
        missing. Optional.

        Called for `fraisier config check` alone, which shows it and succeeds all the same.

        Args:
            settings: of this type, as `run.settings` in `deploy`.

        Returns the problems, without secrets, by the key of the section; that of a key below another is
        written with a point between them. Changes nothing.

        Example::

            @hookimpl
            def warnings(settings):
                return {} if which(settings.tool) else {"tool": f"{settings.tool} is not installed"}
        """

    @hookspec(firstresult=True)
    def settings(self) -> type[EnvironmentSettings]:
        """Return the model of this type's environment section. Optional.

        Called when the configuration is loaded. Without it the section is a plain `EnvironmentSettings`.

        Example::

            @hookimpl
            def settings():
                return MySettings
        """

"""The hook specs: every hook that a plugin can implement, with its arguments.

A plugin is a module whose functions carry `@hookimpl` and are named as the hooks here. It is found through
an entry point; `plugins.groups` lists the groups, and what the name of an entry point means in each. A hook
is called on exactly the one plugin that is named; only observers all hear of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraisier_core.markers import hookspec
from fraisier_core.provider_settings import ProviderSettings
from fraisier_core.push import DeliveryId, Ignored, Push, SampleDelivery, Unverified, Verified
from fraisier_core.settings import EnvironmentSettings, MountSettings, ObserverSettings

if TYPE_CHECKING:
    from fraisier_core.health import Health
    from fraisier_core.kept_backups import BackupContext, KeptBackups
    from fraisier_core.mount import App, MountContext
    from fraisier_core.observer_context import Missed, ObserverContext
    from fraisier_core.release import Release
    from fraisier_core.run import Run
    from fraisier_core.store.protocol import Reader
    from fraisier_core.store.records import Deployment, DeploymentEvent
    from fraisier_core.system.host import Host


class ProviderHooks:
    """The hooks of a Git provider: verify a delivery, and return what was pushed."""

    @hookspec(firstresult=True)
    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> Verified | Unverified | Ignored | None:
        """Return which secret verifies a delivery, or why none does; None gives no reason. Required.

        Called first, for every delivery, before anything of the body is parsed. `Ignored` is for a test
        delivery that the forge never signs: anybody can send it, so it must carry nothing. It is answered
        with 200, and not stored.

        Args:
            headers: the request's headers, names in lower case, values decoded as Latin-1.
            body: the raw body.
            secrets: the configured secrets, none of them empty.
            now: the current time in UTC, for schemes that sign a timestamp.

        Must not raise. Compare as bytes with `hmac.compare_digest`.

        Example::

            @hookimpl
            def verify(headers, body, secrets, now):
                given = headers.get("x-signature", "").encode("latin-1")
                for index, secret in enumerate(secrets):
                    digest = hmac.new(secret.encode(), body, "sha256").hexdigest().encode()
                    if hmac.compare_digest(digest, given):
                        return Verified(index)
                return Unverified("wrong secret" if given else "no X-Signature header")
        """

    @hookspec(firstresult=True)
    def normalize(self, headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
        """Return the pushes of a verified delivery, or why it requests nothing. Required. A deleted ref is a
        push whose `after` is None, also if the forge tells of it by an event of its own.

        Args:
            headers: as in `verify`.
            body: the raw body.

        Raises `MalformedPayloadError` if the body is not what the forge sends.

        Example::

            @hookimpl
            def normalize(headers, body):
                if headers.get("x-event") != "push":
                    return Ignored(headers.get("x-event", ""), "only pushes deploy")
                return [Push(...)]
        """

    @hookspec(firstresult=True)
    def delivery_id(self, headers: Mapping[str, str]) -> DeliveryId | None:
        """Return the forge's id of a delivery, or None if it sends none. Optional.

        Called for verified deliveries, so that one that arrives twice deploys once.

        Args:
            headers: as in `verify`.

        Example::

            @hookimpl
            def delivery_id(headers):
                value = headers.get("x-delivery")
                return DeliveryId(value, signed=False) if value else None
        """

    @hookspec(firstresult=True)
    def sample_delivery(self, secret: str, now: datetime) -> SampleDelivery | None:
        """Return a push of `SAMPLE_REF`, signed as the forge signs. Optional.

        Called for `fraisier webhooks test`. `verify` must verify it, and `normalize` ignore it.

        Args:
            secret: one of the configured secrets.
            now: the current time in UTC, for schemes that sign a timestamp.

        Example::

            @hookimpl
            def sample_delivery(secret):
                body = json.dumps({"ref": SAMPLE_REF}).encode()
                signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
                return SampleDelivery({"x-event": "push", "x-signature": signature}, body)
        """

    @hookspec(firstresult=True)
    def settings(self) -> type[ProviderSettings]:
        """Return the model of this provider's section under `git:`. Optional.

        Called when the configuration is loaded. Without it the section is a plain `ProviderSettings`.

        Example::

            @hookimpl
            def settings():
                return MyForgeSettings
        """


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
            context: whose backups they are, and the means: `command`, `note`.

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
    def settings(self) -> type[EnvironmentSettings]:
        """Return the model of this type's environment section. Optional.

        Called when the configuration is loaded. Without it the section is a plain `EnvironmentSettings`.

        Example::

            @hookimpl
            def settings():
                return MySettings
        """


class StoreHooks:
    """The hooks of a store: open the record in such a database."""

    @hookspec(firstresult=True)
    def open_store(self, url: str, host: Host, for_reading: bool) -> Reader | None:
        """Return the store at `url`: a `Store`, or a `Reader` if it is opened for reading. Required.

        Called once by each process that needs the record.

        Args:
            url: as `resolve_url` returned it.
            host: this host, as leases and serving releases name it.
            for_reading: create and change nothing; None if there is no store yet.

        Raises `StoreError` if it cannot be opened, or another version made it.

        Example::

            @hookimpl
            def open_store(url, host, for_reading):
                return MyReader(url, host) if for_reading else MyStore(url, host)
        """

    @hookspec(firstresult=True)
    def resolve_url(self, url: str, folder: Path) -> str:
        """Return the url as `open_store` takes it. Optional.

        Called when the configuration is loaded. Without it the url is taken as it is written.

        Args:
            url: what `database.url` says.
            folder: the folder of the configuration.

        Raises `ValueError` with what is wrong, if this is no url of such a store.

        Example::

            @hookimpl
            def resolve_url(url, folder):
                return url
        """


class ObserverHooks:
    """The hooks of an observer: called for every change of every deployment, at least once and in order."""

    @hookspec
    def deployment_changed(
        self,
        deployment: Deployment,
        event: DeploymentEvent,
        settings: ObserverSettings,
        context: ObserverContext,
    ) -> bool | None:
        """Do something about a change. Required.

        Called in a process of its own, within a bound of time; again after a failure or a crash. What it does
        or raises never changes a deployment.

        Args:
            deployment: the deployment as it is now.
            event: what changed.
            settings: the observer's section of the configuration.
            context: what else is known: of the environment, of what was deployed before, of this observer.

        Returns True to have `deliver` called soon. May raise; the event is then repeated a few times, later
        and later, and passed over at last. `TellLaterError` says when it is repeated, `TellNoMoreError` that
        it need not be.

        Example::

            @hookimpl
            def deployment_changed(deployment, event, settings, context):
                if event.event == "failed":
                    send(settings.address, f"{event.message}, see {context.link(deployment)}")
        """

    @hookspec(firstresult=True)
    def overdue(self, missed: Missed, settings: ObserverSettings, context: ObserverContext) -> bool | None:
        """Do something about a job that did not run in time. Optional.

        Called as `deployment_changed` is: once each time that a job becomes overdue, again after a failure or
        a crash.

        Args:
            missed: the job, and when it was due.
            settings: the observer's section of the configuration.
            context: what else is known: of the environment and of this observer.

        Returns True to have `deliver` called soon. May raise, as `deployment_changed` may.

        Example::

            @hookimpl
            def overdue(missed, settings):
                send(settings.address, f"{missed.fraise_id} was due at {missed.due}")
        """

    @hookspec(firstresult=True)
    def deliver(self, settings: ObserverSettings, context: ObserverContext) -> float | None:
        """Send what is kept in `context.folder`. Optional: an observer that must keep no event waiting stores
        what it has to say, and sends it here.

        Called when the process that tells observers begins, after another hook returned True, and again when
        it says; never at the same time as another hook of the observer.

        Args:
            settings: the observer's section of the configuration.
            context: `folder`, and what is known of all `environments`.

        Returns after how many seconds to call it again, None if nothing is left. May raise; it is then called
        again, later and later, or when `TellLaterError` says.

        Example::

            @hookimpl
            def deliver(settings, context):
                for file in sorted(context.folder.iterdir()):
                    send(settings.address, file.read_text())
                    file.unlink()
        """

    @hookspec(firstresult=True)
    def send_sample(self, settings: ObserverSettings, names: Collection[str]) -> Mapping[str, str]:
        """Send something that means nothing to those who would be told. Optional.

        Called for `fraisier notify test`, in its own process.

        Args:
            settings: the observer's section of the configuration.
            names: who of those that the section names; without any, all.

        Returns what went wrong by their names, without secrets; an empty text if nothing did. Raises
        `UnknownNameError` if a name is none of the section's.

        Example::

            @hookimpl
            def send_sample(settings, names):
                return {name: send(settings.addresses[name], "a test") or "" for name in names}
        """

    @hookspec(firstresult=True)
    def settings(self) -> type[ObserverSettings]:
        """Return the model of this observer's section, which has the observer's name. Optional.

        Called when the configuration is loaded. It extends `ObserverSettings`; that of an observer which
        speaks to the forges of some `providers` extends `ProviderObserverSettings` and names them: it is
        active if `git:` has a section of one of them with an `api_token`.

        Example::

            @hookimpl
            def settings():
                return MyObserverSettings
        """


class MountHooks:
    """The hooks of a mount: serve paths of the web app."""

    @hookspec(firstresult=True)
    def open_mount(self, context: MountContext) -> AbstractAsyncContextManager[Mapping[str, App]]:
        """Return a context that yields ASGI apps by their path. Required.

        Called when the web app starts, if the configuration has a section of the mount's name. The context is
        entered before the first request and left after the last one. Requests reach an app only from clients
        that are admitted: `scope[GRANT]` is their `Grant`. It admits WebSockets itself, by `scope[ADMIT]`.

        Args:
            context: the section, the addresses listened on, and the means: the record, and what may be
                requested.

        Raises `ConfigurationError` if it cannot be served as the section says, here or when it is entered.

        Example::

            @hookimpl
            def open_mount(context):
                return serving(context)

            @asynccontextmanager
            async def serving(context):
                yield {"/feed": Feed(context.open_reader)}
        """

    @hookspec(firstresult=True)
    def ask(
        self, context: MountContext, document: str, variables: Mapping[str, Any], actor: str, explain: bool
    ) -> str:
        """Return the JSON of the answer to a document. Optional.

        Called for the command of the mount's name, without a web app. Who can run it on the host may do
        everything.

        Args:
            context: as in `open_mount`.
            document: what is asked.
            variables: the values of its variables.
            actor: who asks, for the record.
            explain: return how it would be answered instead, for people, and do nothing.

        Raises `FraisierError` if it cannot be answered at all.

        Example::

            @hookimpl
            def ask(context, document):
                return json.dumps(look_up(context.open_reader(), document))
        """

    @hookspec(firstresult=True)
    def settings(self) -> type[MountSettings]:
        """Return the model of this mount's section, which has the mount's name. Optional.

        Called when the web app reads the configuration. Without it the section is empty.

        Example::

            @hookimpl
            def settings():
                return MyMountSettings
        """

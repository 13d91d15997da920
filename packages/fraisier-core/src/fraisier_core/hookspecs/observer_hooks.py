"""The hook specs of an observer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from fraisier_core.markers import hookspec
from fraisier_core.settings import ObserverSettings

if TYPE_CHECKING:
    from fraisier_core.observer_context import Missed, ObserverContext
    from fraisier_core.store.events import DeploymentEvent
    from fraisier_core.store.records import Deployment


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

        Called in a process of its own, within a bound of time; again after a failure or a crash, and if a
        hold begins or ends while the deployment waits. What it does or raises never changes a deployment.

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
    def warnings(self, settings: ObserverSettings) -> Mapping[str, str]:
        """Return what the section says that cannot work on this host, such as an address that
        nothing can be sent to. Optional.

        Called for `fraisier config check` alone, which shows it and succeeds all the same.

        Args:
            settings: the observer's section of the configuration.

        Returns the problems, without secrets, by the key of the section; that of a key below another is
        written with a point between them. Changes nothing.

        Example::

            @hookimpl
            def warnings(settings):
                return {} if can_send_to(settings.address) else {"address": "nothing can be sent there"}
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

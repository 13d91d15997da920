"""The hooks of an observer that sets commit statuses: the same for every forge, but for how it takes them."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import create_model

from fraisier_core.markers import hookimpl
from fraisier_core.observer_context import ObserverContext
from fraisier_core.provider_settings import ForgeApi, ProviderObserverSettings
from fraisier_core.settings import ObserverSettings
from fraisier_core.statuses.announcing import announce
from fraisier_core.statuses.status_api import StatusApi
from fraisier_core.store.events import DeploymentEvent
from fraisier_core.store.records import Deployment

SettingsHook = Callable[[], type[ProviderObserverSettings]]
ChangedHook = Callable[[Deployment, DeploymentEvent, ObserverSettings, ObserverContext], None]


def status_hooks(api: type[StatusApi]) -> tuple[SettingsHook, ChangedHook]:
    """Return the hooks of an observer that sets commit statuses, for its module to name. It needs no section:
    it is active if a section of one of its providers has an `api_token`.

    Args:
        api: how the forges of these providers take them.

    Example::

        settings, deployment_changed = status_hooks(MyForgeStatuses)
    """

    class Settings(ProviderObserverSettings):
        providers = api.providers

        @classmethod
        def hosts_of(cls, forge: ForgeApi) -> frozenset[str]:
            return api.of(forge).hosts

    model = create_model(f"{api.__name__}Settings", __base__=Settings)

    @hookimpl
    def settings() -> type[ProviderObserverSettings]:
        return model

    @hookimpl
    def deployment_changed(
        deployment: Deployment, event: DeploymentEvent, settings: ObserverSettings, context: ObserverContext
    ) -> None:
        announce(api, deployment, event, settings, context)

    return settings, deployment_changed

"""Finding, loading and calling plugins: each call reaches exactly the one plugin that was named.

Names come from entry points and nothing is imported for them. A plugin is imported when the configuration
names it; one that cannot be used is set aside with its reason, and refused only if it is named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fraisier_core.errors import InvalidRequestError, PluginError
from fraisier_core.health import Health
from fraisier_core.plugins.groups import DEPLOYERS, GROUPS, MOUNTS, OBSERVERS, PROVIDERS, STORES, GroupSpec
from fraisier_core.plugins.loader import Group, NamedPlugin, PluginReport
from fraisier_core.provider_settings import ProviderSettings
from fraisier_core.push import DeliveryId, Ignored, Push, SampleDelivery, Unverified, Verified
from fraisier_core.settings import EnvironmentSettings, MountSettings, ObserverSettings, Section
from fraisier_core.store.vocabulary import KINDS

if TYPE_CHECKING:
    from fraisier_core.kept_backups import BackupContext, KeptBackups
    from fraisier_core.mount import App, MountContext
    from fraisier_core.observer_context import Missed, ObserverContext
    from fraisier_core.release import Release
    from fraisier_core.run import Run
    from fraisier_core.store.events import DeploymentEvent
    from fraisier_core.store.protocol import Reader, Store
    from fraisier_core.store.records import Deployment
    from fraisier_core.system.host import Host

Model = TypeVar("Model", bound=Section)
_INSTEAD = {"rollback": "deploy"}


class _Plugin(Generic[Model]):
    """A plugin whose hooks are called through typed methods."""

    def __init__(self, plugin: NamedPlugin) -> None:
        self._plugin = plugin
        self.name = plugin.name

    @property
    def settings_model(self) -> type[Model]:
        """The model of this plugin's section of the configuration."""
        model: type[Any] = self._plugin.model
        return model

    def warnings(self, settings: Model) -> Mapping[str, str]:
        """Return what its section says that cannot work on this host, by the key."""
        if "warnings" not in self._plugin.implemented:
            return {}
        answer = self._plugin.call["warnings"](settings=settings)
        if isinstance(answer, Mapping):
            return answer
        raise self._wrong("warnings", answer)

    def _wrong(self, hook: str, answer: object) -> PluginError:
        return PluginError(f'plugin "{self.name}": {hook} returned {type(answer).__name__}')


class Provider(_Plugin[ProviderSettings]):
    """A Git provider, typed: the `ProviderHooks` of this one plugin."""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> Verified | Unverified | Ignored:
        """Return which secret verifies a delivery, or why none does; only a `Verified` verifies. `Ignored` is
        a test delivery that is never signed.
        """
        verdict = self._plugin.call["verify"](headers=headers, body=body, secrets=secrets, now=now)
        return verdict if isinstance(verdict, Verified | Unverified | Ignored) else Unverified()

    def normalize(self, headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
        """Return what a delivery pushes, or why nothing. Raises `MalformedPayloadError`, `PluginError`."""
        answer = self._plugin.call["normalize"](headers=headers, body=body)
        if isinstance(answer, Ignored):
            return answer
        if isinstance(answer, list | tuple) and all(isinstance(push, Push) for push in answer):
            return answer
        raise self._wrong("normalize", answer)

    def delivery_id(self, headers: Mapping[str, str]) -> DeliveryId | None:
        """Return the forge's id of a delivery, None if it sends none. Raises `PluginError` as `normalize`."""
        answer = self._plugin.call["delivery_id"](headers=headers)
        if answer is None or isinstance(answer, DeliveryId):
            return answer
        raise self._wrong("delivery_id", answer)

    def sample_delivery(self, secret: str, now: datetime) -> SampleDelivery:
        """Return a delivery that requests nothing. Raises `PluginError` if the plugin makes none."""
        if not self.makes_samples:
            raise PluginError(f'plugin "{self.name}" has no hook sample_delivery: a push alone can test it')
        answer = self._plugin.call["sample_delivery"](secret=secret, now=now)
        if isinstance(answer, SampleDelivery):
            return answer
        raise self._wrong("sample_delivery", answer)

    @property
    def makes_samples(self) -> bool:
        """Whether `sample_delivery` is implemented."""
        return "sample_delivery" in self._plugin.implemented


class Deployer(_Plugin[EnvironmentSettings]):
    """A fraise type, typed: the `DeployerHooks` of this one plugin."""

    @property
    def kinds(self) -> frozenset[str]:
        """The names of the kinds whose hook this type has."""
        hooks = {*self._plugin.implemented}
        return frozenset(name for name, of in KINDS.items() if {of.hook, _INSTEAD.get(of.hook)} & hooks)

    def call(self, hook: str, run: Run[Any], release: Release) -> None:
        """Call a hook, or `deploy` for a `rollback` that this type lacks. Raises what a failing step does."""
        name = hook if hook in self._plugin.implemented else _INSTEAD.get(hook)
        if name is None:
            raise PluginError(f'the fraise type "{self.name}" has no {hook}')
        self._plugin.call[name](run=run, to=release)  # an implementation is given the arguments it names

    def steps(self, settings: EnvironmentSettings, files: Collection[str]) -> Sequence[str] | None:
        """Return the names of the steps of `deploy`, None if this type does not tell."""
        answer = self._plugin.call["steps"](settings=settings, files=files)
        if isinstance(answer, list | tuple) and all(isinstance(each, str) for each in answer):
            return answer
        if answer is None:
            return None
        raise self._wrong("steps", answer)

    def health_check(self, run: Run[Any]) -> Health:
        """Return the verdict of one probe. Raises `PluginError` if the plugin returned something else."""
        answer = self._plugin.call["health_check"](run=run)
        if isinstance(answer, Health):
            return answer
        raise self._wrong("health_check", answer)

    def watch(self, run: Run[Any]) -> Callable[[], object] | None:
        """Return what raises once what was deployed has failed, None if this type cannot tell."""
        answer: Callable[[], object] | None = self._plugin.call["watch"](run=run)
        if answer is None or callable(answer):
            return answer
        raise self._wrong("watch", answer)

    @property
    def keeps_backups(self) -> bool:
        """Whether the commands of backups can be used."""
        return "backups" in self._plugin.implemented

    def backups(self, settings: EnvironmentSettings, context: BackupContext) -> KeptBackups:
        """Return the backups of an environment. Raises `InvalidRequestError` if this type keeps none."""
        if not self.keeps_backups:
            what = f"{context.fraise} {context.environment}"
            raise InvalidRequestError(f'{what} keeps no backups: its type "{self.name}" has none')
        answer: KeptBackups = self._plugin.call["backups"](settings=settings, context=context)
        return answer


class StorePlugin(_Plugin[Section]):
    """A kind of store, typed: the `StoreHooks` of this one plugin."""

    def resolve_url(self, url: str, folder: Path) -> str:
        """Return the url as `open` takes it. Raises `ValueError` if it is none of this store's."""
        resolved = self._plugin.call["resolve_url"](url=url, folder=folder)
        return url if resolved is None else str(resolved)

    def open(self, url: str, host: Host) -> Store:
        """Open the store, creating and migrating it as needed. Raises `StoreError`."""
        store: Store = self._plugin.call["open_store"](url=url, host=host, for_reading=False)
        return store

    def open_for_reading(self, url: str, host: Host) -> Reader | None:
        """Open the store without changing anything, None if there is none yet. Raises `StoreError`."""
        reader: Reader | None = self._plugin.call["open_store"](url=url, host=host, for_reading=True)
        return reader


class Observer(_Plugin[ObserverSettings]):
    """An observer, typed: the `ObserverHooks` of this one plugin."""

    def deployment_changed(
        self,
        deployment: Deployment,
        event: DeploymentEvent,
        settings: ObserverSettings,
        context: ObserverContext,
    ) -> bool:
        """Tell of a change, and return whether it wants to deliver; raises whatever the plugin raises."""
        answers = self._plugin.call["deployment_changed"](
            deployment=deployment, event=event, settings=settings, context=context
        )
        return any(answers)

    @property
    def hears_of_overdue(self) -> bool:
        """Whether it is told of jobs that did not run in time."""
        return "overdue" in self._plugin.implemented

    @property
    def delivers(self) -> bool:
        """Whether it keeps something to send."""
        return "deliver" in self._plugin.implemented

    def overdue(self, missed: Missed, settings: ObserverSettings, context: ObserverContext) -> bool:
        """Tell of a job that did not run in time, as `deployment_changed` tells of a change."""
        return bool(self._plugin.call["overdue"](missed=missed, settings=settings, context=context))

    def send_sample(self, settings: ObserverSettings, names: Collection[str]) -> Mapping[str, str]:
        """Send a sample to some, and return what went wrong by name. Raises `PluginError` if it has none."""
        if "send_sample" not in self._plugin.implemented:
            raise PluginError(f'plugin "{self.name}" has no hook send_sample')
        answer: Mapping[str, str] = self._plugin.call["send_sample"](settings=settings, names=names)
        return answer

    def deliver(self, settings: ObserverSettings, context: ObserverContext) -> float | None:
        """Have it deliver, and return after how many seconds it wants to again; raises as the others."""
        answer: float | None = self._plugin.call["deliver"](settings=settings, context=context)
        return answer


class Mount(_Plugin[MountSettings]):
    """A mount, typed: the `MountHooks` of this one plugin."""

    def open(self, context: MountContext) -> AbstractAsyncContextManager[Mapping[str, App]]:
        """Return what yields its apps by their path. Raises `PluginError`, and whatever the plugin raises."""
        answer = self._plugin.call["open_mount"](context=context)
        if isinstance(answer, AbstractAsyncContextManager):
            return answer
        raise self._wrong("open_mount", answer)

    def ask(
        self, context: MountContext, document: str, variables: Mapping[str, Any], actor: str, *, explain: bool
    ) -> str:
        """Return the answer to a document, or how it would be answered. Raises `PluginError` if this mount
        answers none, and whatever the plugin raises.
        """
        if "ask" not in self._plugin.implemented:
            raise PluginError(f'plugin "{self.name}" has no hook ask: it answers no documents')
        given = {"context": context, "document": document, "variables": variables}
        answer = self._plugin.call["ask"](**given, actor=actor, explain=explain)
        if isinstance(answer, str):
            return answer
        raise self._wrong("ask", answer)


class Plugins:
    """Everything that is installed, by group and name; entry points of other groups are passed over."""

    def __init__(self, found: Iterable[EntryPoint], disabled: Collection[str] = ()) -> None:
        found = list(found)
        self._groups = {spec.group: Group(spec, found, disabled) for spec in GROUPS}

    @classmethod
    def installed(cls, environ: Mapping[str, str] = os.environ) -> Plugins:
        """Return what is installed, unimported, without the names in `FRAISIER_DISABLED_PLUGINS`."""
        found = entry_points()
        disabled = {name.strip() for name in environ.get("FRAISIER_DISABLED_PLUGINS", "").split(",")}
        return cls([each for spec in GROUPS for each in found.select(group=spec.group)], disabled)

    def names(self, spec: GroupSpec) -> tuple[str, ...]:
        """Return the names of a group's installed plugins, usable or not."""
        return self._groups[spec.group].names()

    def provider(self, name: str) -> Provider:
        """Return a provider, importing it the first time. Raises `PluginError`."""
        return Provider(self._groups[PROVIDERS.group].plugin(name))

    def deployer(self, name: str) -> Deployer:
        """Return a fraise type, as `provider` does."""
        return Deployer(self._groups[DEPLOYERS.group].plugin(name))

    def store(self, url: str) -> StorePlugin:
        """Return the kind of store that the scheme of a url names, as `provider` does."""
        return StorePlugin(self._groups[STORES.group].plugin(url.partition(":")[0]))

    def observer(self, name: str) -> Observer:
        """Return an observer, as `provider` does."""
        return Observer(self._groups[OBSERVERS.group].plugin(name))

    def mount(self, name: str) -> Mount:
        """Return a mount, as `provider` does."""
        return Mount(self._groups[MOUNTS.group].plugin(name))

    def report(self) -> list[PluginReport]:
        """Return what became of every entry point; this imports them all."""
        return [report for group in self._groups.values() for report in group.report()]

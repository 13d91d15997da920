"""Gathers what an observer is given, which has no store itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fraisier_core.config import Config
from fraisier_core.errors import UnknownNameError
from fraisier_core.job_settings import JobSettings
from fraisier_core.observer_context import EnvironmentFacts, ObserverContext
from fraisier_core.requests.holding import hold_of
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.store.events import DeploymentEvent
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import ENDED
from fraisier_core.system.disk import make_folder

MOST_LINES = 50


@dataclass(frozen=True, slots=True)
class ObserverFacts:
    """What one observer is given of the configuration and of the record; one that speaks to forges, for one
    `section` below `git:`.
    """

    observer: str
    section: str | None
    config: Config
    store: Store

    @property
    def name(self) -> str:
        """The name by which the record knows who is told."""
        return self.observer if self.section is None else f"{self.observer} of git.{self.section}"

    def context(self, deployment: Deployment, event: DeploymentEvent, *, repeated: bool) -> ObserverContext:
        """Return what is known when a change of a deployment is told. Raises `StoreError`, `OSError`."""
        forges = self.config.observers.forges.get(self.observer, {})
        has_ended = event.event in ENDED
        return ObserverContext(
            folder=self._folder(),
            environment=self.environment(deployment.fraise_id, deployment.environment),
            public_url=self.config.public_url,
            repeated=repeated,
            previous=self.store.previous(deployment) if has_ended else None,
            output=self._output(deployment) if has_ended and event.event != "success" else (),
            hold=hold_of(deployment, self.store),
            delivered_to=self._delivered_to(deployment) if forges else None,
            forges=forges,
            section=self.section,
        )

    def environment(self, fraise: str, name: str) -> EnvironmentFacts | None:
        """Return what the configuration says of an environment, None if it is not there any more."""
        try:
            found = self.config.named_environment(fraise, name)
        except UnknownNameError:
            return None
        settings = found.outcome if isinstance(found.outcome, EnvironmentSettings) else None
        of, repository = self.config.fraise(fraise), found.repository
        return EnvironmentFacts(
            type=of.type,
            repository=repository.identity,
            identities=repository.identities,
            notify=of.notify if settings is None or settings.notify is None else settings.notify,
            ping=settings.ping if isinstance(settings, JobSettings) else None,
        )

    def of_environment(self, fraise: str, name: str, repeated: bool) -> ObserverContext:
        """Return what is known when something of an environment is told that is no change."""
        environment = self.environment(fraise, name)
        return ObserverContext(self._folder(), environment, self.config.public_url, repeated=repeated)

    def of_all(self) -> ObserverContext:
        """Return what is known when the observer delivers."""
        known = {
            (each.fraise, each.name): found
            for each in self.config.environments
            if (found := self.environment(each.fraise, each.name))
        }
        return ObserverContext(self._folder(), public_url=self.config.public_url, environments=known)

    @property
    def marker(self) -> Path:
        """The file that says which event the observer was last begun to be told of."""
        return self.config.state_dir / "observers" / f"{quote(self.name, safe='')}.told"

    def _folder(self) -> Path:
        folder = self.marker.with_suffix("")
        make_folder(folder, 0o700)
        return folder

    def _output(self, deployment: Deployment) -> tuple[str, ...]:
        steps = self.store.steps(deployment.id)
        failed = [(each.attempt, each.number) for each in steps if each.status not in {"running", "success"}]
        log = self.store.log(deployment.id)
        text = "".join(each.text for each in log if (each.attempt, each.step_number) in failed[-1:])
        return tuple(text.splitlines()[-MOST_LINES:])

    def _delivered_to(self, deployment: Deployment) -> str | None:
        if deployment.webhook_event_id is None:
            return None
        return self.store.delivery(deployment.webhook_event_id).delivery.provider

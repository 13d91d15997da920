"""What a command works with, on the host or from afar."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from fraisier_core.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fraisier_core.config import Config
    from fraisier_core.store.events import ObserverProblem
    from fraisier_core.store.protocol import DeploymentReader
    from fraisier_core.store.records import Deployment
    from fraisier_core.units.timers import Key, TimerFacts


class Changes(Protocol):
    """Tells when to look for what is new of a deployment."""

    def wait(self) -> None:
        """Return once something may be new."""

    def close(self) -> None:
        """Hear no more."""


class AnySession(ABC):
    """What a command needs that works on the host and from afar: the deployments and what is configured, the
    configuration itself only on the host and if it can be used.
    """

    configured: Config | None = None

    @abstractmethod
    def reader(self) -> DeploymentReader | None:
        """Return the read side, None if there is no store yet."""

    @abstractmethod
    def existing_reader(self) -> DeploymentReader:
        """Return the read side. Raises `UnknownNameError` if there is no store."""

    @abstractmethod
    def names(self, reader: DeploymentReader | None) -> dict[str, list[str]]:
        """Return the environments of each fraise, in their order."""

    @abstractmethod
    def undeletable(self, fraise: str, environment: str) -> dict[str, str]:
        """Return the old releases that cannot be deleted, as far as it is known here, and why."""

    def timers(
        self,
        names: Collection[tuple[str, str]],  # noqa: ARG002 - only the host has timers
        fired: Mapping[Key, str],  # noqa: ARG002
        deployed: Mapping[tuple[str, str], str | None],  # noqa: ARG002
    ) -> dict[Key, TimerFacts]:
        """Return what there is to say of the schedules of some environments, as far as it is known here.

        Args:
            names: of the environments.
            fired: when something was last requested by a schedule.
            deployed: since when a release serves.
        """
        return {}

    def backup_problems(
        self,
        made: Deployment,  # noqa: ARG002 - only the host has what was found
        tested: Deployment | None = None,  # noqa: ARG002
    ) -> list[str]:
        """Return what `backups verify` found to be wrong with a backup, as far as it is known here.

        Args:
            made: what made it.
            tested: the newest good restore test: it counts more than what was found of that copy before.
        """
        return []

    def observer_problems(self, reader: DeploymentReader | None) -> list[ObserverProblem]:  # noqa: ARG002
        """Return the last problem of each observer that ever had one, as far as it is known here."""
        return []

    @abstractmethod
    def request_cancel(self, id_part: str) -> Deployment:
        """Request the cancellation of a deployment; return it as it is then. Raises `UnknownNameError`."""

    @abstractmethod
    def changes(self, deployment_id: str) -> Changes:
        """Return what tells of news of a deployment."""

    def found(self, id_part: str) -> tuple[DeploymentReader, str]:
        """Return the read side, and the id that a part of it means. Raises `UnknownNameError` as `find`."""
        reader = self.reader()
        if reader is None:
            raise UnknownNameError(f"there is no deployment {id_part!r}: nothing was ever deployed")
        return reader, reader.find(id_part)

    def environment(self, reader: DeploymentReader | None, fraise: str, begun_as: str | None) -> str | None:
        """Return the environment of a fraise that a word begins, None for None. Raises `UnknownNameError`."""
        from fraisier_core.text.suggestions import begun, unknown

        names = self.names(reader)
        if fraise not in names:
            raise UnknownNameError(unknown("fraise", fraise, names))
        return None if begun_as is None else begun(f"environment of {fraise}", begun_as, names[fraise])

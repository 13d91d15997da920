"""What a command works with from afar: a Fraisier on another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fraisier.cli.any_session import AnySession
from fraisier.remote.remote_endpoint import RemoteEndpoint
from fraisier.remote.remote_reader import RemoteReader
from fraisier.remote.remote_requests import RemoteRequests

if TYPE_CHECKING:
    from fraisier_core.store.protocol import DeploymentReader
    from fraisier_core.store.records import Deployment

    from fraisier.remote.remote_changes import RemoteChanges
    from fraisier.remote.remote_place import RemotePlace


class RemoteSession(AnySession):
    """What a command works with if `--url` is given. Raises `RemoteError` whenever it asks."""

    def __init__(self, place: RemotePlace) -> None:
        self._place = place
        endpoint = RemoteEndpoint(place)
        self._reader = RemoteReader(endpoint)
        self.requests = RemoteRequests(endpoint)
        self._fraises: list[dict[str, Any]] | None = None

    def reader(self) -> RemoteReader:
        """Return the read side."""
        return self._reader

    def existing_reader(self) -> RemoteReader:
        """Return the read side."""
        return self._reader

    @property
    def fraises(self) -> list[dict[str, Any]]:
        """The configured fraises with their environments, as the store was told last."""
        if self._fraises is None:
            self._fraises = self._reader.fraises()
        return self._fraises

    def names(self, reader: DeploymentReader | None) -> dict[str, list[str]]:  # noqa: ARG002 - it has its own
        """Return the environments of each fraise, in the order of the configuration."""
        return {row["id"]: [each["environment"] for each in row["environments"]] for row in self.fraises}

    def usable_environment(self, fraise: str, begun_as: str) -> tuple[str, str]:
        """Return a fraise and the environment of it that a word begins. Raises `UnknownNameError`."""
        environment = self.environment(self._reader, fraise, begun_as)
        assert environment is not None  # noqa: S101 - a word was given
        return fraise, environment

    def undeletable(self, fraise: str, environment: str) -> dict[str, str]:  # noqa: ARG002 - of no place
        """Return nothing: only the file system of the host says it."""
        return {}

    def request_cancel(self, id_part: str) -> Deployment:
        """Request the cancellation of a deployment, and return it as it is then."""
        return self.requests.cancel(self._reader.find(id_part))

    def changes(self, deployment_id: str) -> RemoteChanges:
        """Return what tells of news of a deployment: a WebSocket."""
        from fraisier.remote.remote_changes import RemoteChanges

        return RemoteChanges(self._place, self._reader, deployment_id)

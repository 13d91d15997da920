"""What a mount works with: an app of another package that the web app serves under paths of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from fraisier_core.access.gate import Gate
    from fraisier_core.settings import MountSettings
    from fraisier_core.store.protocol import Reader
    from fraisier_core.store.records import Deployment

App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI app."""


class Actions(Protocol):
    """What may be requested of the workers of this host; each method waits for the store."""

    def deploy(
        self,
        fraise_id: str,
        environment: str,
        requested_by: str,
        commit: str | None = None,
        branch: str | None = None,
        *,
        override_hold: bool = False,
    ) -> str:
        """Request a deployment and return its id.

        Args:
            fraise_id: of what.
            environment: where, by its whole name.
            requested_by: who asks, for the record.
            commit: the id of a commit, or the beginning of one.
            branch: takes the newest commit of a branch; without both, of the environment's own.
            override_hold: whether to deploy even if the environment is held.

        Raises `UnknownNameError`, `InvalidRequestError`, `ConfigurationError` or `StoreError`, and
        `HeldError` if the environment is held.
        """

    def rollback(self, fraise_id: str, environment: str, requested_by: str, to: str | None = None) -> str:
        """Request a rollback and return its id.

        Args:
            fraise_id: of what.
            environment: where, by its whole name.
            requested_by: who asks, for the record.
            to: a healthy release or commit, or a part of its name; None takes the previous one.

        Raises what `deploy` does, and `BusyError` if a rollback is running and `to` is None.
        """

    def run(self, fraise_id: str, environment: str, requested_by: str, arguments: Sequence[str] = ()) -> str:
        """Request a run of an environment's job and return its id.

        Args:
            fraise_id: of what.
            environment: where, by its whole name.
            requested_by: who asks, for the record.
            arguments: of the job.

        Raises what `deploy` does.
        """

    def backup(self, fraise_id: str, environment: str, requested_by: str) -> str:
        """Request a backup and return its id.

        Args:
            fraise_id: of what.
            environment: where, by its whole name.
            requested_by: who asks, for the record.

        Raises what `deploy` does.
        """

    def restore_test(self, fraise_id: str, environment: str, requested_by: str) -> str:
        """Request that a backup is restored as a test, and return the id of that run.

        Args:
            fraise_id: of what.
            environment: where, by its whole name.
            requested_by: who asks, for the record.

        Raises what `deploy` does.
        """

    def hold(
        self,
        fraise_id: str,
        environment: str | None,
        requested_by: str,
        reason: str,
        until: str | None = None,
    ) -> str:
        """Keep what is pushed waiting, and return the id of the hold.

        Args:
            fraise_id: of what.
            environment: where, by its whole name; None means everywhere.
            requested_by: who asks, for the record.
            reason: what is shown wherever something waits.
            until: a time or a duration, as `fraisier hold` takes it; None waits until it is resumed.

        Raises what `deploy` does.
        """

    def resume(self, fraise_id: str, environment: str | None, requested_by: str) -> str:
        """Let what was pushed be deployed, and return the id of the newest hold that ended.

        Args:
            fraise_id: of what.
            environment: where, by its whole name; None means everywhere.
            requested_by: who asks, for the record.

        Raises what `deploy` does, and `ConflictError` if no user holds it.
        """

    def cancel(self, deployment_id: str, requested_by: str) -> Deployment:
        """Request that a deployment stops and return it as it is then; one that has ended is left as it is.
        Raises `UnknownNameError` or `StoreError`.
        """


@dataclass(frozen=True, slots=True)
class MountContext:
    """What a mount works with while the web app runs.

    Args:
        settings: the mount's section of the configuration.
        store: the kind of store, by the name of its plugin.
        open_reader: opens the read side of the store; raises `StoreError`.
        actions: what may be requested, by whom `gate` lets it.
        gate: has admitted the clients, and says which of them may still be served.
    """

    settings: MountSettings
    store: str
    open_reader: Callable[[], Reader]
    actions: Actions
    gate: Gate

"""All of the record, for reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fraisier_core.store.events import Change, ObserverProblem
from fraisier_core.store.protocol.deployment_reader import DeploymentReader
from fraisier_core.store.received import DeliveryDetails, ReceivedDelivery
from fraisier_core.store.records import Deployment, HealthyRelease, Request
from fraisier_core.store.tables import Contents
from fraisier_core.store.tokens import AuditEvent, Token
from fraisier_core.store.vocabulary import RecordedVerdict


class Commits(Protocol):
    """What others commit, as a follower hears of it."""

    def wait(self, seconds: float) -> None:
        """Return once something may have been committed since the last call, after so many seconds at the
        latest. Raises `StoreError`.
        """

    def wake(self) -> None:
        """Have the `wait` of another thread return, or the next one."""

    def close(self) -> None:
        """Hear no more."""


class Reader(DeploymentReader, Protocol):
    """What happened and which release is serving."""

    def changes(self, after: int = 0, limit: int = 1000) -> list[Change]:
        """Return the changes of status after a position, in order; none appears later behind the last one."""

    def position(self) -> int:
        """Return the last position; whatever changes later has a higher one."""

    def requested_for(self, deployment_id: str) -> list[Deployment]:
        """Return what a deployment requested: the backup before it, the run after it; oldest first."""

    def output_after(self, deployment_id: str, after: int, limit: int = 1000) -> list[int]:
        """Return the sequences of the chunks of a deployment's output that came after chunk `after`."""

    def commits(self) -> Commits:
        """Begin to hear of what others commit, on a connection of its own."""

    def observer_problems(self) -> list[ObserverProblem]:
        """Return the last problem of each observer that ever had one."""

    def history(self, deployment: Deployment, limit: int) -> list[Deployment]:
        """Return the newest deployments of the same kind in the same environment, this one included, newest
        first; those left out that any number of replays add.
        """

    def previous(self, deployment: Deployment) -> Deployment | None:
        """Return the last deployment of the same kind in the same environment before this one that succeeded
        or failed.
        """

    def running(self, fraise_id: str, environment: str, lane: str | None) -> str | None:
        """Return the id of the deployment that runs in a lane of an environment, if there is one; in the lane
        None nothing waits for another.
        """

    def serving(self, fraise_id: str, environment: str) -> HealthyRelease | None:
        """Return the serving release, None if there is none or it is unknown."""

    def healthy_releases(self, fraise_id: str, environment: str) -> list[HealthyRelease]:
        """Return the releases that were healthy, newest first."""

    def deliveries(self, limit: int = 20, verdict: RecordedVerdict | None = None) -> list[ReceivedDelivery]:
        """Return the newest deliveries, recorded and refused, of any verdict or of one; newest first."""

    def find_delivery(self, id_part: str) -> str:
        """Return the id of a recorded or refused delivery, as `find` does. Raises `UnknownNameError`."""

    def delivery(self, delivery_id: str) -> DeliveryDetails:
        """Return one delivery. Raises `UnknownNameError`."""

    def details(self, deliveries: Sequence[ReceivedDelivery]) -> list[DeliveryDetails]:
        """Return what else is recorded of deliveries, in their order."""

    def newer_than(self, delivery_id: str, request: Request) -> str | None:
        """Return the id of the newest delivery or deployment of another commit of the ref of a request that
        replays a delivery, if it is newer than that, or than the first of the same. Of deployments, those in
        the environment of the request count.
        """

    def tokens(self) -> list[Token]:
        """Return every token that was ever made, oldest first."""

    def token(self, prefix: str) -> Token | None:
        """Return the token that begins with this, None if there is none; it may be revoked."""

    def audit_events(self, limit: int) -> list[AuditEvent]:
        """Return what people and clients did and were refused, newest first."""

    def contents(self) -> Contents:
        """Return what it holds, row by row."""

    def answer(self, sql: str, parameters: Mapping[str, Any]) -> str | None:
        """Return the text of the column `answer` of the row that a statement over the views returns, None
        without a row. The views are a public interface: who compiles questions into statements asks here.

        Args:
            sql: the statement, in the SQL of this kind of store, with `:NAME` for each parameter.
            parameters: their values.
        """

    def interrupt(self) -> None:
        """Have what another thread asks fail soon, because it takes too long."""

"""What can be followed: rows that are only ever added, each at a position of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from fraisier_core import ENDED, Reader


@dataclass(frozen=True, slots=True)
class Row:
    """Where a row is, and of what; None if all rows of the topic are of one deployment."""

    position: int
    fraise_id: str | None = None
    environment: str | None = None


class Topic(Protocol):
    """Rows that are added to `source`, where the column `key` is their position."""

    source: ClassVar[str]
    key: ClassVar[str]

    def rows(self, reader: Reader, after: int, limit: int) -> list[Row]:
        """Return what came after a position, in order. Raises `StoreError`."""

    def last(self, reader: Reader) -> int:
        """Return the last position. Raises `StoreError`."""

    def has_ended(self, reader: Reader) -> bool:
        """Whether no row is added any more. Raises `StoreError`."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of the status of every deployment."""

    source: ClassVar[str] = "v_deployment_changes"
    key: ClassVar[str] = "position"

    def rows(self, reader: Reader, after: int, limit: int) -> list[Row]:
        """Return the changes after a position."""
        return [Row(each.position, each.fraise_id, each.environment) for each in reader.changes(after, limit)]

    def last(self, reader: Reader) -> int:
        """Return the last position."""
        return reader.position()

    def has_ended(self, _reader: Reader) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class Output:
    """The output of one deployment."""

    deployment_id: str
    source: ClassVar[str] = "tb_deployment_logs"
    key: ClassVar[str] = "sequence"

    def rows(self, reader: Reader, after: int, limit: int) -> list[Row]:
        """Return the chunks after one."""
        return [Row(each) for each in reader.output_after(self.deployment_id, after, limit)]

    def last(self, reader: Reader) -> int:
        """Return the sequence of the last chunk."""
        return _last(self, reader)

    def has_ended(self, reader: Reader) -> bool:
        """Whether the deployment has."""
        return reader.deployment(self.deployment_id).status in ENDED


@dataclass(frozen=True, slots=True)
class Events:
    """The events of one deployment."""

    deployment_id: str
    source: ClassVar[str] = "tb_deployment_events"
    key: ClassVar[str] = "sequence"

    def rows(self, reader: Reader, after: int, limit: int) -> list[Row]:
        """Return the events after one."""
        return [Row(each.sequence) for each in reader.events(after, limit, self.deployment_id)]

    def last(self, reader: Reader) -> int:
        """Return the sequence of the last event."""
        return _last(self, reader)

    def has_ended(self, reader: Reader) -> bool:
        """Whether the deployment has."""
        return reader.deployment(self.deployment_id).status in ENDED


def _last(topic: Topic, reader: Reader, page: int = 1000) -> int:
    last = 0
    while rows := topic.rows(reader, last, page):
        last = rows[-1].position
    return last


TOPICS: Mapping[str, tuple[Callable[[Mapping[str, Any]], Topic], str]] = {
    "deploymentStatusChanged": (lambda _given: Changes(), "since"),
    "deploymentOutput": (lambda given: Output(given["deployment_id"]), "after"),
    "deploymentEvents": (lambda given: Events(given["deployment_id"]), "after"),
}
"""The topic of each subscription by its arguments, and which of them is the position to begin after."""

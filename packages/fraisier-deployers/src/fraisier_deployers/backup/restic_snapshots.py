"""The snapshots of a repository of restic, and those that are there and cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, TypeAdapter, ValidationError

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.discreet_restic import command
from fraisier_deployers.backup.manifest import SUFFIX
from fraisier_deployers.backup.remotes.remote_commands import RemoteCommands

DATA, MANIFEST = "fraisier-data", "fraisier-manifest"
_LIST = command("list", "--no-lock", "snapshots")
_READ = command("snapshots", "--no-lock", "--json")


class Origin(Protocol):
    """Which backup it is, as a manifest says, or before there is one."""

    @property
    def fraise(self) -> str:
        """Whose it is."""

    @property
    def environment(self) -> str:
        """Of that fraise."""

    @property
    def host(self) -> str:
        """Where it is made."""

    @property
    def installation(self) -> str:
        """That makes it."""

    @property
    def created_at(self) -> datetime:
        """When it began."""


class Snapshot(BaseModel):
    """A snapshot as restic lists it; `id` is the SHA-256 of what it says."""

    id: str
    time: datetime
    tags: tuple[str, ...] = ()

    def has(self, *tags: str) -> bool:
        """Whether it has all these tags."""
        return set(tags) <= set(self.tags)


@dataclass(frozen=True, slots=True)
class Snapshots:
    """What a repository holds.

    Args:
        readable: oldest first.
        unreadable: the ids of the others. restic says nothing of them: they may be anybody's.
    """

    readable: Sequence[Snapshot]
    unreadable: Sequence[str]


def readable_snapshots(commands: RemoteCommands) -> list[Snapshot]:
    """Return the snapshots that restic can read now. Raises `BackupError`."""
    try:
        text = commands.output("list it", _READ)
        return TypeAdapter(list[Snapshot] | None).validate_json(text) or []
    except ValidationError as error:
        raise BackupError(
            f"{commands.destination}: restic lists it in a way that is not understood"
        ) from error


def all_snapshots(commands: RemoteCommands) -> Snapshots:
    """Return what lies in the repository, also what cannot be read. Raises `BackupError`."""
    there = _ids(commands)
    readable = readable_snapshots(commands)
    lost = there - {each.id for each in readable}
    if lost:
        lost &= _ids(commands)  # another process may have forgotten some meanwhile
    return Snapshots(readable, sorted(lost))


def _ids(commands: RemoteCommands) -> set[str]:
    return set(commands.output("list it", _LIST).split())


def tags_of(made: Origin) -> tuple[str, ...]:
    """Return the tags of all that is of the same origin as a backup."""
    fraise, environment = f"fraise={made.fraise}", f"environment={made.environment}"
    return fraise, environment, f"installation={made.installation}"


def unfinished(snapshots: Sequence[Snapshot], made: Origin) -> list[Snapshot]:
    """Return the data of backups of the same origin as one that have no manifest."""
    manifests = [tag for each in snapshots if each.has(MANIFEST) for tag in each.tags if tag.endswith(SUFFIX)]
    whole = {name.removesuffix(SUFFIX) for name in manifests}
    data = [each for each in snapshots if each.has(DATA, *tags_of(made))]
    return [each for each in data if whole.isdisjoint(tag.partition(".")[0] for tag in each.tags)]

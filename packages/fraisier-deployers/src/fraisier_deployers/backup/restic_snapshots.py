"""The snapshots of a repository of restic, and those that are there and cannot be read."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, TypeAdapter, ValidationError

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.manifest import SUFFIX
from fraisier_deployers.backup.remotes.remote_commands import RemoteCommands

DATA, MANIFEST = "fraisier-data", "fraisier-manifest"
_LIST = ("restic", "list", "--no-lock", "snapshots")
_READ = ("restic", "snapshots", "--no-lock", "--json")


class Snapshot(BaseModel):
    """A snapshot as restic lists it; `id` is the SHA-256 of what it says."""

    id: str
    time: datetime
    hostname: str = ""
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


def tags_of(fraise: str, environment: str) -> tuple[str, str]:
    """Return the tags of all that is of an environment."""
    return f"fraise={fraise}", f"environment={environment}"


def unfinished(snapshots: Sequence[Snapshot], fraise: str, environment: str) -> list[Snapshot]:
    """Return the data of an environment's backups that this host made and gave no manifest."""
    manifests = [tag for each in snapshots if each.has(MANIFEST) for tag in each.tags if tag.endswith(SUFFIX)]
    whole = {name.removesuffix(SUFFIX) for name in manifests}
    own = DATA, *tags_of(fraise, environment)
    data = [each for each in snapshots if each.has(*own) and each.hostname == socket.gethostname()]
    return [each for each in data if whole.isdisjoint(tag.partition(".")[0] for tag in each.tags)]

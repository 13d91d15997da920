"""The snapshots of a repository of restic, and those that are there and cannot be read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, TypeAdapter, ValidationError

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.discreet_restic import command
from fraisier_deployers.backup.manifest import SUFFIX
from fraisier_deployers.backup.remotes.remote_commands import RemoteCommands

DATA, MANIFEST = "fraisier-data", "fraisier-manifest"
_LIST, _LIST_LOCKED = command("list", "--no-lock", "snapshots"), command("list", "snapshots")
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

    def of(self, kind: str, files: Collection[str]) -> list[Snapshot]:
        """Return those of a kind that hold one of these files."""
        return [each for each in self.readable if each.has(kind) and not set(files).isdisjoint(each.tags)]


class KnownSnapshots:
    """The snapshots of a repository as they were listed last. A snapshot never changes: what one says is read
    once, and from then on it is only listed.
    """

    def __init__(self) -> None:
        self._known: Sequence[Snapshot] = ()
        self._last: Snapshots | None = None

    def listed(self, commands: RemoteCommands, *, locking: bool = False) -> Snapshots:
        """Return what lies in the repository now, also what cannot be read. Raises `BackupError`.

        Args:
            commands: run restic.
            locking: whether to fail while others have the repository locked for themselves.
        """
        there = _ids(commands, _LIST_LOCKED if locking else _LIST)
        if not there <= self._ids():
            self._known = readable_snapshots(commands)
        lost = there - self._ids()
        if lost:
            lost &= _ids(commands)  # another process may have forgotten some meanwhile
        self._last = Snapshots([each for each in self._known if each.id in there], sorted(lost))
        return self._last

    def last(self, commands: RemoteCommands) -> Snapshots:
        """Return what was listed last, or is now if nothing was. Raises `BackupError`."""
        return self._last or self.listed(commands)

    def of(self, kind: str, files: Collection[str], commands: RemoteCommands) -> list[Snapshot]:
        """Return the snapshots of files as they were listed last, or are now if some were not there. Raises
        `BackupError`.
        """
        found = self.last(commands).of(kind, files)
        return found if len(found) >= len(files) else self.listed(commands).of(kind, files)

    def remove(self, snapshots: Sequence[Snapshot]) -> None:
        """Know that snapshots are forgotten."""
        if self._last is not None:
            left = [each for each in self._last.readable if each not in snapshots]
            self._last = Snapshots(left, self._last.unreadable)

    def _ids(self) -> set[str]:
        return {each.id for each in self._known}


def readable_snapshots(commands: RemoteCommands) -> list[Snapshot]:
    """Return the snapshots that restic can read now. Raises `BackupError`."""
    try:
        text = commands.output("list it", _READ)
        return TypeAdapter(list[Snapshot] | None).validate_json(text) or []
    except ValidationError as error:
        raise BackupError(
            f"{commands.destination}: restic lists it in a way that is not understood"
        ) from error


def _ids(commands: RemoteCommands, listing: Sequence[str] = _LIST) -> set[str]:
    return set(commands.output("list it", listing).split())


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

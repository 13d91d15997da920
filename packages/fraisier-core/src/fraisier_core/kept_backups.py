"""What the commands of backups ask of a fraise type, and what they give it for that."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from fraisier_core.system.commands import CommandResult

Changing = Literal["restore", "prune"]
"""What the commands of backups change."""


@dataclass(eq=False, repr=False)
class BackupContext(ABC):
    """What a command gives a fraise type: whose backups are meant, and the means to run commands.

    Args:
        fraise: the fraise's name.
        environment: the environment's name.
        folder: one of the environment's own that stays between commands and runs: that of `Run.folder`. It
            need not be there.
    """

    fraise: str
    environment: str
    folder: Path

    @property
    @abstractmethod
    def failed(self) -> str | None:
        """The id of the newest backup's run, if that did not succeed. Raises `StoreError`."""

    @abstractmethod
    def on_record(self, name: str) -> str | None:
        """Return the SHA-256 of what a backup stored, None if none of that name is on record. Raises
        `StoreError`.
        """

    @abstractmethod
    def command(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> CommandResult:
        """Run a command as `Run.command` does; the last line that it printed is shown on a terminal."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Say a line to whoever waits."""

    @abstractmethod
    def audit(self, action: Changing, detail: str) -> None:
        """Put into the audit what is about to be changed, by whom and when: before it is. Raises `StoreError`
        if that cannot be done.
        """


def folder_of_backups(state_dir: Path, fraise: str, environment: str) -> Path:
    """Return the folder in which what an environment's backups need stays between commands and runs."""
    return state_dir / "backups" / fraise / environment


@dataclass(frozen=True, slots=True)
class BackupCopy:
    """A copy of a backup, as its place lists it.

    Args:
        name: of the backup, which all its copies have.
        created_at: when it was begun.
        size: of what lies there, in bytes.
        source: the kind of what was backed up.
        encrypted: whether it is encrypted there.
        kept: why it is kept; empty if it would be pruned.
    """

    name: str
    created_at: datetime
    size: int
    source: str
    encrypted: bool = False
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedPlace:
    """What a place holds of an environment.

    Args:
        place: what the configuration calls it.
        destination: where it is, as people read it, without secrets.
        copies: oldest first.
        unreadable: what looks like a copy and cannot be read, and why, by name.
        problem: why the place cannot be listed, None if it can.
    """

    place: str
    destination: str
    copies: tuple[BackupCopy, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class VerifiedCopy:
    """What was found of one copy, or of a place.

    Args:
        name: of the backup or of what cannot be read; None if the place cannot be listed.
        place: what the configuration calls the place.
        destination: where it is, as people read it.
        problem: what is wrong, None if the copy is good.
        unread: whether that is only that it cannot be read now: the copy may be good.
    """

    name: str | None
    place: str
    destination: str
    problem: str | None = None
    unread: bool = False


@dataclass(frozen=True, slots=True)
class RestoredBackup:
    """What a restore did.

    Args:
        name: of the backup.
        place: where the copy was.
        target: what it was restored into.
        replaced: the file with a backup of what was there before, None if nothing was.
    """

    name: str
    place: str
    target: str
    replaced: Path | None = None


@dataclass(frozen=True, slots=True)
class PrunedPlace:
    """What pruning does at a place.

    Args:
        place: what the configuration calls it.
        destination: where it is, as people read it.
        kept: the copies that stay, oldest first, each with the reasons.
        deleted: the names of the copies that go, oldest first.
        undeleted: why others that should go could not be deleted, by name.
        unreadable: what stays because it cannot be read, and why, by name.
        problem: why nothing is pruned there, or what failed after that; None if all went well.
    """

    place: str
    destination: str
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    undeleted: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None


class KeptBackups(ABC):
    """The backups of one environment, as its fraise type keeps them. What cannot be done at one place is said
    of that place; a `FraisierError` is raised if nothing can be done.
    """

    @abstractmethod
    def places(self) -> Sequence[str]:
        """Return what the configuration calls the places, the first one first."""

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return the names of the backups that can be listed at once, newest first: a shell offers them."""

    @abstractmethod
    def listings(self) -> Iterator[ListedPlace]:
        """Yield what each place holds."""

    def origin(self) -> str | None:
        """Return what a restore is given as the target to put a backup back to where it came from; None if
        that cannot be told.
        """
        return None

    @abstractmethod
    def verify(self, name: str | None, place: str | None) -> Iterator[VerifiedCopy]:
        """Verify a backup or all, at a place or at all, and yield what is found, as it is found."""

    @abstractmethod
    def restore(
        self, name: str | None, target: str, *, place: str | None, replace: str | None
    ) -> RestoredBackup:
        """Restore a backup, the newest if none is named, into a target that is new or empty.

        Args:
            name: of the backup.
            target: what the user named.
            place: where the copy is taken from, by default the first place that has one.
            replace: the name of the target, if what is there may be replaced; it is backed up first.
        """

    @abstractmethod
    def prune(self, *, dry_run: bool) -> Iterator[PrunedPlace]:
        """Delete at each place what is not kept any more, or with `dry_run` only say what that would be."""

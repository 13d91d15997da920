"""What is asked of a place where copies of backups lie, and of what runs commands."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fraisier_core import CommandResult

from fraisier_deployers.backup.manifest import Manifest, is_of

NAMELESS = "snapshot "
"""Begins the name of what cannot be read and may be the manifest of any backup."""


class Runner(Protocol):
    """Runs commands, within a run as `Run.command` does, and elsewhere."""

    def command(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> CommandResult:
        """Run a command without input, with `env` beside a clean environment, and return how it exited and
        the last lines that it printed. `argv` may be shown and recorded: no secret is in it. Raises
        `CommandFailedError` if it fails and that is to be checked, cannot be started or takes too long.
        """

    def note(self, text: str) -> None:
        """Say a line to whoever follows."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What lies at a place under some name.

    Args:
        size: in bytes.
        sha256: of what lies there.
    """

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a place holds.

    Args:
        manifests: those that can be read, oldest first; their files may be missing or damaged.
        unreadable: why the others cannot, by the name of the file, or one that begins with `NAMELESS`.
    """

    manifests: tuple[Manifest, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def of(self, fraise: str, environment: str) -> Listing:
        """Return what belongs to an environment; what cannot be read does by its name, or without one."""
        own = tuple(
            each for each in self.manifests if (each.fraise, each.environment) == (fraise, environment)
        )
        unreadable = {
            name: why
            for name, why in self.unreadable.items()
            if name.startswith(NAMELESS) or is_of(name, fraise, environment)
        }
        return Listing(own, unreadable)

    def by(self, installation: str) -> Listing:
        """Return what an installation made, and what cannot be read."""
        own = tuple(each for each in self.manifests if each.installation == installation)
        return Listing(own, self.unreadable)

    def newest_unreadable(self, than: str) -> str | None:
        """Return the name of what cannot be read and may be newer than a backup; None if nothing may be."""
        later = (name for name in sorted(self.unreadable) if name > than or name.startswith(NAMELESS))
        return max(later, default=None)


class Place(Protocol):
    """A place where copies of backups lie: each is two files, the manifest comes last and goes first."""

    @property
    def name(self) -> str:
        """What the configuration calls it; `local` is the folder `path:`."""

    @property
    def destination(self) -> str:
        """Where it is, as people read it: without secrets."""

    def manifests(self) -> Listing:
        """Return what lies there. Raises `BackupError` if it cannot be listed."""

    def put(self, file: Path, manifest: Manifest) -> None:
        """Store a copy: `file` under the name `manifest.file`, then the manifest. The local place takes the
        file over, others leave it. Raises `BackupError`, and leaves no manifest then.
        """

    def stored(self, manifest: Manifest) -> StoredFile:
        """Return what lies there as the file of a copy, listed and hashed now. Raises `BackupError`, also if
        it is missing.
        """

    def fetch(self, manifest: Manifest, folder: Path) -> Path:
        """Return the path of the copy's file as it is stored, brought to `folder` if the place is elsewhere;
        it is not verified. Raises `BackupError`.
        """

    def delete(self, *manifests: Manifest) -> None:
        """Delete copies: the manifest of each first, then its file. One that is missing is no error. Raises
        `BackupError`; others may be deleted then.
        """

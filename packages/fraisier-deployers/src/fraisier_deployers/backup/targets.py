"""What every target has in common: backups are restored into it, and what was restored is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from fraisier_deployers.backup.dumping import BackupSource
from fraisier_deployers.backup.manifest import Manifest, Rows

_MOST_TABLES = 5
LEFT = "{} was left by a restore: unless one is still at work, {}"
"""Says what a restore left that was killed, and how it is removed."""
LEFT_ALONE = "{} was replaced by a restore, and is kept until you {}"
"""Says the same of what was there before, which is never deleted here."""


class RestoreTarget(Protocol):
    """Where a backup is restored."""

    @property
    def name(self) -> str:
        """What is typed again to replace it: the name of a database, the path of a file or folder."""

    def is_vacant(self) -> bool:
        """Whether nothing is there that a restore could destroy."""

    def require_replaceable(self, manifest: Manifest) -> None:
        """Raise `BackupRefusedError` if something is there whose place a backup cannot take."""

    def source(self) -> BackupSource:
        """Return it as a source, to be backed up before it is replaced."""

    def leftovers(self) -> Sequence[str]:
        """Return what earlier restores left or replaced here, and how it is removed. Raises `BackupError`."""

    def restore(self, file: Path, manifest: Manifest, work: Path) -> None:
        """Restore a file into it, which is vacant. Raises `BackupError`; it is vacant then, if it can be."""

    def replace(self, file: Path, manifest: Manifest, work: Path) -> None:
        """Restore a file in place of what is there. Raises `BackupError`."""

    def differences(self, manifest: Manifest) -> list[str]:
        """Return in what it differs from what was backed up."""

    def variables(self) -> Mapping[str, str]:
        """Return the environment variables by which a command of the user's finds it."""

    def remove(self) -> None:
        """Remove it: a scratch target, which was made for a test. Raises `BackupError`."""


def row_differences(expected: Rows, found: Rows) -> list[str]:
    """Return the tables that are missing, are too many, or have other numbers of rows."""
    lines = [
        f"{name} has {_rows(found.get(name))}, not {_rows(expected.get(name))}"
        for name in sorted({*expected, *found})
        if expected.get(name) != found.get(name)
    ]
    more = len(lines) - _MOST_TABLES
    return [*lines[:_MOST_TABLES], f"and {more} more tables"] if more > 0 else lines


def _rows(count: int | None) -> str:
    return "no such table" if count is None else f"{count} rows"

"""The programs that backups need: whether they are installed."""

from __future__ import annotations

import shutil

from fraisier_deployers.backup.backup_errors import BackupError

_PACKAGES = {"ssh": "openssh-client"}


def require_program(program: str) -> None:
    """Raise `BackupError` if a program is not installed."""
    if problem := missing_program(program):
        raise BackupError(problem)


def missing_program(program: str, search_path: str | None = None) -> str | None:
    """Return that a program is not installed, with the package that has it; None if it is."""
    if shutil.which(program, path=search_path):
        return None
    return f"{program} is not installed: apt-get install {_PACKAGES.get(program, program)}"

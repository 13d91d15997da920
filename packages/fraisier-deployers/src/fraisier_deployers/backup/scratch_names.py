"""The names of what restore tests make: whose they are can be told from them, whatever else is lost."""

from __future__ import annotations

import hashlib
import re
import socket
from pathlib import Path
from uuid import uuid4

from fraisier_deployers.backup.backup_errors import BackupError

PREFIX = "fraisier_restore_test_"
_INSTALLATION = ".{}-{}.installation"


def scratch_name(owner: str) -> str:
    """Return a new name for what an owner makes."""
    return f"{PREFIX}{owner}_{uuid4().hex[:8]}"


def is_scratch_of(owner: str, name: str) -> bool:
    """Whether a name is one that `scratch_name` gave the owner."""
    return re.fullmatch(f"{PREFIX}{owner}_[0-9a-f]{{8}}", name) is not None


def owner_of_scratch(fraise: str, environment: str, folder: Path | None) -> str:
    """Return what stands for an environment of this installation in such names. Raises `BackupError`.

    Args:
        fraise: whose environment it is.
        environment: of that fraise.
        folder: where its copies on this host lie, used exclusively: other installations do not have it,
            though their hosts may be called as this one. None if there are none: the host's name counts then.
    """
    try:
        owner = "\0".join(
            (
                fraise,
                environment,
                _installation(folder / _INSTALLATION.format(fraise, environment))
                if folder
                else socket.gethostname(),
            )
        )
    except OSError as error:
        raise BackupError(f"{error.filename}: {error.strerror}") from error
    return hashlib.sha256(owner.encode()).hexdigest()[:12]


def _installation(file: Path) -> str:
    if not file.exists():
        partial = file.with_name(f"{file.name}.partial")
        partial.write_text(uuid4().hex)
        partial.rename(file)
    return file.read_text()

"""The programs of PostgreSQL that are installed, of whatever versions."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError

PATTERNS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
"""Where Debian and the packages of postgresql.org install one folder for each version."""
_WRAPPER = "pg_wrapper"  # Debian's, which chooses by itself
_NAMES = ("pg_dump", "pg_restore", "psql")
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Programs:
    """`pg_dump`, `pg_restore` and `psql` of one version.

    Args:
        version: the major version.
        folder: where they are.
    """

    version: int
    folder: Path

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)


def installed_programs(own: Path | None, search_path: str | None = None) -> tuple[Programs, ...]:
    """Return what is installed, oldest version first; of one version, what `own` has, then what PATH has."""
    known = (folder for pattern in PATTERNS for folder in sorted(Path("/").glob(pattern)))
    named = (search_path if search_path is not None else os.environ.get("PATH", "")).split(os.pathsep)
    folders = [*([own] if own else []), *(Path(each) for each in named if each), *known]
    found = {each.version: each for each in reversed(list(_programs(folders)))}
    return tuple(found[version] for version in sorted(found))


def not_older(programs: Sequence[Programs], version: int, what: str = "server") -> Programs:
    """Return the oldest programs that are not older than a version. Raises `BackupError`, which names the
    package to install.
    """
    for each in programs:
        if each.version >= version:
            return each
    have = ", ".join(str(each.version) for each in programs)
    raise BackupError(
        f"the {what} is PostgreSQL {version}, and pg_dump {have or 'is'} "
        f"{'is too old for it' if have else 'not installed'}: install postgresql-client-{version}"
    )


def newest(programs: Sequence[Programs]) -> Programs:
    """Return the newest programs, which can ask any server. Raises `BackupError` if there are none."""
    if not programs:
        raise BackupError("psql and pg_dump are not installed: install postgresql-client")
    return programs[-1]


def _programs(folders: Sequence[Path]) -> Iterator[Programs]:
    for folder in dict.fromkeys(folders):
        if all(_is_program(folder / name) for name in _NAMES) and (version := _version(folder / "pg_dump")):
            yield Programs(version, folder)


def _is_program(path: Path) -> bool:
    return os.access(path, os.X_OK) and path.resolve().name != _WRAPPER


def _version(program: Path) -> int | None:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(rb"\) (\d+)", said.stdout)
    return int(match[1]) if match else None

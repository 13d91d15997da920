"""The source that a section names, and the targets that its backups are restored into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fraisier_core import InvalidRequestError

from fraisier_deployers.backup.backup_errors import BackupRefusedError
from fraisier_deployers.backup.backup_settings import SourceSection
from fraisier_deployers.backup.compression import SUFFIX
from fraisier_deployers.backup.dumping import BackupSource
from fraisier_deployers.backup.manifest import FolderFacts, Manifest
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.sources.command_source import CommandSource
from fraisier_deployers.backup.sources.command_target import CommandTarget
from fraisier_deployers.backup.sources.connection_variables import DATABASE, FORM, SCHEMES
from fraisier_deployers.backup.sources.folder_target import FolderTarget, require_own
from fraisier_deployers.backup.sources.folders import FoldersSource
from fraisier_deployers.backup.sources.postgres_database import PostgresDatabase
from fraisier_deployers.backup.sources.postgres_target import PostgresTarget
from fraisier_deployers.backup.sources.postgresql import PostgresqlSource
from fraisier_deployers.backup.sources.sqlite_source import SqliteSource
from fraisier_deployers.backup.sources.sqlite_target import SqliteTarget
from fraisier_deployers.backup.targets import RestoreTarget

_NO_NAME = frozenset("/$")  # those of a path, and of a variable that was not filled in


def chosen_source(section: SourceSection, *, compressed: bool = True) -> BackupSource:
    """Return what is backed up, and whether its dump is compressed where that is for us to do."""
    ending = SUFFIX if compressed else ""
    if section.postgresql is not None:
        return PostgresqlSource(section.postgresql.get_secret_value(), section.bin, compressed)
    if section.sqlite is not None:
        return SqliteSource(section.sqlite, f".sqlite{ending}")
    if section.folders is not None:
        return FoldersSource(section.folders, section.exclude, suffix=f".tar{ending}")
    return CommandSource(section.command or ())


def kind_of(section: SourceSection) -> str:
    """Return the kind of what is backed up, as manifests name it."""
    kinds: Mapping[str, object] = {
        "postgresql": section.postgresql,
        "sqlite": section.sqlite,
        "folders": section.folders,
    }
    return next((kind for kind, value in kinds.items() if value is not None), "command")


def database_of(section: SourceSection, runner: Runner, target: str | None = None) -> PostgresDatabase:
    """Return the PostgreSQL database that is backed up, or that a target names: by a URL, or by its name on
    the same server. Raises `BackupError`.
    """
    assert section.postgresql is not None  # noqa: S101 - for the type checker
    url = section.postgresql.get_secret_value()
    if target is None:
        return PostgresDatabase.at(url, runner, section.bin)
    if target.startswith(SCHEMES):
        return PostgresDatabase.at(target, runner, section.bin)
    return PostgresDatabase.at(url, runner, section.bin).named(target)


def origin_of(section: SourceSection, runner: Runner) -> str | None:
    """Return the name of the target that is what is backed up; None if commands alone know it."""
    target = origin_target(section, runner)
    return target.name if target else None


def origin_target(section: SourceSection, runner: Runner) -> RestoreTarget | None:
    """Return what is backed up as a target; None if commands alone know it."""
    if section.postgresql is not None:
        return PostgresTarget(database_of(section, runner))
    if section.sqlite is not None:
        return SqliteTarget(section.sqlite, runner)
    return FolderTarget(Path("/"), section.folders, runner) if section.folders else None


def chosen_target(section: SourceSection, manifest: Manifest, target: str, runner: Runner) -> RestoreTarget:
    """Return where a backup is restored. Raises `BackupError`, and `InvalidRequestError` if the text of the
    target cannot name one; that is not repeated, as it may have a secret.

    Args:
        section: what is backed up.
        manifest: of the backup.
        target: the name or URL of a database, the path of a file or folder.
        runner: runs the commands.
    """
    _require_kind(section, manifest)
    if not target.strip():
        raise InvalidRequestError("the target is empty: name a database or a path")
    if section.postgresql is not None:
        return PostgresTarget(_named_database(section, target, runner))
    if section.sqlite is not None:
        return SqliteTarget(_file(target), runner)
    if isinstance(manifest.facts, FolderFacts):
        return _folder_target(section, manifest.name, manifest.facts, _path(target), runner)
    return _command_target(section, target, runner)


def scratch_target(
    section: SourceSection, manifest: Manifest, name: str, *, folder: Path, server: str | None, runner: Runner
) -> RestoreTarget:
    """Return a target of a name of ours, for a restore test. Raises as `chosen_target` does.

    Args:
        section: what is backed up.
        manifest: of the backup.
        name: of the target.
        folder: where files and folders are restored.
        server: the URL of the PostgreSQL server, by default that of the source.
        runner: runs the commands.
    """
    _require_kind(section, manifest)
    if section.postgresql is not None:
        return PostgresTarget(database_of(section, runner, server).named(name))
    if isinstance(manifest.facts, FolderFacts):
        return FolderTarget(folder / name, tuple(map(Path, manifest.facts.paths)), runner)
    return chosen_target(section, manifest, name if section.sqlite is None else str(folder / name), runner)


def _require_kind(section: SourceSection, manifest: Manifest) -> None:
    if manifest.source != kind_of(section):
        raise BackupRefusedError(
            f"{manifest.name} is of {manifest.source}, and source: is {kind_of(section)}"
        )


def _folder_target(
    section: SourceSection, name: str, facts: FolderFacts, root: Path, runner: Runner
) -> FolderTarget:
    paths = tuple(map(Path, facts.paths))
    if root == Path("/"):
        if others := sorted({*paths} - {*(section.folders or ())}):
            what = f"{name} is of {', '.join(map(str, others))}, which source.folders does not name"
            raise BackupRefusedError(f"{what}: restore it into a new folder")
    elif (within := next(filter(root.is_relative_to, paths), None)) is not None:
        how = "name a folder elsewhere, or / to restore to where it was"
        raise InvalidRequestError(f"the target {root} is within {within}, which is backed up: {how}")
    else:
        require_own(root)
    return FolderTarget(root, paths, runner)


def _named_database(section: SourceSection, target: str, runner: Runner) -> PostgresDatabase:
    if not target.startswith(SCHEMES) and set(target) & _NO_NAME:
        raise InvalidRequestError(f"the target is no name of a database: name one, or give a URL as {FORM}")
    found = database_of(section, runner, target)
    if not found.variables.get(DATABASE):
        raise InvalidRequestError(f"the URL of the target names no database: it should be as {FORM}")
    return found


def _command_target(section: SourceSection, target: str, runner: Runner) -> CommandTarget:
    if section.restore is None:
        raise BackupRefusedError("source.restore is not set: nothing says how such a backup is restored")
    return CommandTarget(target, section.restore, section.drop, runner)


def _file(target: str) -> Path:
    path = _path(target)
    if not path.parent.is_dir():
        raise InvalidRequestError(f"the target {path} is in no folder: make {path.parent} first")
    return path


def _path(target: str) -> Path:
    path = Path(target)
    if not path.is_absolute() or ".." in path.parts:
        raise InvalidRequestError("the target must be an absolute path, without ..")
    return Path("/", *path.parts[1:])  # also of two slashes in front, which stay

"""What an environment's backups lack: on this host, or to be safe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.encrypting import require_encryption
from fraisier_deployers.backup.programs import missing_program
from fraisier_deployers.backup.sources.postgres_programs import installed_programs, newest

_SAME_ROLE = (
    "what is in a dump may run code as the role of source.postgresql, which may read all databases of the "
    "server: set target, with a role that may only create databases"
)
_BY_SCHEME = {"sftp": "ssh", "rclone": "rclone"}
"""The program that restic starts to reach a repository."""


def lacking(settings: BackupSettings) -> Mapping[str, str]:
    """Return what is missing on this host, by the key of the section that needs it."""
    found: dict[str, str] = {}
    for key, problem in _problems(settings):
        if problem:
            found[key] = f"{found[key]}; {problem}" if key in found else problem
    return found


def _problems(settings: BackupSettings) -> Iterator[tuple[str, str | None]]:
    search_path = settings.env.get("PATH")
    for key, programs in _needed(settings):
        for program in programs:
            yield key, missing_program(program, search_path)
    for key, command in _commands(settings):
        yield key, _missing_command(command[0], search_path)
    for key, path in _paths(settings):
        if path is not None:
            yield key, _missing_path(path)
    if settings.source.postgresql is not None:
        yield "source.postgresql", _missing_clients(settings.source.bin)
        test = settings.restore_test
        yield "restore_test", _SAME_ROLE if test is not None and test.target is None else None
    if settings.encrypt is not None:
        yield "encrypt", _problem_of_encryption(settings)


def _needed(settings: BackupSettings) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the programs that are started by their names alone."""
    compressing = () if settings.restic else ("zstd",)
    if settings.source.folders is not None:
        yield "source.folders", ("tar", *compressing)
    if settings.source.sqlite is not None:
        yield "source.sqlite", compressing
    if settings.restic is not None:
        scheme = settings.restic.repository.get_secret_value().partition(":")[0]
        yield "restic", ("restic", *(program for each, program in _BY_SCHEME.items() if each == scheme))
    for name, remote in settings.remotes.items():
        yield f"remotes.{name}", ("rclone",) if remote.rclone else ("rsync", "ssh")


def _commands(settings: BackupSettings) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the user's own commands."""
    source, test = settings.source, settings.restore_test
    own = {"source.command": source.command, "source.restore": source.restore, "source.drop": source.drop}
    for key, command in (own | {"restore_test.check": test.check if test else None}).items():
        if command is not None:
            yield key, command


def _paths(settings: BackupSettings) -> Iterator[tuple[str, Path | None]]:
    """Yield the files and folders that are to be there already."""
    yield "source.sqlite", settings.source.sqlite
    yield "source.bin", settings.source.bin
    for folder in settings.source.folders or ():
        yield "source.folders", folder
    for name, remote in settings.remotes.items():
        yield f"remotes.{name}.config", remote.config
        yield f"remotes.{name}.identity", remote.identity
        yield f"remotes.{name}.known_hosts", remote.known_hosts


def _missing_command(program: str, search_path: str | None) -> str | None:
    if "/" not in program:
        is_missing = missing_program(program, search_path) is not None
        return f"there is no program {program} in PATH" if is_missing else None
    path = Path(program)
    if not path.is_absolute():
        return f"{program} is looked for in a folder that is empty: write its absolute path"
    return _missing_path(path)


def _missing_path(path: Path) -> str | None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no {path}"
    except OSError:
        return None  # it is not for this user to see
    return None


def _missing_clients(own: Path | None) -> str | None:
    try:
        newest(installed_programs(own))
    except BackupError as error:
        return str(error)
    return None


def _problem_of_encryption(settings: BackupSettings) -> str | None:
    assert settings.encrypt is not None  # noqa: S101 - for the type checker
    try:
        require_encryption(settings.encrypt)
    except BackupError as error:
        return str(error)
    return None

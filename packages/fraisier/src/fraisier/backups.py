"""Backups: stores on SQLite, whatever the database of the record is, that no process may write to."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from urllib.parse import quote

from fraisier_core.errors import ConflictError, OutdatedStoreError, StoreError, UnknownNameError
from fraisier_core.store.checking import faults
from fraisier_core.store.copying import Progress, fill, prepare
from fraisier_core.store.protocol import Store
from fraisier_core.store.sqlite.sqlite_reader import SqliteReader
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.store.tables import Closed, Contents
from fraisier_core.system.disk import sync_directory
from fraisier_core.system.host import Host

_CLOSED = Closed("archived", "this store is a backup: run `fraisier db restore` into an empty one")
_HEADER = b"SQLite format 3\0"
_UNFINISHED = Closed("unfinished", "this store is an unfinished backup; make another one")
_ENDED = "it was {} when the backup was made that was restored"


def back_up(source: Contents, file: Path, progress: Progress, *, force: bool) -> None:
    """Write a backup of a record as it is now, while others write to that.

    Args:
        source: the record.
        file: the backup, which only this user may read.
        progress: is told how far it is.
        force: whether to replace a file of that name.

    Raises `ConflictError` if there is one, or it is the store's own, and `StoreError`.
    """
    part = None
    try:
        _require_other(source, file)
        if file.exists() and not force:
            raise ConflictError(f"{file} exists; name another file, or replace it with --force")
        if file.exists() and not _is_database(file):
            raise ConflictError(f"{file} is no backup: --force replaces backups alone; name another file")
        handle, name = mkstemp(".part", f".{file.name}.", file.parent)
        os.close(handle)
        part = Path(name)
        _write(source, part, progress)
        _publish(part, file, force=force)
    except OSError as error:
        problem = f"the backup {file} cannot be written: {error.strerror}"
        raise StoreError(f"{problem}; name another place") from error
    finally:
        if part is not None:
            _forget(part)


def _is_database(file: Path) -> bool:
    """Whether a file may be a backup, whole or not: it is SQLite's, or empty."""
    with file.open("rb") as opened:
        return opened.read(len(_HEADER)) in {b"", _HEADER}


def _require_other(source: Contents, file: Path) -> None:
    for own in source.files():
        if file.resolve() == own.resolve() or (file.exists() and own.exists() and file.samefile(own)):
            raise ConflictError(f"{file} is the store itself; name another file")


def restore(file: Path, opened: Callable[[], Store], progress: Progress) -> int:
    """Write a backup into an empty store, check that it is whole there, and return how many deployments had
    not ended when it was made: they are interrupted.

    Args:
        file: the backup.
        opened: opens the store, once it is certain that there is a backup.
        progress: is told how far it is.

    Raises `UnknownNameError` if there is no such file, `ConflictError` if the store is not empty or in use,
    and `StoreError`.
    """
    with TemporaryDirectory() as folder:  # gone before another user opens the store, who could not remove it
        source = _opened(file, Path(folder))
    with closing(source):
        target = opened()
        closed = prepare(target, f"the backup {file}")
        fill(source.contents(), target.contents(), closed, progress)
    with TemporaryDirectory() as folder:
        if found := list(faults(target.contents(), Path(folder), progress)):
            raise StoreError(
                f"the backup {file} is damaged, {found[0]}; restore another into an empty database"
            )
    return target.put_in_use(closed, ran=_ENDED.format("running"), waited=_ENDED.format("waiting"))


def _opened(file: Path, folder: Path) -> SqliteReader:
    """Open a backup; of one that an older version made, a copy in a folder that is brought up to this one."""
    _require_backup(file)
    try:
        source = SqliteReader.open(file, Host())
    except OutdatedStoreError:
        source = SqliteReader.open(_migrated(file, folder), Host())
    if source is None:
        raise UnknownNameError(f"there is no backup {file}; name one")
    return source


def _require_backup(file: Path) -> None:
    """Raise an error unless a file is a complete backup."""
    if not file.exists():
        raise UnknownNameError(f"there is no backup {file}; name one")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT state FROM tb_closed").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        problem = f"{file} is no backup of Fraisier's: {error}"
        raise StoreError(f"{problem}; name a file that `fraisier db backup` wrote") from error
    if found != [(_CLOSED.state,)]:
        raise StoreError(f"{file} is no complete backup; name a file that `fraisier db backup` wrote")


def _migrated(file: Path, folder: Path) -> Path:
    copy = folder / "backup.db"
    shutil.copyfile(file, copy)
    with closing(sqlite3.connect(copy)) as database, database:
        for name, kind in database.execute("SELECT name, type FROM sqlite_schema").fetchall():
            if kind == "trigger" and name.startswith("closed_"):
                database.execute(f"DROP TRIGGER {name}")
    SqliteStore.open(copy, Host()).close()
    return copy


def _write(source: Contents, part: Path, progress: Progress) -> None:
    store = SqliteStore.open(part, Host())
    try:
        contents = store.contents()
        contents.close_to_writers(_UNFINISHED, None)
        fill(source, contents, _UNFINISHED, progress)
        store.make_single_file()
        contents.close_to_writers(_CLOSED, _UNFINISHED)
    finally:
        store.close()


def _publish(part: Path, file: Path, *, force: bool) -> None:
    """Give a written file its name, durably."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    if force:
        part.replace(file)
    else:
        try:
            file.hardlink_to(part)
        except FileExistsError:
            raise ConflictError(f"{file} exists; name another file, or replace it with --force") from None
    sync_directory(file.parent)


def _forget(part: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):
            part.with_name(part.name + suffix).unlink()

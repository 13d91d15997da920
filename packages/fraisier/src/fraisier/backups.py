"""Backups: stores on SQLite, whatever the database of the record is, that no process may write to."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from fraisier_core.errors import ConflictError, OutdatedStoreError, StoreError, UnknownNameError
from fraisier_core.store.copying import Progress, fill, prepare
from fraisier_core.store.protocol import Store
from fraisier_core.store.relational.migrations import migrations
from fraisier_core.store.sqlite.sqlite_migrations import SQL
from fraisier_core.store.sqlite.sqlite_reader import SqliteReader
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.store.tables import Closed, Contents
from fraisier_core.system.disk import sync_directory
from fraisier_core.system.host import Host

_CLOSED = Closed("archived", "this store is a backup: run `fraisier db restore` into an empty one")

_UNFINISHED = Closed("unfinished", "this store is an unfinished backup; make another one")


def back_up(source: Contents, file: Path, progress: Progress, *, force: bool) -> None:
    """Write a backup of a record as it is now, while others write to that.

    Args:
        source: the record.
        file: the backup, which only this user may read.
        progress: is told how far it is.
        force: whether to replace a file of that name.

    Raises `ConflictError` if there is one, and `StoreError`.
    """
    if file.exists() and not force:
        raise ConflictError(f"{file} exists; name another file, or replace it with --force")
    part = file.with_name(f".{file.name}.part")
    _forget(part)
    try:
        _write(source, part, progress)
        _publish(part, file, force=force)
    except OSError as error:
        problem = f"the backup {file} cannot be written: {error.strerror}"
        raise StoreError(f"{problem}; name another place") from error
    finally:
        _forget(part)


def restore(file: Path, target: Store, progress: Progress) -> int:
    """Write a backup into an empty store, and return how many deployments were running when it was made: they
    are interrupted. Raises `ConflictError` if the store is not empty or in use, and `StoreError`.
    """
    with TemporaryDirectory() as folder, closing(_opened(file, Path(folder))) as source:
        closed = prepare(target, f"the backup {file}")
        fill(source.contents(), target.contents(), closed, progress)
    return target.put_in_use("it was running when the backup was made that was restored", closed)


def _opened(file: Path, folder: Path) -> SqliteReader:
    """Open a backup; of one that an older version made, a copy in a folder that is brought up to this one."""
    try:
        source = SqliteReader.open(file, Host())
    except OutdatedStoreError as error:
        if len(error.pending) == len(migrations(SQL)):
            raise StoreError(f"{file} is no backup of Fraisier's; name one") from None
        source = SqliteReader.open(_migrated(file, folder), Host())
    if source is None:
        raise UnknownNameError(f"there is no backup {file}; name one")
    return source


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

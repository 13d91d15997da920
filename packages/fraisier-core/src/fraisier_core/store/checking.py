"""Is a record whole? Compares what is folded with a fold of its events elsewhere; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from fraisier_core.errors import StoreError, UnreachableStoreError
from fraisier_core.store.copying import Progress, batches, copy_table, keyed
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.store.tables import FOLDED, RECORDED, Contents, Key, Row, Table
from fraisier_core.system.host import Host

_NEEDED = {"tb_fraises", "tb_environments", "tb_kinds", "tb_deployment_events"}
_EVENTS, _BODIES = (
    next(table for table in RECORDED if table.name == name)
    for name in ("tb_webhook_events", "tb_webhook_payloads")
)
_OTHERS = [table for table in RECORDED if table.name not in _NEEDED and table != _BODIES]


def faults(contents: Contents, folder: Path, progress: Progress) -> Iterator[str]:
    """Yield what is wrong with a record, a line each.

    Args:
        contents: the record, which others may change meanwhile.
        folder: an empty one, for a fold of its own.
        progress: is told how far it is.
    """
    try:
        yield from _faults(contents, folder, progress)
    except UnreachableStoreError:
        raise
    except StoreError as error:
        yield f"the check ends here: {error}"


def _faults(contents: Contents, folder: Path, progress: Progress) -> Iterator[str]:
    if missing := contents.missing():
        yield f"the store lacks {', '.join(missing)}, which its migrations made"
        if any(table.name in missing for table in RECORDED + FOLDED):
            return
    with contents.snapshot():
        yield from contents.faults()
        yield from _faults_of_bodies(contents, progress)
        yield from _faults_of_fold(contents, folder, progress)
        for table in _OTHERS:
            for _ in batches(contents, table, progress):  # what cannot be read is a fault
                pass


def _faults_of_bodies(contents: Contents, progress: Progress) -> Iterator[str]:
    """Yield what of the kept bodies is not as it was delivered."""
    import lz4.frame

    place = contents.columns(_EVENTS).index("body_sha256")
    for (after, _), rows in batches(contents, _BODIES, progress):
        events = keyed(contents, _EVENTS, contents.read(_EVENTS, after, list(rows)[-1])) if rows else {}
        for key, (*_, body) in rows.items():
            if key not in events:
                continue  # which is another fault
            try:
                digest = sha256(lz4.frame.decompress(bytes(body))).hexdigest()
            except RuntimeError:
                digest = ""
            if digest != events[key][place]:
                yield f"the body of delivery {events[key][1]} is not what its hash says"


def _faults_of_fold(contents: Contents, folder: Path, progress: Progress) -> Iterator[str]:
    """Yield what is folded otherwise than its events say."""
    store = SqliteStore.open(folder / "fold.db", Host())
    try:
        own = store.contents()
        for table in RECORDED:
            if table.name in _NEEDED:
                copy_table(contents, own, table, progress)
        store.rebuild()
        for table in FOLDED:
            yield from _differences(contents, own, table, progress)
    except UnreachableStoreError:
        raise
    except StoreError as error:
        yield f"the events cannot be folded again: {error}"
    finally:
        store.close()


def _differences(contents: Contents, own: Contents, table: Table, progress: Progress) -> Iterator[str]:
    for between, rows in batches(contents, table, progress):
        folded = keyed(own, table, own.read(table, *between))
        for key in sorted(rows.keys() | folded.keys(), key=repr):
            if rows.get(key) != folded.get(key):
                yield _difference(contents.columns(table), table, key, (rows.get(key), folded.get(key)))


def _difference(columns: tuple[str, ...], table: Table, key: Key, rows: tuple[Row | None, Row | None]) -> str:
    where, (stored, folded) = f"{table.name}, {' '.join(map(str, key))}", rows
    if stored is None or folded is None:
        what = "is missing, which its events make" if stored is None else "is there, which no event makes"
        return f"{where}: a row {what}; run `fraisier db rebuild`"
    pairs = zip(columns, stored, folded, strict=True)
    others = (f"{name} is {is_!r} and its events say {says!r}" for name, is_, says in pairs if is_ != says)
    return f"{where}: {', '.join(others)}; run `fraisier db rebuild`"

"""Copies, backups and checks of a record, whatever its database is."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from fraisier.backups import back_up, restore
from fraisier_core.errors import ClosedStoreError, ConflictError, StoreError
from fraisier_core.store.checking import faults
from fraisier_core.store.copying import Move, abort, fill, prepare
from fraisier_core.store.events import Event
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Request
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.store.tables import NOT_COPIED, TABLES, Closed, Contents
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity

from tests.played import KINDS, Open, Player
from tests.waiting import wait_until

SEED = int(os.environ["FRAISIER_SEED"]) % 1000
LATER = "9999-01-01T00:00:00.000000Z"
PAIRS = [
    ("sqlite", "postgresql"),
    ("postgresql", "sqlite"),
    ("sqlite", "sqlite"),
    ("postgresql", "postgresql"),
]


def quiet(table: str, done: int, total: int) -> None:
    """Tell nothing."""


def rows(contents: Contents) -> dict[str, list[tuple[object, ...]]]:
    return {table.name: contents.read(table) for table in TABLES}


def found_faults(store: Store, tmp_path: Path) -> list[str]:
    folder = tmp_path / "fold"
    for file in folder.glob("*"):
        file.unlink()
    return list(faults(store.contents(), folder, quiet))


def fill_from(source: Store, target: Store) -> int:
    return fill(source.contents(), target.contents(), prepare(target, "here"), quiet)


def move(source: Store, target: Store, wait: Callable[[int], None] = lambda _: None) -> Move:
    return Move(
        source=source,
        target=lambda: target,
        whence="here",
        whither="there",
        progress=quiet,
        wait=wait,
    )


def played(store: Store, turns: int = 150) -> Player:
    player = Player(store, SEED)
    player.play(turns)
    return player


@pytest.mark.parametrize(("whence", "whither"), PAIRS)
def test_a_moved_record_is_the_same_and_goes_on(
    opened: Open, whence: str, whither: str, tmp_path: Path
) -> None:
    source, target = opened(whence), opened(whither)
    player = played(source)
    player.end_all()
    before = rows(source.contents())
    assert all(before.values())
    move(source, target).run()
    assert rows(target.contents()) == before
    assert found_faults(target, tmp_path) == []
    with pytest.raises(ClosedStoreError, match="has moved to there: set"):
        player.deliver()
    following = Player(target, SEED + 1)
    following.play(60)
    assert found_faults(target, tmp_path) == []
    new = {table.name: target.contents().read(table) for table in TABLES}
    kept = ("tb_webhook_events", "tb_deployment_events", "tb_webhook_payloads")
    assert all(new[name][: len(before[name])] == before[name] for name in kept)
    target.rebuild()
    assert rows(target.contents())["tb_steps"] == new["tb_steps"]


@pytest.mark.parametrize(("whence", "whither"), PAIRS[:2])
def test_what_was_copied_before_is_not_copied_again(opened: Open, whence: str, whither: str) -> None:
    source, target = opened(whence), opened(whither)
    player = played(source)
    fill_from(source, target)
    assert fill_from(source, target) == len(
        [each for each in source.deployments(limit=1000) if each.status in {"pending", "running"}]
    )
    player.play(40)
    player.end_all()
    assert source.forget("payloads", LATER, 10)  # which a copy then deletes as well
    assert source.forget("logs", LATER, 10)
    move(source, target).run()
    assert rows(target.contents()) == rows(source.contents())


@pytest.mark.parametrize("kind", KINDS)
def test_a_character_that_one_database_lacks_is_replaced_there(opened: Open, kind: str) -> None:
    source, target = opened("sqlite"), opened(kind)
    player = played(source, 20)
    while not player.leases:
        player.deliver()
        player.claim()
    source.append(player.leases[0], Event("step_started", step="a\0b", step_number=1))
    source.write_log(player.leases[0], 1, "c\0d", 0, 100)
    assert fill_from(source, target) > 0
    ended = [each for each in source.deployments(limit=1000) if each.status not in {"pending", "running"}]
    assert fill_from(source, target) == len(source.deployments(limit=1000)) - len(ended)
    (log,) = target.log(player.leases[0].deployment_id)[-1:]
    assert log.text == ("c\0d" if kind == "sqlite" else "c\ufffdd")


WRITTEN_BY_HAND = {
    "2026-11-28T00:00:00Z": "2026-11-28T00:00:00.000000Z",
    "2026-11-28 09:10:11": "2026-11-28T09:10:11.000000Z",
    "2026-11-28T01:00:00.5+02:30": "2026-11-27T22:30:00.500000Z",
    "2026-11-28": "2026-11-28T00:00:00.000000Z",
}


@pytest.mark.parametrize("at", WRITTEN_BY_HAND)
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_requested_with_sql_can_be_moved(opened: Open, kind: str, at: str, tmp_path: Path) -> None:
    source, target = opened("sqlite"), opened(kind)
    Player(source)
    requested = "01999D0F-1111-7ABC-8DEF-0123456789AB"
    source._connection.execute(  # type: ignore[attr-defined]
        "INSERT INTO tb_deployment_events (deployment_id, number, event, at, fraise_id, environment, kind,"
        " trigger)"
        f" VALUES ('{requested}', 1, 'requested', '{at}', 'cellar', 'live', 'deploy', 'manual')"
    )
    assert found_faults(source, tmp_path) == []
    move(source, target).run()
    assert rows(target.contents()) == rows(source.contents())
    assert target.deployment(requested.lower()).requested_at == WRITTEN_BY_HAND[at]
    assert found_faults(target, tmp_path) == []


@pytest.mark.parametrize(("whence", "whither"), PAIRS[:2])
def test_a_move_waits_until_nothing_runs_and_nothing_begins_meanwhile(
    opened: Open, whence: str, whither: str
) -> None:
    source, target = opened(whence), opened(whither)
    player = Player(source, SEED)
    while not player.leases:
        player.deliver()
        player.claim()
    waited: list[int] = []

    def wait(running: int) -> None:
        waited.append(running)
        player.deliver()
        player.request()
        while not any(each.status == "pending" for each in source.deployments()):
            player.deliver()
        for each in source.deployments():
            if each.status == "pending" and not source.running(each.fraise_id, each.environment, each.lane):
                with pytest.raises(ClosedStoreError, match="no deployment begins"):
                    source.claim(player.me, each.id)
        player.end_all()

    move(source, target, wait).run()
    assert waited == [1]
    assert [each.status for each in target.deployments(limit=100)].count("pending") > 0
    assert rows(target.contents()) == rows(source.contents())


@pytest.mark.parametrize(("whence", "whither"), PAIRS[:2])
def test_a_move_that_fails_or_is_aborted_opens_the_source(opened: Open, whence: str, whither: str) -> None:
    source, target = opened(whence), opened(whither)
    player = Player(source, SEED)
    while not player.leases:
        player.deliver()
        player.claim()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(source, target, interrupt).run()
    player.end_all()
    player.claim()
    player.end_all()
    with pytest.raises(ConflictError, match="not being moved"):
        abort(source)
    source.contents().close_to_writers(Closed("moving", "the store is being moved"), None)
    with pytest.raises(ClosedStoreError):
        player.deliver()
    abort(source)
    player.deliver()
    player.end_all()
    move(source, target).run()
    with pytest.raises(ConflictError, match="nothing to abort: the store has moved to there"):
        abort(source)


@pytest.mark.parametrize("state", [None, "draining", "moving"])
@pytest.mark.parametrize(("whence", "whither"), PAIRS[:2])
def test_of_two_moves_the_first_changes_nothing_once_the_second_has_begun(
    opened: Open, whence: str, whither: str, state: str | None
) -> None:
    source, target = opened(whence), opened(whither)
    others = [again(source), again(target)]
    player = played(source, 40)
    player.end_all()
    while state == "draining" and not player.leases:
        player.deliver()
        player.claim()
    kept: list[object] = []

    def overtake(*_: object) -> None:
        closed = others[0].contents().closed()
        if not kept and (closed.state if closed else None) == state:
            player.end_all()
            move(others[0], others[1]).run()
            Player(others[1], SEED + 1).play(20)
            kept.append(rows(others[1].contents()))

    first = Move(
        source=source, target=lambda: target, whence="here", whither="there", progress=overtake, wait=overtake
    )
    with pytest.raises(ConflictError, match="another command has taken the store meanwhile"):
        first.run()
    assert rows(target.contents()) == kept[0]
    Player(target, SEED + 2)
    with pytest.raises(ClosedStoreError, match="has moved to there"):
        player.deliver()
    for each in others:
        each.close()


@pytest.mark.parametrize(("whence", "whither"), PAIRS[:2])
def test_a_record_that_has_moved_is_not_moved_again(opened: Open, whence: str, whither: str) -> None:
    source, target = opened(whence), opened(whither)
    played(source, 20).end_all()
    assert move(source, target).run()
    Player(target, SEED + 1).play(20)
    before = rows(target.contents())
    assert not move(source, target).run()
    assert rows(target.contents()) == before
    with closing(opened(whither)) as empty:  # as if the database had been made anew
        assert move(source, empty).run()
        assert rows(empty.contents()) == rows(source.contents())


def test_of_two_restores_the_first_changes_nothing_once_the_second_has_begun(
    opened: Open, tmp_path: Path
) -> None:
    source, target = opened("sqlite"), opened("sqlite")
    played(source, 40)
    back_up(source.contents(), tmp_path / "saved", quiet, force=False)
    other = again(target)
    kept: list[object] = []

    def overtake(*_: object) -> None:
        if not kept:
            kept.append(0)
            restore(tmp_path / "saved", lambda: other, quiet)
            Player(other, SEED + 1).play(20)
            kept.append(rows(other.contents()))

    with pytest.raises(ConflictError, match="another command has taken the store meanwhile"):
        restore(tmp_path / "saved", lambda: target, overtake)
    assert rows(target.contents()) == kept[1]
    other.close()


def test_what_is_written_into_a_target_while_it_is_closed_is_kept(opened: Open) -> None:
    source, target = opened("sqlite"), opened("postgresql")
    played(source, 20)
    other, asking = again(target), again(target)
    refusals: list[str] = []
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'tb_fraises'::regclass"

    def run() -> None:
        try:
            move(source, target).run()
        except ConflictError as error:
            refusals.append(str(error))

    beside = threading.Thread(target=run)

    def write() -> None:
        other._connection.execute("INSERT INTO tb_observers VALUES ('a', 1, 0, '', NULL)")  # type: ignore[attr-defined]
        other._connection.execute("DELETE FROM tb_fraises")  # type: ignore[attr-defined]
        beside.start()
        wait_until(lambda: asking._connection.all(waiting))  # type: ignore[attr-defined]

    other._connection.transact(write)  # type: ignore[attr-defined]
    beside.join()
    assert refusals == ["the target is not empty, it has rows in tb_observers; name an empty one"]
    assert target.observed("a").sequence == 1
    Player(target)
    for each in (other, asking):
        each.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_that_is_read_is_moved_nevertheless(opened: Open, kind: str) -> None:
    source, target = opened(kind), opened("sqlite")
    played(source, 20).end_all()
    reader = again(source)
    with reader.contents().snapshot():
        before = rows(reader.contents())
        move(source, target).run()
        assert rows(reader.contents()) == before
    reader.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_in_use_is_refused(opened: Open, kind: str) -> None:
    source, target = opened("sqlite"), opened(kind)
    me = ProcessIdentity.of(os.getpid())
    target.heartbeat(me)
    with pytest.raises(ConflictError, match=r"the target is in use \(live workers: 1\); stop"):
        move(source, target).run()
    target.forget_worker(me)
    Player(target)
    with pytest.raises(ConflictError, match="rows in tb_fraises, tb_environments; name an empty one"):
        move(source, target).run()
    other = opened(kind)
    prepare(other, "elsewhere")
    with pytest.raises(ConflictError, match="an unfinished copy of elsewhere"):
        move(source, other).run()
    with pytest.raises(ClosedStoreError, match="unfinished copy"):
        Player(other)
    with pytest.raises(ClosedStoreError, match="unfinished copy"):
        other.heartbeat(me)
    request = Request("cellar", "live", "deploy", "manual", "ada")
    with pytest.raises(ClosedStoreError, match="unfinished copy"):
        other.request_all([request])


@pytest.mark.parametrize(("whence", "whither"), PAIRS)
def test_a_restored_backup_holds_all_and_what_ran_or_waited_is_interrupted(
    opened: Open, whence: str, whither: str, tmp_path: Path
) -> None:
    source, target, file = opened(whence), opened(whither), tmp_path / "backups" / "record"
    file.parent.mkdir()
    player = played(source)
    while not player.leases:
        player.deliver()
        player.claim()
    running = {lease.deployment_id for lease in player.leases}
    player.request()
    waiting = {each.id for each in source.deployments(limit=1000) if each.status == "pending"}
    before = rows(source.contents())
    back_up(source.contents(), file, quiet, force=False)
    assert [each.name for each in file.parent.iterdir()] == ["record"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    player.play(10)  # which the backup does not have
    assert restore(file, lambda: target, quiet) == len(running) + len(waiting)
    after = rows(target.contents())
    kept = (
        "tb_webhook_events",
        "tb_webhook_payloads",
        "tb_deployment_logs",
        "tb_branch_heads",
        "tb_observers",
        "tb_untold",
    )
    assert all(after[name] == before[name] for name in kept)
    events = before["tb_deployment_events"]
    assert after["tb_deployment_events"][: len(events)] == events
    for each in running | waiting:
        found, did = target.deployment(each), "running" if each in running else "waiting"
        assert (found.status, found.error_message) == (
            "interrupted",
            f"it was {did} when the backup was made that was restored",
        )
    assert target.claim(player.me) is None
    assert target.leases() == []
    assert found_faults(target, tmp_path) == []
    Player(target, SEED + 1).play(40)
    assert found_faults(target, tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_replaces_nothing_and_nothing_writes_to_it(opened: Open, kind: str, tmp_path: Path) -> None:
    source, file = opened(kind), tmp_path / "record"
    played(source, 20)
    file.write_text("precious")
    with pytest.raises(ConflictError, match="exists; name another file, or replace it with --force"):
        back_up(source.contents(), file, quiet, force=False)
    with pytest.raises(ConflictError, match="is no backup: --force replaces backups alone"):
        back_up(source.contents(), file, quiet, force=True)
    assert file.read_text() == "precious"
    for content in (b"", b"SQLite format 3\0 of an unfinished one"):
        file.write_bytes(content)
        back_up(source.contents(), file, quiet, force=True)
    with closing(SqliteStore.open(file, Host())) as backup, pytest.raises(ClosedStoreError, match="a backup"):
        Player(backup)


@pytest.mark.parametrize("own", ["store.db", "store.db-wal", "link.db", "hard-link.db"])
def test_a_backup_does_not_replace_the_store_itself(opened: Open, own: str) -> None:
    source = opened("sqlite")
    played(source, 20)
    folder = source._connection.path.parent  # type: ignore[attr-defined]
    (folder / "link.db").symlink_to("store.db")
    (folder / "hard-link.db").hardlink_to(folder / "store.db")
    files = {each.name for each in folder.iterdir()}
    for force in (True, False):
        with pytest.raises(ConflictError, match="is the store itself; name another file"):
            back_up(source.contents(), folder / own, quiet, force=force)
    assert {each.name for each in folder.iterdir()} == files
    played(source, 20)


def test_two_backups_to_one_name_do_not_disturb_each_other(opened: Open, tmp_path: Path) -> None:
    source, file = opened("sqlite"), tmp_path / "record"
    tables: list[str] = []
    played(source, 20)

    def meanwhile(table: str, *_: int) -> None:
        tables.append(table)
        if len(tables) == 5:
            with closing(again(source)) as other:
                back_up(other.contents(), file, quiet, force=True)

    back_up(source.contents(), file, meanwhile, force=True)
    assert restore(file, lambda: opened("sqlite"), quiet) >= 0
    assert [each.name for each in tmp_path.iterdir() if "record" in each.name] == ["record"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_is_no_complete_backup_is_not_restored(opened: Open, kind: str, tmp_path: Path) -> None:
    source, target = opened("sqlite"), opened(kind)
    copies: list[Path] = []
    played(source, 20).end_all()
    with pytest.raises(StoreError, match="is no backup of Fraisier's"):
        restore(source._connection.path, lambda: target, quiet)  # type: ignore[attr-defined]

    def keep_part(*_: object) -> None:
        (part,) = tmp_path.glob(".record.*.part")
        for suffix in ("", "-wal"):
            copy = tmp_path / f"{len(copies)}.db{suffix}"
            copy.write_bytes(part.with_name(part.name + suffix).read_bytes())
        copies.append(tmp_path / f"{len(copies)}.db")

    back_up(source.contents(), tmp_path / "record", keep_part, force=False)
    assert len(copies) == len(TABLES)
    for copy in copies:
        with pytest.raises(StoreError, match="is no complete backup; name a file that"):
            restore(copy, lambda: target, quiet)
    moved = opened("sqlite")
    move(source, moved).run()
    with pytest.raises(StoreError, match="is no complete backup"):
        restore(source._connection.path, lambda: target, quiet)  # type: ignore[attr-defined]
    Player(target)


DAMAGED_BYTES = {b"step_started2": 0, b"\x04\x22\x4d\x18": 20, b"a" * 40: 7}


@pytest.mark.parametrize("word", DAMAGED_BYTES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_with_a_flipped_byte_is_not_put_in_use(
    opened: Open, kind: str, word: bytes, tmp_path: Path
) -> None:
    source, target, file = opened("sqlite"), opened(kind), tmp_path / "record"
    played(source)
    back_up(source.contents(), file, quiet, force=False)
    with closing(sqlite3.connect(file)) as backup:
        backup.execute("VACUUM")  # nothing is left of rows that were moved
    content = bytearray(file.read_bytes())
    content[content.index(word) + DAMAGED_BYTES[word]] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreError):
        restore(file, lambda: target, quiet)
    with pytest.raises(ClosedStoreError, match="unfinished copy"):
        Player(target)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_that_is_no_store_is_refused(opened: Open, kind: str, tmp_path: Path) -> None:
    target, file = opened(kind), tmp_path / "record"
    for content in (b"no database at all, of some length" * 99, b""):
        file.write_bytes(content)
        with pytest.raises(StoreError):
            restore(file, lambda: target, quiet)
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE something (id)")
    with pytest.raises(StoreError, match="no backup of Fraisier"):
        restore(file, lambda: target, quiet)
    with pytest.raises(StoreError):
        back_up(target.contents(), tmp_path / "record" / "below-a-file", quiet, force=False)
    Player(target)  # which is open still


def damage(store: Store, sql: str) -> None:
    """Change a store by hand, past its rules."""
    connection = store._connection  # type: ignore[attr-defined]
    contents = store.contents()

    def change() -> None:
        rules = [contents._without_rules(table) for table in TABLES]  # type: ignore[attr-defined]
        for each in rules:
            each.__enter__()
        connection.execute(sql)
        for each in reversed(rules):
            each.__exit__(None, None, None)

    connection.transact(change)


DAMAGES = {
    "UPDATE tb_deployments SET attempt = 77": "attempt is 77 and its events say",
    "UPDATE tb_steps SET name = 'other' WHERE attempt = 1": "name is 'other' and",
    "DELETE FROM tb_attempts": "is missing, which its events make",
    "UPDATE tb_serving SET release = 'r0'": "release is 'r0' and its events say",
    "DELETE FROM tb_deployment_events WHERE number = 2": "not numbered from 1 without a gap",
    "DELETE FROM tb_deployment_events WHERE event = 'requested'": "is there, which no event makes",
    "UPDATE tb_webhook_events SET body_sha256 = 'x'": "is not what its hash says",
    "DELETE FROM tb_leases": "no process holds its lease",
    "DELETE FROM tb_webhook_events": "which is missing",
    "DROP INDEX deployment_by_fraise": "the store lacks deployment_by_fraise",
    "DROP VIEW v_deployment_stats": "the store lacks v_deployment_stats",
}


@pytest.mark.parametrize("sql", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_check_finds_damage_and_changes_nothing(opened: Open, kind: str, sql: str, tmp_path: Path) -> None:
    store = opened(kind)
    player = Player(store)
    player.play(60)
    while not player.leases:
        player.deliver()
        player.claim()
    assert found_faults(store, tmp_path) == []
    damage(store, sql)
    before = rows(store.contents())
    assert any(DAMAGES[sql] in fault for fault in found_faults(store, tmp_path))
    assert rows(store.contents()) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_that_was_switched_off_is_missed(opened: Open, kind: str, tmp_path: Path) -> None:
    store = opened(kind)
    if kind == "sqlite":
        damage(store, "DROP VIEW fold_events")
    else:
        store._connection.execute("ALTER TABLE tb_deployment_events DISABLE TRIGGER USER")  # type: ignore[attr-defined]
    assert "which its migrations made" in found_faults(store, tmp_path)[0]


FLIPS = {
    "deployment_events_rules": ("fenced", "fencee"),
    "fold_requested": ("'pending'", "'pendinf'"),
    "v_deployment_stats": ("'success'", "'succesr'"),
    "tb_deployments": ("'running'", "'runninf'"),
    "webhook_refs_no_delete": ("append-only", "append-onlx"),
    "deployment_by_fraise": ("sequence", "priority"),
}


@pytest.mark.parametrize("name", FLIPS)
def test_a_definition_that_is_another_is_found_on_sqlite(opened: Open, name: str, tmp_path: Path) -> None:
    store = opened("sqlite")
    file = store._connection.path  # type: ignore[attr-defined]
    store.close()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA writable_schema = ON")
        change = "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ?"
        assert database.execute(change, (*FLIPS[name], name)).rowcount == 1
    with closing(SqliteStore.open(file, Host())) as damaged:
        assert f"{name} is not as its migration made it; restore a backup" in found_faults(damaged, tmp_path)


EVENT_KEY = "tb_deployment_events_deployment_id_number_key"
FUNCTION = "CREATE OR REPLACE FUNCTION"
BROKEN = "CAST(x'6fff6f' AS TEXT)"
UNREADABLE = {
    f"UPDATE tb_deployment_logs SET text = {BROKEN}": "tb_deployment_logs, the first row and beyond: ",
    f"UPDATE tb_webhook_refs SET ref = {BROKEN} WHERE sequence = 2": "tb_webhook_refs, the first row and",
    f"UPDATE tb_refused_deliveries SET reason = {BROKEN}": "tb_refused_deliveries, the first row",
    f"UPDATE tb_tokens SET created_by = {BROKEN}": "tb_tokens, the first row",
    f"UPDATE tb_audit_events SET detail = {BROKEN}": "tb_audit_events, the first row",
    f"UPDATE tb_branch_heads SET problem = {BROKEN}": "tb_branch_heads, the first row",
    f"UPDATE tb_observers SET problem = {BROKEN}": "tb_observers, the first row",
    f"UPDATE tb_untold SET problem = {BROKEN}": "tb_untold, the first row",
    f"UPDATE tb_deployment_events SET message = {BROKEN}": "tb_deployment_events, the first row",
    "UPDATE tb_webhook_events SET urls = '[\"' WHERE sequence = 3": "tb_webhook_events, 3: urls cannot",
    "UPDATE tb_webhook_events SET reasons = '' WHERE sequence = 2": "tb_webhook_events, 2: reasons cannot",
    "UPDATE tb_webhook_refs SET reasons = '[x]' WHERE sequence = 2": "tb_webhook_refs, 2: reasons cannot",
    "UPDATE tb_refused_deliveries SET received_at = 'noon' WHERE sequence = 1": "tb_refused_deliveries, 1",
    "UPDATE tb_deployment_logs SET at = '2026-13-01T00:00:00.000000Z'": "tb_deployment_logs, 1",
}


@pytest.mark.parametrize("sql", UNREADABLE)
@pytest.mark.parametrize("keeps_bodies", [True, False])
def test_what_cannot_be_read_is_found_in_every_table(
    opened: Open, sql: str, keeps_bodies: bool, tmp_path: Path
) -> None:
    store = opened("sqlite")
    player = played(store, 80)
    while len(rows(store.contents())["tb_webhook_refs"]) < 2:  # which not every seed delivers
        player.deliver()
    if not keeps_bodies:
        assert store.forget("payloads", LATER, 1000).rows
    damage(store, sql)
    assert UNREADABLE[sql] in found_faults(store, tmp_path)[-1]
    with pytest.raises(StoreError, match=UNREADABLE[sql]):
        back_up(store.contents(), tmp_path / "saved.db", quiet, force=False)


LOSSES = {
    "DROP FUNCTION claim": "lacks claim()",
    "DROP VIEW v_deployment_stats": "lacks v_deployment_stats",
    "ALTER TABLE tb_steps DROP CONSTRAINT tb_steps_pkey": "lacks tb_steps_pkey",
    f"ALTER TABLE tb_deployment_events DROP CONSTRAINT {EVENT_KEY}": f"lacks {EVENT_KEY}",
    "ALTER TABLE tb_kinds DROP CONSTRAINT tb_kinds_source_check": "lacks tb_kinds_source_check",
    "ALTER TABLE tb_environments DROP CONSTRAINT tb_environments_fraise_id_fkey": "lacks tb_environments_fr",
    "ALTER TABLE tb_webhook_refs ALTER sequence DROP IDENTITY": "lacks tb_webhook_refs_sequence_seq",
    f"{FUNCTION} fold_serving(event tb_deployment_events) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'": (
        "fold_serving() is not as its migration made it"
    ),
    f"{FUNCTION} issued_sequence() RETURNS bigint LANGUAGE sql AS 'SELECT CAST(1 AS bigint)'": (
        "issued_sequence() is not as its migration made it"
    ),
    "SELECT setval('deployment_event_sequence', 1)": "next sequence of tb_deployment_events is taken already",
    "SELECT setval('tb_audit_events_sequence_seq', 1)": "next sequence of tb_audit_events is taken already",
    "DROP TRIGGER tokens_revoke_only ON tb_tokens": "lacks tokens_revoke_only",
    "SELECT setval('tb_webhook_events_sequence_seq', 2)": "next sequence of tb_webhook_events is taken",
    "SELECT setval('tb_deployment_logs_sequence_seq', 1, false)": "next sequence of tb_deployment_logs is",
    "SELECT setval('tb_deployment_logs_sequence_seq', 1)": "sequence of tb_deployment_logs is taken already",
}


@pytest.mark.parametrize("sql", LOSSES)
def test_what_is_lost_or_another_is_found_on_postgresql(opened: Open, sql: str, tmp_path: Path) -> None:
    store = opened("postgresql")
    played(store, 60)
    assert found_faults(store, tmp_path) == []
    store._connection.run_script(sql)  # type: ignore[attr-defined]
    assert any(LOSSES[sql] in fault for fault in found_faults(store, tmp_path))


def test_who_may_only_read_can_check_and_back_up(opened: Open, tmp_path: Path) -> None:
    from fraisier_postgres.postgres_reader import PostgresReader

    store = opened("postgresql")
    played(store, 60)
    connection = store._connection  # type: ignore[attr-defined]
    role = f"reads_all_{secrets.token_hex(8)}"
    connection.run_script(
        f"CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};"
        f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"
    )
    separator = "&" if "?" in connection.url else "?"
    reader = PostgresReader.open(f"{connection.url}{separator}options=-crole%3D{role}", Host())
    assert reader is not None
    try:
        assert list(faults(reader.contents(), tmp_path / "fold", quiet)) == []
        back_up(reader.contents(), tmp_path / "saved.db", quiet, force=False)
    finally:
        reader.close()
        connection.run_script(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_all_that_postgresql_has_is_checked(opened: Open) -> None:
    from fraisier_postgres.made_objects import made_objects

    contents = opened("postgresql").contents()
    found = {name for name in contents._definitions() if not name.endswith("_not_null")}  # type: ignore[attr-defined]
    assert found == made_objects().keys()


def test_a_token_that_would_be_given_again_is_found_on_sqlite(opened: Open, tmp_path: Path) -> None:
    store = opened("sqlite")
    played(store, 60)
    store._connection.execute("UPDATE sqlite_sequence SET seq = 1 WHERE name = 'tb_leases'")  # type: ignore[attr-defined]
    assert found_faults(store, tmp_path) == [
        "the next token of tb_leases is one that an event has; restore a backup"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_is_filled_lacks_nothing(opened: Open, kind: str, tmp_path: Path) -> None:
    source, target = opened(kind), opened(kind)
    player = played(source)
    while not player.leases:
        player.deliver()
        player.claim()
    fill_from(source, target)
    assert [fault for fault in found_faults(target, tmp_path) if "tb_deployments, " not in fault] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_has_every_table_but_those_of_who_lives(opened: Open, kind: str) -> None:
    store = opened(kind)
    others = {*NOT_COPIED, "tb_migrations"}
    names = "SELECT name FROM sqlite_schema WHERE name GLOB 'tb_*' AND type = 'table'"
    if kind == "postgresql":
        others.add("tb_last_changes")
        names = "SELECT tablename AS name FROM pg_tables WHERE tablename LIKE 'tb\\_%'"
    found = {row["name"] for row in store._connection.all(names)}  # type: ignore[attr-defined]
    assert found == {table.name for table in TABLES} | others


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_is_consistent_while_others_write(opened: Open, kind: str, tmp_path: Path) -> None:
    source, target = opened(kind), opened("sqlite")
    player = played(source, 40)
    ended = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not ended.is_set():
            written.append(player.deliver())
            player.claim()
            player.go_on()

    beside = threading.Thread(target=write)
    acknowledged = {each.id for each in source.deliveries(limit=10_000)}
    beside.start()
    try:
        wait_until(lambda: len(written) > 3)
        reader = again(source)
        acknowledged |= {each.id for each in reader.deliveries(limit=10_000)}
        before = len(written)
        back_up(reader.contents(), tmp_path / "saved.db", quiet, force=False)
        assert len(written) > before  # or nothing was written meanwhile
    finally:
        ended.set()
        beside.join()
    restore(tmp_path / "saved.db", lambda: target, quiet)
    assert found_faults(target, tmp_path) == []
    assert acknowledged <= {each.id for each in target.deliveries(limit=10_000)}
    reader.close()


def again(store: Store) -> Store:
    """Open a store once more."""
    connection = store._connection  # type: ignore[attr-defined]
    if isinstance(store, SqliteStore):
        return SqliteStore.open(connection.path, Host())
    return type(store).open(connection.url, Host())  # type: ignore[attr-defined,no-any-return]

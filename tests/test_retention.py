"""What `retention:` lets go, and what it keeps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import pytest
from fraisier_core.config.retention import RetentionSection
from fraisier_core.store.checking import faults
from fraisier_core.store.events import Forgotten
from fraisier_core.store.protocol import Store
from fraisier_core.store.relational.store import BYTES_AT_ONCE
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.store.tables import TABLES
from fraisier_core.worker.forgetting import FIRST_ROWS, MOST_ROWS, Forgetting

from tests.played import KINDS, Open, Player

DAY = 86400.0
PAYLOADS, EVENTS = "tb_webhook_payloads", "tb_webhook_events"
LET_GO = {"payloads": "tb_webhook_payloads", "logs": "tb_deployment_logs", "refused": "tb_refused_deliveries"}


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    return {table.name: store.contents().read(table) for table in TABLES}


def kept_for(seconds: float, *what: str) -> RetentionSection:
    return RetentionSection(**dict.fromkeys(what, f"{seconds:f}"))


def all_turns(store: Store, retention: RetentionSection) -> int:
    forgetting, deleted = Forgetting(store), 0
    while turn := forgetting.turn(retention):
        deleted += turn
    return deleted


@pytest.mark.parametrize("kept", LET_GO)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_old_is_deleted_and_the_rest_kept(opened: Open, kind: str, kept: str, tmp_path: Path) -> None:
    store = opened(kind)
    Player(store).play(60)
    before = rows(store)
    assert all_turns(store, RetentionSection()) == 0
    assert all_turns(store, kept_for(99999 * DAY, *LET_GO)) == 0
    assert rows(store) == before
    assert before[LET_GO[kept]]
    deleted = all_turns(store, kept_for(1e-6, kept))
    after = rows(store)
    assert deleted == len(before[LET_GO[kept]])
    assert after.pop(LET_GO[kept]) == []
    assert after.items() <= before.items()
    assert list(faults(store.contents(), tmp_path, lambda *_: None)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_delivery_without_its_body_keeps_its_facts_and_its_hash(opened: Open, kind: str) -> None:
    store = opened(kind)
    player = Player(store)
    for _ in range(5):
        player.deliver()
    newest = store.deliveries(verdict="accepted") or store.deliveries()
    before = store.delivery(newest[0].id)
    assert before.body_kept
    all_turns(store, RetentionSection(payloads=DAY))
    assert store.delivery(newest[0].id) == before._replace(body_kept=False)


def test_what_is_younger_is_kept(opened: Open) -> None:
    store = opened("sqlite")
    player = Player(store)
    player.play(60)
    assert all_turns(store, RetentionSection(logs=DAY)) == 0
    assert store.contents().read(next(table for table in TABLES if table.name == LET_GO["logs"]))


class Watched:
    """Forgets in a store, and notes each batch."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[int] = []
        self.batches: list[Forgotten] = []

    def forget(self, what: str, before: str, rows: int, after: int = 0) -> Forgotten:
        self.asked.append(rows)
        self.batches.append(self.store.forget(what, before, rows, after))
        return self.batches[-1]

    def forget_all(self, retention: RetentionSection) -> int:
        """Forget until nothing is deleted any more."""
        return all_turns(cast("Store", self), retention)


def keep_bodies(store: Store, *sizes: int) -> None:
    """Have a store keep bodies of such sizes, delivered long ago."""
    player, connection = Player(store), cast("SqliteStore", store)._connection
    for _ in sizes:
        player.deliver()
    rules = connection.all(
        "SELECT name FROM sqlite_schema WHERE tbl_name = 'tb_webhook_payloads' AND type = 'trigger'"
    )
    for rule in rules:
        connection.execute(f"DROP TRIGGER {rule['name']}")
    change = "UPDATE tb_webhook_payloads SET body = zeroblob(:size) WHERE sequence = :sequence"
    connection.execute_many(change, [{"size": size, "sequence": i} for i, size in enumerate(sizes, 1)])


@pytest.mark.parametrize("size", [70_000, 300_000, 1_100_000, 5_000_000])
def test_batches_stay_small_after_nothing_was_due_for_long(opened: Open, size: int) -> None:
    store = opened("sqlite")
    keep_bodies(store, *[size] * 12)
    watched = Watched(store)
    forgetting = Forgetting(cast("Store", watched))
    for _ in range(20):
        assert forgetting.turn(kept_for(99999 * DAY, "payloads")) == 0
    assert set(watched.asked) == {FIRST_ROWS}
    deleted = all_turns(cast("Store", watched), RetentionSection(payloads=DAY))
    assert deleted == 12
    assert max(each.rows for each in watched.batches) == min(12, max(1, BYTES_AT_ONCE // size))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", ["2999-01-01T00:00:00.000000Z", "2100-02-03T04:05:06.700000Z", None])
def test_what_has_no_usable_time_holds_up_nothing(opened: Open, kind: str, at: str | None) -> None:
    store = opened(kind)
    player = Player(store)
    for _ in range(2 * FIRST_ROWS):
        player.deliver()
    bodies, events = (next(each for each in TABLES if each.name == name) for name in (PAYLOADS, EVENTS))
    contents = store.contents()
    odd = contents.read(bodies)[: FIRST_ROWS + 20]
    place = contents.columns(events).index("received_at")
    delivered = [row for row in contents.read(events) if row[0] <= odd[-1][0]]
    moved = [] if at is None else [(*row[:place], at, *row[place + 1 :]) for row in delivered]
    contents.replace(events, [row[:1] for row in delivered], moved)
    all_turns(store, RetentionSection(payloads=DAY))
    assert contents.read(bodies) == odd


def test_any_number_of_rows_that_are_kept_is_looked_past(opened: Open) -> None:
    store = cast("SqliteStore", opened("sqlite"))
    store._connection.execute(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 3700) "
        "INSERT INTO tb_deployment_logs (deployment_id, host, attempt, step_number, at, text) "
        "SELECT 'x', 'barn', 1, 1, iif(n <= 3500, '2999', '2001'), 'text' FROM numbers"
    )
    forgetting = Forgetting(store)
    assert sum(forgetting.turn(RetentionSection(logs=DAY)) for _ in range(6)) == 200
    assert store.contents().summary().logs == 3500


class SlowStore:
    """A store that takes so long for a batch, and so long for each of its rows."""

    def __init__(self, seconds: float, seconds_a_row: float, rows: int = 10_000) -> None:
        self.rows = rows
        self.batches: list[int] = []
        self.seconds = seconds, seconds_a_row

    def forget(self, what: str, before: str, rows: int, after: int = 0) -> Forgotten:
        deleted = min(rows, self.rows)
        self.rows -= deleted
        self.batches.append(rows)
        time.sleep(self.seconds[0] + deleted * self.seconds[1])
        return Forgotten(deleted, after)


def turns_on(store: SlowStore, turns: int) -> list[int]:
    forgetting = Forgetting(cast("Store", store))
    for _ in range(turns):
        forgetting.turn(RetentionSection(logs=DAY))
    return store.batches


def test_batches_get_larger_on_a_fast_disk_and_smaller_on_a_slow_one() -> None:
    store = SlowStore(0, 1e-6)
    forgetting = Forgetting(cast("Store", store))
    for seconds_a_row in (1e-6, 1e-3):
        store.rows, store.seconds = 10_000, (0, seconds_a_row)
        for _ in range(3):
            forgetting.turn(RetentionSection(logs=DAY))
    assert FIRST_ROWS < max(store.batches) <= MOST_ROWS
    assert store.batches[-1] < max(store.batches)


@pytest.mark.parametrize("seconds", [0.03, 0.08, 0.2])
def test_a_database_far_away_is_not_asked_for_row_after_row(seconds: float) -> None:
    assert turns_on(SlowStore(seconds, 0), 3)[-1] >= FIRST_ROWS


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.005])
def test_a_turn_has_several_batches_and_ends(seconds: float) -> None:
    turns = (turns_on(SlowStore(seconds, 0, rows=10_000_000), 1) for _ in range(20))
    assert any(len(batches) > 1 for batches in turns)  # one that the machine keeps waiting has a single one

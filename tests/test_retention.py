"""What `retention:` lets go, and what it keeps."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fraisier_core.config.retention import RetentionSection
from fraisier_core.store.checking import faults
from fraisier_core.store.protocol import Store
from fraisier_core.store.tables import TABLES
from fraisier_core.worker.forgetting import FIRST_ROWS, MOST_ROWS, Forgetting

from tests.played import KINDS, Open, Player

DAY = 86400.0
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_small_enough_for_other_writers(opened: Open, kind: str) -> None:
    store = opened(kind)
    player = Player(store)
    for _ in range(3 * FIRST_ROWS):
        player.deliver()
    forgetting, retention = Forgetting(store), RetentionSection(payloads=DAY)
    assert forgetting.turn(retention) == FIRST_ROWS
    assert 0 < forgetting.turn(retention) <= 2 * FIRST_ROWS


class SlowStore:
    """A store whose disk is slow: it takes a millisecond a row."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def forget(self, what: str, before: str, rows: int) -> int:
        self.batches.append(rows)
        time.sleep(rows / 1000)
        return rows


def test_batches_get_smaller_on_a_slow_disk_and_larger_on_a_fast_one(opened: Open) -> None:
    slow = SlowStore()
    forgetting = Forgetting(slow)  # type: ignore[arg-type]
    for _ in range(3):
        forgetting.turn(RetentionSection(logs=DAY))
    assert slow.batches[-1] < FIRST_ROWS
    fast = Forgetting(opened("sqlite"))
    for _ in range(10):
        fast.turn(RetentionSection(logs=DAY))
    assert FIRST_ROWS < fast._rows["logs"] <= MOST_ROWS

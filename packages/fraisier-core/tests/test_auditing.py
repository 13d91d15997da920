"""The record of refusals: the first of each kind at once, and how many came after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fraisier_core.access.auditing import COUNTED_SECONDS, MAX_LENGTH, MOST_KINDS, AuditedRefusals, Refusal

from tests.stores import OpenStore, open_store

UNKNOWN = Refusal("not_admitted", None, None, "an unknown token")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpenStore]:
    with closing(open_store(tmp_path / "store.db")) as store:
        yield store


def written(store: OpenStore) -> list[tuple[str | None, int]]:
    return [(each.subject or each.detail, each.occurrences) for each in reversed(store.audit_events(999))]


def test_alike_refusals_are_two_rows_however_many_there_are(store: OpenStore) -> None:
    now = [0.0]
    refusals = AuditedRefusals(store, lambda: now[0])
    for _ in range(500):
        refusals.add(UNKNOWN)
    assert written(store) == [("an unknown token", 1)]
    now[0] = COUNTED_SECONDS - 1
    refusals.write_due()
    assert len(written(store)) == 1
    now[0] = COUNTED_SECONDS
    refusals.write_due()
    assert written(store) == [("an unknown token", 1), ("an unknown token", 499)]
    refusals.add(UNKNOWN)
    refusals.write_counts()
    assert written(store)[2:] == [("an unknown token", 1)]


def test_more_kinds_than_anybody_reads_are_counted_together(store: OpenStore) -> None:
    refusals = AuditedRefusals(store, lambda: 0.0)
    for number in range(MOST_KINDS + 300):
        refusals.add(Refusal("forbidden", "token ci", f"deploy {number} live", "its scope is read"))
    assert len(written(store)) == MOST_KINDS
    refusals.write_counts()
    assert written(store)[MOST_KINDS:] == [("others", 300)]


@pytest.mark.parametrize("subject", ["deploy a\nb live", "deploy \x1b[31m live", "x" * 100_000, "a\r\n\0b"])
def test_what_was_asked_for_is_one_short_line(store: OpenStore, subject: str) -> None:
    AuditedRefusals(store, lambda: 0.0).add(Refusal("forbidden", "token ci", subject, "its scope is read"))
    ((shown, _),) = written(store)
    assert shown is not None
    assert shown.isprintable()
    assert 0 < len(shown) <= MAX_LENGTH


def test_a_store_that_cannot_be_written_keeps_nothing_from_being_refused(store: OpenStore) -> None:
    refusals = AuditedRefusals(store, lambda: 0.0)
    store.execute(
        "CREATE TRIGGER closed BEFORE INSERT ON tb_audit_events BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    refusals.add(UNKNOWN)
    store.execute("DROP TRIGGER closed")
    assert written(store) == []

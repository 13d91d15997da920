"""Python and SQL spell statuses, events, triggers and verdicts alike: the SQL knows no other word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from fraisier_core.store import vocabulary

from tests.environments import ROOT

STORE = ROOT / "packages/fraisier-core/src/fraisier_core/store"
SQL = STORE / "sqlite/sql"
FILES = sorted({*STORE.rglob("*.sql")} - {SQL / "catalog.sql"})  # which has words of SQLite's own
STATUSES = {*get_args(vocabulary.Status)}
STEP_STATUSES = {*get_args(vocabulary.StepStatus)}
COLUMNS = {
    "status": STATUSES | STEP_STATUSES,
    "event": {*get_args(vocabulary.EventName)},
    "outcome": vocabulary.ENDS_ATTEMPT,
    "kind": set(vocabulary.KINDS),
    "overlap": {*get_args(vocabulary.Overlap)},
    "executor": {*get_args(vocabulary.Executor)},
    "lane": {kind.lane for kind in vocabulary.KINDS.values()},
    "source": {*get_args(vocabulary.Source)},
    "trigger": {*get_args(vocabulary.Trigger)},
    "verdict": {*get_args(vocabulary.RecordedVerdict)},
    "step_status": STEP_STATUSES,
    "level": {*get_args(vocabulary.Level)},
    "cause": {*get_args(vocabulary.HoldCause)},
    "action": {*get_args(vocabulary.AuditedAction), "cancel"},
}
# What each CHECK lists: what a row may say, and neither more nor less.
CHECKS = {
    "status": STATUSES,
    "event": COLUMNS["event"],
    "trigger": COLUMNS["trigger"],
    "source": COLUMNS["source"],
    "overlap": COLUMNS["overlap"],
    "executor": COLUMNS["executor"],
    "verdict": COLUMNS["verdict"] - {"refused"},
    "step_status": STEP_STATUSES - {"running"},
    "level": COLUMNS["level"],
    "cause": COLUMNS["cause"],
    "action": {*get_args(vocabulary.AuditedAction)},
}

_WORD = r"'([a-z_]+)'"
_COMPARED = re.compile(rf"(\w+)\s*(?:=|<>|IS|IS NOT)\s*{_WORD}")
_LISTED = re.compile(rf"(\w+)\s+(?:NOT\s+)?IN\s*\(((?:\s*{_WORD},?)+)\s*\)")
_CASES = re.compile(r"CASE \w+\.(\w+)((?:\s+WHEN '[a-z_]+' THEN [^\n]+)+)")
_CHECK = re.compile(rf"CHECK \(\s*(\w+)\s*((?:=|IN)(?:(?!CHECK)[^;])*?{_WORD})\)")


def statements(path: Path) -> str:
    """Return what a file says to SQLite, without the keys of objects in JSON, true, false and now."""
    text = re.sub(r"--.*", "", path.read_text())
    return re.sub(rf"{_WORD},(?=\s+[^'\s])", "", text.replace("'true', 'false'", "").replace("'now'", ""))


def compared(sql: str) -> Iterator[tuple[str, str]]:
    """Yield each column with each word that it is compared to."""
    for column, word in _COMPARED.findall(sql):
        yield column, word
    for column, words, _ in _LISTED.findall(sql):
        yield from ((column, word) for word in re.findall(_WORD, words))
    for column, cases in _CASES.findall(sql):
        yield from ((column, word) for word in re.findall(f"WHEN {_WORD}", cases))


def checks(sql: str) -> dict[str, set[str]]:
    """Return the words that each CHECK allows, by its column."""
    return {column: set(re.findall(_WORD, words)) for column, words, _ in _CHECK.findall(sql)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_sql_compares_a_column_to_its_own_words_alone(path: Path) -> None:
    for column, word in compared(statements(path)):
        assert word in COLUMNS[column], f"{column}: {word}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_sql_spells_no_word_that_python_does_not(path: Path) -> None:
    assert set(re.findall(_WORD, statements(path))) <= set().union(*COLUMNS.values())


def test_each_check_lists_exactly_what_python_does() -> None:
    assert checks("\n".join(map(statements, FILES))) == CHECKS


def test_what_is_compared_is_found() -> None:
    sql = "a.x = 'b' OR c <> 'd' OR NEW.e NOT IN ('f',\n  'g')"
    assert list(compared(sql)) == [("x", "b"), ("c", "d"), ("e", "f"), ("e", "g")]
    assert list(compared("CASE NEW.h\n WHEN 'i' THEN 'j'\n WHEN 'k' THEN 1")) == [("h", "i"), ("h", "k")]
    sql = "z TEXT CHECK (\n z = 'a' OR z = 'b'), y CHECK (y IN ('c'))"
    assert checks(sql) == {"z": {"a", "b"}, "y": {"c"}}

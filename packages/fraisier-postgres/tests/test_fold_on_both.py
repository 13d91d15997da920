"""The SQL on PostgreSQL against that on SQLite: the same events, played into both, give the same rows."""

from __future__ import annotations

import json
import math
import os
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fraisier_core.errors import FencedError
from fraisier_core.store.relational.dialect import ConstraintError, statements
from fraisier_core.store.sqlite.sqlite_migrations import SQL
from fraisier_postgres import postgres_migrations

from tests.postgres import every_postgres
from tests.postgres_sql import run, set_up
from tests.postgres_sql import statements as postgres_statements
from tests.stores import OpenSqliteStore, open_store

STORED = ("tb_webhook_events", "tb_webhook_refs", "tb_webhook_payloads", "tb_refused_deliveries")
FOLDED = ("tb_deployments", "tb_attempts", "tb_steps", "tb_serving")
VIEWS = (
    "v_deployment_history",
    "v_deployment_changes",
    "v_fraises",
    "v_fraise_status",
    "v_deployment_stats",
    "v_webhook_events",
    "v_webhook_refs",
)
TABLES = ("tb_deployment_events", *STORED, *FOLDED, *VIEWS)
FILES = ("reader", "deployments", "deliveries", "branch_heads")
ABOUT_DEPLOYMENTS = (
    *("deployment", "steps", "history_of_fraise", "history_of_environment", "history_of_kind", "running"),
    *(
        "serving",
        "releases_in_use",
        "has_succeeded",
        "healthy_releases",
        "deployments_by_pattern",
        "newer_than",
        "waiting_instead",
        "is_last",
    ),
    *("pushed_commits", "requested_since", "left_since", "cancellation", "previously_active", "last_of_refs"),
    *("last_of_commits", "deployments_of_event", "events_of_deployment"),
)
ABOUT_DELIVERIES = (
    *("delivery", "delivered", "delivered_refs", "deployments_of_deliveries", "same_delivery", "newer_than"),
    *("left_since", "deliveries_by_pattern"),
)
IN_GENERAL = ("status", "history", "deliveries", "events", "changes")
PLACES = [("cellar", "live"), ("cellar", "trial"), ("pantry", "live")]
ENDINGS = ("success", "failed", "rolled_back", "cancelled", "interrupted", "skipped", "superseded")
PROGRESS = ("step", "step", "release_chosen", "activation_started", "serving", "rollback_started")

MOST_ROUNDS = 40
"""In which a random history answers each question at least once."""
NUMBERS = {"sequence", "position"}
DELIVERIES = [str(UUID(int=number)) for number in range(1, 5)]

_NAME = re.compile(r":(\w+)")
_LEASE = """INSERT INTO tb_leases (token, deployment_id, host, attempt, boot_id, pid, pid_started, expires)
 VALUES (:token, :deployment_id, :host, :attempt, 'boot', 1, 1, :expires)"""

Row = dict[str, Any]


class _Measured(float):
    """A number that equals others near it: SQLite counts days to the millisecond."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int | float) and math.isclose(self, other, rel_tol=1e-5)

    __hash__ = float.__hash__


class Both:
    """A store on SQLite and one on PostgreSQL, which are written alike."""

    def __init__(self, sqlite: OpenSqliteStore, postgres: psycopg.Connection[Any]) -> None:
        self.sqlite = sqlite
        self.postgres = postgres
        for position, (fraise, environment) in enumerate(PLACES):
            row = {"fraise_id": fraise, "type": "site", "environment": environment, "position": position}
            self.run("configure_fraise", row)
            self.run("configure_environment", row)

    def run(self, statement: str, row: Row) -> None:
        """Run the statement of that name on both."""
        sql = _sqlite_statement(statement)
        self.sqlite.execute(sql, dict.fromkeys(_NAME.findall(sql)) | row)
        run(self.postgres, statement, **row)

    def execute(self, sql: str, row: Row, here: Row | None = None) -> None:
        """Run plain SQL on both, on PostgreSQL with other values `here`.

        Raises `ConstraintError` if both refuse it.
        """
        refused: list[Exception] = []
        try:
            with self.sqlite.transaction():
                self.sqlite.execute(sql, row)
        except (ConstraintError, FencedError) as error:
            refused.append(error)
        query = _NAME.sub(r"%(\1)s", sql).replace(" VALUES ", " OVERRIDING SYSTEM VALUE VALUES ")
        try:
            self.postgres.execute(query.encode(), row | (here or {}))
        except psycopg.IntegrityError as error:
            refused.append(error)
        if refused:
            assert len(refused) == 2, refused
            raise ConstraintError(str(refused))

    def insert(self, table: str, row: Row) -> None:
        """Insert a row by plain SQL into both; raises ConstraintError if both refuse it."""
        values = ", ".join(f":{name}" for name in row)
        self.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})", row)

    def rows(self, table: str) -> tuple[list[Row], list[Row]]:
        """Return the rows of a table in both, as they compare."""
        sqlite = [dict(row) for row in self.sqlite.all(f"SELECT * FROM {table}")]
        cursor = self.postgres.execute(f"SELECT * FROM {table}".encode())
        names = [column.name for column in cursor.description or ()]
        postgres = [dict(zip(names, row, strict=True)) for row in cursor]
        if sqlite:
            assert names == list(sqlite[0])
        if "sequence" in names:
            return _ranked(sqlite), _ranked(postgres)
        return _sorted(sqlite), _sorted(postgres)

    def answers(self, statement: str, row: Row) -> tuple[list[list[Any]], list[list[Any]]]:
        """Return what a query says on both, in its order."""
        sql = _sqlite_statement(statement)
        sqlite = self.sqlite.all(sql, dict.fromkeys(_NAME.findall(sql)) | row)
        cursor = run(self.postgres, statement, **row)
        names = [column.name for column in cursor.description or ()]
        asked = [dict(zip(names, found, strict=True)) for found in cursor]
        return _plain([dict(each) for each in sqlite]), _plain(asked)


def _sqlite_statement(name: str) -> str:
    return next(found[name] for found in (statements(SQL, file) for file in FILES) if name in found)


def _plain(rows: list[Row]) -> list[list[Any]]:
    """Return the values of rows without their names, which a query may leave open, and without sequences."""
    return [[_comparable(value) for name, value in row.items() if name not in NUMBERS] for row in rows]


def _ranked(rows: list[Row]) -> list[Row]:
    """Return rows in the order of their sequence, in which PostgreSQL has gaps."""
    ordered = sorted(rows, key=lambda row: int(row["position" if "position" in row else "sequence"]))
    return [{name: _comparable(row[name]) for name in row if name not in NUMBERS} for row in ordered]


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(({name: _comparable(value) for name, value in row.items()} for row in rows), key=repr)


def _comparable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        return _comparable(json.loads(value))
    if isinstance(value, list):
        return [_comparable(each) for each in value]
    if isinstance(value, dict):
        return {name: _comparable(value[name]) for name in sorted(value) if name not in NUMBERS}
    if isinstance(value, float):
        return _Measured(value)
    return str(value) if isinstance(value, UUID) else int(value) if isinstance(value, bool) else value


@pytest.fixture
def both(tmp_path: Path, store_url: str) -> Iterator[Both]:
    """Two new stores."""
    with psycopg.connect(store_url, autocommit=True) as connection:
        set_up(connection)
        store = open_store(tmp_path / "store.db")
        store.execute("PRAGMA synchronous = OFF")
        yield Both(store, connection)
        store.close()


class History:
    """Random events, each of which a store may see next."""

    def __init__(self, both: Both, seed: int) -> None:
        self.both = both
        self.random = random.Random(seed)
        self.now = datetime(2026, 1, 31, 12, microsecond=70_001, tzinfo=UTC)
        self.requested: list[str] = []
        self.running: dict[str, tuple[int, int]] = {}
        self.attempts: dict[str, int] = {}
        self.tokens = 0
        self.step = 0

    def play(self, events: int) -> int:
        """Play so many events; return how many both refused."""
        refused = 0
        for _ in range(events):
            choice = self.random.random()
            try:
                if choice < 0.35 or not self.requested:
                    self._request()
                elif choice < 0.5:
                    self._claim()
                elif choice < 0.6:
                    self._append(self.random.choice(self.requested), "cancel_requested", message="by hand")
                else:
                    self._go_on()
            except ConstraintError:
                refused += 1
        return refused

    def _id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128)))

    def _at(self) -> str:
        self.now += timedelta(seconds=self.random.randrange(32_000))
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _request(self) -> None:
        choose = self.random.choice
        fraise, environment = choose([*PLACES, ("cellar", "nowhere")])
        row: Row = {
            "deployment_id": choose([*[self._id()] * 9, *self.requested[-1:]]),
            "number": 1,
            "event": "requested",
            "at": self._at(),
            "fraise_id": fraise,
            "environment": environment,
            "kind": choose(["deploy", "deploy", "rollback", "run", "run", "sow"]),
            "trigger": choose(["webhook", "manual"]),
            "repeats": choose([None, None, self._id()]),
            "commit_sha": choose(["a" * 40, "b" * 40, None]),
            "ref": choose(["refs/heads/main", "refs/tags/ü", None]),
            "requested_by": "Änne",
            "webhook_event_id": choose([None, *DELIVERIES]),
            "release": choose([None, "r0"]),
            "pathspecs": choose([None, '[["src", "*.py"], ["docs"]]']),
            "reason": "branch: main",
            "newest_delivery": choose(range(5)),
            "requested_for": choose([None, self._id()]),
            "arguments": choose([None, '["--since", "ä"]']),
            "overlap": choose([None, "queue", "allow"]),
            "deploys_wait": choose([None, True, False]),
            "executor": choose([None, "worker", "unit"]),
        }
        self.both.insert("tb_deployment_events", row)
        self.requested.append(str(row["deployment_id"]))

    def _claim(self) -> None:
        pending = self.both.sqlite.all("SELECT id FROM tb_deployments WHERE status = 'pending'")
        deployment = self.random.choice([*(str(row["id"]) for row in pending), *self.requested[-2:]])
        attempt = self.attempts.get(deployment, 0) + 1
        self.tokens += 1
        lease = {
            "token": self.tokens,
            "deployment_id": deployment,
            "host": "barn",
            "attempt": attempt,
        }
        self.both.execute("DELETE FROM tb_leases WHERE deployment_id = :deployment_id", lease)
        self.both.execute(_LEASE, lease | {"expires": 0.0}, {"expires": "infinity"})
        self._append(deployment, "claimed", token=self.tokens, host="barn", attempt=attempt)
        self.attempts[deployment] = attempt
        self.running[deployment] = (self.tokens, attempt)

    def _go_on(self) -> None:
        if not self.running:
            return
        deployment = self.random.choice([*self.running])
        token, attempt = self.running[deployment]
        held = {"token": token, "host": "barn", "attempt": attempt}
        if self.random.random() < 0.3:
            self._end(deployment, held)
            return
        event = self.random.choice(PROGRESS)
        release = {"release": f"r{self.random.randrange(9)}", "commit_sha": "c" * 40}
        if event == "step":
            self._run_step(deployment, held)
        elif event == "release_chosen":
            before = {"previous_release": "r0", "previous_commit_sha": None}
            self._append(deployment, event, **held, **release, **before)
        elif event == "serving":
            self._append(deployment, event, **held, **self.random.choice([release, {}]))
        else:
            self._append(deployment, event, **held, message="no answer")

    def _run_step(self, deployment: str, held: Row) -> None:
        self.step += 1
        step = held | {"step": "build", "step_number": self.step}
        self._append(deployment, "step_started", **step, repeatable=self.random.choice([True, False, None]))
        if self.random.random() < 0.7:
            self._append(deployment, "step_finished", **step, step_status="success", duration=0.25)

    def _end(self, deployment: str, held: Row) -> None:
        event = self.random.choice([*ENDINGS, "requeued", *["success"] * 5])
        message = self.random.choice([None, "it\nbroke"])
        seconds = self.random.choice([None, round(self.random.random() * 60, 3)])
        self._append(deployment, event, **held, message=message, duration=seconds)
        del self.running[deployment]

    def _append(self, deployment: str, event: str, **columns: Any) -> None:
        (found,) = self.both.sqlite.all(
            "SELECT last_event FROM tb_deployments WHERE id = :id", {"id": deployment}
        )
        row = {
            "deployment_id": deployment,
            "number": found["last_event"] + 1,
            "event": event,
            "at": self._at(),
        }
        self.both.insert("tb_deployment_events", row | columns)


def _deliver(both: Both) -> None:
    refs = ("refs/heads/main", None, "refs/tags/1", "refs/heads/main")
    for number, (id_, ref) in enumerate(zip(DELIVERIES, refs, strict=True)):
        event = {
            "id": id_,
            "provider": "gitea",
            "event_type": "push",
            "repository": "a.example/b",
            "body_sha256": "0" * 64,
            "ref": ref,
            "delivery_key": f"k{number}",
            "urls": '["https://a.example/b"]',
            "reasons": json.dumps(["ä", "b"]),
            "received_at": "2026-01-31T12:00:00.000001Z",
            "verdict": "accepted",
            "body": b"\x00\xff",
        }
        both.run("insert_event", event)
        both.run("insert_payload", event)
    more = {"webhook_event_id": DELIVERIES[0], "number": 2, "ref": "refs/heads/b", "reasons": "[]"}
    both.run("insert_ref", more)
    refused = {"id": str(UUID(int=9)), "provider": "gitea", "client": "::1", "reason": "no signature"}
    both.run("insert_refused", refused | {"received_at": "2026-01-31T12:00:00.000000Z"})


@every_postgres
@pytest.mark.parametrize("run_number", range(1))
def test_the_same_events_give_the_same_rows(both: Both, run_number: int) -> None:
    _deliver(both)
    history = History(both, int(os.environ["FRAISIER_SEED"]) + run_number)
    refused = history.play(250)
    assert refused > 0
    for table in TABLES:
        sqlite, postgres = both.rows(table)
        assert postgres == sqlite, table
        assert sqlite or table in {"tb_serving", "v_deployment_stats"}, table


@every_postgres
def test_the_same_questions_have_the_same_answers(both: Both) -> None:
    _deliver(both)
    history = History(both, int(os.environ["FRAISIER_SEED"]))
    unanswered = {*ABOUT_DEPLOYMENTS, *ABOUT_DELIVERIES, *IN_GENERAL}
    for _ in range(MOST_ROUNDS):
        history.play(200)
        unanswered -= _questions(both, history.random)
        if not unanswered:
            break
    assert not unanswered


def _questions(both: Both, chance: random.Random) -> set[str]:
    """Ask everything, about a deployment of each status; return which questions had an answer."""
    answered: set[str] = set()
    shown = {"limit": 30, "after": 0, "lane": "release", "host": "barn", "commits": json.dumps(["a" * 40])}
    for deployment in _one_of_each_status(both, chance):
        row = deployment | shown | {"deployed": "b" * 40, "deployment_id": deployment["id"]}
        row["pattern"] = "%" + deployment["id"][-6:]
        for delivery in (DELIVERIES[0], None):
            row |= {"delivery_id": delivery, "webhook_event_id": delivery, "repeats": delivery}
            answered |= _compare(both, ABOUT_DEPLOYMENTS, row)
    for number, delivery in enumerate(DELIVERIES):
        row = {"id": delivery, "delivery_id": delivery, "repeats": delivery, "provider": "gitea"}
        row |= {"ids": json.dumps([delivery]), "pattern": "%" + delivery[-3:]}
        row |= {"delivery_key": f"k{number}", "ref": "refs/heads/main"}
        answered |= _compare(both, ABOUT_DELIVERIES, row)
    for verdict in (None, "accepted", "refused", "ignored"):
        answered |= _compare(both, IN_GENERAL, shown | {"limit": 500, "verdict": verdict})
    return answered


def _one_of_each_status(both: Both, chance: random.Random) -> list[Row]:
    known = [dict(row) for row in both.sqlite.all("SELECT * FROM v_deployment_history ORDER BY id")]
    statuses = sorted({row["status"] for row in known})
    return [chance.choice([row for row in known if row["status"] == status]) for status in statuses]


def _compare(both: Both, names: tuple[str, ...], row: Row) -> set[str]:
    """Compare the answers; return which questions had one."""
    answered = set()
    for name in names:
        sqlite, postgres = both.answers(name, row)
        assert postgres == sqlite, (name, row)
        if sqlite:
            answered.add(name)
    return answered


def test_rebuilding_gives_the_same_rows_again(both: Both) -> None:
    History(both, int(os.environ["FRAISIER_SEED"])).play(200)
    before = [both.rows(table)[1] for table in FOLDED]
    with both.postgres.transaction():
        for name in statements(postgres_migrations.SQL, "rebuild"):
            run(both.postgres, name, after=0, until=10_000)
    assert [both.rows(table)[1] for table in FOLDED] == before


def test_both_have_the_same_statements() -> None:
    on_sqlite = {name for file in (*FILES, "rebuild") for name in statements(SQL, file)}
    within_others = {"claimable", "forget_dead_workers", "skip_overlapping"}  # a claim, heartbeat, request
    within_others |= {name for name in on_sqlite if name.startswith("empty_")}  # of the end of the fold
    assert on_sqlite - within_others <= set(postgres_statements())

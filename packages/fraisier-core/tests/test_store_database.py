import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fraisier_core.errors import StoreError
from fraisier_core.store.relational.dialect import ConstraintError
from fraisier_core.store.relational.migrations import migrations
from fraisier_core.store.sqlite.connection import Connection
from fraisier_core.store.sqlite.sqlite_migrations import SQL

OPEN_AT_ONCE = """
import multiprocessing
import sys
from pathlib import Path
from fraisier_core.store.relational.dialect import ConstraintError
from fraisier_core.store.sqlite.connection import Connection


def open_each(start):
    found = []
    for number in range(20):
        start.wait(10)
        database = Connection.open(Path(sys.argv[1]) / str(number) / "store.db")
        found.append(len(database.all("SELECT * FROM tb_migrations")))
        database.close()
    sys.stdout.write(f"{found}\\n")


context = multiprocessing.get_context("fork")
start = context.Barrier(3)
processes = [context.Process(target=open_each, args=[start]) for _ in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join()
"""


KILLED_AT = """
import functools, os, signal, sqlite3, sys
from pathlib import Path
from fraisier_core.store.sqlite.connection import Connection

def kill_at(statement):
    if sys.argv[2] in statement:
        os.kill(os.getpid(), signal.SIGKILL)

class Traced(sqlite3.Connection):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.set_trace_callback(kill_at)

sqlite3.connect = functools.partial(sqlite3.connect, factory=Traced)
Connection.open(Path(sys.argv[1]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


def test_a_store_is_durable_and_keeps_what_it_holds(path: Path) -> None:
    database = Connection.open(path)
    assert tuple(database.all("PRAGMA synchronous")[0]) == (2,)
    assert tuple(database.all("PRAGMA journal_mode")[0]) == ("wal",)
    database.execute("INSERT INTO tb_fraises (id, type, configured) VALUES ('api', 'api', 1)")
    database.close()
    assert len(Connection.open(path).all("SELECT * FROM tb_fraises")) == 1


def test_other_users_cannot_read_it(path: Path) -> None:
    Connection.open(path).close()
    assert path.stat().st_mode & 0o007 == 0


def test_all_who_open_a_new_store_at_once_get_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPEN_AT_ONCE, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str([len(migrations(SQL))] * 20)] * 3


def test_opening_waits_for_whoever_makes_the_store_just_now(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    opened = threading.Timer(0.1, other.close)
    opened.start()
    assert len(Connection.open(path).all("SELECT * FROM tb_migrations")) == len(migrations(SQL))
    opened.join()


def test_a_store_that_is_newer_is_refused_and_left_alone(path: Path) -> None:
    database = Connection.open(path)
    database.execute("INSERT INTO tb_migrations (name, checksum) VALUES ('9999_future.sql', 'x')")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer version of Fraisier made the store \(it has 9999"):
        Connection.open(path)
    assert path.read_bytes() == before


def schema(path: Path) -> list[tuple[str, str]]:
    rows = Connection.open(path).all("SELECT name, sql FROM sqlite_master ORDER BY name")
    return [(row["name"], row["sql"]) for row in rows]


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE tb_fraises", "CREATE VIEW", "INSERT INTO tb_migrations", "COMMIT"]
)
def test_a_migration_that_is_killed_leaves_nothing_half_done(path: Path, statement: str) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED_AT, path, statement], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert schema(path) == schema(path.with_name("other.db"))


@pytest.mark.parametrize("content", [b"garbage, not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_named_with_what_to_do(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"(?s){path}.*run `fraisier db restore`"):
        Connection.open(path)
    assert path.read_bytes() == content


def test_a_reader_creates_nothing(path: Path) -> None:
    assert Connection.open_for_reading(path) is None
    assert not path.parent.exists()
    Connection.open(path).close()
    found = Connection.open_for_reading(path)
    assert found is not None
    found.close()


def test_a_store_held_for_long_says_so(path: Path) -> None:
    holder, other = Connection.open(path), Connection.open(path, busy_seconds=0.05)
    with (
        holder.transaction(),
        pytest.raises(StoreError, match="It is locked by another process"),
        other.transaction(),
    ):
        pass
    with other.transaction():
        pass


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_written_to_a_file_that_was_deleted_or_replaced(path: Path, replaced: bool) -> None:
    database = Connection.open(path)
    path.unlink()
    if replaced:
        path.touch()
    with pytest.raises(StoreError, match="was deleted or replaced; restart every"), database.transaction():
        pytest.fail("the transaction began")


def test_a_failed_transaction_leaves_nothing_and_the_connection_usable(path: Path) -> None:
    database = Connection.open(path)
    insert = "INSERT INTO tb_fraises (id, type, configured) VALUES (:id, :type, 1)"
    with pytest.raises(ConstraintError), database.transaction():
        database.execute_many(insert, [{"id": "api", "type": "api"}] * 2)
    assert database.all("SELECT * FROM tb_fraises") == []
    with database.transaction():
        pass


def test_only_a_fleeting_transaction_does_not_wait_for_the_disk(path: Path) -> None:
    database = Connection.open(path)
    found = database.transact(lambda: database.all("PRAGMA synchronous"), durable=False)
    assert tuple(found[0]) == (1,)
    assert tuple(database.all("PRAGMA synchronous")[0]) == (2,)
    with pytest.raises(ConstraintError):
        database.transact(
            lambda: database.execute("INSERT INTO tb_leases (deployment_id) VALUES ('one')"), durable=False
        )
    assert tuple(database.all("PRAGMA synchronous")[0]) == (2,)


def test_one_connection_checkpoints_and_another_takes_over_when_it_ends(path: Path) -> None:
    first = Connection.open(path)
    assert first.take_checkpoints()
    assert first.take_checkpoints()
    second = Connection.open(path)
    assert not second.take_checkpoints()
    first.close()
    assert second.take_checkpoints()
    assert path.with_name("checkpoint.lock").stat().st_mode & 0o777 == 0o600

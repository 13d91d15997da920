"""How a store is made and migrated, and that it is left alone if that may not be."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from fraisier_core.errors import OutdatedStoreError, StoreError
from fraisier_core.plugins import Plugins
from fraisier_core.store.protocol import Reader, Store
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.store.relational.dialect import ConstraintError
from fraisier_core.system.host import Host

from tests.databases import Database, PostgresDatabase, SqliteDatabase, version_of
from tests.postgres import Servers
from tests.stores import OpenStore

OPEN_AT_ONCE = """
import multiprocessing
import sys
from fraisier_core.plugins import Plugins
from fraisier_core.system.host import Host


def open_each(start):
    plugins, migrated = Plugins.installed(), []
    for url in sys.argv[1:]:
        start.wait(30)
        store = plugins.store(url).open(url, Host())
        migrated.append(len(store.migrated))
        store.close()
    sys.stdout.write(f"{' '.join(map(str, migrated))}\\n")


context = multiprocessing.get_context("fork")
start = context.Barrier(3)
processes = [context.Process(target=open_each, args=[start]) for _ in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join()
"""
Place = Callable[[], Database]


@pytest.fixture
def nowhere(database_name: str, tmp_path: Path, postgres_servers: Servers) -> Place:
    """Returns places in which there is no store yet."""
    numbers = iter(range(100))
    if database_name == "sqlite":
        return lambda: SqliteDatabase(tmp_path / str(next(numbers)) / "store.db")
    server = postgres_servers(version_of(database_name))
    return lambda: PostgresDatabase(server.url(server.create()))


@pytest.fixture
def new(nowhere: Place) -> Database:
    """A store of the test's own, to be spoilt."""
    database = nowhere()
    database.open().close()
    return database


@pytest.fixture
def store(database: Database) -> Iterator[OpenStore]:
    with closing(database.open()) as store:
        yield store


def opened(database: Database) -> Store:
    return Plugins.installed().store(database.url).open(database.url, Host())


def opened_for_reading(database: Database) -> Reader | None:
    return Plugins.installed().store(database.url).open_for_reading(database.url, Host())


def change(database: Database, sql: str) -> None:
    with closing(database.open()) as store:
        store.execute(sql)


def applied(database: Database) -> list[str]:
    with closing(database.open()) as store:
        return [row["name"] for row in store.all("SELECT name FROM tb_migrations ORDER BY name")]


def environment(fraise: str) -> ConfiguredEnvironment:
    return ConfiguredEnvironment(fraise, "api", None, None, "production", None, None)


def test_a_store_is_made_once_and_keeps_what_it_holds(nowhere: Place) -> None:
    place = nowhere()
    assert opened_for_reading(place) is None
    with closing(opened(place)) as made:
        assert made.migrated
        made.configure([environment("api")])
    with closing(opened(place)) as again:
        assert again.migrated == ()
        assert [each.fraise_id for each in again.status()] == ["api"]


def test_of_all_who_open_a_new_store_at_once_one_makes_it(nowhere: Place) -> None:
    places = [nowhere() for _ in range(4)]
    command = [sys.executable, "-c", OPEN_AT_ONCE, *(place.url for place in places)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    migrated = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    assert [sorted(each) for each in zip(*migrated, strict=True)] == [
        [0, 0, len(applied(place))] for place in places
    ]


def test_a_newer_store_is_refused_and_left_alone(new: Database) -> None:
    change(new, "INSERT INTO tb_migrations (name, checksum) VALUES ('9999_future.sql', 'x')")
    for open_it in (opened, opened_for_reading):
        with pytest.raises(StoreError, match=r"newer version of Fraisier made the store \(it has 9999"):
            open_it(new)


def test_a_store_made_with_an_edited_migration_is_refused(new: Database) -> None:
    first = applied(new)[0]
    change(new, f"UPDATE tb_migrations SET checksum = 'edited' WHERE name = '{first}'")
    for open_it in (opened, opened_for_reading):
        with pytest.raises(StoreError, match=f"migration {first} differs"):
            open_it(new)


def test_whoever_only_reads_an_older_store_is_told_to_migrate_it(new: Database) -> None:
    change(new, f"DELETE FROM tb_migrations WHERE name = '{applied(new)[-1]}'")
    with pytest.raises(OutdatedStoreError, match="run `fraisier db migrate`"):
        opened_for_reading(new)


def test_a_failed_transaction_leaves_nothing_and_the_store_usable(store: OpenStore) -> None:
    store.configure([environment("api")])
    request = Request("api", "production", "deploy", "manual", "ada")
    with pytest.raises(ConstraintError):
        store.request_all([request, request._replace(environment="unheard-of")])
    assert store.deployments() == []
    store.request(request)
    assert len(store.deployments()) == 1


def test_threads_share_a_store_a_transaction_at_a_time(store: OpenStore) -> None:
    insert = "INSERT INTO tb_fraises (id, type, configured) VALUES (:id, 'api', true)"

    def insert_two(name: str) -> None:
        for half in ("a", "b"):
            store.execute(insert, {"id": f"{name}-{half}"})

    def write(thread: int) -> None:
        for number in range(20):
            store.transact(partial(insert_two, f"{thread}-{number}"))

    threads = [threading.Thread(target=write, args=(each,)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.all("SELECT * FROM tb_fraises")) == 160

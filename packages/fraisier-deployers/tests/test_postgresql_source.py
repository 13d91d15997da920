import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from fraisier_core import JobSettings, Release
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup import fraise_type
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.dumping import Dumped, Sink
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.manifest import PostgresqlFacts
from fraisier_deployers.backup.sources.connection_variables import connection_variables
from fraisier_deployers.backup.sources.postgres_database import PostgresDatabase
from fraisier_deployers.backup.sources.postgres_programs import Programs, installed_programs, not_older
from fraisier_deployers.backup.sources.postgres_target import object_differences, sequence_differences
from fraisier_deployers.backup.sources.postgresql import PostgresqlSource, dumped_database, load

from tests.memory import memory_of_commands
from tests.postgres import PASSWORD, USUAL, Server, Servers
from tests.postgres_server import programs

both_versions = pytest.mark.parametrize("postgres_version", [16, 18])
SCHEMA = """
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 500) n;
CREATE SCHEMA "My ""Schema";
CREATE TABLE "My ""Schema"."orders of 'all'" (id bigserial, total numeric);
INSERT INTO "My ""Schema"."orders of 'all'" (total) VALUES (1.5), (2.5);
CREATE TABLE parted (at date) PARTITION BY RANGE (at);
CREATE TABLE parted_2026 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO parted VALUES ('2026-11-29');
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM customers;
"""
LINE = "SET transaction_timeout = 0;"
ROWS = {'"My ""Schema"."orders of \'all\'"': 2, "public.customers": 500, "public.parted_2026": 1}

ORDERS = '"My ""Schema"."orders of \'all\'_id_seq"'

Run = FakeRun[JobSettings]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return FakeRun(JobSettings(), Release("", tmp_path, ""))


@pytest.fixture
def filled(postgres_url: str) -> str:
    execute(postgres_url, SCHEMA)
    return postgres_url


def execute(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def source(url: str, version: int) -> PostgresqlSource:
    return PostgresqlSource(url, programs(version))


def dump(run: Run, url: str, version: int, folder: Path) -> tuple[Dumped, PostgresqlFacts]:
    dumped = source(url, version).dump(run, folder, Sink(folder / "made.dump"))
    assert isinstance(dumped.facts, PostgresqlFacts)
    return dumped, dumped.facts


@contextmanager
def new_database(server: Server, run: Run, version: int) -> Iterator[PostgresDatabase]:
    with server.database() as url:
        yield PostgresDatabase.at(url, run, programs(version))


@both_versions
def test_what_is_restored_has_the_rows_that_were_dumped(
    run: Run, filled: str, postgres_servers: Servers, postgres_version: int, tmp_path: Path
) -> None:
    dumped, facts = dump(run, filled, postgres_version, tmp_path)
    assert (facts.tables, facts.server_major) == (ROWS, postgres_version)
    assert dumped.size == (tmp_path / "made.dump").stat().st_size
    with new_database(postgres_servers(postgres_version), run, postgres_version) as target:
        assert target.is_empty()
        load(target, tmp_path / "made.dump", facts)
        assert target.rows() == ROWS
        assert not target.is_empty()
        assert dumped_database(target, tmp_path / "made.dump", facts) == facts.database


FIFTY_MEGABYTES = """
CREATE TABLE filled AS
SELECT n, (SELECT string_agg(sha512((n * 8 + m)::text::bytea)::text, '') FROM generate_series(1, 8) m) AS text
FROM generate_series(1, 48000) n
"""
CHECKSUM = b"SELECT count(*), md5(string_agg(md5(filled::text), '' ORDER BY n)) FROM filled"


def checksum(url: str) -> tuple[int, str]:
    with psycopg.connect(url, autocommit=True) as connection:
        ((count, digest),) = connection.execute(CHECKSUM).fetchall()
    return count, digest


def test_fifty_megabytes_are_dumped_in_little_memory_and_each_row_is_restored(
    run: Run, postgres_url: str, postgres_servers: Servers, tmp_path: Path
) -> None:
    execute(postgres_url, FIFTY_MEGABYTES)
    with memory_of_commands() as memory:
        dumped, facts = dump(run, postgres_url, USUAL, tmp_path)
    assert 0 < memory.largest < 40
    assert dumped.size > 25_000_000  # so that a process that keeps it is seen
    with postgres_servers(USUAL).database() as url:
        load(PostgresDatabase.at(url, run, programs(USUAL)), tmp_path / "made.dump", facts)
        assert checksum(url) == checksum(postgres_url)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TYPE mood AS ENUM ('good')",
        "CREATE TYPE pair AS (a integer)",
        "CREATE DOMAIN age AS integer",
        "CREATE CAST (text AS integer) WITH INOUT",
        "CREATE PUBLICATION news",
        "CREATE TEXT SEARCH CONFIGURATION words (COPY = simple)",
        "SELECT lo_create(5)",
    ],
)
def test_a_database_with_anything_of_somebody_is_not_empty(run: Run, postgres_url: str, sql: str) -> None:
    database = PostgresDatabase.at(postgres_url, run, programs(USUAL))
    assert database.is_empty()
    execute(postgres_url, sql)
    assert not database.is_empty()


def test_what_is_missing_beside_rows_is_a_difference(run: Run, filled: str, tmp_path: Path) -> None:
    facts = dump(run, filled, USUAL, tmp_path)[1]
    database = PostgresDatabase.at(filled, run, programs(USUAL))
    assert database.objects() == facts.objects
    assert database.sequences() == facts.sequences == {ORDERS: 2}
    execute(filled, f"SELECT nextval($${ORDERS}$$)")
    assert sequence_differences(facts.sequences, database.sequences()) == []
    said = f"the sequence {ORDERS} is at its beginning, not at 2"
    assert sequence_differences(facts.sequences, {}) == [said]
    execute(filled, "DROP MATERIALIZED VIEW totals; ALTER TABLE customers DROP CONSTRAINT customers_pkey")
    expected = ["it has 0 constraints, not 1", "it has 0 indexes, not 1", "it has 0 views, not 1"]
    assert object_differences(facts.objects, database.objects()) == expected


def test_a_locale_of_postgresql_itself_and_rows_of_an_extension_are_restored(
    run: Run, postgres_servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "extension").mkdir()
    (tmp_path / "extension/zones.control").write_text("default_version = '1'")
    sql = "CREATE TABLE zones (n integer); INSERT INTO zones VALUES (1);"
    sql += "SELECT pg_extension_config_dump('zones', 'WHERE n > 1')"
    (tmp_path / "extension/zones--1.sql").write_text(sql)
    server, name = postgres_servers(18), f"test_{uuid4().hex}"
    found = quote(f"-c extension_control_path={tmp_path}")
    server.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
    )
    url = f"{server.url(name)}&options={found}"
    execute(url, "CREATE EXTENSION zones; INSERT INTO zones VALUES (2), (3)")
    role = f"app_{name}"
    server.execute(f"CREATE ROLE {role}")
    execute(url, f"CREATE TABLE plain (n integer); ALTER TABLE plain OWNER TO {role}")
    facts = dump(run, url, 18, tmp_path)[1]
    assert facts.tables == {"public.zones": 2, "public.plain": 0}
    assert facts.owners == (role,)
    target = PostgresDatabase.at(url, run, programs(18)).named(f"{name}_new")
    target.create(facts)
    load(target, tmp_path / "made.dump", facts)
    assert target.rows() == facts.tables
    with psycopg.connect(server.url(target.name)) as connection:
        sql = "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()"
        assert connection.execute(sql).fetchall() == [("b", "C.UTF-8")]
    for each in (name, target.name):
        server.execute(f"DROP DATABASE {each}")
    server.execute(f"DROP ROLE {role}")


def test_tables_whose_names_only_look_the_same_are_both_counted(run: Run, postgres_url: str) -> None:
    execute(postgres_url, 'CREATE SCHEMA "a.b"; CREATE SCHEMA a')
    execute(postgres_url, 'CREATE TABLE "a.b".c (n integer); CREATE TABLE a."b.c" (n integer)')
    rows = PostgresDatabase.at(postgres_url, run, programs(USUAL)).rows()
    assert rows == {'"a.b".c': 0, 'a."b.c"': 0}


def test_settings_of_the_database_neither_end_a_session_nor_hide_rows_from_it(
    run: Run, filled: str, tmp_path: Path
) -> None:
    name = filled.rpartition("/")[2].partition("?")[0]
    settings = ("statement_timeout", "transaction_timeout", "idle_in_transaction_session_timeout")
    for setting in settings:
        execute(filled, f"ALTER DATABASE {name} SET {setting} = '10 min'")
    shown = tmp_path / "shown.sql"
    columns = (f"current_setting('{each}')" for each in (*settings, "row_security"))
    shown.write_text(f"SELECT json_build_array({', '.join(columns)})")
    assert PostgresDatabase.at(filled, run, programs(USUAL)).ask(str(shown)) == [["0", "0", "0", "off"]]


def test_rows_are_counted_in_the_snapshot_that_is_dumped(
    run: Run, filled: str, postgres_servers: Servers, postgres_version: int, tmp_path: Path
) -> None:
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(filled, autocommit=True) as connection:
            number = 1000
            while not stop.is_set():
                number += 1
                connection.execute("INSERT INTO customers VALUES (%s, 'new')", [number])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        facts = dump(run, filled, postgres_version, tmp_path)[1]
    finally:
        stop.set()
        writer.join()
    assert facts.tables["public.customers"] > ROWS["public.customers"]
    with new_database(postgres_servers(postgres_version), run, postgres_version) as target:
        load(target, tmp_path / "made.dump", facts)
        assert target.rows() == facts.tables


def test_no_part_of_the_url_is_an_argument(
    run: Run, filled: str, postgres_servers: Servers, postgres_version: int, tmp_path: Path
) -> None:
    server = postgres_servers(postgres_version)
    name = filled.rpartition("/")[2].partition("?")[0]
    dump(run, server.tcp_url(name), postgres_version, tmp_path)
    said = [argument for argv in run.commands for argument in argv] + [run.output]
    assert not [each for each in said if PASSWORD in each or quote(PASSWORD) in each or name in each]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda url: url.rpartition("=")[0] + "=1", "connection to server .* failed"),
        (lambda url: url.replace("/test_", "/no_"), 'database "no_.*" does not exist'),
    ],
)
def test_a_server_that_cannot_be_asked_is_an_error_that_says_why(
    run: Run, filled: str, postgres_version: int, tmp_path: Path, break_it: Callable[[str], str], message: str
) -> None:
    with pytest.raises(BackupError, match=message):
        dump(run, break_it(filled), postgres_version, tmp_path)


def test_a_pg_dump_that_is_killed_costs_no_backup_and_the_next_one_succeeds(
    filled: str, postgres_version: int, tmp_path: Path
) -> None:
    folder, copies = tmp_path / "bin", LocalPlace(tmp_path / "copies")
    folder.mkdir()
    for name in ("psql", "pg_restore"):
        (folder / name).symlink_to(programs(postgres_version) / name)
    real = programs(postgres_version) / "pg_dump"
    script = f'test "$1" = --version && exec {real} --version; echo last words >&2; kill -KILL $$'
    (folder / "pg_dump").symlink_to(real)
    source = {"postgresql": filled, "bin": folder}
    section = {"source": source, "path": copies.folder, "keep": {"last": 1}}
    run = FakeRun(BackupSettings.model_validate(section), Release("", tmp_path, ""), fraise="shop")
    fraise_type.back_up(run)
    before = copies.manifests()
    (folder / "pg_dump").unlink()
    (folder / "pg_dump").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "pg_dump").chmod(0o755)
    with pytest.raises(BackupError, match=r"pg_dump was killed by signal 9 .*: last words$"):
        fraise_type.back_up(run)
    assert (copies.manifests(), len(run.stored)) == (before, 1)
    (folder / "pg_dump").unlink()
    (folder / "pg_dump").symlink_to(real)
    fraise_type.back_up(run)
    assert [each.name for each in copies.manifests().manifests] == [run.stored[1].name]


def test_owners_and_grants_that_the_server_lacks_are_left_out_and_named(
    run: Run, filled: str, postgres_servers: Servers, postgres_version: int, tmp_path: Path
) -> None:
    server = postgres_servers(postgres_version)
    name = filled.rpartition("/")[2].partition("?")[0]
    roles = [f"owner_{name}", f"maker_{name}", f"reader_{name}"]
    for role in roles:
        server.execute(f"CREATE ROLE {role}")
    owned = f"ALTER TABLE customers OWNER TO {roles[0]}; GRANT SELECT ON customers TO {roles[2]};"
    owned += f"ALTER DEFAULT PRIVILEGES FOR ROLE {roles[1]} GRANT SELECT ON TABLES TO PUBLIC"
    execute(filled, owned)
    facts = dump(run, filled, postgres_version, tmp_path)[1]
    assert set(facts.owners) & set(roles) == {roles[0]}
    assert (facts.grantees, facts.grantors) == ((roles[2],), (roles[1],))
    with new_database(server, run, postgres_version) as target:
        load(target, tmp_path / "made.dump", facts)
    assert "will belong" not in run.output
    execute(filled, f"DROP OWNED BY {', '.join(roles)} CASCADE")
    for role in roles:
        server.execute(f"DROP ROLE {role}")
    with new_database(server, run, postgres_version) as target:
        load(target, tmp_path / "made.dump", facts)
        assert target.rows() == ROWS
    assert f"everything will belong to postgres: {roles[0]} cannot be used here" in run.output
    assert f"will be granted anything: {roles[1]}, {roles[2]} cannot be used here" in run.output


@pytest.fixture
def old_dump(run: Run, postgres_servers: Servers, tmp_path: Path) -> Iterator[PostgresqlFacts]:
    """What the programs of version 18 dumped from a server of version 16."""
    with postgres_servers(16).database() as url:
        execute(url, SCHEMA + "CREATE TABLE lines (line text); INSERT INTO lines VALUES ('" + LINE + "')")
        yield dump(run, url, 18, tmp_path)[1]


def test_an_older_server_than_the_programs_is_restored_into_an_empty_cluster(
    run: Run, postgres_servers: Servers, old_dump: PostgresqlFacts, tmp_path: Path
) -> None:
    assert (old_dump.server_major, old_dump.dumped_by) == (16, 18)
    with postgres_servers.own(16) as empty:
        target = PostgresDatabase.at(empty.url("restored"), run, programs(18))
        target.create(old_dump)
        load(target, tmp_path / "made.dump", old_dump)
        assert target.rows() == old_dump.tables
        with psycopg.connect(empty.url("restored")) as connection:
            assert connection.execute("SELECT line FROM lines").fetchall() == [(LINE,)]


def test_a_role_that_a_policy_names_has_to_be_created_first(
    run: Run, filled: str, postgres_servers: Servers, tmp_path: Path
) -> None:
    server = postgres_servers(USUAL)
    roles = [f"{kind} {uuid4().hex}" for kind in ("policy", "owner")]
    for role in roles:
        server.execute(f'CREATE ROLE "{role}"')
    execute(filled, f'ALTER TABLE customers OWNER TO "{roles[1]}"')
    execute(filled, f'CREATE POLICY own ON customers TO "{roles[0]}" USING (true)')
    facts = dump(run, filled, USUAL, tmp_path)[1]
    with new_database(server, run, USUAL) as target:
        load(target, tmp_path / "made.dump", facts)
        assert target.rows() == ROWS
    execute(filled, f'DROP OWNED BY "{roles[0]}", "{roles[1]}" CASCADE')
    for role in roles:
        server.execute(f'DROP ROLE "{role}"')
    with new_database(server, run, USUAL) as target:
        with pytest.raises(BackupError, match=f'CREATE ROLE "{roles[1]}"; CREATE ROLE "{roles[0]}";$'):
            load(target, tmp_path / "made.dump", facts)
        assert target.is_empty()


def test_tablespaces_that_the_server_lacks_are_left_out(
    run: Run, postgres_servers: Servers, tmp_path: Path
) -> None:
    with postgres_servers.own(USUAL) as server, server.database() as url:
        disk = server.folder / "disk"
        disk.mkdir()
        shutil.chown(disk, server.folder.stat().st_uid)
        server.execute(f"CREATE TABLESPACE disk LOCATION '{disk}'")
        execute(url, "CREATE TABLE t (n integer) TABLESPACE disk; INSERT INTO t VALUES (1)")
        facts = dump(run, url, USUAL, tmp_path)[1]
    with new_database(postgres_servers(USUAL), run, USUAL) as target:
        load(target, tmp_path / "made.dump", facts)
        assert target.rows() == {"public.t": 1}
    assert "everything will lie in the default tablespace: disk cannot be used here" in run.output


def test_a_failed_restore_at_once_leaves_the_database_empty(
    run: Run, filled: str, postgres_servers: Servers, postgres_version: int, tmp_path: Path
) -> None:
    facts = dump(run, filled, postgres_version, tmp_path)[1]
    whole = (tmp_path / "made.dump").read_bytes()
    (tmp_path / "made.dump").write_bytes(whole[:-700])
    with new_database(postgres_servers(postgres_version), run, postgres_version) as target:
        with pytest.raises(BackupError, match="pg_restore exited with status 1: pg_restore: error"):
            load(target, tmp_path / "made.dump", facts, at_once=True)
        assert target.is_empty()


def test_a_dump_is_not_restored_into_an_older_server(
    run: Run, postgres_servers: Servers, tmp_path: Path
) -> None:
    with postgres_servers(18).database() as url:
        facts = dump(run, url, 18, tmp_path)[1]
    with (
        new_database(postgres_servers(16), run, 18) as target,
        pytest.raises(BackupError, match="is PostgreSQL 16: a dump of 18 needs 18 or newer"),
    ):
        load(target, tmp_path / "made.dump", facts)


def test_the_oldest_programs_are_taken_that_are_not_older_than_the_server() -> None:
    installed = [Programs(version, Path(f"/{version}")) for version in (13, 15, 17)]
    assert [not_older(installed, version).version for version in (12, 13, 14, 15, 16, 17)] == [
        13,
        13,
        15,
        15,
        17,
        17,
    ]
    with pytest.raises(
        BackupError, match=r"PostgreSQL 18, .* 13, 15, 17 is too old .*install postgresql-client-18$"
    ):
        not_older(installed, 18)
    with pytest.raises(BackupError, match=r"pg_dump is not installed: install postgresql-client-18$"):
        not_older([], 18)


def test_programs_are_found_by_their_version(tmp_path: Path) -> None:
    assert [each.version for each in installed_programs(programs(16), str(programs(18)))][-2:] == [16, 18]
    assert all(each.folder != Path("/usr/bin") for each in installed_programs(None, "/usr/bin"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://ada:p%40ss@db:5433/shop",
            {"PGUSER": "ada", "PGPASSWORD": "p@ss", "PGHOST": "db", "PGPORT": "5433"},
        ),
        ("postgres:///shop?host=/run/pg&password=x", {"PGHOST": "/run/pg", "PGPASSWORD": "x"}),
        (
            "postgresql://[::1]:1,b/shop?sslmode=require",
            {"PGHOST": "::1,b", "PGPORT": "1,", "PGSSLMODE": "require"},
        ),
    ],
)
def test_a_url_becomes_variables(url: str, expected: dict[str, str]) -> None:
    found = connection_variables(url)
    assert found.items() >= (expected | {"PGDATABASE": "shop"}).items()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://hunter2@h/d",
        "postgresql://u:pass@h:hunter2/d",
        "postgresql://h/d?hunter2=1",
        "postgresql://[::1/hunter2",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(should|has|may)") as refused:
        connection_variables(url)
    assert "hunter2" not in str(refused.value)

"""The store on PostgreSQL for tests, whose tables can be looked at."""

from __future__ import annotations

import psycopg
from fraisier_core.store.relational.migrations import migrations
from fraisier_core.system.host import Host
from fraisier_postgres.postgres_migrations import SQL
from fraisier_postgres.postgres_store import PostgresStore

from tests.postgres_server import Server
from tests.stores import OpenStore

_CLEAR = """
DO $$
DECLARE
    name text;
BEGIN
    SET LOCAL session_replication_role = replica;  -- no triggers, foreign keys included
    FOR name IN
        SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('tb_kinds', 'tb_migrations')
    LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
    PERFORM setval(format('%I', sequencename)::regclass, 1, false)
    FROM pg_sequences WHERE schemaname = 'public';
END $$
"""
_RECORDED_AT = """
DO $$
DECLARE
    place record;
    change CONSTANT text := 'UPDATE %1$I SET %2$I = overlay(%2$I::text PLACING %3$L FROM 1)::uuid '
        'WHERE %2$I::text SIMILAR TO ''0_______-____-7%%''';
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR place IN
        SELECT c.table_name, c.column_name FROM information_schema.columns AS c
        JOIN pg_tables AS t ON t.tablename = c.table_name AND t.schemaname = c.table_schema
        WHERE c.table_schema = 'public' AND c.data_type = 'uuid'
    LOOP
        EXECUTE format(change, place.table_name, place.column_name, '{time}');
    END LOOP;
END $$
"""


class OpenPostgresStore(PostgresStore, OpenStore):
    """The store on PostgreSQL."""

    def recorded_at(self, time: str) -> None:
        self.transact(lambda: self._connection.run_script(_RECORDED_AT.format(time=time)))

    def number_events_from(self, sequence: int) -> None:
        self.all("SELECT setval('deployment_event_sequence', :sequence, false)", {"sequence": sequence})

    def age_leases(self, seconds: float) -> None:
        sql = "UPDATE tb_leases SET expires = expires - make_interval(secs => :seconds)"
        self.execute(sql, {"seconds": seconds})


def new_store(server: Server) -> str:
    """Return a database with a new store in it, to be copied: half the work of a migration."""
    return server.template("new_store", lambda url: PostgresStore.open(url, Host()).close())


def clear(url: str) -> None:
    """Forget everything that a store holds."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_CLEAR)
        known = [migration.name for migration in migrations(SQL)]
        connection.execute("DELETE FROM tb_migrations WHERE name <> ALL (%s)", [known])

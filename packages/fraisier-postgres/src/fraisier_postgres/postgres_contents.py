"""The rows of a store on PostgreSQL. Whoever changes them here owns the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from fraisier_core.store.relational.dialect import CLOSED, quoted
from fraisier_core.store.relational.rows import RelationalContents, guarded_tables
from fraisier_core.store.tables import Closed, Row, Table

from fraisier_postgres.made_objects import made_objects
from fraisier_postgres.postgres_connection import PostgresConnection


class PostgresContents(RelationalContents):
    """Implements `tables.WritableContents`."""

    _connection: PostgresConnection

    def _made(self) -> Mapping[str, str | None]:
        return made_objects()

    @contextmanager
    def _without_rules(self, table: Table) -> Iterator[None]:
        self._connection.execute(f"ALTER TABLE {table.name} DISABLE TRIGGER USER")
        yield
        self._connection.execute(f"ALTER TABLE {table.name} ENABLE TRIGGER USER")

    def _lock_closed(self) -> None:
        if not self._connection.all(self._sql["is_closed"]):
            self._connection.execute(self._sql["create_closed"])
        self._connection.execute("LOCK TABLE tb_closed IN EXCLUSIVE MODE")  # readers may still read

    def _close(self, closed: Closed) -> None:
        """Refuse writers. No lock is taken that readers would wait for, or that would wait for them."""
        self._connection.execute("DELETE FROM tb_closed")
        self._connection.execute(self._sql["insert_closed"], closed._asdict())
        raising = f"RAISE EXCEPTION USING MESSAGE = {quoted(CLOSED + closed.message)}, ERRCODE = '23000';"
        function = "CREATE OR REPLACE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS"
        self._connection.run_script(f"{function} {quoted(f'BEGIN {raising} END')}")
        if closed.state == "draining":
            claims = "BEFORE INSERT ON tb_deployment_events FOR EACH ROW WHEN (NEW.event = 'claimed')"
            self._refuse("closed_claims", "tb_deployment_events", claims)
            return
        for table, changes in guarded_tables():
            when = f"BEFORE {' OR '.join(changes)} ON {table} FOR EACH STATEMENT"
            self._refuse("closed", table, when)

    def _refuse(self, name: str, table: str, when: str) -> None:
        self._connection.execute(f"CREATE OR REPLACE TRIGGER {name} {when} EXECUTE FUNCTION closed()")
        self._connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER {name}")

    def _open(self) -> None:
        """Refuse no writer. The triggers stay, disabled: dropping them would wait for every reader."""
        for row in self._connection.all(self._sql["closing"]):
            self._connection.execute(f"ALTER TABLE {row['place']} DISABLE TRIGGER {row['name']}")
        self._connection.execute("DELETE FROM tb_closed")

    def _upsert(self, table: Table, rows: Sequence[Row]) -> None:
        columns = ", ".join(self.columns(table))
        if not table.is_referred_to:
            self._connection.copy(f"COPY {table.name} ({columns}) FROM STDIN", rows)
            return
        changes = ", ".join(f"{name} = excluded.{name}" for name in self.columns(table))
        self._connection.execute(f"CREATE TEMPORARY TABLE incoming (LIKE {table.name}) ON COMMIT DROP")
        self._connection.copy(f"COPY incoming ({columns}) FROM STDIN", rows)
        self._connection.execute(
            f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM incoming "  # noqa: S608
            f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changes}"
        )

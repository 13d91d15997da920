"""Every text is kept, whatever the encoding of a database and of the environment."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from fraisier_core import Host, StoreError
from fraisier_postgres.postgres_connection import PostgresConnection
from fraisier_postgres.postgres_store import PostgresStore
from psycopg.conninfo import conninfo_to_dict

TEXT = "naïve 日本 🚀"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP", "WIN1252"])
def test_a_database_that_cannot_hold_every_text_is_refused(postgres_url: str, encoding: str) -> None:
    parts = conninfo_to_dict(postgres_url)
    name = f"{parts['dbname']}_other"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0".encode())
        try:
            with pytest.raises(
                StoreError, match=f"is encoded in {encoding}; create one with ENCODING 'UTF8'"
            ):
                PostgresStore.open(postgres_url.replace(str(parts["dbname"]), name), Host())
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "SJIS"])
def test_the_encoding_of_the_environment_changes_nothing(
    postgres_url: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    with closing(PostgresConnection(postgres_url)) as connection:
        assert connection.all("SELECT CAST(:text AS text) AS said", {"text": TEXT})[0]["said"] == TEXT

"""`database.url` is checked as a URL of PostgreSQL, and no message shows a piece of a password."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from fraisier_core import StoreError
from fraisier_core.plugins import Plugins
from fraisier_postgres.address import resolved
from fraisier_postgres.postgres_connection import PostgresConnection
from psycopg.conninfo import conninfo_to_dict

from tests.postgres import Server, Servers

FOLDER = Path("/srv/acme")


def resolve(url: str) -> str:
    return Plugins.installed().store(url).resolve_url(url, FOLDER)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql:///acme", "postgresql:///acme"),
        ("postgresql://db/acme", "postgresql://db/acme"),
        ("postgresql://deploy@db:5433/acme", "postgresql://deploy@db:5433/acme"),
        ("postgresql://deploy:p%40ss@db/acme", "postgresql://deploy:p%40ss@db/acme"),
        ("postgresql://deploy:p?a#s@db/acme", "postgresql://deploy:p%3Fa%23s@db/acme"),
        ("postgresql://db/acme?user=deploy&password=p/s", "postgresql://deploy:p%2Fs@db/acme"),
        ("postgresql://one:1,two/acme?sslmode=require", "postgresql://one:1,two/acme?sslmode=require"),
        ("postgresql://one,two/acme?port=7", "postgresql://one:7,two:7/acme"),
        ("postgresql://[::1]:5433,[fd00::2]/acme", "postgresql://[::1]:5433,[fd00::2]/acme"),
        ("postgresql:///acme?host=/run/pg&port=7", "postgresql://%2Frun%2Fpg:7/acme"),
        ("postgresql://%2Frun%2Fpg/acme", "postgresql://%2Frun%2Fpg/acme"),
        ("postgresql:///acme?host=@pg", "postgresql://%40pg/acme"),
        ("postgresql:///acme?hostaddr=::1&port=7", "postgresql://:7/acme?hostaddr=%3A%3A1"),
        ("postgresql://db/acme?ssl=true", "postgresql://db/acme?sslmode=require"),
        (
            "postgresql://db/acme?passfile=pgpass&sslrootcert=/etc/ca.pem",
            "postgresql://db/acme?passfile=%2Fsrv%2Facme%2Fpgpass&sslrootcert=%2Fetc%2Fca.pem",
        ),
        ("postgresql://db/acme?sslrootcert=system", "postgresql://db/acme?sslrootcert=system"),
        (
            "postgresql://db/acme?options=-c%20search_path%3Dx",
            "postgresql://db/acme?options=-c%20search_path%3Dx",
        ),
    ],
)
def test_a_url_is_resolved(url: str, expected: str) -> None:
    assert resolve(url) == expected
    assert resolve(expected) == expected, "resolving again changes nothing"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:a%20b%25c%3Fd%23e%26f@db:1,[::1]:2/a%2Fb?options=-c%20a%3Db&application_name=x%26y",
        "postgresql://u@one,two,three:3/acme?target_session_attrs=read-write&load_balance_hosts=random",
        "postgresql:///acme?host=/run/a,/run/b&port=1,2&connect_timeout=3",
    ],
)
def test_a_resolved_url_says_the_same_to_postgresql(url: str) -> None:
    assert conninfo_to_dict(resolve(url)) == conninfo_to_dict(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql:acme", "is no URL of PostgreSQL; write postgresql://USER@HOST/DATABASE"),
        ("postgresql://u:hush@db", "names no database; write postgresql://USER@HOST/DATABASE"),
        ("postgresql://u:hush@db/", "names no database"),
        (
            "postgresql://u:hush@hush@db/acme",
            "has a special character where none can be; percent-encode",
        ),
        ("postgresql://u:hush/hush@db/acme", "/ %2F"),
        ("postgresql://u:123/hush@db/acme", "/ %2F"),
        ("postgresql://u:hush:hush/@db/acme", "/ %2F"),
        ("postgresql://u:%hush@db/acme", "invalid percent-encoded token"),
        ("postgresql://u:hu%00sh@db/acme", "forbidden value %00"),
        ("postgresql://u:hu sh@db/acme", "a space %20"),
        ('postgresql://u:hu "sh"@db/acme', "a space %20"),
        ("postgresql://u:hush@db/acme?options=-c a", "a space %20"),
        ("postgresql://u:hush@db/acme\n", "a space %20"),
        ("postgresql://u:hush@[::1/acme", "end of string reached"),
        ("postgresql://u:hush@[::1]x/acme", "unexpected character ***"),
        ("postgresql://db/acme?pasword=hush", "invalid URI query parameter"),
        ("postgresql://db/acme?options=-c%20hush=hush", "extra key/value separator"),
        ("postgresql://db/acme?hush", "missing key/value separator"),
        ("postgresql://db:hush/acme", "a port should be a number from 1 to 65535"),
        ("postgresql://db:70000/acme?password=hush", "a port should be a number"),
        ("postgresql://db:0/acme?password=hush", "a port should be a number"),
        ("postgresql://one,two,three/acme?port=1,2&password=hush", "3 hosts have 2 ports"),
        ("postgresql://u:hush@db/acme?sslmode=on", "sslmode should be one of: disable, allow, prefer"),
        ("postgresql://u:hush@db/acme?target_session_attrs=any-old", "target_session_attrs should be one of"),
        ("postgresql://u:hush@db/acme?connect_timeout=3s", "connect_timeout should be a number of seconds"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        resolve(url)
    assert not re.search(r"hu|sh(?!ould)", str(caught.value))
    assert caught.value.__cause__ is None


def test_a_resolved_url_connects_over_the_socket_and_over_tcp(postgres_servers: Servers) -> None:
    server = postgres_servers(18)
    for url in (server.url(), server.tcp_url()):
        with psycopg.connect(resolved(url, FOLDER)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_password_is_read_from_a_file_beside_the_configuration(
    postgres_servers: Servers, tmp_path: Path
) -> None:
    server: Server = postgres_servers(18)
    _, password = server.tcp_url().split("@")[0].removeprefix("postgresql://").split(":")
    assert password
    url = server.tcp_url().replace(f":{password}@", "@") + "?passfile=pgpass"
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(resolved(url, tmp_path))
    (tmp_path / "pgpass").touch(mode=0o600)
    (tmp_path / "pgpass").write_text("*:*:*:postgres:a secret\\: of/tests\n")
    with psycopg.connect(resolved(url, tmp_path)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("user", "host", "name", "query"),
    [
        ("postgres", "", "postgres", ""),
        ("nobody", "", "postgres", ""),
        ("postgres", "", "gone", "?connect_timeout=3"),
        ("postgres", "", "postgres", "?sslmode=require"),
        ("postgres", "127.0.0.1:1", "postgres", ""),
        ("postgres", "127.0.0.1:1,[::1]:1", "postgres", ""),
        ("postgres", "db.invalid", "postgres", ""),
        ("postgres", "%2Fgone", "postgres", ""),
        ("postgres", "", "postgres", "?options=-c%20gone%3D1"),
        ("postgres", "", "postgres", "?passfile=gone&application_name=x"),
    ],
)
def test_no_error_of_a_connection_shows_the_password(
    postgres_servers: Servers,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    user: str,
    host: str,
    name: str,
    query: str,
) -> None:
    host = host or f"127.0.0.1:{postgres_servers(18).port}"
    url = resolved(f"postgresql://{user}:hu%40sh%2F@{host}/{name}{query}", tmp_path)
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(url)
    with pytest.raises(StoreError) as told:
        PostgresConnection(url).all("SELECT 1")
    said = f"{caught.value!r} {caught.value} {told.value} {caplog.text}"
    assert not re.search(r"hu.{1,3}sh", said)

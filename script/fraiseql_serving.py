"""Serves the GraphQL API by the real fraiseql-server, over the store of the configuration or a copy of it."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import fraiseql_binaries as binaries
import psycopg
from fraiseql_binaries import FraiseqlMissingError
from fraiseql_copy import copied
from fraisier_core.config.database import StorePlace, place_of_store
from fraisier_core.config.finding import find_config
from fraisier_core.errors import FraisierError
from fraisier_core.plugins import Plugins
from fraisier_core.system.host import Host

SCHEMA = Path(__file__).resolve().parents[1] / "schema"
OLDEST = 18
PORT = 8000


def install(url: str) -> None:
    """Make what fraiseql-server needs in a store on PostgreSQL; `url` is of the owner. May be repeated."""
    Plugins.installed().store(url).open(url, Host()).close()
    run("fraiseql-cli", "setup", database=url, quiet=True)
    scripts = [*binaries.migrations(), *(SCHEMA / "postgres" / f"{name}.sql" for name in SCRIPTS)]
    with psycopg.connect(url) as connection:
        for script in scripts:
            connection.execute(script.read_bytes())


SCRIPTS = ("queries", "mutations", "capture", "roles")
"""Of `schema/postgres/`, in their order."""


def compiled(folder: Path, *options: str) -> Path:
    """Compile the schema into a folder, with further options of `fraiseql-cli compile`."""
    target = folder / "schema.compiled.json"
    run("fraiseql-cli", "compile", str(SCHEMA / "schema.json"), "--output", str(target), *options, quiet=True)
    return target


def run(name: str, *arguments: str, database: str | None = None, quiet: bool = False) -> None:
    """Run a program of FraiseQL. Raises `FraiseqlMissingError` with what it said if it fails."""
    environment = os.environ | ({"DATABASE_URL": database} if database else {})
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(
        [binaries.binary(name), *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise FraiseqlMissingError(f"{name} {arguments[0]} failed: {done.stdout or 'see above'}")


def server(url: str, schema: Path, settings: Path, port: int) -> tuple[Sequence[str], dict[str, str]]:
    """Return the command that serves a store, and its environment, which alone has the secrets. Only warnings
    are logged: what is less has the URL in it.
    """
    command = (
        *(str(binaries.binary("fraiseql-server")), "--config", str(settings), "--schema-path", str(schema)),
        *("--bind-addr", f"127.0.0.1:{port}", "--validate-sql-sources"),
    )
    development = {"FRAISEQL_ENV": "development"} if settings.name == "server.development.toml" else {}
    return command, os.environ | development | {"DATABASE_URL": url, "RUST_LOG": "warn"}


@contextmanager
def served(place: StorePlace, folder: Path) -> Iterator[str]:
    """Yield the URL of a store that fraiseql-server can serve, and say which it is: that of the configuration
    if it is on PostgreSQL 18 or newer, else a copy.
    """
    if _is_served(place):
        print(f"Serving the store itself: {place.shown}", flush=True)
        yield place.database
        return
    with copied(place, folder) as url:
        print(
            f"Serving a copy of {place.shown}, on PostgreSQL {OLDEST} from the wheel: no worker", flush=True
        )
        print("executes what is requested here, and what is deployed from now on is not seen.", flush=True)
        yield url


def _is_served(place: StorePlace) -> bool:
    """Whether fraiseql-server can serve a store where it is."""
    if not place.database.startswith("postgresql"):
        return False
    with psycopg.connect(place.database) as connection:
        return connection.info.server_version >= OLDEST * 10_000


def serve(config: Path | None, settings: Path, port: int) -> int:
    """Serve until a signal; return the exit status."""
    _require_free(port)
    place = place_of_store(find_config(config), Plugins.installed())
    folder = Path(tempfile.mkdtemp(prefix="fraiseql-", dir="/tmp"))
    try:
        with served(place, folder) as url:
            install(url)
            command, environment = server(url, compiled(folder), settings, port)
            print(f"http://localhost:{port}/graphql", flush=True)
            return subprocess.run(command, env=environment, cwd=folder, check=False).returncode
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise FraiseqlMissingError(
                f"port {port} cannot be listened on ({error}); take another --port"
            ) from error


def prepare(config: Path | None, folder: Path) -> None:
    """Make what fraiseql-server needs in the store, and the compiled schema in a folder. Raises
    `FraiseqlMissingError` if the store is not on PostgreSQL 18 or newer.
    """
    place = place_of_store(find_config(config), Plugins.installed())
    if not _is_served(place):
        raise FraiseqlMissingError(
            f"{place.shown} is not on PostgreSQL {OLDEST} or newer: docs/how-to/move-to-postgresql.md "
            "says how to move it there"
        )
    install(place.database)
    print(compiled(folder))


def interrupt(_number: int, _frame: object) -> NoReturn:
    """End as by Ctrl-C, and leave nothing behind."""
    raise KeyboardInterrupt


def main() -> None:
    """Build what is missing, and serve."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    parser = argparse.ArgumentParser(prog="script/fraiseql", description=__doc__)
    parser.add_argument("-c", "--config", type=Path, help="fraises.yaml, by default where Fraisier finds it")
    parser.add_argument(
        "--settings", type=Path, default=SCHEMA / "server.development.toml", help="of the server"
    )
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--build", action="store_true", help="only build the binaries, if they are missing")
    parser.add_argument("--prepare", metavar="FOLDER", type=Path, help="only write what a server needs")
    arguments = parser.parse_args()
    try:
        binaries.build()
        if arguments.prepare:
            prepare(arguments.config, arguments.prepare)
        elif not arguments.build:
            sys.exit(serve(arguments.config, arguments.settings, arguments.port))
    except (FraiseqlMissingError, FraisierError) as error:
        sys.exit(f"script/fraiseql: {error}")


if __name__ == "__main__":
    main()

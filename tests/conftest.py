"""What the tests that cross packages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fraisier_core.store.protocol import Store
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.system.host import Host

from tests.environments import build_wheels, download_wheels
from tests.played import Open
from tests.postgres import USUAL, Servers
from tests.sandbox import Sandbox
from tests.sharing import made_once

collect_ignore = ["third_party"]  # a package of its own, tested in an environment of its own


@pytest.fixture(scope="session")
def wheels(shared_folder: Path) -> Path:
    """A folder with the wheel of each of our packages."""
    return made_once(shared_folder / "wheels", build_wheels)


@pytest.fixture(scope="session")
def wheelhouse(shared_folder: Path) -> Path:
    """A folder with the locked wheel of everything that the application needs."""
    return made_once(shared_folder / "wheelhouse", download_wheels)


@pytest.fixture(scope="session")
def real_systemd(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A sandbox with polkit can be started here; otherwise skip."""
    started = Sandbox(tmp_path_factory.mktemp("sandbox")).once("systemctl", "cat", "polkit.service")
    if started.returncode != 0:
        pytest.skip(f"no systemd can be started here: {started.stdout.strip()}")


@pytest.fixture
def opened(tmp_path: Path, postgres_servers: Servers) -> Iterator[Open]:
    """Opens a new and empty store of a kind."""
    from fraisier_postgres.postgres_store import PostgresStore  # not installed wherever these tests run

    from tests.postgres_stores import new_store

    made: list[Store] = []
    names: list[str] = []

    def opening(kind: str) -> Store:
        if kind == "sqlite":
            store: Store = SqliteStore.open(tmp_path / f"store-{len(made)}" / "store.db", Host())
        else:
            server = postgres_servers(USUAL)
            names.append(server.create(new_store(server)))
            store = PostgresStore.open(server.url(names[-1]), Host())
        made.append(store)
        return store

    yield opening
    for store in made:
        store.close()
    for name in names:
        postgres_servers(USUAL).execute(f"DROP DATABASE {name} WITH (FORCE)")

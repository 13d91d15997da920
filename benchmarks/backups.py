"""Backups: a dump of 1 GB of PostgreSQL against the same typed in a shell, and its verification apart."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from fraisier_core import Release
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup import fraise_type
from fraisier_deployers.backup.backup_settings import BackupSettings

from benchmarks.figures import Figure, median
from tests.command import run_fraisier
from tests.memory import Memory, memory_of_commands
from tests.postgres import USUAL, Servers
from tests.postgres_server import programs

MEGABYTES = int(os.environ.get("FRAISIER_BACKUP_MEGABYTES", "1000"))
ROUNDS = 3
ROW_BYTES = 100
FILL = f"""
CREATE TABLE filled AS
SELECT n, md5(n::text) || repeat(chr(97 + n % 26), {ROW_BYTES - 32}) AS text
FROM generate_series(1, {MEGABYTES * 1_000_000 // ROW_BYTES}) n
"""


class TimedRun(FakeRun[BackupSettings]):
    """A run that takes the time of its steps."""

    @contextmanager
    def step(self, name: str, *, repeatable: bool = True) -> Iterator[None]:
        started = time.perf_counter()
        with super().step(name, repeatable=repeatable):
            yield
        self.seconds[name] = time.perf_counter() - started

    @property
    def seconds(self) -> dict[str, float]:
        found: dict[str, float] = self.__dict__.setdefault("_seconds", {})
        return found


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, each floor in turn with ours, and yield the figures."""
    (folder / "postgres").mkdir()
    servers = Servers(folder / "postgres")
    with servers(USUAL).database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute(b"VACUUM ANALYZE filled")
        pairs = [(_back_up(folder, url), _floor(folder, url)) for _ in range(ROUNDS)]
        memory = _memory(folder, url)
    servers.close()
    yield from _told(pairs)
    shared = (
        f"{memory.resident:.0f} MB if what they share counts for each; {memory.largest:.0f} MB the largest"
    )
    name = "memory of `fraisier backup` and of all that it starts, at once"
    yield Figure(name, "<=", 100, memory.together, "MB", shared)


def _told(pairs: list[tuple[TimedRun, float]]) -> Iterator[Figure]:
    ours = [run.seconds["dump"] + run.seconds["store"] for run, _ in pairs]
    floor = [bare for _, bare in pairs]
    yield Figure(
        f"speed of a backup of {MEGABYTES} MB of PostgreSQL until it is stored, against `pg_dump -Fc`, "
        "`sha256sum` and `sync` in a shell",
        ">=",
        0.9,
        median([bare / mine for mine, bare in zip(ours, floor, strict=True)]),
        "x",
        f"{median(ours):.1f} s; floor {median(floor):.1f} s",
    )
    verifying = median([run.seconds["verify_local"] for run, _ in pairs])
    stored = f"{pairs[0][0].stored[-1].size / 1e6:.0f} MB: the rows are regular, and compress well"
    name = "its verification, which reads what was stored from the disk"
    yield Figure(name, "<=", None, verifying, "s", stored)


def _back_up(folder: Path, url: str) -> TimedRun:
    work = folder / "work"
    work.mkdir(exist_ok=True)
    source = {"postgresql": url, "bin": programs(USUAL)}
    keys = {"source": source, "path": folder / "backups", "keep": {"last": 1}}
    run = TimedRun(BackupSettings.model_validate(keys), Release("", work, ""), fraise="shop")
    fraise_type.back_up(run)
    return run


def _memory(folder: Path, url: str) -> Memory:
    """Return the memory that the command takes, with the process that executes the backup."""
    source = {"postgresql": "${DATABASE_URL}", "bin": str(programs(USUAL))}
    section = {"source": source, "path": str(folder / "copies")}
    fraise = {"type": "backup", "environments": {"production": section}}
    (folder / "fraises.yaml").write_text(json.dumps({"fraises": {"shop": fraise}}))
    with memory_of_commands() as memory:
        done = run_fraisier(
            "backup", "shop", "production", folder=folder, environ=os.environ | {"DATABASE_URL": url}
        )
    done.check_returncode()
    return memory


def _floor(folder: Path, url: str) -> float:
    target = folder / "floor.dump"
    dumping = f"{programs(USUAL)}/pg_dump -Fc '{url}' | tee {target} | sha256sum && sync {target}"
    started = time.perf_counter()
    subprocess.run(["bash", "-o", "pipefail", "-c", dumping], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started

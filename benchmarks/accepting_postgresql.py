"""Accepting pushes durably on PostgreSQL, which has the same two cores: throughput and processor time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.accepting import PUSHES, ROUNDS, Measured, measured, measured_twin
from benchmarks.figures import Figure, median
from benchmarks.installation import webhook, write_configuration
from benchmarks.load import write_script
from tests.postgres import USUAL, Server, Servers


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, each round against its own floors, and yield the figures."""
    script = write_script(folder / "pushes.lua", PUSHES)
    servers = Servers(folder)
    with servers.own(USUAL) as server:
        rounds = [_round(folder / str(number), script, server) for number in range(ROUNDS)]
    servers.close()
    rates = ", ".join(f"{ours.rate:,.0f}" for ours, _, _ in rounds)
    yield Figure(
        "accept a signed 8 KB push durably on PostgreSQL, 32 connections, against the twin",
        ">=",
        0.30,
        median([ours.rate / twin.rate for ours, twin, _ in rounds]),
        "x",
        f"{rates}/s; twin {median([twin.rate for _, twin, _ in rounds]):,.0f}/s; median of {ROUNDS}",
    )
    processor = [(ours.processor * 1e6, sqlite.processor * 1e6) for ours, _, sqlite in rounds]
    yield Figure(
        "processor time of the web process for each of them, against that on SQLite",
        "<=",
        1.3,
        median([ours / sqlite for ours, sqlite in processor]),
        "x",
        " µs; SQLite ".join(f"{median(each):.0f}" for each in zip(*processor, strict=True)) + " µs",
    )


def _round(folder: Path, script: Path, server: Server) -> tuple[Measured, Measured, Measured]:
    folder.mkdir()
    with server.database() as url:
        ours = _measured(folder / "postgresql", script, f"database: {{url: '{url}'}}\n")
    twin = measured_twin(folder, script)
    return ours, twin, _measured(folder / "sqlite", script)


def _measured(folder: Path, script: Path, database: str = "") -> Measured:
    folder.mkdir()
    config = write_configuration(folder)
    config.write_text(database + config.read_text())
    with webhook(config, folder / "ours.log") as (process, url):
        return measured(process.pid, script, f"{url}/webhook")

"""How fast the command line starts, against bare typer apps."""

from __future__ import annotations

import compileall
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from fraisier.cli.tree import COMMANDS

from benchmarks.figures import Figure, beside, median
from benchmarks.installation import SCRIPTS, write_configuration
from tests.stores import open_store

ROUNDS = 15
MANY, FEW = 1_000_000, 100

BARE_HELP = """\
import typer
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
{commands}
app()
"""
BARE_COMMAND = """\
@app.command()
def command{number}(name: str = "x", flag: bool = False) -> None:
    "Do one thing."
"""
BARE_STATUS = """\
import typer
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
@app.command()
def status() -> None:
    import pydantic
    import yaml
    class Model(pydantic.BaseModel):
        name: str
app()
"""


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, each command and its floor in turn, and yield the figures."""
    for installed in (Path(__file__).parents[1] / "packages", sysconfig.get_path("purelib")):
        compileall.compile_dir(installed, quiet=2)
    fraisier = str(SCRIPTS / "fraisier")
    bare_help, bare_status = folder / "bare_help.py", folder / "bare_status.py"
    bare = "".join(BARE_COMMAND.format(number=number) for number in range(len(COMMANDS)))
    bare_help.write_text(BARE_HELP.format(commands=bare))
    bare_status.write_text(BARE_STATUS)
    few, many = _store(folder / "few", FEW), _store(folder / "many", MANY)
    status = [fraisier, "status", "-c", str(few)]
    yield _compare("`fraisier --help` against a bare typer app with as many commands", 1.12,
                   [fraisier, "--help"], [sys.executable, str(bare_help), "--help"])  # fmt: skip
    yield _compare("`fraisier status` against a bare typer command that imports pydantic and yaml", 1.35,
                   status, [sys.executable, str(bare_status)])  # fmt: skip
    yield _compare(f"`fraisier status` over {MANY:,} deployments against {FEW}", 2.0,
                   [fraisier, "status", "-c", str(many)], status)  # fmt: skip


def _compare(what: str, goal: float, command: Sequence[str], floor: Sequence[str]) -> Figure:
    pairs = [(_seconds(command), _seconds(floor)) for _ in range(ROUNDS)]
    detail = beside([ours for ours, _ in pairs], [bare for _, bare in pairs])
    return Figure(what, "<=", goal, median([ours / bare for ours, bare in pairs]), "x", detail)


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _store(folder: Path, deployments: int) -> Path:
    """Make a store with that many ended deployments and return its configuration."""
    folder.mkdir()
    config = write_configuration(folder)
    database = open_store(folder / ".fraisier" / "fraisier.db")
    with closing(database), database.transaction():
        for statement in (Path(__file__).parent / "many_deployments.sql").read_text().split(";\n"):
            database.execute(statement, {"deployments": deployments})
    return config

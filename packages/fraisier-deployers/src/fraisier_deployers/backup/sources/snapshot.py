"""Dumps in a snapshot whose rows it counts: `python -m ...sources.snapshot PSQL FACTS PIPELINE ...`.

A session of psql exports the snapshot and counts in it what pg_dump dumps meanwhile, so that the counts are
exactly those of the dump, whatever is written at the same time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, NoReturn

from fraisier_core import die_with_parent

from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.pump import Flowed, PipelineError, flow, reported

SNAPSHOT = "{snapshot}"
"""Stands in a stage's arguments for the id of the snapshot."""
SQL = Path(__file__).with_name("sql")
PREAMBLE = "preamble.sql"
"""The file that every session executes first."""
OPTIONS = ("--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1")


def dump(psql: str, facts_file: Path, pipeline: Pipeline) -> Flowed:
    """Run a pipeline with the snapshot's id in its stages, and write what the snapshot is of into a file.
    Raises `PipelineError`.
    """
    with _session(psql) as session:
        session.begin(PREAMBLE)
        facts = json.loads(session.ask("snapshot.sql"))
        facts["objects"] = json.loads(session.ask("objects.sql"))
        facts["sequences"] = json.loads(session.ask("sequences.sql"))  # which go on while it is dumped
        session.begin("rows.sql")
        flowed = flow(_in_snapshot(pipeline, facts.pop("snapshot")))
        facts["tables"] = dict(json.loads(line) for line in session.rest())
    facts_file.write_text(json.dumps(facts))
    return flowed


class _Session:
    """A session of psql, which reads statements from us."""

    def __init__(self, process: subprocess.Popen[str], statements: IO[str], answers: IO[str]) -> None:
        self._process = process
        self._statements = statements
        self._answers = answers

    def begin(self, file: str) -> None:
        """Have it execute a file, without waiting."""
        try:
            self._statements.write((SQL / file).read_text())
            self._statements.flush()
        except BrokenPipeError:
            self._raise()

    def ask(self, file: str) -> str:
        """Have it execute a file, and return the line that this prints."""
        self.begin(file)
        return self._answers.readline() or self._raise()

    def rest(self) -> list[str]:
        """Return all that it prints still, once it is done."""
        self._statements.close()
        lines = self._answers.readlines()
        if self._process.wait() != 0:
            self._raise()
        return lines

    def _raise(self) -> NoReturn:
        status = self._process.wait()
        raise PipelineError(f"psql exited with status {status}, which was to hold the snapshot")


@contextmanager
def _session(psql: str) -> Iterator[_Session]:
    argv = (psql, *OPTIONS)
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdin and process.stdout  # noqa: S101, PT018 - for the type checker
    try:
        yield _Session(process, process.stdin, process.stdout)
    finally:
        process.kill()
        process.wait()


def _in_snapshot(pipeline: Pipeline, snapshot: str) -> Pipeline:
    stages = (
        Stage(tuple(argument.replace(SNAPSHOT, snapshot) for argument in stage.argv), stage.accepted)
        for stage in pipeline.before
    )
    return replace(pipeline, before=tuple(stages))


if __name__ == "__main__":
    die_with_parent(os.getppid())
    sys.exit(reported(lambda: dump(sys.argv[1], Path(sys.argv[2]), Pipeline.parse(sys.argv[3:]))))

"""Running pipelines of bytes in a child process, through whatever runs commands."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.pump import SO_FAR, Flowed, exit_text

_PUMP = "fraisier_deployers.backup.pump"
_FLOWED = re.compile(r"^(\d+) bytes, sha256 ([0-9a-f]{64})$", re.MULTILINE)
_FAILED = re.compile(r"^failed: (.*)$", re.MULTILINE)
_MOST_LINES = 3


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours, whatever the folder and the environment it runs in."""
    return (sys.executable, "-I", "-m", module, *arguments)


def run_pipeline(
    runner: Runner, pipeline: Pipeline, env: Mapping[str, str] | None = None, *, by: Sequence[str] = ()
) -> Flowed:
    """Run a pipeline, and return what flowed. Raises `BackupError`, with the last lines that its commands
    printed, and `CommandFailedError` if it takes too long.

    Args:
        runner: runs it.
        pipeline: what to run.
        env: variables of its commands; secrets are given here.
        by: the command that runs it, which takes its words as its last arguments, and ends as the pump does.
    """
    result = runner.command([*(by or python(_PUMP)), *pipeline.words()], env=env, check=False)
    if result.status == 0 and (flowed := _FLOWED.findall(result.output)):
        size, sha256 = flowed[-1]
        return Flowed(int(size), sha256)
    raise BackupError(_failure(result.output, result.status))


def captured(runner: Runner, argv: Sequence[str], env: Mapping[str, str] | None = None) -> bytes:
    """Return all that a command prints as its output, without its errors. Raises as `run_pipeline` does."""
    with tempfile.TemporaryDirectory(prefix="fraisier-") as folder:
        file = Path(folder) / "output"
        run_pipeline(runner, Pipeline(before=(Stage(tuple(argv)),), output=str(file)), env)
        return file.read_bytes()


def run_tool(runner: Runner, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    """Run a program that must succeed. Raises `BackupError`, with the last lines that it printed."""
    result = runner.command(argv, env=env, check=False)
    if result.status != 0:
        said = _last_lines(result.output)
        how = exit_text(result.status)
        raise BackupError(f"{argv[0]} {how}: {said}" if said else f"{argv[0]} {how}")


def _failure(output: str, status: int) -> str:
    """Return what failed, after the last lines that were printed before."""
    failed = list(_FAILED.finditer(output))
    if not failed:
        return f"the pipeline ended with status {status}: {_last_lines(output) or 'it printed nothing'}"
    said = _last_lines(output[: failed[-1].start()])
    return f"{failed[-1][1]}: {said}" if said else failed[-1][1]


def _last_lines(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.endswith(SO_FAR)]
    return "; ".join(lines[-_MOST_LINES:])

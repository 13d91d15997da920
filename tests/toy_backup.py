"""The module of a fraise type that only backs up: a copy of one file, in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from uuid import uuid4

from fraisier_core import BackupJobSettings, Run, StepFailedError, Stored, hookimpl


class ToyBackupSettings(BackupJobSettings):
    """The section of an environment of this type."""

    source: Path
    target: Path
    afterwards: tuple[str, ...] = ()


@hookimpl
def settings() -> type[ToyBackupSettings]:
    return ToyBackupSettings


@hookimpl
def back_up(run: Run[ToyBackupSettings]) -> None:
    """Copy the source to a file of a new name, and compare."""
    copy = run.settings.target / f"{run.fraise}-{uuid4().hex[:8]}"
    with run.step("copy"):
        run.command(["cp", "--verbose", run.settings.source, copy])
    with run.step("compare"):
        run.command(["cmp", run.settings.source, copy])
    text = copy.read_bytes()
    run.record_stored(Stored(copy.name, len(text), hashlib.sha256(text).hexdigest(), str(copy.parent)))
    if run.settings.afterwards:
        with run.step("tidy"):
            run.command(run.settings.afterwards)


@hookimpl
def test_restore(run: Run[ToyBackupSettings]) -> None:
    """Copy the newest backup into the folder of the environment, and compare it with the source."""
    found = sorted(run.settings.target.iterdir(), key=lambda path: path.stat().st_mtime)
    if not found:
        raise StepFailedError("there is no backup to restore")
    with run.step("restore"):
        run.command(["cp", "--verbose", found[-1], "restored"])
        run.command(["cmp", run.settings.source, "restored"])

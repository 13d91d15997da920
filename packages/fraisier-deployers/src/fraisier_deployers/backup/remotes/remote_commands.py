"""Running the programs that reach a remote: what they print, and errors that say which remote and why."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fraisier_core import CommandFailedError, CommandResult

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.manifest import MOST_BYTES, SUFFIX, Manifest, backup_of
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.pipelines import run_pipeline
from fraisier_deployers.backup.places import Listing, Runner
from fraisier_deployers.backup.programs import require_program

_MARGIN_BYTES = 2**20
"""For other files that programs write, such as a configuration with a new token."""
MOST_TOGETHER = 64 * 2**20
"""So many bytes of manifests are read of a remote; in memory they take ten times that."""
_ORPHAN = "{} has no manifest: it is being stored, or was left by what was cut off; delete it in that case"


@dataclass(frozen=True, slots=True)
class RemoteCommands:
    """Runs the commands that reach one remote.

    Args:
        runner: runs them.
        destination: the remote, as people read it.
        why: finds in what a failed command printed why it failed.
        env: variables of all of them.
    """

    runner: Runner
    destination: str
    why: Callable[[str], str]
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, doing: str, argv: Sequence[str], accepted: Collection[int] = (0,)) -> CommandResult:
        """Run a command to its end. Raises `BackupError` unless it exits with an accepted status."""
        require_program(argv[0])
        try:
            result = self.runner.command(argv, env=self.env, check=False)
        except CommandFailedError as error:
            raise self.failed(doing, str(error)) from error
        if result.status not in accepted:
            raise self.failed(doing, result.output.strip() or f"exited with status {result.status}")
        return result

    def fetch(self, manifest: Manifest, argv: Sequence[str]) -> None:
        """Run a command that fetches a copy's file; it can write no larger one, whatever it is sent. Raises
        as `run` does.
        """
        require_program(argv[0])
        most = manifest.size + _MARGIN_BYTES
        self.run(f"fetch {manifest.file}", ["prlimit", f"--fsize={most}", *argv])

    def output(self, doing: str, argv: Sequence[str], accepted: Collection[int] = (0,)) -> str:
        """Run a command, and return all that it prints beside errors. Raises as `run` does."""
        require_program(argv[0])
        with tempfile.TemporaryDirectory(prefix="fraisier-") as folder:
            file = Path(folder) / "output"
            stage = Stage(tuple(argv), tuple(accepted))
            try:
                run_pipeline(self.runner, Pipeline(before=(stage,), output=str(file)), self.env)
            except (BackupError, CommandFailedError) as error:
                raise self.failed(doing, str(error)) from error
            return file.read_text(errors="replace")

    def failed(self, doing: str, text: str) -> BackupError:
        """Return the error that says why something cannot be done, as a failed command printed it."""
        return BackupError(f"{self.destination}: cannot {doing}: {self.why(text) or 'it does not say why'}")


def several(names: Sequence[str]) -> str:
    """Return how files are named in an error."""
    return names[0] if len(names) == 1 else f"{len(names)} files"


@contextmanager
def written(manifest: Manifest) -> Iterator[Path]:
    """Yield a file of the manifest's own name that holds it, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="fraisier-") as folder:
        file = Path(folder) / manifest.manifest_file
        file.write_text(manifest.text())
        yield file


def listing_of(destination: str, sizes: Mapping[str, int], bring: Callable[[str], str]) -> Listing:
    """Return what a remote holds. Raises `BackupError` if its manifests are too large together.

    Args:
        destination: the remote, as people read it.
        sizes: of all files there, in bytes, by their names.
        bring: fetches all manifests to a folder, and returns why some could not be.
    """
    there = {name for name in sizes if name.endswith(SUFFIX) and not name.startswith(".")}
    _require_moderate(destination, [sizes[name] for name in there if sizes[name] <= MOST_BYTES])
    lone = [name for name in sizes if (of := backup_of(name)) and f"{of}{SUFFIX}" not in there]
    orphans = {name: _ORPHAN.format(name) for name in lone}
    if not there:
        return Listing((), orphans)
    with tempfile.TemporaryDirectory(prefix="fraisier-") as folder:
        why = bring(folder)
        brought = LocalPlace(Path(folder)).manifests()
        missing = there.difference(file.name for file in Path(folder).iterdir())
    lost = {name: f"{name} cannot be fetched: {why}" for name in missing}
    return Listing(brought.manifests, {**brought.unreadable, **lost, **orphans})


def _require_moderate(destination: str, sizes: Collection[int]) -> None:
    if (together := sum(sizes)) > MOST_TOGETHER:
        raise BackupError(
            f"{destination}: its {len(sizes)} manifests have {together / 1e6:.0f} MB together, more than "
            f"{MOST_TOGETHER / 1e6:.0f} MB: delete old backups there, and set keep"
        )

"""Running the programs that reach a remote: what they print, and errors that say which remote and why."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
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
"""So many bytes of an environment's manifests are read of a remote; in memory they take ten times that."""
_UNREAD = f"{{}} is not read: it and the newer ones there are more than {MOST_TOGETHER / 1e6:.0f} MB together"
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


def listing_of(
    sizes: Mapping[str, int], is_own: Callable[[str], bool], bring: Callable[[Path, Path], str]
) -> Listing:
    """Return what a remote holds of an environment. If its manifests are too large together, the newest are
    read.

    Args:
        sizes: of all files there, in bytes, by their names.
        is_own: whether a file is the environment's, by its name.
        bring: fetches the manifests that a file names, a line `/NAME` each, to a folder, and returns why some
            could not be.
    """
    there = {name for name in sizes if name.endswith(SUFFIX) and not name.startswith(".")}
    lone = [name for name in sizes if (of := backup_of(name)) and f"{of}{SUFFIX}" not in there]
    own = {name for name in there if is_own(name) and backup_of(name)}
    fitting = _fitting({name: sizes[name] for name in own})
    unread = {name: _UNREAD.format(name) for name in own.difference(fitting)}
    unread |= {name: _ORPHAN.format(name) for name in lone}
    if not fitting:
        return Listing((), unread)
    with tempfile.TemporaryDirectory(prefix="fraisier-") as work:
        names, folder = Path(work) / "names", Path(work) / "manifests"
        names.write_text("".join(f"/{name}\n" for name in fitting))
        folder.mkdir()
        why = bring(names, folder)
        brought = LocalPlace(folder).manifests()
        missing = set(fitting).difference(file.name for file in folder.iterdir())
    lost = {name: f"{name} cannot be fetched: {why}" for name in missing}
    return Listing(brought.manifests, {**brought.unreadable, **lost, **unread})


def _fitting(sizes: Mapping[str, int]) -> Sequence[str]:
    """Return the newest of an environment's manifests, whose names sort by time, that are not too large
    together; one that is too large by itself is not fetched, and does not count.
    """
    newest = sorted(sizes, reverse=True)
    sums = accumulate(sizes[name] if sizes[name] <= MOST_BYTES else 0 for name in newest)
    return [name for name, together in zip(newest, sums, strict=True) if together <= MOST_TOGETHER]

"""Writing the files of one commit into a directory that holds nothing else, no `.git` either.

Failpoint: `export` while git writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fraisier_core.errors import CommandFailedError, StepFailedError
from fraisier_core.git.diagnosis import DAMAGE, reason_of, spoken
from fraisier_core.git.downloads import DamagedError, Git, RunOptions
from fraisier_core.git.local import LocalRepository
from fraisier_core.system.disk import cause
from fraisier_core.system.failpoints import failpoint

UMASK = 0o022  # a release has the modes of a checkout, whatever this process's umask
# The workers of git make large releases twice as fast; a mirror is bare, and a checkout needs a work tree.
_CONFIG = {"core.bare": "false", "checkout.workers": "0"}


@dataclass(frozen=True, slots=True)
class Checkout:
    """Writes files from a bare repository; `index` is a path for git's own use meanwhile."""

    repository: LocalRepository
    git: Git
    index: Path

    def write(self, commit: str, into: Path, config: Mapping[str, str]) -> None:
        """Write all files of a commit, with more of git's configuration. Raises `DamagedError` if the
        repository cannot be read, and `StepFailedError` if the files cannot be written.
        """
        self._read_tree(commit, into, config, "-u", "--reset")
        self.index.unlink()

    def list(self, commit: str) -> None:
        """Have `index` say which files a commit has."""
        self._read_tree(commit, self.index.parent, {})

    def _read_tree(self, commit: str, into: Path, config: Mapping[str, str], *options: str) -> None:
        self.index.unlink(missing_ok=True)
        place = {"GIT_DIR": str(self.repository.path), "GIT_WORK_TREE": str(into)}
        env = {
            **self.repository.environment(more={**_CONFIG, **config}),
            **place,
            "GIT_INDEX_FILE": str(self.index),
        }
        limits = replace(self.git.limits, silence=self.git.limits.wall)
        started: RunOptions = {"on_start": lambda _: failpoint("export"), "umask": UMASK}
        printed = bytearray()
        try:
            argv = ["git", "read-tree", *options, commit]
            self.git.run(argv, printed, env, into, limits, **started)
        except CommandFailedError as error:
            self.index.unlink(missing_ok=True)
            raise _refusal(self.repository.path, into, printed, error) from None


def _refusal(repository: Path, into: Path, printed: bytearray, error: CommandFailedError) -> StepFailedError:
    said = spoken(printed)
    if DAMAGE.search("\n".join(said)):
        return DamagedError(f"{repository} is damaged: {reason_of(said)}")
    reason = reason_of(said) if said else str(error)
    if "invalid path" in reason:
        return StepFailedError(f"the commit holds a path that git refuses to check out: {reason}")
    return StepFailedError(cause(f"the files of the commit cannot be written to {into}: {reason}"))

"""Copies of remote repositories on this machine: fetched under a lock, repaired, made anew if damaged."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fraisier_core.errors import CommandFailedError, GitUnreachableError, StepFailedError
from fraisier_core.git.bounds import Deadline
from fraisier_core.git.downloads import DamagedError, Download, Git
from fraisier_core.git.local import LocalRepository
from fraisier_core.git.remotes import Remote
from fraisier_core.system.commands import Limits
from fraisier_core.system.disk import cause, make_folder
from fraisier_core.system.locks import locked as lock_file
from fraisier_core.system.locks import try_lock

LIMITS = Limits(wall=900.0, silence=300.0)
RETRY_SECONDS = (1.0, 4.0)
_FETCHING, _DAMAGED = "fetching", "damaged"


class FetchedRepository(LocalRepository):
    """A bare copy of a remote repository. `PATH.lock` and `PATH.fetching` lie beside it, and `PATH.secrets`
    during a fetch by ssh. The limits of one fetch include all attempts and the wait for others;
    `retry_seconds` is the wait before each further attempt, and `deadline` that of several repositories.
    """

    def __init__(
        self,
        path: Path,
        remote: Remote,
        cancelled: threading.Event,
        *,
        limits: Limits = LIMITS,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
        deadline: Deadline | None = None,
    ) -> None:
        super().__init__(path)
        self.remote = remote
        self.git = Git(remote, limits, cancelled, deadline or Deadline())
        self.retry_seconds = retry_seconds
        self._complaints: list[str] = []
        self._marker = path.with_name(f"{path.name}.fetching")
        self._secrets = path.with_name(f"{path.name}.secrets")

    @property
    def object_format(self) -> str:
        """In which format it names its objects, `sha1` or `sha256`."""
        return self.expect("rev-parse", "--show-object-format").strip()

    def fetch(self, wanted: str | None = None) -> None:
        """Bring every branch and tag up to date; if the remote cannot read them all, `wanted` alone. Raises
        `GitUnreachableError` or `StepFailedError`.
        """
        with _explained(self.path), self.locked(wanted) as download:
            repaired = self._repair(download)
            self._marker.write_text(_FETCHING)
            if not repaired:
                self._update(download)
            self._marker.unlink()

    def heads(self) -> dict[str, str]:
        """Return the full refs of the remote's branches and the newest commit of each, without fetching any.
        Raises `GitUnreachableError` or `StepFailedError`.
        """
        with _explained(self.path), self.locked() as download:
            return download.heads(self.path.parent)

    @contextmanager
    def locked(self, wanted: str | None = None) -> Iterator[Download]:
        """Hold the mirror's lock, and yield what downloads into it."""
        make_folder(self.path.parent, 0o700)  # it holds whole histories
        lock_path = self.path.with_name(f"{self.path.name}.lock")
        git = self.git
        seconds = git.deadline.left(git.limits.wall)
        with lock_file(lock_path, seconds=seconds, cancelled=git.cancelled) as lock:
            sweep_secrets(self.path.parent)
            yield Download(git, self.retry_seconds, lock, self._secrets, wanted)

    def _update(self, download: Download) -> None:
        try:
            if (self.path / "HEAD").exists():
                self._complaints = download.fetch(self.path, fresh=False)
            else:
                self._replace(download)
        except GitUnreachableError:
            self._marker.unlink()  # git ended in order: there is nothing to repair
            raise
        except DamagedError:
            self._marker.write_text(_DAMAGED)
            self._replace(download)

    def _repair(self, download: Download) -> bool:
        """Return whether the mirror had to be fetched again."""
        if not self._marker.exists():
            return False
        for stale in self.path.rglob("*.lock"):  # their holders are gone: this process has the lock
            stale.unlink()
        if self._marker.read_text() != _DAMAGED and self._is_sound(self.path):
            return False
        self._replace(download)
        return True

    def renew(self) -> None:
        """Fetch everything anew, because it is damaged."""
        self._marker.write_text(_DAMAGED)
        self.fetch()

    def _replace(self, download: Download) -> None:
        new, old = (self.path.with_name(f"{self.path.name}.{suffix}") for suffix in ("new", "old"))
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            self._create(new, download.object_format(new.parent))
            self._complaints = download.fetch(new, fresh=True)
        except GitUnreachableError:
            shutil.rmtree(new, ignore_errors=True)
            raise
        with suppress(FileNotFoundError):
            self.path.rename(old)
        new.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)

    def _create(self, path: Path, object_format: str) -> None:
        options = ["--bare", "--quiet", "--template=", f"--object-format={object_format}"]
        LocalRepository(path.parent).expect("init", *options, str(path))

    def _is_sound(self, path: Path) -> bool:
        repository = LocalRepository(path)
        argv = repository.argv("fsck", "--connectivity-only", "--no-dangling", "--progress")
        with suppress(CommandFailedError):
            self.git.run(argv, bytearray(), repository.environment(), path.parent)
            return True
        return False

    def git_said(self) -> str:
        """Return what git complained of though it succeeded, such as a ref that it left out."""
        said = self.git.redactor.redact(" | ".join(self._complaints))
        return f"; git said: {said}" if said else ""


def sweep_secrets(mirrors: Path) -> None:
    """Delete what ssh read for fetches that were killed, of any mirror in a folder; a fetch under way has the
    lock, and keeps it.
    """
    for pattern in ("*.secrets", "*.submodules/*.secrets"):
        for folder in mirrors.glob(pattern):
            with suppress(OSError):
                lock = try_lock(folder.with_suffix(".lock"))
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)


@contextmanager
def _explained(mirror: Path) -> Iterator[None]:
    """Raise `StepFailedError` for an error of the system."""
    try:
        yield
    except OSError as error:
        what = f"the mirror {mirror} cannot be written: {error.strerror or error}"
        rights = "this server: check its disk and the rights of the user that runs Fraisier"
        raise StepFailedError(cause(f"{what}; {rights}")) from error

"""Mirrors: bare copies of remote repositories, fetched under a lock, from which releases are exported.

Nothing here runs what a repository brings along: a mirror is bare, a release is an export of one commit, and
hooks are off.

Failpoints: `fetch` while git fetches, `export` while a commit is exported.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

from fraisier_core.errors import (
    AppPathRefusedError,
    CancelledError,
    CommandFailedError,
    CommitGoneError,
    GitUnreachableError,
    StepFailedError,
)
from fraisier_core.git.local import LocalRepository, abbreviation, checked_ref, full_id, last_line
from fraisier_core.git.remotes import Remote
from fraisier_core.push import BRANCH_PREFIX, TAG_PREFIX
from fraisier_core.system.commands import Limits, run_command
from fraisier_core.system.disk import cause
from fraisier_core.system.failpoints import failpoint
from fraisier_core.system.locks import locked
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.text.printable import printable
from fraisier_core.text.redaction import Redactor
from fraisier_core.text.suggestions import hint

LIMITS = Limits(wall=900.0, silence=300.0)
RETRY_SECONDS = (1.0, 4.0)
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_OUTPUT_BYTES = 8192
_FETCHING, _DAMAGED = "fetching", "damaged"
_DAMAGE = re.compile(
    r"^(?:error|fatal): .*"
    r"(?:packfile|loose object|bad object|corrupt|missing (?:blob|tree|commit)|necessary objects)",
    re.MULTILINE,
)


class Mirror(LocalRepository):
    """A bare copy of a remote repository, shared by every fraise that comes from it. `PATH.lock` and
    `PATH.fetching` lie beside it. The limits of one fetch or export include all attempts and the wait for
    others; `retry_seconds` is the wait before each further attempt.
    """

    def __init__(
        self,
        path: Path,
        url: str,
        cancelled: threading.Event,
        *,
        limits: Limits = LIMITS,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        super().__init__(path)
        self.remote = Remote.of(url)
        self._limits = limits
        self._cancelled = cancelled
        self._retry_seconds = retry_seconds
        self._redactor = Redactor(self.remote.secrets)
        self._marker = path.with_name(f"{path.name}.fetching")

    @classmethod
    def in_folder(cls, folder: Path, url: str, cancelled: threading.Event, limits: Limits = LIMITS) -> Mirror:
        """Return the one mirror of a repository among the mirrors in `folder`, whichever address it has."""
        return cls(Remote.of(url).mirror_path(folder), url, cancelled, limits=limits)

    def fetch(self) -> None:
        """Bring every branch and tag up to date. Raises `GitUnreachableError` or `StepFailedError`."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds whole histories
        lock_path = self.path.with_name(f"{self.path.name}.lock")
        with locked(lock_path, seconds=self._limits.wall, cancelled=self._cancelled) as lock:
            repaired = self._repair(lock)
            self._marker.write_text(_FETCHING)
            if not repaired:
                self._update(lock)
            self._marker.unlink()

    def resolve_ref(self, ref: str) -> str:
        """Return the full id of a branch's or tag's newest commit; raises `CommitGoneError` if it is gone."""
        found = checked_ref(ref)
        answer = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{found}^{{commit}}")
        if answer.status != 0:
            raise CommitGoneError(f"ref_gone: {self.remote.url} has no {found}{self._nearest(found)}")
        return full_id(answer.output.strip())

    def _nearest(self, ref: str) -> str:
        """Return which branch or tag may be meant instead of one that is not here."""
        kind = TAG_PREFIX if ref.startswith(TAG_PREFIX) else BRANCH_PREFIX
        names = self.ask("for-each-ref", "--format=%(refname)", kind).output.splitlines()
        name = ref.removeprefix(kind).removeprefix("origin/")
        return hint(name, [each.removeprefix(kind) for each in names])

    def resolve_commit(self, text: str) -> str:
        """Return the full id of the commit that `text` begins; raises `CommitGoneError` unless it is one."""
        short = abbreviation(text)
        answer = self.ask("rev-parse", "--verify", "--end-of-options", f"{short}^{{commit}}")
        found = answer.output.strip()
        if answer.status == 0 and found.startswith(short):
            return full_id(found)
        reason = "is ambiguous, give more digits" if "ambiguous" in answer.errors else "is not a commit of"
        raise CommitGoneError(f"ref_gone: {short} {reason}: {self.remote.url}")

    def require(self, commit: str) -> None:
        """Make sure that a commit is here; raises `CommitGoneError` if it is not."""
        answer = self.ask("cat-file", "-e", f"{full_id(commit)}^{{commit}}")
        if answer.status != 0 and _DAMAGE.search(answer.errors):
            self._renew()
            answer = self.ask("cat-file", "-e", f"{commit}^{{commit}}")
        if answer.status != 0:
            raise CommitGoneError(
                f"ref_gone: commit {commit} is not in {self.remote.url}; was it replaced by a force-push, "
                "or its branch deleted?"
            )

    def export(self, commit: str, into: Path) -> None:
        """Write the files of a commit into a new directory; all of them and as they are: `export-ignore` and
        `export-subst` count for nothing.

        Raises `AppPathRefusedError` if `into` is anything but absent or an empty directory, and
        `StepFailedError` if the files cannot be written. A damaged mirror is fetched again first.
        """
        _make_empty_directory(into)
        try:
            self._archive(full_id(commit), into)
        except _DamagedError:
            self._renew()
            shutil.rmtree(into)
            into.mkdir(mode=0o700)
            self._archive(commit, into)

    def _update(self, lock: int) -> None:
        if not (self.path / "HEAD").exists():
            self._create(self.path)
        try:
            self._download(self.path, lock)
        except GitUnreachableError:
            self._marker.unlink()  # git ended in order: there is nothing to repair
            raise
        except _DamagedError:
            self._replace(lock)

    def _repair(self, lock: int) -> bool:
        """Return whether the mirror had to be fetched again."""
        if not self._marker.exists():
            return False
        for stale in self.path.rglob("*.lock"):  # their holders are gone: this process has the lock
            stale.unlink()
        if self._marker.read_text() != _DAMAGED and self._is_sound(self.path):
            return False
        self._replace(lock)
        return True

    def _renew(self) -> None:
        self._marker.write_text(_DAMAGED)
        self.fetch()

    def _replace(self, lock: int) -> None:
        new, old = (self.path.with_name(f"{self.path.name}.{suffix}") for suffix in ("new", "old"))
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        self._create(new)
        self._download(new, lock)
        with suppress(FileNotFoundError):
            self.path.rename(old)
        new.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)

    def _create(self, path: Path) -> None:
        LocalRepository(path.parent).expect("init", "--bare", "--quiet", "--template=", str(path))
        (path / "info").mkdir(exist_ok=True)
        (path / "info/attributes").write_text("* -export-ignore -export-subst\n")

    def _download(self, path: Path, lock: int) -> None:
        until = time.monotonic() + self._limits.wall
        for delay in (*self._retry_seconds, None):
            printed = bytearray()
            try:
                self._fetch_into(path, lock, printed, until)
                return self._check_damage(path, printed)
            except CommandFailedError as error:
                self._check_damage(path, printed)
                if delay is None or time.monotonic() + delay >= until:
                    raise self._unreachable(error, printed) from None
            if self._cancelled.wait(delay):
                raise CancelledError(f"cancelled while fetching {self.remote.url}")
        return None

    def _fetch_into(self, path: Path, lock: int, printed: bytearray, until: float) -> None:
        options = ["--prune", "--force", "--no-write-fetch-head", "--progress", "--end-of-options"]
        argv = LocalRepository(path).argv("fetch", *options, self.remote.url, *_REFSPECS)
        limits = replace(self._limits, wall=max(0.0, until - time.monotonic()))
        # The lock is passed on so that a git whose parent was killed goes on holding it.
        self._run(argv, printed, limits, on_start=lambda _: failpoint("fetch"), pass_fds=(lock,))

    def _check_damage(self, path: Path, printed: bytearray) -> None:
        """Raise if git complained of its own files, even if it could make up for them this time."""
        if damage := _DAMAGE.search(printable(printed.decode(errors="replace"))):
            raise _DamagedError(f"{path} is damaged: {damage[0]}")

    def _is_sound(self, path: Path) -> bool:
        argv = LocalRepository(path).argv("fsck", "--connectivity-only", "--no-dangling", "--progress")
        with suppress(CommandFailedError):
            self._run(argv, bytearray(), self._limits)
            return True
        return False

    def _archive(self, commit: str, into: Path) -> None:
        argv = self.argv("archive", "--format=tar", commit)
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                argv, env=self.environment(), stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            ) as git,
        ):
            assert git.stdout is not None  # noqa: S101 - for the type checker
            failure = self._unpack(git.stdout.fileno(), into)
            git.stdout.close()  # a git that still writes ends by SIGPIPE
            if git.wait() > 0:
                errors.seek(0)
                raise _DamagedError(
                    f"{self.path} is damaged: {last_line(errors.read().decode(errors='replace'))}"
                )
        if failure is not None:
            raise failure

    def _unpack(self, archive: int, into: Path) -> StepFailedError | None:
        printed = bytearray()
        argv = ["tar", "-x", "-p", "--no-same-owner", "-f", "-", "-C", str(into)]
        limits = replace(self._limits, silence=self._limits.wall)
        try:
            self._run(argv, printed, limits, on_start=lambda _: failpoint("export"), stdin=archive)
        except CommandFailedError as error:
            said = last_line(printed.decode(errors="replace")) if printed else str(error)
            return StepFailedError(cause(f"the files of the commit cannot be written to {into}: {said}"))
        return None

    def _run(self, argv: list[str], printed: bytearray, limits: Limits, **options: Unpack[_Options]) -> None:
        def keep(data: bytes) -> None:
            printed.extend(data)
            del printed[:-_OUTPUT_BYTES]

        run_command(
            argv,
            cwd=self.path.parent,
            env=self.environment(self.remote),
            limits=limits,
            on_output=keep,
            cancelled=self._cancelled,
            **options,
        )

    def _unreachable(self, error: CommandFailedError, printed: bytearray) -> GitUnreachableError:
        said = last_line(self._redactor.redact(printed.decode(errors="replace")))
        return GitUnreachableError(
            f"git_unreachable: {self.remote.url} cannot be fetched: {said} ({error}); check the address, the "
            "network and the credentials of the user that runs Fraisier, then deploy again"
        )


class _DamagedError(StepFailedError):
    """The mirror's own files are damaged."""


class _Options(TypedDict, total=False):
    on_start: Callable[[ProcessIdentity], None]
    pass_fds: Sequence[int]
    stdin: int


def _make_empty_directory(path: Path) -> None:
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if path.is_symlink() or not path.is_dir() or any(path.iterdir()):
        raise AppPathRefusedError(
            f"{path} is in the way of an export: it must be absent or an empty directory"
        )

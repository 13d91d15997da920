"""Fetching a remote repository into one on this machine: asked for again if it fails, within limits.

Failpoint: `fetch` while git fetches.
"""

from __future__ import annotations

import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict, TypeVar, Unpack

from fraisier_core.errors import CancelledError, CommandFailedError, GitUnreachableError, StepFailedError
from fraisier_core.git.bounds import Deadline
from fraisier_core.git.diagnosis import damage_in, explained, is_damage, reason_of, spoken
from fraisier_core.git.foreign import check_foreign
from fraisier_core.git.local import NOTHING, LocalRepository
from fraisier_core.git.remotes import Remote
from fraisier_core.push import BRANCH_PREFIX, is_ref_name
from fraisier_core.system.commands import Limits, run_command
from fraisier_core.system.failpoints import failpoint
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.text.redaction import Redactor

Result = TypeVar("Result")

_OUTPUT_BYTES = 65_536
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_BRANCHES_BYTES = 64 * 2**20  # the heads of about half a million branches
_HEAD = re.compile(r"^([0-9a-f]{40}(?:[0-9a-f]{24})?)\trefs/heads/(\S+)$", re.MULTILINE)
_LONG_ID = re.compile(r"^[0-9a-f]{64}\t", re.MULTILINE)
_SHALLOW = re.compile(r"^warning: rejected .* because shallow roots are not allowed", re.MULTILINE)


class DamagedError(StepFailedError):
    """What is on the disk cannot be used, and is to be fetched anew."""


class _UnreadableError(GitUnreachableError):
    """The remote cannot read all that it has."""


class RunOptions(TypedDict, total=False):
    """What else a run of git takes, as `run_command` does."""

    on_start: Callable[[ProcessIdentity], None]
    pass_fds: Sequence[int]
    umask: int


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git on one remote's behalf: bounded, cancelled with the deployment, the end of its output kept, at
    most `most_bytes`; `deadline` is that of all runs.
    """

    remote: Remote
    limits: Limits
    cancelled: threading.Event
    deadline: Deadline = field(default_factory=Deadline)
    most_bytes: int = _OUTPUT_BYTES

    @property
    def redactor(self) -> Redactor:
        """Hides the remote's credentials."""
        return Redactor(self.remote.secrets)

    def run(
        self,
        argv: Sequence[str],
        printed: bytearray,
        env: Mapping[str, str],
        cwd: Path,
        limits: Limits | None = None,
        **options: Unpack[RunOptions],
    ) -> None:
        """Run a command and keep what it prints. Raises `CommandFailedError` or `CancelledError`, and
        `StepFailedError` if the deadline has passed.
        """

        def keep(data: bytes) -> None:
            printed.extend(data)
            del printed[: -self.most_bytes]

        bounds = limits or self.limits
        run_command(
            argv,
            cwd=cwd,
            env=env,
            limits=replace(bounds, wall=self.deadline.left(bounds.wall)),
            on_output=keep,
            cancelled=self.cancelled,
            **options,
        )


@dataclass(frozen=True, slots=True)
class Download:
    """Downloads from one remote.

    Args:
        git: how git is run.
        retry_seconds: the wait before each further attempt.
        lock: the descriptor of the lock that is held: a git whose parent was killed goes on holding it.
        secrets: the folder in which what ssh reads lies while it runs.
        wanted: the ref that is fetched alone if the remote cannot read all it has.
    """

    git: Git
    retry_seconds: Sequence[float]
    lock: int
    secrets: Path
    wanted: str | None = None

    def object_format(self, beside: Path) -> str:
        """Return in which format the remote names its objects, `sha1` or `sha256`."""
        return self._attempted(lambda until: self._object_format(LocalRepository(beside), until))

    def heads(self, beside: Path) -> dict[str, str]:
        """Return the full refs of the remote's branches, and the newest commit of each."""
        whole = replace(self, git=replace(self.git, most_bytes=_BRANCHES_BYTES))
        return self._attempted(lambda until: whole._heads(LocalRepository(beside), until))

    def fetch(self, path: Path, *, fresh: bool) -> list[str]:
        """Bring the branches and tags at `path` up to date, and return what git complained of. Raises
        `GitUnreachableError`, and `DamagedError` unless `path` is `fresh`: then the remote is damaged.
        """
        return self._attempted(lambda until: self._fetch_or_one(path, until, fresh))

    def fetch_commit(self, path: Path, commit: str) -> None:
        """Fetch one commit that no branch or tag need have. Raises `GitUnreachableError`."""
        refspecs = [f"+{commit}:refs/fraisier/{commit}"]
        self._attempted(lambda until: self._fetch(path, until, fresh=True, refspecs=refspecs))

    def fetch_large_files(self, path: Path, commit: str, config: Mapping[str, str]) -> None:
        """Download the files of a commit that are in Git LFS, from where git's configuration says. Raises
        `GitUnreachableError`.
        """
        here, arguments = LocalRepository(path), ["lfs", "fetch", "origin", commit]
        self._attempted(lambda until: self._run(here, until, bytearray(), *arguments, config=config))

    def _object_format(self, repository: LocalRepository, until: float) -> str:
        return "sha256" if _LONG_ID.search(self._listed(repository, until)) else "sha1"

    def _heads(self, repository: LocalRepository, until: float) -> dict[str, str]:
        found = _HEAD.findall(self._listed(repository, until, "--heads"))
        return {f"{BRANCH_PREFIX}{name}": commit for commit, name in found if is_ref_name(name)}

    def _listed(self, repository: LocalRepository, until: float, *options: str) -> str:
        """Return what the remote says of its refs."""
        printed = bytearray()
        arguments = [*self._options(), *options, "--end-of-options", self.git.remote.url]
        self._run(repository, until, printed, "ls-remote", *arguments)
        return printed.decode(errors="replace")

    def _fetch_or_one(self, path: Path, until: float, fresh: bool) -> list[str]:
        try:
            return self._fetch(path, until, fresh, "--prune", refspecs=_REFSPECS)
        except _UnreadableError as error:
            if self.wanted is None:
                raise
            self._fetch(path, until, fresh, refspecs=[f"+{self.wanted}:{self.wanted}"])
            return error.output.splitlines()

    def _fetch(self, path: Path, until: float, fresh: bool, *more: str, refspecs: Sequence[str]) -> list[str]:
        printed = bytearray()
        options = ["--force", "--no-write-fetch-head", "--progress", *more, *self._options()]
        try:
            arguments = [*options, "--end-of-options", self.git.remote.url, *refspecs]
            self._run(LocalRepository(path), until, printed, "fetch", *arguments)
        finally:
            if not fresh:
                _check_damage(path, printed)
        if refused := _SHALLOW.search(printed.decode(errors="replace")):
            raise self._unreachable(printed, refused[0])
        return spoken(printed)

    def _options(self) -> Iterator[str]:
        """Yield what lets git read a directory of another user: the one that the configuration names."""
        if places := self.git.remote.directories:
            check_foreign(places)
            trusted = " ".join(f"-c safe.directory={shlex.quote(place)}" for place in places)
            yield f"--upload-pack=git {trusted} upload-pack"

    def _run(
        self,
        repository: LocalRepository,
        until: float,
        printed: bytearray,
        *arguments: str,
        config: Mapping[str, str] = NOTHING,
    ) -> None:
        limits = replace(self.git.limits, wall=max(0.0, until - time.monotonic()))
        options: RunOptions = {"on_start": lambda _: failpoint("fetch"), "pass_fds": (self.lock,)}
        remote, cwd = self.git.remote, repository.path.parent
        try:
            with remote.opened(self.secrets) as opened:
                env = repository.environment(remote, opened, config)
                self.git.run(repository.argv(*arguments), printed, env, cwd, limits, **options)
        except CommandFailedError as error:
            raise self._unreachable(printed, str(error)) from None

    def _attempted(self, attempt: Callable[[float], Result]) -> Result:
        until = time.monotonic() + self.git.deadline.left(self.git.limits.wall)
        for delay in self.retry_seconds:
            try:
                return attempt(until)
            except GitUnreachableError:
                if time.monotonic() + delay >= until:
                    raise
            if self.git.cancelled.wait(delay):
                raise CancelledError(f"cancelled while fetching {self.git.remote.url}")
        return attempt(until)

    def _unreachable(self, printed: bytearray, how: str) -> GitUnreachableError:
        redactor = self.git.redactor
        said = [redactor.redact(line) for line in spoken(printed)]
        ended = "exited with status" in how or "shallow" in how
        reason = reason_of(said) if said and ended else how
        what = f"git_unreachable: {self.git.remote.url} cannot be fetched: {reason}"
        more = f"; git said: {reason_of(said)}" if said and not ended else ""
        kind = _UnreadableError if is_damage(reason) else GitUnreachableError
        error = kind(f"{what}{more}; {explained(reason, self.git.remote.keyscan)}")
        error.output = "\n".join(said)
        return error


def _check_damage(path: Path, printed: bytearray) -> None:
    """Raise if git complained of its own files, even if it could make up for them this time, or if the remote
    is of another format than they.
    """
    if damage := damage_in("\n".join(spoken(printed))):
        raise DamagedError(f"{path} is damaged: {damage}")

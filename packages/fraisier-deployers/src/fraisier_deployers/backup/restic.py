"""A repository of restic as the place where copies of backups lie: it deduplicates and encrypts them.

A backup is two snapshots of one file each: its data, and then its manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fraisier_core import CommandFailedError, CommandResult
from pydantic import SecretStr

from fraisier_deployers.backup.backup_errors import BackupError, UnusableCopyError
from fraisier_deployers.backup.discreet_restic import ABSENT, command
from fraisier_deployers.backup.dumping import BackupSource, Dumped, Sink
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.pipelines import run_pipeline
from fraisier_deployers.backup.places import NAMELESS, Listing, Runner, StoredFile
from fraisier_deployers.backup.programs import require_program
from fraisier_deployers.backup.read_manifests import UNREADABLE, ReadManifests
from fraisier_deployers.backup.remotes.remote_commands import RemoteCommands, written
from fraisier_deployers.backup.restic_errors import reason
from fraisier_deployers.backup.restic_locks import Result, patiently, unless_locked
from fraisier_deployers.backup.restic_snapshots import (
    DATA,
    MANIFEST,
    KnownSnapshots,
    Origin,
    Snapshot,
    Snapshots,
    tags_of,
    unfinished,
)
from fraisier_deployers.backup.with_variables import WithVariables

NAME = "restic"
_NO_REPOSITORY = 10  # that restic exits with, from 0.17 on
_EVERY_HALF_MINUTE = "0.033"
_LOST = ("ciphertext verification failed", "no such file or directory")


@dataclass(frozen=True, slots=True)
class ResticPlace:
    """A repository of restic.

    Args:
        repository: as restic's `--repo`, a secret as a whole.
        password: of the repository.
        runner: runs restic.
        cache: a folder of this host that keeps the manifests that were read.
        patience: for so many seconds it is waited for a process that has locked the repository for itself.
    """

    repository: SecretStr
    password: SecretStr
    runner: Runner
    cache: Path
    patience: float = 600.0
    _known: KnownSnapshots = field(default_factory=KnownSnapshots, init=False, repr=False, compare=False)
    _just_read: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What messages call it."""
        return NAME

    @property
    def destination(self) -> str:
        """What people read of where it is: nothing."""
        return "the restic repository"

    def prepare(self, *, make: bool) -> Listing:
        """Remove the locks of killed processes, wait until nobody has the repository for himself, and return
        what lies there. Raises `BackupError`.

        Args:
            make: whether a repository is made if there is none.
        """
        result = self.commands.run("open it", command("unlock"), range(256))
        if result.status != 0:
            absent = f"({ABSENT})" in result.output or result.status == _NO_REPOSITORY
            if not (make and absent):
                raise self.commands.failed("open it", result.output)
            self._run("make it", "init", "--quiet")
        return self._listing(self._patiently(lambda: self._known.listed(self.commands, locking=True)))

    def manifests(self) -> Listing:
        """Return what lies there."""
        return self._listing(self._known.listed(self.commands))

    def receive(self, source: BackupSource, file: str, made: Origin, work: Path) -> Dumped:
        """Dump a source into the repository at once. It is no backup until `put_manifest` was called.

        Args:
            source: what is dumped.
            file: the name of the copy's file.
            made: which backup it is.
            work: an empty folder for files that are needed meanwhile.
        """
        require_program("restic")
        return source.dump(WithVariables(self.runner, self._env), work, self._sink(file, made))

    def put(self, file: Path, manifest: Manifest) -> None:
        """Store a copy: the data, then the manifest."""
        self._pipe(f"store {manifest.file}", self._sink(manifest.file, manifest).fed_by(input=file))
        self.put_manifest(manifest)

    def put_manifest(self, manifest: Manifest) -> None:
        """Store the manifest of what lies there already."""
        name = manifest.manifest_file
        with written(manifest) as file:
            pipeline = Pipeline(str(file), after=(self._backup(name, MANIFEST, manifest),))
            self._patiently(lambda: self._pipe(f"store {name}", pipeline))

    def stored(self, manifest: Manifest) -> StoredFile:
        """Return what lies there as the file of a copy: all of it is read, and its manifest unless the last
        listing has read that.
        """
        for snapshot in self._snapshots(MANIFEST, [manifest.manifest_file]):
            if snapshot.id in self._just_read:
                self._just_read.remove(snapshot.id)
            else:
                self._manifest(snapshot, manifest.manifest_file)
        pipeline = Pipeline(before=(self._dumping(manifest),), output="/dev/null")
        try:
            return self._patiently(lambda: self._pipe(f"read {manifest.file}", pipeline))
        except BackupError as error:
            if any(each in str(error) for each in _LOST):
                raise UnusableCopyError(str(error)) from error
            raise

    def fetch(self, manifest: Manifest, folder: Path) -> Path:
        """Return the path of the copy's file, brought to `folder`."""
        target = folder / manifest.file
        pipeline = Pipeline(before=(self._dumping(manifest),), output=str(target))
        self._patiently(lambda: self._pipe(f"fetch {manifest.file}", pipeline))
        return target

    def delete(self, *manifests: Manifest) -> None:
        """Forget copies: the manifests first. Their space is freed the next time that `reclaim` is called."""
        self.unlist(manifests)
        for manifest in manifests:
            self._forget(manifest.file, self._snapshots(DATA, [manifest.file]))

    def unlist(self, manifests: Sequence[Manifest]) -> None:
        """Forget the manifests of copies; the next backup forgets the rest, if `reclaim` does not."""
        files = [each.manifest_file for each in manifests]
        what = files[0] if len(files) == 1 else f"{len(files)} manifests"
        self._forget(what, self._snapshots(MANIFEST, files))

    def reclaim(self, manifests: Sequence[Manifest]) -> None:
        """Forget the data of copies, and free the space of all that was forgotten. Raises `BackupError`, also
        if others are at work in the repository: the next time will do.
        """
        data = self._snapshots(DATA, [each.file for each in manifests])
        pruning = ["forget", "--prune", *(each.id for each in data)] if data else ["prune"]
        self._run("prune it", *pruning)

    def forget_unfinished(self, making: Origin) -> None:
        """Forget the data of earlier backups of the same origin that have no manifest: they were never whole.
        What cannot be forgotten now stays.
        """
        try:
            snapshots = self._known.last(self.commands)
            if snapshots.unreadable:
                raise BackupError(f"{NAMELESS}{snapshots.unreadable[0][:8]}: {UNREADABLE}")
            self._forget("what was left unfinished", unfinished(snapshots.readable, making))
        except BackupError as error:
            self.runner.note(f"what was left unfinished stays: {error}")

    def check(self) -> None:
        """Have restic check the structure of the repository, unless others are at work in it. Raises
        `BackupError`.
        """
        unless_locked(lambda: self._run("check it", "check"), self.runner.note)

    def _listing(self, snapshots: Snapshots) -> Listing:
        self._just_read.clear()
        return self._read.listing(snapshots, self._read_now)

    def _read_now(self, snapshot: Snapshot, name: str) -> Manifest:
        manifest = self._manifest(snapshot, name)
        self._just_read.add(snapshot.id)
        return manifest

    def _snapshots(self, kind: str, files: Sequence[str]) -> list[Snapshot]:
        return self._known.of(kind, files, self.commands)

    def _patiently(self, action: Callable[[], Result]) -> Result:
        return patiently(action, self.patience, self.runner.note)

    def _forget(self, what: str, snapshots: Sequence[Snapshot]) -> None:
        if snapshots:
            self._run(f"forget {what}", "forget", *(each.id for each in snapshots))
            self._known.remove(snapshots)

    def _dumping(self, manifest: Manifest) -> Stage:
        found = self._snapshots(DATA, [manifest.file])
        if not found:
            raise UnusableCopyError(f"{self.destination}: {manifest.file} is missing")
        return Stage(command("dump", found[-1].id, f"/{manifest.file}"))

    def _manifest(self, snapshot: Snapshot, name: str) -> Manifest:
        argv = command("dump", snapshot.id, f"/{name}")
        text = self._patiently(lambda: self.commands.output(f"read {name}", argv))
        manifest = Manifest.parse(text, name)
        self._read.keep(snapshot.id, manifest)
        return manifest

    def _sink(self, file: str, made: Origin) -> Sink:
        return Sink(after=(self._backup(file, DATA, made),))

    def _backup(self, file: str, kind: str, made: Origin) -> Stage:
        tags = ("fraisier", kind, *tags_of(made), file)
        time = made.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        options = (f"--stdin-filename={file}", f"--host={made.host}", f"--time={time}")
        return Stage(command("backup", "--quiet", "--stdin", *options, *(f"--tag={tag}" for tag in tags)))

    def _run(self, doing: str, *arguments: str) -> CommandResult:
        return self.commands.run(doing, command(*arguments))

    def _pipe(self, doing: str, pipeline: Pipeline) -> StoredFile:
        require_program("restic")
        try:
            flowed = run_pipeline(self.runner, pipeline, self._env)
        except (BackupError, CommandFailedError) as error:
            raise self.commands.failed(doing, str(error)) from error
        return StoredFile(flowed.size, flowed.sha256)

    @property
    def _read(self) -> ReadManifests:
        return ReadManifests(self.cache)

    @property
    def commands(self) -> RemoteCommands:
        """What runs restic."""
        require_program("restic")
        return RemoteCommands(self.runner, self.destination, reason, self._env)

    @property
    def _env(self) -> Mapping[str, str]:
        repository, password = self.repository.get_secret_value(), self.password.get_secret_value()
        return {
            "RESTIC_REPOSITORY": repository,
            "RESTIC_PASSWORD": password,
            "RESTIC_PROGRESS_FPS": _EVERY_HALF_MINUTE,
        }

"""A repository of restic as the place where copies of backups lie: it deduplicates and encrypts them.

A backup is two snapshots of one file each: its data, and then its manifest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from fraisier_core import CommandFailedError, CommandResult
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.dumping import BackupSource, Dumped, Sink
from fraisier_deployers.backup.manifest import SUFFIX, Manifest
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.pipelines import run_pipeline
from fraisier_deployers.backup.places import Listing, Runner, StoredFile
from fraisier_deployers.backup.remotes.remote_commands import RemoteCommands, require_program, written
from fraisier_deployers.backup.restic_errors import hidden, reasons
from fraisier_deployers.backup.with_variables import WithVariables

NAME = "restic"
_OURS, _DATA, _MANIFEST = "fraisier", "fraisier-data", "fraisier-manifest"
_EVERY_HALF_MINUTE = "0.033"
_ABSENT = "Is there a repository at the following location?"


class Origin(Protocol):
    """Which backup it is, as a manifest says, or before there is one."""

    @property
    def fraise(self) -> str:
        """Whose it is."""

    @property
    def environment(self) -> str:
        """Of that fraise."""

    @property
    def host(self) -> str:
        """Where it is made."""

    @property
    def created_at(self) -> datetime:
        """When it began."""


class Snapshot(BaseModel):
    """A snapshot as restic lists it; `id` is the SHA-256 of what it says."""

    id: str
    time: datetime
    tags: tuple[str, ...] = ()

    def has(self, *tags: str) -> bool:
        """Whether it has all these tags."""
        return set(tags) <= set(self.tags)


@dataclass(frozen=True, slots=True)
class ResticPlace:
    """A repository of restic.

    Args:
        repository: as restic's `--repo`, a secret as a whole.
        password: of the repository.
        runner: runs restic.
        cache: a folder of this host that keeps the manifests that were read.
    """

    repository: SecretStr
    password: SecretStr
    runner: Runner
    cache: Path

    @property
    def name(self) -> str:
        """What messages call it."""
        return NAME

    @property
    def destination(self) -> str:
        """What people read of where it is: nothing."""
        return "the restic repository"

    def prepare(self) -> None:
        """Make the repository if there is none, and remove the locks of killed processes. Raises
        `BackupError`.
        """
        result = self._commands.run("open it", self._argv("cat", "--no-lock", "config"), range(256))
        if _ABSENT in result.output or result.status == 10:
            self._run("make it", "init")
        elif result.status != 0:
            raise self._commands.failed("open it", result.output)
        self._run("unlock it", "unlock")

    def manifests(self) -> Listing:
        """Return what lies there."""
        manifests, unreadable = [], {}
        for snapshot in self._snapshots(_MANIFEST):
            name = next((tag for tag in snapshot.tags if tag.endswith(SUFFIX)), f"{snapshot.id[:8]}{SUFFIX}")
            try:
                manifests.append(Manifest.parse(self._manifest_text(snapshot, name), name))
            except BackupError as error:
                unreadable[name] = str(error)
        return Listing(tuple(sorted(manifests, key=lambda each: (each.created_at, each.name))), unreadable)

    def receive(self, source: BackupSource, file: str, made: Origin, work: Path) -> Dumped:
        """Dump a source into the repository at once. It is no backup until `put_manifest` was called.

        Args:
            source: what is dumped.
            file: the name of the copy's file.
            made: which backup it is.
            work: an empty folder for files that are needed meanwhile.
        """
        require_program("restic")
        try:
            return source.dump(WithVariables(self.runner, self._env), work, self._sink(file, made))
        except BackupError as error:
            raise BackupError(hidden(self.repository.get_secret_value(), str(error))) from error

    def put(self, file: Path, manifest: Manifest) -> None:
        """Store a copy: the data, then the manifest."""
        self._pipe(f"store {manifest.file}", self._sink(manifest.file, manifest).fed_by(input=file))
        self.put_manifest(manifest)

    def put_manifest(self, manifest: Manifest) -> None:
        """Store the manifest of what lies there already."""
        name = manifest.manifest_file
        with written(manifest) as file:
            self._pipe(f"store {name}", Pipeline(str(file), after=(self._backup(name, _MANIFEST, manifest),)))

    def stored(self, manifest: Manifest) -> StoredFile:
        """Return what lies there as the file of a copy: all of it is read, and decrypted."""
        pipeline = Pipeline(before=(self._dumping(manifest),), output="/dev/null")
        flowed = self._pipe(f"read {manifest.file}", pipeline)
        return StoredFile(flowed.size, flowed.sha256)

    def fetch(self, manifest: Manifest, folder: Path) -> Path:
        """Return the path of the copy's file, brought to `folder`."""
        target = folder / manifest.file
        self._pipe(f"fetch {manifest.file}", Pipeline(before=(self._dumping(manifest),), output=str(target)))
        return target

    def delete(self, manifest: Manifest) -> None:
        """Forget a copy: the manifest first. Its space is freed by `reclaim`."""
        for tag, file in ((_MANIFEST, manifest.manifest_file), (_DATA, manifest.file)):
            self._forget(file, [each for each in self._snapshots(tag) if each.has(file)])

    def forget_unfinished(self, fraise: str, environment: str) -> None:
        """Forget the data of this environment's backups that have no manifest: they were never whole."""
        manifests = [tag for each in self._snapshots(_MANIFEST) for tag in each.tags if tag.endswith(SUFFIX)]
        whole = {name.removesuffix(SUFFIX) for name in manifests}
        data = [each for each in self._snapshots(_DATA) if each.has(*_tags(fraise, environment))]
        left = [each for each in data if whole.isdisjoint(tag.partition(".")[0] for tag in each.tags)]
        self._forget("what was left unfinished", left)

    def check(self) -> None:
        """Have restic check the structure of the repository. Raises `BackupError`."""
        self._run("check it", "check")

    def reclaim(self) -> None:
        """Free the space of what was forgotten. Raises `BackupError`."""
        self._run("prune it", "prune")

    def _forget(self, what: str, snapshots: Sequence[Snapshot]) -> None:
        if snapshots:
            self._run(f"forget {what}", "forget", *(each.id for each in snapshots))

    def _snapshots(self, tag: str) -> list[Snapshot]:
        text = self._commands.output("list it", self._argv("snapshots", "--no-lock", "--json", "--tag", tag))
        try:
            return TypeAdapter(list[Snapshot] | None).validate_json(text) or []
        except ValidationError as error:
            raise BackupError(
                f"{self.destination}: restic lists it in a way that is not understood"
            ) from error

    def _dumping(self, manifest: Manifest) -> Stage:
        found = [each for each in self._snapshots(_DATA) if each.has(manifest.file)]
        if not found:
            raise BackupError(f"{self.destination}: {manifest.file} is missing")
        return Stage(tuple(self._argv("dump", found[-1].id, f"/{manifest.file}")))

    def _manifest_text(self, snapshot: Snapshot, name: str) -> str:
        kept = self.cache / f"{snapshot.id}.json"
        if re.fullmatch("[0-9a-f]{64}", snapshot.id) and kept.is_file():
            return kept.read_text()
        text = self._commands.output(f"read {name}", self._argv("dump", snapshot.id, f"/{name}"))
        self.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept.write_text(text)
        return text

    def _sink(self, file: str, made: Origin) -> Sink:
        return Sink(after=(self._backup(file, _DATA, made),))

    def _backup(self, file: str, kind: str, made: Origin) -> Stage:
        tags = (_OURS, kind, *_tags(made.fraise, made.environment), file)
        time = made.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        options = (f"--stdin-filename={file}", f"--host={made.host}", f"--time={time}")
        argv = self._argv("backup", "--quiet", "--stdin", *options, *(f"--tag={tag}" for tag in tags))
        return Stage(tuple(argv))

    def _run(self, doing: str, *arguments: str) -> CommandResult:
        return self._commands.run(doing, self._argv(*arguments))

    def _pipe(self, doing: str, pipeline: Pipeline) -> StoredFile:
        require_program("restic")
        try:
            flowed = run_pipeline(self.runner, pipeline, self._env)
        except (BackupError, CommandFailedError) as error:
            raise self._commands.failed(doing, str(error)) from error
        return StoredFile(flowed.size, flowed.sha256)

    def _argv(self, *arguments: str) -> list[str]:
        return ["restic", *arguments]

    @property
    def _commands(self) -> RemoteCommands:
        why = reasons(self.repository.get_secret_value())
        return RemoteCommands(self.runner, self.destination, why, self._env)

    @property
    def _env(self) -> Mapping[str, str]:
        repository, password = self.repository.get_secret_value(), self.password.get_secret_value()
        return {
            "RESTIC_REPOSITORY": repository,
            "RESTIC_PASSWORD": password,
            "RESTIC_PROGRESS_FPS": _EVERY_HALF_MINUTE,
        }


def _tags(fraise: str, environment: str) -> tuple[str, str]:
    return f"fraise={fraise}", f"environment={environment}"

"""Copies at a remote of rclone's: anything that rclone reaches, such as S3, WebDAV, SFTP, or a folder."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from fraisier_deployers.backup.backup_errors import BackupError, UnusableCopyError
from fraisier_deployers.backup.manifest import MOST_BYTES, Manifest, is_of
from fraisier_deployers.backup.places import Listing, Runner, StoredFile
from fraisier_deployers.backup.remotes.remote_commands import (
    MOST_TOGETHER,
    RemoteCommands,
    listing_of,
    several,
    written,
)

_TRIES_OF_A_FILE = 2  # each may take as long as the file
_TRIES = 10  # of what is short: a remote that limits rates refuses some
_PRIVATELY = ("sh", "-c", 'umask 077 && exec "$@"', "sh")  # if the remote is a folder of this host
_PROGRESS = ("--stats=30s", "--stats-one-line", "--stats-log-level=NOTICE")
_QUIET = ("--log-level=ERROR",)
_NO_FOLDER = 3  # that it exits with, also if a file is missing
_NO_SUCH_REMOTE = "didn't find section in config file"
_LEVEL = re.compile(r"^(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?(?:(ERROR|CRITICAL|NOTICE)\s*:\s*)?(.*)$")
_LAST = re.compile(r"^Failed to .*?: (?:last error was: )?(.*)$")


class _Hashes(BaseModel):
    sha256: str | None = None


class _Entry(BaseModel):
    name: str = Field(alias="Name")
    size: int = Field(alias="Size")
    hashes: _Hashes = Field(default=_Hashes(), alias="Hashes")


class _Features(BaseModel):
    move: bool = Field(default=False, alias="Move")


class _Backend(BaseModel):
    features: _Features = Field(alias="Features")


@dataclass(frozen=True)
class RclonePlace:
    """A folder at a remote of rclone's.

    Args:
        name: what the configuration calls it.
        remote: the remote and the path in it, as `remote:bucket/path`; no secret is in it.
        runner: runs rclone.
        fraise: whose copies are listed; others may share the folder.
        environment: of that fraise.
        config: the configuration file of rclone, None for its own default.
        patience: for so many seconds the remote may say nothing of a file, and half as long of what is short,
            before rclone tries again. It gives up after five times as many at the latest.
    """

    name: str
    remote: str
    runner: Runner
    fraise: str
    environment: str
    config: Path | None = None
    patience: float = 60.0

    @property
    def destination(self) -> str:
        """Where it is."""
        return self.remote

    def manifests(self) -> Listing:
        """Return what lies there of the environment; an absent folder is empty."""
        entries = self._listed("--files-only", "--no-modtime", "--no-mimetype", self.remote)
        sizes = {each.name: each.size for each in entries}
        return listing_of(sizes, self._is_own, self._bring_manifests)

    def put(self, file: Path, manifest: Manifest) -> None:
        """Store a copy: under a partial name first if the remote can rename; else it takes files whole."""
        if self._can_rename:
            self._delete_partial(manifest)
        with written(manifest) as manifest_file:
            self._upload(file, manifest.file)
            try:
                self._upload(manifest_file, manifest.manifest_file)
            except BackupError:
                with suppress(BackupError):
                    self.delete(manifest)
                raise

    def stored(self, manifest: Manifest) -> StoredFile:
        """Return what lies there as the file of a copy; a remote that knows no SHA-256 sends it back."""
        entries = self._listed("--stat", "--hash", "--hash-type=SHA256", self._path(manifest.file))
        if not entries:
            raise UnusableCopyError(f"{self.destination}: {manifest.file} is missing")
        (entry,) = entries
        return StoredFile(entry.size, entry.hashes.sha256 or self._hash_of_content(manifest.file))

    def fetch(self, manifest: Manifest, folder: Path) -> Path:
        """Return the path of the copy's file, brought to `folder`."""
        target = folder / manifest.file
        self._commands.fetch(manifest, self._argv("copyto", self._path(manifest.file), str(target)))
        return target

    def delete(self, *manifests: Manifest) -> None:
        """Delete copies: the manifests first."""
        self._delete([each.manifest_file for each in manifests])
        self._delete([each.file for each in manifests])

    @cached_property
    def _can_rename(self) -> bool:
        text = self._commands.output("reach it", self._argv("backend", "features", self.remote))
        try:
            return _Backend.model_validate_json(text).features.move
        except ValidationError:
            return False

    def _upload(self, file: Path, name: str) -> None:
        first = f".{name}.partial" if self._can_rename else name
        self._run(f"store {name}", "copyto", str(file), self._path(first))
        if first != name:
            self._run(f"store {name}", "moveto", self._path(first), self._path(name))

    def _delete(self, names: Sequence[str]) -> None:
        with tempfile.NamedTemporaryFile("w", prefix="fraisier-") as file:
            file.writelines(f"{name}\n" for name in names)
            file.flush()
            self._run(f"delete {several(names)}", "delete", f"--files-from-raw={file.name}", self.remote)

    def _delete_partial(self, manifest: Manifest) -> None:
        """Delete what an upload of this environment left that was killed, not one that is under way; what
        cannot be deleted stays. The folder is made, without which rclone would speak of errors.
        """
        pattern = f"/.{manifest.fraise}-{manifest.environment}-{'[0-9]' * 8}T{'[0-9]' * 6}Z-*.partial"
        options = ("--max-depth=1", "--min-age=1d", f"--include={pattern}")
        try:
            self._run("make it", "mkdir", self.remote)
            self._run("delete leftovers", "delete", *options, self.remote)
        except BackupError as error:
            self.runner.note(str(error))

    def _is_own(self, name: str) -> bool:
        return is_of(name, self.fraise, self.environment)

    def _bring_manifests(self, names: Path, folder: Path) -> str:
        """Fetch manifests, and return why some could not be."""
        try:
            limits = ("--max-depth=1", f"--max-size={MOST_BYTES}b", f"--max-transfer={2 * MOST_TOGETHER}b")
            self._run(
                "fetch the manifests", "copy", *limits, f"--include-from={names}", self.remote, str(folder)
            )
        except BackupError as error:
            return str(error)
        return f"it is no regular file, or larger than {MOST_BYTES} bytes"

    def _listed(self, *arguments: str) -> list[_Entry]:
        argv = self._argv("lsjson", *arguments)
        text = self._commands.output("list it", argv, (0, _NO_FOLDER))
        if text.strip() in {"", "[", "null"}:
            return []
        try:
            parsed = json.loads(text)
            return TypeAdapter(list[_Entry]).validate_python(parsed if isinstance(parsed, list) else [parsed])
        except ValueError as error:
            raise BackupError(
                f"{self.destination}: rclone lists it in a way that is not understood"
            ) from error

    def _hash_of_content(self, name: str) -> str:
        argv = self._argv("hashsum", "SHA256", "--download", self._path(name))
        found = re.match(r"([0-9a-f]{64})\s", self._commands.output(f"read {name}", argv))
        if found is None:
            raise BackupError(f"{self.destination}: {name} cannot be read: rclone tells no checksum of it")
        return found[1]

    def _run(self, doing: str, *arguments: str) -> None:
        accepted = (0, _NO_FOLDER) if arguments[0] == "delete" else (0,)
        self._commands.run(doing, [*_PRIVATELY, *self._argv(*arguments)], accepted)

    def _argv(self, *arguments: str) -> list[str]:
        config = [f"--config={self.config}"] if self.config else []
        takes_long = arguments[0] in {"copyto", "hashsum"} or "--hash" in arguments
        tries, silence = (_TRIES_OF_A_FILE, self.patience) if takes_long else (_TRIES, self.patience / 2)
        limits = (
            f"--contimeout={silence}s",
            f"--timeout={silence}s",
            "--retries=1",
            f"--low-level-retries={tries}",
        )
        return ["rclone", *config, *limits, *(_PROGRESS if takes_long else _QUIET), *arguments]

    def _path(self, name: str) -> str:
        return (
            f"{self.remote.rstrip('/')}/{name}" if not self.remote.endswith(":") else f"{self.remote}{name}"
        )

    @property
    def _commands(self) -> RemoteCommands:
        return RemoteCommands(self.runner, self.destination, self._why)

    def _why(self, text: str) -> str:
        said = _why(text)
        if _NO_SUCH_REMOTE not in said:
            return said
        place = str(self.config) if self.config else "its configuration (`rclone config file` says where)"
        absent = ", which does not exist" if self.config and not self.config.exists() else ""
        return f"rclone knows no remote {self.remote.partition(':')[0]} in {place}{absent}"


def _why(text: str) -> str:
    """Return why rclone failed: what it said last, without when, and how often it tried."""
    lines = [_LEVEL.match(line.strip()) for line in re.split(r"\n|; (?=\d{4}/)", text)]
    said = [found[2] for found in lines if found and found[1] != "NOTICE" and found[2]]
    last = [found[1] for line in said if (found := _LAST.match(line))]
    return (last or said or [""])[-1]

"""Copies in a folder of another host, which rsync reaches over ssh."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError, UnusableCopyError
from fraisier_deployers.backup.held_folder import held
from fraisier_deployers.backup.local_place import PARTIAL, hashed
from fraisier_deployers.backup.manifest import MOST_BYTES, Manifest, is_of
from fraisier_deployers.backup.pipelines import python
from fraisier_deployers.backup.places import Listing, Runner, StoredFile
from fraisier_deployers.backup.programs import require_program
from fraisier_deployers.backup.remotes.remote_commands import RemoteCommands, listing_of, several, written

_SSH = ("ssh", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oUpdateHostKeys=no")
_HEARTBEAT = "fraisier_deployers.backup.heartbeat"
_ENTRY = re.compile(r"^-\S+\s+(\d+) \S+ \S+ (.*)$", re.MULTILINE)
_REMOTE = re.compile(r"([^@:/]+@)?(\[[^\]]+\]|[^:/]+):(.*)")
_DIGEST = re.compile(r"^\\?([0-9a-f]{64})\s")
_ABSENT = re.compile(r"(?:change_dir|link_stat|rrsync error:) .*No such file or directory")
_NOT_WRITTEN = "exited with status 11"
_NOISE = re.compile(
    r"^(?:rsync error:|rsync: connection unexpectedly closed|rsync: \[sender\] safe_read"
    r"|@+$|@ +WARNING: UNPROTECTED)"
)
# The user's shell may be any; while the file is read, a line now and then says that it is still alive.
_HASH = (
    'sha256sum -- "$0" & read=$!; '
    "(while sleep 20 <&- >/dev/null 2>&1; do echo 'still reading' >&2; done) & tell=$!; "
    "wait $read; status=$?; kill $tell; exit $status"
)


@dataclass(frozen=True, slots=True)
class RsyncPlace:
    """A folder of another host. rsync writes a file under another name, and renames it when it is whole.

    Args:
        name: what the configuration calls it.
        remote: the host and the folder, as `user@host:/path`.
        runner: runs rsync and ssh.
        fraise: whose copies are listed; others may share the folder.
        environment: of that fraise.
        scratch: a folder of this host; a copy is brought here to be verified if there is no shell for us.
        identity: the private key, None for those of ssh's own configuration.
        known_hosts: the keys of hosts, None for ssh's own file. A host whose key is not in it is refused.
        port: of ssh, None for that of its own configuration.
        patience: for so many seconds rsync waits while nothing moves, ssh half of it, and a quarter of it to
            be connected.
    """

    name: str
    remote: str
    runner: Runner
    fraise: str
    environment: str
    scratch: Path
    identity: Path | None = None
    known_hosts: Path | None = None
    port: int | None = None
    patience: int = 120

    @property
    def destination(self) -> str:
        """Where it is."""
        return self.remote

    def manifests(self) -> Listing:
        """Return what lies there of the environment; an absent folder is empty."""
        return listing_of(self._listed(""), self._is_own, self._bring_manifests)

    def put(self, file: Path, manifest: Manifest) -> None:
        """Store a copy; the folder is made, but not the one that it is in."""
        with written(manifest) as manifest_file, tempfile.TemporaryDirectory(prefix="fraisier-") as folder:
            named = Path(folder) / manifest.file
            named.symlink_to(file.absolute())
            self._send(named)
            try:
                self._send(manifest_file)
            except BackupError:
                with suppress(BackupError):
                    self.delete(manifest)
                raise

    def stored(self, manifest: Manifest) -> StoredFile:
        """Return what lies there as the file of a copy; without a shell there, it is brought back."""
        sizes = self._listed(manifest.file)
        if manifest.file not in sizes:
            raise UnusableCopyError(f"{self.destination}: {manifest.file} is missing")
        if digest := self._digest(manifest.file):
            return StoredFile(sizes[manifest.file], digest)
        try:
            return self._brought(manifest)
        except OSError as error:
            problem = f"{manifest.file} cannot be brought to {self.scratch}"
            raise BackupError(f"{problem}: {error.strerror}") from error

    def fetch(self, manifest: Manifest, folder: Path) -> Path:
        """Return the path of the copy's file, brought to `folder`."""
        target = folder / manifest.file
        argv = [*self._rsync, "--chmod=F600", "--perms", self._path(manifest.file), str(target)]
        self._commands.fetch(manifest, _followed(argv))
        return target

    def delete(self, *manifests: Manifest) -> None:
        """Delete copies: the manifests first."""
        self._delete([each.manifest_file for each in manifests])
        self._delete([each.file for each in manifests])

    def _brought(self, manifest: Manifest) -> StoredFile:
        """Bring a file to this host, and return its size and checksum."""
        self.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        prefix = f".{manifest.name}-"
        with (
            tempfile.TemporaryDirectory(prefix=prefix, suffix=PARTIAL, dir=self.scratch) as folder,
            held(Path(folder)),
        ):
            return hashed(self.fetch(manifest, Path(folder)))

    def _send(self, file: Path) -> None:
        argv = [*self._rsync, "--copy-links", "--perms", "--chmod=D700,F600", str(file), self._path("")]
        self._commands.run(f"store {file.name}", _followed(argv))

    def _delete(self, names: Sequence[str]) -> None:
        """Have rsync make a folder like an empty one, in which it sees these files alone."""
        included = (f"--include=/{name}" for name in names)
        with tempfile.TemporaryDirectory(prefix="fraisier-") as empty:
            argv = [*self._rsync, "--recursive", "--delete", *included, "--exclude=*", f"{empty}/"]
            self._commands.run(f"delete {several(names)}", [*argv, self._path("")])

    def _listed(self, name: str) -> dict[str, int]:
        """Return the sizes of the files there by their names."""
        filters = ("--list-only", "--no-human-readable", "--dirs")
        argv = [*self._rsync, *filters, self._path(name)]
        try:
            return {
                found[2]: int(found[1]) for found in _ENTRY.finditer(self._commands.output("list it", argv))
            }
        except BackupError as error:
            if _ABSENT.search(str(error)):
                return {}
            raise

    def _is_own(self, name: str) -> bool:
        return is_of(name, self.fraise, self.environment)

    def _bring_manifests(self, names: Path, folder: Path) -> str:
        """Fetch manifests, and return why some could not be."""
        filters = (f"--include-from={names}", "--exclude=*", f"--max-size={MOST_BYTES}")
        try:
            argv = [*self._rsync, "--recursive", *filters, self._path(""), f"{folder}/"]
            self._commands.run("fetch the manifests", argv)
        except BackupError as error:
            return str(error)
        return f"it is no regular file, or larger than {MOST_BYTES} bytes"

    def _digest(self, name: str) -> str | None:
        """Return the SHA-256 of a file as the host computes it, None if it has no shell for us that can."""
        parts = _REMOTE.fullmatch(self.remote)
        user, host, folder = parts.groups(default="") if parts else ("", self.remote, "")
        command = shlex.join(["exec", "sh", "-c", _HASH, f"{folder.rstrip('/')}/{name}"])
        argv = [*self._ssh(), f"{user}{host.strip('[]')}", command]
        try:
            found = _DIGEST.match(self._commands.output(f"read {name}", argv))
        except BackupError:
            return None
        return found[1] if found else None

    def _path(self, name: str) -> str:
        return f"{self.remote.rstrip('/')}/{name}"

    @property
    def _rsync(self) -> Sequence[str]:
        return ("rsync", f"--timeout={self.patience}")

    def _ssh(self) -> Sequence[str]:
        alive = max(1, self.patience // 8)
        limits = (
            f"-oConnectTimeout={alive * 2}",
            f"-oServerAliveInterval={alive}",
            "-oServerAliveCountMax=4",
        )
        options = [*_SSH, *limits]
        if self.identity:
            options += ["-oIdentitiesOnly=yes", f"-i{self.identity}"]
        if self.known_hosts:
            path = str(self.known_hosts).replace("%", "%%")
            options += [f'-oUserKnownHostsFile="{path}"', "-oGlobalKnownHostsFile=/dev/null"]
        if self.port:
            options += [f"-p{self.port}"]
        return options

    @property
    def _commands(self) -> RemoteCommands:
        env = {"RSYNC_RSH": shlex.join(self._ssh()), "LC_ALL": "C"}
        return RemoteCommands(self.runner, self.destination, self._why, env)

    def _why(self, text: str) -> str:
        said = _why(text)
        if self.known_hosts and re.search("host key is known|Host key verification", said):
            state = "has another, or none, of it" if self.known_hosts.exists() else "does not exist"
            return f"{said}; known_hosts, {self.known_hosts}, {state}"
        if self.identity and "Permission denied" in said and _is_open(self.identity):
            return f"{said}; ssh ignores {self.identity} because others may read it: chmod 600"
        return said


def _followed(argv: Sequence[str]) -> Sequence[str]:
    """Return what has rsync bring a file, however long that takes; it gives up if nothing moves."""
    require_program("rsync")
    return python(_HEARTBEAT, "20", *argv)


def _is_open(key: Path) -> bool:
    with suppress(OSError):
        return bool(key.stat().st_mode & 0o077)
    return False


def _why(text: str) -> str:
    """Return why rsync or ssh failed, without what follows from it, unless that is all: what the other host
    says may be lost when the connection closes.
    """
    if text == _NOT_WRITTEN:
        return "it could not write there: look whether the folder above exists, and whether there is space"
    lines = [line.strip() for line in re.split(r"\n|; ", text) if line.strip()]
    return "; ".join([line for line in lines if not _NOISE.match(line)][:3] or lines[-2:])

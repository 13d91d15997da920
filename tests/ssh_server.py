"""A real ssh server on a free port of the loopback address, which takes the keys of a test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import wait_until

_CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv HOME={folder}
KexAlgorithms curve25519-sha256
"""


@dataclass(frozen=True, slots=True)
class SshServer:
    """A server that runs; `known_hosts` has its key."""

    folder: Path
    port: int

    @property
    def login(self) -> str:
        """The user and the host."""
        return f"{getpass.getuser()}@127.0.0.1"

    @property
    def known_hosts(self) -> Path:
        """The file that says which key the server has."""
        return self.folder / "known_hosts"

    def identity(self, name: str, options: str = "") -> Path:
        """Return a new private key, whose owner may do what the options of authorized_keys say."""
        key = self.folder / name
        make_key(key)
        public = key.with_suffix(".pub").read_text()
        with (self.folder / "authorized_keys").open("a") as file:
            file.write(f"{options} {public}".lstrip())
        return key


def make_key(path: Path) -> None:
    """Make a key pair without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Yield a server whose files are in `folder`, for as long as the context lasts."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("sshd is not installed")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    make_key(folder / "host_key")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    (folder / "authorized_keys").touch()
    (folder / "sshd_config").write_text(_CONFIGURATION.format(port=port, folder=folder))
    command = [program, "-D", "-e", "-f", str(folder / "sshd_config")]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            wait_until(lambda: _accepts(port), (folder / "log").read_text)
            yield SshServer(folder, port)
        finally:
            process.terminate()


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False

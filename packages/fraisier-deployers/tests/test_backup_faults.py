"""Whole backups while the remotes fail or lie: what was there stays, and the next one succeeds."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from fraisier_core import Release
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup import fraise_type
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.manifest import SUFFIX, Manifest

from tests.remotes import dav_remote, ssh_remote
from tests.ssh_server import ssh_server
from tests.webdav import WebDav, webdav

SIZE = 20_000
Run = FakeRun[BackupSettings]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at the remotes.

    Args:
        says: what is said of each place that it concerns, as an expression.
        dav: attributes of the WebDAV server.
        nas: what the shell of the ssh server does first; `{nas}` is the folder of the copies.
        section: keys of the environment.
    """

    says: Mapping[str, str]
    dav: Mapping[str, object]
    nas: str = ""
    section: Mapping[str, object] = field(default_factory=dict)


FAULTS = {
    "full": Fault(
        {
            "dav": r"cannot store shop-\S+\.bin: .*507",
            "nas": r"cannot store shop-\S+\.bin: .*(File too large|could not write there)",
        },
        {"room": SIZE // 2},
        "ulimit -f 20; trap '' XFSZ",
    ),
    "cut off": Fault(
        {
            "dav": r"shop-\S+\.bin at dav:\S+ is damaged: its SHA-256 is ",
            "nas": rf"shop-\S+\.bin at \S+ has 9 bytes, its manifest says {SIZE}: do not use it",
        },
        {"holds": SIZE // 2},
        'trap \'find {nas} -name "*.bin" -newer "$0.fault" -exec truncate -s 9 {{}} +\' EXIT',
    ),
    "closed to us": Fault(
        {"dav": r"cannot list it: .*403"},
        {"forbids": ("PROPFIND", "GET", "PUT")},
    ),
    "silent": Fault(
        {
            "dav": r"cannot store shop-\S+: .*printed nothing for 4 s",
            "nas": r"cannot list it: .*printed nothing for 4 s",
        },
        {"stalls": ("PUT",)},
        "exec sleep 60",
        {"silence_timeout": 4.0},
    ),
}


@dataclass(frozen=True, slots=True)
class World:
    """A folder, a WebDAV server whose clock is years ahead, and a host that runs what is in a file first.

    Args:
        folder: within which the copies lie.
        dav: the server.
        fault: the file.
        remotes: of both.
    """

    folder: Path
    dav: WebDav
    fault: Path
    remotes: dict[str, dict[str, object]]

    def run(self, **section: object) -> Run:
        """Return a run that keeps one backup at each of the three places."""
        keys = {
            "source": {"command": ["head", "-c", str(SIZE), "/dev/urandom"]},
            "path": self.folder / "local",
            "remotes": self.remotes,
            "keep": {"last": 1},
            **section,
        }
        return FakeRun(BackupSettings.model_validate(keys), Release("", self.folder, ""), fraise="shop")

    @contextmanager
    def disturbed(self, fault: Fault) -> Iterator[None]:
        """Let the remotes fail for as long as the context lasts."""
        before = {name: getattr(self.dav, name) for name in fault.dav}
        self.fault.write_text(fault.nas.format(nas=self.folder / "nas"))
        for name, value in fault.dav.items():
            setattr(self.dav, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(self.dav, name, value)
            self.fault.write_text("")

    def copies(self) -> dict[str, set[str]]:
        """Return the names of the backups at each place, and assert that each of them is whole."""
        found = {name: _files(self.folder / name) for name in ("local", "nas")}
        found["dav"] = {path.rpartition("/")[2]: content for path, content in self.dav.files.items()}
        return {name: set(_whole(files)) for name, files in found.items()}


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def _whole(files: Mapping[str, bytes]) -> Iterator[str]:
    for name in files:
        if name.endswith(SUFFIX) and not name.startswith("."):
            manifest = Manifest.parse(files[name], name)
            assert manifest.sha256 == sha256(files[manifest.file]).hexdigest()
            yield manifest.name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield a world in which one backup succeeded."""
    folder = tmp_path_factory.mktemp("world")
    with ssh_server(folder) as server, webdav() as dav:
        dav.clock = time.time() + 10**9
        shell = folder / "shell"
        shell.write_text('#!/bin/sh\n. "$0.fault"\nsh -c "$SSH_ORIGINAL_COMMAND"\n')
        shell.chmod(0o755)
        fault = folder / "shell.fault"
        fault.write_text("")
        identity = server.identity("key", f'command="{shell}"')
        remotes = {"dav": dav_remote(dav, folder), "nas": ssh_remote(server, folder / "nas", identity)}
        made = World(folder, dav, fault, remotes)
        fraise_type.back_up(made.run())
        yield made


@pytest.mark.parametrize("fault", FAULTS)
def test_a_backup_that_fails_elsewhere_costs_no_copy_and_the_next_one_succeeds(
    fault: str, world: World
) -> None:
    disturbance, before = FAULTS[fault], world.copies()
    failing = world.run(**disturbance.section)
    with world.disturbed(disturbance), pytest.raises(BackupError) as raised:
        fraise_type.back_up(failing)
    for place, words in disturbance.says.items():
        assert re.search(rf"(^|; ){place}: .*{words}", str(raised.value))
    assert (failing.stored, "prune" in failing.steps) == ([], False)
    after = world.copies()
    new = after["local"] - before["local"]
    assert len(new) == 1
    assert after == {
        place: names if place in disturbance.says else names | new for place, names in before.items()
    }
    run = world.run()
    fraise_type.back_up(run)
    assert run.steps[-6:] == ["copy_dav", "copy_nas", "verify_local", "verify_dav", "verify_nas", "prune"]
    (stored,) = run.stored
    assert stored.problem is None
    assert world.copies() == {name: {stored.name} for name in before}

"""Copies at remotes: rclone's, of which one is a WebDAV server that may lie, and hosts that ssh reaches."""

import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from fraisier_core import CommandResult, FraisierError, Release
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import BackupSettings, KeepSection
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.manifest import MOST_BYTES, Manifest
from fraisier_deployers.backup.pipelines import python
from fraisier_deployers.backup.places import Listing, Place, Runner
from fraisier_deployers.backup.pruning import Policy, Pruned, plan
from fraisier_deployers.backup.remotes.configured import remote_places
from fraisier_deployers.backup.remotes.noted_place import NotedPlace
from fraisier_deployers.backup.remotes.rclone import RclonePlace
from fraisier_deployers.backup.remotes.remote_commands import listing_of
from fraisier_deployers.backup.remotes.rsync import RsyncPlace
from fraisier_deployers.backup.verified_copies import verified, verify
from pydantic import ValidationError

from tests import manifests
from tests.manifests import manifest_of, night
from tests.remotes import dav_remote, require, ssh_remote
from tests.ssh_server import SshServer, make_key, ssh_server
from tests.webdav import WebDav, webdav

CONTENT = os.urandom(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
KINDS = "folder", "rsync alone"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("ssh")) as started:
        yield started


@pytest.fixture
def dav() -> Iterator[WebDav]:
    with webdav() as started:
        yield started


Configured = Callable[..., Place]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    def place(*, silence_timeout: float = 60.0, env: dict[str, str] | None = None, **remote: object) -> Place:
        section = {
            "source": {"command": ["true"]},
            "path": str(tmp_path / "local"),
            "remotes": {"offsite": remote},
            "silence_timeout": silence_timeout,
            "env": env or {},
        }
        settings = BackupSettings.model_validate(section)
        run = FakeRun(settings, Release("", tmp_path, ""), fraise="shop")
        (only,) = remote_places(settings, run, tmp_path / "kept")
        return only

    return place


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, configured: Configured, tmp_path: Path) -> Place:
    remote = tmp_path / "remote"
    remote.mkdir()
    match request.param:
        case "folder":
            require("rclone")
            return configured(rclone=str(remote / "backups"))
        case "ssh":
            server = request.getfixturevalue("server")
            return configured(**ssh_remote(server, remote / "backups", server.identity(tmp_path.name)))
        case _:
            require("rrsync")
            server = request.getfixturevalue("server")
            key = server.identity(tmp_path.name, f'restrict,command="rrsync -no-lock {remote}"')
            return configured(**ssh_remote(server, "/backups", key))


def put(place: Place, folder: Path, day: int = 1) -> Manifest:
    return manifests.put(place, folder, CONTENT, night(day))


def test_a_copy_is_stored_listed_verified_fetched_and_deleted(place: Place, tmp_path: Path) -> None:
    assert place.manifests() == Listing()
    first, second = put(place, tmp_path, 1), put(place, tmp_path, 2)
    assert place.manifests() == Listing((first, second))
    verify(place, second)
    (tmp_path / "here").mkdir()
    assert place.fetch(first, tmp_path / "here").read_bytes() == CONTENT
    place.delete(first)
    place.delete(first)
    assert place.manifests() == Listing((second,))
    with pytest.raises(BackupError, match=rf"{first.file} is missing"):
        place.stored(first)


def test_copies_are_deleted_all_at_once(place: Place, tmp_path: Path) -> None:
    """Each start of a program takes a second, and a policy that is set late deletes thousands."""
    *old, newest = [put(place, tmp_path, day) for day in (1, 2, 3)]
    runner = cast("Any", place).place.runner
    runner.commands.clear()
    policy = Policy("shop", "production", newest.installation, KeepSection(last=1))
    now = datetime(2027, 1, 1, tzinfo=UTC)
    done = plan(place, policy, now, verified=newest.name).execute()
    assert done == Pruned(tuple(each.name for each in old), {})
    assert len([argv for argv in runner.commands if {"delete", "--delete"} & {*argv}]) == 2
    assert place.manifests() == Listing((newest,))


def test_of_what_is_larger_than_the_copy_no_more_is_fetched(place: Place, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    os.truncate(tmp_path / "remote" / "backups" / manifest.file, 2**25)
    (tmp_path / "here").mkdir()
    with pytest.raises(BackupError, match=f"cannot fetch {manifest.file}"):
        place.fetch(manifest, tmp_path / "here")
    assert sum(file.stat().st_size for file in (tmp_path / "here").iterdir()) < 2**21


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_damaged_copy_and_a_broken_manifest_are_named(place: Place, tmp_path: Path) -> None:
    damaged, unreadable = put(place, tmp_path, 1), put(place, tmp_path, 2)
    folder = tmp_path / "remote/backups"
    (folder / damaged.file).write_bytes(b"X" + CONTENT[1:])
    (folder / unreadable.manifest_file).write_text("{")
    (folder / "shop-production-eu-20261101T023000Z-abcd.json").write_text("of others, is not fetched")
    assert "is damaged: its SHA-256 is" in str(verified(place, damaged))
    ((name, why),) = place.manifests().unreadable.items()
    assert (name, "is no manifest" in why) == (unreadable.manifest_file, True)


@dataclass
class Sweeping:
    """Runs each command after another backup has begun."""

    runner: Runner
    folder: Path

    def command(self, argv: Sequence[Any], **keys: Any) -> CommandResult:
        LocalPlace(self.folder).remove_unfinished("shop", "production")
        return self.runner.command(argv, **keys)

    def note(self, text: str) -> None:
        self.runner.note(text)


@pytest.mark.parametrize("place", ["rsync alone"], indirect=True)
def test_a_copy_that_is_brought_here_to_be_verified_stays_if_a_backup_begins(
    place: NotedPlace, tmp_path: Path
) -> None:
    manifest = put(place, tmp_path)
    found = cast("RsyncPlace", place.place)
    assert replace(found, runner=Sweeping(found.runner, found.scratch)).stored(manifest).sha256 == DIGEST
    (closed := tmp_path / "closed").touch()
    with pytest.raises(BackupError, match=rf"^{manifest.file} cannot be brought to {closed}: File exists$"):
        replace(found, scratch=closed).stored(manifest)


@pytest.mark.parametrize("place", ["ssh", "folder"], indirect=True)
def test_a_copy_elsewhere_is_for_its_owner_alone(place: Place, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    folder = tmp_path / "remote/backups"
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
    assert modes == {manifest.file: 0o600, manifest.manifest_file: 0o600}


def test_what_a_killed_upload_left_is_deleted_a_day_later(configured: Configured, tmp_path: Path) -> None:
    require("rclone")
    place = configured(rclone=str(tmp_path / "remote"))
    (tmp_path / "remote").mkdir()
    time_of = "20261031T023000Z"
    names = f"production-{time_of}-abcd", f"production-{time_of}-abce", f"production-eu-{time_of}-abcd"
    left, under_way, others = (tmp_path / f"remote/.shop-{name}.bin.partial" for name in names)
    for file in (left, under_way, others):
        file.write_bytes(CONTENT[:10])
        if file != under_way:
            os.utime(file, (time.time() - 90_000,) * 2)
    put(place, tmp_path)
    assert [file.exists() for file in (left, under_way, others)] == [False, True, True]


def test_what_was_cut_off_is_deleted_with_the_next_copy_if_it_came_from_here(
    configured: Configured, tmp_path: Path
) -> None:
    require("rclone")
    script, remote = tmp_path / "bin/rclone", tmp_path / "remote"
    script.parent.mkdir()
    deletes = 'case $each in --files-from-raw=*) ! grep .bin "${each#*=}" || exit 1;; esac'
    fails = f'case "$*" in *copyto*.json*) exit 1;; esac; for each; do {deletes}; done'
    script.write_text(f'#!/bin/sh\n{fails}\nexec {shutil.which("rclone")} "$@"\n')
    script.chmod(0o755)
    away = configured(rclone=str(remote), env={"PATH": f"{script.parent}:{os.environ['PATH']}"})
    place = configured(rclone=str(remote))
    whole, pruned, foreign = (put(place, tmp_path, day) for day in (1, 2, 3))
    (remote / foreign.manifest_file).unlink()
    with pytest.raises(BackupError, match="cannot delete"):
        away.delete(pruned)
    with pytest.raises(BackupError, match="cannot store"):
        put(away, tmp_path, 4)
    assert len(place.manifests().unreadable) == 3
    (tmp_path / "kept/unfinished/offsite/a.json").touch()  # as a loss of power may leave it
    newest = put(place, tmp_path, 5)
    assert place.manifests().manifests == (whole, newest)
    assert place.manifests().unreadable.keys() == {foreign.file}


def test_of_more_manifests_than_fit_into_memory_the_newest_are_read() -> None:
    """What is not read is named: the others are listed, restored and pruned, until it fits."""
    all_own = [manifest_of(CONTENT, night(day)) for day in range(1, 12)]
    texts = {each.manifest_file: each.text() for each in all_own}

    def bring(names: Path, folder: Path) -> str:
        for name in names.read_text().split():
            (folder / name[1:]).write_text(texts[name[1:]])
        return ""

    listing = listing_of(dict.fromkeys(texts, MOST_BYTES), lambda _: True, bring)
    assert listing.manifests == tuple(all_own[-8:])
    assert listing.unreadable.keys() == {each.manifest_file for each in all_own[:3]}
    name = all_own[0].manifest_file
    why = f"{name} is not read: it and the newer ones there are more than 67 MB together"
    assert listing.unreadable[name] == why


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_what_has_no_manifest_is_named(place: Place, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    (tmp_path / "remote/backups" / manifest.manifest_file).unlink()
    listing = place.manifests().of("shop", "production")
    assert listing.manifests == ()
    assert listing.unreadable[manifest.file].startswith(f"{manifest.file} has no manifest: ")


def test_a_remote_that_lets_nothing_be_deleted_takes_copies(
    configured: Configured, dav: WebDav, tmp_path: Path
) -> None:
    place = configured(**dav_remote(dav, tmp_path))
    old = f"/backups/shop/.{manifest_of(CONTENT, night(1)).file}.partial"
    dav.files[old], dav.sizes[old] = b"cut off", 7
    dav.clock, dav.forbids = 0.0, ("DELETE",)
    manifest = put(place, tmp_path, 2)
    assert place.manifests().manifests == (manifest,)
    assert old in dav.files


def test_a_remote_that_forbids_is_named_with_its_answer(
    configured: Configured, dav: WebDav, tmp_path: Path
) -> None:
    place = configured(**dav_remote(dav, tmp_path))
    manifest = put(place, tmp_path)
    dav.forbids = ("PROPFIND", "PUT", "GET")
    with pytest.raises(BackupError, match=r"^dav:backups/shop: cannot list it: .*403"):
        place.manifests()
    with pytest.raises(BackupError, match=r"^dav:backups/shop: cannot .*403"):
        put(place, tmp_path, 2)
    dav.forbids = ("GET",)
    ((name, why),) = place.manifests().unreadable.items()
    assert (name, "403" in why) == (manifest.manifest_file, True)


@contextmanager
def giving_up(why: str) -> Iterator[None]:
    """Expect that the program of a remote gives up, before it is ended because it says nothing."""
    with pytest.raises(BackupError, match=why) as raised:
        yield
    assert "silence_timeout" not in str(raised.value)


@pytest.mark.parametrize("method", ["PUT", "PROPFIND"])
def test_a_remote_that_stalls_is_given_up(
    method: str, configured: Configured, dav: WebDav, tmp_path: Path
) -> None:
    place = impatient(configured(**dav_remote(dav, tmp_path)), patience=0.3)
    dav.stalls = (method,)
    with giving_up("^dav:backups/shop: cannot "):
        put(place, tmp_path)


def test_a_remote_that_limits_rates_is_asked_again(
    configured: Configured, dav: WebDav, tmp_path: Path
) -> None:
    place = configured(**dav_remote(dav, tmp_path))
    manifest = put(place, tmp_path)
    dav.refuses = 5
    assert place.manifests() == Listing((manifest,))
    assert dav.refuses == 0


def test_a_remote_that_sends_nothing_is_asked_a_few_times(
    configured: Configured, dav: WebDav, tmp_path: Path
) -> None:
    place = impatient(configured(**dav_remote(dav, tmp_path)), patience=0.3)
    path = f"/backups/shop/{manifest_of(CONTENT, night(1)).file}"
    dav.files[path], dav.sizes[path] = CONTENT, len(CONTENT)
    dav.stalls = ("GET",)
    with giving_up("^dav:backups/shop: cannot fetch shop-"):
        place.fetch(manifest_of(CONTENT, night(1)), tmp_path)
    assert dav.asked.count("GET") <= 6  # an idle connection that closes costs one more


def test_a_host_that_stalls_is_given_up(configured: Configured, server: SshServer, tmp_path: Path) -> None:
    key = server.identity(tmp_path.name, 'command="sleep 60"')
    place = impatient(configured(**ssh_remote(server, "/srv/backups", key)), patience=2)
    with giving_up(":/srv/backups: cannot list it: "):
        place.manifests()
    with giving_up(":/srv/backups: cannot fetch shop-"):
        place.fetch(manifest_of(CONTENT, night(1)), tmp_path)


def test_a_host_that_lets_nobody_in_is_given_up(configured: Configured) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = configured(rsync="backup@127.0.0.1:/srv/backups", port=silent.getsockname()[1])
        with giving_up(r"cannot list it: .*Connection to \S+ port \d+ timed out"):
            impatient(place, patience=8).manifests()


def impatient(place: Place, patience: Any) -> Place:
    assert isinstance(place, NotedPlace)
    assert isinstance(place.place, RclonePlace | RsyncPlace)
    return replace(place, place=replace(place.place, patience=patience))


def test_a_command_that_says_nothing_for_long_is_heard_of(tmp_path: Path) -> None:
    argv = python("fraisier_deployers.backup.heartbeat", "0.05", "sh", "-c", "sleep 0.5; exit 3")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "sh is still running\n" in done.stdout


UNREACHABLE: dict[str, dict[str, object]] = {
    "rclone": {"rclone": ":webdav:backups"},
    "rsync": {"rsync": "backup@127.0.0.1:/srv/backups", "port": 9},
    "host": {"rsync": "backup@nowhere.invalid:/srv/backups"},
}


@pytest.mark.parametrize("kind", UNREACHABLE)
def test_a_remote_that_is_unreachable_is_named(kind: str, configured: Configured) -> None:
    require("rclone", "rsync")
    place = configured(**UNREACHABLE[kind])
    with pytest.raises(FraisierError) as raised:
        place.manifests()
    assert str(raised.value).startswith(f"{place.destination}: cannot list it: ")
    assert len(str(raised.value)) < 500


def test_a_host_whose_key_is_unknown_is_refused(
    configured: Configured, server: SshServer, tmp_path: Path
) -> None:
    make_key(tmp_path / "other")
    other = tmp_path / "known hosts"
    other.write_text(f"[127.0.0.1]:{server.port} {(tmp_path / 'other.pub').read_text()}")
    remote = ssh_remote(server, tmp_path, server.identity(tmp_path.name))
    with pytest.raises(BackupError, match="Host key verification failed"):
        configured(**remote | {"known_hosts": str(other)}).manifests()
    other.unlink()
    with pytest.raises(BackupError, match=f"Host key verification failed.*{other}, does not exist"):
        configured(**remote | {"known_hosts": str(other)}).manifests()


def test_a_key_that_is_refused_asks_nobody(configured: Configured, server: SshServer, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    place = configured(**ssh_remote(server, tmp_path, tmp_path / "stranger"))
    with pytest.raises(BackupError, match="Permission denied"):
        place.manifests()


def test_a_key_that_others_may_read_is_named(
    configured: Configured, server: SshServer, tmp_path: Path
) -> None:
    key = server.identity(tmp_path.name)
    key.chmod(0o644)
    with pytest.raises(BackupError, match=f"cannot list it: .*ssh ignores {key} because others"):
        configured(**ssh_remote(server, tmp_path, key)).manifests()
    with pytest.raises(BackupError, match=rf" store \S+: Permissions 0644 for '{key}' are too open"):
        put(configured(**ssh_remote(server, tmp_path, key)), tmp_path)


def test_a_remote_that_rclone_does_not_know_is_named(configured: Configured, tmp_path: Path) -> None:
    require("rclone")
    config = tmp_path / "rclone.conf"
    with pytest.raises(BackupError, match=f"rclone knows no remote near in {config}, which does not exist"):
        configured(rclone="near:shop", config=str(config)).manifests()


def test_a_copy_that_cannot_be_stored_leaves_no_manifest(
    configured: Configured, server: SshServer, tmp_path: Path
) -> None:
    place = configured(**ssh_remote(server, tmp_path / "absent/folder", server.identity(tmp_path.name)))
    with pytest.raises(
        BackupError,
        match=r" store shop-\S+\.bin: .*(No such file or directory|rsync error: |could not write there)",
    ):
        put(place, tmp_path)
    assert place.manifests() == Listing()


@pytest.mark.parametrize(
    ("remote", "why"),
    [
        ({"rclone": ":s3,secret_access_key=abc:bucket"}, "without options"),
        ({"rclone": "offsite,pass=abc:bucket"}, "without options"),
        ({"rclone": "--config=x"}, "without options"),
        ({"rclone": "relative/path"}, "should be remote:path"),
        ({"rsync": "-oProxyCommand=x:/srv"}, "should be user@host:/path"),
        ({"rsync": "nas:/srv/$(reboot)"}, "should be user@host:/path"),
        ({"rsync": "nas::module"}, "should be user@host:/path"),
        ({"rsync": "nas:/srv", "config": "/etc/rclone.conf"}, "config is for rclone alone"),
        ({"rclone": "offsite:", "port": 22}, "are for rsync alone"),
        ({}, "set either rclone or rsync"),
    ],
)
def test_what_is_no_remote_is_refused(remote: dict[str, object], why: str, configured: Configured) -> None:
    with pytest.raises(ValidationError, match=why):
        configured(**remote)

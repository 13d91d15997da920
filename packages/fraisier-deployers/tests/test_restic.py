"""Copies in a real repository of restic."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from fraisier_core import BackupContext, Release, Stored
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup import fraise_type
from fraisier_deployers.backup.backup_errors import BackupError, UnusableCopyError
from fraisier_deployers.backup.backup_installation import Installation
from fraisier_deployers.backup.backup_settings import BackupSettings, KeepSection
from fraisier_deployers.backup.discreet_restic import LOCKED, told
from fraisier_deployers.backup.kept_copies import KeptCopies
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.places import Listing, Runner
from fraisier_deployers.backup.pruning import Policy, plan
from fraisier_deployers.backup.restic import ResticPlace
from fraisier_deployers.backup.restic_errors import reason
from fraisier_deployers.backup.restic_locks import patiently
from fraisier_deployers.backup.restic_snapshots import readable_snapshots
from fraisier_deployers.backup.restoring import restore
from fraisier_deployers.backup.sources.command_source import CommandSource
from fraisier_deployers.backup.verified_copies import verify
from pydantic import SecretStr

from tests import manifests
from tests.manifests import manifest_of
from tests.restic_keys import make_cheap
from tests.waiting import wait_until

PASSWORD = "correct horse battery staple"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONTENT = os.urandom(300_000)


@pytest.fixture
def run(tmp_path: Path) -> FakeRun[BackupSettings]:
    section = {"source": {"command": ["true"]}, "path": str(tmp_path / "local")}
    return FakeRun(BackupSettings.model_validate(section), Release("", tmp_path, ""))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository to copy: to make one takes two seconds."""
    if shutil.which("restic") is None:
        pytest.skip("restic is not installed")
    repository = tmp_path_factory.mktemp("restic") / "empty"
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
    subprocess.run(["restic", "--no-cache", "--repo", repository, "init"], env=environment, check=True)
    make_cheap(repository, environment)
    return repository


@pytest.fixture
def place(
    run: FakeRun[BackupSettings], empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ResticPlace:
    monkeypatch.setenv("HOME", str(tmp_path))
    return at(run, shutil.copytree(empty, tmp_path / "secret place"))


MakeRun = Callable[..., FakeRun[BackupSettings]]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that makes a run of a backup into a repository."""

    def make(place: ResticPlace, source: dict[str, object], **section: object) -> FakeRun[BackupSettings]:
        (tmp_path / "work").mkdir(exist_ok=True)
        repository, password = place.repository.get_secret_value(), place.password.get_secret_value()
        keys = {"source": source, "restic": {"repository": repository, "password": password}, **section}
        settings = BackupSettings.model_validate(keys)
        return FakeRun(settings, Release("", tmp_path / "work", ""), fraise="shop")

    return make


def at(runner: Runner, repository: Path | str, password: str = PASSWORD) -> ResticPlace:
    cache = Path(os.environ["HOME"]) / "manifests"
    return ResticPlace(SecretStr(str(repository)), SecretStr(password), runner, cache)


def ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


def put(place: ResticPlace, folder: Path, days: int = 1, **changes: object) -> Manifest:
    return manifests.put(place, folder, CONTENT, ago(days), **changes)


def restic(place: ResticPlace, *arguments: str) -> str:
    environment = {**os.environ, "RESTIC_PASSWORD": place.password.get_secret_value()}
    command = ["restic", "--repo", place.repository.get_secret_value(), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout


def test_a_copy_is_stored_listed_verified_fetched_and_forgotten(place: ResticPlace, tmp_path: Path) -> None:
    assert place.prepare(make=False) == Listing()
    older, newer = put(place, tmp_path, 2), put(place, tmp_path, 1)
    assert place.manifests() == Listing((older, newer))
    verify(place, newer)
    place.check()
    (tmp_path / "here").mkdir()
    assert place.fetch(newer, tmp_path / "here").read_bytes() == CONTENT
    made = plan(place, Policy("shop", "production", "here", KeepSection(last=1)), NOW, verified=newer.name)
    made.execute()
    assert place.manifests() == Listing((newer,))
    assert older.name not in restic(place, "snapshots")
    verify(place, newer)


def test_a_repository_is_made_if_there_is_none(place: ResticPlace, tmp_path: Path) -> None:
    new = at(place.runner, tmp_path / "new/repository")
    assert new.prepare(make=True) == Listing()


def test_its_snapshots_say_what_they_are_of(place: ResticPlace, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    listed = restic(
        place, "snapshots", "--json", "--host", "db1", "--tag", "fraise=shop,environment=production"
    )
    assert listed.count(f'"{manifest.file}"') == 1
    assert listed.count(f'"{manifest.manifest_file}"') == 1
    assert f"{manifest.created_at.astimezone():%Y-%m-%dT%H:%M:%S}" in listed


def test_data_without_a_manifest_is_no_backup_and_forgotten_by_the_next_of_this_installation(
    place: ResticPlace, tmp_path: Path
) -> None:
    whole, unfinished = put(place, tmp_path, 3), manifest_of(CONTENT, ago(2))
    others = (
        manifest_of(CONTENT, ago(2), environment="staging"),
        manifest_of(CONTENT, ago(1), installation="there"),
    )
    for manifest in (unfinished, *others):
        place.receive(CommandSource(("echo", "cut off")), manifest.file, manifest, tmp_path)
    assert place.manifests() == Listing((whole,))
    with pytest.raises(BackupError, match="does not list"):
        verify(place, unfinished)
    place.forget_unfinished(whole)
    kept = {each.tags[2:] for each in readable_snapshots(place.commands)}
    assert kept == {
        ("fraise=shop", "environment=production", "installation=here", whole.file),
        ("fraise=shop", "environment=production", "installation=here", whole.manifest_file),
        ("fraise=shop", "environment=staging", "installation=here", others[0].file),
        ("fraise=shop", "environment=production", "installation=there", others[1].file),
    }


def test_what_was_stored_in_a_repository_is_missed_only_there_and_only_if_it_is_none_any_more(
    place: ResticPlace, tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run(at(place.runner, tmp_path / "secret place", "another"), {"command": ["true"]})
    installation = Installation(run.folder)
    installation.remember(place, "shop-production-before")
    assert installation.newest_at(place) == "shop-production-before"
    assert installation.newest_at(at(run, "another place")) is None
    with pytest.raises(BackupError, match=r"cannot open it: the password is wrong$"):
        fraise_type.back_up(run)
    shutil.rmtree(tmp_path / "secret place")
    with pytest.raises(
        BackupError, match=r"there is no repository.* If backups are to begin anew there, delete"
    ):
        fraise_type.back_up(run)


def test_while_a_snapshot_cannot_be_read_nothing_is_forgotten(place: ResticPlace, tmp_path: Path) -> None:
    older, newer = (put(place, tmp_path, days) for days in (2, 1))
    snapshots = readable_snapshots(place.commands)
    (lost,) = (each.id for each in snapshots if each.has(newer.manifest_file))
    file = tmp_path / "secret place/snapshots" / lost
    content = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(content[:20])
    shutil.rmtree(tmp_path / ".cache")
    listing = place.manifests().of("shop", "production")
    assert listing.manifests == (older,)
    assert listing.unreadable.keys() == {f"snapshot {lost[:8]}"}
    made = plan(place, Policy("shop", "production", "here", KeepSection(last=1)), NOW)
    assert "cannot be read" in str(made.refusal)
    place.forget_unfinished(newer)
    file.write_bytes(content)
    verify(place, newer)


@contextmanager
def at_work(place: ResticPlace, folder: Path) -> Iterator[None]:
    """Have another process store something in the repository, for as long as the context lasts."""
    command = ["restic", "--repo", place.repository.get_secret_value(), "backup", "--quiet", "--stdin"]
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as other:
        wait_until(lambda: any((folder / "locks").iterdir()))
        yield
        other.communicate(b"done")
    assert other.returncode == 0


def test_a_backup_succeeds_while_another_is_stored_and_the_next_prunes(
    place: ResticPlace, tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run(place, {"command": ["date"]}, keep={"last": 1})
    put(place, tmp_path, installation=Installation(run.folder).id)
    with at_work(place, tmp_path / "secret place"):
        fraise_type.back_up(run)
        with pytest.raises(BackupError, match="cannot prune it: another process has locked it"):
            place.reclaim(())  # then the copies are deleted, and their space is said not to be free
    assert len(place.manifests().manifests) == 2
    assert "another process has locked it: left to the next time" in run.output
    assert "cannot be deleted: the restic repository: cannot forget" in str(run.stored[-1].problem)
    before = len(run.commands)
    fraise_type.back_up(run)
    assert len(run.commands) - before == 12  # each starts restic once, which takes a second
    assert [each.name for each in place.manifests().manifests] == [run.stored[-1].name]
    (tmp_path / "secret place").rename(tmp_path / "disk")
    with pytest.raises(BackupError, match=r"cannot open it: .* begin anew there, delete .*/places/restic$"):
        fraise_type.back_up(run)
    assert not (tmp_path / "secret place").exists()


def test_who_has_locked_it_is_waited_for() -> None:
    noted: list[str] = []

    def action() -> str:
        if len(noted) < 2:
            raise BackupError(f"cannot read it: {LOCKED}")
        return "read"

    assert patiently(action, 60.0, noted.append, tick=0.0) == "read"
    assert noted == [f"cannot read it: {LOCKED}: waiting"] * 2
    noted.clear()
    with pytest.raises(BackupError, match=LOCKED):
        patiently(action, 0.0, noted.append)


def test_folders_are_backed_up_tested_replaced_and_pruned(
    place: ResticPlace, tmp_path: Path, make_run: MakeRun
) -> None:
    folder = tmp_path / "files"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner/one").write_text("first")
    run = make_run(place, {"folders": [str(folder)]}, keep={"last": 1}, restore_test={})
    fraise_type.back_up(run)
    assert run.steps == ["prepare", "dump", "store", "verify_restic", "prune"]
    fraise_type.test_restore(run)
    assert "as backed up: entries 3, bytes 5\n" in run.output
    (listed,) = KeptCopies(run.settings, cast("BackupContext", run)).listings()
    assert [copy.encrypted for copy in listed.copies] == [True]
    (folder / "inner/one").write_text("second")
    fraise_type.back_up(run)
    (manifest,) = place.manifests().manifests
    assert run.stored[-1] == Stored(manifest.name, manifest.size, manifest.sha256, "the restic repository")
    shutil.rmtree(folder)
    restored = restore(run.settings, manifest, place, "/", runner=run, folder=tmp_path / "work")
    assert restored.replaced is None
    assert (folder / "inner/one").read_text() == "second"
    assert PASSWORD not in f"{run.commands} {run.output}"


def test_neither_a_dump_that_fails_nor_a_restic_that_is_killed_costs_a_backup_and_the_next_one_succeeds(
    place: ResticPlace, tmp_path: Path, make_run: MakeRun
) -> None:
    def back_up(*command: str) -> None:
        fraise_type.back_up(make_run(place, {"command": command}, keep={"last": 1}))

    put(place, tmp_path, installation=Installation(tmp_path / "work").id)
    before = place.manifests()
    with pytest.raises(BackupError, match=r"sh exited with status 3: .*the server is gone"):
        back_up("sh", "-c", "echo half; echo the server is gone >&2; exit 3")
    with pytest.raises(BackupError, match="was killed by signal 9"):
        back_up("sh", "-c", "echo half; sleep 1; kill -9 $(cat /proc/$PPID/task/$PPID/children)")
    assert place.manifests() == before
    back_up("echo", "whole")
    *_, newest = place.manifests().manifests  # the earlier one goes when the killed process has no lock left
    assert newest not in before.manifests
    verify(place, newest)


def packs(folder: Path) -> list[Path]:
    return [path for path in (folder / "secret place/data").rglob("*") if path.is_file()]


def damage(pack: Path) -> None:
    """Flip a bit of each byte in it."""
    content = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(bytes(byte ^ 1 for byte in content))


def test_what_is_damaged_is_not_verified(place: ResticPlace, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    damage(max(packs(tmp_path), key=lambda path: path.stat().st_size))
    with pytest.raises(UnusableCopyError, match=rf"^the restic repository: cannot read {manifest.file}: "):
        verify(place, manifest)


def test_a_manifest_that_cannot_be_read_is_named(place: ResticPlace, tmp_path: Path) -> None:
    options = ("--stdin", "--stdin-filename=odd.json", "--tag=fraisier-manifest", "--tag=odd.json")
    command = ["restic", "--repo", place.repository.get_secret_value(), "backup", *options]
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
    subprocess.run(command, input=b"{", env=environment, capture_output=True, check=True)
    assert "odd.json is no manifest" in place.manifests().unreadable["odd.json"]


def test_manifests_that_were_read_are_kept_unless_they_are_cut(place: ResticPlace, tmp_path: Path) -> None:
    manifest = put(place, tmp_path)
    assert place.manifests() == Listing((manifest,))
    (kept,) = (tmp_path / "manifests").iterdir()
    assert Manifest.parse(kept.read_text(), manifest.manifest_file) == manifest
    kept.write_text("")
    assert place.manifests() == Listing((manifest,))
    (lost,) = (each for each in readable_snapshots(place.commands) if each.has(manifest.manifest_file))
    restic(place, "forget", lost.id)
    assert (place.manifests(), kept.exists()) == (Listing(), False)


def test_a_manifest_that_was_read_before_is_read_again_when_it_is_verified(
    place: ResticPlace, tmp_path: Path
) -> None:
    manifest = put(place, tmp_path)
    assert place.manifests() == Listing((manifest,))
    for pack in sorted(packs(tmp_path), key=lambda path: path.stat().st_mtime_ns)[-2:]:
        damage(pack)
    with pytest.raises(BackupError, match=rf"cannot read {manifest.manifest_file}: "):
        verify(place, manifest)


def test_a_wrong_password_is_said_and_nothing_is_made(place: ResticPlace, tmp_path: Path) -> None:
    keys = [path.name for path in (tmp_path / "secret place/keys").iterdir()]
    with pytest.raises(BackupError, match=r"^the restic repository: cannot open it: the password is wrong$"):
        at(place.runner, tmp_path / "secret place", "another").prepare(make=True)
    assert [path.name for path in (tmp_path / "secret place/keys").iterdir()] == keys


@pytest.mark.parametrize(
    "repository", ["rest:http://user:hunter22@127.0.0.1:9/srv/vault/", "/proc/vault/repository"]
)
def test_where_it_is_and_its_password_are_in_no_error_no_command_and_no_output(
    repository: str, run: FakeRun[BackupSettings], place: ResticPlace
) -> None:
    with pytest.raises(BackupError) as raised:
        at(run, repository).prepare(make=True)
    said = f"{raised.value} {run.commands} {run.output}"
    assert "the restic repository: cannot make it: " in said
    assert not [
        part for part in ("127.0.0.1", "vault", "hunter22", PASSWORD, "/srv", "/proc") if part in said
    ]


def test_what_restic_says_is_told_without_the_parts_of_its_address() -> None:
    repository = "sftp:backup@nas.example.com:/srv/repository/shop"
    assert told(repository, "Fatal: nas.example.com: odd: backup") == "Fatal: ***: odd: ***"
    line = 'Get "https://bob:abc@nas.example.com/config": i/o timeout'
    assert told("rest:https://bob:abc@nas.example.com", line) == 'Get "https://***@***/config": i/o timeout'
    line = "Fatal: no lock in /srv/repository/shop: repository is already locked by PID 1"
    said = "Fatal: no lock in ***: *** is already locked by PID 1"
    assert told(repository, line) == f"{said} ({LOCKED})"
    assert (reason(said), reason(f"{said} ({LOCKED})")) == (said.removeprefix("Fatal: "), LOCKED)

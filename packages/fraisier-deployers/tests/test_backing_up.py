import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, cast

import pytest
from fraisier_core import BackupContext, ProcessIdentity, Release, Stored
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup import fraise_type
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.kept_copies import KeptCopies
from fraisier_deployers.backup.local_place import LocalPlace, hashed
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.working_folder import exclusive, working_folder
from pydantic import ValidationError

from tests.waiting import wait_until


class Run(FakeRun[BackupSettings]):
    """A run on a host that has no backup on record, as commands ask for it."""

    def on_record(self, name: str) -> str | None:
        return None


MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that makes a run of a backup of these sources."""

    def make(*command: str, requested_for: str | None = None, **section: Any) -> Run:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        source = {"command": command or ("printf", "worth keeping")}
        keys = {"source": source, "path": tmp_path / "backups", **section}
        release = Release("", work, "")
        settings = BackupSettings.model_validate(keys)
        return Run(settings, release, fraise="shop", requested_for=requested_for)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def manifests(folder: Path) -> tuple[Manifest, ...]:
    return LocalPlace(folder).manifests().manifests


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".") and path.suffix != ".lock"]


def test_a_backup_is_stored_verified_recorded_and_pruned(make_run: MakeRun, folder: Path) -> None:
    run = make_run(requested_for="DEPLOYMENT", keep={"last": 1})
    fraise_type.back_up(run)
    assert run.steps == ["dump", "store", "verify_local", "prune"]
    (manifest,) = manifests(folder)
    assert (manifest.fraise, manifest.environment, manifest.source) == ("shop", "production", "command")
    assert (manifest.deployment_id, manifest.asked_by) == (run.deployment_id, "DEPLOYMENT")
    assert (folder / manifest.file).read_text() == "worth keeping"
    assert run.stored == [Stored(manifest.name, 13, manifest.sha256, str(folder))]
    assert hidden(folder) == []


needs_rclone = pytest.mark.skipif(not shutil.which("rclone"), reason="rclone is not installed")


@needs_rclone
def test_copies_elsewhere_are_encrypted_and_verified_there(
    make_run: MakeRun, folder: Path, tmp_path: Path
) -> None:
    pyrage = pytest.importorskip("pyrage")
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    remotes = {"offsite": {"rclone": str(tmp_path / "remote")}}
    run = make_run(remotes=remotes, encrypt={"recipients": recipient}, keep={"last": 1})
    fraise_type.back_up(run)
    assert run.steps == ["dump", "store", "copy_offsite", "verify_local", "verify_offsite", "prune"]
    ((here,), (there,)) = manifests(folder), manifests(tmp_path / "remote")
    assert (there.name, there.encrypted, there.plain_sha256) == (here.name, True, here.sha256)
    assert b"worth keeping" not in (tmp_path / "remote" / there.file).read_bytes()
    assert run.stored[0].destination == f"{folder}, {tmp_path / 'remote'}"
    assert not [word for word in ("ERROR", "Failed", "failed") if word in run.output]
    assert run.output.count("NOTICE") <= 8


@needs_rclone
def test_a_place_that_lost_its_copies_begins_anew_only_when_that_is_said(
    make_run: MakeRun, folder: Path, tmp_path: Path
) -> None:
    remote = tmp_path / "remote"
    remotes = {"offsite": {"rclone": str(remote)}}
    fraise_type.back_up(make_run(remotes=remotes))
    shutil.rmtree(remote)
    with pytest.raises(BackupError, match=r"^offsite: .*remote holds no backup of this environment, though"):
        fraise_type.back_up(make_run(remotes=remotes))
    assert (len(manifests(folder)), remote.exists()) == (2, False)
    folder.rename(tmp_path / "disk")
    folder.mkdir()
    with pytest.raises(BackupError, match=r"though shop-\S+ was stored there: is its disk mounted\?") as lost:
        fraise_type.back_up(make_run())
    assert manifests(folder) == ()
    tested = make_run()
    with pytest.raises(BackupError, match="is its disk mounted"):
        fraise_type.test_restore(tested)
    (found,) = KeptCopies(tested.settings, cast("BackupContext", tested)).verify(None, None)
    assert "is its disk mounted" in str(found.problem)
    Path(str(lost.value).rpartition(" delete ")[2]).unlink()
    fraise_type.back_up(make_run())
    assert len(manifests(folder)) == 1


@needs_rclone
def test_a_copy_that_is_being_stored_is_no_problem_of_a_list(make_run: MakeRun, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    run = make_run(remotes={"offsite": {"rclone": str(remote)}})
    fraise_type.back_up(run)
    (manifest,) = manifests(remote)
    (remote / manifest.manifest_file).unlink()

    def problems() -> list[str]:
        listings = KeptCopies(run.settings, cast("BackupContext", run)).listings()
        return [name for each in listings for name in each.unreadable]

    assert problems() == [manifest.file]
    note = run.folder / "unfinished/offsite" / manifest.manifest_file
    note.write_text(manifest.text())
    assert problems() == []
    assert f"{manifest.file} at {remote} is being stored or deleted" in run.output


@needs_rclone
def test_two_hosts_leave_each_others_copies_alone(make_run: MakeRun, folder: Path, tmp_path: Path) -> None:
    remotes = {"offsite": {"rclone": str(tmp_path / "remote")}}
    for host in ("db1", "db2", "db1"):
        run = make_run(path=tmp_path / host, remotes=remotes, keep={"last": 1})
        run.folder = tmp_path / f"{host}.kept"
        fraise_type.back_up(run)
    there = manifests(tmp_path / "remote")
    assert there == (*manifests(tmp_path / "db2"), *manifests(tmp_path / "db1"))
    assert len({each.installation for each in there}) == len(there) == 2


def test_only_what_is_kept_stays(make_run: MakeRun, folder: Path) -> None:
    for _ in range(3):
        fraise_type.back_up(make_run(keep={"last": 2}))
    kept = manifests(folder)
    assert len(kept) == 2
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") == sorted(
        name for each in kept for name in (each.file, each.manifest_file)
    )


def test_what_cannot_be_deleted_stays_listed_and_fails_neither_this_backup_nor_the_next(
    make_run: MakeRun, folder: Path
) -> None:
    for _ in range(2):
        fraise_type.back_up(make_run())
    undeletable = manifests(folder)[0]
    (folder / undeletable.file).unlink()
    (folder / undeletable.file).mkdir()
    for _ in range(2):
        run = make_run(keep={"last": 1})
        fraise_type.back_up(run)
        assert [each.name for each in manifests(folder)] == [undeletable.name, run.stored[0].name]
        assert (run.stored[0].problem, run.failed) == (None, [])
        problem = str(run.stored[-1].problem)
        assert problem.startswith(f"local is not pruned in full: {undeletable.name} cannot be deleted: ")


def test_a_backup_that_cannot_be_remembered_is_a_good_one(make_run: MakeRun, folder: Path) -> None:
    fraise_type.back_up(make_run())
    run = make_run(keep={"last": 1})
    (run.folder / "places/local").unlink()
    (run.folder / "places/local").mkdir()
    fraise_type.back_up(run)
    assert [each.name for each in manifests(folder)] == [run.stored[0].name]
    assert str(run.stored[-1].problem).startswith("local: it is not remembered that a backup is there: ")


def assert_nothing_came_of_it(run: Run, folder: Path, before: tuple[Manifest, ...]) -> None:
    """Assert that a failed backup left what was there, and that the next one succeeds."""
    assert (run.stored, manifests(folder), hidden(folder)) == ([], before, [])
    assert {path.suffix for path in folder.iterdir() if path.suffix != ".lock"} <= {".bin", ".json"}
    assert "prune" not in run.steps


def test_a_dump_that_fails_leaves_what_was_there(make_run: MakeRun, folder: Path) -> None:
    fraise_type.back_up(make_run(keep={"last": 1}))
    before = manifests(folder)
    run = make_run("sh", "-c", "echo half; kill -KILL $$", keep={"last": 1})
    with pytest.raises(BackupError, match="sh was killed by signal 9"):
        fraise_type.back_up(run)
    assert_nothing_came_of_it(run, folder, before)
    fraise_type.back_up(make_run(keep={"last": 1}))
    assert len(manifests(folder)) == 1
    assert manifests(folder) != before


def test_a_pump_that_is_killed_leaves_what_was_there(make_run: MakeRun, folder: Path) -> None:
    fraise_type.back_up(make_run())
    before = manifests(folder)
    run = make_run("sh", "-c", "echo half; kill -KILL $PPID")
    with pytest.raises(BackupError, match="status -9"):
        fraise_type.back_up(run)
    assert_nothing_came_of_it(run, folder, before)


@contextmanager
def disk(folder: Path, option: str) -> Iterator[None]:
    """Mount a disk with an option."""
    folder.mkdir()
    mounted = os.geteuid() == 0 and os.system(f"mount -t tmpfs -o {option} tmpfs '{folder}' 2>/dev/null") == 0
    if not mounted:
        pytest.skip("needs root and tmpfs")
    try:
        yield
    finally:
        os.system(f"umount '{folder}'")


def test_a_full_disk_leaves_what_was_there(make_run: MakeRun, folder: Path) -> None:
    with disk(folder, "size=3m"):
        fraise_type.back_up(make_run(keep={"last": 1}))
        before = manifests(folder)
        run = make_run("head", "-c", "5000000", "/dev/urandom", keep={"last": 1})
        with pytest.raises(BackupError, match=r"backups/.*\.bin: No space left on device"):
            fraise_type.back_up(run)
        assert_nothing_came_of_it(run, folder, before)
        fraise_type.back_up(make_run(keep={"last": 1}))
        assert len(manifests(folder)) == 1


def test_a_folder_that_a_unit_may_not_write_to_is_named_with_what_helps(
    make_run: MakeRun, folder: Path
) -> None:
    with (
        disk(folder, "ro"),
        pytest.raises(BackupError, match=r"backups/.*: Read-only file system; a worker .* ReadWritePaths="),
    ):
        fraise_type.back_up(make_run())


class DisturbedRun(Run):
    """Does something to what was stored, before it is verified."""

    disturb: Callable[[Path], object] = Path.unlink

    @contextmanager
    def step(self, name: str, *, repeatable: bool = True) -> Iterator[None]:
        if name == "verify_local":
            files = Path(self.settings.path or "").glob("*.bin")
            self.disturb(max(files, key=lambda path: path.stat().st_mtime_ns))
        with super().step(name, repeatable=repeatable):
            yield


def test_a_copy_that_went_bad_on_the_disk_is_no_backup(make_run: MakeRun, folder: Path) -> None:
    fraise_type.back_up(make_run())
    before = manifests(folder)
    made = make_run(keep={"last": 1})
    run = DisturbedRun(made.settings, made.release, fraise="shop")
    run.disturb = lambda file: file.write_bytes(b"damaged")
    with pytest.raises(BackupError, match=r"^local: .* has 7 bytes, its manifest says 13: do not use it"):
        fraise_type.back_up(run)
    assert_nothing_came_of_it(run, folder, before)


def test_a_copy_that_cannot_be_read_now_stays_and_is_no_success(make_run: MakeRun, folder: Path) -> None:
    made = make_run()
    run = DisturbedRun(made.settings, made.release, fraise="shop")
    run.disturb = lambda file: file.rename(folder / "away")
    with pytest.raises(BackupError, match=r"^local: shop-.* stays, and is not verified: .*No such file"):
        fraise_type.back_up(run)
    assert not run.stored
    (manifest,) = manifests(folder)
    (folder / "away").rename(folder / manifest.file)
    assert LocalPlace(folder).stored(manifest).size == manifest.size


def killed_while(run: Run, mark: Path) -> None:
    """Make a backup in a process that is killed once a file is there."""
    process = begun(run)
    wait_until(mark.exists)
    assert process.pid
    identity = ProcessIdentity.of(process.pid)
    os.kill(identity.pid, signal.SIGKILL)
    process.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_a_killed_worker_leaves_is_removed_by_the_next_backup(
    make_run: MakeRun, folder: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "began"
    killed_while(
        make_run("sh", "-c", f"echo half; echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 60"), mark
    )
    assert manifests(folder) == ()
    assert len(hidden(folder)) == 1
    os.kill(int(mark.read_text()), signal.SIGKILL)
    fraise_type.back_up(make_run())
    assert len(manifests(folder)) == 1
    assert hidden(folder) == []


def test_a_file_that_lost_its_manifest_is_named_and_left_alone(make_run: MakeRun, folder: Path) -> None:
    fraise_type.back_up(make_run())
    (manifest,) = manifests(folder)
    lost = (folder / manifest.file).rename(folder / manifest.file.replace("shop", "lost"))
    run = make_run("printf", "newer")
    fraise_type.back_up(run)
    assert lost.exists()
    assert f"{lost.name} has no manifest" in run.output


def test_what_became_empty_is_no_backup_until_somebody_looked(
    make_run: MakeRun, folder: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    source = {"folders": disk}
    fraise_type.back_up(make_run(source=source))  # as the first one, that is all there is
    (disk / "file").touch()
    fraise_type.back_up(make_run(source=source))
    (disk / "file").unlink()
    before = manifests(folder)
    with pytest.raises(BackupError, match=r"nothing is in what was dumped, and shop-.* has something"):
        fraise_type.back_up(make_run(source=source, keep={"last": 1}))
    assert manifests(folder) == before
    assert before[-1].facts.has_content


def test_the_folder_of_the_copies_is_made_but_not_the_one_that_it_is_in(
    make_run: MakeRun, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match=r"disk is missing: mount its disk, or make it"):
        fraise_type.back_up(make_run(path=tmp_path / "disk" / "backups"))
    assert not (tmp_path / "disk").exists()


def begun(run: Run) -> ForkProcess:
    """Make a backup in a process of its own."""
    process = get_context("fork").Process(target=fraise_type.back_up, args=(run,))
    process.start()
    return process


def opened(process: ForkProcess) -> set[Path]:
    """Return the files that a process has open."""
    found = set()
    for each in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(OSError):
            found.add(each.readlink())
    return found


def test_two_backups_at_once_are_made_one_after_the_other(
    make_run: MakeRun, folder: Path, tmp_path: Path
) -> None:
    with (
        exclusive(folder, "shop", "production"),
        pytest.raises(BackupError, match=r"in use by another backup or restore of shop production"),
        exclusive(folder, "shop", "production", seconds=0.1),
    ):
        pass
    os.mkfifo(fifo := tmp_path / "fifo")
    first = begun(make_run("cat", str(fifo)))
    wait_until(lambda: folder.exists() and hidden(folder))
    second = begun(make_run("sh", "-c", f"ls -d {folder}/.*.partial | wc -l"))
    wait_until(lambda: folder / ".shop-production.lock" in opened(second) or second.exitcode is not None)
    assert second.exitcode is None
    fifo.write_text("first")
    for process in (first, second):
        process.join()
        assert process.exitcode == 0
    assert [(folder / each.file).read_text() for each in manifests(folder)] == ["first", "1\n"]


def test_an_environment_at_work_in_the_same_folder_is_neither_waited_for_nor_disturbed(
    make_run: MakeRun, folder: Path
) -> None:
    with (
        exclusive(folder, "shop", "production-eu"),
        working_folder(folder, "shop-production-eu-20261101T023000Z-abcd") as theirs,
    ):
        fraise_type.back_up(make_run())
        assert theirs.exists()
    assert len(manifests(folder)) == 1


def test_a_folder_in_which_others_could_exchange_backups_is_refused(
    folder: Path, tmp_path: Path, make_run: MakeRun
) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(BackupError, match="is writable for everyone"):
        fraise_type.back_up(make_run())
    folder.chmod(0o1777)
    lock, elsewhere = folder / ".shop-production.lock", tmp_path / "elsewhere"
    lock.symlink_to(elsewhere)
    with pytest.raises(BackupError, match=r"\.shop-production\.lock: Too many levels of symbolic links"):
        fraise_type.back_up(make_run())
    assert not elsewhere.exists()
    lock.unlink()
    fraise_type.back_up(make_run())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user")
def test_a_folder_of_another_user_is_refused(folder: Path, make_run: MakeRun) -> None:
    folder.mkdir()
    os.chown(folder, 65534, -1)
    with pytest.raises(BackupError, match=r"belongs to another user, .*: chown it, or .* mount it for"):
        fraise_type.back_up(make_run())


def test_a_manifest_says_what_its_file_is_like(make_run: MakeRun, folder: Path, tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    with closing(sqlite3.connect(database)) as opened:
        opened.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)")
    fraise_type.back_up(make_run(source={"sqlite": database}))
    (manifest,) = manifests(folder)
    found = hashed(folder / manifest.file)
    assert (manifest.size, manifest.sha256) == (found.size, found.sha256)
    facts = json.loads((folder / manifest.manifest_file).read_text())["facts"]
    assert facts == {"kind": "sqlite", "path": str(database), "mode": 0o644, "tables": {"t": 2}}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"source": {}}, "exactly one"),
        ({"source": {"command": ["true"], "sqlite": "/x"}}, "exactly one"),
        ({"source": {"postgresql": "mysql://h/d"}}, "should be a URL such as postgresql"),
        ({"source": {"postgresql": "postgresql://h"}}, "must name the database"),
        ({"source": {"sqlite": "x.db"}}, "absolute path"),
        ({"source": {"folders": []}}, "at least 1"),
        ({"source": {"folders": ["/srv/a/b", "/srv/a"]}}, "/srv/a/b is within /srv/a: name /srv/a alone"),
        ({"source": {"command": ["x"], "restore": ["y"]}}, "must have an argument with {target}"),
        ({"source": {"folders": "/srv"}, "path": "/srv/backups"}, "must not be within source.folders"),
        ({"path": None}, "set either path or restic"),
        ({"remotes": {"local": {"rclone": "a:b"}}}, "local is the name of path"),
        ({"encrypt": {"recipients": "age1x"}}, "set remotes"),
        ({"encrypt": {"recipients": ["age1x", "AGE-SECRET-KEY-1X"]}}, "number 2 is no public key of age or"),
        ({"restore_test": {}}, "needs source.restore and source.drop"),
        ({"keep": {"last": 0}}, "must keep something"),
    ],
)
def test_a_section_that_cannot_be_is_refused(
    make_run: MakeRun, section: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        make_run(**section)


def test_a_path_has_one_slash_in_front(make_run: MakeRun) -> None:
    settings = make_run(source={"folders": "//srv/shop"}, path="//srv/backups").settings
    assert [*map(str, [*(settings.source.folders or ()), settings.path])] == ["/srv/shop", "/srv/backups"]

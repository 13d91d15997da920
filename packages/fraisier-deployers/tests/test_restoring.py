import io
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from fraisier_core import CommandFailedError, CommandResult, InvalidRequestError, JobSettings, Release
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup import fraise_type
from fraisier_deployers.backup.backing_up import make_backup
from fraisier_deployers.backup.backup_errors import BackupError, BackupRefusedError
from fraisier_deployers.backup.backup_installation import Installation
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.choosing import chosen_copy
from fraisier_deployers.backup.local_place import LocalPlace, hashed
from fraisier_deployers.backup.manifest import FolderFacts, Manifest
from fraisier_deployers.backup.places import Listing, Place, Runner
from fraisier_deployers.backup.primary import working_place
from fraisier_deployers.backup.restoring import Restored, restore
from fraisier_deployers.backup.scratch_names import scratch_name
from fraisier_deployers.backup.sources.chosen import chosen_target, origin_of, scratch_target
from fraisier_deployers.backup.sources.folder_staging import Staging, staging_folders
from fraisier_deployers.backup.sources.folder_swap import FolderSwap, left_beside
from fraisier_deployers.backup.sources.folder_target import FolderTarget, require_own
from pydantic import ValidationError

from tests.postgres import Servers
from tests.postgres_server import programs
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
Run = FakeRun[BackupSettings]
Section = dict[str, Any]
BackUp = Callable[..., Run]
ROWS = 300
NOBODY = 65534
HIDDEN = {".shop-production.lock"}
FILL = f"CREATE TABLE t (n integer); INSERT INTO t SELECT generate_series(1, {ROWS})"


@pytest.fixture
def back_up(tmp_path: Path) -> BackUp:
    """Return a function that backs up a source, and returns the run."""

    def make(
        source: Section, *, hook: Callable[[Run], None] | None = fraise_type.back_up, **section: Any
    ) -> Run:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        keys = {"source": source, "path": tmp_path / "backups", **section}
        run = FakeRun(BackupSettings.model_validate(keys), Release("", work, ""), fraise="shop")
        if hook is not None:
            hook(run)
        return run

    return make


def newest(run: Run) -> tuple[Manifest, LocalPlace]:
    assert run.settings.path
    place = LocalPlace(run.settings.path)
    return place.manifests().manifests[-1], place


def restored(
    run: Run, target: str | None = None, replace: str | None = None, runner: Runner | None = None
) -> Restored:
    """Restore the newest backup of a run, to where it came from if no target is named."""
    manifest, place = newest(run)
    folder = working_place(run.settings, run.release.path)
    target = origin_of(run.settings.source, run) if target is None else target
    assert target is not None
    return restore(
        run.settings, manifest, place, target, runner=runner or run, folder=folder, replace=replace
    )


def count(url: str, sql: str = "SELECT count(*) FROM t") -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        return int(connection.execute(sql.encode()).fetchall()[0][0])


def execute(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def name_of(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]


def other(url: str, name: str) -> str:
    return url.replace(name_of(url), name)


@pytest.fixture
def database(postgres_url: str, postgres_version: int) -> Section:
    execute(postgres_url, FILL)
    return {"postgresql": postgres_url, "bin": programs(postgres_version)}


@pytest.mark.parametrize("postgres_version", [16, 18])
def test_a_database_is_restored_into_a_new_one_and_into_an_empty_one(
    back_up: BackUp, database: Section, postgres_servers: Servers, postgres_version: int
) -> None:
    run, url = back_up(database), database["postgresql"]
    with postgres_servers(postgres_version).database() as empty:
        assert restored(run, name_of(empty)) == Restored(newest(run)[0].name, name_of(empty))
        assert count(empty) == ROWS
        new = f"{name_of(url)}_new"
        assert restored(run, new).replaced is None
        assert count(other(url, new)) == ROWS
        postgres_servers(postgres_version).execute(f"DROP DATABASE {new}")
        with pytest.raises(
            BackupError, match=rf"^{name_of(empty)} is not empty: .* or add --replace {name_of(empty)}"
        ):
            restored(run, name_of(empty))


@pytest.mark.parametrize("postgres_version", [16])
def test_a_new_database_gets_its_name_once_it_is_whole(
    back_up: BackUp, database: Section, postgres_servers: Servers, tmp_path: Path
) -> None:
    """Whoever is killed meanwhile leaves nothing to which an application would connect. What monitors each
    database that appears keeps none from its name.
    """
    run, new = back_up(database), f"{name_of(database['postgresql'])}_new"
    named = f"SELECT count(*) FROM pg_database WHERE datname = '{new}'"
    psql = f"{programs(16)}/psql -AtX"
    asking = f'{psql} -c "SELECT current_database(), ({named})" -o {tmp_path}/seen'
    monitoring = f"{psql} -c 'SELECT 1' -c 'SELECT pg_sleep(60)' > {tmp_path}/monitor 2>&1 &"
    waiting = f"until test -s {tmp_path}/monitor; do sleep 0.1; done"
    script = f"{asking}\n{monitoring}\n{waiting}"
    run = back_up({**database, "bin": wrapped(tmp_path, "pg_restore", script)}, hook=None)
    restored(run, new)
    filled, found = (tmp_path / "seen").read_text().strip().split("|")
    assert (filled[:19], found) == ("fraisier_restoring_", "0")
    assert count(other(database["postgresql"], new)) == ROWS
    assert count(database["postgresql"], named.replace(new, filled)) == 0
    postgres_servers(16).execute(f"DROP DATABASE {new}")


@pytest.mark.parametrize("postgres_version", [16])
def test_a_new_database_that_cannot_be_renamed_is_kept(
    back_up: BackUp, database: Section, postgres_servers: Servers, tmp_path: Path
) -> None:
    run, url = back_up(database), database["postgresql"]
    failing = "case $* in *rename.sql) echo taken >&2; exit 3;; esac"
    run = back_up({**database, "bin": wrapped(tmp_path, "psql", failing)}, hook=None)
    with pytest.raises(
        BackupError, match=r"is whole, and is kept .*: taken.* RENAME TO \"shop_new\""
    ) as raised:
        restored(run, "shop_new")
    kept = re.search("fraisier_restoring_[0-9a-f]{8}", str(raised.value))
    assert kept
    assert count(other(url, kept[0])) == ROWS
    postgres_servers(16).execute(f"DROP DATABASE {kept[0]}")


def wrapped(folder: Path, program: str, script: str) -> Path:
    """Return a folder with PostgreSQL 16's programs, of which one executes a script of a shell first."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for name in {"pg_dump", "pg_restore", "psql"} - {program}:
        (bin_folder / name).symlink_to(programs(16) / name)
    (bin_folder / program).write_text(f'#!/bin/sh\n{script}\nexec {programs(16)}/{program} "$@"\n')
    (bin_folder / program).chmod(0o755)
    return bin_folder


@pytest.mark.parametrize("postgres_version", [16])
def test_newer_programs_restore_into_an_older_server(
    back_up: BackUp, database: Section, postgres_servers: Servers
) -> None:
    run = back_up({**database, "bin": programs(18)})
    with postgres_servers(16).database() as empty:
        restored(run, name_of(empty))
        assert count(empty) == ROWS
    with postgres_servers(16).database() as empty:
        forge_content(run, lambda content: content[:-100])
        with pytest.raises(BackupError, match="pg_restore exited"):
            restored(run, name_of(empty))
        assert count(empty, "SELECT count(*) FROM pg_class WHERE relname = 't'") == 0


def properties(url: str) -> list[Any]:
    """Return what a database has beside its content."""
    sql = """
        SELECT datdba, ARRAY(SELECT unnest(datacl)::text ORDER BY 1), datconnlimit, setconfig FROM pg_database
        LEFT JOIN pg_db_role_setting ON setdatabase = pg_database.oid WHERE datname = current_database()
    """
    with psycopg.connect(url) as connection:
        return connection.execute(sql.encode()).fetchall()


def test_a_database_is_replaced_only_by_its_name_and_backed_up_first(
    back_up: BackUp, database: Section
) -> None:
    run, url = back_up(database), database["postgresql"]
    execute(url, "INSERT INTO t VALUES (0); CREATE TABLE younger (x integer)")
    for change in ("REVOKE CONNECT ON {} FROM PUBLIC", "ALTER {} SET search_path = app, public"):
        execute(url, change.format(f"DATABASE {name_of(url)}"))
    execute(url, f"ALTER DATABASE {name_of(url)} SET application_name = 'the shop''s'")
    before = properties(url)
    with pytest.raises(BackupError, match="is not empty"):
        restored(run)
    with pytest.raises(BackupError, match=r"--replace other is not the name of the target"):
        restored(run, replace="other")
    assert count(url) == ROWS + 1
    with psycopg.connect(url):  # is disconnected
        done = restored(run, replace=name_of(url))
    assert count(url, "SELECT count(*) FROM public.t") == ROWS
    assert properties(url) == before
    kept_as = re.search(r"is kept as the database (fraisier_replaced_\w+), until you DROP", run.output)
    assert kept_as
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {kept_as[1]} ALLOW_CONNECTIONS true".encode())
        assert count(other(url, kept_as[1]), "SELECT count(*) FROM public.t") == ROWS + 1
        connection.execute(f"DROP DATABASE {kept_as[1]}".encode())
    assert done.replaced is not None
    assert done.replaced.parent.name == "replaced"
    assert newest(run)[0].name in {each.name for each in newest(run)[1].manifests().manifests}
    (kept,) = LocalPlace(done.replaced.parent).manifests().manifests
    assert kept.facts.model_dump()["tables"] == {"public.t": ROWS + 1, "public.younger": 0}


@pytest.mark.parametrize("postgres_version", [16])
def test_a_database_that_a_killed_restore_left_without_connections_can_be_replaced(
    back_up: BackUp, database: Section, postgres_servers: Servers
) -> None:
    run, url = back_up(database), database["postgresql"]
    left = f"fraisier_restoring_{name_of(url)[-8:]}"
    others = f'"{left}; DROP DATABASE shop"'
    server = postgres_servers(16)
    for name in (left, others):
        server.execute(f"CREATE DATABASE {name}")
    server.execute(f"ALTER DATABASE {name_of(url)} ALLOW_CONNECTIONS false")
    restored(run, replace=name_of(url))
    assert count(url) == ROWS
    assert f"{left} was left by a restore: unless one is still at work, DROP DATABASE {left}\n" in run.output
    assert "DROP DATABASE shop" not in run.output
    for name in (left, others):
        server.execute(f"DROP DATABASE {name}")


@pytest.mark.parametrize(
    ("before", "after", "message", "expected"),
    [
        ("true", "true", None, ROWS),
        ("false", "true", "could not be replaced, and was left as it was: ", ROWS + 1),
        ("true", "touch lost", "whether .* was replaced is not known, .* if there is a database", ROWS),
    ],
)
@pytest.mark.parametrize("postgres_version", [16])
def test_what_became_of_a_replacement_is_looked_up_if_the_connection_is_lost(
    back_up: BackUp,
    database: Section,
    tmp_path: Path,
    before: str,
    after: str,
    message: str | None,
    expected: int,
) -> None:
    """A `psql` that loses its connection before or after what it executes; then the server may be away."""
    run, url, real = back_up(database), database["postgresql"], database["bin"]
    losing = f'{before} && {real}/psql "$@"; {after}; echo connection lost >&2; exit 2'
    script = f"cd {tmp_path}; test -e lost && exit 2; case $* in *replace.sql) {losing};; esac"
    execute(url, "INSERT INTO t VALUES (0)")
    run = back_up({**database, "bin": wrapped(tmp_path, "psql", script)}, hook=None)
    if message is None:
        assert restored(run, replace=name_of(url)).replaced
        assert "was replaced before the connection was lost: " in run.output
    else:
        with pytest.raises(BackupError, match=message):
            restored(run, replace=name_of(url))
    assert count(url) == expected


def test_a_database_stays_as_it_is_if_what_would_replace_it_cannot_be_restored(
    back_up: BackUp, database: Section, postgres_servers: Servers, postgres_version: int
) -> None:
    run, url = back_up(database), database["postgresql"]
    forge_content(run, lambda content: content[:-100])
    with pytest.raises(BackupError, match=r"pg_restore exited .*is backed up as .*\.dump$"):
        restored(run, replace=name_of(url))
    assert count(url) == ROWS
    left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'fraisier_re%'"
    server = postgres_servers(postgres_version).url()  # where other tests replace databases as well
    wait_until(lambda: count(server, left) == 0)


def forge_content(run: Run, change: Callable[[bytes], bytes], **facts: object) -> None:
    """Replace the content of the newest copy, and have its manifest say so."""
    manifest, place = newest(run)
    path = place.folder / manifest.file
    path.write_bytes(change(path.read_bytes()))
    found = hashed(path)
    keys = manifest.model_dump()
    keys |= {"size": found.size, "sha256": found.sha256}
    keys |= {"plain_size": found.size, "plain_sha256": found.sha256}
    keys["facts"] |= facts
    (place.folder / manifest.manifest_file).write_text(Manifest.model_validate(keys).text())


def damage(run: Run) -> None:
    """Flip one bit of the newest copy."""
    manifest, place = newest(run)
    path = place.folder / manifest.file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_copy_is_not_restored(back_up: BackUp, database: Section) -> None:
    run = back_up(database)
    damage(run)
    with pytest.raises(BackupError, match="is damaged"):
        restored(run, "never_made")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as opened:
        opened.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)")
    return path


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as opened:
        return int(opened.execute("SELECT count(*) FROM t").fetchone()[0])


def test_an_sqlite_database_is_restored_and_replaced(back_up: BackUp, file: Path, tmp_path: Path) -> None:
    run = back_up({"sqlite": file})
    restored(run, str(tmp_path / "new.db"))
    assert rows(tmp_path / "new.db") == 2
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("INSERT INTO t VALUES (3)")
        opened.commit()
    with pytest.raises(BackupError, match=r"shop\.db is not empty"):
        restored(run)
    with pytest.raises(InvalidRequestError, match=r"make .*/none first"):
        restored(run, str(tmp_path / "none" / "new.db"))
    with closing(sqlite3.connect(file)) as app:
        app.execute("INSERT INTO t VALUES (4)")
        app.commit()
        done = restored(run, replace=str(file))
        app.execute("INSERT INTO t VALUES (5)")  # by an application that was not stopped
        app.commit()
    assert rows(file) == 2
    assert done.replaced
    (aside,) = (path for path in tmp_path.glob("shop.db.replaced-*") if path.suffix.count("-") == 1)
    assert rows(aside) == 5
    assert f"what was in {file} is kept as {aside}" in run.output
    (left := tmp_path / f".{file.name}.0123abcd.restoring").touch()
    run.output = ""
    restored(run, str(file), replace=str(file))
    assert f"{left} was left by a restore: unless one is still at work, rm {left}\n" in run.output
    assert f"{aside} was replaced by a restore, and is kept until you rm {aside}" in run.output


def test_folders_are_restored_below_another_and_to_where_they_were(back_up: BackUp, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_text("a")
    (folder / "link").symlink_to("deep/a")
    with (folder / "sparse").open("wb") as sparse:
        sparse.truncate(2**26)
    run = back_up({"folders": str(folder)})
    (tmp_path / "to").mkdir()
    for killed in (tmp_path, tmp_path / "to"):  # before and after the target was made
        (killed / ".uploads.0a1b2c3d.restoring").mkdir()
    restored(run, str(tmp_path / "to"))
    assert (
        run.output.count("0a1b2c3d.restoring was left by a restore: unless one is still at work, rm -r ") == 2
    )
    assert (tmp_path / "to" / str(folder)[1:] / "link").read_text() == "a"
    assert (tmp_path / "to" / str(folder)[1:] / "sparse").stat().st_blocks < 100
    (folder / "deep" / "a").write_text("changed")
    (folder / "younger").write_text("")
    with pytest.raises(BackupError, match=r"^/ is not empty"):
        restored(run)
    done = restored(run, replace="/")
    assert {path.name for path in folder.iterdir()} == {"deep", "link", "sparse"}
    assert (folder / "deep" / "a").read_text() == "a"
    assert done.replaced
    (aside,) = tmp_path.glob("uploads.replaced-*")
    assert (aside / "deep" / "a").read_text() == "changed"
    (left := tmp_path / ".uploads.1a2b3c4d.restoring").mkdir()  # by one that is killed while it extracts
    restored(run, "/", replace="/")
    assert (
        f"{left} was left by a restore: unless one is still at work, rm -r --one-file-system {left}\n"
        in run.output
    )
    assert (
        f"{aside} was replaced by a restore, and is kept until you rm -r --one-file-system {aside}"
        in run.output
    )
    empty(folder, left := folder / ".uploads.2a2b3c4d.restoring")  # by one that is killed while it is empty
    restored(run)
    assert {path.name for path in folder.iterdir()} == {"deep", "link", "sparse", left.name}
    run = back_up({"folders": str(folder)})  # which has what was left in it, too
    shutil.rmtree(folder)
    restored(run)
    assert (left / "half").exists()


def empty(folder: Path, left: Path) -> None:
    """Empty a folder, but for what a killed restore left in it."""
    shutil.rmtree(folder)
    left.mkdir(parents=True)
    (left / "half").write_text("h")


@pytest.fixture
def mounted() -> Iterator[Callable[[Path], None]]:
    """Return a function that mounts a disk at a folder while the test runs."""
    if os.getuid() != 0:
        pytest.skip("needs root, to mount")
    with ExitStack() as ending:

        def mount(folder: Path) -> None:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
            ending.callback(subprocess.check_call, ["umount", folder])

        yield mount


@dataclass
class Watching:
    """Runs commands by a run, and looks after each what a file says."""

    run: Run
    file: Path
    seen: list[str] = field(default_factory=list)

    def command(self, argv: Sequence[Any], **keys: Any) -> CommandResult:
        result = self.run.command(argv, **keys)
        self.seen.append(self.file.read_text())
        return result

    def note(self, text: str) -> None:
        self.run.note(text)


def test_folders_are_extracted_beside_what_they_replace_and_swapped_when_they_are_whole(
    back_up: BackUp, tmp_path: Path
) -> None:
    """Whatever they are called, and with the links between them."""
    one, other = folders = [tmp_path / "s" / name for name in ("a.[b]*\\c&d|$^ e", "uploads")]
    for folder in folders:
        (folder / "deep").mkdir(parents=True)
    (one / "deep" / "a").write_text("a")
    (other / "hard").hardlink_to(one / "deep" / "a")
    (one / "link").symlink_to(other.relative_to("/"))
    run = back_up({"folders": [str(folder) for folder in folders]})
    (one / "deep" / "a").unlink()
    (one / "deep" / "a").write_text("changed")
    shutil.rmtree(other)
    watching = Watching(run, one / "deep" / "a")
    restored(run, replace="/", runner=watching)
    assert set(watching.seen) == {"changed"}
    assert (one / "deep" / "a").read_text() == "a"
    assert (one / "deep" / "a").samefile(other / "hard")
    assert (one / "link").readlink() == other.relative_to("/")
    (aside,) = {*(tmp_path / "s").iterdir()} - {*folders}
    assert (aside / "deep" / "a").read_text() == "changed"
    assert run.output.count("is kept as") == 1


def cut_off(swap: FolderSwap, staging: Staging) -> list[str]:
    """Return what is said of a swap that was killed between its renames."""
    return [
        f"a restore of {swap.place} was cut off between two renames: what was there is {swap.replaced}; "
        f"rename it to {swap.place}",
        f"{staging.path} was left by a restore: unless one is still at work, "
        f"rm -r --one-file-system {staging.path}",
    ]


def test_a_swap_that_was_cut_off_between_its_renames_is_found_and_named(tmp_path: Path) -> None:
    (staging,) = staging_folders(tmp_path, [tmp_path / "uploads"], "1a2b3c4d")
    swap = FolderSwap(tmp_path / "uploads", staging.staged(tmp_path / "uploads"), "1a2b3c4d")
    for folder in (swap.place, swap.restored):
        folder.mkdir(parents=True)
        (folder / "a").touch()
    killed = f"""
import os, sys
from contextlib import ExitStack
from pathlib import Path
from fraisier_deployers.backup.sources.folder_swap import FolderSwap

def kill(event, args):
    if event == "os.rename" and ".restoring" in os.fspath(args[0]):
        os.kill(os.getpid(), 9)

sys.addaudithook(kill)
FolderSwap(Path({str(swap.place)!r}), Path({str(swap.restored)!r}), {swap.id!r}).execute(ExitStack())
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -SIGKILL
    assert {*tmp_path.iterdir()} == {staging.path, swap.replaced}
    assert [*left_beside([swap.place])] == cut_off(swap, staging)
    (earlier := swap.replaced.with_name("uploads.replaced-0a1b2c3d")).mkdir()
    kept = f"{earlier} was replaced by a restore, and is kept until you rm -r --one-file-system {earlier}"
    assert [*left_beside([swap.place])] == [kept, *cut_off(swap, staging)]
    earlier.rmdir()
    shutil.rmtree(staging.path)  # as by one that was not killed, but could not undo it
    assert [*left_beside([swap.place])] == cut_off(swap, staging)[:1]


@pytest.mark.parametrize("event", ["before", "after"])
def test_a_swap_that_is_interrupted_at_a_rename_is_undone(tmp_path: Path, event: str) -> None:
    swap = FolderSwap(tmp_path / "uploads", tmp_path / "staging" / "uploads", "1a2b3c4d")
    for folder in (swap.place, swap.restored):
        folder.mkdir(parents=True)
        (folder / folder.parent.name).touch()
    interrupted = f"""
import sys
from contextlib import ExitStack
from pathlib import Path
from fraisier_deployers.backup.sources.folder_swap import FolderSwap

def interrupt(frame, event, argument):
    if event == {"c_call" if event == "before" else "c_return"!r} and argument.__name__ == "rename":
        sys.setprofile(None)
        raise KeyboardInterrupt

with ExitStack() as undoing:
    sys.setprofile(interrupt)
    FolderSwap(Path({str(swap.place)!r}), Path({str(swap.restored)!r}), {swap.id!r}).execute(undoing)
"""
    done = subprocess.run([sys.executable, "-c", interrupted], check=False, stderr=subprocess.PIPE, text=True)
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert {*tmp_path.iterdir()} == {swap.place, tmp_path / "staging"}
    for folder in (swap.place, swap.restored):
        assert [path.name for path in folder.iterdir()] == [folder.parent.name]


def test_a_folder_that_cannot_be_swapped_is_refused(back_up: BackUp, tmp_path: Path) -> None:
    """Even root can neither rename a mount point nor make anything in a folder of a process."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a").write_text("a")
    run = back_up({"folders": str(folder)})
    manifest, _ = newest(run)
    how = "move away what is in it yourself, and restore without --replace"
    for place, why in (
        ("/proc", f"/proc is a mount point, which cannot be renamed: {how}"),
        (
            "/proc/self/task",
            f"/proc/self/task cannot be replaced: nothing can be made in /proc/self: .*: {how}",
        ),
    ):
        with pytest.raises(BackupRefusedError, match=f"^{why}$"):
            FolderTarget(Path("/"), (folder, Path(place)), run).require_replaceable(manifest)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "uploads",
            "has a mount point in it, {disk}, and would take it along: "
            "restore into a new folder, and move what is in it yourself",
        ),
        (
            "uploads/a \\040disk",
            "is a mount point, which cannot be renamed: "
            "move away what is in it yourself, and restore without --replace",
        ),
    ],
)
def test_a_disk_stays_where_it_is_mounted_and_as_it_is(
    back_up: BackUp, tmp_path: Path, mounted: Callable[[Path], None], name: str, why: str
) -> None:
    """A folder above a mount point could be renamed, and would take along the disk that is mounted there."""
    (disk := tmp_path / "uploads" / "a \\040disk").mkdir(parents=True)
    mounted(disk)
    (disk / "a").write_text("a")
    (tmp_path / "linked").symlink_to(tmp_path)
    folder = tmp_path / "linked" / name
    run = back_up({"folders": str(folder)})
    (disk / "a").write_text("changed")
    before = {*tmp_path.rglob("*")}
    with pytest.raises(BackupRefusedError) as refused:
        restored(run, replace="/")
    assert str(refused.value) == f"{folder} {why.format(disk=disk)}"
    assert {*tmp_path.rglob("*")} == before
    assert (disk / "a").read_text() == "changed"
    assert disk.is_mount()


def test_a_folder_is_restored_to_a_new_disk(
    back_up: BackUp, tmp_path: Path, mounted: Callable[[Path], None]
) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a").write_text("a")
    run = back_up({"folders": str(folder)})
    mounted(folder)
    (folder / "lost+found").mkdir(mode=0o700)
    restored(run)
    assert {path.name for path in folder.iterdir()} == {"a", "lost+found"}
    run = back_up({"folders": str(folder)})  # as root, also of what is there beside it
    (folder / "a").unlink()
    restored(run)
    assert {path.name for path in folder.iterdir()} == {"a", "lost+found"}
    (folder / "a").unlink()
    (folder / "lost+found" / "#12").touch()
    with pytest.raises(BackupError, match=r"^/ is not empty"):
        restored(run)


def test_a_new_disk_is_vacant_for_whom_may_not_look_into_what_was_lost(
    another_user: Path, mounted: Callable[[Path], None]
) -> None:
    (disk := another_user / "uploads").mkdir()
    os.seteuid(0)
    mounted(disk)
    (disk / "lost+found").mkdir(mode=0o700)
    os.chown(disk, NOBODY, -1)
    run = FakeRun(JobSettings(), Release("", disk, ""))
    os.seteuid(NOBODY)
    try:
        assert FolderTarget(Path("/"), [disk], run).is_vacant()
    finally:
        os.seteuid(0)


def test_a_folder_is_as_it_was_if_what_would_replace_it_cannot_be_extracted(
    back_up: BackUp, tmp_path: Path
) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a").write_bytes(os.urandom(500_000))
    run = back_up({"folders": str(folder)})
    (folder / "a").write_text("changed")
    forge_content(run, lambda content: content, entries=3)
    with pytest.raises(BackupError, match=r"^/ was left as it was: 2 entries, not 3; what was to be"):
        restored(run, replace="/")
    forge_content(run, lambda content: content[: len(content) // 2])
    with pytest.raises(BackupError, match=r"what was to be replaced is backed up as"):
        restored(run, replace="/")
    assert (folder / "a").read_text() == "changed"
    assert list(tmp_path.glob("uploads*")) == [folder]
    for was_there in (False, True):
        with pytest.raises(BackupError, match=r"(zstd|tar) exited"):
            restored(run, str(tmp_path / "to"))
        assert (tmp_path / "to").exists() == was_there
        assert not [*tmp_path.rglob("*.restoring")]
        (tmp_path / "to").mkdir(exist_ok=True)


def packed(*members: tuple[str, str | bytes]) -> bytes:
    """Return an archive of files, of the folder of each with an empty name in it, and of links as a text."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as opened:
        for name, content in members:
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            entry.mode = 0o755
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            entry.size = len(content) if entry.isreg() else 0
            opened.addfile(
                entry, io.BytesIO(bytes(content, "utf-8") if isinstance(content, str) else content)
            )
    return subprocess.run(
        ["zstd", "-qc"], input=archive.getvalue(), stdout=subprocess.PIPE, check=True
    ).stdout


@pytest.fixture
def hostile(back_up: BackUp, tmp_path: Path) -> Callable[..., Run]:
    """Return a function that has other people exchange the newest backup of a folder."""
    folder = tmp_path / "s" / "uploads"
    folder.mkdir(parents=True)
    (folder / "a").write_text("mine")
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "a").write_text("mine")
    run = back_up({"folders": folder})

    def make(*members: tuple[str, str | bytes], **facts: object) -> Run:
        forge_content(run, lambda _: packed(*members), **facts)
        return run

    return make


@pytest.fixture(params=["beside", "in place", "where it was"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], tuple[str, str | None]]:
    """Return a function that returns a new target, an old one that is vacant, or the origin."""

    def make() -> tuple[str, str | None]:
        if request.param == "beside":
            return str(tmp_path / "to"), None
        if request.param == "in place":
            shutil.rmtree(tmp_path / "s" / "uploads")
            (tmp_path / "s" / "uploads").mkdir()
        return "/", "/"

    return make


def test_what_an_archive_links_to_stays_as_it_is(
    hostile: Callable[..., Run], target: Callable[[], tuple[str, str | None]], tmp_path: Path
) -> None:
    """Also if it cannot be extracted to its end, and what was extracted is deleted."""
    folder, victim = tmp_path / "s" / "uploads", tmp_path / "victim"
    base = str(folder)[1:]
    for members in (
        ((base, str(victim)), ("x", b""), ("x/y", b"")),
        ((base, str(victim)), (f"{base}/", b""), (f"{base}/new", b"")),
        ((base, "../victim"), (f"{base}/new", b"")),
        ((base, "victim"), (f"{base}/new", b"")),
        ((f"{base}/", b""), (f"{base}/x", b""), (f"{base}/x/y", b"")),
    ):
        run = hostile(*members)
        to, replace = target()
        with pytest.raises(BackupError, match=r"is no folder in the archive|tar exited|was left as it was"):
            restored(run, to, replace=replace)
        assert [path.name for path in victim.iterdir()] == ["a"]
        assert {*folder.iterdir()} <= {folder / "a"}
        assert not [*tmp_path.rglob("new"), *tmp_path.rglob("*.restoring"), *tmp_path.glob("to")]
        (folder / "a").write_text("mine")


def test_what_an_archive_has_beside_its_folders_is_not_extracted(
    hostile: Callable[..., Run], target: Callable[[], tuple[str, str | None]], tmp_path: Path
) -> None:
    folder, elsewhere = tmp_path / "s" / "uploads", tmp_path / "elsewhere"
    beside = [f"{elsewhere}/x"[1:], f"{folder}2"[1:], f"{folder.parent}/y"[1:], f"/{elsewhere}/z"]
    members = [(f"{folder}/"[1:], b""), (f"{folder}/b"[1:], b"b"), *((name, b"") for name in beside)]
    run = hostile(*members, entries=2, content_bytes=1)
    to, replace = target()
    restored(run, to, replace=replace)
    root = tmp_path / "to" if (tmp_path / "to").exists() else Path("/")
    assert (root / f"{folder}/b"[1:]).read_text() == "b"
    kept = {path.name for path in (root / str(folder.parent)[1:]).iterdir() if "replaced" not in path.name}
    assert kept == {"uploads"}
    assert not (root / str(elsewhere)[1:]).exists()


@pytest.fixture
def another_user() -> Iterator[Path]:
    """A folder of another user, whom this process is while the test runs."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to act as another user")
    with TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("exists", [False, True])
def test_a_read_only_folder_is_put_in_its_place_and_removed(another_user: Path, exists: bool) -> None:
    target = FolderTarget(
        another_user / "to", [Path("/uploads")], FakeRun(JobSettings(), Release("", another_user, ""))
    )
    (place,) = target.places
    (place if exists else target.root).mkdir(parents=True)
    (staging,) = staging_folders(target.root, target.places, "1a2b3c4d")
    (staging.staged(place) / "deep").mkdir(parents=True)
    (staging.staged(place) / "deep" / "a").write_text("a")
    for folder in (staging.staged(place) / "deep", staging.staged(place)):
        folder.chmod(0o555)
    with ExitStack() as undoing:
        FolderSwap(place, staging.staged(place), "1a2b3c4d").execute(undoing)
        undoing.pop_all()
    assert (place / "deep" / "a").read_text() == "a"
    assert {folder.stat().st_mode & 0o777 for folder in (place, place / "deep")} == {0o555}
    target.remove()
    assert not [*another_user.iterdir()]


def test_a_target_in_a_folder_that_is_closed_is_named(another_user: Path) -> None:
    (closed := another_user / "closed").mkdir(mode=0)
    for target in (closed / "new", closed / "in" / "it"):
        with pytest.raises(BackupError, match=rf"^{target}.*: Permission denied$"):
            require_own(target)
        with pytest.raises(BackupError, match=r": Permission denied$"):
            FolderTarget(
                target, [Path("/uploads")], FakeRun(JobSettings(), Release("", closed, ""))
            ).is_vacant()


def test_folders_that_are_not_backed_up_are_not_restored_to_where_they_were(
    hostile: Callable[..., Run], tmp_path: Path
) -> None:
    victim = f"{tmp_path}/victim"
    run = hostile((f"{victim}/"[1:], b""), paths=(victim,), entries=1, content_bytes=0)
    for root in ("/", "//"):
        with pytest.raises(
            BackupRefusedError,
            match=rf"is of {victim}, which source.folders does not name: restore it into a new",
        ):
            restored(run, root, replace=root)
    assert (tmp_path / "victim" / "a").read_text() == "mine"


def test_an_archive_that_is_larger_than_what_was_archived_is_not_extracted_to_its_end(
    hostile: Callable[..., Run], tmp_path: Path
) -> None:
    base = f"{tmp_path}/s/uploads"[1:]
    run = hostile((f"{base}/", b""), (f"{base}/big", bytes(2**23)), entries=2, content_bytes=1)
    with pytest.raises(BackupError, match="tar exited with status 2"):
        restored(run, str(tmp_path / "to"))
    assert not (tmp_path / "to").exists()


def test_what_is_restored_is_for_its_owner_alone_and_other_users_cannot_change_it_meanwhile(
    back_up: BackUp, tmp_path: Path
) -> None:
    folder = tmp_path / "private" / "data"
    folder.mkdir(parents=True)
    (folder / "a").write_text("a")
    run = back_up({"folders": folder})
    restored(run, str(tmp_path / "new"))
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "empty").mkdir(mode=0o755)
    restored(run, str(tmp_path / "empty"))
    assert (tmp_path / "empty" / str(tmp_path)[1:]).stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    with pytest.raises(BackupRefusedError, match=r"open may be changed by other users: name a new folder"):
        restored(run, str(tmp_path / "open"))
    (tmp_path / "linked").symlink_to("empty")
    with pytest.raises(BackupError, match=r"linked is a symbolic link: name "):
        restored(run, str(tmp_path / "linked"))
    (tmp_path / "holding").mkdir()
    (tmp_path / "holding" / "tmp").symlink_to(tmp_path / "empty")
    with pytest.raises(BackupRefusedError, match=r"holding is not empty"):
        restored(run, str(tmp_path / "holding"))


def test_nothing_is_restored_into_what_a_link_points_to(back_up: BackUp, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a").write_text("a")
    run = back_up({"folders": str(folder)})
    folder.rename(tmp_path / "disk")
    folder.symlink_to("disk")
    with pytest.raises(BackupError, match=r"uploads is a symbolic link: name .*disk instead"):
        restored(run, replace="/")
    assert (tmp_path / "disk" / "a").read_text() == "a"


def test_a_folder_is_not_restored_into_what_is_backed_up_nor_beside_something_else(
    back_up: BackUp, tmp_path: Path
) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a").write_text("a")
    run = back_up({"folders": str(folder)})
    for target in (folder, folder / "new"):
        with pytest.raises(
            InvalidRequestError, match=r"is within .*uploads, which is backed up: .*, or / to"
        ):
            restored(run, str(target), replace=str(target))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").write_text("")
    with pytest.raises(BackupError, match=r"other is not empty"):
        restored(run, str(tmp_path / "other"))
    with pytest.raises(BackupError, match=r"other has something else in it"):
        restored(run, str(tmp_path / "other"), replace=str(tmp_path / "other"))
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine"]
    place = tmp_path / "other" / str(folder)[1:]
    (staging,) = staging_folders(tmp_path / "other", [place], "1a2b3c4d")
    swap = FolderSwap(place, staging.staged(place), "1a2b3c4d")  # which is cut off
    for path in (swap.restored / "a", swap.replaced / "a"):
        path.parent.mkdir(parents=True)
        path.touch()
    with pytest.raises(BackupError, match=rf"other has something .*; {'; '.join(cut_off(swap, staging))}$"):
        restored(run, str(tmp_path / "other"), replace=str(tmp_path / "other"))
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_a_restore_test_may_happen_within_what_is_backed_up(back_up: BackUp, tmp_path: Path) -> None:
    """As it does if the folder of the state is in it; `/` is never within something."""
    run = back_up({"folders": str(tmp_path / "work")})
    (manifest, _), section = newest(run), run.settings.source
    target = scratch_target(section, manifest, "x", folder=tmp_path / "work", server=None, runner=run)
    assert target.name == str(tmp_path / "work" / "x")
    everything = manifest.model_copy(update={"facts": FolderFacts(paths=("/",), entries=1, content_bytes=0)})
    section = section.model_copy(update={"folders": (Path("/"),)})
    assert chosen_target(section, everything, "/", run).name == "/"


@pytest.mark.parametrize("target", ["", " ", "../new", "new"])
def test_folders_are_restored_into_an_absolute_path_alone(
    back_up: BackUp, tmp_path: Path, target: str
) -> None:
    """A script's variable that is not set is an empty text, and never the place that was backed up."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a").write_text("a")
    run = back_up({"folders": str(folder)})
    folder.rename(tmp_path / "moved")
    with pytest.raises(InvalidRequestError, match="the target"):
        restored(run, target)
    assert not folder.exists()


@pytest.mark.parametrize("target", ["/srv/restored", "$NEW_DATABASE_URL", "postgresql:/user:secret@host/db"])
def test_what_is_no_name_of_a_database_is_no_target(back_up: BackUp, database: Section, target: str) -> None:
    with pytest.raises(InvalidRequestError, match="is no name of a database") as refused:
        restored(back_up(database), target)
    assert target not in str(refused.value)  # which a variable may have brought


def test_a_url_without_a_database_is_no_target(back_up: BackUp, database: Section) -> None:
    run, url = back_up(database), database["postgresql"]
    with pytest.raises(InvalidRequestError, match="the URL of the target names no database"):
        restored(run, other(url, ""))


def test_what_a_command_printed_is_given_to_another(back_up: BackUp, tmp_path: Path) -> None:
    source = {"command": ["echo", "kept"], "restore": ["sh", "-c", "cat > {target}"]}
    run = back_up(source)
    restored(run, str(tmp_path / "made"))
    assert (tmp_path / "made").read_text() == "kept\n"
    assert "made was not compared: only a command of yours" in run.output
    with pytest.raises(BackupError, match=r"--replace is not for what source\.restore restores"):
        restored(run, str(tmp_path / "made"), replace=str(tmp_path / "made"))
    with pytest.raises(BackupError, match=r"source\.restore is not set"):
        restored(back_up({"command": ["echo"]}), "x")


def leftovers(url: str) -> int:
    return count(url, "SELECT count(*) FROM pg_database WHERE datname LIKE 'fraisier_restore_test_%'")


def test_a_restore_test_really_restores_checks_and_leaves_nothing(
    back_up: BackUp, database: Section, tmp_path: Path, postgres_version: int
) -> None:
    psql = str(programs(postgres_version) / "psql")
    counting = ["-Atc", "SELECT current_database(), count(*) FROM t", "-o", str(tmp_path / "checked")]
    test = {"check": [psql, *counting]}
    run = back_up(database, restore_test=test)
    back_up(database, hook=fraise_type.test_restore, restore_test=test)
    name, found = (tmp_path / "checked").read_text().strip().split("|")
    assert (name[:22], found) == ("fraisier_restore_test_", str(ROWS))
    assert count(database["postgresql"], f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == 0
    assert run.settings.path
    assert {path.name for path in run.settings.path.iterdir() if path.name.startswith(".")} == HIDDEN


def test_a_restore_test_into_another_server_and_what_a_killed_one_left(
    back_up: BackUp, database: Section, postgres_servers: Servers
) -> None:
    run = back_up(database)
    server = postgres_servers(18)
    assert run.settings.path
    killed = scratch_name(Installation(run.folder).id)
    others = scratch_name("0123456789ab")
    for name in (killed, others):
        server.execute(f"CREATE DATABASE {name}")
    test = {"target": server.url()}
    tested = back_up(database, hook=fraise_type.test_restore, restore_test=test)
    assert f"{killed} is left by a test that was killed" in tested.output
    left = f"SELECT count(*) FROM pg_database WHERE datname IN ('{killed}', '{others}')"
    assert count(server.url(), left) == 1
    server.execute(f"DROP DATABASE {others}")
    assert run.stored


def test_what_failed_is_said_though_what_was_restored_cannot_be_removed(
    back_up: BackUp, tmp_path: Path
) -> None:
    place = tmp_path / "target"
    source = {
        "command": ["printf", "worth keeping"],
        "restore": ["sh", "-c", f"cat > {place}; exit 3", "sh", "{target}"],
        "drop": ["sh", "-c", "exit 4", "sh", "{target}"],
    }
    back_up(source)
    run = back_up(source, hook=None)
    with pytest.raises(BackupError, match="status 3"):
        fraise_type.test_restore(run)
    assert "cannot be removed, and is left for the next test: sh exited with status 4" in run.output


def prove(back_up: BackUp, source: Section, **test: object) -> None:
    back_up(source, hook=fraise_type.test_restore, restore_test=test)


def test_a_restore_test_finds_one_damaged_byte(back_up: BackUp, database: Section) -> None:
    damage(back_up(database))
    with pytest.raises(BackupError, match="is damaged"):
        prove(back_up, database)


def test_a_restore_test_finds_a_dump_of_the_wrong_database(
    back_up: BackUp, database: Section, postgres_servers: Servers, postgres_version: int, tmp_path: Path
) -> None:
    with postgres_servers(postgres_version).database() as wrong:
        execute(wrong, FILL)
        run = back_up({**database, "postgresql": wrong}, path=tmp_path / "wrong")
        back_up(database)
        content = (newest(run)[1].folder / newest(run)[0].file).read_bytes()
        forge_content(back_up(database, hook=None), lambda _: content)
        with pytest.raises(BackupError, match=rf"a dump of database {name_of(wrong)}, not of"):
            prove(back_up, database)
        with pytest.raises(BackupError, match=rf"says that it is of database {name_of(wrong)}, not of"):
            back_up(database, hook=fraise_type.test_restore, path=tmp_path / "wrong")


def test_a_restore_test_finds_another_cluster_and_other_rows(back_up: BackUp, database: Section) -> None:
    forge_content(back_up(database), lambda content: content, system_identifier="1")
    with pytest.raises(BackupError, match="the cluster with the system identifier 1, not"):
        prove(back_up, database)
    before = leftovers(database["postgresql"])
    forge_content(back_up(database), lambda content: content, tables={"public.t": ROWS + 1, "public.u": 1})
    with pytest.raises(BackupError, match=rf"public.t has {ROWS} rows, not {ROWS + 1} rows; public.u has no"):
        prove(back_up, database)
    assert leftovers(database["postgresql"]) <= before


def test_a_restore_test_fails_by_the_check_and_without_a_backup(
    back_up: BackUp, file: Path, tmp_path: Path
) -> None:
    source = {"sqlite": file}
    with pytest.raises(BackupError, match="there is no backup"):
        prove(back_up, source)
    back_up(source)
    prove(back_up, source, check=["sh", "-c", "test -s $FRAISIER_RESTORED"])
    with pytest.raises(CommandFailedError, match="exited with status 7"):
        prove(back_up, source, check=["sh", "-c", "exit 7"])
    (tmp_path / "other.db").write_bytes(file.read_bytes())
    with pytest.raises(BackupError, match=r"is of .*shop\.db, not of .*other\.db"):
        prove(back_up, {"sqlite": tmp_path / "other.db"})


@pytest.mark.skipif(not shutil.which("rclone"), reason="rclone is not installed")
def test_a_restore_test_reads_the_copy_elsewhere_if_it_has_the_key(
    back_up: BackUp, file: Path, tmp_path: Path
) -> None:
    key = pytest.importorskip("pyrage").x25519.Identity.generate()
    encrypt = {"recipients": str(key.to_public()), "identity": str(key)}
    places = {"remotes": {"offsite": {"rclone": str(tmp_path / "offsite")}}, "encrypt": encrypt}
    back_up({"sqlite": file}, **places)
    tested = back_up({"sqlite": file}, hook=fraise_type.test_restore, **places)
    assert f"UTC, from {tmp_path / 'offsite'}" in tested.output
    (copy,) = (tmp_path / "offsite").glob("*.age")
    copy.write_bytes(copy.read_bytes()[:-1] + b"!")
    with pytest.raises(BackupError, match=r"offsite is damaged"):
        back_up({"sqlite": file}, hook=fraise_type.test_restore, **places)
    local = {"restore_test": {"place": "local"}}
    assert back_up({"sqlite": file}, hook=fraise_type.test_restore, **places, **local).failed == []
    with pytest.raises(ValidationError, match="there is no nas, only local, offsite"):
        back_up({"sqlite": file}, hook=None, **places, restore_test={"place": "nas"})


def test_a_backup_of_a_time_to_come_is_not_the_newest(back_up: BackUp, file: Path, tmp_path: Path) -> None:
    def ahead(run: Run) -> None:
        make_backup(run, tmp_path / "backups", lambda: datetime.now(UTC) + timedelta(days=365))

    def chosen(run: Run) -> Manifest:
        def listed(place: Place) -> Listing:
            return place.manifests().of(run.fraise, run.environment)

        return chosen_copy([LocalPlace(tmp_path / "backups")], listed, None, run.note)[1]

    wrong = newest(back_up({"sqlite": file}, hook=ahead))[0].name
    with pytest.raises(BackupError, match="all backups are of a time that is yet to come"):
        prove(back_up, {"sqlite": file})
    with pytest.raises(BackupError, match=r"is yet to come: .*; or name a backup"):
        chosen(back_up({"sqlite": file}, hook=None))
    made = back_up({"sqlite": file}).stored[0].name
    tested = back_up({"sqlite": file}, hook=fraise_type.test_restore)
    assert f"{wrong} is passed over: its time is yet to come" in tested.output
    assert f"{made} of " in tested.output
    assert chosen(tested).name == made


def test_a_restore_test_of_folders_and_of_a_command(back_up: BackUp, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    (folder / "deep").mkdir(parents=True)
    (folder / "a").write_text("aa")
    os.link(folder / "a", folder / "b")
    back_up({"folders": folder})
    prove(back_up, {"folders": folder})
    kept = tmp_path / "restored"
    drop = ["sh", "-c", f"rm {kept}/{{target}} && echo dropped >> {kept}/log"]
    source = {"command": ["echo", "x"], "restore": ["sh", "-c", f"cat > {kept}/{{target}}"], "drop": drop}
    kept.mkdir()
    back_up(source, path=tmp_path / "others")
    test = {"check": ["sh", "-c", f"grep x {kept}/$FRAISIER_RESTORED"]}
    back_up(source, path=tmp_path / "others", hook=fraise_type.test_restore, restore_test=test)
    assert [path.name for path in kept.iterdir()] == ["log"]


def test_a_database_is_not_replaced_by_a_role_that_would_keep_its_applications_out(
    back_up: BackUp, database: Section, postgres_servers: Servers, postgres_version: int
) -> None:
    server, url = postgres_servers(postgres_version), database["postgresql"]
    role = f"restorer_{name_of(url)}"
    run = back_up(database)
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'known-to-tests' CREATEDB")
    try:
        execute(url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        execute(url, f"ALTER SCHEMA public OWNER TO {role}")
        theirs = server.tcp_url(name_of(url)).partition("@")[2]
        source = {**database, "postgresql": f"postgresql://{role}:known-to-tests@{theirs}"}
        other = back_up(source, hook=None)
        kept_out = rf"was left as it is: {role} cannot restore what postgres own .* the URL of a superuser$"
        with pytest.raises(BackupError, match=kept_out):
            restored(other, replace=name_of(url))
        assert (count(url), "is backed up as" in other.output) == (ROWS, False)
        left = f"SELECT count(*) FROM pg_database WHERE datdba = '{role}'::regrole"
        assert count(url, left) == 0
        assert run.stored
    finally:
        execute(url, f"REASSIGN OWNED BY {role} TO postgres")
        execute(url, f"DROP OWNED BY {role}")
        server.execute(f"DROP ROLE {role}")

import os
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest
from fraisier_core import JobSettings, Release
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.dumping import Dumped, Sink
from fraisier_deployers.backup.manifest import FolderFacts, SqliteFacts
from fraisier_deployers.backup.sources.command_source import CommandSource
from fraisier_deployers.backup.sources.folders import FoldersSource
from fraisier_deployers.backup.sources.sqlite_copying import rows
from fraisier_deployers.backup.sources.sqlite_source import SqliteSource

pytestmark = pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
Run = FakeRun[JobSettings]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    work = tmp_path / "work"
    work.mkdir()
    return FakeRun(JobSettings(), Release("", work, ""))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return tmp_path / "made"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop ?#.db"
    with closing(sqlite3.connect(path)) as opened:
        opened.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE "quoted "" name" (x);
            CREATE VIRTUAL TABLE found USING fts5(text);
            INSERT INTO "quoted "" name" VALUES (1), (2);
            """
        )
    path.chmod(0o640)
    return path


def unzstd(file: Path) -> Path:
    subprocess.run(["zstd", "-q", "-d", "-f", file, "-o", file.with_suffix(".plain")], check=True)
    return file.with_suffix(".plain")


def sqlite_facts(dumped: Dumped) -> SqliteFacts:
    assert isinstance(dumped.facts, SqliteFacts)
    return dumped.facts


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_database_is_copied_while_it_is_written(run: Run, database: Path, made: Path, mode: str) -> None:
    stop, wrote = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as opened:
            opened.execute(f"PRAGMA journal_mode = {mode}")
            while not stop.wait(0.01):  # or readers hardly get their turn without WAL
                opened.execute("INSERT INTO customers (name) VALUES (hex(randomblob(500)))")
                wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert wrote.wait(60)
        facts = sqlite_facts(SqliteSource(database).dump(run, run.release.path, Sink(made)))
    finally:
        stop.set()
        writer.join()
    tables = rows(unzstd(made))
    assert tables == facts.tables
    assert tables['quoted " name'] == 2
    assert tables["customers"] > 0
    assert "found" not in tables
    assert facts.mode == 0o640


def test_a_damaged_database_is_no_backup(run: Run, database: Path, made: Path) -> None:
    with closing(sqlite3.connect(database)) as opened:
        opened.executemany("INSERT INTO customers (name) VALUES (?)", [("x" * 3000,)] * 50)
        opened.commit()
    content = bytearray(database.read_bytes())
    content[-4096 * 3 : -4096] = os.urandom(4096 * 2)
    database.write_bytes(content)
    with pytest.raises(BackupError, match=r"shop .*(damaged|malformed)"):
        SqliteSource(database).dump(run, run.release.path, Sink(made))


def test_a_database_that_is_not_there_is_named(run: Run, made: Path) -> None:
    with pytest.raises(BackupError, match=r"^/no/such\.db: No such file"):
        SqliteSource(Path("/no/such.db")).dump(run, run.release.path, Sink(made))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "a").write_text("aa")
    (folder / "deep" / "big").write_bytes(b"x" * 3_000_000)
    os.link(folder / "a", folder / "hard")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "skipped.tmp").write_text("never")
    return folder


def extract(file: Path, to: Path) -> Path:
    to.mkdir()
    subprocess.run(["tar", "--extract", "--zstd", "--file", file, "--directory", to], check=True)
    return to


def test_folders_are_archived_with_their_links_and_counted(
    run: Run, folder: Path, made: Path, tmp_path: Path
) -> None:
    dumped = FoldersSource([folder], ["*.tmp"]).dump(run, run.release.path, Sink(made))
    assert dumped.size == made.stat().st_size
    assert dumped.facts == FolderFacts(paths=(str(folder),), entries=7, content_bytes=3_000_002)
    restored = extract(made, tmp_path / "to") / str(folder)[1:]
    assert (restored / "link").readlink() == Path("/etc/passwd")
    assert (restored / "a").samefile(restored / "hard")
    assert sorted(path.name for path in restored.iterdir()) == ["a", "deep", "hard", "link"]


def test_what_changes_while_it_is_read_is_named_and_no_failure(run: Run, folder: Path, made: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with (folder / "deep" / "big").open("ab") as file:
            while not stop.is_set():
                file.write(b"y" * 1000)
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        FoldersSource([folder]).dump(run, run.release.path, Sink(made))
    finally:
        stop.set()
        writer.join()
    assert "deep/big: file changed as we read it" in run.output


def test_a_folder_that_is_not_there_is_named(run: Run, folder: Path, made: Path) -> None:
    for path, problem in ("/no/such/folder", " is no folder"), (f"/{300 * 'a'}", ": File name too long$"):
        with pytest.raises(BackupError, match=f"^{path}{problem}"):
            FoldersSource([folder, Path(path)]).dump(run, run.release.path, Sink(made))


def test_a_folder_that_is_a_link_is_refused(run: Run, folder: Path, made: Path) -> None:
    link = folder.with_name("linked")
    link.symlink_to(folder)
    with pytest.raises(BackupError, match=rf"^{link} is a symbolic link: name {folder} instead"):
        FoldersSource([link]).dump(run, run.release.path, Sink(made))


def test_attributes_are_kept(run: Run, folder: Path, made: Path, tmp_path: Path) -> None:
    try:
        os.setxattr(folder / "a", "user.mood", b"fine")
    except OSError:
        pytest.skip("the file system has no extended attributes")
    FoldersSource([folder]).dump(run, run.release.path, Sink(made))
    (tmp_path / "to").mkdir()
    options = ["--extract", "--zstd", "--xattrs", f"--file={made}", f"--directory={tmp_path}/to"]
    subprocess.run(["tar", *options], check=True)
    assert os.getxattr(tmp_path / "to" / str(folder)[1:] / "a", "user.mood") == b"fine"


def test_what_a_command_prints_is_the_backup(run: Run, made: Path) -> None:
    dumped = CommandSource(["printf", "%s", "a b"]).dump(run, run.release.path, Sink(made))
    assert (made.read_text(), dumped.size, dumped.facts.kind) == ("a b", 3, "command")


def test_a_dump_of_nothing_is_none(run: Run, folder: Path, made: Path) -> None:
    with pytest.raises(BackupError, match=r"^true printed nothing"):
        CommandSource(["true"]).dump(run, run.release.path, Sink(made))
    (other := folder.with_name("größer")).mkdir()
    FoldersSource([folder, other]).dump(run, run.release.path, Sink(made))
    with pytest.raises(BackupError, match=rf"^source\.exclude leaves out {other}: correct it$"):
        FoldersSource([folder, other], [other.name]).dump(run, run.release.path, Sink(made))


def test_a_command_that_fails_fails_the_dump(run: Run, made: Path) -> None:
    with pytest.raises(BackupError, match="sh exited with status 3: no database"):
        CommandSource(["sh", "-c", "echo half; echo no database >&2; exit 3"]).dump(
            run, run.release.path, Sink(made)
        )


def test_without_zstd_it_is_said_what_to_install(
    run: Run, database: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shutil.which("zstd")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BackupError, match="apt-get install zstd"):
        SqliteSource(database).dump(run, run.release.path, Sink(made))

"""`fraisier db`: what the store holds, whether it is whole, its backups, and its move to another database."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.waiting import wait_until

from .installation import Installation
from .receiving import receiving


@pytest.fixture
def used(installation: Installation) -> Installation:
    """An installation in which something was deployed."""
    installation.deploy()
    return installation


def elsewhere(installation: Installation) -> str:
    """Return the url of another database."""
    return f"sqlite://{installation.folder / 'elsewhere' / 'store.db'}"


def use(installation: Installation, url: str) -> None:
    installation.config.write_text(installation.config.read_text() + f"\ndatabase: {{url: '{url}'}}\n")


def test_status_says_how_much_the_record_holds(used: Installation) -> None:
    used.config.write_text(used.config.read_text() + "\nretention: {payloads: 90d, logs: 36h}\n")
    found = used.json("db", "status")
    assert found["database"] == f"sqlite://{used.database}"
    assert found["version"].startswith("SQLite 3.")
    assert (found["deployments"], found["deliveries"], found["live_workers"]) == (1, 0, 0)
    assert found["deployment_events"] > 5
    assert found["bytes"] > 0
    assert found["migrations"][0] == "0001_tables.sql"
    assert found["retention"] == {"payloads": 7776000.0, "logs": 129600.0, "refused": None}
    shown = used.run("db", "status").stdout
    assert "retention:         payloads 90d, logs 36h, refused for ever\n" in shown
    assert "closed:            -\n" in shown


def test_status_names_the_migrations_that_an_older_store_lacks(used: Installation) -> None:
    with closing(sqlite3.connect(used.database)) as database, database:
        database.execute("DELETE FROM tb_migrations WHERE name = '0004_views.sql'")
    done = used.run("db", "status")
    assert "pending:           0004_views.sql\n" in done.stdout
    assert (done.returncode, "run `fraisier db migrate`" in done.stderr) == (6, True)


@pytest.mark.parametrize("command", [["status"], ["check"], ["backup", "file"], ["rebuild"]])
def test_a_store_that_was_never_made_is_named(installation: Installation, command: list[str]) -> None:
    done = installation.run("db", *command)
    assert (done.returncode, "there is no store at sqlite:" in done.stderr) == (4, True)
    assert not installation.database.exists()
    assert not (installation.folder / "file").exists()


def test_a_check_names_each_fault_on_a_line(used: Installation) -> None:
    assert used.run("db", "check").stdout == f"sqlite://{used.database}: whole\n"
    assert used.json("db", "check") == {"database": f"sqlite://{used.database}", "faults": []}
    with closing(sqlite3.connect(used.database)) as database, database:
        database.execute("UPDATE tb_deployments SET status = 'failed', ref = 'other'")
    done = used.run("db", "check")
    (line,) = done.stdout.splitlines()
    assert "status is 'failed' and its events say 'success'" in line
    assert "ref is 'other' and its events say 'refs/heads/main'" in line
    assert done.returncode == 6
    assert json.loads(used.run("db", "check", "--json").stdout)["faults"] == [line]
    assert used.run("db", "rebuild").returncode == 0
    assert used.run("db", "check").returncode == 0


def spoil(file: Path, offset: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(data)


@pytest.mark.parametrize("damage", ["header", "schema page", "name", "events"])
def test_a_check_of_a_damaged_file_says_so_in_json_too(used: Installation, damage: str) -> None:
    with closing(sqlite3.connect(used.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'tb_deployment_events'"
        ).fetchone()
        if damage == "name":
            database.execute("PRAGMA writable_schema = ON")
            database.execute(
                "UPDATE sqlite_schema SET sql = CAST(x'43ff' AS TEXT) WHERE name = 'v_fraise_status'"
            )
            database.execute(
                "UPDATE sqlite_schema SET name = CAST(x'43ff' AS TEXT) WHERE name = 'v_fraise_status'"
            )
            database.commit()
    places = {"header": 0, "schema page": 100, "events": (root - 1) * 4096}
    if damage in places:
        spoil(used.database, places[damage], b"\xff" * 60)
    done = used.run("db", "check", "--json")
    (fault,) = json.loads(done.stdout)["faults"]
    assert "damaged" in fault
    assert (done.returncode, "Traceback" in done.stderr) == (6, False)
    plainly = used.run("db", "check")
    assert (plainly.returncode, "damaged" in plainly.stdout + plainly.stderr) == (6, True)


def test_a_backup_is_restored_into_another_store_and_not_over_one(used: Installation) -> None:
    done = used.run("db", "backup", "saved.db")
    assert done.returncode == 0, done.stderr
    used.deploy()
    again = used.run("db", "backup", "saved.db")
    assert (again.returncode, "replace it with --force" in again.stderr) == (7, True)
    refused = used.run("db", "restore", "saved.db")
    assert (refused.returncode, "the target is not empty" in refused.stderr) == (7, True)
    missing = used.run("db", "restore", "nothing.db")
    assert (missing.returncode, "there is no backup" in missing.stderr) == (4, True)
    use(used, elsewhere(used))
    assert used.run("db", "restore", "saved.db").returncode == 0
    assert len(used.json("history")) == 1
    used.deploy()
    assert len(used.json("history")) == 2
    assert used.run("db", "backup", "saved.db", "--force").returncode == 0


def test_a_backup_of_an_older_version_is_restored_and_stays_as_it_is(used: Installation) -> None:
    saved = used.folder / "saved.db"
    used.run("db", "backup", "saved.db")
    with closing(sqlite3.connect(saved)) as database, database:
        views = "name GLOB 'v_*' OR name = 'environment_holds'"
        for (view,) in database.execute(f"SELECT name FROM sqlite_schema WHERE {views}").fetchall():
            database.execute(f"DROP VIEW {view}")
        database.execute("DELETE FROM tb_migrations WHERE name >= '0004'")
    before = saved.read_bytes()
    use(used, elsewhere(used))
    done = used.run("db", "restore", "saved.db")
    assert done.returncode == 0, done.stderr
    assert len(used.json("history")) == 1
    assert saved.read_bytes() == before
    assert used.json("db", "check")["faults"] == []


def test_a_worker_is_told_where_the_record_is(used: Installation) -> None:
    with used.started("worker") as worker:
        wait_until(lambda: used.json("db", "status")["live_workers"] == 1)
        assert used.run("db", "copy", "--to", elsewhere(used)).returncode == 0
        worker.read_to(f"the store has moved to {elsewhere(used)}: set database.url and restart")


def test_a_backup_in_use_as_a_store_says_what_to_do(used: Installation) -> None:
    used.run("db", "backup", "saved.db")
    use(used, f"sqlite://{used.folder / 'saved.db'}")
    done = used.run("deploy", "my_api", "production")
    assert (done.returncode, "`fraisier db restore`" in done.stderr) == (6, True)


def test_a_deployment_that_ran_is_interrupted_once_its_backup_is_restored(used: Installation) -> None:
    gate = used.push_gated()
    with used.started("deploy", "my_api", "production") as command:
        gate.wait()
        used.run("db", "backup", "saved.db")
        gate.open()
        command.process.wait()
    use(used, elsewhere(used))
    done = used.run("db", "restore", "saved.db")
    assert "interrupted: 1\n" in done.stdout
    last = used.json("history")[0]
    assert (last["status"], last["error_message"]) == (
        "interrupted",
        "it was running when the backup was made that was restored",
    )
    used.deploy()


def test_a_killed_copy_goes_on_and_the_source_is_used_until_then(used: Installation) -> None:
    to, marker = elsewhere(used), str(used.folder / "marker")
    for _ in range(3):
        Path(marker).unlink(missing_ok=True)
        killed = used.run(
            "db",
            "copy",
            "--to",
            to,
            FRAISIER_FAILPOINT="copied_batch:kill",
            FRAISIER_FAILPOINT_FILE=marker,
        )
        assert killed.returncode == -signal.SIGKILL
        used.deploy()
    use_too_early = used.run("db", "restore", "x", "-c", str(_configured_with(used, to)))
    assert use_too_early.returncode != 0
    done = used.run("db", "copy", "--to", to)
    assert (done.returncode, "has moved to" in done.stdout) == (0, True), done.stderr
    before = used.json("history")
    refused = used.run("deploy", "my_api", "production")
    assert (refused.returncode, f"has moved to {to}: set database.url" in refused.stderr) == (6, True)
    use(used, to)
    assert used.json("history") == before
    assert len(before) == 4
    assert used.json("db", "check")["faults"] == []
    used.deploy()


def _configured_with(installation: Installation, url: str) -> Path:
    other = installation.folder / "other.yaml"
    other.write_text(installation.config.read_text() + f"\ndatabase: {{url: '{url}'}}\n")
    return other


def test_while_the_source_is_closed_the_web_app_answers_503(used: Installation) -> None:
    to = elsewhere(used)
    with receiving(used) as web_app:
        assert "event" in web_app.push("1a" * 20)
        killed = used.run("db", "copy", "--to", to, FRAISIER_FAILPOINT="closed_source:kill")
        assert killed.returncode == -signal.SIGKILL
        assert "event" not in web_app.push("2a" * 20)
        assert "is being moved to" in used.json("db", "status")["closed"]
        other = used.run("db", "copy", "--to", to + "2")
        assert (other.returncode, "the source cannot be moved" in other.stderr) == (7, True)
        assert used.run("db", "copy", "--abort").returncode == 0
        assert "event" in web_app.push("3a" * 20)
        assert used.run("db", "copy", "--to", to).returncode == 0
        assert "event" not in web_app.push("4a" * 20)
        log = (used.folder / "webhook.log").read_text()
        assert f"the store has moved to {to}: set database.url" in log
    assert used.run("db", "copy", "--abort").returncode == 7


def _overwrite(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    file.write_text("no database" * 999)


def _take_table(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DROP TABLE tb_deployment_logs")


def _fill_otherwise(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE tb_closed SET message = 'it is the copy of another'")


@pytest.mark.parametrize("spoil", [_overwrite, _take_table, _fill_otherwise])
def test_a_killed_copy_that_cannot_go_on_opens_the_source(
    used: Installation, spoil: Callable[[Path], None]
) -> None:
    to = elsewhere(used)
    killed = used.run("db", "copy", "--to", to, FRAISIER_FAILPOINT="closed_source:kill")
    assert killed.returncode == -signal.SIGKILL
    refused = used.run("deploy", "my_api", "production")
    assert (refused.returncode, "`fraisier db copy` again, or with --abort" in refused.stderr) == (6, True)
    spoil(used.folder / "elsewhere" / "store.db")
    assert used.run("db", "copy", "--to", to).returncode in {6, 7}
    assert used.json("db", "status")["closed"] is None
    used.deploy()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_copy_that_is_ended_while_it_waits_opens_the_source(
    used: Installation, number: signal.Signals
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # started by nohup, what a test starts would ignore it, too
    gate = used.push_gated()
    with used.started("deploy", "my_api", "production") as deploying:
        gate.wait()
        with used.started("db", "copy", "--to", elsewhere(used)) as copying:
            copying.read_to("1 in all; nothing begins meanwhile, and no worker lives: start one, or press")
            assert "is being moved" in used.json("db", "status")["closed"]
            copying.process.send_signal(number)
            assert copying.process.wait() == 130
        assert used.json("db", "status")["closed"] is None
        gate.open()
        deploying.process.wait()
    used.deploy()


def test_a_copy_that_waits_says_so_once(used: Installation) -> None:
    gate = used.push_gated()
    with used.started("worker") as worker, used.started("deploy", "my_api", "production") as deploying:
        wait_until(lambda: used.json("db", "status")["live_workers"] == 1)
        gate.wait()
        with used.started("db", "copy", "--to", elsewhere(used)) as copying:
            copying.read_to("waiting until what runs has ended, 1 in all; nothing begins meanwhile\n")
            worker.process.send_signal(signal.SIGTERM)
            copying.read_to("and no worker lives: start one, or press Ctrl-C\n")
            gate.open()
            deploying.process.wait()
            said = copying.read_to("has moved to")
        assert "waiting" not in said


def test_a_finished_copy_that_is_repeated_says_that_it_is_done(used: Installation) -> None:
    to = elsewhere(used)
    assert used.run("db", "copy", "--to", to).returncode == 0
    again = used.run("db", "copy", "--to", to)
    assert (again.returncode, f"had moved before to {to}; set database.url" in again.stdout) == (0, True)


@pytest.mark.parametrize("option", [["--to", "sqlite:target.db"], ["--abort"]])
def test_a_copy_makes_and_migrates_no_source(used: Installation, option: list[str]) -> None:
    missing = used.run("db", "copy", "--from", "sqlite:typo/a.db", *option)
    assert (missing.returncode, "there is no store at sqlite:" in missing.stderr) == (4, True)
    with closing(sqlite3.connect(used.folder / "foreign.db")) as database, database:
        database.execute("CREATE TABLE tb_mine (id)")
    content = (used.folder / "foreign.db").read_bytes()
    assert used.run("db", "copy", "--from", "sqlite:./foreign.db", *option).returncode in {4, 6}
    assert (used.folder / "foreign.db").read_bytes() == content
    with closing(sqlite3.connect(used.database)) as database, database:
        database.execute("DELETE FROM tb_migrations WHERE name = '0004_views.sql'")
    outdated = used.run("db", "copy", *option)
    assert (outdated.returncode, "run `fraisier db migrate`" in outdated.stderr) == (6, True)
    assert not {each.name for each in used.folder.iterdir()} & {"typo", "target.db"}


@pytest.mark.parametrize("content", [None, b"", b"no database" * 999])
def test_a_restore_of_what_is_no_backup_makes_no_store(
    installation: Installation, content: bytes | None
) -> None:
    if content is not None:
        (installation.folder / "saved.db").write_bytes(content)
    assert installation.run("db", "restore", "saved.db").returncode == (4 if content is None else 6)
    assert not installation.database.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "--to URL, or --abort"),
        (["--to", "sqlite:///a/b.db", "--abort"], 2, "--to URL, or --abort"),
        (["--to", "sqlite:///a/${MISSING_VARIABLE}.db"], 2, "MISSING_VARIABLE"),
        (["--to", "sqlite:"], 2, "the URL on the command line: names no file"),
        (
            ["--to", "postgresql://a@b@c/d"],
            2,
            "the URL on the command line: has a special character",
        ),
        (["--to", "postgresql://a@b:0/d"], 2, "the URL on the command line: a port should be a number"),
        (["--to", "postgresql://a@b"], 2, "the URL on the command line: names no database"),
        (["--to", "nosuch://host/a"], 5, "nosuch"),
    ],
)
def test_a_copy_says_which_url_cannot_be_used(
    used: Installation, arguments: list[str], code: int, says: str
) -> None:
    done = used.run("db", "copy", *arguments)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr


def test_a_copy_to_where_the_record_is_is_refused(used: Installation) -> None:
    done = used.run("db", "copy", "--to", "sqlite://${DATABASE}", DATABASE=str(used.database))
    assert (done.returncode, "is there already" in done.stderr) == (2, True)
    used.deploy()


def test_a_worker_deletes_what_is_not_kept(used: Installation) -> None:
    used.config.write_text(used.config.read_text() + "\nretention: {payloads: 1s, logs: 1s}\n")
    with receiving(used) as web_app:
        event = web_app.push("1a" * 20)["event"]
        assert used.json("webhooks", "show", event)["body_kept"]
        with used.started("worker"):
            wait_until(lambda: not used.json("webhooks", "show", event)["body_kept"])
    found = used.json("webhooks", "show", event)
    assert (found["body_kept"], len(found["body_sha256"])) == (False, 64)
